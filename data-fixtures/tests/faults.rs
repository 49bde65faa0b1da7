//! Every fault plants what it says, and the truth is the whole truth.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use data_fixtures::auditor::{Ledger, Violation};
use data_fixtures::truth::{PlantedTruth, Truth};
use data_fixtures::{FaultKind, KeyStyle, LossClass, SECOND, Simulation, SimulationParameters};

/// Runs a history: the truth of its faults, and everything that the auditor finds in all rows.
fn run(parameters: SimulationParameters) -> (Vec<PlantedTruth>, Vec<Violation>) {
    let mut simulation = Simulation::new(parameters);
    let (mut truth, mut ledger) = (Truth::default(), Ledger::default());
    while let Some(delivered) = simulation.next() {
        truth.plant(simulation.take_planted());
        truth.observe(&delivered.record);
        ledger.apply(&delivered.record);
    }
    let end = simulation.end().unwrap();
    (truth.judge(end), ledger.violations(end))
}

fn assert_whole(truth: &[PlantedTruth], found: &[Violation]) {
    let mut expected: Vec<Violation> = truth
        .iter()
        .flat_map(|planted| planted.expected.clone())
        .collect();
    expected.sort();
    assert_eq!(expected, found);
}

#[test]
fn each_fault_alone_is_seen_by_its_rules() {
    for (seed, fault) in (100..).zip(FaultKind::ALL) {
        let faults = vec![*fault];
        let (truth, found) = run(SimulationParameters {
            seed,
            orders: 60,
            faults,
            ..SimulationParameters::default()
        });
        assert_eq!(truth.len(), 1, "{}", fault.name());
        assert_eq!(truth[0].planted.fault, *fault);
        let rules: BTreeSet<&str> = found.iter().map(|violation| violation.rule).collect();
        for rule in fault.rules() {
            assert!(
                rules.contains(rule),
                "{} is not seen by {rule}, but by {rules:?}",
                fault.name()
            );
        }
        assert_whole(&truth, &found);
    }
}

#[test]
fn many_faults_are_all_seen_and_nothing_else_is() {
    let mut kinds = BTreeSet::new();
    for (seed, key_style) in [
        (1, KeyStyle::TimeOrdered),
        (2, KeyStyle::Random),
        (3, KeyStyle::Random),
    ] {
        let parameters = SimulationParameters {
            seed,
            orders: 4_000,
            key_style,
            fault_share: 500,
            cash_out_every: 60 * SECOND,
            ..SimulationParameters::default()
        };
        let (truth, found) = run(parameters);
        assert!(truth.len() > 150);
        for planted in &truth {
            kinds.insert(planted.planted.fault);
            let rules: BTreeSet<&str> = planted
                .expected
                .iter()
                .map(|violation| violation.rule)
                .collect();
            let expected = planted.planted.fault.rules().iter();
            for rule in expected {
                assert!(
                    rules.contains(rule),
                    "{} is not seen by {rule}: {:?}",
                    planted.planted.fault.name(),
                    planted
                );
            }
        }
        assert_whole(&truth, &found);
    }
    assert_eq!(kinds.len(), FaultKind::ALL.len());
}

#[test]
fn the_faults_cover_every_rule_and_every_loss() {
    let rules: BTreeSet<&str> = FaultKind::ALL
        .iter()
        .flat_map(|fault| fault.rules())
        .copied()
        .collect();
    assert_eq!(rules.len(), 36, "{rules:?}");
    let mut classes: BTreeMap<LossClass, usize> = BTreeMap::new();
    FaultKind::ALL
        .iter()
        .for_each(|fault| *classes.entry(fault.loss_class()).or_default() += 1);
    assert!(
        classes.len() == 5 && classes.values().all(|count| *count >= 5),
        "{classes:?}"
    );
}

#[test]
fn amounts_are_the_money_at_risk() {
    let amount_of = |fault: FaultKind, rule: &str| -> Vec<i64> {
        let faults = vec![fault];
        let (_, found) = run(SimulationParameters {
            seed: 5,
            orders: 60,
            faults,
            ..SimulationParameters::default()
        });
        found
            .iter()
            .filter(|violation| violation.rule == rule)
            .map(|violation| violation.amount)
            .collect()
    };
    let one = |fault, rule| {
        let amounts = amount_of(fault, rule);
        assert_eq!(amounts.len(), 1, "{rule}");
        amounts[0]
    };
    let whole = one(FaultKind::MissingSettlement, "paid-order-is-settled");
    assert_eq!(
        one(
            FaultKind::SettlementTimesHundred,
            "settled-equals-paid-minus-refunded"
        ),
        -99 * whole
    );
    assert_eq!(
        one(
            FaultKind::SettlementOffByOneCent,
            "settled-equals-paid-minus-refunded"
        )
        .abs(),
        1
    );
    assert_eq!(one(FaultKind::DuplicatePayment, "order-paid-once"), whole);
    assert_eq!(
        one(FaultKind::DuplicateRefund, "refunded-not-above-paid"),
        whole
    );
    assert_eq!(
        one(FaultKind::OneSidedEntry, "settlement-entries-balance"),
        whole
    );
    assert_eq!(
        one(FaultKind::EntriesInWrongUnit, "settlement-entries-add-up"),
        whole / 100 - whole
    );
    assert_eq!(
        one(FaultKind::FeeOnWrongBase, "fee-base-equals-paid"),
        whole * 9 / 10 - whole
    );
    assert_eq!(
        amount_of(FaultKind::DuplicateEntries, "entry-booked-once"),
        [whole, whole]
    );
    assert_eq!(
        one(FaultKind::ManualEntryAmount, "settlement-entries-balance"),
        -1_000
    );
    assert_eq!(
        one(
            FaultKind::CashOutAboveSettlements,
            "cash-out-equals-settlements"
        ),
        10_000
    );
}

#[test]
fn the_truth_of_a_cut_holds_only_what_is_certain_then() {
    let parameters = SimulationParameters {
        seed: 9,
        orders: 4_000,
        fault_share: 500,
        ..SimulationParameters::default()
    };
    let as_of = parameters.start + 300 * SECOND;
    let mut simulation = Simulation::new(parameters);
    let (mut truth, mut ledger) = (Truth::default(), Ledger::default());
    while let Some(delivered) = simulation.next() {
        truth.plant(simulation.take_planted());
        if delivered.record.committed_at() <= as_of {
            truth.observe(&delivered.record);
            ledger.apply(&delivered.record);
        }
    }
    let certain: Vec<Violation> = ledger
        .violations(as_of)
        .into_iter()
        .filter(|violation| violation.is_certain(as_of))
        .collect();
    let truth = truth.judge(as_of);
    assert!(certain.len() > 20);
    assert!(truth.iter().any(|planted| planted.expected.is_empty()));
    assert_whole(&truth, &certain);
}
