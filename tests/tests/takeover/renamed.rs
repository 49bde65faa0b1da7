//! A column that the platform renamed, and its schema after it: rows from before say nothing under the new name.

use std::collections::BTreeSet;

use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::Until;
use centinel_model::{Timestamp, Verdict};
use centinel_outlet::archive::ArchiveOptions;
use centinel_tests::{Detected, Detection};

use crate::{PAYMENT, Small, line, rule, word};

/// Rules over how an order was paid, whatever the column is called.
fn rules_over(
    catalog: &centinel_catalog::Catalog,
    column: &str,
) -> Vec<std::sync::Arc<centinel_rules::Rule>> {
    let paid = |condition: String| {
        format!("SELECT order_no, payment_no FROM payment WHERE {column} {condition}")
    };
    [("unpaid", "IS NULL"), ("by-voucher", "= 'VOUCHER'")]
        .map(|(id, condition)| rule(catalog, id, &paid(condition.to_owned())))
        .into()
}

/// What was told so, by rule and order.
fn told(detected: &Detected, verdict: Verdict) -> BTreeSet<String> {
    let told = detected.told(verdict).into_iter();
    told.map(|finding| format!("{} {}", finding.rule, finding.entity_key))
        .collect()
}

fn set(told: &[&str]) -> BTreeSet<String> {
    told.iter().map(|told| (*told).to_owned()).collect()
}

fn row(number: u64, more: &str) -> String {
    format!("\"payment_no\":\"P{number}\",\"order_no\":\"O{number}\"{more}")
}

#[test]
fn rows_from_before_a_column_was_renamed_are_not_judged_by_it() {
    let small = Small::new();
    let with = |column: &str| {
        let schema = format!("{PAYMENT}  {column}: {{ type: text, nullable: true }}\n");
        small.catalog(&[("payment.yaml", &schema)])
    };
    let archive = ArchiveOptions::new(
        small.0.path().join("archive").display().to_string(),
        small.0.path().join("spool"),
    );
    let run = |log: &str, column: &str| {
        let catalog = with(column);
        let detection = Detection {
            until: Until::Now,
            archive: Some(archive.clone()),
            ..small.detection(log)
        };
        detection.run(&catalog, &rules_over(&catalog, column))
    };
    let paid = |number: u64, how: &str| line(number, "payment", &row(number, how));
    let mut log =
        paid(1, ",\"channel\":\"CARD\"") + &paid(2, ",\"channel\":\"VOUCHER\"") + &word(3);
    let before = run(&log, "channel");
    assert_eq!(told(&before, Verdict::Confirmed), set(&["by-voucher O2"]));

    // The rows that are in state have null under the new name, which is no value.
    log += &(paid(4, "") + &paid(5, ",\"way\":\"VOUCHER\"") + &word(6));
    let after = run(&log, "way");
    assert_eq!(
        told(&after, Verdict::Confirmed),
        set(&["by-voucher O2", "unpaid O4", "by-voucher O5"])
    );
    assert_eq!(
        told(&after, Verdict::RuleChanged),
        set(&[]),
        "what stood for sure is not taken back unseen"
    );
    let unsure = told(&after, Verdict::Undetermined);
    assert!(
        unsure.contains("unpaid O1") && unsure.contains("unpaid O2"),
        "{unsure:?}"
    );
    assert!(
        !unsure.iter().any(|told| told.ends_with("O4")),
        "{unsure:?}"
    );
    for finding in after.told(Verdict::Undetermined) {
        let hint = finding.hint.unwrap();
        assert!(hint.contains("came without `way`"), "{hint}");
    }

    // As soon as a row is seen again, it is judged.
    log += &(line(7, "payment", &row(1, ",\"way\":\"CARD\""))
        + &line(8, "payment", &row(2, ",\"way\":\"CARD\""))
        + &word(9));
    let seen = run(&log, "way");
    assert_eq!(seen.holes, 0, "{:#?}", seen.messages);
    let open: BTreeSet<(&str, &str, bool)> = seen
        .open
        .iter()
        .map(|open| (open.rule.as_str(), open.key[0].as_str(), open.confirmed))
        .collect();
    let wanted = [("by-voucher", "O5", true), ("unpaid", "O4", true)];
    assert_eq!(open, wanted.into());

    // Nor is the archive judged by nulls of that time.
    let catalog = with("way");
    let cut = ArchiveCut {
        location: archive.location.clone(),
        store_options: Vec::new(),
        at: Timestamp::parse("2026-11-22T08:00:05Z").unwrap(),
    };
    let ended = Detection {
        until: Until::End,
        archive: Some(archive.clone()),
        ..small.detection(&log)
    };
    ended.run(&catalog, &rules_over(&catalog, "way"));
    let options = AuditOptions::default();
    let rules = rules_over(&catalog, "way");
    let report = audit_archive(&catalog, &rules, &cut, &options, &|_| ()).unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(
        report.could_not_judge.len(),
        2,
        "{:#?}",
        report.could_not_judge
    );
    for unjudged in report.could_not_judge {
        let reason = unjudged.reason;
        assert!(reason.contains("had `channel` and not `way`"), "{reason}");
    }
}

/// A column that only came is null in earlier rows, as it is on the platform.
#[test]
fn a_column_that_came_alone_is_judged() {
    let small = Small::new();
    let narrow = small.catalog(&[("payment.yaml", PAYMENT)]);
    let any = "SELECT order_no, payment_no FROM payment WHERE payment_no = 'none'";
    let mut log = line(1, "payment", &row(1, "")) + &word(2);
    small
        .detection(&log)
        .run(&narrow, &[rule(&narrow, "any", any)]);
    let wide = format!("{PAYMENT}  way: {{ type: text, nullable: true }}\n");
    let wide = small.catalog(&[("payment.yaml", &wide)]);
    log += &word(3);
    let after = small.detection(&log).run(&wide, &rules_over(&wide, "way"));
    assert_eq!(told(&after, Verdict::Confirmed), set(&["unpaid O1"]));
    assert_eq!(told(&after, Verdict::Undetermined), set(&[]));
}
