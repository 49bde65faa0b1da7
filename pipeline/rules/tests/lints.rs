//! Each mistake in a rule file: what is said and where it points.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use centinel_rules::load_text;
use support::{catalog, shown, try_rule};

/// The SELECT, the line of the mistake (the SELECT starts on line 9), what is wrong, what would be right.
const SQL: &[(&str, usize, &str, &str)] = &[
    (
        "SELECT order_no\nFROM paymet",
        10,
        "`paymet` is not a table",
        "did you mean `payment`?",
    ),
    (
        "SELECT order_no,\n  amuont FROM payment",
        10,
        "no column `amuont`",
        "did you mean `amount`?",
    ),
    (
        "SELECT order_no FROM payment p WHERE p.stauts = 'PAID'",
        9,
        "`p.stauts`",
        "did you mean `status`?",
    ),
    (
        "SELECT order_no FROM payment p JOIN refund r ON r.order_no = p.order_no",
        9,
        "several tables",
        "which one",
    ),
    (
        "SELECT * FROM payment",
        9,
        "`*` returns",
        "name the columns",
    ),
    (
        "SELECT p.* FROM payment p",
        9,
        "`*` returns",
        "name the columns",
    ),
    (
        "SELECT order_no FROM payment\nLIMIT 5",
        10,
        "LIMIT",
        "all bad rows",
    ),
    (
        "SELECT order_no FROM payment OFFSET 5",
        9,
        "LIMIT",
        "all bad rows",
    ),
    (
        "SELECT order_no FROM (SELECT order_no FROM payment FETCH FIRST 5 ROWS ONLY)",
        9,
        "LIMIT",
        "all bad rows",
    ),
    (
        "SELECT order_no FROM payment\nORDER BY order_no",
        10,
        "ORDER BY",
        "leave it out",
    ),
    (
        "SELECT order_no FROM payment\nWHERE updated_at < now()",
        10,
        "`now`",
        "as_of()",
    ),
    (
        "SELECT order_no FROM payment WHERE updated_at < current_timestamp",
        9,
        "`current_timestamp`",
        "as_of()",
    ),
    (
        "SELECT order_no FROM payment WHERE paid_at < current_date",
        9,
        "`current_date`",
        "as_of()",
    ),
    (
        "SELECT order_no FROM payment WHERE random() < 0.5",
        9,
        "`random`",
        "as_of()",
    ),
    (
        "SELECT order_no, uuid() AS id FROM payment",
        9,
        "`uuid`",
        "as_of()",
    ),
    (
        "SELECT order_no FROM payment WHERE lenght(order_no) > 5",
        9,
        "no function `lenght`",
        "`length`",
    ),
    ("DROP TABLE payment", 9, "changes nothing", "one SELECT"),
    (
        "INSERT INTO payment SELECT order_no FROM payment",
        9,
        "changes nothing",
        "one SELECT",
    ),
    ("DELETE FROM payment", 9, "changes nothing", "one SELECT"),
    (
        "SET datafusion.execution.batch_size = 1",
        9,
        "changes nothing",
        "one SELECT",
    ),
    (
        "COPY (SELECT 1) TO 'x.csv'",
        9,
        "changes nothing",
        "one SELECT",
    ),
    (
        "EXPLAIN SELECT order_no FROM payment",
        9,
        "changes nothing",
        "one SELECT",
    ),
    (
        "SELECT order_no FROM payment;\nSELECT order_no FROM refund",
        10,
        "more than one statement",
        "exactly one",
    ),
    ("", 0, "holds no SELECT", "one SELECT"),
    (
        "SELECT order_no FROM payment\nWHERE )",
        10,
        "Expected",
        "standard SQL",
    ),
    (
        "SELECT value AS order_no FROM generate_series(1, 5)",
        9,
        "no function or sample",
        "name a table",
    ),
    (
        "SELECT order_no FROM read_csv('x.csv')",
        9,
        "no function or sample",
        "name a table",
    ),
    (
        "SELECT order_no FROM 'data.parquet'",
        9,
        "is not a table",
        "",
    ),
    (
        "SELECT order_no FROM information_schema.tables",
        9,
        "is not a table",
        "",
    ),
    ("SELECT order_no FROM payment TABLESAMPLE (10)", 9, "", ""),
    (
        "SELECT column1 AS order_no FROM (VALUES ('E1'))",
        9,
        "SELECT only",
        "SELECT",
    ),
    (
        "WITH RECURSIVE x AS (SELECT order_no FROM payment UNION ALL SELECT order_no FROM x) SELECT order_no FROM x",
        9,
        "recursive",
        "write the steps",
    ),
    (
        "WITH payment AS (SELECT order_no FROM refund) SELECT order_no FROM payment",
        9,
        "hides the table",
        "another name",
    ),
    (
        "SELECT order_no FROM payment WHERE amount > $1",
        9,
        "no parameters",
        "write the value",
    ),
    (
        "SELECT order_no FROM payment WHERE\n  CAST(amount AS DOUBLE) > 1",
        10,
        "floating-point",
        "DECIMAL",
    ),
    (
        "SELECT order_no FROM payment WHERE amount::float8 > 1",
        9,
        "floating-point",
        "DECIMAL",
    ),
    (
        "SELECT order_no FROM payment\nWHERE sqrt(amount) > 1",
        10,
        "floating-point",
        "decimals",
    ),
    (
        "SELECT order_no FROM payment\nWHERE amount * power(0.5, 2) > 1",
        0,
        "floating-point",
        "decimals",
    ),
    (
        "SELECT order_no,\n AVG(amount) AS a FROM payment GROUP BY order_no",
        10,
        "rounds",
        "SUM",
    ),
    (
        "SELECT order_no,\n SUM(length(channel)) AS a FROM payment GROUP BY order_no",
        10,
        "wraps",
        "DECIMAL(20, 0)",
    ),
    (
        "SELECT order_no,\n SUM(t) AS a FROM (SELECT order_no, SUM(amount) AS t FROM payment GROUP BY order_no) GROUP BY order_no",
        10,
        "wraps",
        "DECIMAL(20, 2)",
    ),
    (
        "SELECT payment_no FROM payment",
        0,
        "`order_no` is not an output column",
        "",
    ),
    (
        "SELECT order_no AS no FROM payment",
        0,
        "`order_no` is not an output column",
        "`no`",
    ),
];

