//! An audit finds in a snapshot what an independent auditor finds in the history behind it, and says of
//! everything else that it could not judge it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod quality;
mod taken;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use centinel_catalog::Catalog;
use centinel_engine::audit::{AuditOptions, Cut};
use centinel_model::{Severity, Timestamp};
use centinel_outlet::Report;
use centinel_tests::{Found, rules, schemas};
use data_fixtures::SECOND;
use data_fixtures::auditor::Ledger;

use taken::*;

/// A snapshot in a folder of its own, and the history behind it.
#[test]
fn a_snapshot_at_rest_equals_the_truth() {
    let taken = Taken::before_the_end(21, 0);
    let report = taken.audit();
    let truth = taken.history.truth(taken.moment);
    let broken: BTreeSet<&str> = truth.iter().map(|found| found.rule.as_str()).collect();
    assert!(broken.len() > 30, "{}", broken.len());
    assert_same(&report, &truth);
    assert_eq!(reasons(&report), "");
    assert_eq!(report.in_flight, []);
    assert_eq!(report.exit_status(Severity::Error), 2);
    for rule in &report.rules {
        let amounts = report
            .findings
            .iter()
            .filter(|finding| finding.rule == rule.rule);
        assert_eq!(rule.findings, amounts.count() as u64, "{}", rule.rule);
        assert!(rule.rows_checked > 0, "{}", rule.rule);
    }
}

#[test]
fn a_snapshot_in_flight_equals_the_truth_as_of_its_cut() {
    // Well before the last rows, so that much is on its way.
    let taken = Taken::before_the_end(22, 960);
    let report = taken.audit();
    assert_same(&report, &taken.history.truth(taken.moment));
    let mut ledger = Ledger::default();
    for record in taken
        .history
        .records
        .iter()
        .filter(|record| record.record.committed_at() <= taken.moment)
    {
        ledger.apply(&record.record);
    }
    let on_its_way: BTreeSet<(String, Vec<String>)> = ledger
        .violations(taken.moment)
        .into_iter()
        .filter(|violation| !violation.is_certain(taken.moment))
        .map(|violation| (violation.rule.to_owned(), violation.key))
        .collect();
    assert!(on_its_way.len() >= 5, "{}", on_its_way.len());
    let listed: BTreeSet<(String, Vec<String>)> = report
        .in_flight
        .iter()
        .map(|each| {
            (
                each.rule.clone(),
                each.key.iter().map(|(_, value)| value.clone()).collect(),
            )
        })
        .collect();
    assert_eq!(listed, on_its_way);
    assert_eq!(reasons(&report), "");

    let at_rest = taken.audit_with(&AuditOptions {
        cut: Cut::AtRest,
        ..options()
    });
    assert_eq!(
        at_rest.findings.len(),
        report.findings.len() + on_its_way.len()
    );
    assert_eq!(at_rest.in_flight, []);
}

#[test]
fn spilled_rows_give_the_same_answer() {
    let taken = Taken::before_the_end(23, 900);
    let roomy = taken.audit();
    assert!(
        !roomy
            .notes
            .iter()
            .any(|note| note.contains("temporary files"))
    );
    for memory_bytes in [1 << 17, 1 << 20] {
        let narrow = taken.audit_with(&AuditOptions {
            memory_bytes,
            ..options()
        });
        assert!(
            narrow
                .notes
                .iter()
                .any(|note| note.contains("temporary files")),
            "{:?}",
            narrow.notes
        );
        assert_eq!(reasons(&narrow), "");
        assert_same(&narrow, &found(&roomy));
        assert_eq!(narrow.in_flight, roomy.in_flight);
    }
}

#[test]
fn one_thread_and_one_slice_give_the_same_answer() {
    let taken = Taken::before_the_end(24, 900);
    let one = taken.audit_with(&AuditOptions {
        threads: 1,
        slice_rows: u64::MAX,
        ..options()
    });
    assert_same(&one, &found(&taken.audit()));
}

