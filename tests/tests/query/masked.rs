//! Sensitive columns: whatever is asked, what comes out is what evidence shows.

use crate::platform::Platform;
use crate::{asked, one, rows};

/// An account of the log, which nothing may tell.
const ACCOUNT: &str = "U0336938491";
const CARD: &str = "6222298512560845";

#[test]
fn nothing_tells_what_is_masked() {
    let platform = Platform::detected();
    let in_log = platform.changes.iter().any(|change| {
        let row = change.after.as_ref();
        row.is_some_and(|row| row.get("payer_account") == Some(&Some(ACCOUNT.into())))
    });
    assert!(in_log, "the log has that account");
    let shown = "SELECT DISTINCT payer_account FROM state.payment WHERE order_no = '2026112208000000000000'";
    assert_eq!(one(platform.tables(), shown).as_deref(), Some("****8491"));

    // Conditions are about what is shown, so that nobody can try values.
    for (sql, count) in [
        (
            format!("SELECT count(*) FROM state.payment WHERE payer_account = '{ACCOUNT}'"),
            "0",
        ),
        (
            format!("SELECT count(*) FROM archive.payment WHERE payer_account = '{ACCOUNT}'"),
            "0",
        ),
        (
            "SELECT count(*) FROM archive.payment WHERE payer_account LIKE 'U03%'".into(),
            "0",
        ),
        (
            "SELECT count(*) FROM archive.payment WHERE _before_card_no BETWEEN '6' AND '7'".into(),
            "0",
        ),
        (
            "SELECT count(*) FROM archive.payment WHERE payer_account NOT LIKE '****%'".into(),
            "0",
        ),
        (
            "SELECT count(DISTINCT length(card_no)) FROM archive.payment WHERE card_no IS NOT NULL"
                .into(),
            "1",
        ),
    ] {
        assert_eq!(
            one(platform.tables(), &sql).as_deref(),
            Some(count),
            "{sql}"
        );
    }

    // Whatever is made of it, in answers, in plans and in complaints.
    for sql in [
        "SELECT payer_account || card_no FROM state.payment",
        "SELECT max(payer_account), min(card_no), string_agg(card_no, ',') FROM archive.payment",
        "SELECT reverse(card_no), substr(payer_account, 1, 9), md5(card_no) FROM archive.payment",
        "SELECT CAST(payer_account AS BIGINT) FROM state.payment",
        "SELECT CAST(card_no AS BIGINT) FROM archive.payment",
        "SELECT arrow_cast(card_no, 'Int64') FROM archive.payment",
        "SELECT * FROM archive.payment AS a JOIN state.payment AS s ON a.card_no = s.card_no LIMIT 50",
        "EXPLAIN ANALYZE SELECT card_no FROM archive.payment WHERE card_no > '5'",
        "SELECT _before_payer_account, _before_card_no, _statement FROM archive.payment",
        "SELECT bank_card FROM state.cash_out UNION ALL SELECT _before_bank_card FROM archive.cash_out",
    ] {
        let told = match asked(platform.tables(), sql) {
            Ok(answer) => format!("{:?}", rows(&answer)),
            Err(error) => error.to_string(),
        };
        for secret in [
            ACCOUNT,
            CARD,
            "U03369",
            "622229",
            "1948396330",
            "5480652158922226",
        ] {
            assert!(!told.contains(secret), "{sql} tells {secret}");
        }
    }
}

#[test]
fn who_lists_tables_sees_what_is_masked() {
    let platform = Platform::detected();
    let tables = platform.tables();
    let payment = tables
        .all()
        .iter()
        .find(|table| table.to_string() == "state.payment");
    let columns = &payment.unwrap().columns;
    let told = |name: &str| {
        &columns
            .iter()
            .find(|column| column.name == name)
            .unwrap()
            .told
    };
    assert_eq!(told("card_no"), "text; masked");
    assert_eq!(told("amount"), "decimal(18,2); money in major units of CNY");
}
