//! A snapshot with anything unreadable or missing never yields safe.

use std::sync::Arc;

use centinel_engine::audit::{Cut, Snapshot};
use centinel_engine::repair::{PlanInput, RepairPlan, Verdict, plan};
use centinel_tests::{rules, schemas};
use serde_json::Value;

use crate::platform::*;

/// A change that is safe on the whole snapshot: an order's business code, which no rule compares.
fn harmless(platform: &Platform) -> Vec<Value> {
    let quiet = platform.rows["payment"]
        .iter()
        .filter(|row| row["status"].as_deref() == Some("PAID"));
    quiet
        .take(20)
        .map(|row| {
            update(
                platform,
                "payment",
                row,
                &[("business_code", Some("B9".into()))],
            )
        })
        .collect()
}

fn try_it(folder: &std::path::Path, lines: &[Value]) -> Option<RepairPlan> {
    let catalog = schemas();
    let snapshot = Arc::new(Snapshot::open(&folder.display().to_string(), &[]).ok()?);
    let input = PlanInput {
        catalog: &catalog,
        schemas_digest: "schemas",
        rules: &rules(&catalog),
        only: &[],
        snapshot: &snapshot,
        changes: &changes_of(&catalog, lines),
        options: &options(Cut::Manifest),
    };
    plan(&input).ok()
}

#[test]
fn a_harmless_plan_is_safe_on_a_whole_snapshot_only() {
    let platform = Platform::new(51, 200, 0);
    let lines = harmless(&platform);
    let whole = try_it(platform.folder.path(), &lines).unwrap();
    assert_eq!(whole.result.verdict, Verdict::Safe, "{:?}", whole.result);
    let files: Vec<String> = std::fs::read_dir(platform.folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".parquet"))
        .collect();
    assert!(files.len() > 8);
    for name in &files {
        let bytes = std::fs::read(platform.path(name)).unwrap();
        let broken: [(&str, Option<Vec<u8>>); 4] = [
            ("missing", None),
            ("empty", Some(Vec::new())),
            ("cut off", Some(bytes[..bytes.len() / 2].to_vec())),
            (
                "without its footer",
                Some(bytes[..bytes.len() - 20].to_vec()),
            ),
        ];
        for (what, content) in broken {
            let folder = platform.written(&Default::default());
            let path = folder.path().join(name);
            match content {
                None => std::fs::remove_file(&path).unwrap(),
                Some(content) => std::fs::write(&path, content).unwrap(),
            }
            if let Some(plan) = try_it(folder.path(), &lines) {
                assert_ne!(plan.result.verdict, Verdict::Safe, "{name} {what}");
            }
        }
    }
    // Rows that the manifest promises and that are not there.
    let mut rows = platform.rows.clone();
    rows.get_mut("refund").unwrap().pop();
    let folder = platform.written(&rows);
    std::fs::copy(
        platform.path("manifest.json"),
        folder.path().join("manifest.json"),
    )
    .unwrap();
    let plan = try_it(folder.path(), &lines).unwrap();
    assert_ne!(plan.result.verdict, Verdict::Safe);
    // Without a moment nobody knows what is on its way.
    let folder = platform.written(&Default::default());
    std::fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let plan = try_it(folder.path(), &lines).unwrap();
    assert_eq!(plan.result.verdict, Verdict::CouldNotJudge);
}

#[test]
fn bytes_that_are_damaged_are_unsafe_or_not_read_at_all() {
    let platform = Platform::new(52, 200, 0);
    let lines = harmless(&platform);
    let whole = try_it(platform.folder.path(), &lines).unwrap();
    for name in ["payment", "settlement", "refund", "payment_completed"] {
        let bytes = std::fs::read(platform.path(&format!("{name}.parquet"))).unwrap();
        for part in 1..12 {
            let folder = platform.written(&Default::default());
            let mut broken = bytes.clone();
            let at = bytes.len() * part / 12;
            let end = (at + 64).min(bytes.len());
            broken[at..end].iter_mut().for_each(|byte| *byte ^= 0xA5);
            std::fs::write(folder.path().join(format!("{name}.parquet")), broken).unwrap();
            if let Some(plan) = try_it(folder.path(), &lines) {
                assert_ne!(plan.id, whole.id, "{name} at {at}");
                let same = plan.result.verdict == Verdict::Safe;
                // What is safe all the same was not read: the answer is that of the whole files.
                assert!(
                    !same || plan.result.violations.untouched == whole.result.violations.untouched,
                    "{name} at {at}"
                );
            }
        }
    }
}

#[test]
fn a_table_that_no_rule_reads_is_judged_by_nobody() {
    let platform = Platform::new(53, 100, 0);
    let catalog = schemas();
    let few: Vec<_> = rules(&catalog)
        .into_iter()
        .filter(|rule| rule.id == "order-paid-once")
        .collect();
    let row = &platform.rows["billing"][0];
    let line = update(
        &platform,
        "billing",
        row,
        &[("merchant_no", Some("M9".into()))],
    );
    let plan = tried(
        &catalog,
        &few,
        platform.folder.path(),
        &changes_of(&catalog, &[line]),
        Cut::Manifest,
    );
    assert_eq!(plan.result.verdict, Verdict::CouldNotJudge);
    assert!(
        plan.result
            .could_not_judge
            .iter()
            .any(|told| told.reason.contains("no rule looks at billing"))
    );
}
