//! Detection finds what an independent auditor finds, in every order of arrival, and nothing else on the way.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use centinel_model::{Timestamp, Verdict};
use centinel_tests::{
    Detected, Detection, Found, History, log_file, rules, schemas, seeds, write_log,
};
use data_fixtures::{Delivered, FaultKind, KeyStyle, SimulationParameters, Source, trouble};

fn parameters(seed: u64, orders: u64) -> SimulationParameters {
    SimulationParameters {
        seed,
        orders,
        fault_share: 100,
        faults: FaultKind::ALL.to_vec(),
        key_style: if seed.is_multiple_of(2) {
            KeyStyle::Random
        } else {
            KeyStyle::TimeOrdered
        },
        ..SimulationParameters::default()
    }
}

fn detect(records: &[Delivered]) -> Detected {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, records);
    let catalog = schemas();
    Detection::over(&log, folder.path()).run(&catalog, &rules(&catalog))
}

#[track_caller]
fn assert_same(detected: &Detected, truth: &BTreeSet<Found>, moment: i64, what: &str) {
    let certain = detected.certain(&rules(&schemas()), moment);
    let missed: Vec<_> = truth.difference(&certain).take(5).collect();
    let invented: Vec<_> = certain.difference(truth).take(5).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "{what}: of {} missed {missed:#?}, invented {invented:#?}",
        truth.len()
    );
    let undetermined = detected.open.iter().filter(|open| !open.confirmed).count();
    assert_eq!(undetermined, 0, "{what}");
}

/// Everything that was ever confirmed is true at the end, or was true until the platform mended it.
#[track_caller]
fn assert_nothing_false(history: &History, detected: &Detected, what: &str) {
    // Nothing is mended in these histories: what was ever confirmed is still broken at the end.
    let truth = history.truth(history.end);
    let broken: BTreeSet<(&str, &[String])> = truth
        .iter()
        .map(|found| (found.rule.as_str(), &found.key[..]))
        .collect();
    for finding in detected.told(Verdict::Confirmed) {
        let found = Found::of(&finding);
        assert!(
            broken.contains(&(found.rule.as_str(), &found.key[..])),
            "{what}: {finding:#?}"
        );
    }
    let faulty: BTreeSet<String> = history
        .planted
        .iter()
        .map(|planted| planted.key.text())
        .collect();
    for finding in detected.told(Verdict::Confirmed) {
        assert!(faulty.contains(&finding.entity_key), "{what}: {finding:#?}");
    }
}

/// Each was confirmed within its patience and one micro-batch, in source time.
#[track_caller]
fn assert_in_time(detected: &Detected, what: &str) {
    let catalog = schemas();
    let rules = rules(&catalog);
    for finding in detected.told(Verdict::Confirmed) {
        let rule = rules.iter().find(|rule| rule.id == finding.rule).unwrap();
        let due = Timestamp::parse(&finding.anchor)
            .unwrap()
            .plus(rule.patience());
        let late = Timestamp::parse(&finding.judged_at).unwrap().0 - due.0;
        let bound = detected.longest_step;
        assert!(
            (0..=bound).contains(&late),
            "{what}: {late} µs after it was due, a step is {bound}: {finding:#?}"
        );
    }
}

#[test]
fn twenty_thousand_orders_in_order() {
    let history = History::simulate(parameters(1, 20_000));
    let detected = detect(&history.records);
    let truth = history.truth(history.end);
    assert!(truth.len() > 400, "{}", truth.len());
    let broken: BTreeSet<&str> = truth.iter().map(|found| found.rule.as_str()).collect();
    assert_eq!(
        broken.len(),
        rules(&schemas()).len(),
        "every rule is broken by some fault"
    );
    assert_same(&detected, &truth, history.end, "in order");
    assert_nothing_false(&history, &detected, "in order");
    assert_in_time(&detected, "in order");
    let catalog = schemas();
    let audited = history.audited(&catalog, &rules(&catalog), history.end);
    assert_eq!(audited, truth);
}

