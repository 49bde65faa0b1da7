//! All of it, undisturbed.

use std::sync::Arc;

use centinel_engine::audit::{AuditOptions, Cut, Snapshot, audit};
use centinel_model::Timestamp;
use centinel_tests::platform::{Platform, wall_clock};
use centinel_tests::{Found, History};
use data_fixtures::Delivered;

use crate::{assert_true, history_from, judged_by, watching};

/// A history that began some time ago, and the time that is now: rows of a snapshot are not younger than it.
fn history_around_now() -> (History, i64) {
    let now = wall_clock().0;
    let trial = history_from(21, 2_000, now);
    let third = trial.records[trial.records.len() / 3].record.committed_at();
    (history_from(21, 2_000, now - (third - now)), now)
}

#[test]
fn detection_finds_what_was_planted_and_what_an_audit_of_the_tables_finds() {
    let mut platform = Platform::start();
    let (history, present) = history_around_now();
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let inputs = platform.addresses().inputs();
    // A part is there before detection begins, and comes by snapshots.
    let past = |record: &Delivered| record.record.committed_at() <= present;
    let (before, after) = history
        .records
        .split_at(history.records.partition_point(past));
    assert!(before.len() > 1_000 && after.len() > 1_000);
    platform.live(before);
    let watching = watching(inputs, folder.path(), &judged, &history);
    let platform = &mut platform;
    let detected = watching
        .run(&|_| {}, |_| {
            for part in after.chunks(after.len().div_ceil(20)) {
                platform.live(part);
            }
            platform.say_that_it_ended(history.end);
        })
        .unwrap();
    assert_true(&detected, &judged.1, &history);

    let snapshot = tempfile::tempdir().unwrap();
    platform.snapshot(&judged.0, &history.records, snapshot.path());
    let opened = Snapshot::open(&snapshot.path().display().to_string(), &[]).unwrap();
    let options = AuditOptions {
        cut: Cut::AsOf(Timestamp(history.end)),
        ..AuditOptions::default()
    };
    let report = audit(&judged.0, &judged.1, &Arc::new(opened), &options, &|_| ()).unwrap();
    assert!(
        report.could_not_judge.is_empty(),
        "{:?}",
        report.could_not_judge
    );
    let audited = report.findings.iter().map(Found::of).collect();
    assert_eq!(detected.certain(&judged.1, history.end), audited);
}
