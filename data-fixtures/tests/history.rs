//! What every simulated history keeps: determinism, order, true heartbeats, sound money.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use data_fixtures::auditor::Ledger;
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{
    Delivered, Direction, FaultKind, Key, KeyStyle, Record, Row, SECOND, Settlement, Simulation,
    SimulationParameters, Source, Status,
};

fn parameters(seed: u64) -> SimulationParameters {
    SimulationParameters {
        seed,
        orders: 1_500,
        ..SimulationParameters::default()
    }
}

fn bytes(parameters: SimulationParameters) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = JsonLinesWriter::default();
    Simulation::new(parameters).for_each(|delivered| writer.write(&mut out, &delivered));
    out
}

fn final_rows(history: &[Delivered]) -> BTreeMap<Key, Row> {
    history
        .iter()
        .filter_map(|delivered| delivered.record.row())
        .map(|row| (row.primary_key(), *row))
        .collect()
}

#[test]
fn same_seed_same_bytes() {
    let faulty = SimulationParameters {
        fault_share: 500,
        ..parameters(3)
    };
    assert_eq!(bytes(faulty.clone()), bytes(faulty));
    assert_ne!(bytes(parameters(3)), bytes(parameters(4)));
}

#[test]
fn both_key_styles_tell_the_same_history() {
    let shape = |key_style| -> Vec<(i64, Source, i64)> {
        Simulation::new(SimulationParameters {
            key_style,
            ..parameters(5)
        })
        .map(|delivered| {
            (
                delivered.arrival,
                delivered.source,
                delivered.record.committed_at(),
            )
        })
        .collect()
    };
    assert_eq!(shape(KeyStyle::TimeOrdered), shape(KeyStyle::Random));
}

#[test]
fn each_source_keeps_its_order_and_its_heartbeats_are_true() {
    let mut arrival = i64::MIN;
    let mut newest: HashMap<Source, (u64, u32, bool, i64)> = HashMap::new();
    let mut beaten: HashMap<Source, i64> = HashMap::new();
    let mut simulation = Simulation::new(SimulationParameters {
        fault_share: 200,
        ..parameters(6)
    });
    for delivered in simulation.by_ref() {
        assert!(delivered.arrival >= arrival);
        assert!(delivered.arrival >= delivered.record.committed_at());
        arrival = delivered.arrival;
        let (sequence, ordinal, last, at) =
            newest
                .entry(delivered.source)
                .or_insert((0, 0, true, i64::MIN));
        assert!(
            delivered.record.committed_at() >= *at,
            "commit times of a source fall"
        );
        match &delivered.record {
            Record::Change(change) => {
                let expected = if *last {
                    (*sequence + 1, 0)
                } else {
                    (*sequence, *ordinal + 1)
                };
                assert_eq!((change.sequence, change.ordinal), expected);
                (*sequence, *ordinal, *last) = (change.sequence, change.ordinal, change.last);
            }
            Record::Event(_) => {}
            Record::Heartbeat(at) => {
                assert!(*last, "a heartbeat inside a transaction");
                beaten.insert(delivered.source, *at);
            }
        }
        if !matches!(delivered.record, Record::Heartbeat(_)) {
            let claimed = beaten.get(&delivered.source).copied().unwrap_or(i64::MIN);
            assert!(
                delivered.record.committed_at() > claimed,
                "committed before a heartbeat, delivered after it"
            );
        }
        *at = delivered.record.committed_at();
    }
    let end = simulation.end().unwrap();
    assert!(Source::ALL.iter().all(|source| beaten[source] == end));
}

#[test]
fn heartbeats_go_on_until_patience_has_ended() {
    let mut simulation = Simulation::new(parameters(7));
    let rows = simulation
        .by_ref()
        .filter(|delivered| delivered.record.row().is_some());
    let last = rows
        .map(|delivered| delivered.record.committed_at())
        .max()
        .unwrap();
    assert!(simulation.end().unwrap() >= last + 900 * SECOND);
}

#[test]
fn every_change_begins_where_the_row_stood() {
    let mut rows: HashMap<Key, (Row, bool)> = HashMap::new();
    for delivered in Simulation::new(SimulationParameters {
        fault_share: 1_000,
        ..parameters(8)
    }) {
        let Record::Change(change) = &delivered.record else {
            continue;
        };
        let before = rows.insert(change.after.primary_key(), (change.after, change.closes));
        assert_eq!(change.before, before.map(|(row, _)| row));
        assert!(
            before.is_none_or(|(_, closed)| !closed),
            "a closed row changed"
        );
        assert_ne!(change.before, Some(change.after));
    }
    let open = rows.values().filter(|(_, closed)| !closed).count();
    let waiting = |row: &Row| {
        matches!(
            row,
            Row::Settlement(Settlement {
                cash_out_no: None,
                ..
            })
        )
    };
    assert_eq!(
        open,
        rows.values()
            .filter(|(row, closed)| !closed && waiting(row))
            .count()
    );
}