#[test]
fn twenty_thousand_orders_repeated_and_replayed() {
    let history = History::simulate(parameters(2, 20_000));
    let repeated = trouble::repeat(history.records.iter().copied(), 7, 500);
    let records: Vec<Delivered> = trouble::replay(repeated, 8, 50).collect();
    assert!(records.len() > history.records.len() * 11 / 10);
    let detected = detect(&records);
    assert_same(
        &detected,
        &history.truth(history.end),
        history.end,
        "replayed",
    );
    assert_nothing_false(&history, &detected, "replayed");
    assert_in_time(&detected, "replayed");
}

#[test]
fn every_interleaving_that_keeps_the_order_of_sources() {
    for seed in seeds(10, 4) {
        let history = History::simulate(parameters(seed, 3_000));
        let records = trouble::interleave(history.records.clone(), seed);
        let detected = detect(&records);
        let what = format!("interleaved by {seed}");
        assert_same(&detected, &history.truth(history.end), history.end, &what);
        assert_nothing_false(&history, &detected, &what);
        assert_in_time(&detected, &what);
    }
}

#[test]
fn no_order_at_all() {
    for seed in seeds(20, 3) {
        let history = History::simulate(parameters(seed, 3_000));
        let repeated = trouble::repeat(history.records.iter().copied(), seed, 300).collect();
        let detected = detect(&trouble::shuffle(repeated, seed));
        assert_same(
            &detected,
            &history.truth(history.end),
            history.end,
            &format!("shuffled by {seed}"),
        );
    }
}

#[test]
fn as_of_any_moment() {
    let history = History::simulate(parameters(30, 3_000));
    let begin = history.records[0].record.committed_at();
    for part in [3, 5, 8, 9] {
        let moment = begin + (history.end - begin) / 10 * part;
        let detected = detect(&history.as_of(moment));
        assert_same(
            &detected,
            &history.truth(moment),
            moment,
            &format!("{part} tenths"),
        );
        // The auditor's word aside: the two ways themselves.
        let catalog = schemas();
        let rules = rules(&catalog);
        let audited = history.audited(&catalog, &rules, moment);
        assert_eq!(detected.certain(&rules, moment), audited, "{part} tenths");
    }
}

/// However the log falls into micro-batches, files and runs.
#[test]
fn however_the_log_is_cut() {
    let history = History::simulate(parameters(40, 400));
    let truth = history.truth(history.end);
    let catalog = schemas();
    let rules = rules(&catalog);
    for batch_rows in [1, 7, 50] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        write_log(&log, &history.records);
        let detection = Detection {
            batch_rows,
            cache_bytes: 0,
            ..Detection::over(&log, folder.path())
        };
        let what = format!("{batch_rows} rows in a micro-batch");
        let detected = detection.run(&catalog, &rules);
        assert_same(&detected, &truth, history.end, &what);
        assert_nothing_false(&history, &detected, &what);
        assert_in_time(&detected, &what);
    }
    for runs in [2, 25] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let mut last = None;
        for run in 1..=runs {
            write_log(&log, &history.records[..history.records.len() * run / runs]);
            last = Some(Detection::over(&log, folder.path()).run(&catalog, &rules));
        }
        let what = format!("{runs} runs");
        assert_same(last.as_ref().unwrap(), &truth, history.end, &what);
        assert_nothing_false(&history, &last.unwrap(), &what);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut detection = Detection::over(folder.path(), folder.path());
    detection.inputs.clear();
    for source in Source::ALL {
        let log = folder.path().join(format!("{}.jsonl", source.name()));
        let own = history
            .records
            .iter()
            .filter(|record| record.source == source);
        write_log(&log, &own.copied().collect::<Vec<_>>());
        detection.inputs.push(log_file(&log));
    }
    let detected = detection.run(&catalog, &rules);
    assert_same(&detected, &truth, history.end, "a file for each source");
    assert_nothing_false(&history, &detected, "a file for each source");
}