#[test]
fn mistakes_in_sql_are_told_with_place_and_remedy() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    for (sql, line, problem, remedy) in SQL {
        match try_rule(sql, "", &catalog) {
            Ok(_) => wrong.push(format!("{sql}\n  was accepted")),
            Err(mistakes) => {
                let told = mistakes.iter().any(|mistake| {
                    mistake.problem.contains(problem)
                        && mistake.remedy.contains(remedy)
                        && (mistake.line == *line || (*line == 0 && mistake.line <= 10))
                });
                if !told {
                    wrong.push(format!(
                        "{sql}\n{}\n  instead of line {line}: {problem}; {remedy}",
                        shown(&mistakes)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const HEAD: &str = "id: probe\ntitle: A probe\nentity: order\nseverity: error\nkey: [order_no]\namount: amount\ncurrency: CNY\nowner: tests\nsettle: 2m\n";

/// A line of the head, what stands there instead, the line of the mistake, what is wrong, what would be right.
const HEADS: &[(&str, &str, usize, &str, &str)] = &[
    (
        "id: probe",
        "id: other",
        2,
        "not the file's name",
        "`probe`",
    ),
    (
        "title: A probe",
        "titel: A probe",
        3,
        "`titel` is not a field",
        "did you mean `title`?",
    ),
    (
        "entity: order",
        "entity: oder",
        4,
        "no entity `oder`",
        "did you mean `order`?",
    ),
    ("severity: error", "severity: fatal", 5, "fatal", ""),
    (
        "key: [order_no]",
        "key: [order_no, paymentno]",
        6,
        "`paymentno` is not an output column",
        "did you mean `payment_no`?",
    ),
    (
        "key: [order_no]",
        "key: [payment_no]",
        6,
        "does not hold `order_no`",
        "return it",
    ),
    (
        "amount: amount",
        "amount: amont",
        7,
        "`amont` is not an output column",
        "did you mean `amount`?",
    ),
    (
        "amount: amount",
        "amount: status",
        7,
        "not a decimal",
        "DECIMAL",
    ),
    (
        "amount: amount",
        "tags: []",
        8,
        "go together",
        "both or neither",
    ),
    (
        "currency: CNY",
        "currency: curency",
        8,
        "`curency` is not an output column",
        "",
    ),
    (
        "settle: 2m",
        "settle: 2 fortnights",
        10,
        "is not a span",
        "30s",
    ),
    (
        "settle: 2m",
        "retries: 100000",
        10,
        "100000 retries",
        "at most",
    ),
    (
        "settle: 2m",
        "since: amount",
        10,
        "not a timestamp",
        "timestamp",
    ),
    (
        "settle: 2m",
        "on: [refnd]",
        10,
        "no table or event `refnd`",
        "did you mean `refund`?",
    ),
    (
        "settle: 2m",
        "on: [refund]",
        10,
        "does not read `refund`",
        "tables that it reads",
    ),
    (
        "settle: 2m",
        "trip: { points: [refund], by: oder }",
        10,
        "no entity `oder`",
        "did you mean `order`?",
    ),
    (
        "settle: 2m",
        "trip: { points: [refund], by: merchant }",
        10,
        "`merchant_no` is not an output column",
        "",
    ),
    (
        "settle: 2m",
        "trip: { points: [], by: order }",
        10,
        "`trip` names no point",
        "refund, settlement, cash_out",
    ),
    (
        "settle: 2m",
        "trip: { points: [refund], by: cash_out }",
        10,
        "cannot hold by `cash_out`",
        "`merchant` or `business_code`",
    ),
    ("settle: 2m", "status: perfect", 10, "perfect", ""),
    ("owner: tests", "tags: []", 0, "owner", ""),
];

#[test]
fn mistakes_in_the_head_are_told_with_place_and_remedy() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    for (good, bad, line, problem, remedy) in HEADS {
        let head = HEAD.replace(good, bad);
        let text = format!(
            "/* ---\n{head}--- */\nSELECT order_no, payment_no, status, amount FROM payment"
        );
        match load_text("probe.sql", &text, &catalog) {
            Ok(_) => wrong.push(format!("{bad}\n  was accepted")),
            Err(mistakes) => {
                let told = mistakes.iter().any(|mistake| {
                    mistake.problem.contains(problem)
                        && mistake.remedy.contains(remedy)
                        && (mistake.line == *line || *line == 0)
                });
                if !told {
                    wrong.push(format!(
                        "{bad}\n{}\n  instead of line {line}: {problem}; {remedy}",
                        shown(&mistakes)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_mistake_of_a_file_is_told_and_shown_in_its_text() {
    let sql = "SELECT * FROM payment\nWHERE updated_at < now()\nLIMIT 3";
    let mistakes = try_rule(sql, "", &catalog()).unwrap_err();
    assert_eq!(mistakes.len(), 3, "{}", shown(&mistakes));
    let shown = shown(&mistakes);
    for wanted in [
        "probe.sql:10:20",
        "WHERE updated_at < now()",
        "^^^",
        "help: use as_of()",
    ] {
        assert!(shown.contains(wanted), "{wanted} in\n{shown}");
    }
}

#[test]
fn a_file_without_a_head_is_refused() {
    let mistakes = load_text("probe.sql", "SELECT order_no FROM payment", &catalog()).unwrap_err();
    assert!(mistakes[0].problem.contains("does not begin with a head"));
    let mistakes = load_text("probe.sql", "/* ---\nid: probe\nSELECT 1", &catalog()).unwrap_err();
    assert!(
        mistakes
            .iter()
            .any(|mistake| mistake.problem.contains("does not end"))
    );
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = format!(
        "SELECT order_no FROM payment WHERE {}1{} = 1",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    assert!(try_rule(&deep, "", &catalog()).is_err());
}

#[test]
fn literals_are_decimals() {
    let rule = try_rule(
        "SELECT order_no, amount * 0.006 AS fee, amount * 1e2 AS large FROM payment",
        "",
        &catalog(),
    )
    .unwrap();
    assert!(rule.output.field(1).data_type().is_decimal());
    assert!(rule.output.field(2).data_type().is_decimal());
}

#[test]
fn what_is_personal_is_no_key() {
    let head = "/* ---\nid: shown\ntitle: T\nentity: order\nseverity: warn\nkey: [order_no, card]\nowner: tests\n--- */\n";
    for column in ["card_no", "COALESCE(NULLIF(card_no, 'x'), status)"] {
        let text = format!("{head}SELECT order_no, {column} AS card FROM payment");
        let mistakes = load_text("shown.sql", &text, &catalog()).unwrap_err();
        let problem = &mistakes[0].problem;
        assert!(
            problem.contains("derives from a sensitive column"),
            "{problem}"
        );
        assert_eq!(mistakes[0].line, 6);
    }
}
