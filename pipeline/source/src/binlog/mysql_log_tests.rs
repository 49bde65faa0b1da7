//! MySQL's logs, put together by hand after its documentation.
#![allow(clippy::unwrap_used)]

use centinel_model::HoleReason;
use proptest::prelude::*;

use super::tests::{FORMAT, Owned, XID, assembler, feed, inserts, query, rows, table_map};
use super::*;

const SERVER: [u8; 16] = [0xaa; 16];
const UUID: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
/// Later than the seconds in the events' headers.
const TIME: u64 = 1_700_000_000_250_000;

fn gtid_at(number: u64, micros: u64) -> Owned {
    let mut body = vec![0];
    body.extend(SERVER);
    body.extend(number.to_le_bytes());
    body.push(2);
    body.extend([0; 16]);
    body.extend(&micros.to_le_bytes()[..7]);
    (kinds::MYSQL_GTID, body)
}

fn gtid(number: u64) -> Owned {
    gtid_at(number, TIME + number)
}

/// The same rows with the longer header of MySQL, and with extra data in it.
fn inserts_2(ids: impl Iterator<Item = u64>) -> Owned {
    let (_, body) = inserts(ids);
    let extra = [5, 0, 1, 2, 3];
    (
        kinds::WRITE_ROWS_2,
        [&body[..8], &extra[..], &body[8..]].concat(),
    )
}

fn one(number: u64) -> Vec<Owned> {
    vec![
        gtid(number),
        query("BEGIN"),
        table_map(),
        inserts_2(number..number + 1),
        XID,
    ]
}

/// The events as they stand in a compressed transaction, behind each other with their headers.
fn plain(events: &[Owned]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, body) in events {
        all.extend(1_700_000_000u32.to_le_bytes());
        all.push(*kind);
        all.extend(1u32.to_le_bytes());
        all.extend((19 + body.len() as u32).to_le_bytes());
        all.extend([0; 6]);
        all.extend(body);
    }
    all
}

fn packed(number: u64) -> Vec<u8> {
    [&[0xfe], &number.to_le_bytes()[..]].concat()
}

fn payload_of(compression: u64, content: &[u8], declared: u64) -> Owned {
    let mut body = Vec::new();
    for (field, value) in [(2, compression), (3, declared), (1, content.len() as u64)] {
        body.extend([field, 9]);
        body.extend(packed(value));
    }
    body.push(0);
    body.extend(content);
    (kinds::TRANSACTION_PAYLOAD, body)
}

fn payload(events: &[Owned]) -> Owned {
    let plain = plain(events);
    let compressed = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
    payload_of(0, &compressed, plain.len() as u64)
}

fn holes(assembler: &mut Assembler) -> Vec<(HoleReason, String)> {
    assembler.flush().unwrap();
    let chunks = assembler.take_ready().into_iter();
    let holes = chunks.flat_map(|chunk| chunk.holes);
    holes.map(|hole| (hole.reason, hole.message)).collect()
}

#[test]
fn transactions_are_read_with_their_times() {
    let mut assembler = assembler();
    feed(&mut assembler, &[one(1), one(2)].concat()).unwrap();
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-2"));
    assert_eq!(assembler.place.clock, TIME as i64 + 2);
    assert_eq!(rows(&mut assembler), [(1, 1, 0, true), (2, 2, 0, true)]);
    // A time that goes back does not take the clock with it.
    let late = [&[gtid_at(3, TIME - 900)], &one(3)[1..]].concat();
    feed(&mut assembler, &late).unwrap();
    assert_eq!(assembler.place.clock, TIME as i64 + 3);
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-3"));
}

#[test]
fn what_has_no_begin_is_a_transaction_of_its_own() {
    let mut assembler = assembler();
    let log = [
        vec![gtid(1), query("CREATE TABLE payment (id BIGINT)")],
        vec![gtid(2), query("TRUNCATE payment")],
        one(3),
        vec![gtid(4), query("BEGIN"), query("COMMIT")],
        vec![gtid(5), query("GRANT SELECT ON *.* TO x")],
    ];
    feed(&mut assembler, &log.concat()).unwrap();
    assert!(assembler.between_transactions());
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-5"));
    let holes = holes(&mut assembler);
    assert_eq!(holes.len(), 1, "{holes:?}");
    assert!(holes[0].1.contains("TRUNCATE"));
}

