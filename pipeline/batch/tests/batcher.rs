//! Micro-batches hold every change once, never a part of a transaction, and positions that lose nothing.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../source/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use centinel_batch::{Batcher, Limits};
use centinel_model::{
    DecodedChunk, EntityKey, HoleReason, MicroBatch, Operation, Position, SourceId, TableChanges,
    TableId, Timestamp, Version,
};
use centinel_source::{Decoder, RawChunk};
use common::*;
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_000_000);
const NEVER: Limits = Limits {
    max_rows: usize::MAX,
    max_bytes: u64::MAX,
    max_wait: centinel_model::Duration(i64::MAX),
    max_transaction_rows: 1_000,
    max_transaction_bytes: 1 << 20,
};

/// One row of a transaction of the payment or the refund database.
fn row(table: &str, sequence: u64, ordinal: u64, last: bool) -> String {
    insert(sequence)
        .replace("\"payment\"", &format!("\"{table}\""))
        .replace(
            r#""ordinal":0,"last":true"#,
            &format!(r#""ordinal":{ordinal},"last":{last}"#),
        )
}

fn event(number: u64) -> String {
    format!(
        r#"{{"event":"payment_completed","message_id":"m{number}","committed_at":"{NOW}","after":{{"order_no":"o","amount":1}}}}"#
    )
}

fn heartbeat(source: &str, second: u64) -> String {
    format!(r#"{{"heartbeat":"{source}","committed_at":"2026-11-22T08:00:{second:02}Z"}}"#)
}

fn batcher(limits: Limits) -> Batcher {
    Batcher::new(Arc::new(catalog()), limits)
}

/// Decodes lines that stand at `offset` of the input.
fn at(offset: u64, lines: &[String]) -> DecodedChunk {
    let bytes = lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect();
    let raw = RawChunk {
        offset,
        bytes,
        ..chunk("")
    };
    Decoder::new(&catalog())
        .decode(raw, Timestamp::parse(NOW).unwrap())
        .unwrap()
}

/// Offsets at which the lines start, and the end.
fn offsets(lines: &[String]) -> Vec<u64> {
    let mut offsets = vec![0];
    offsets.extend(lines.iter().scan(0, |end, line| {
        *end += line.len() as u64 + 1;
        Some(*end)
    }));
    offsets
}

/// Feeds all lines from line `first` on, cut into chunks behind the lines named in `cuts`.
fn run(lines: &[String], first: usize, cuts: &[usize], limits: Limits) -> Vec<MicroBatch> {
    let mut batcher = batcher(limits);
    let offsets = offsets(lines);
    let mut batches = Vec::new();
    let mut start = first;
    let cuts = cuts
        .iter()
        .copied()
        .filter(|cut| (first + 1..lines.len()).contains(cut));
    for end in cuts.chain([lines.len()]) {
        if start < end {
            batches.extend(
                batcher
                    .push(at(offsets[start], &lines[start..end]), START)
                    .unwrap(),
            );
        }
        start = start.max(end);
    }
    batches.extend(batcher.finish(true, START).unwrap());
    batches
}

/// A change by what identifies it: an event's by its message id.
type Name = (TableId, Version, String);

fn names(changes: &TableChanges) -> Vec<Name> {
    let text = |index: u32| {
        changes
            .after
            .rows
            .column(0)
            .as_string::<i32>()
            .value(index as usize)
            .to_owned()
    };
    (0..changes.len())
        .map(|index| {
            (
                changes.table,
                changes.versions[index],
                text(changes.after.row[index].unwrap()),
            )
        })
        .collect()
}

/// All changes in order, by table.
fn changes(batches: &[MicroBatch]) -> BTreeMap<TableId, Vec<Name>> {
    let mut all: BTreeMap<TableId, Vec<Name>> = BTreeMap::new();
    for changes in batches.iter().flat_map(|batch| &batch.tables) {
        all.entry(changes.table).or_default().extend(names(changes));
    }
    all
}

fn holes(batches: &[MicroBatch]) -> Vec<u64> {
    let mut offsets: Vec<u64> = batches
        .iter()
        .flat_map(|batch| &batch.holes)
        .map(|hole| offset(&hole.position))
        .collect();
    offsets.sort_unstable();
    offsets
}

fn offset(position: &Position) -> u64 {
    position.place().0
}

fn resume(batch: &MicroBatch) -> u64 {
    offset(&batch.positions.0["log"])
}

#[test]
fn a_transaction_stays_whole_and_holds_only_its_own_source_back() {
    let lines = [
        row("payment", 1, 0, false),
        row("refund", 1, 0, true),
        row("payment", 1, 1, true),
        event(1),
    ];
    let offsets = offsets(&lines);
    let mut batcher = batcher(Limits {
        max_rows: 1,
        ..NEVER
    });
    let first = batcher.push(at(0, &lines[..2]), START).unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].tables[0].table, first[0].len()), (REFUND, 1));
    assert_eq!(
        resume(&first[0]),
        0,
        "the open transaction has to be read again"
    );
    let second = batcher.push(at(offsets[2], &lines[2..]), START).unwrap();
    assert_eq!(
        second.iter().map(MicroBatch::len).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(
        second[0].tables[0]
            .versions
            .iter()
            .map(|v| v.ordinal)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(
        (resume(&second[0]), resume(&second[1])),
        (offsets[3], offsets[4])
    );
}

#[test]
fn a_heartbeat_waits_for_the_open_transaction_of_its_source() {
    let lines = [
        row("payment", 1, 0, false),
        heartbeat("payment-db", 5),
        heartbeat("refund-db", 6),
        row("payment", 1, 1, true),
    ];
    let offsets = offsets(&lines);
    let mut batcher = batcher(Limits {
        max_wait: centinel_model::Duration(0),
        ..NEVER
    });
    let first = batcher.push(at(0, &lines[..3]), START).unwrap();
    let progress = |batch: &MicroBatch| {
        batch
            .progress
            .iter()
            .map(|(source, _)| *source)
            .collect::<Vec<_>>()
    };
    assert_eq!(progress(&first[0]), [REFUND_DB]);
    let second = batcher.push(at(offsets[3], &lines[3..]), START).unwrap();
    assert_eq!(
        (progress(&second[0]), second[0].len()),
        (vec![PAYMENT_DB], 2)
    );
}

#[test]
fn a_batch_ends_by_rows_bytes_or_time() {
    let lines: Vec<String> = (0..10).map(event).collect();
    let sizes = |limits| {
        run(&lines, 0, &[3, 7], limits)
            .iter()
            .map(MicroBatch::len)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(NEVER), [10]);
    assert_eq!(
        sizes(Limits {
            max_rows: 4,
            ..NEVER
        }),
        [4, 4, 2]
    );
    assert_eq!(
        sizes(Limits {
            max_bytes: 3 * (lines[0].len() as u64 + 1),
            ..NEVER
        }),
        [3, 3, 3, 1]
    );

    let mut batcher = batcher(Limits {
        max_wait: centinel_model::Duration(200_000),
        ..NEVER
    });
    assert!(batcher.push(at(0, &lines), START).unwrap().is_empty());
    assert!(
        batcher
            .poll(Timestamp(START.0 + 199_999))
            .unwrap()
            .is_none()
    );
    assert_eq!(
        batcher
            .poll(Timestamp(START.0 + 200_000))
            .unwrap()
            .unwrap()
            .len(),
        10
    );
    assert!(batcher.poll(Timestamp(i64::MAX)).unwrap().is_none());
}

#[test]
fn at_the_end_an_unfinished_transaction_is_a_hole_for_each_row() {
    let lines = [
        event(1),
        row("payment", 1, 0, false),
        event(2),
        row("payment", 1, 1, false),
    ];
    let offsets = offsets(&lines);
    for cuts in [&[][..], &[2], &[1, 2, 3]] {
        let batches = run(&lines, 0, cuts, NEVER);
        assert_eq!(changes(&batches)[&PAYMENT_COMPLETED].len(), 2);
        assert_eq!(holes(&batches), [offsets[1], offsets[3]]);
        let hole = &batches[0].holes[1];
        assert_eq!(
            (hole.reason, hole.table, hole.source),
            (HoleReason::Malformed, Some(PAYMENT), Some(PAYMENT_DB))
        );
        assert_eq!(hole.bytes, lines[3].as_bytes());
        assert_eq!(hole.entities, [(ORDER, EntityKey::from("O1"))]);
        assert_eq!(resume(&batches[0]), offsets[4]);
    }
    let mut following = batcher(NEVER);
    following.push(at(0, &lines), START).unwrap();
    let batches = following.finish(false, START).unwrap();
    assert_eq!(
        (
            batches[0].len(),
            batches[0].holes.len(),
            resume(&batches[0])
        ),
        (2, 0, offsets[1])
    );
}

#[test]
fn a_transaction_above_the_limit_is_a_hole_for_each_of_its_tables() {
    let mut lines: Vec<String> = (0..9)
        .map(|ordinal| row("payment", 1, ordinal, false))
        .collect();
    lines.push(row("payment", 1, 9, true));
    lines.push(row("payment", 2, 0, true));
    for limits in [
        Limits {
            max_transaction_rows: 9,
            ..NEVER
        },
        Limits {
            max_transaction_bytes: offsets(&lines)[9],
            ..NEVER
        },
    ] {
        let batches = run(&lines, 0, &[4], limits);
        assert_eq!(batches[0].holes.len(), 1);
        assert_eq!(batches[0].holes[0].reason, HoleReason::TransactionTooLarge);
        assert_eq!(batches[0].holes[0].bytes_total, offsets(&lines)[10]);
        assert_eq!(changes(&batches)[&PAYMENT].len(), 1);
    }
    assert_eq!(changes(&run(&lines, 0, &[4], NEVER))[&PAYMENT].len(), 11);
}

#[test]
fn a_transaction_without_its_last_row_ends_where_the_next_begins() {
    let lines = [
        row("payment", 1, 0, false),
        row("payment", 2, 0, false),
        row("payment", 2, 1, true),
    ];
    let batches = run(
        &lines,
        0,
        &[],
        Limits {
            max_rows: 1,
            ..NEVER
        },
    );
    assert_eq!(
        batches.iter().map(MicroBatch::len).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn images_keep_to_their_changes_when_ranges_are_joined() {
    let update = |sequence| {
        let line = row("payment", sequence, 0, true).replace("insert", "update");
        line.replace(
            r#""after""#,
            &format!(r#""before":{},"after""#, columns(sequence + 100)),
        )
    };
    let delete = |sequence| {
        row("payment", sequence, 0, true)
            .replace("insert", "delete")
            .replace("after", "before")
    };
    let lines = [
        update(1),
        row("payment", 2, 0, true),
        delete(3),
        update(4),
        row("payment", 5, 0, true),
        delete(6),
    ];
    for cuts in [&[][..], &[1, 2, 3, 4, 5], &[2, 4]] {
        let batches = run(&lines, 0, cuts, NEVER);
        let changes = &batches[0].tables[0];
        let read = |images: &centinel_model::Images, change: usize| {
            images.row[change].map(|row| {
                images
                    .rows
                    .column(0)
                    .as_string::<i32>()
                    .value(row as usize)
                    .to_owned()
            })
        };
        let before: Vec<_> = (0..6).map(|change| read(&changes.before, change)).collect();
        let after: Vec<_> = (0..6).map(|change| read(&changes.after, change)).collect();
        let names =
            |names: [&str; 6]| names.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        assert_eq!(before, names(["P101", "", "P3", "P104", "", "P6"]));
        assert_eq!(after, names(["P1", "P2", "", "P4", "P5", ""]));
        assert_eq!(changes.operations[2], Operation::Delete);
    }
}

/// A log of two databases and events, interleaved at random; some rows are bad, some lines are junk.
fn log() -> impl Strategy<Value = Vec<String>> {
    let transactions = || proptest::collection::vec((1u64..5, 0u8..10), 0..12);
    let order = proptest::collection::vec(0usize..3, 150);
    (transactions(), transactions(), order).prop_map(|(payments, refunds, order)| {
        let mut queues = [
            lines_of("payment", &payments),
            lines_of("refund", &refunds),
            Vec::new(),
        ];
        queues[2] = (0..8).map(event).chain(["junk".to_owned()]).collect();
        queues.iter_mut().for_each(|queue| queue.reverse());
        let mut log: Vec<String> = order
            .into_iter()
            .filter_map(|queue| queues[queue].pop())
            .collect();
        queues
            .iter_mut()
            .for_each(|queue| log.extend(std::iter::from_fn(|| queue.pop())));
        log
    })
}

/// The lines of one database: its transactions, heartbeats between and inside them, a bad row.
fn lines_of(table: &str, transactions: &[(u64, u8)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (sequence, (rows, kind)) in (1..).zip(transactions) {
        for ordinal in 0..*rows {
            let line = row(table, sequence, ordinal, ordinal + 1 == *rows);
            lines.push(if *kind == 0 && ordinal == 0 {
                line.replace("\"12.50\"", "null")
            } else {
                line
            });
            if *kind == 1 {
                lines.push(heartbeat(&format!("{table}-db"), sequence));
            }
        }
        lines.push(heartbeat(&format!("{table}-db"), sequence));
    }
    lines
}

fn limits() -> impl Strategy<Value = Limits> {
    let rows = prop_oneof![1usize..6, Just(usize::MAX)];
    let bytes = prop_oneof![1u64..4_000, Just(u64::MAX)];
    (rows, bytes).prop_map(|(max_rows, max_bytes)| Limits {
        max_rows,
        max_bytes,
        ..NEVER
    })
}

/// The rows of a source's transactions that stand before line `end`.
fn rows_before(lines: &[String], source: SourceId, end: usize) -> usize {
    let table = if source == PAYMENT_DB {
        r#"{"table":"payment""#
    } else {
        r#"{"table":"refund""#
    };
    lines[..end]
        .iter()
        .filter(|line| line.starts_with(table) && !line.contains("\"amount\":null"))
        .count()
}

proptest! {
    #[test]
    fn chunks_and_limits_change_nothing_but_the_batches(
        lines in log(), cuts in proptest::collection::btree_set(0usize..100, 0..10), limits in limits(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let whole = run(&lines, 0, &[], NEVER);
        let batches = run(&lines, 0, &cuts, limits);
        prop_assert_eq!(changes(&batches), changes(&whole));
        prop_assert_eq!(holes(&batches), holes(&whole));
        let records: usize = whole.iter().map(|batch| batch.len() + batch.holes.len()).sum();
        let heartbeats = lines.iter().filter(|line| line.contains("heartbeat")).count();
        prop_assert_eq!(records + heartbeats, lines.len());
    }

    #[test]
    fn no_transaction_is_split(
        lines in log(), cuts in proptest::collection::btree_set(0usize..100, 0..10), limits in limits(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let mut batch_of = BTreeMap::new();
        for (index, batch) in run(&lines, 0, &cuts, limits).iter().enumerate() {
            let rows = batch.tables.iter().filter(|changes| changes.table != PAYMENT_COMPLETED).flat_map(names);
            for (table, version, _) in rows {
                prop_assert_eq!(*batch_of.entry((table, version.sequence)).or_insert(index), index);
            }
        }
    }

    #[test]
    fn progress_never_runs_ahead_of_the_rows_before_it(lines in log(), limits in limits()) {
        let mut seen = BTreeMap::new();
        for batch in run(&lines, 0, &[], limits) {
            for changes in &batch.tables {
                *seen.entry(catalog().table(changes.table).source).or_insert(0) += changes.len();
            }
            for (source, time) in &batch.progress {
                let name = catalog().source(*source).to_owned();
                let beat = lines.iter().position(|line| *line == heartbeat(&name, (time.0 / 1_000_000 % 60) as u64));
                let before = rows_before(&lines, *source, beat.unwrap());
                prop_assert!(seen.get(source).copied().unwrap_or(0) >= before);
            }
        }
    }

    #[test]
    fn resuming_after_any_batch_loses_nothing(
        lines in log(), cuts in proptest::collection::btree_set(0usize..100, 0..10), limits in limits(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let sorted = |mut all: Vec<Name>| { all.sort(); all.dedup(); all };
        let all = |batches: &[MicroBatch]| sorted(changes(batches).into_values().flatten().collect());
        let batches = run(&lines, 0, &cuts, limits);
        let offsets = offsets(&lines);
        for taken in 1..=batches.len() {
            let first = offsets.binary_search(&resume(&batches[taken - 1])).unwrap();
            let mut again = batches[..taken].to_vec();
            again.extend(run(&lines, first, &cuts, limits));
            prop_assert_eq!(all(&again), all(&batches));
            let mut found = holes(&again);
            found.dedup();
            prop_assert_eq!(found, holes(&batches));
        }
    }
}

/// The rows of a micro-batch that come without columns, and the shapes that came with them.
/// One partition speaks for all of its source: what was told there stands before a hole in another one.
#[test]
fn a_hole_is_dated_by_what_its_source_said_in_another_partition() {
    let position = |next| Position::Partition { next, known: None };
    let said_at = Timestamp::parse("2026-11-22T08:00:07Z").unwrap();
    let mut said = DecodedChunk::new("payment-db/a/0".into(), position(0), 0, position(0));
    said.progress.push((SourceId(0), said_at));
    let mut torn = at(0, &["nonsense".to_owned()]);
    torn.input = "payment-db/a/1".into();
    torn.holes[0].input.clone_from(&torn.input);
    let mut batcher = batcher(NEVER);
    for source in [None, Some(SourceId(0)), Some(SourceId(1))] {
        torn.holes[0].source = source;
        assert!(batcher.push(said.clone(), START).unwrap().is_empty());
        batcher.push(torn.clone(), START).unwrap();
    }
    let batch = batcher.finish(false, START).unwrap().remove(0);
    let since: Vec<_> = batch.holes.iter().map(|hole| hole.since).collect();
    assert_eq!(since, [None, Some(said_at), None]);
}

fn lacking(batch: &MicroBatch) -> (Vec<u32>, usize) {
    let lost = batch.tables.iter().flat_map(|changes| &changes.lost);
    (lost.map(|(index, _)| *index).collect(), batch.shapes.len())
}

#[test]
fn lost_columns_stay_with_their_rows_and_shapes_come_no_later() {
    let limits = Limits {
        max_rows: 4,
        ..NEVER
    };
    let mut batcher = batcher(limits);
    // Two transactions that are cut apart, and one that is held back over the end of the chunk.
    let lines: Vec<String> = [
        row("payment", 1, 0, false),
        row("payment", 1, 1, false),
        row("payment", 1, 2, true),
        row("payment", 2, 0, false),
        row("payment", 2, 1, true),
        row("payment", 3, 0, false),
    ]
    .into();
    let mut chunk = at(0, &lines);
    chunk.tables[0].lost = [1, 4, 5].map(|index| (index, [2].into())).into();
    let shape = centinel_model::TableShape {
        table: PAYMENT,
        physical: "pay.payment".into(),
        input: "log".into(),
        position: chunk.start.clone(),
        since: START,
        drifts: vec![centinel_model::ColumnDrift {
            column: 2,
            what: "it is gone".into(),
            remedy: "bring it back".into(),
        }],
    };
    // Told twice with nothing else between it is told once.
    chunk.shapes = vec![shape.clone(), shape];
    let end = chunk.end;
    let mut batches = batcher.push(chunk, START).unwrap();
    batches.extend(
        batcher
            .push(at(end, &[row("payment", 3, 1, true)]), START)
            .unwrap(),
    );
    batches.extend(batcher.finish(true, START).unwrap());
    let found: Vec<_> = batches.iter().map(lacking).collect();
    assert_eq!(found, [(vec![1], 1), (vec![1, 2], 0)]);
}
