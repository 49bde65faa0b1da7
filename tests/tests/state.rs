//! What a running state must survive: small micro-batches, growing entities, rules that come and go.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::Verdict;
use centinel_rules::Rule;
use centinel_tests::{Detected, Detection, History, rules, schemas};
use data_fixtures::{FaultKind, SimulationParameters};

const RULE: &str = "refunded-not-above-paid";

/// A change log written by hand; times are seconds after midnight.
#[derive(Default)]
struct Log {
    text: String,
    sequence: u64,
}

impl Log {
    fn time(second: u64) -> String {
        format!(
            "2026-11-22T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }

    fn change(&mut self, table: &str, second: u64, before: Option<&str>, after: Option<&str>) {
        self.sequence += 1;
        let op = match (before, after) {
            (None, _) => "insert",
            (_, None) => "delete",
            _ => "update",
        };
        let image =
            |image: Option<&str>| image.map_or("null".into(), |image| format!("{{{image}}}"));
        let (before, after) = (image(before), image(after));
        let before = if op == "insert" {
            String::new()
        } else {
            format!(",\"before\":{before}")
        };
        let after = if op == "delete" {
            String::new()
        } else {
            format!(",\"after\":{after}")
        };
        let (sequence, time) = (self.sequence, Log::time(second));
        writeln!(
            self.text,
            r#"{{"table":"{table}","op":"{op}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{time}"{before}{after}}}"#
        )
        .unwrap();
    }

    fn heartbeats(&mut self, catalog: &Catalog, second: u64) {
        let time = Log::time(second);
        for source in &catalog.sources {
            writeln!(
                self.text,
                r#"{{"heartbeat":"{source}","committed_at":"{time}"}}"#
            )
            .unwrap();
        }
    }

    /// Reads what was added since the last run.
    fn run(&self, folder: &Path, catalog: &Arc<Catalog>, rules: &[Arc<Rule>]) -> Detected {
        let log = folder.join("log.jsonl");
        std::fs::write(&log, &self.text).unwrap();
        Detection {
            batch_rows: 1,
            ..Detection::over(&log, folder)
        }
        .run(catalog, rules)
    }
}

fn payment(number: &str, order: &str, status: &str, second: u64) -> String {
    let time = Log::time(second);
    format!(
        r#""payment_no":"{number}","order_no":"{order}","merchant_no":"M1","business_code":"B1","channel":"WX","amount":"10.00","status":"{status}","payer_account":"U1","updated_at":"{time}""#
    )
}

fn settlement(number: &str, order: &str, status: &str, second: u64) -> String {
    let time = Log::time(second);
    format!(
        r#""settlement_no":"{number}","order_no":"{order}","merchant_no":"M1","kind":"PAYMENT","amount":1000,"status":"{status}","updated_at":"{time}""#
    )
}

fn entry(number: &str, settlement: &str, second: u64) -> String {
    let time = Log::time(second);
    format!(
        r#""entry_no":"{number}","settlement_no":"{settlement}","account_no":"A1","account_type":"MERCHANT_PAYABLE","direction":"CREDIT","amount":1000,"status":"BOOKED","booked_at":"{time}","updated_at":"{time}""#
    )
}

fn confirmed(detected: &Detected) -> Vec<String> {
    let open = detected.open.iter().filter(|open| open.confirmed);
    open.map(|open| format!("{} {}", open.rule, open.key.join(" ")))
        .collect()
}

/// A row of another table comes before the deadline; the deadline is kept all the same.
#[test]
fn an_unrelated_change_does_not_make_a_deadline_forgotten() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.change(
        "payment",
        10,
        None,
        Some(&payment("P1", "O1", "CREATED", 10)),
    );
    log.run(folder.path(), &catalog, &rules);
    log.change(
        "settlement",
        20,
        None,
        Some(&settlement("S1", "O1", "FAILED", 20)),
    );
    log.run(folder.path(), &catalog, &rules);
    log.heartbeats(&catalog, 5_000);
    let detected = log.run(folder.path(), &catalog, &rules);
    assert_eq!(detected.holes, 0, "{:?}", detected.messages);
    assert!(
        confirmed(&detected).contains(&"payment-reaches-final-state O1 P1".to_owned()),
        "{:?}",
        detected.open
    );
}

/// Suspected first, confirmed first, recovered first: then it grows beyond what may be judged.
#[test]
fn an_entity_that_grows_too_large_is_undetermined() {
    let mut catalog = Catalog::clone(&schemas());
    let order = catalog.entity_id("order").unwrap();
    catalog.entities[usize::from(order.0)].max_rows = 3;
    let catalog = Arc::new(catalog);
    let rules = rules(&catalog);
    for before in 1..6 {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::default();
        for number in 0..6 {
            let second = 10 + number;
            log.change(
                "payment",
                second,
                None,
                Some(&payment(&format!("P{number}"), "O1", "PAID", second)),
            );
            if number == before {
                log.heartbeats(&catalog, 5_000);
            }
            log.run(folder.path(), &catalog, &rules);
        }
        log.heartbeats(&catalog, 9_000);
        let detected = log.run(folder.path(), &catalog, &rules);
        assert_eq!(detected.holes, 0, "{:?}", detected.messages);
        let paid_once = detected
            .open
            .iter()
            .filter(|open| open.rule == "order-paid-once");
        assert_eq!(paid_once.count(), 1, "after {before}: {:#?}", detected.open);
    }
}

/// An entry is deleted, then its settlement is deleted or given to another order: nothing is left of it.
#[test]
fn what_was_deleted_does_not_come_back_by_its_link() {
    let catalog = schemas();
    let rules = rules(&catalog);
    for goes_to in [None, Some("O2")] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::default();
        let (old, entry) = (settlement("S1", "O1", "CREATED", 10), entry("E1", "S1", 11));
        log.change("settlement", 10, None, Some(&old));
        log.change("accounting_entry", 11, None, Some(&entry));
        log.run(folder.path(), &catalog, &rules);
        log.change("accounting_entry", 12, Some(&entry), None);
        log.run(folder.path(), &catalog, &rules);
        let new = goes_to.map(|order| settlement("S1", order, "CREATED", 13));
        log.change("settlement", 13, Some(&old), new.as_deref());
        log.run(folder.path(), &catalog, &rules);
        log.heartbeats(&catalog, 20_000);
        let detected = log.run(folder.path(), &catalog, &rules);
        assert_eq!(detected.holes, 0, "{:?}", detected.messages);
        let of_entries = detected
            .told(Verdict::Confirmed)
            .into_iter()
            .filter(|finding| finding.rule.contains("entr") || finding.rule.contains("unreached"));
        assert_eq!(
            of_entries.count(),
            0,
            "to {goes_to:?}: {:#?}",
            detected.messages
        );
    }
}