#[test]
fn the_rows_of_a_table_that_is_created_from_a_query_are_read() {
    for begin in [vec![], vec![query("BEGIN")]] {
        let mut assembler = assembler();
        let create = query("CREATE TABLE `payment` (`id` bigint, `fen` int) START TRANSACTION");
        let log = [
            vec![gtid(1)],
            begin,
            vec![create, table_map(), inserts_2(1..3), XID],
        ];
        feed(&mut assembler, &log.concat()).unwrap();
        assert_eq!(rows(&mut assembler), [(1, 1, 0, false), (2, 1, 1, true)]);
    }
}

#[test]
fn statements_and_partial_rows_are_holes() {
    let mut assembler = assembler();
    let partial = (kinds::PARTIAL_UPDATE_ROWS, inserts_2(1..2).1);
    let log = [
        gtid(1),
        query("BEGIN"),
        query("UPDATE payment SET fen = 1"),
        XID,
        gtid(2),
        query("BEGIN"),
        table_map(),
        partial,
        XID,
    ];
    feed(&mut assembler, &log).unwrap();
    let holes = holes(&mut assembler);
    assert_eq!(holes.len(), 2, "{holes:?}");
    assert!(
        holes
            .iter()
            .all(|(reason, _)| *reason == HoleReason::Unobservable)
    );
    assert!(holes[0].1.contains("binlog_format"));
    assert!(
        holes[1]
            .1
            .contains("SET PERSIST binlog_row_value_options = ''")
    );
}

#[test]
fn events_that_tell_nothing_are_passed_over() {
    let mut assembler = assembler();
    let mut log = one(1);
    for kind in [
        kinds::MYSQL_PREVIOUS_GTIDS,
        kinds::TRANSACTION_CONTEXT,
        kinds::VIEW_CHANGE,
        kinds::ROWS_QUERY,
        kinds::HEARTBEAT_2,
        kinds::ROTATE,
    ] {
        log.push((kind, vec![1, 2, 3]));
    }
    log.push(FORMAT);
    log.extend(one(2));
    feed(&mut assembler, &log).unwrap();
    assert_eq!(rows(&mut assembler).len(), 2);
}

#[test]
fn a_distributed_transaction_is_never_taken_for_seen() {
    let mut assembler = assembler();
    let prepare = vec![
        gtid(1),
        query("XA START X'61',X'',1"),
        table_map(),
        inserts_2(1..3),
        query("XA END X'61',X'',1"),
        (kinds::XA_PREPARE, vec![0]),
    ];
    let commit = |number, id: &str| vec![gtid(number), query(&format!("XA COMMIT X'{id}',X'',1"))];
    feed(&mut assembler, &[prepare, commit(2, "61")].concat()).unwrap();
    let told = holes(&mut assembler);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, message)| message.contains("XA")));
    // Prepared before reading began: its tables are not known.
    feed(&mut assembler, &commit(3, "62")).unwrap();
    let told = holes(&mut assembler);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("before reading began"));
    // What was rolled back changed nothing.
    let rollback = [gtid(4), query("XA ROLLBACK X'63',X'',1")];
    feed(&mut assembler, &rollback).unwrap();
    assert_eq!(holes(&mut assembler), []);
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-4"));
}

#[test]
fn an_incident_has_a_transaction_of_its_own() {
    let mut assembler = assembler();
    feed(&mut assembler, &[gtid(1), (kinds::INCIDENT, vec![1, 0, 0])]).unwrap();
    feed(&mut assembler, &one(2)).unwrap();
    assert_eq!(holes(&mut assembler)[0].0, HoleReason::Gap);
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-2"));
}

#[test]
fn compressed_transactions_are_read() {
    let mut assembler = assembler();
    let events = [query("BEGIN"), table_map(), inserts_2(1..3_000), XID];
    feed(&mut assembler, &[gtid(1), payload(&events)]).unwrap();
    let uncompressed = plain(&events);
    let size = uncompressed.len() as u64;
    feed(
        &mut assembler,
        &[gtid(2), payload_of(255, &uncompressed, size)],
    )
    .unwrap();
    let rows = rows(&mut assembler);
    assert_eq!(rows.len(), 2 * 2_999);
    assert_eq!(rows[2_998], (2_999, 1, 2_998, true));
    assert_eq!(assembler.place.gtids.to_string(), format!("{UUID}:1-2"));
}

