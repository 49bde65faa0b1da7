//! What an evaluator says of its rules' answers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::DataType;
use centinel_catalog::Catalog;
use centinel_model::Timestamp;
use centinel_rules::{Evaluator, Limits, Rule, RuleOutcome, Slice, Violations, load_text};
use support::catalog;

/// A payment: entity, payment number, fen, updated at (microseconds), card.
type Payment<'a> = (u32, &'a str, i128, i64, Option<&'a str>);

const EVER: Timestamp = Timestamp(i64::MAX);

fn rule(head: &str, sql: &str, catalog: &Catalog) -> Arc<Rule> {
    let text = format!(
        "/* ---\nid: probe\ntitle: A probe\nentity: order\nseverity: error\nowner: tests\n{head}\n--- */\n{sql}"
    );
    Arc::new(
        load_text("probe.sql", &text, catalog)
            .unwrap_or_else(|mistakes| panic!("{}", support::shown(&mistakes))),
    )
}

/// A slice of these payments, without rows in other tables.
fn slice(evaluator: &Evaluator, catalog: &Catalog, payments: &[Payment<'_>]) -> Slice {
    let entity_count = payments
        .iter()
        .map(|payment| payment.0 + 1)
        .max()
        .unwrap_or(0);
    let tables = evaluator.layout().tables.iter().map(|layout| {
        let table = catalog.table(layout.table);
        (table.name == "payment").then(|| {
            let columns = layout.columns.iter().zip(layout.schema.fields()).map(
                |(index, field)| -> ArrayRef {
                    match (table.columns[*index].name.as_str(), field.data_type()) {
                        ("order_no", _) => Arc::new(UInt32Array::from_iter_values(
                            payments.iter().map(|payment| payment.0),
                        )),
                        ("payment_no", _) => Arc::new(StringArray::from_iter_values(
                            payments.iter().map(|payment| payment.1),
                        )),
                        ("card_no", _) => Arc::new(StringArray::from_iter(
                            payments.iter().map(|payment| payment.4),
                        )),
                        (_, DataType::Timestamp(..)) => {
                            Arc::new(TimestampMicrosecondArray::from_iter_values(
                                payments.iter().map(|payment| payment.3),
                            ))
                        }
                        (_, DataType::Decimal128(..)) => {
                            let amounts = Decimal128Array::from_iter_values(
                                payments.iter().map(|payment| payment.2),
                            );
                            Arc::new(amounts.with_data_type(field.data_type().clone()))
                        }
                        (_, DataType::Utf8) => {
                            Arc::new(StringArray::from(vec!["PAID"; payments.len()]))
                        }
                        (name, kind) => panic!("{name} {kind}"),
                    }
                },
            );
            RecordBatch::try_new(Arc::clone(&layout.schema), columns.collect()).unwrap()
        })
    });
    Slice {
        entity_count,
        tables: tables.collect(),
        keys: Arc::new(
            (0..entity_count)
                .map(|id| format!("E{id}"))
                .collect::<Vec<String>>(),
        ),
    }
}

fn ask(evaluator: &mut Evaluator, catalog: &Catalog, payments: &[Payment<'_>]) -> RuleOutcome {
    let slice = slice(evaluator, catalog, payments);
    evaluator
        .evaluate(&slice, &|_| EVER, &|_| true)
        .swap_remove(0)
}

fn judged(outcome: RuleOutcome) -> Violations {
    match outcome {
        RuleOutcome::Violations(violations) => violations,
        other => panic!("{other:?}"),
    }
}

fn keys(violations: &Violations) -> Vec<String> {
    let mut keys: Vec<String> = (0..violations.len())
        .map(|row| violations.key_text(row).join("/"))
        .collect();
    keys.sort();
    keys
}

/// The key is null for `P1`.
const NAMED: &str =
    "SELECT order_no, NULLIF(payment_no, 'P1') AS named, amount FROM payment WHERE amount < 0";

const BAD: &str =
    "SELECT order_no, payment_no, amount, updated_at, card_no FROM payment WHERE amount < 0";

#[test]
fn a_kept_plan_forgets_the_slice_before() {
    let catalog = catalog();
    let sql = "SELECT p.order_no, SUM(p.amount) AS paid FROM payment p
               WHERE NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_no = p.order_no)
               GROUP BY p.order_no HAVING COUNT(*) > 1";
    let mut evaluator = Evaluator::new(
        &catalog,
        vec![rule("key: [order_no]", sql, &catalog)],
        catalog.entity_id("order").unwrap(),
    )
    .unwrap();
    let twice = [
        (0, "P1", 100, 0, None),
        (1, "P2", 100, 0, None),
        (1, "P3", 100, 0, None),
    ];
    for _ in 0..3 {
        assert_eq!(keys(&judged(ask(&mut evaluator, &catalog, &twice))), ["E1"]);
        assert!(judged(ask(&mut evaluator, &catalog, &twice[..2])).is_empty());
        assert!(judged(ask(&mut evaluator, &catalog, &[])).is_empty());
    }
}

#[test]
fn a_violation_tells_its_money_its_time_and_its_masked_evidence() {
    let catalog = catalog();
    let head = "key: [order_no, payment_no]\namount: amount\ncurrency: CNY\nsince: updated_at";
    let mut evaluator = Evaluator::new(
        &catalog,
        vec![rule(head, BAD, &catalog)],
        catalog.entity_id("order").unwrap(),
    )
    .unwrap();
    let violations = judged(ask(
        &mut evaluator,
        &catalog,
        &[
            (0, "P1", 100, 7, None),
            (2, "P2", -1_250, 1_000_000, Some("6222021234567890")),
        ],
    ));
    assert_eq!(violations.len(), 1);
    assert_eq!(
        (violations.entity(0), violations.entity_key(0)),
        (2, "E2".to_owned())
    );
    assert_eq!(violations.key_text(0), ["E2", "P2"]);
    assert_eq!(violations.amount(0).unwrap().to_string(), "12.50");
    assert_eq!(violations.currency(0).as_deref(), Some("CNY"));
    assert_eq!(violations.since(0), Some(Timestamp(1_000_000)));
    let evidence = violations.evidence(0);
    assert_eq!(evidence["amount"].as_deref(), Some("-12.50"));
    assert_eq!(evidence["card_no"].as_deref(), Some("****7890"));
    assert_eq!(
        evidence["updated_at"].as_deref(),
        Some("1970-01-01T00:00:01Z")
    );
}

#[test]
fn what_derives_from_sensitive_columns_is_masked_too() {
    let catalog = catalog();
    for column in [
        "UPPER(card_no)",
        "'card ' || card_no",
        "(SELECT MAX(q.card_no) FROM payment q WHERE q.order_no = p.order_no)",
        "MAX(card_no) OVER (PARTITION BY order_no)",
        "CASE WHEN amount > 1 THEN card_no ELSE payer_account END",
    ] {
        let rule = rule(
            "key: [order_no]",
            &format!("SELECT order_no, {column} AS shown, amount FROM payment p"),
            &catalog,
        );
        assert_eq!(rule.sensitive, [false, true, false], "{column}");
    }
}

#[test]
fn a_repeated_or_null_key_spoils_only_its_entity() {
    let catalog = catalog();
    let order = catalog.entity_id("order").unwrap();
    let mut evaluator = Evaluator::new(
        &catalog,
        vec![rule("key: [order_no]", BAD, &catalog)],
        order,
    )
    .unwrap();
    let violations = judged(ask(
        &mut evaluator,
        &catalog,
        &[
            (0, "P1", -1, 0, None),
            (1, "P2", -1, 0, None),
            (1, "P3", -1, 0, None),
            (2, "P4", -1, 0, None),
        ],
    ));
    assert_eq!(keys(&violations), ["E0", "E2"]);
    assert_eq!(
        (0..2).map(|row| violations.entity(row)).collect::<Vec<_>>(),
        [0, 2]
    );
    let [unjudged] = violations.unjudged() else {
        panic!("one")
    };
    assert_eq!(
        (unjudged.entity, unjudged.entity_key.as_str()),
        (Some(1), "E1")
    );
    assert!(
        unjudged.reason.contains("several rows have the key (E1)"),
        "{}",
        unjudged.reason
    );

    let mut evaluator = Evaluator::new(
        &catalog,
        vec![rule("key: [order_no, named]", NAMED, &catalog)],
        order,
    )
    .unwrap();
    let violations = judged(ask(
        &mut evaluator,
        &catalog,
        &[(0, "P1", -1, 0, None), (1, "P2", -1, 0, None)],
    ));
    assert_eq!(keys(&violations), ["E1/P2"]);
    assert!(
        violations.unjudged()[0].reason.contains("null"),
        "{:?}",
        violations.unjudged()
    );
}

#[test]
fn rules_that_look_into_the_key_see_its_text() {
    let catalog = catalog();
    for sql in [
        "SELECT order_no FROM payment WHERE order_no = 'E1'",
        "SELECT order_no FROM payment WHERE order_no LIKE '%1'",
        "SELECT order_no FROM payment WHERE order_no IN ('E1', 'E7')",
        "SELECT order_no FROM payment WHERE order_no = REPLACE(payment_no, 'P', 'E')",
        "SELECT order_no FROM payment WHERE CONCAT(order_no, '') = 'E1'",
        "SELECT order_no FROM payment WHERE order_no > 'E0'",
    ] {
        let mut evaluator = Evaluator::new(
            &catalog,
            vec![rule("key: [order_no]", sql, &catalog)],
            catalog.entity_id("order").unwrap(),
        )
        .unwrap();
        let violations = judged(ask(
            &mut evaluator,
            &catalog,
            &[(0, "P9", 1, 0, None), (1, "P1", 1, 0, None)],
        ));
        assert_eq!(keys(&violations), ["E1"], "{sql}");
        assert_eq!(violations.entity(0), 1, "{sql}");
    }
}

#[test]
fn each_rule_has_its_own_time() {
    let catalog = catalog();
    let sql = "SELECT order_no FROM payment WHERE updated_at < as_of()";
    let rule = rule("key: [order_no]", sql, &catalog);
    let mut evaluator = Evaluator::new(
        &catalog,
        vec![Arc::clone(&rule), rule],
        catalog.entity_id("order").unwrap(),
    )
    .unwrap();
    let slice = slice(&evaluator, &catalog, &[(0, "P1", 1, 1_000, None)]);
    for (first, second) in [(1_000, 1_001), (1_001, 1_000)] {
        let as_of = |index| Timestamp([first, second][index]);
        let found: Vec<usize> = evaluator
            .evaluate(&slice, &as_of, &|_| true)
            .into_iter()
            .map(|outcome| judged(outcome).len())
            .collect();
        assert_eq!(
            found,
            [usize::from(first > 1_000), usize::from(second > 1_000)]
        );
    }
    let outcomes = evaluator.evaluate(&slice, &|_| EVER, &|index| index == 1);
    assert!(matches!(outcomes[0], RuleOutcome::Skipped));
}

#[test]
fn beyond_its_limits_a_rule_could_not_be_judged() {
    let catalog = catalog();
    let order = catalog.entity_id("order").unwrap();
    let numbers: Vec<String> = (0..3_000).map(|number| format!("P{number}")).collect();
    let payments: Vec<Payment<'_>> = numbers
        .iter()
        .map(|number| (0, number.as_str(), -1, 0, None))
        .collect();
    let many = "SELECT a.order_no, a.payment_no || b.payment_no AS pair, a.amount FROM payment a
                JOIN payment b ON b.order_no = a.order_no";
    let head = "key: [order_no, pair]";
    let limits = Limits::default();
    for (limits, said) in [
        (
            Limits {
                rows: 1_000,
                ..limits
            },
            "more than 1000 rows",
        ),
        (
            Limits {
                memory_bytes: 1_000,
                ..limits
            },
            "Resources exhausted",
        ),
        (
            Limits {
                deadline: Duration::ZERO,
                ..limits
            },
            "longer",
        ),
    ] {
        let mut evaluator =
            Evaluator::with_limits(&catalog, vec![rule(head, many, &catalog)], order, limits)
                .unwrap();
        match ask(&mut evaluator, &catalog, &payments) {
            RuleOutcome::CouldNotJudge(reason) => assert!(reason.contains(said), "{reason}"),
            other => panic!("{said}: {other:?}"),
        }
        assert!(matches!(
            ask(&mut evaluator, &catalog, &[]),
            RuleOutcome::Violations(_) | RuleOutcome::CouldNotJudge(_)
        ));
    }
}

#[test]
fn a_value_that_cannot_be_read_is_not_taken_for_clean() {
    let catalog = catalog();
    let sql =
        "SELECT order_no, amount FROM payment WHERE CAST(payment_no AS DECIMAL(20, 2)) < amount";
    let mut evaluator = Evaluator::new(
        &catalog,
        vec![rule("key: [order_no]", sql, &catalog)],
        catalog.entity_id("order").unwrap(),
    )
    .unwrap();
    assert!(matches!(
        ask(&mut evaluator, &catalog, &[(0, "P1", 1, 0, None)]),
        RuleOutcome::CouldNotJudge(_)
    ));
    assert!(judged(ask(&mut evaluator, &catalog, &[(0, "3", 1, 0, None)])).is_empty());
}

#[test]
fn what_loads_can_be_judged_whichever_aggregates_stand_together() {
    let catalog = catalog();
    let aggregates = [
        "COUNT(*)",
        "COUNT(DISTINCT payment_no)",
        "COUNT(DISTINCT amount)",
        "SUM(amount)",
        "SUM(DISTINCT amount)",
        "SUM(amount * 0.006)",
        "MIN(amount)",
        "MAX(amount)",
    ];
    let payments = [(0, "P1", 1_000, 0, None), (0, "P2", 100, 0, None)];
    for first in aggregates {
        for second in aggregates {
            for compared in aggregates {
                let sql = format!(
                    "SELECT order_no, {first} AS one, {second} AS other FROM payment GROUP BY order_no HAVING {compared} > 0.001"
                );
                let rules = vec![rule("key: [order_no]", &sql, &catalog)];
                let order = catalog.entity_id("order").unwrap();
                let mut evaluator = Evaluator::new(&catalog, rules, order).unwrap();
                match ask(&mut evaluator, &catalog, &payments) {
                    RuleOutcome::Violations(found) => assert_eq!(keys(&found), ["E0"], "{sql}"),
                    other => panic!("{sql}: {other:?}"),
                }
            }
        }
    }
}

/// The engine would take the cast for the column that it is of, and leave out the number as if it followed.
#[test]
fn rows_that_differ_in_a_group_that_is_not_returned_stay_apart() {
    let catalog = catalog();
    let below = "SELECT order_no, amount, SUM(amount) AS s, COUNT(*) AS n FROM payment GROUP BY order_no, amount";
    let payments = [
        (0, "P1", 1, 0, None),
        (0, "P2", 2, 0, None),
        (0, "P3", 2, 0, None),
    ];
    for (whole, by) in [
        (
            "CAST(amount AS DECIMAL(20, 0))",
            "CAST(amount AS DECIMAL(20, 0))",
        ),
        ("d", "d"),
        ("amount - amount", "amount - amount"),
    ] {
        let sql = format!(
            "SELECT order_no, {whole} AS whole, MAX(s) AS v
             FROM (SELECT order_no, amount, s, n, CAST(amount AS DECIMAL(20, 0)) AS d FROM ({below}) q) r GROUP BY order_no, {by}, n"
        );
        let rules = vec![rule("key: [order_no, whole, v]", &sql, &catalog)];
        let order = catalog.entity_id("order").unwrap();
        let mut evaluator = Evaluator::new(&catalog, rules, order).unwrap();
        let found = keys(&judged(ask(&mut evaluator, &catalog, &payments)));
        assert_eq!(found.len(), 2, "{sql}: {found:?}");
        assert!(
            found[0].ends_with("/0.01") && found[1].ends_with("/0.04"),
            "{found:?}"
        );
    }
}

#[test]
fn two_evaluators_run_on_two_threads() {
    let catalog = catalog();
    let rule = rule("key: [order_no]", BAD, &catalog);
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut evaluator =
                    Evaluator::new(&catalog, vec![Arc::clone(&rule)], rule.entity).unwrap();
                (0..50).all(|_| {
                    judged(ask(&mut evaluator, &catalog, &[(0, "P1", -1, 0, None)])).len() == 1
                })
            })
        });
        assert!(both.into_iter().all(|thread| thread.join().unwrap()));
    });
}

#[test]
fn rules_that_are_not_local_are_refused() {
    let catalog = catalog();
    let rule = rule(
        "key: [order_no]",
        "SELECT MIN(order_no) AS order_no FROM payment",
        &catalog,
    );
    assert!(Evaluator::new(&catalog, vec![rule], catalog.entity_id("order").unwrap()).is_err());
}

/// The engine's errors quote what could not be cast.
#[test]
fn what_the_engine_says_of_personal_data_is_withheld() {
    let catalog = catalog();
    let sql = "SELECT order_no, amount FROM payment WHERE CAST(card_no AS DECIMAL(10, 2)) < amount";
    let rules = vec![rule("key: [order_no]", sql, &catalog)];
    let order = catalog.entity_id("order").unwrap();
    let mut evaluator = Evaluator::new(&catalog, rules, order).unwrap();
    for card in ["4111222233334444", "U9998887776"] {
        match ask(&mut evaluator, &catalog, &[(0, "P1", 1, 0, Some(card))]) {
            RuleOutcome::CouldNotJudge(reason) => {
                assert!(!reason.contains(&card[1..5]), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
}
