//! Rows that reach their order through another row: late, never, and after all.
#![allow(clippy::unwrap_used)]

use centinel_model::Verdict;
use centinel_tests::{Detection, History, rules, schemas, write_log};
use data_fixtures::{
    Change, Delivered, Entry, Key, Record, Row, SECOND, SimulationParameters, trouble,
};

const UNREACHED: &str = "centinel/unreached-rows";

fn history() -> History {
    History::simulate(SimulationParameters {
        seed: 12,
        orders: 300,
        ..SimulationParameters::default()
    })
}

fn settlement_of(record: &Delivered) -> Option<Key> {
    match record.record.row()? {
        Row::Settlement(settlement) => Some(settlement.settlement_no),
        _ => None,
    }
}

fn is_entry_of(record: &Delivered, settlement: Key) -> bool {
    matches!(record.record.row(), Some(Row::Entry(entry)) if entry.settlement_no == settlement)
}

/// The first settlement that was accounted.
fn accounted(history: &History) -> Key {
    let mut settlements = history.records.iter().filter_map(settlement_of);
    let accounted = |settlement: &Key| {
        history
            .records
            .iter()
            .any(|record| is_entry_of(record, *settlement))
    };
    settlements.find(accounted).unwrap()
}

#[test]
fn entries_whose_settlement_never_comes_are_a_finding_until_it_does() {
    let history = history();
    let settlement = accounted(&history);
    let of_settlement = |record: &&Delivered| settlement_of(record) == Some(settlement);
    let mut records: Vec<Delivered> = history.records.clone();
    records.retain(|record| !of_settlement(&record));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &records);
    let catalog = schemas();
    let rules = rules(&catalog);
    let detection = Detection::over(&log, folder.path());
    let detected = detection.run(&catalog, &rules);
    let confirmed = detected.told(Verdict::Confirmed);
    let unreached: Vec<_> = confirmed
        .iter()
        .filter(|finding| finding.rule == UNREACHED)
        .collect();
    assert_eq!(unreached.len(), 1, "{unreached:#?}");
    assert_eq!(
        unreached[0].key,
        [("settlement".to_owned(), settlement.text())]
    );
    let entries = history
        .records
        .iter()
        .filter(|record| is_entry_of(record, settlement))
        .count() as u64;
    assert!(
        entries > 0 && unreached[0].evidence.total >= entries,
        "{:#?}",
        unreached[0]
    );

    // It comes after all, long after its entries: they join its order.
    for record in history.records.iter().filter(of_settlement) {
        let mut record = *record;
        if let Record::Change(change) = &mut record.record {
            // Alone it is all that is left of its transaction.
            change.last = true;
        }
        records.push(record);
    }
    write_log(&log, &records);
    let after = detection.run(&catalog, &rules);
    let recovered = after.told(Verdict::Recovered);
    assert!(
        recovered.iter().any(|finding| finding.rule == UNREACHED),
        "{recovered:#?}"
    );
    assert_eq!(
        after.certain(&rules, history.end),
        history.truth(history.end)
    );
    assert!(after.open.is_empty(), "{:#?}", after.open);
}

/// Every entry arrives before its settlement; all of them join their orders.
#[test]
fn entries_may_come_before_their_settlement() {
    let history = history();
    let mut records = history.records.clone();
    for record in &mut records {
        let is_settlement = settlement_of(record).is_some();
        if is_settlement || record.source == data_fixtures::Source::SettlementDb {
            record.arrival += 100 * SECOND;
        }
    }
    records.sort_by_key(|record| record.arrival);
    let settlement = accounted(&history);
    let place = |belongs: &dyn Fn(&Delivered) -> bool| records.iter().position(belongs).unwrap();
    assert!(
        place(&|record| is_entry_of(record, settlement))
            < place(&|record| settlement_of(record) == Some(settlement))
    );
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &records);
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &rules(&catalog));
    assert!(detected.messages.is_empty(), "{:#?}", detected.messages[0]);
}

/// Every entry of a refund's settlement first names another settlement, of its own order or of another; that
/// arrives before, after, or never in its place.
#[test]
fn entries_that_change_their_settlement_end_where_they_belong() {
    let history = History::simulate(SimulationParameters {
        seed: 13,
        orders: 400,
        fault_share: 300,
        refund_share: 5_000,
        ..SimulationParameters::default()
    });
    let catalog = schemas();
    let rules = rules(&catalog);
    let truth = history.truth(history.end);
    let settlements: Vec<(Key, Key)> = history
        .records
        .iter()
        .filter_map(|record| match record.record.row()? {
            Row::Settlement(settlement) => Some((settlement.settlement_no, settlement.order_no)),
            _ => None,
        })
        .collect();
    let order_of = |wanted: Key| {
        settlements
            .iter()
            .find(|(number, _)| *number == wanted)
            .map(|(_, order)| *order)
    };
    for same_order in [true, false] {
        let other = |own: Key| {
            let order = order_of(own);
            let fits =
                |(number, of): &&(Key, Key)| *number != own && (Some(*of) == order) == same_order;
            settlements.iter().find(fits).map(|(number, _)| *number)
        };
        // What was written first by mistake, in an epoch before, and the change that mends it.
        let (mut mistakes, mut mended) = (Vec::new(), Vec::new());
        for record in &history.records {
            let mut record = *record;
            if let Record::Change(change) = &mut record.record
                && let (None, Row::Entry(entry)) = (change.before, change.after)
                && let Some(wrong) = other(entry.settlement_no)
            {
                let before = Row::Entry(Entry {
                    settlement_no: wrong,
                    ..entry
                });
                let mistake = Change {
                    epoch: 0,
                    last: true,
                    after: before,
                    ..*change
                };
                mistakes.push(Delivered {
                    record: Record::Change(mistake),
                    ..record
                });
                change.before = Some(before);
            }
            mended.push(record);
        }
        assert!(mistakes.len() > 20, "{}", mistakes.len());
        let first: Vec<Delivered> = mistakes.iter().chain(&mended).copied().collect();
        let last: Vec<Delivered> = mended.iter().chain(&mistakes).copied().collect();
        let shuffled = trouble::shuffle(first.clone(), 3);
        for (what, records) in [
            ("first", first),
            ("last", last),
            ("shuffled", shuffled),
            ("never", mended),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("log.jsonl");
            write_log(&log, &records);
            let detected = Detection::over(&log, folder.path()).run(&catalog, &rules);
            assert_eq!(
                detected.certain(&rules, history.end),
                truth,
                "same order {same_order}, {what}"
            );
        }
    }
}