#[test]
fn healthy_money_adds_up() {
    let history: Vec<Delivered> = Simulation::new(parameters(9)).collect();
    let rows = final_rows(&history);
    let mut owed: BTreeMap<Key, i64> = BTreeMap::new();
    let mut balance: BTreeMap<Key, i64> = BTreeMap::new();
    let mut cashed: BTreeMap<Key, i64> = BTreeMap::new();
    let mut electronic: BTreeMap<Key, bool> = BTreeMap::new();
    for row in rows.values() {
        match row {
            Row::Payment(row) if row.status == Status::Paid => {
                *owed.entry(row.order_no).or_default() += row.amount;
                electronic.insert(row.order_no, row.channel.is_electronic());
            }
            Row::Refund(row) if row.status == Status::Success => {
                *owed.entry(row.order_no).or_default() -= row.amount
            }
            Row::Settlement(row) => {
                assert_eq!(row.status, Status::Settled);
                *owed.entry(row.order_no).or_default() -= row.amount;
                // A merchant who owes more than is owed to him is paid nothing out.
                if let Some(cash_out_no) = row.cash_out_no {
                    *cashed.entry(cash_out_no).or_default() -= row.amount;
                }
            }
            Row::CashOut(row) => *cashed.entry(row.cash_out_no).or_default() += row.amount,
            Row::Entry(row) => {
                assert!(row.amount > 0);
                let signed = if row.direction == Direction::Debit {
                    row.amount
                } else {
                    -row.amount
                };
                *balance.entry(row.settlement_no).or_default() += signed;
            }
            _ => {}
        }
    }
    assert!(owed.len() > 1_300 && cashed.len() > 50 && balance.len() > 1_200);
    assert!(
        owed.values()
            .chain(balance.values())
            .chain(cashed.values())
            .all(|rest| *rest == 0)
    );
    assert!(electronic.values().any(|is| !is) && electronic.values().any(|is| *is));
}

#[test]
fn the_auditor_finds_nothing_in_healthy_histories() {
    for (seed, max_delay) in [(10, 20), (11, 120), (12, 1)] {
        let mut ledger = Ledger::default();
        let mut simulation = Simulation::new(SimulationParameters {
            max_delay: max_delay * SECOND,
            ..parameters(seed)
        });
        for delivered in simulation.by_ref() {
            ledger.apply(&delivered.record);
        }
        assert_eq!(ledger.violations(simulation.end().unwrap()), []);
    }
}

#[test]
fn no_healthy_order_is_ever_broken_for_longer_than_patience() {
    let history: Vec<Delivered> = Simulation::new(parameters(13)).collect();
    let start = SimulationParameters::default().start;
    for minutes in 1..16 {
        let as_of = start + minutes * 30 * SECOND;
        let mut ledger = Ledger::default();
        let known = history
            .iter()
            .filter(|delivered| delivered.record.committed_at() <= as_of);
        known.for_each(|delivered| ledger.apply(&delivered.record));
        let found = ledger.violations(as_of);
        let certain: Vec<_> = found
            .iter()
            .filter(|violation| violation.is_certain(as_of))
            .collect();
        assert!(certain.is_empty(), "{certain:?}");
        assert!(minutes > 2 || !found.is_empty(), "nothing was in flight");
    }
}

#[test]
fn cash_outs_also_happen_on_the_way() {
    let parameters = SimulationParameters {
        orders: 3_000,
        cash_out_every: 60 * SECOND,
        cash_out_rows: 5,
        ..parameters(14)
    };
    let first_order_of_the_end = parameters.start + 100 * SECOND;
    let early = Simulation::new(parameters)
        .filter(|delivered| matches!(delivered.record.row(), Some(Row::CashOut(_))))
        .filter(|delivered| delivered.record.committed_at() < first_order_of_the_end)
        .count();
    assert!(early > 10, "{early}");
}

#[test]
fn a_fault_asked_for_changes_no_other_order() {
    let plain = final_rows(&Simulation::new(parameters(15)).collect::<Vec<_>>());
    let faulty = SimulationParameters {
        faults: vec![FaultKind::SettlementTimesHundred],
        ..parameters(15)
    };
    let changed = final_rows(&Simulation::new(faulty).collect::<Vec<_>>());
    for (key, row) in &plain {
        if let (Row::Payment(row), Row::Payment(other)) = (row, changed[key]) {
            assert!(row.payment_no.number() == 0 || *row == other);
        }
    }
}
