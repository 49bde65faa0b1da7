//! A history without faults yields nothing, whatever is late.
#![allow(clippy::unwrap_used, clippy::panic)]

use centinel_model::{Timestamp, Verdict};
use centinel_tests::{Detection, History, all_rules, rules, schemas, write_log};
use data_fixtures::{Delivered, SECOND, SimulationParameters, Source, trouble};

fn healthy(seed: u64) -> SimulationParameters {
    SimulationParameters {
        seed,
        orders: 3_000,
        ..SimulationParameters::default()
    }
}

#[track_caller]
fn assert_silent(records: &[Delivered], what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, records);
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &all_rules(&catalog));
    assert!(
        detected.messages.is_empty(),
        "{what}: {:#?}",
        detected.messages[0]
    );
    assert!(detected.open.is_empty(), "{what}: {:#?}", detected.open);
}

#[test]
fn nothing_is_told_of_a_healthy_history() {
    for seed in 0..3 {
        let history = History::simulate(healthy(seed));
        assert_silent(&history.records, &format!("seed {seed}"));
        let interleaved = trouble::interleave(history.records, seed);
        assert_silent(&interleaved, &format!("seed {seed}, interleaved"));
    }
}

/// Rules settle after two minutes; so long may one system be behind another.
#[test]
fn delays_up_to_the_full_settle_time_are_no_fault() {
    let slow = SimulationParameters {
        max_delay: 119 * SECOND,
        ..healthy(5)
    };
    assert_silent(&History::simulate(slow).records, "slow systems");
}

#[test]
fn several_refunds_in_a_row_are_no_fault() {
    let refunds = SimulationParameters {
        refund_share: 10_000,
        refund_within: 30 * SECOND,
        ..healthy(6)
    };
    let history = History::simulate(refunds);
    let mut by_order = std::collections::HashMap::new();
    for record in &history.records {
        if let Some(data_fixtures::Row::Refund(refund)) = record.record.row() {
            by_order
                .entry(refund.order_no.text())
                .or_insert_with(std::collections::BTreeSet::new)
                .insert(refund.refund_no.text());
        }
    }
    assert!(
        by_order
            .values()
            .filter(|refunds| refunds.len() > 1)
            .count()
            > 100
    );
    assert_silent(&history.records, "many refunds");
}

/// Every source in turn says nothing for a quarter of an hour, longer than any patience, while all others go
/// on: what depends on it waits, and is judged by itself once it comes.
#[test]
fn a_stalled_source_confirms_nothing() {
    for source in Source::ALL {
        let history = History::simulate(healthy(7));
        let from = history.records[0].arrival + 60 * SECOND;
        let records = trouble::stall(history.records, source, from, 900 * SECOND);
        assert_silent(&records, &format!("{source:?} stalled"));
    }
}

/// The same with faults: what the others show is found meanwhile, the rest afterwards, nothing else.
#[test]
fn a_stalled_source_hides_nothing_for_good() {
    let faulty = SimulationParameters {
        fault_share: 300,
        ..healthy(8)
    };
    let history = History::simulate(faulty);
    let truth = history.truth(history.end);
    let from = history.records[0].arrival + 30 * SECOND;
    let records = trouble::stall(
        history.records.clone(),
        Source::SettlementDb,
        from,
        600 * SECOND,
    );
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &records);
    let catalog = schemas();
    let rules = rules(&catalog);
    let detected = Detection::over(&log, folder.path()).run(&catalog, &rules);
    assert_eq!(detected.certain(&rules, history.end), truth);
    let planted: std::collections::BTreeSet<String> = history
        .planted
        .iter()
        .map(|planted| planted.key.text())
        .collect();
    for finding in detected.told(Verdict::Confirmed) {
        assert!(planted.contains(&finding.entity_key), "{finding:#?}");
        assert!(Timestamp::parse(&finding.judged_at).is_ok());
    }
}
