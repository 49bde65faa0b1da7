//! Which uses of `as_of()` tell when to look again.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use centinel_model::Duration;
use support::{catalog, rule};

const HOUR: i64 = 3_600_000_000;

#[test]
fn bounds_are_derived_from_comparisons() {
    let catalog = catalog();
    let payment = catalog.table_id("payment").unwrap();
    let updated_at = catalog.table(payment).column_index("updated_at").unwrap();
    let table = [
        ("updated_at < as_of() - INTERVAL '1 hour'", HOUR + 1),
        ("updated_at <= as_of() - INTERVAL '1' HOUR", HOUR),
        ("as_of() - INTERVAL '60 minutes' > updated_at", HOUR + 1),
        ("as_of() - updated_at >= INTERVAL '1 hour'", HOUR),
        ("as_of() - updated_at > INTERVAL '1 hour'", HOUR + 1),
        ("as_of() > updated_at + INTERVAL '1 hour'", HOUR + 1),
        ("updated_at + INTERVAL '1 day' <= as_of()", 24 * HOUR),
        ("status = 'CREATED' AND updated_at < as_of()", 1),
    ];
    for (condition, offset) in table {
        let rule = rule(
            &format!("SELECT order_no FROM payment WHERE {condition}"),
            &catalog,
        );
        let bounds = rule
            .detection()
            .unwrap_or_else(|reason| panic!("{condition}: {reason}"));
        let [bound] = bounds else {
            panic!("{condition}: {bounds:?}")
        };
        assert_eq!(
            (bound.table, bound.column, bound.offset),
            (payment, updated_at, Duration(offset)),
            "{condition}"
        );
    }
}

#[test]
fn bounds_are_found_through_joins_and_maxima() {
    let catalog = catalog();
    for sql in [
        "SELECT p.order_no FROM payment p JOIN refund r ON r.order_no = p.order_no AND r.updated_at < as_of()",
        "SELECT p.order_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no WHERE p.updated_at < as_of()",
        "SELECT order_no FROM (SELECT order_no, MAX(updated_at) AS last FROM payment GROUP BY order_no) WHERE last < as_of()",
        "SELECT order_no FROM payment p WHERE p.updated_at < as_of()
         AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_no = p.order_no)",
        "SELECT DISTINCT order_no FROM payment WHERE updated_at < as_of()",
    ] {
        let rule = rule(sql, &catalog);
        assert_eq!(rule.detection().map(<[_]>::len), Ok(1), "{sql}");
    }
}

#[test]
fn other_uses_run_in_audits_only_and_suggest_since() {
    let catalog = catalog();
    for sql in [
        "SELECT order_no FROM payment WHERE updated_at > as_of() - INTERVAL '1 hour'",
        "SELECT order_no FROM payment WHERE as_of() - updated_at < INTERVAL '1 hour'",
        "SELECT order_no FROM payment WHERE updated_at = as_of()",
        "SELECT order_no FROM payment WHERE updated_at < as_of() - INTERVAL '1 month'",
        "SELECT order_no FROM payment WHERE NOT (updated_at < as_of())",
        "SELECT order_no FROM payment WHERE updated_at < as_of() OR status = 'PAID'",
        "SELECT order_no FROM payment WHERE date_trunc('day', updated_at) < as_of()",
        "SELECT order_no, as_of() AS now FROM payment",
        "SELECT order_no, COUNT(*) AS n FROM payment WHERE updated_at < as_of() GROUP BY order_no",
        "SELECT p.order_no FROM payment p WHERE NOT EXISTS
         (SELECT 1 FROM refund r WHERE r.order_no = p.order_no AND r.updated_at < as_of())",
        "SELECT p.order_no, r.amount FROM payment p LEFT JOIN
         (SELECT order_no, amount FROM refund WHERE updated_at < as_of()) r ON r.order_no = p.order_no",
        "SELECT p.order_no, r.amount FROM payment p LEFT JOIN refund r
         ON r.order_no = p.order_no AND r.updated_at < as_of()",
    ] {
        let rule = rule(sql, &catalog);
        let reason = rule.time_bounds.as_ref().expect_err(sql);
        assert!(reason.contains("since"), "{sql}: {reason}");
        assert!(rule.locality.is_local(), "{sql}: {:?}", rule.locality);
    }
}