/// Rules go and come back over one state: their findings close, and nothing is lost meanwhile.
#[test]
fn rules_that_go_close_their_findings_and_come_back_without_loss() {
    let history = History::simulate(SimulationParameters {
        seed: 50,
        orders: 400,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    let catalog = schemas();
    let rules = rules(&catalog);
    let cash_out = catalog.entity_id("cash_out").unwrap();
    let of_orders: Vec<Arc<Rule>> = rules
        .iter()
        .filter(|rule| rule.entity != cash_out)
        .cloned()
        .collect();
    assert!(of_orders.len() < rules.len());
    let truth = history.truth(history.end);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let detection = Detection::over(&log, folder.path());
    let part = |share: usize| &history.records[..history.records.len() * share / 4];

    centinel_tests::write_log(&log, part(2));
    detection.run(&catalog, &rules);
    centinel_tests::write_log(&log, part(3));
    detection.run(&catalog, &of_orders);
    centinel_tests::write_log(&log, part(4));
    let without = detection.run(&catalog, &of_orders);
    let id_of = |rule: &str| rules.iter().find(|known| known.id == rule).unwrap().entity;
    assert!(
        without
            .open
            .iter()
            .all(|open| id_of(&open.rule) != cash_out),
        "{:#?}",
        without.open
    );
    let again = detection.run(&catalog, &rules);
    assert_eq!(again.certain(&rules, history.end), truth);
}

/// A heartbeat speaks for its own file: a source in two would be believed when half of it is read.
#[test]
fn a_source_in_two_inputs_is_refused() {
    let history = History::simulate(SimulationParameters {
        orders: 200,
        ..SimulationParameters::default()
    });
    let (catalog, folder) = (schemas(), tempfile::tempdir().unwrap());
    let logs = ["a.jsonl", "b.jsonl"].map(|name| folder.path().join(name));
    for (index, log) in logs.iter().enumerate() {
        let half = history.records.iter().skip(index).step_by(2);
        centinel_tests::write_log(log, &half.copied().collect::<Vec<_>>());
    }
    let detection = Detection {
        inputs: logs
            .iter()
            .map(|log| centinel_tests::log_file(log))
            .collect(),
        ..Detection::over(&logs[0], folder.path())
    };
    let refused = detection
        .try_run(&catalog, &rules(&catalog), &|_| {})
        .err()
        .unwrap();
    assert!(
        refused
            .to_string()
            .contains("stands in both `a.jsonl` and `b.jsonl`"),
        "{refused}"
    );
}

/// What a new version of a rule does not find closes as changed, what it finds anew is found.
#[test]
fn a_new_version_of_a_rule_is_asked_of_everything() {
    let history = History::simulate(SimulationParameters {
        seed: 51,
        orders: 300,
        fault_share: 500,
        ..SimulationParameters::default()
    });
    let catalog = schemas();
    let rules = rules(&catalog);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    centinel_tests::write_log(&log, &history.records);
    let detection = Detection::over(&log, folder.path());
    // Asks for nothing that can be, then for what was asked before.
    let shipped = rules.iter().find(|rule| rule.id == RULE).unwrap();
    let text = shipped.text.replace(
        "WHERE r.refunded >",
        "WHERE r.refunded > 1000000 AND r.refunded >",
    );
    assert_ne!(text, shipped.text);
    let never = Arc::new(centinel_rules::load_text(&shipped.path, &text, &catalog).unwrap());
    let others = rules.iter().filter(|rule| rule.id != RULE).cloned();
    let changed: Vec<Arc<Rule>> = others.clone().chain([never]).collect();
    let gone: Vec<Arc<Rule>> = others.collect();
    let truth = history.truth(history.end);
    let open = |detected: &Detected| {
        detected
            .open
            .iter()
            .filter(|open| open.rule == RULE)
            .count()
    };
    let first = detection.run(&catalog, &rules);
    let found = open(&first);
    assert!(found > 0);
    for other in [&changed, &gone] {
        let closed = detection.run(&catalog, other);
        assert_eq!(open(&closed), 0);
        let again = detection.run(&catalog, &rules);
        assert_eq!(again.certain(&rules, history.end), truth);
    }
    let all = detection.run(&catalog, &rules);
    assert_eq!(all.told(Verdict::RuleChanged).len(), 2 * found);
    assert!(all.told(Verdict::Recovered).is_empty());
    let numbers: BTreeSet<String> = all
        .messages
        .iter()
        .map(|message| format!("{} {}", message["finding_id"], message["sequence"]))
        .collect();
    assert_eq!(
        numbers.len(),
        all.messages.len(),
        "each message has a number of its own"
    );
}
