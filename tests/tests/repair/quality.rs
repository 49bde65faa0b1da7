//! Each thing that may be wrong with a plan and the data it touches is told, and makes it unsafe or not judged.

use std::collections::BTreeSet;

use centinel_engine::audit::Cut;
use centinel_engine::repair::{QualityKind, RepairPlan, Verdict};
use centinel_model::{Duration, Timestamp};
use centinel_tests::{rules, schemas};
use serde_json::{Value, json};

use crate::platform::*;

fn try_it(platform: &Platform, lines: &[Value]) -> RepairPlan {
    let catalog = schemas();
    let changes = changes_of(&catalog, lines);
    tried(
        &catalog,
        &rules(&catalog),
        platform.folder.path(),
        &changes,
        Cut::Manifest,
    )
}

fn kinds(plan: &RepairPlan) -> BTreeSet<QualityKind> {
    plan.result.quality.counts.keys().copied().collect()
}

fn healthy(platform: &Platform) -> &Row {
    // A settled payment whose order has no refund, so that its numbers are plain.
    let refunded: BTreeSet<_> = platform.rows["refund"]
        .iter()
        .map(|row| row["order_no"].clone())
        .collect();
    let found = platform.rows["settlement"].iter().find(|row| {
        row["status"].as_deref() == Some("SETTLED") && !refunded.contains(&row["order_no"])
    });
    found.unwrap()
}

#[test]
fn what_is_wrong_with_a_row_is_told() {
    let platform = Platform::new(31, 300, 0);
    let settled = healthy(&platform);
    let payment = platform.rows["payment"]
        .iter()
        .find(|row| row["order_no"] == settled["order_no"])
        .unwrap();
    let entry = platform.rows["accounting_entry"]
        .iter()
        .find(|row| row["settlement_no"] == settled["settlement_no"])
        .unwrap();
    let some = |text: &str| Some(text.to_owned());
    let amount: i64 = settled["amount"].as_deref().unwrap().parse().unwrap();
    let missing = json!({"table": "payment", "operation": "delete", "key": {"payment_no": "P0"}});
    let differs = json!({"table": "settlement", "operation": "update", "key": {"settlement_no": settled["settlement_no"]},
        "old": {"amount": amount + 1}, "new": {"amount": amount + 2}});
    let exists = json!({"table": "settlement", "operation": "insert", "key": {}, "new": settled});
    let null = json!({"table": "settlement", "operation": "update", "key": {"settlement_no": settled["settlement_no"]},
        "old": {"kind": settled["kind"]}, "new": {"kind": null}});
    let large = json!({"table": "payment", "operation": "update", "key": {"payment_no": payment["payment_no"]},
        "old": {"amount": payment["amount"]}, "new": {"amount": "12.345"}});
    let twice = update(&platform, "payment", payment, &[("status", some("CLOSED"))]);
    let cases = [
        (vec![missing], QualityKind::MissingRow),
        (vec![differs], QualityKind::OldValueDiffers),
        (vec![exists], QualityKind::KeyExists),
        (vec![twice.clone(), twice], QualityKind::RepeatedChange),
        (vec![null], QualityKind::NullInRequired),
        (
            vec![update(&platform, "payment", payment, &[("order_no", None)])],
            QualityKind::NullInKey,
        ),
        (
            vec![update(
                &platform,
                "settlement",
                settled,
                &[("status", some("CREATED"))],
            )],
            QualityKind::ForbiddenTransition,
        ),
        (
            vec![update(
                &platform,
                "settlement",
                settled,
                &[("status", some("DONE"))],
            )],
            QualityKind::UnknownState,
        ),
        (vec![large], QualityKind::OutOfRange),
        (
            vec![update(
                &platform,
                "settlement",
                settled,
                &[("amount", Some((amount * 100).to_string()))],
            )],
            QualityKind::WrongUnit,
        ),
        (
            vec![update(
                &platform,
                "accounting_entry",
                entry,
                &[("settlement_no", some("S0"))],
            )],
            QualityKind::Orphan,
        ),
        (
            vec![
                json!({"table": "settlement", "operation": "delete", "key": {"settlement_no": settled["settlement_no"]}}),
            ],
            QualityKind::Orphan,
        ),
    ];
    for (lines, kind) in cases {
        let plan = try_it(&platform, &lines);
        assert!(
            kinds(&plan).contains(&kind),
            "{kind:?}: {:?}",
            plan.result.quality
        );
        assert_eq!(plan.result.verdict, Verdict::Unsafe, "{kind:?}");
        assert!(!plan.result.reasons.is_empty());
    }
}

