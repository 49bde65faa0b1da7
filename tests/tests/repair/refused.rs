//! What makes an approval invalid.

use std::path::Path;

use centinel_engine::audit::Cut;
use centinel_engine::repair::{
    Approver, PlanInput, RepairPlan, Verdict, append_approval, approval, judged_by, read_approvals,
    refusals,
};
use centinel_model::{Duration, Timestamp};
use centinel_tests::{rules, schemas};

use crate::platform::*;

fn approver(despite: Option<&str>) -> Approver {
    Approver {
        by: "Wei".into(),
        reason: None,
        despite: despite.map(str::to_owned),
        window: Duration::seconds(3_600),
        now: Timestamp(1_900_000_000_000_000),
    }
}

fn refused(
    plan: &RepairPlan,
    folder: &Path,
    schemas_digest: &str,
    left_out: &str,
    approver: &Approver,
) -> String {
    let catalog = schemas();
    let mut rules = rules(&catalog);
    rules.retain(|rule| rule.id != left_out);
    let snapshot = open(folder);
    let by_now = judged_by(&PlanInput {
        catalog: &catalog,
        schemas_digest,
        rules: &rules,
        only: &[],
        snapshot: &snapshot,
        changes: &Default::default(),
        options: &options(Cut::Manifest),
    });
    refusals(&catalog, plan, &snapshot, &by_now, approver, 2).join("\n")
}

#[test]
fn a_changed_file_rule_schema_or_plan_is_refused() {
    let platform = Platform::new(61, 100, 0);
    let catalog = schemas();
    let row = platform.rows["payment"]
        .iter()
        .find(|row| row["status"].as_deref() == Some("PAID"))
        .unwrap();
    let line = update(
        &platform,
        "payment",
        row,
        &[("business_code", Some("B9".into()))],
    );
    let plan = tried(
        &catalog,
        &rules(&catalog),
        platform.folder.path(),
        &changes_of(&catalog, &[line]),
        Cut::Manifest,
    );
    assert_eq!(plan.result.verdict, Verdict::Safe, "{:?}", plan.result);
    let folder = platform.folder.path();
    let by = approver(None);
    assert_eq!(refused(&plan, folder, "schemas", "", &by), "");
    assert!(refused(&plan, folder, "others", "", &by).contains("the schemas have changed"));
    assert!(refused(&plan, folder, "schemas", "order-paid-once", &by).contains("order-paid-once"));

    let text = serde_json::to_string_pretty(&plan).unwrap();
    assert_eq!(RepairPlan::read(&text).unwrap().id, plan.id);
    for (from, to) in [("\"B9\"", "\"B8\""), ("\"safe\"", "\"unsafe\"")] {
        assert!(text.contains(from));
        assert!(
            RepairPlan::read(&text.replace(from, to))
                .unwrap_err()
                .contains("changed after it was planned")
        );
    }
    assert!(
        RepairPlan::read(&text.replace("repair-plan/1", "repair-plan/9"))
            .unwrap_err()
            .contains("not a form")
    );

    // One byte in a page, with the same length and time.
    let path = platform.path("refund.parquet");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert!(refused(&plan, folder, "schemas", "", &by).contains("refund.parquet"));
    std::fs::remove_file(&path).unwrap();
    assert!(refused(&plan, folder, "schemas", "", &by).contains("refund.parquet"));
}

#[test]
fn what_is_not_safe_needs_a_reason_and_every_approval_is_a_line() {
    let platform = Platform::new(62, 100, 0);
    let catalog = schemas();
    let row = platform.rows["payment"]
        .iter()
        .find(|row| row["status"].as_deref() == Some("PAID"))
        .unwrap();
    let line = update(
        &platform,
        "payment",
        row,
        &[("amount", Some("0.01".into()))],
    );
    let plan = tried(
        &catalog,
        &rules(&catalog),
        platform.folder.path(),
        &changes_of(&catalog, &[line]),
        Cut::Manifest,
    );
    assert_eq!(plan.result.verdict, Verdict::Unsafe);
    let folder = platform.folder.path();
    assert!(refused(&plan, folder, "schemas", "", &approver(None)).contains("--despite"));
    let by = approver(Some("the bank asked for it"));
    assert_eq!(refused(&plan, folder, "schemas", "", &by), "");

    let file = folder.join("approvals.jsonl");
    let first = approval(&plan, Path::new("plan.json"), &by);
    append_approval(&file, &first).unwrap();
    // A line that a crash cut off takes no neighbour with it.
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"schema\":");
    std::fs::write(&file, &text).unwrap();
    append_approval(&file, &first).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let (approvals, broken) = read_approvals(&text);
    assert_eq!(approvals, [first.clone(), first.clone()]);
    assert_eq!(broken, [2]);
    assert_eq!(first.plan, plan.id);
    assert_eq!(first.despite.as_deref(), Some("the bank asked for it"));
    assert!(first.until > first.approved_at);
}
