//! Announced repairs: what was done as planned is explained, all else is told.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use centinel_model::Timestamp;
use centinel_tests::{Detection, History, folder, log_file, write_log};
use data_fixtures::{Change, FaultKind, Record, Row, SECOND, Settlement, SimulationParameters};
use serde_json::json;

/// The shipped schemas, with repairs of settlements announced.
fn schemas(own: &Path) {
    std::fs::create_dir_all(own).unwrap();
    for entry in std::fs::read_dir(folder("schemas")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = match path
            .file_name()
            .is_some_and(|name| name == "settlement.yaml")
        {
            true => text.replace("guard:\n", "guard:\n  plans: repair-plans\n"),
            false => text,
        };
        std::fs::write(own.join(path.file_name().unwrap()), text).unwrap();
    }
}

/// What is announced of one settlement.
struct Plan {
    row: Settlement,
    sets: &'static str,
    amount: i64,
    approved_at: i64,
}

impl Plan {
    fn line(&self, number: usize) -> String {
        let time = |at: i64| Timestamp(at).to_string();
        let (key, order) = (self.row.settlement_no.text(), self.row.order_no.text());
        json!({
            "event": "settlement_planned", "message_id": format!("plan/{number}"), "committed_at": time(self.approved_at),
            "after": {
                "plan_id": "plan", "approved_by": "Lin", "approved_at": time(self.approved_at),
                "due_at": time(self.approved_at + 600 * SECOND), "operation": "update", "sets": self.sets,
                "settlement_no": key, "order_no": order,
                "merchant_no": "M1", "cash_out_no": null,
                "before_amount": self.row.amount, "after_amount": self.amount,
            }
        })
        .to_string()
    }
}

/// Rule and key of what is confirmed about settlements.
fn told(history: &History, plans: &[Plan]) -> BTreeSet<(String, String)> {
    let own = tempfile::tempdir().unwrap();
    let (log, announced) = (own.path().join("log.jsonl"), own.path().join("plans.jsonl"));
    write_log(&log, &history.records);
    let lines = plans
        .iter()
        .enumerate()
        .map(|(number, plan)| plan.line(number) + "\n");
    std::fs::write(&announced, lines.collect::<String>()).unwrap();
    schemas(&own.path().join("schemas"));
    let catalog = centinel_catalog::load(&own.path().join("schemas"));
    let catalog = std::sync::Arc::new(catalog.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")));
    let rules = centinel_tests::all_rules(&catalog);
    let mut detection = Detection::over(&log, own.path());
    detection.inputs.push(log_file(&announced));
    let detected = detection.run(&catalog, &rules);
    assert_eq!(detected.holes, 0, "{:?}", detected.messages);
    // A plan is announced before it is carried out; here both are read at once, so what counts is what is left.
    let open = detected.open.iter().filter(|open| open.confirmed);
    let about = open.filter(|open| open.rule.ends_with("-change-settlement"));
    about
        .map(|open| (open.rule.clone(), open.key[1].clone()))
        .collect()
}

#[test]
fn a_repair_done_as_planned_is_explained_and_any_other_is_told() {
    let history = History::simulate(SimulationParameters {
        orders: 200,
        faults: vec![FaultKind::ManualSettlementAmount],
        ..SimulationParameters::default()
    });
    let by_hand: Vec<&Change> = history
        .records
        .iter()
        .filter_map(|record| match &record.record {
            Record::Change(change) if change.by_hand => Some(change),
            _ => None,
        })
        .collect();
    let [change] = by_hand[..] else {
        panic!("{by_hand:?}")
    };
    let (Some(Row::Settlement(row)), Row::Settlement(after)) = (change.before, change.after) else {
        panic!("{change:?}")
    };
    let plan = |sets, amount, approved_at| Plan {
        row,
        sets,
        amount,
        approved_at,
    };
    let at = change.committed_at - 60 * SECOND;
    let manual = (
        "manual-change-settlement".to_owned(),
        format!(
            "{}@1.{}.{}",
            row.settlement_no.text(),
            change.sequence,
            change.ordinal
        ),
    );
    let planned = |number: usize| {
        (
            "planned-change-settlement".to_owned(),
            format!("plan/{number}"),
        )
    };

    assert_eq!(
        told(&history, &[]),
        [manual.clone()].into(),
        "nothing is announced"
    );
    let exact = || plan(",amount,", after.amount, at);
    assert_eq!(told(&history, &[exact()]), BTreeSet::new(), "as planned");
    assert_eq!(
        told(&history, &[plan(",amount,", after.amount + 1, at)]),
        [manual.clone(), planned(0)].into(),
        "another amount"
    );
    assert_eq!(
        told(&history, &[plan(",status,", after.amount, at)]),
        [manual.clone(), planned(0)].into(),
        "another column"
    );
    assert_eq!(
        told(
            &history,
            &[plan(",amount,", after.amount, change.committed_at + SECOND)]
        ),
        [manual, planned(0)].into(),
        "approved after it was done"
    );
    // Another row of the plan was never touched.
    let other = history
        .records
        .iter()
        .find_map(|record| match record.record.row() {
            Some(Row::Settlement(other)) if other.settlement_no != row.settlement_no => {
                Some(*other)
            }
            _ => None,
        });
    let untouched = Plan {
        row: other.unwrap(),
        ..plan(",amount,", 1, at)
    };
    assert_eq!(
        told(&history, &[exact(), untouched]),
        [planned(1)].into(),
        "half of it"
    );
}
