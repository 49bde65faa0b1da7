//! A snapshot with anything unreadable or missing never yields safe.

use std::sync::Arc;

use centinel_engine::audit::{Cut, Snapshot};
use centinel_engine::repair::{PlanInput, RepairPlan, Verdict, plan};
use centinel_tests::{rules, schemas};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
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

/// Each column of each table in turn: none of its rows may be touched by the plan, and it is unreadable all the same.
#[test]
fn a_damaged_column_that_rules_read_is_never_safe() {
    let platform = Platform::new(52, 200, 0);
    let lines = harmless(&platform);
    assert_eq!(
        try_it(platform.folder.path(), &lines)
            .unwrap()
            .result
            .verdict,
        Verdict::Safe
    );
    let catalog = schemas();
    let rules = rules(&catalog);
    let mut tried = 0;
    for name in [
        "payment",
        "settlement",
        "refund",
        "cash_out",
        "payment_completed",
    ] {
        let id = catalog.table_id(name).unwrap();
        let table = catalog.table(id);
        let read = |column: usize| {
            let mut uses = rules.iter().flat_map(|rule| &rule.reads);
            uses.any(|used| used.table == id && used.columns.contains(&column))
        };
        let bytes = std::fs::read(platform.path(&format!("{name}.parquet"))).unwrap();
        let file = std::fs::File::open(platform.path(&format!("{name}.parquet"))).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for chunk in reader.metadata().row_group(0).columns() {
            let column = table.column_index(&chunk.column_path().string()).unwrap();
            if !read(column) && !table.primary_key.contains(&column) {
                continue;
            }
            let start = usize::try_from(chunk.byte_range().0).unwrap();
            let mut broken = bytes.clone();
            broken[start..start + 16].fill(0xFF);
            let folder = platform.written(&Default::default());
            std::fs::write(folder.path().join(format!("{name}.parquet")), broken).unwrap();
            if let Some(plan) = try_it(folder.path(), &lines) {
                let column = chunk.column_path().string();
                assert_ne!(plan.result.verdict, Verdict::Safe, "{name}.{column}");
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
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
