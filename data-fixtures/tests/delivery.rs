//! Trouble changes when and how often things are delivered, never what.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use data_fixtures::{Delivered, Record, SECOND, Simulation, SimulationParameters, Source, trouble};

fn history() -> Vec<Delivered> {
    Simulation::new(SimulationParameters {
        seed: 21,
        orders: 600,
        ..SimulationParameters::default()
    })
    .collect()
}

/// What tells records apart, without the time of arrival: source, commit, version or message, row.
fn identity(delivered: &Delivered) -> String {
    let mut record = delivered.record;
    if let Record::Change(change) = &mut record {
        change.last = true;
    }
    format!("{:?} {record:?}", delivered.source)
}

fn counts(records: &[Delivered]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    records
        .iter()
        .for_each(|record| *counts.entry(identity(record)).or_default() += 1);
    counts
}

fn of_source(records: &[Delivered], source: Source) -> Vec<Record> {
    records
        .iter()
        .filter(|delivered| delivered.source == source)
        .map(|delivered| delivered.record)
        .collect()
}

fn assert_arrivals_never_fall(records: &[Delivered]) {
    assert!(records.is_sorted_by_key(|delivered| delivered.arrival));
}

/// A transaction's rows stand together, apart from other sources; repetitions of a row count as one.
fn assert_transactions_whole(records: &[Delivered]) {
    for source in Source::ALL {
        let mut open: Option<(u64, u32)> = None;
        for record in of_source(records, source) {
            let Record::Change(change) = record else {
                assert!(open.is_none());
                continue;
            };
            if let Some((sequence, ordinal)) = open {
                assert_eq!(sequence, change.sequence);
                assert!(change.ordinal == ordinal || change.ordinal == ordinal + 1);
            }
            open = (!change.last).then_some((change.sequence, change.ordinal));
        }
    }
}

#[test]
fn repetitions_add_nothing_new() {
    let history = history();
    let repeated: Vec<Delivered> = trouble::repeat(history.iter().copied(), 1, 2_000).collect();
    let (before, after) = (counts(&history), counts(&repeated));
    assert_eq!(
        before.keys().collect::<BTreeSet<_>>(),
        after.keys().collect::<BTreeSet<_>>()
    );
    let again = repeated.len() - history.len();
    assert!(
        again * 10 > history.len() && again * 3 < history.len(),
        "{again} of {}",
        history.len()
    );
    assert_arrivals_never_fall(&repeated);
    assert_transactions_whole(&repeated);
}

#[test]
fn replays_go_back_and_then_on() {
    let history = history();
    let replayed: Vec<Delivered> = trouble::replay(history.iter().copied(), 1, 200).collect();
    assert_eq!(
        counts(&history).keys().collect::<BTreeSet<_>>(),
        counts(&replayed).keys().collect::<BTreeSet<_>>()
    );
    assert!(replayed.len() > history.len() + 1_000);
    assert_arrivals_never_fall(&replayed);
    assert_transactions_whole(&replayed);
    let payments = of_source(&replayed, Source::PaymentDb);
    let backwards = payments
        .windows(2)
        .filter(|pair| pair[1].committed_at() < pair[0].committed_at())
        .count();
    assert!(backwards > 10, "{backwards}");
    // Seen for the first time, everything still stands in its source's order.
    let mut newest = 0;
    for record in payments {
        if let Record::Change(change) = record {
            assert!(change.sequence <= newest + 1);
            newest = newest.max(change.sequence);
        }
    }
}

#[test]
fn interleavings_keep_each_source_in_order() {
    let history = history();
    let mixed = trouble::interleave(history.clone(), 3);
    assert_ne!(history, mixed);
    assert_ne!(mixed, trouble::interleave(history.clone(), 4));
    for source in Source::ALL {
        assert_eq!(of_source(&history, source), of_source(&mixed, source));
    }
    assert_arrivals_never_fall(&mixed);
    assert_transactions_whole(&mixed);
}

#[test]
fn a_stalled_source_is_silent_and_then_complete() {
    let history = history();
    let from = history[0].arrival + 10 * SECOND;
    let stalled = trouble::stall(history.clone(), Source::RefundDb, from, 300 * SECOND);
    for source in Source::ALL {
        assert_eq!(of_source(&history, source), of_source(&stalled, source));
    }
    let silent = from..from + 300 * SECOND;
    let held = |delivered: &&Delivered| {
        delivered.source == Source::RefundDb && silent.contains(&delivered.arrival)
    };
    assert!(history.iter().filter(held).count() > 100);
    assert_eq!(stalled.iter().filter(held).count(), 0);
    assert_arrivals_never_fall(&stalled);
}

#[test]
fn a_shuffle_holds_the_same_records_and_heartbeats_at_the_end() {
    let history = history();
    let shuffled = trouble::shuffle(history.clone(), 5);
    assert_eq!(counts(&history), counts(&shuffled));
    let first_heartbeat = shuffled
        .iter()
        .position(|delivered| matches!(delivered.record, Record::Heartbeat(_)))
        .unwrap();
    assert!(
        shuffled[first_heartbeat..]
            .iter()
            .all(|delivered| delivered.record.row().is_none())
    );
    assert!(
        shuffled
            .iter()
            .all(|delivered| !matches!(&delivered.record, Record::Change(change) if !change.last))
    );
    assert!(
        !shuffled[..first_heartbeat].is_sorted_by_key(|delivered| delivered.record.committed_at())
    );
}
