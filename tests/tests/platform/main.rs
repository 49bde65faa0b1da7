//! The simulated platform on a real MariaDB and a real Kafka: detection reads both at once and finds what was planted,
//! whatever happens to the servers, to the connections and to itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod killed;
mod large;
mod poison;
mod purged;
mod rebalanced;
mod tool;
mod trouble;
mod whole;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_catalog::Catalog;
use centinel_engine::detect::InputOptions;
use centinel_model::Verdict;
use centinel_rules::Rule;
use centinel_tests::platform::{LONG, Platform, Watching, in_commit_order, wall_clock};
use centinel_tests::{Detected, Found, History, rules};
use data_fixtures::{Delivered, FaultKind, Record, SECOND, SimulationParameters};

/// A history that begins behind the present: a database does not let time go back.
fn history(seed: u64, orders: u64) -> History {
    history_from(seed, orders, (wall_clock().0 / SECOND + 120) * SECOND)
}

/// The same with an order in each second: what happens at one moment concerns a part of them.
fn slow_history(seed: u64, orders: u64) -> History {
    simulated(SimulationParameters {
        seed,
        orders,
        start: (wall_clock().0 / SECOND + 120) * SECOND,
        orders_per_second: 1,
        ..SimulationParameters::default()
    })
}

/// A history that begins at a time, in microseconds since 1970.
fn history_from(seed: u64, orders: u64, start: i64) -> History {
    simulated(SimulationParameters {
        seed,
        orders,
        start,
        ..SimulationParameters::default()
    })
}

fn simulated(parameters: SimulationParameters) -> History {
    let mut history = History::simulate(SimulationParameters {
        fault_share: 100,
        faults: FaultKind::ALL.to_vec(),
        heartbeat_every: 10 * SECOND,
        ..parameters
    });
    history.records = in_commit_order(&history.records);
    history
}

/// Lets detection begin on the empty platform: snapshots are taken before the history begins, as their rows would be
/// older than it.
fn begin(watching: Watching<'_>, platform: &mut Platform, history: &History) {
    let before = history.records[0].record.committed_at() - 100 * SECOND;
    let beginning = Watching {
        until: before,
        ..watching
    };
    beginning
        .run(&|_| {}, |_| {
            // Those that come before a snapshot is taken are not seen.
            for second in 0..10 {
                platform.say_that_it_ended(before + second * SECOND);
                std::thread::sleep(Duration::from_millis(500));
            }
        })
        .unwrap();
}

/// The schemas in a folder, and the shipped rules.
fn judged_by(schemas: &Path) -> (Arc<Catalog>, Vec<Arc<Rule>>) {
    let catalog = Arc::new(centinel_catalog::load(schemas).unwrap());
    let rules = rules(&catalog);
    (catalog, rules)
}

fn watching<'a>(
    inputs: Vec<InputOptions>,
    folder: &Path,
    (catalog, rules): &'a (Arc<Catalog>, Vec<Arc<Rule>>),
    history: &History,
) -> Watching<'a> {
    Watching {
        inputs,
        folder: folder.to_owned(),
        catalog,
        rules,
        until: history.end + SECOND,
    }
}

/// What is open for sure is what the independent auditor finds, nothing else was ever confirmed, nothing was told twice,
/// and nothing could not be read or judged.
#[track_caller]
fn assert_true(detected: &Detected, rules: &[Arc<Rule>], history: &History) {
    let truth = history.truth(history.end);
    assert!(truth.len() > 50, "{}", truth.len());
    let certain = detected.certain(rules, history.end);
    let missed: Vec<_> = truth.difference(&certain).take(5).collect();
    let invented: Vec<_> = certain.difference(&truth).take(5).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "of {} missed {missed:#?}, invented {invented:#?}",
        truth.len()
    );
    assert_eq!(detected.holes, 0);
    let undetermined = detected.open.iter().filter(|open| !open.confirmed);
    assert_eq!(undetermined.count(), 0);
    assert_nothing_false(detected, &truth);
    let ids: Vec<String> = detected
        .messages
        .iter()
        .filter(|message| message["schema"] == "centinel/finding/1")
        .map(|message| format!("{} {}", message["finding_id"], message["sequence"]))
        .collect();
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "something was told twice");
}

/// Waits until so many changes were read, those of events among them.
fn wait_for(read: &dyn Fn() -> u64, count: u64) {
    let began = Instant::now();
    while read() < count {
        assert!(began.elapsed() < LONG, "{} of {count} were read", read());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many changes and events these are.
fn count(records: &[Delivered]) -> u64 {
    let rows = records
        .iter()
        .filter(|record| record.record.row().is_some());
    rows.count() as u64
}

/// The first place from `index` on at which no transaction is under way.
fn between_transactions(records: &[Delivered], index: usize) -> usize {
    let mut open = BTreeSet::new();
    for (place, record) in records.iter().enumerate() {
        if place >= index && open.is_empty() {
            return place;
        }
        if let Record::Change(change) = &record.record {
            match change.last {
                true => open.remove(&record.source),
                false => open.insert(record.source),
            };
        }
    }
    records.len()
}

/// Rule and key of each finding that the independent auditor has.
fn broken(truth: &BTreeSet<Found>) -> BTreeSet<(String, Vec<String>)> {
    let truth = truth.iter();
    truth
        .map(|found| (found.rule.clone(), found.key.clone()))
        .collect()
}

/// Rule and key of what is open, for sure or not.
fn open(detected: &Detected, confirmed: bool) -> BTreeSet<(String, Vec<String>)> {
    let open = detected.open.iter();
    open.filter(|open| open.confirmed == confirmed)
        .map(|open| (open.rule.clone(), open.key.clone()))
        .collect()
}

/// The records that could not be read, as they were told.
fn told_holes(detected: &Detected) -> Vec<&serde_json::Value> {
    let messages = detected.messages.iter();
    messages
        .filter(|message| message["schema"] == "centinel/hole/1")
        .collect()
}

/// Nothing is mended in these histories: what was ever confirmed is broken for good.
#[track_caller]
fn assert_nothing_false(detected: &Detected, truth: &BTreeSet<Found>) {
    let broken: BTreeSet<(&str, &[String])> = truth
        .iter()
        .map(|found| (found.rule.as_str(), &found.key[..]))
        .collect();
    for finding in detected.told(Verdict::Confirmed) {
        let found = Found::of(&finding);
        assert!(
            broken.contains(&(found.rule.as_str(), &found.key[..])),
            "{finding:#?}"
        );
    }
}
