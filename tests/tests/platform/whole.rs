//! All of it, undisturbed.

use std::sync::Arc;

use centinel_engine::audit::{AuditOptions, Cut, Snapshot, audit};
use centinel_model::Timestamp;
use centinel_tests::Found;
use centinel_tests::platform::Platform;

use crate::{assert_true, history, judged_by, watching};

#[test]
fn detection_finds_what_was_planted_and_what_an_audit_of_the_tables_finds() {
    let mut platform = Platform::start();
    let history = history(21, 2_000);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let inputs = platform.addresses().inputs();
    // A part is there before detection begins, and comes by snapshots.
    let (before, after) = history.records.split_at(history.records.len() / 3);
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
