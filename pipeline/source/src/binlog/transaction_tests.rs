//! Logs put together by hand: what no test server can be made to write.
#![allow(clippy::unwrap_used)]

use centinel_catalog::{Column, ColumnType, Table, TableKind, TablePattern};
use centinel_model::{Duration, HoleReason, LineContent, TableId};
use proptest::prelude::*;

use super::*;

const SOURCE: SourceId = SourceId(0);
const NOW: i64 = 2_000_000_000_000_000;

fn catalog() -> Catalog {
    let columns = ["id", "fen"].map(|name| Column {
        name: name.into(),
        kind: ColumnType::Integer,
        nullable: name == "fen",
        sensitive: false,
        money: None,
    });
    Catalog {
        tables: vec![Table {
            name: "payment".into(),
            kind: TableKind::Rows,
            system: "payment".into(),
            source: SOURCE,
            columns: columns.into(),
            primary_key: vec![0],
            entities: Vec::new(),
            state: None,
            flow: None,
            changed_at: None,
            lookback: Duration::ZERO,
            link_patience: Duration::ZERO,
            from: vec![TablePattern::of_name("payment")],
            from_declared: false,
            shard: None,
            zone_seconds: None,
            message: None,
            guard: None,
            plans_for: None,
        }],
        entities: Vec::new(),
        sources: vec!["payment-db".into()],
    }
}

pub(super) fn assembler() -> Assembler {
    let place = Place {
        transactions: 1,
        clock: 1,
        settled: true,
        ..Place::default()
    };
    Assembler::new(&catalog(), "payment-db".into(), SOURCE, place)
}

pub(super) type Owned = (u8, Vec<u8>);

fn begin(sequence: u64, flags: u8) -> Owned {
    let mut body = sequence.to_le_bytes().to_vec();
    body.extend([0, 0, 0, 0, flags, 0, 0, 0, 0, 0, 0]);
    (kinds::GTID, body)
}

/// `pay.payment (id BIGINT, fen INT NULL)` under number 7.
pub(super) fn table_map() -> Owned {
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0];
    for name in ["pay", "payment"] {
        body.push(name.len() as u8);
        body.extend(name.as_bytes());
        body.push(0);
    }
    // Two columns, LONGLONG and LONG, without details; the second may be null; signedness and names.
    body.extend([2, 8, 3, 0, 0b10]);
    body.extend([1, 1, 0]);
    body.extend([4, 7, 2, b'i', b'd', 3, b'f', b'e', b'n']);
    (kinds::TABLE_MAP, body)
}

pub(super) fn inserts(ids: impl Iterator<Item = u64>) -> Owned {
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0xff];
    for id in ids {
        body.push(0b10);
        body.extend(id.to_le_bytes());
    }
    (kinds::WRITE_ROWS_1, body)
}

pub(super) fn query(text: &str) -> Owned {
    let mut body = vec![0; 8];
    body.extend([3, 0, 0, 0, 0]);
    body.extend(b"pay\0");
    body.extend(text.as_bytes());
    (kinds::QUERY, body)
}

pub(super) const XID: Owned = (kinds::XID, Vec::new());
pub(super) const FORMAT: Owned = (kinds::FORMAT, Vec::new());

pub(super) fn feed(assembler: &mut Assembler, events: &[Owned]) -> Result<(), Failure> {
    for (kind, body) in events {
        let event = RawEvent {
            kind: *kind,
            seconds: 1_700_000_000,
            server: 1,
            ignorable: false,
            body,
        };
        assembler.event(event, NOW)?;
    }
    Ok(())
}

/// Ids of the rows of all chunks, with their numbers, and whether each ends its transaction.
pub(super) fn rows(assembler: &mut Assembler) -> Vec<(i64, u64, u32, bool)> {
    use arrow::array::AsArray;
    assembler.flush().unwrap();
    let mut rows = Vec::new();
    for chunk in assembler.take_ready() {
        for line in &chunk.lines {
            if let LineContent::Change {
                table,
                row,
                transaction,
            } = line.content
            {
                let changes = &chunk.tables[usize::from(table)];
                let image = changes.after.row[row as usize].unwrap() as usize;
                let ids = changes
                    .after
                    .rows
                    .column(0)
                    .as_primitive::<arrow::datatypes::Int64Type>();
                let version = changes.versions[row as usize];
                rows.push((
                    ids.value(image),
                    version.sequence,
                    version.ordinal,
                    transaction.last,
                ));
            }
        }
    }
    rows
}

#[test]
fn a_transaction_that_the_server_never_finished_is_left_out() {
    let log = [
        begin(1, 4),
        table_map(),
        inserts(1..3),
        XID,
        begin(2, 4),
        table_map(),
        inserts(3..5),
        FORMAT,
        begin(2, 4),
        table_map(),
        inserts(9..10),
        XID,
    ];
    let mut assembler = assembler();
    let interrupted = feed(&mut assembler, &log);
    assert!(matches!(interrupted, Err(Failure::Passing(why)) if why.contains("interrupted")));
    assembler.rewind();
    feed(&mut assembler, &log).unwrap();
    assert_eq!(
        rows(&mut assembler),
        [(1, 1, 0, false), (2, 1, 1, true), (9, 2, 0, true)]
    );
    assert_eq!(assembler.place.gtids.to_string(), "0-1-2");
}

