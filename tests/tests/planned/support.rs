//! A platform on which people repair settlements by hand, and what they announce of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{Finding, Timestamp, Verdict};
use centinel_tests::{Detected, History, folder};
use data_fixtures::{Change, FaultKind, Record, Row, SECOND, Settlement, SimulationParameters};
use serde_json::json;

/// The source that announces repairs.
pub const PLANS: &str = "repair-plans";
/// How long a plan may take to be carried out.
pub const TIME: i64 = 600 * SECOND;

/// Rule and key.
pub type Told = BTreeSet<(String, String)>;

/// The shipped schemas, with repairs of settlements announced.
pub fn catalog(own: &Path) -> Arc<Catalog> {
    let own = own.join("schemas");
    std::fs::create_dir_all(&own).unwrap();
    for entry in std::fs::read_dir(folder("schemas")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = match path
            .file_name()
            .is_some_and(|name| name == "settlement.yaml")
        {
            true => text.replace("guard:\n", &format!("guard:\n  plans: {PLANS}\n")),
            false => text,
        };
        std::fs::write(own.join(path.file_name().unwrap()), text).unwrap();
    }
    let catalog = centinel_catalog::load(&own);
    Arc::new(catalog.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
}

/// A platform with so many settlements that somebody changes by hand.
pub fn platform(seed: u64, orders: u64, by_hand: usize) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders,
        faults: vec![FaultKind::ManualSettlementAmount; by_hand],
        ..SimulationParameters::default()
    })
}

/// The changes that somebody made by hand: each with the row before and after.
pub fn by_hand(history: &History) -> Vec<(Change, Settlement, Settlement)> {
    let made = |record: &Record| match record {
        Record::Change(change) if change.by_hand => Some(*change),
        _ => None,
    };
    let changes = history
        .records
        .iter()
        .filter_map(|record| made(&record.record));
    changes
        .map(|change| match (change.before, change.after) {
            (Some(Row::Settlement(before)), Row::Settlement(after)) => (change, before, after),
            _ => panic!("{change:?}"),
        })
        .collect()
}

/// A settlement that nobody changed by hand.
pub fn untouched(history: &History) -> Settlement {
    let changed: Vec<_> = by_hand(history)
        .iter()
        .map(|(_, row, _)| row.settlement_no)
        .collect();
    let found = history
        .records
        .iter()
        .find_map(|record| match record.record.row() {
            Some(Row::Settlement(row)) if !changed.contains(&row.settlement_no) => Some(*row),
            _ => None,
        });
    found.unwrap()
}

/// What is announced of one settlement.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub row: Settlement,
    pub sets: &'static str,
    pub amount: i64,
    pub approved_at: i64,
}

impl Plan {
    /// Its line in the change log.
    pub fn line(&self, number: usize) -> String {
        let time = |at: i64| Timestamp(at).to_string();
        let (key, order) = (self.row.settlement_no.text(), self.row.order_no.text());
        let line = json!({
            "event": "settlement_planned", "message_id": format!("plan/{number}"), "committed_at": time(self.approved_at),
            "after": {
                "plan_id": "plan", "approved_by": "Lin", "approved_at": time(self.approved_at),
                "due_at": time(self.approved_at + TIME), "operation": "update", "sets": self.sets,
                "settlement_no": key, "order_no": order,
                "merchant_no": "M1", "cash_out_no": null,
                "before_amount": self.row.amount, "after_amount": self.amount,
            }
        });
        format!("{line}\n")
    }
}

/// The word that everything up to a moment was announced before.
pub fn heartbeat(at: i64) -> String {
    let line = json!({"heartbeat": PLANS, "committed_at": Timestamp(at).to_string()});
    format!("{line}\n")
}

/// How a change by hand is told.
pub fn manual(change: &Change) -> (String, String) {
    let key = change.after.primary_key().text();
    let id = format!("{key}@1.{}.{}", change.sequence, change.ordinal);
    ("manual-change-settlement".to_owned(), id)
}

/// How a plan is told that was not carried out as planned.
pub fn planned(number: usize) -> (String, String) {
    (
        "planned-change-settlement".to_owned(),
        format!("plan/{number}"),
    )
}

/// Whether a finding is about changes of settlements.
pub fn is_about(finding: &Finding) -> bool {
    finding.rule.ends_with("-change-settlement")
}

/// Everything that was ever told for sure about changes of settlements, whether it was taken back or not.
pub fn ever_told(detected: &Detected) -> Told {
    assert_eq!(detected.holes, 0, "{:?}", detected.messages);
    let unsure = detected.told(Verdict::Undetermined);
    assert!(!unsure.iter().any(is_about), "{unsure:?}");
    let confirmed = detected.told(Verdict::Confirmed).into_iter();
    confirmed
        .filter(is_about)
        .map(|finding| (finding.rule.clone(), finding.key[1].1.clone()))
        .collect()
}