#[test]
fn every_problem_is_listed_and_the_other_rules_are_judged() {
    let taken = Taken::before_the_end(25, 0);
    let whole = taken.audit();
    std::fs::remove_file(taken.path("refund.parquet")).unwrap();
    std::fs::write(
        taken.path("payment.parquet"),
        b"PAR1 this is not Parquet PAR1",
    )
    .unwrap();
    taken.rewrite("settlement", |rows| with_column(&rows, "kind", None));
    taken.rewrite("accounting_entry", |rows| {
        let amounts = cast(rows.column_by_name("amount").unwrap(), &DataType::Float64).unwrap();
        with_column(&rows, "amount", Some(amounts))
    });
    let report = taken.audit();
    let told = reasons(&report);
    for problem in [
        "refund: there is neither refund.parquet nor refund/**/*.parquet",
        "payment.parquet: cannot be read",
        "settlement.parquet: column kind is missing",
        "accounting_entry.parquet: column amount is Float64, and a float is never exact money",
    ] {
        assert!(told.contains(problem), "{problem} in {told}");
    }
    assert_eq!(report.exit_status(Severity::Critical), 3);
    let of_rule = |report: &Report| -> Vec<_> {
        let rule = "cash-out-reaches-final-state";
        report
            .findings
            .iter()
            .filter(|finding| finding.rule == rule)
            .cloned()
            .collect()
    };
    assert!(!of_rule(&whole).is_empty());
    assert_eq!(of_rule(&report), of_rule(&whole));
}