#[test]
fn a_compressed_transaction_that_is_not_whole_is_never_passed_over() {
    let events = [query("BEGIN"), table_map(), inserts_2(1..300), XID];
    let whole = plain(&events);
    let size = whole.len() as u64;
    let compressed = zstd::stream::encode_all(whole.as_slice(), 3).unwrap();
    let mut bad_bytes = compressed.clone();
    bad_bytes[compressed.len() / 2..].fill(0x55);
    let nested = plain(&[query("BEGIN"), payload(&events), XID]);
    let without_end = plain(&events[..3]);
    let cases = [
        payload_of(0, &bad_bytes, size),
        payload_of(0, &compressed[..compressed.len() - 5], size),
        payload_of(0, b"no zstd at all", size),
        payload_of(0, &[], size),
        payload_of(0, &compressed, size - 1),
        payload_of(0, &compressed, size + 1),
        payload_of(7, &compressed, size),
        payload_of(255, &whole[..whole.len() - 3], size - 3),
        payload_of(255, &nested, nested.len() as u64),
        payload_of(255, &without_end, without_end.len() as u64),
        payload_of(255, &[whole.clone(), vec![1, 2, 3]].concat(), size + 3),
        (kinds::TRANSACTION_PAYLOAD, vec![]),
        (
            kinds::TRANSACTION_PAYLOAD,
            vec![
                1, 9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
            ],
        ),
    ];
    for (index, bad) in cases.into_iter().enumerate() {
        let mut assembler = assembler();
        let refused = feed(&mut assembler, &[gtid(1), bad]);
        assert!(
            matches!(&refused, Err(Failure::Doubtful { problem, .. }) if problem.contains("compressed")),
            "{index}: {refused:?}"
        );
        assembler.rewind();
        assert_eq!(assembler.place.gtids.to_string(), "", "{index}");
        // It is read where it comes whole.
        feed(&mut assembler, &[gtid(1), payload(&events)]).unwrap();
        assert_eq!(rows(&mut assembler).len(), 299, "{index}");
    }
    let huge = payload_of(0, &compressed, 1 << 40);
    let refused = feed(&mut assembler(), &[gtid(1), huge]);
    assert!(matches!(refused, Err(Failure::Lasting { problem, .. }) if problem.contains("1 GiB")));
}

/// A log of good events of MySQL, some of them with bytes changed, cut or in another place.
fn any_log() -> impl Strategy<Value = Vec<Owned>> {
    let compressed = payload(&[query("BEGIN"), table_map(), inserts_2(1..40), XID]);
    let uncompressed = {
        let plain = plain(&[query("BEGIN"), table_map(), inserts_2(1..4), XID]);
        payload_of(255, &plain, plain.len() as u64)
    };
    let event = prop_oneof![
        3 => (1..9u64).prop_map(gtid),
        3 => Just(query("BEGIN")),
        3 => Just(table_map()),
        3 => Just(inserts_2(1..4)),
        1 => Just((kinds::UPDATE_ROWS_2, inserts_2(1..5).1)),
        3 => Just(XID),
        2 => Just(compressed),
        2 => Just(uncompressed),
        1 => Just(query("XA START X'61',X'',1")),
        1 => Just(query("XA COMMIT X'61',X'',1")),
        1 => Just(query("ALTER TABLE payment DROP fen")),
        1 => Just((kinds::XA_PREPARE, vec![0])),
        1 => Just((kinds::INCIDENT, vec![1, 0, 0])),
        1 => (30..43u8, prop::collection::vec(any::<u8>(), 0..60)),
    ];
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..8u8);
    prop::collection::vec((event, damage), 0..30).prop_map(|events| {
        let damaged = events
            .into_iter()
            .map(|((kind, mut body), (place, byte, how))| {
                if !body.is_empty() && how < 2 {
                    let at = place.index(body.len());
                    if how == 0 {
                        body[at] = byte
                    } else {
                        body.truncate(at)
                    }
                }
                (kind, body)
            });
        damaged.collect()
    })
}

proptest! {
    /// Whatever the log holds, it is read or refused, and what comes out hangs together.
    #[test]
    fn any_log_of_mysql_is_read_or_refused(log in any_log()) {
        let mut assembler = assembler();
        for event in &log {
            if feed(&mut assembler, std::slice::from_ref(event)).is_err() {
                assembler.rewind();
            }
        }
        if assembler.between_transactions() {
            let mut open: Option<u64> = None;
            for (_, sequence, _, last) in rows(&mut assembler) {
                prop_assert!(open.is_none_or(|open| open == sequence));
                open = (!last).then_some(sequence);
            }
        }
    }
}
