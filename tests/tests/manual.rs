//! Changes made by hand among heavy normal traffic: every planted one is found, and nothing else is.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeSet, HashSet};

use centinel_model::{CheckpointVerdict, Verdict};
use centinel_tests::{Detection, History, all_rules, schemas, seeds, write_log};
use data_fixtures::{
    Change, Delivered, Record, Row, SECOND, SimulationParameters, Source, Status, trouble,
};

fn platform(seed: u64) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders: 1_500,
        fault_share: 400,
        manual_share: 300,
        refund_share: 3_000,
        ..SimulationParameters::default()
    })
}

/// Rule and name of every change that nobody announced: those made by hand, and those whose event was never sent.
fn unannounced(history: &History) -> BTreeSet<(String, String)> {
    let announced: HashSet<String> = history
        .records
        .iter()
        .filter_map(|record| match record.record.row()? {
            Row::PaymentCompleted(message) | Row::RefundCompleted(message) => {
                Some(message.subject.text())
            }
            _ => None,
        })
        .collect();
    let ends = |change: &Change| match (change.before, change.after) {
        (Some(Row::Payment(before)), Row::Payment(after)) => {
            before.status != after.status && after.status == Status::Paid
        }
        (Some(Row::Refund(before)), Row::Refund(after)) => {
            before.status != after.status && after.status == Status::Success
        }
        _ => false,
    };
    let changes = history
        .records
        .iter()
        .filter_map(|record| match &record.record {
            Record::Change(change) => Some(change),
            _ => None,
        });
    let unannounced = changes.filter(|change| {
        change.by_hand || ends(change) && !announced.contains(&change.after.primary_key().text())
    });
    unannounced
        .map(|change| {
            let table = change.after.table().name().replace('_', "-");
            let (key, version) = (change.after.primary_key().text(), change.sequence);
            let id = format!("{key}@{}.{version}.{}", change.epoch, change.ordinal);
            (format!("manual-change-{table}"), id)
        })
        .collect()
}

/// What detection confirms of guarded tables.
fn found(records: &[Delivered]) -> BTreeSet<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, records);
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &all_rules(&catalog));
    let told = detected.told(Verdict::Confirmed).into_iter();
    let guards = told.filter(|finding| finding.rule.starts_with("manual-change-"));
    guards
        .map(|finding| {
            let id = finding.key.iter().find(|(name, _)| name == "change_id");
            (finding.rule.clone(), id.unwrap().1.clone())
        })
        .collect()
}

#[test]
fn every_change_by_hand_is_found_and_no_other() {
    let mut by_hand = 0;
    for seed in seeds(0, 2) {
        let history = platform(seed);
        let expected = unannounced(&history);
        by_hand += expected.len();
        let records = &history.records;
        let replayed = trouble::replay(records.iter().copied(), seed, 200);
        let repeated: Vec<Delivered> = trouble::repeat(replayed, seed, 500).collect();
        let from = records[0].arrival + 30 * SECOND;
        for (what, records) in [
            ("in order", records.clone()),
            ("interleaved", trouble::interleave(records.clone(), seed)),
            ("repeated and replayed", repeated),
            (
                "events late",
                trouble::stall(records.clone(), Source::BusinessEvents, from, 600 * SECOND),
            ),
            (
                "payments late",
                trouble::stall(records.clone(), Source::PaymentDb, from, 600 * SECOND),
            ),
            ("in no order", trouble::shuffle(records.clone(), seed)),
        ] {
            let found = found(&records);
            let missed: Vec<_> = expected.difference(&found).collect();
            let wrong: Vec<_> = found.difference(&expected).collect();
            assert!(
                missed.is_empty() && wrong.is_empty(),
                "seed {seed}, {what}: missed {missed:?}, wrong {wrong:?}"
            );
        }
    }
    assert!(by_hand > 50, "{by_hand}");
}

/// The finding says who, when, what and how much.
#[test]
fn a_change_by_hand_is_told_with_who_when_and_what() {
    let history = History::simulate(SimulationParameters {
        orders: 200,
        faults: vec![data_fixtures::FaultKind::ManualSettlementAmount],
        ..SimulationParameters::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &all_rules(&catalog));
    let told = detected.told(Verdict::Confirmed);
    let finding = told
        .iter()
        .find(|finding| finding.rule == "manual-change-settlement");
    let finding = finding.expect("it is found");
    assert_eq!(finding.amount.as_deref(), Some("10.00"));
    assert_eq!(finding.currency.as_deref(), Some("CNY"));
    let row = serde_json::to_value(&finding.evidence).unwrap().to_string();
    for part in [
        "ops@console",
        "77",
        "before_amount",
        "after_amount",
        "update",
    ] {
        assert!(row.contains(part), "{part} in {row}");
    }
}

/// The checkpoint of a change by hand says what it broke, and that it broke nothing.
#[test]
fn a_checkpoint_says_what_the_change_broke() {
    let history = History::simulate(SimulationParameters {
        orders: 400,
        manual_share: 2_000,
        faults: vec![
            data_fixtures::FaultKind::ManualSettlementAmount,
            data_fixtures::FaultKind::ManualEntryAmount,
            data_fixtures::FaultKind::ManualCashOutAmount,
        ],
        ..SimulationParameters::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &all_rules(&catalog));
    let truth = history.truth(history.end);
    let (mut passed, mut violated) = (0, 0);
    for finding in detected.told(Verdict::Confirmed) {
        let Some(checkpoint) = finding.checkpoint else {
            continue;
        };
        // What the independent auditor finds of the same order or cash-out.
        let found = |rule: &str| {
            truth
                .iter()
                .any(|found| found.rule == rule && found.key[0] == finding.entity_key)
        };
        for rule in &checkpoint.rules {
            let expected = match found(&rule.rule) {
                true => CheckpointVerdict::Violated,
                false => CheckpointVerdict::Passed,
            };
            assert_eq!(
                rule.verdict, expected,
                "{} of {}",
                rule.rule, finding.entity_key
            );
        }
        match checkpoint.verdict {
            CheckpointVerdict::Passed => passed += 1,
            CheckpointVerdict::Violated => violated += 1,
            CheckpointVerdict::Undetermined => panic!("{checkpoint:?}"),
        }
    }
    assert_eq!(violated, 3);
    assert!(passed > 20, "{passed}");
}