#[test]
fn a_table_that_fails_while_it_is_read_takes_only_its_rules_along() {
    let taken = Taken::before_the_end(26, 0);
    let path = taken.path("billing.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    // The footer is whole, the first pages are not.
    bytes[4..4_000].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let report = taken.audit();
    assert!(
        reasons(&report).contains("billing.parquet: "),
        "{}",
        reasons(&report)
    );
    let truth: BTreeSet<Found> = taken.history.truth(taken.moment);
    let reads_billing = |rule: &str| rule.contains("fee-") || rule.ends_with("-billed");
    let rest: BTreeSet<Found> = truth
        .into_iter()
        .filter(|found| !reads_billing(&found.rule))
        .collect();
    assert_same(&report, &rest);
    assert_eq!(report.exit_status(Severity::Error), 3);
}

#[test]
fn a_torn_snapshot_could_not_be_judged() {
    let taken = Taken::before_the_end(27, 0);
    taken.rewrite("refund", |rows| rows.slice(0, rows.num_rows() - 1));
    let report = taken.audit();
    assert!(
        reasons(&report).contains("refund: manifest.json promises"),
        "{}",
        reasons(&report)
    );
    assert_eq!(report.exit_status(Severity::Error), 3);
}

#[test]
fn an_empty_folder_is_a_missing_table() {
    let taken = Taken::before_the_end(28, 0);
    std::fs::remove_file(taken.path("payment.parquet")).unwrap();
    std::fs::create_dir(taken.path("payment")).unwrap();
    let report = taken.audit();
    assert!(
        reasons(&report).contains("payment: there is neither"),
        "{}",
        reasons(&report)
    );
    assert_eq!(report.exit_status(Severity::Error), 3);
}

#[test]
fn without_a_cut_nothing_is_judged_unless_all_is_at_rest() {
    let taken = Taken::before_the_end(29, 0);
    std::fs::remove_file(taken.path("manifest.json")).unwrap();
    let report = taken.audit();
    assert_eq!(report.exit_status(Severity::Error), 3);
    assert_eq!(report.findings, []);
    assert!(
        reasons(&report).contains("--as-of TIME, or --at-rest"),
        "{}",
        reasons(&report)
    );
    let truth = taken.history.truth(taken.moment);
    let as_of = AuditOptions {
        cut: Cut::AsOf(Timestamp(taken.moment)),
        ..options()
    };
    assert_same(&taken.audit_with(&as_of), &truth);
    assert_same(
        &taken.audit_with(&AuditOptions {
            cut: Cut::AtRest,
            ..options()
        }),
        &truth,
    );
}

#[test]
fn a_table_without_the_time_of_changes_needs_data_at_rest() {
    let taken = Taken::before_the_end(30, 0);
    let mut catalog = Catalog::clone(&schemas());
    let id = catalog.table_id("cash_out").unwrap();
    catalog.tables[usize::from(id.0)].changed_at = None;
    let catalog = Arc::new(catalog);
    let rules = rules(&catalog);
    let report = taken.audit_by(&catalog, &rules, &options());
    assert!(reasons(&report).contains("the schema of cash_out names no changed_at"));
    assert_eq!(report.exit_status(Severity::Error), 3);
    let at_rest = AuditOptions {
        cut: Cut::AtRest,
        ..options()
    };
    assert_same(
        &taken.audit_by(&catalog, &rules, &at_rest),
        &taken.history.truth(taken.moment),
    );
}

#[test]
fn partitions_are_columns() {
    let taken = Taken::before_the_end(31, 0);
    let rows = read(&taken.path("payment.parquet"));
    let channels = texts(&rows, "channel");
    for (number, channel) in ["WX", "ALI", "CARD", "VOUCHER", "CASH"]
        .into_iter()
        .enumerate()
    {
        let own: BooleanArray = channels
            .iter()
            .map(|value| Some(value == Some(channel)))
            .collect();
        let part = filter_record_batch(&rows, &own).unwrap();
        let path = format!("payment/channel={channel}/part-{number}.parquet");
        write(&taken.path(&path), &with_column(&part, "channel", None));
    }
    std::fs::remove_file(taken.path("payment.parquet")).unwrap();
    let report = taken.audit();
    assert_eq!(reasons(&report), "");
    assert_same(&report, &taken.history.truth(taken.moment));
    // Either one or the other.
    write(&taken.path("payment.parquet"), &rows);
    assert!(reasons(&taken.audit()).contains("there are both payment.parquet and payment/"));
}

#[test]
fn keys_meet_however_they_are_written() {
    let taken = Taken::before_the_end(32, 0);
    for (table, written) in [
        ("settlement", " {}\t"),
        ("refund", "{}  "),
        ("billing", "\u{3000}{}"),
    ] {
        taken.rewrite(table, |rows| {
            let keys = texts(&rows, "order_no");
            let keys: StringArray = keys
                .iter()
                .map(|key| key.map(|key| written.replace("{}", &key.to_lowercase())))
                .collect();
            with_column(&rows, "order_no", Some(Arc::new(keys)))
        });
    }
    let report = taken.audit();
    assert_same(&report, &taken.history.truth(taken.moment));
}

#[test]
fn rows_without_an_entity_are_counted() {
    let taken = Taken::before_the_end(33, 0);
    taken.forget_row_counts();
    taken.rewrite("billing", |rows| {
        let keys = texts(&rows, "order_no");
        let keys: StringArray = keys
            .iter()
            .enumerate()
            .map(|(row, key)| key.filter(|_| row >= 3))
            .collect();
        with_column(&rows, "order_no", Some(Arc::new(keys)))
    });
    let accounted = texts(
        &read(&taken.path("accounting_entry.parquet")),
        "settlement_no",
    );
    let gone = accounted.value(0).to_owned();
    let entries = accounted
        .iter()
        .filter(|number| *number == Some(gone.as_str()))
        .count() as u64;
    taken.rewrite("settlement", |rows| {
        let kept: BooleanArray = texts(&rows, "settlement_no")
            .iter()
            .map(|number| Some(number != Some(gone.as_str())))
            .collect();
        filter_record_batch(&rows, &kept).unwrap()
    });
    let report = taken.audit();
    let told: Vec<_> = report
        .without_entity
        .iter()
        .map(|rows| {
            (
                rows.table.as_str(),
                rows.entity.as_str(),
                rows.null_keys,
                rows.unresolved,
            )
        })
        .collect();
    let events = ("accounting_entry_booked", "order", 0, entries);
    assert_eq!(
        told,
        [
            ("accounting_entry", "order", 0, entries),
            events,
            ("billing", "order", 3, 0)
        ]
    );
}

#[test]
fn a_violation_without_a_time_could_not_be_judged() {
    let taken = Taken::before_the_end(34, 0);
    let before = taken.audit();
    let broken = before
        .findings
        .iter()
        .find(|finding| finding.rule == "order-paid-once")
        .unwrap();
    taken.rewrite("payment", |rows| {
        let times = rows.column_by_name("updated_at").unwrap();
        let keys = texts(&rows, "order_no");
        let known: BooleanArray = keys
            .iter()
            .map(|key| Some(key == Some(broken.entity_key.as_str())))
            .collect();
        let times = arrow::compute::nullif(times, &known).unwrap();
        with_column(&rows, "updated_at", Some(times))
    });
    let report = taken.audit();
    let told = reasons(&report);
    let expected = format!(
        "Some(\"order-paid-once\") Some(\"{}\") a row of payment has no updated_at",
        broken.entity_key
    );
    assert!(told.contains(&expected), "{told}");
    assert!(
        !report
            .findings
            .iter()
            .any(|finding| finding.finding_id == broken.finding_id)
    );
    assert_eq!(report.exit_status(Severity::Error), 3);
    // Other entities are judged all the same.
    let others = |report: &Report| {
        report
            .findings
            .iter()
            .filter(|finding| finding.entity_key != broken.entity_key)
            .count()
    };
    assert_eq!(others(&report), others(&before));
}

#[test]
fn an_entity_too_large_is_never_cut_short() {
    let taken = Taken::before_the_end(35, 0);
    let mut catalog = Catalog::clone(&schemas());
    let order = catalog.entity_id("order").unwrap();
    catalog.entities[usize::from(order.0)].max_rows = 14;
    let catalog = Arc::new(catalog);
    let rules = rules(&catalog);
    let whole = taken.audit();
    let report = taken.audit_by(&catalog, &rules, &options());
    let large: BTreeSet<&str> = report
        .could_not_judge
        .iter()
        .filter_map(|problem| problem.entity_key.as_deref())
        .collect();
    assert!(large.len() > 10, "{}", large.len());
    assert!(reasons(&report).contains("more than 14 rows"));
    let rest: BTreeSet<Found> = found(&whole)
        .into_iter()
        .filter(|found| !large.contains(found.key[0].as_str()))
        .collect();
    assert!(rest.len() < whole.findings.len());
    assert_same(&report, &rest);
    assert_eq!(report.exit_status(Severity::Error), 3);
}

#[test]
fn nulls_where_the_schema_allows_none_could_not_be_judged() {
    let taken = Taken::before_the_end(36, 0);
    taken.rewrite("refund", |rows| {
        let states = texts(&rows, "status");
        let states: StringArray = states
            .iter()
            .enumerate()
            .map(|(row, state)| state.filter(|_| row > 0))
            .collect();
        with_column(&rows, "status", Some(Arc::new(states)))
    });
    let report = taken.audit();
    assert!(
        reasons(&report).contains("refund.parquet: column status holds nulls"),
        "{}",
        reasons(&report)
    );
    assert_eq!(report.exit_status(Severity::Error), 3);
    assert!(!report.findings.is_empty());
}

#[test]
fn a_rule_that_is_not_local_is_asked_over_whole_tables() {
    let taken = Taken::before_the_end(37, 900);
    let catalog = schemas();
    let folder = tempfile::tempdir().unwrap();
    let head = "/* ---\nid: largest-refund\ntitle: No refund is the largest\nentity: order\nseverity: warn\n\
        key: [order_no, refund_no]\namount: amount\ncurrency: CNY\nowner: refund\nsettle: 2m\nretries: 3\n\
        retry_interval: 10s\nstatus: stable\n--- */\n";
    let text = "SELECT r.order_no, r.refund_no, r.amount FROM refund r\n\
        WHERE r.amount >= (SELECT MAX(amount) - 20 FROM refund)\n";
    std::fs::write(
        folder.path().join("largest-refund.sql"),
        format!("{head}{text}"),
    )
    .unwrap();
    let mut rules = centinel_rules::load(folder.path(), &catalog).unwrap().rules;
    rules.retain(|rule| rule.guards.is_none());
    assert!(!rules[0].locality.is_local());
    let report = taken.audit_by(&catalog, &rules, &options());
    assert_eq!(reasons(&report), "");

    let rows = read(&taken.path("refund.parquet"));
    let amounts = cast(rows.column_by_name("amount").unwrap(), &DataType::Float64).unwrap();
    let amounts = amounts.as_any().downcast_ref::<Float64Array>().unwrap();
    let most = amounts.iter().flatten().fold(0.0, f64::max);
    let numbers = texts(&rows, "refund_no");
    let changed = cast(rows.column_by_name("updated_at").unwrap(), &DataType::Int64).unwrap();
    let changed = changed.as_primitive::<arrow::datatypes::Int64Type>();
    let keys = texts(&rows, "order_no");
    let newest = |order: &str| {
        (0..rows.num_rows())
            .filter(|row| keys.value(*row) == order)
            .map(|row| changed.value(row))
            .max()
            .unwrap()
    };
    let (mut certain, mut on_its_way) = (BTreeSet::new(), BTreeSet::new());
    for row in (0..rows.num_rows()).filter(|row| amounts.value(*row) >= most - 20.0 - 1e-9) {
        let settled = newest(keys.value(row)) + 150 * SECOND <= taken.moment;
        let side = if settled {
            &mut certain
        } else {
            &mut on_its_way
        };
        side.insert(numbers.value(row).to_owned());
    }
    let second = |key: &[(String, String)]| key[1].1.clone();
    assert!(!certain.is_empty());
    assert_eq!(
        report
            .findings
            .iter()
            .map(|finding| second(&finding.key))
            .collect::<BTreeSet<_>>(),
        certain
    );
    assert_eq!(
        report
            .in_flight
            .iter()
            .map(|each| second(&each.key))
            .collect::<BTreeSet<_>>(),
        on_its_way
    );
    assert_eq!(report.rules[0].rows_checked, rows.num_rows() as u64);
    assert_eq!(report.exit_status(Severity::Warn), 1);
    assert_eq!(report.exit_status(Severity::Error), 0);
}
