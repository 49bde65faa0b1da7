//! The databases purge their logs while Centinel stands still: the gap is told, and nothing false comes of it.

use std::time::{Duration, Instant};

use centinel_engine::detect::InputOptions;
use centinel_tests::platform::{LONG, Platform, Watching};
use data_fixtures::write::sql::database;
use data_fixtures::{Delivered, Record, SECOND, Source, Table};
use test_servers::MariaDb;

use crate::{
    assert_nothing_false, begin, broken, judged_by, open, slow_history, told_holes, wait_for,
    watching,
};

const DATABASES: usize = Source::ALL.len() - 1;

#[test]
fn a_log_that_was_purged_unread_is_a_gap_and_a_snapshot_brings_its_rows_back() {
    let (sure, unsure, truth) = purged(27, true);
    let known: Vec<_> = sure.union(&unsure).cloned().collect();
    let missed: Vec<_> = truth
        .iter()
        .filter(|broken| !known.contains(broken))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_log_that_was_purged_unread_is_a_gap_and_what_may_lack_its_rows_is_not_judged() {
    let (_, unsure, truth) = purged(28, false);
    let explained = unsure.iter().filter(|open| truth.contains(*open)).count();
    assert!(
        explained < unsure.len(),
        "rows are missing, so orders look broken that are not"
    );
}

type Keys = std::collections::BTreeSet<(String, Vec<String>)>;

/// What is open at the end for sure, and what could not be judged; and what is broken.
fn purged(seed: u64, snapshot: bool) -> (Keys, Keys, Keys) {
    let mut platform = Platform::start();
    let history = slow_history(seed, 1_500);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = platform.addresses().inputs();
    for input in &mut inputs {
        if let InputOptions::Binlog(options) = input {
            options.snapshot = snapshot;
        }
    }
    let watching = || watching(inputs.clone(), folder.path(), &judged, &history);
    begin(watching(), &mut platform, &history);

    let third = history.records.len() / 3;
    let (read, others) = history.records.split_at(third);
    let (unread, rest) = others.split_at(third);
    let reached = read[third - 1].record.committed_at() - 20 * SECOND;
    let reading = Watching {
        until: reached,
        ..watching()
    };
    let live = &mut platform;
    let detected = reading.run(&|_| {}, |_| live.live(read)).unwrap();
    assert_eq!(detected.holes, 0);
    let sure_before = open(&detected, true);
    assert!(!sure_before.is_empty());

    platform.live(unread);
    purge(&platform.mariadb);
    let there = match snapshot {
        true => rows(&platform.mariadb) + events(unread),
        false => 0,
    };
    let live = &mut platform;
    let detected = watching()
        .run(&|_| {}, |read| {
            // What comes while snapshots are taken stands in them.
            wait_for(read, there);
            for part in rest.chunks(rest.len().div_ceil(10)) {
                live.live(part);
            }
            live.say_that_it_ended(history.end);
        })
        .unwrap();
    let told = told_holes(&detected);
    assert_eq!((told.len(), detected.holes), (DATABASES, DATABASES as u64));
    for hole in told {
        assert_eq!(hole["reason"], "gap");
        let message = hole["message"].as_str().unwrap();
        assert!(
            message.contains("purged its log before it was read"),
            "{message}"
        );
    }
    let truth = history.truth(history.end);
    assert_nothing_false(&detected, &truth);
    let (sure, unsure) = (open(&detected, true), open(&detected, false));
    assert!(sure_before.is_subset(&sure), "what was sure stays so");
    assert!(
        sure.len() > sure_before.len(),
        "what came behind the gap is judged"
    );
    assert!(!unsure.is_empty(), "what lived through the gap is not");
    (sure, unsure, broken(&truth))
}

/// How many rows all tables of the platform have.
fn rows(server: &MariaDb) -> u64 {
    let tables = Table::ALL.iter();
    let tables = tables.filter(|table| table.source() != Source::BusinessEvents);
    let counted = tables.map(|table| {
        let name = format!("{}.{}", database(table.source()), table.name());
        let rows = server.query(&format!("SELECT COUNT(*) FROM {name}"));
        rows[0][0].as_deref().unwrap().parse::<u64>().unwrap()
    });
    counted.sum()
}

fn events(records: &[Delivered]) -> u64 {
    let records = records.iter();
    records
        .filter(|record| matches!(record.record, Record::Event(_)))
        .count() as u64
}

/// Takes away all logs but an empty one.
fn purge(server: &MariaDb) {
    server.execute("FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    let last = server.query("SHOW BINARY LOGS").pop().unwrap()[0].clone();
    let last = last.unwrap();
    // The server keeps a log as long as it believes that somebody reads it.
    let since = Instant::now();
    while server.query("SHOW BINARY LOGS").len() > 1 {
        assert!(since.elapsed() < LONG);
        server.execute(&format!("PURGE BINARY LOGS TO '{last}'"));
        std::thread::sleep(Duration::from_millis(100));
    }
}
