//! Entities at rest leave state: nothing is lost of what is found, and what comes back is never judged on rows
//! that are not there any more.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{Duration, Verdict};
use centinel_rules::Rule;
use centinel_state::{FileStore, Store, StoredDocument};
use centinel_tests::{Detected, Detection, History, rules, schemas, write_log};
use data_fixtures::{FaultKind, Row, SECOND, SimulationParameters, trouble};

/// Longer than anything of an order in these histories keeps the platform waiting.
const LOOKBACK: Duration = Duration::seconds(900);

/// The shipped schemas with a short lookback.
fn forgetful() -> Arc<Catalog> {
    let mut catalog = Catalog::clone(&schemas());
    for table in &mut catalog.tables {
        table.lookback = LOOKBACK;
    }
    Arc::new(catalog)
}

fn history(seed: u64) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders: 2_000,
        orders_per_second: 1,
        refund_within: 100 * SECOND,
        cash_out_every: 60 * SECOND,
        fault_share: 200,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    })
}

/// Orders of which something came after a pause that is longer than the lookback.
fn returned(history: &History) -> BTreeSet<String> {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut returned = BTreeSet::new();
    for record in &history.records {
        let order = match record.record.row() {
            Some(Row::Payment(payment)) => payment.order_no,
            Some(Row::Settlement(settlement)) => settlement.order_no,
            _ => continue,
        };
        let at = record.record.committed_at();
        let before = last.insert(order.text(), at);
        if before.is_some_and(|before| at - before > LOOKBACK.0) {
            returned.insert(order.text());
        }
    }
    returned
}

/// How many documents of a state hold rows, and how many are markers.
fn documents(folder: &Path) -> (usize, usize) {
    let store = FileStore::open(&folder.join("state"), 16 << 20).unwrap();
    let (mut whole, mut markers) = (0, 0);
    for (key, bytes) in store.documents_after(None, usize::MAX).unwrap() {
        let document = StoredDocument::read(&bytes).unwrap();
        if key.first() == Some(&b'e') {
            whole += usize::from(!document.records.is_empty());
            markers += usize::from(document.forgotten.is_some());
        }
    }
    (whole, markers)
}

#[test]
fn what_is_found_does_not_depend_on_forgetting() {
    let catalog = forgetful();
    let rules = rules(&catalog);
    let history = history(201);
    let truth = history.truth(history.end);
    let returned = returned(&history);
    assert!(truth.len() > 40, "{}", truth.len());
    let repeated = trouble::repeat(history.records.iter().copied(), 5, 200).collect();
    for (what, records) in [
        ("in order", history.records.clone()),
        ("repeated", repeated),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        write_log(&log, &records);
        let detected = Detection {
            forget: true,
            batch_rows: 100,
            cache_bytes: 0,
            ..Detection::over(&log, folder.path())
        }
        .run(&catalog, &rules);
        assert_eq!(detected.certain(&rules, history.end), truth, "{what}");
        // A settlement that waits long for its cash-out brings its order back.
        let unsure: BTreeSet<String> = detected
            .open
            .iter()
            .filter(|open| !open.confirmed)
            .map(|open| open.key[0].clone())
            .collect();
        assert!(
            unsure.is_subset(&returned),
            "{what}: {unsure:?} {returned:?}"
        );
        assert!(unsure.len() < 20, "{what}: {unsure:?}");
        let (whole, markers) = documents(folder.path());
        assert_eq!(
            markers as u64, detected.forgotten,
            "{what}: a marker for each"
        );
        assert!(markers > 800, "{what}: {markers} forgotten, {whole} kept");
        // What is open stays, with all its rows.
        assert!(whole > truth.len() / 2, "{what}: {whole}");
    }
}

/// A change log written by hand; times are seconds after midnight.
#[derive(Default)]
struct Log {
    text: String,
    sequence: u64,
}

impl Log {
    fn time(second: u64) -> String {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("2026-11-22T{hour:02}:{minute:02}:{second:02}Z")
    }

    fn insert(&mut self, table: &str, second: u64, row: &str) {
        self.sequence += 1;
        let (sequence, time) = (self.sequence, Log::time(second));
        writeln!(
            self.text,
            r#"{{"table":"{table}","op":"insert","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{time}","after":{{{row}}}}}"#
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
            forget: true,
            ..Detection::over(&log, folder)
        }
        .run(catalog, rules)
    }
}

