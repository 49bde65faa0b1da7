#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const SERVER: [u8; 16] = [
    0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62,
];

fn read(kind: u8, body: &[u8]) -> Result<Begin, Malformed> {
    Begin::read(RawEvent {
        kind,
        seconds: 0,
        server: 7,
        ignorable: false,
        body,
    })
}

fn untagged(number: u64, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(SERVER);
    body.extend(number.to_le_bytes());
    body.extend(rest);
    body
}

/// Logical clocks, then the commit time on this server and, where it differs, on the first one.
fn times(here: u64, first: Option<u64>) -> Vec<u8> {
    let mut rest = vec![2];
    rest.extend([0; 16]);
    let flag = if first.is_some() { 1 << 55 } else { 0 };
    rest.extend(&(here | flag).to_le_bytes()[..7]);
    rest.extend(
        first
            .iter()
            .flat_map(|first| first.to_le_bytes()[..7].to_vec()),
    );
    // Length of the transaction and versions.
    rest.extend([0xfc, 0x10, 0x01, 0x2c, 0x39, 0x01, 0x00]);
    rest
}

#[test]
fn the_first_commit_time_counts() {
    let begin = read(
        kinds::MYSQL_GTID,
        &untagged(9, &times(1_700_000_000_000_001, None)),
    )
    .unwrap();
    assert_eq!(
        begin.gtid.to_string(),
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:9"
    );
    assert_eq!(begin.committed_at, Some(1_700_000_000_000_001));
    let copied = untagged(
        9,
        &times(1_700_000_000_000_009, Some(1_700_000_000_000_002)),
    );
    let begin = read(kinds::MYSQL_GTID, &copied).unwrap();
    assert_eq!(begin.committed_at, Some(1_700_000_000_000_002));
}

/// MySQL 5.6 has no clocks, and 5.7 has them without times.
#[test]
fn older_servers_say_no_commit_time() {
    for rest in [vec![], [vec![2], vec![0; 16]].concat()] {
        let begin = read(kinds::MYSQL_GTID, &untagged(1, &rest)).unwrap();
        assert_eq!(begin.committed_at, None);
    }
    for number in [0, i64::MAX as u64, u64::MAX] {
        assert_eq!(
            read(kinds::MYSQL_GTID, &untagged(number, &[])),
            Err(Malformed)
        );
    }
}

/// Writes what [`variable`] reads.
fn put(number: u64, into: &mut Vec<u8>) {
    let bits = 64 - number.leading_zeros().min(63);
    let length = bits.div_ceil(7).min(9) as usize;
    if length == 9 {
        into.push(0xff);
        into.extend(number.to_le_bytes());
        return;
    }
    let ones = (1u64 << (length - 1)) - 1;
    into.extend(&(number << length | ones).to_le_bytes()[..length]);
}

fn tagged(fields: &[u8], last_needed: u64) -> Vec<u8> {
    let mut body = vec![2];
    // Short enough for a length of one byte or two.
    let head = if fields.len() < 120 { 3 } else { 4 };
    put((fields.len() + head) as u64, &mut body);
    put(last_needed, &mut body);
    body.extend(fields);
    body
}

fn fields(tag: &str, number: u64, first: Option<u64>) -> Vec<u8> {
    let mut fields = Vec::new();
    let field = |id: u64, value: u64, fields: &mut Vec<u8>| {
        put(id, fields);
        put(value, fields);
    };
    field(0, 1, &mut fields);
    put(1, &mut fields);
    SERVER
        .iter()
        .for_each(|byte| put((*byte).into(), &mut fields));
    field(2, number << 1, &mut fields);
    put(3, &mut fields);
    put(tag.len() as u64, &mut fields);
    fields.extend(tag.as_bytes());
    field(4, 2, &mut fields);
    field(5, 4, &mut fields);
    field(6, 1_700_000_000_000_009, &mut fields);
    first
        .into_iter()
        .for_each(|first| field(7, first, &mut fields));
    field(8, 300, &mut fields);
    field(9, 80_400, &mut fields);
    fields
}

#[test]
fn tagged_ids_are_read() {
    let body = tagged(&fields("payments", 41, None), 0);
    let begin = read(kinds::MYSQL_GTID_TAGGED, &body).unwrap();
    assert_eq!(
        begin.gtid.to_string(),
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:payments:41"
    );
    assert_eq!(begin.committed_at, Some(1_700_000_000_000_009));
    let body = tagged(&fields("p", 1, Some(1_700_000_000_000_002)), 0);
    let begin = read(kinds::MYSQL_GTID_TAGGED, &body).unwrap();
    assert_eq!(begin.committed_at, Some(1_700_000_000_000_002));
}

#[test]
fn fields_of_newer_servers_are_passed_over_or_refused_as_they_ask() {
    let mut newer = fields("p", 1, None);
    put(60, &mut newer);
    newer.extend([9, 9, 9]);
    assert!(read(kinds::MYSQL_GTID_TAGGED, &tagged(&newer, 0)).is_ok());
    assert_eq!(
        read(kinds::MYSQL_GTID_TAGGED, &tagged(&newer, 60)),
        Err(Malformed)
    );
    assert_eq!(
        read(kinds::MYSQL_GTID_TAGGED, &tagged(&fields("No", 1, None), 0)),
        Err(Malformed)
    );
    let mut other_form = tagged(&fields("p", 1, None), 0);
    other_form[0] = 4;
    assert_eq!(read(kinds::MYSQL_GTID_TAGGED, &other_form), Err(Malformed));
}

proptest! {
    #[test]
    fn variable_numbers_come_back(number in prop_oneof![any::<u64>(), 0..300u64, (0..64u32).prop_map(|bits| 1 << bits)]) {
        let mut bytes = Vec::new();
        put(number, &mut bytes);
        let mut left = Bytes(&bytes);
        prop_assert_eq!(variable(&mut left), Ok(number));
        prop_assert!(left.is_empty());
    }

    /// No change of a byte and no cut makes it fall over.
    #[test]
    fn damaged_ids_are_read_or_refused(
        tag in "[a-z_][a-z0-9_]{0,31}", number in 1..i64::MAX as u64,
        place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let bodies = [
            (kinds::MYSQL_GTID_TAGGED, tagged(&fields(&tag, number, None), 0)),
            (kinds::MYSQL_GTID, untagged(number, &times(number, Some(number)))),
        ];
        for (kind, mut body) in bodies {
            let at = place.index(body.len());
            if cut { body.truncate(at) } else { body[at] = byte }
            let _ = read(kind, &body);
        }
    }
}