#[test]
fn a_row_that_still_changes_is_not_judged() {
    let platform = Platform::new(32, 300, 0);
    let settled = healthy(&platform);
    let mut payments = platform.rows["payment"].iter();
    let payment = payments.find(|row| row["order_no"] == settled["order_no"]);
    let payment = payment.unwrap();
    let changed = Timestamp::parse(payment["updated_at"].as_deref().unwrap()).unwrap();
    let line = update(
        &platform,
        "payment",
        payment,
        &[("business_code", Some("B9".into()))],
    );
    let catalog = schemas();
    let changes = changes_of(&catalog, &[line]);
    let plan_as_of = |seconds| {
        let cut = Cut::AsOf(changed.plus(Duration::seconds(seconds)));
        tried(
            &catalog,
            &rules(&catalog),
            platform.folder.path(),
            &changes,
            cut,
        )
    };
    let early = plan_as_of(10);
    assert!(
        kinds(&early).contains(&QualityKind::StillChanging),
        "{:?}",
        early.result
    );
    assert_eq!(
        early.result.verdict,
        Verdict::CouldNotJudge,
        "{:?}",
        early.result.reasons
    );
    let late = plan_as_of(7_200);
    assert!(!kinds(&late).contains(&QualityKind::StillChanging));
}

#[test]
fn a_key_that_the_snapshot_repeats_is_not_judged() {
    let platform = Platform::new(33, 200, 0);
    let row = platform.rows["payment"][5].clone();
    let mut rows = platform.rows.clone();
    rows.get_mut("payment").unwrap().push(row.clone());
    let folder = platform.written(&rows);
    let catalog = schemas();
    let change = update(
        &platform,
        "payment",
        &row,
        &[("business_code", Some("B9".into()))],
    );
    let plan = tried(
        &catalog,
        &rules(&catalog),
        folder.path(),
        &changes_of(&catalog, &[change]),
        Cut::Manifest,
    );
    assert!(kinds(&plan).contains(&QualityKind::RepeatedKey));
    assert_ne!(plan.result.verdict, Verdict::Safe);
}

/// The plan that mends a unit mismatch is safe, though its amounts change by exactly 100; half of it is not.
#[test]
fn a_unit_mismatch_is_mended_whole_or_not_at_all() {
    let platform = Platform::new(34, 300, 0);
    let settled = healthy(&platform).clone();
    let amount: i64 = settled["amount"].as_deref().unwrap().parse().unwrap();
    let mut rows = platform.rows.clone();
    let number = &settled["settlement_no"];
    for row in rows
        .get_mut("settlement")
        .unwrap()
        .iter_mut()
        .filter(|row| row["settlement_no"] == *number)
    {
        row.insert("amount".into(), Some((amount * 100).to_string()));
    }
    for row in rows
        .get_mut("accounting_entry")
        .unwrap()
        .iter_mut()
        .filter(|row| row["settlement_no"] == *number)
    {
        row.insert("amount".into(), Some((amount * 100).to_string()));
    }
    let folder = platform.written(&rows);
    let catalog = schemas();
    let line = |table: &str, key: &str, value: &Option<String>| {
        json!({"table": table, "operation": "update", "key": {key: value},
        "old": {"amount": amount * 100}, "new": {"amount": amount}})
    };
    let entries: Vec<Value> = rows["accounting_entry"]
        .iter()
        .filter(|row| row["settlement_no"] == *number)
        .map(|row| line("accounting_entry", "entry_no", &row["entry_no"]))
        .collect();
    assert_eq!(entries.len(), 2);
    let whole: Vec<Value> = std::iter::once(line("settlement", "settlement_no", number))
        .chain(entries)
        .collect();
    // The rules of orders alone: the cash-out that took the row knew the wrong amount or the right one by itself.
    let of_orders: Vec<_> = rules(&catalog)
        .into_iter()
        .filter(|rule| catalog.entity(rule.entity).name == "order" && !rule.id.contains("event"))
        .collect();
    let plan = |lines: &[Value]| {
        tried(
            &catalog,
            &of_orders,
            folder.path(),
            &changes_of(&catalog, lines),
            Cut::Manifest,
        )
    };
    let mended = plan(&whole);
    assert_eq!(mended.result.verdict, Verdict::Safe, "{:?}", mended.result);
    assert!(!mended.result.violations.fixed.is_empty());
    let totals = &mended.result.money.totals;
    let entries = totals
        .iter()
        .find(|total| total.table == "accounting_entry")
        .unwrap();
    assert!(
        entries.conserved,
        "a debit and a credit move alike: {totals:?}"
    );
    let settlements = totals
        .iter()
        .find(|total| total.table == "settlement")
        .unwrap();
    assert!(!settlements.conserved);
    assert_eq!(mended.result.rows["accounting_entry"].updated, 2);
    assert_eq!(mended.result.entities["order"], 1);
    // Without its entries the settlement is right and they are wrong.
    let half = plan(&whole[..1]);
    assert_eq!(half.result.verdict, Verdict::Unsafe, "{:?}", half.result);
    assert!(
        half.result
            .violations
            .introduced
            .iter()
            .any(|introduced| introduced.rule == "settlement-entries-add-up")
    );
    // One of two entries: what they add up to moves, and the report says whose.
    let lopsided = plan(&whole[..2]);
    let totals = &lopsided.result.money.totals;
    assert!(
        !totals
            .iter()
            .find(|total| total.table == "accounting_entry")
            .unwrap()
            .conserved
    );
    assert!(
        lopsided
            .result
            .money
            .moved
            .iter()
            .any(|moved| moved.account.is_some())
    );
    assert!(
        lopsided
            .result
            .money
            .moved
            .iter()
            .any(|moved| moved.merchant == settled["merchant_no"])
    );
}