fn payment(number: &str, status: &str, second: u64) -> String {
    let time = Log::time(second);
    format!(
        r#""payment_no":"{number}","order_no":"O1","merchant_no":"M1","business_code":"B1","channel":"CASH","amount":"10.00","status":"{status}","payer_account":"U1","paid_at":"{time}","updated_at":"{time}""#
    )
}

fn refund(amount: &str, second: u64) -> String {
    let time = Log::time(second);
    format!(
        r#""refund_no":"R1","order_no":"O1","payment_no":"P1","merchant_no":"M1","amount":"{amount}","status":"SUCCESS","refunded_at":"{time}","updated_at":"{time}""#
    )
}

fn open(detected: &Detected) -> Vec<(String, bool)> {
    let open = detected.open.iter();
    open.map(|open| (open.rule.clone(), open.confirmed))
        .collect()
}

/// The rules that a payment alone does not break.
fn of_refunds(rules: Vec<Arc<Rule>>) -> Vec<Arc<Rule>> {
    let wanted = ["refunded-not-above-paid", "refund-belongs-to-paid-payment"];
    rules
        .into_iter()
        .filter(|rule| wanted.contains(&rule.id.as_str()))
        .collect()
}

/// A refund comes long after its payment. With the payment it is right, without it nobody can say.
#[test]
fn what_returns_after_its_lookback_is_undetermined() {
    let catalog = forgetful();
    let rules = of_refunds(rules(&catalog));
    assert_eq!(rules.len(), 2);
    // In the time of the lookback, and behind it.
    for (later, forgotten) in [(600, 0), (2_000, 1)] {
        for amount in ["10.00", "99.00"] {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Log::default();
            log.insert("payment", 10, &payment("P1", "PAID", 10));
            log.heartbeats(&catalog, later);
            // Looked through with the next micro-batch.
            log.heartbeats(&catalog, later + 60);
            log.run(folder.path(), &catalog, &rules);
            log.heartbeats(&catalog, later + 120);
            let rested = log.run(folder.path(), &catalog, &rules);
            assert_eq!(rested.forgotten, forgotten, "{later}");
            log.insert("refund", later + 130, &refund(amount, later + 130));
            log.heartbeats(&catalog, later + 3_000);
            let detected = log.run(folder.path(), &catalog, &rules);
            assert_eq!(detected.holes, 0, "{:?}", detected.messages);
            let what = format!("{amount} after {later} s: {:#?}", detected.messages);
            if forgotten == 0 {
                let expected = match amount {
                    "10.00" => vec![],
                    _ => vec![("refunded-not-above-paid".to_owned(), true)],
                };
                assert_eq!(open(&detected), expected, "{what}");
                continue;
            }
            let mut found = open(&detected);
            found.sort();
            let undetermined = [
                ("refund-belongs-to-paid-payment".to_owned(), false),
                ("refunded-not-above-paid".to_owned(), false),
            ];
            assert_eq!(found, undetermined, "{what}");
            assert!(detected.told(Verdict::Confirmed).is_empty(), "{what}");
            for finding in detected.told(Verdict::Undetermined) {
                let hint = finding.hint.unwrap();
                assert!(hint.contains("returned after its lookback"), "{hint}");
            }
            // It stays so, whatever comes next.
            log.insert(
                "payment",
                later + 3_100,
                &payment("P2", "PAID", later + 3_100),
            );
            log.heartbeats(&catalog, later + 20_000);
            let detected = log.run(folder.path(), &catalog, &rules);
            assert!(open(&detected).iter().all(|(_, confirmed)| !confirmed));
        }
    }
}

/// What has not come to rest stays: an unfinished payment is found as soon as its time has come, however late.
#[test]
fn what_is_not_final_is_not_forgotten() {
    let catalog = forgetful();
    let rules: Vec<Arc<Rule>> = rules(&catalog)
        .into_iter()
        .filter(|rule| rule.id == "refunded-not-above-paid")
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.insert("payment", 10, &payment("P1", "CREATED", 10));
    for second in [5_000, 10_000, 15_000] {
        log.heartbeats(&catalog, second);
        let detected = log.run(folder.path(), &catalog, &rules);
        assert_eq!(detected.forgotten, 0);
    }
    assert_eq!(documents(folder.path()), (1, 0));
}