#[test]
fn an_interrupted_transaction_that_another_server_has_whole_is_read() {
    let mut assembler = assembler();
    let half = [begin(1, 4), table_map(), inserts(1..3), FORMAT];
    assert!(feed(&mut assembler, &half).is_err());
    assembler.rewind();
    let whole = [begin(1, 4), table_map(), inserts(1..3), XID];
    assert!(
        feed(&mut assembler, &whole).is_err(),
        "it may not be passed over"
    );
    assembler.rewind();
    feed(&mut assembler, &whole).unwrap();
    assert_eq!(rows(&mut assembler), [(1, 1, 0, false), (2, 1, 1, true)]);
}

#[test]
fn the_rows_of_a_large_transaction_end_once() {
    let mut assembler = assembler();
    let mut log = vec![begin(1, 4), table_map()];
    log.extend((0..50).map(|part| inserts(part * 1_000..(part + 1) * 1_000)));
    feed(&mut assembler, &log).unwrap();
    let parts = assembler.ready.len();
    assert_eq!(parts, 2);
    // What was given out is not given out again after a lost connection.
    let given = assembler.take_ready();
    assembler.rewind();
    assert!(
        given
            .iter()
            .all(|chunk| chunk.progress.iter().all(|(_, time)| time.0 == 1))
    );
    log.push(XID);
    feed(&mut assembler, &log).unwrap();
    let rest = rows(&mut assembler);
    assert_eq!(rest.len(), 10_000);
    assert_eq!(rest[0], (40_000, 1, 40_000, false));
    assert_eq!(rest.iter().filter(|row| row.3).count(), 1);
    assert!(rest.last().unwrap().3);
}

/// The rows before the damage are given out, and not once more when it is mended.
#[test]
fn damage_behind_a_full_chunk_loses_nothing() {
    let mut assembler = assembler();
    let mut damaged = inserts(0..25_000);
    damaged.1.pop();
    assert!(feed(&mut assembler, &[begin(1, 4), table_map(), damaged]).is_err());
    assembler.rewind();
    feed(
        &mut assembler,
        &[begin(1, 4), table_map(), inserts(0..25_000), XID],
    )
    .unwrap();
    let rows = rows(&mut assembler);
    let numbers: Vec<u32> = rows.iter().map(|row| row.2).collect();
    assert!(
        numbers == (0..25_000).collect::<Vec<u32>>(),
        "{} rows came",
        numbers.len()
    );
}

#[test]
fn another_transaction_in_the_place_of_a_half_read_one_is_refused() {
    let mut assembler = assembler();
    let mut log = vec![begin(1, 4), table_map()];
    log.extend((0..50).map(|part| inserts(part * 1_000..(part + 1) * 1_000)));
    feed(&mut assembler, &log).unwrap();
    assembler.ready.clear();
    assembler.rewind();
    let refused = feed(&mut assembler, &[begin(2, 4)]);
    assert!(
        matches!(refused, Err(Failure::Lasting { remedy, .. }) if remedy.contains("start Centinel again"))
    );
}

#[test]
fn commit_times_rise_though_headers_stand_still() {
    let mut assembler = assembler();
    let one = |sequence| {
        [
            begin(sequence, 4),
            table_map(),
            inserts(sequence..sequence + 1),
            XID,
        ]
    };
    let written = 1_700_000_000_000_000;
    feed(&mut assembler, &one(1)).unwrap();
    assert_eq!(assembler.place.clock, written);
    feed(&mut assembler, &one(2)).unwrap();
    assert_eq!(assembler.place.clock, written + 1);
    assembler.idle(Some(written + 900_000)).unwrap();
    feed(&mut assembler, &one(3)).unwrap();
    assert_eq!(assembler.place.clock, written + 900_001);
    assembler.idle(Some(written)).unwrap();
    assert_eq!(assembler.place.clock, written + 900_001, "never back");
}

#[test]
fn what_is_not_known_is_not_passed_over() {
    let mut assembler = assembler();
    for (kind, why) in [(43, "type 43"), (172, "type 172"), (34, "without a GTID")] {
        let unknown = feed(&mut assembler, &[(kind, Vec::new())]);
        assert!(
            matches!(unknown, Err(Failure::Lasting { problem, .. }) if problem.contains(why)),
            "{kind}"
        );
    }
    let ignorable = RawEvent {
        kind: 250,
        seconds: 0,
        server: 0,
        ignorable: true,
        body: &[],
    };
    assembler.event(ignorable, NOW).unwrap();
    feed(&mut assembler, &[(kinds::INCIDENT, vec![1, 0])]).unwrap();
    assembler.flush().unwrap();
    assert_eq!(assembler.take_ready()[0].holes[0].reason, HoleReason::Gap);
}

#[test]
fn a_rollback_in_part_is_told() {
    let mut assembler = assembler();
    feed(
        &mut assembler,
        &[begin(1, 0), table_map(), inserts(1..2), query("ROLLBACK")],
    )
    .unwrap();
    assembler.flush().unwrap();
    let chunks = assembler.take_ready();
    assert_eq!(chunks[0].holes[0].table, Some(TableId(0)));
    assert!(chunks[0].holes[0].message.contains("make them InnoDB"));
}

/// A log of good events, some of them with bytes changed, cut or in another place.
fn any_log() -> impl Strategy<Value = Vec<Owned>> {
    let event = prop_oneof![
        3 => Just(begin(1, 4)),
        1 => any::<u8>().prop_map(|flags| begin(1, flags)),
        3 => Just(table_map()),
        3 => Just(inserts(1..4)),
        3 => Just(XID),
        1 => Just(query("COMMIT")),
        1 => Just(query("TRUNCATE payment")),
        1 => Just(FORMAT),
        1 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)),
    ];
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..6u8);
    let events = prop::collection::vec((event, damage), 0..30);
    events.prop_map(|events| {
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
    fn any_log_is_read_or_refused(log in any_log()) {
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
