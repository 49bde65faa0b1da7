//! The simulated platform on a real MariaDB and a real Kafka: detection reads both at once and finds what was planted,
//! whatever happens to the servers, to the connections and to itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod killed;
mod large;
mod tool;
mod trouble;
mod whole;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::detect::InputOptions;
use centinel_model::Verdict;
use centinel_rules::Rule;
use centinel_tests::platform::{Watching, in_commit_order, wall_clock};
use centinel_tests::{Detected, Found, History, rules};
use data_fixtures::{FaultKind, SECOND, SimulationParameters};

/// A history that begins behind the present: a database does not let time go back.
fn history(seed: u64, orders: u64) -> History {
    history_from(seed, orders, (wall_clock().0 / SECOND + 120) * SECOND)
}

/// A history that begins at a time, in microseconds since 1970.
fn history_from(seed: u64, orders: u64, start: i64) -> History {
    let mut history = History::simulate(SimulationParameters {
        seed,
        orders,
        start,
        fault_share: 100,
        faults: FaultKind::ALL.to_vec(),
        heartbeat_every: 10 * SECOND,
        ..SimulationParameters::default()
    });
    history.records = in_commit_order(&history.records);
    history
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
