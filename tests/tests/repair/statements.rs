//! What SQL is refused, with its place and a remedy, and what is evaluated.

use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::audit::AuditOptions;
use centinel_engine::repair::{Changes, Planned, Script, ScriptError, evaluate};
use centinel_tests::schemas;

use crate::platform::*;

fn run(platform: &Platform, sql: &str) -> Result<Changes, String> {
    run_on(&schemas(), platform, sql)
}

fn run_on(catalog: &Arc<Catalog>, platform: &Platform, sql: &str) -> Result<Changes, String> {
    let shown = |mistakes: Vec<centinel_engine::repair::Mistake>| {
        mistakes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let script = Script::parse(catalog, sql).map_err(shown)?;
    evaluate(
        catalog,
        &open(platform.folder.path()),
        &script,
        &AuditOptions::default(),
    )
    .map_err(|error| match error {
        ScriptError::Refused(mistakes) => shown(mistakes),
        ScriptError::Unreadable(problem) => problem,
    })
}

#[test]
fn what_cannot_be_evaluated_faithfully_is_refused_with_its_place() {
    let platform = Platform::new(71, 60, 0);
    let cases = [
        ("UPDATE payment SET amount = 1", "no WHERE", "WHERE 1 = 1"),
        (
            "UPDATE payment, refund SET payment.amount = 1 WHERE 1 = 1",
            "several tables",
            "each table",
        ),
        (
            "UPDATE payment JOIN refund SET amount = 1 WHERE 1 = 1",
            "a join",
            "by their keys",
        ),
        (
            "UPDATE payment p SET amount = 1 WHERE 1 = 1",
            "`p` stands where SET",
            "one table",
        ),
        (
            "UPDATE payment SET amount = (SELECT 1) WHERE 1 = 1",
            "a query, which is not evaluated here",
            "by their keys",
        ),
        (
            "DELETE FROM payment WHERE order_no IN (SELECT order_no FROM refund)",
            "a query, which is not evaluated here",
            "by their keys",
        ),
        (
            "DELETE FROM payment WHERE 1 = 1 LIMIT 3",
            "LIMIT",
            "by their keys",
        ),
        (
            "DELETE FROM payment WHERE 1 = 1 ORDER BY amount",
            "ORDER",
            "by their keys",
        ),
        (
            "DELETE FROM payment WHERE paid_at < NOW()",
            "the time at which the statement runs",
            "write the time itself",
        ),
        (
            "DELETE FROM payment WHERE LEFT(order_no, 2) = 'E1'",
            "LEFT(…)",
            "write the value",
        ),
        (
            "DELETE FROM payment WHERE order_no LIKE 'E%'",
            "`LIKE`",
            "patterns",
        ),
        (
            "DELETE FROM payment WHERE amount = '1.00'",
            "a number is compared with a text",
            "without quotes",
        ),
        (
            "DELETE FROM payment WHERE order_no = 7",
            "a text is compared with a number",
            "in quotes",
        ),
        (
            "DELETE FROM payment WHERE order_no < 'E'",
            "by their order",
            "compare them with =",
        ),
        (
            "DELETE FROM payment WHERE paid_at = '2026-11-22'",
            "a time is compared with a text",
            "'2026-11-22 08:00:00'",
        ),
        (
            "DELETE FROM payment WHERE paid_at = '2026-02-30 08:00:00'",
            "a time is compared with a text",
            "'2026-11-22 08:00:00'",
        ),
        (
            "UPDATE payment SET status = 1 WHERE 1 = 1",
            "`status` is a text and is given a number",
            "in quotes",
        ),
        (
            "UPDATE settlement SET amount = '1' WHERE 1 = 1",
            "`amount` is a number and is given a text",
            "without quotes",
        ),
        (
            "UPDATE payment SET payment_no = 'P' WHERE 1 = 1",
            "part of the primary key",
            "a DELETE and an INSERT",
        ),
        (
            "UPDATE billing SET fee = 1, fee_base = fee + 1 WHERE 1 = 1",
            "is set before it",
            "set it first",
        ),
        (
            "UPDATE billing SET fee = 1, fee = 2 WHERE 1 = 1",
            "`fee` is set twice",
            "keep one",
        ),
        (
            "UPDATE billing SET fee = 1e2 WHERE 1 = 1",
            "a float, or bytes",
            "exact number",
        ),
        (
            "UPDATE billing SET fee = 0x10 WHERE 1 = 1",
            "a float, or bytes",
            "exact number",
        ),
        (
            "UPDATE billing SET fee = DEFAULT WHERE 1 = 1",
            "DEFAULT",
            "write the value",
        ),
        (
            "UPDATE billing SET fee = fee % 2 WHERE 1 = 1",
            "a remainder",
            "write the values",
        ),
        (
            "UPDATE billing SET fee = fee DIV 2 WHERE 1 = 1",
            "`DIV`",
            "write the values",
        ),
        (
            "UPDATE billing SET fee = @a WHERE 1 = 1",
            "a variable",
            "write its value",
        ),
        (
            "UPDATE payment SET status = \"PAID\" WHERE 1 = 1",
            "double quotes",
            "single quotes",
        ),
        (
            "UPDATE payment SET status = 'a\\'b' WHERE 1 = 1",
            "a backslash",
            "JSON Lines",
        ),
        (
            "UPDATE payment SET status = 'a' 'b' WHERE 1 = 1",
            "a text stands",
            "one text",
        ),
        (
            "UPDATE payment SET status = _utf8'a' WHERE 1 = 1",
            "a character set",
            "the text alone",
        ),
        (
            "UPDATE payment SET status = 'a' || 'b' WHERE 1 = 1",
            "`|`",
            "CONCAT",
        ),
        (
            "UPDATE payment SET status = 'A' /*! , amount = 1 */ WHERE 1 = 1",
            "a comment that the server reads",
            "leave it out",
        ),
        (
            "UPDATE IGNORE payment SET status = 'A' WHERE 1 = 1",
            "no schema describes `IGNORE`",
            "name one of",
        ),
        (
            "INSERT INTO payment VALUES (1)",
            "without names of columns",
            "INSERT INTO table (column",
        ),
        (
            "INSERT INTO cash_out (cash_out_no) VALUES ('C1')",
            "left to the defaults",
            "name every column",
        ),
        (
            "INSERT INTO cash_out (cash_out_no, merchant_no, amount, status, bank_card, sent_at, updated_at) SELECT 1",
            "without VALUES",
            "rows themselves",
        ),
        (
            "REPLACE INTO payment (payment_no) VALUES ('P')",
            "`REPLACE`",
            "UPDATE … SET",
        ),
        ("TRUNCATE payment", "`TRUNCATE`", "UPDATE … SET"),
        (
            "BEGIN; DELETE FROM payment WHERE 1 = 1",
            "never committed",
            "COMMIT",
        ),
        (
            "DELETE FROM pay WHERE 1 = 1",
            "no schema describes `pay`",
            "name one of",
        ),
        (
            "DELETE FROM payment WHERE amuont = 1",
            "no column `amuont`",
            "name one of",
        ),
        (
            "DELETE FROM payment WHERE refund.amount = 1",
            "`refund` is not the table",
            "one table only",
        ),
        (
            "DELETE FROM payment_completed WHERE 1 = 1",
            "is an event",
            "tables only",
        ),
        ("DELETE FROM payment WHERE NOT", "the end of the file", ""),
        (
            "DELETE FROM payment WHERE order_no = 'E",
            "never closed",
            "write '",
        ),
        ("", "no statement", "write UPDATE"),
    ];
    for (sql, problem, remedy) in cases {
        let told = run(&platform, &format!("\n{sql}")).unwrap_err();
        assert!(
            told.contains(problem) && told.contains(remedy),
            "{sql}: {told}"
        );
        assert!(
            sql.is_empty() || told.starts_with("line 2, column "),
            "{sql}: {told}"
        );
    }
    // However often parentheses are opened, the answer comes at once.
    let deep = format!(
        "DELETE FROM payment WHERE {}1{} = 1",
        "(".repeat(40),
        ")".repeat(40)
    );
    assert!(run(&platform, &deep).is_ok());
    let deeper = format!("DELETE FROM payment WHERE {}1 = 1", "(".repeat(200));
    assert!(
        run(&platform, &deeper)
            .unwrap_err()
            .contains("nested too deeply")
    );
}

#[test]
fn what_some_row_makes_uncertain_is_refused_naming_the_row() {
    let platform = Platform::new(72, 60, 0);
    let cases = [
        (
            "UPDATE payment SET amount = 1 WHERE status = 'paid'",
            "depends on the column's collation",
        ),
        (
            "UPDATE payment SET amount = 1 WHERE status IN ('CLOSED', 'PAID ')",
            "depends on the column's collation",
        ),
        (
            "UPDATE payment SET amount = 1 WHERE status = 'PÀID'",
            "depends on the column's collation",
        ),
        (
            "UPDATE settlement SET amount = amount / 7 WHERE 1 = 1",
            "does not come out even",
        ),
        (
            "UPDATE settlement SET amount = amount * 0.33 WHERE 1 = 1",
            "would be rounded to a whole number",
        ),
        (
            "UPDATE payment SET amount = amount * 0.123 WHERE 1 = 1",
            "more than 2 digits after the decimal point",
        ),
        (
            "UPDATE settlement SET amount = amount * 9000000000000000000 WHERE 1 = 1",
            "too large",
        ),
        (
            "UPDATE payment SET amount = 99999999999999999.00 WHERE 1 = 1",
            "more than 18 digits",
        ),
    ];
    for (sql, problem) in cases {
        let told = run(&platform, sql).unwrap_err();
        assert!(
            told.contains(problem) && told.starts_with("line 1, column "),
            "{sql}: {told}"
        );
        assert!(
            told.contains("payment payment_no=") || told.contains("settlement settlement_no="),
            "{sql}: {told}"
        );
    }
    let row = &platform.rows["payment"][3];
    let columns = platform.columns("payment");
    let quoted = |row: &Row| {
        let values = columns.iter().map(|column| match &row[column] {
            None => "NULL".into(),
            Some(value) if column == "amount" => value.clone(),
            Some(value) if column.ends_with("_at") => {
                format!("'{}'", value.replace('T', " ").trim_end_matches('Z'))
            }
            Some(value) => format!("'{value}'"),
        });
        format!(
            "INSERT INTO payment ({}) VALUES ({})",
            columns.join(", "),
            values.collect::<Vec<_>>().join(", ")
        )
    };
    assert!(
        run(&platform, &quoted(row))
            .unwrap_err()
            .contains("is there already")
    );
    let mut lower = row.clone();
    lower.insert(
        "payment_no".into(),
        Some(row["payment_no"].clone().unwrap().to_lowercase()),
    );
    assert!(
        run(&platform, &quoted(&lower))
            .unwrap_err()
            .contains("collation")
    );
    // Once it is gone it may come again, and what stays the same is no change.
    let again = format!(
        "DELETE FROM payment WHERE payment_no = '{}'; {}",
        row["payment_no"].clone().unwrap(),
        quoted(row)
    );
    assert!(
        run(&platform, &again)
            .unwrap_err()
            .contains("change no row")
    );
}

#[test]
fn later_statements_see_what_earlier_ones_did() {
    let platform = Platform::new(73, 60, 0);
    let row = platform.rows["payment"]
        .iter()
        .find(|row| row["status"].as_deref() == Some("PAID"))
        .unwrap();
    let number = row["payment_no"].clone().unwrap();
    let sql = format!(
        "START TRANSACTION; -- first
         UPDATE payment_db.payment SET amount = amount + 1 WHERE payment_no = '{number}';
         /* then */ UPDATE `payment` SET amount = amount * 2, status = 'CLOSED' WHERE payment.payment_no = '{number}';
         UPDATE payment SET business_code = 'B9' WHERE status = 'CLOSED' AND payment_no = '{number}'; # and
         UPDATE payment SET business_code = 'B8' WHERE status = 'PAID' AND payment_no = '{number}';
         COMMIT;"
    );
    let changes = run(&platform, &sql).unwrap();
    assert_eq!(changes.rows.len(), 1);
    let change = &changes.rows[0];
    assert_eq!(change.planned, Planned::Update);
    let texts: Vec<String> = change.new.values().map(ToString::to_string).collect();
    let amount: f64 = row["amount"].as_deref().unwrap().parse().unwrap();
    assert_eq!(
        texts,
        [
            "B9".to_owned(),
            format!("{:.2}", (amount + 1.0) * 2.0),
            "CLOSED".to_owned()
        ]
    );
    let gone = format!(
        "DELETE FROM payment WHERE payment_no = '{number}'; UPDATE payment SET amount = 1 WHERE payment_no = '{number}'"
    );
    let changes = run(&platform, &gone).unwrap();
    assert_eq!(changes.rows[0].planned, Planned::Delete);
    assert_eq!(changes.rows[0].old.len(), platform.columns("payment").len());
}
