//! What is proved local, and look-alikes that are not.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use centinel_rules::Locality;
use support::{catalog, rule};

#[test]
fn these_are_local() {
    let catalog = catalog();
    for sql in LOCAL {
        let locality = rule(sql, &catalog).locality;
        assert!(locality.is_local(), "{sql}\n{locality:?}");
    }
}

#[test]
fn these_only_look_local() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    for (sql, because) in LOOK_ALIKES {
        match rule(sql, &catalog).locality {
            Locality::NotLocal { reason, .. } if reason.contains(because) => {}
            other => wrong.push(format!("{sql}\n  {other:?}\n  instead of {because}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_reason_points_at_the_line() {
    let sql =
        "SELECT p.order_no\nFROM payment p\nJOIN refund r\n  ON r.merchant_no = p.merchant_no";
    match rule(sql, &catalog()).locality {
        Locality::NotLocal { line, .. } => assert_eq!(line, Some(12)),
        Locality::Local => panic!("not local"),
    }
}

const LOCAL: &[&str] = &[
    "SELECT order_no FROM payment",
    "SELECT order_no FROM payment WHERE order_no <> 'TEST' AND order_no NOT LIKE 'X%'",
    "SELECT p.order_no FROM payment p, refund r WHERE p.order_no = r.order_no AND p.merchant_no = r.merchant_no",
    "SELECT p.order_no FROM payment p JOIN refund r USING (order_no)",
    "SELECT p.order_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no AND r.amount > p.amount",
    "SELECT r.order_no FROM payment p RIGHT JOIN refund r ON r.order_no = p.order_no",
    "SELECT COALESCE(p.order_no, r.order_no) AS order_no FROM payment p FULL JOIN refund r ON r.order_no = p.order_no",
    "SELECT COALESCE(p.order_no, r.order_no) AS order_no FROM payment p FULL JOIN refund r ON r.order_no = p.order_no
     WHERE p.amount > 1",
    "SELECT COALESCE(p.order_no, r.order_no) AS order_no FROM payment p FULL JOIN refund r ON r.order_no = p.order_no
     WHERE r.amount > 1",
    "SELECT COALESCE(p.order_no, r.order_no, s.order_no) AS order_no FROM payment p
     FULL JOIN refund r ON r.order_no = p.order_no
     FULL JOIN settlement s ON s.order_no = COALESCE(p.order_no, r.order_no)",
    "SELECT order_no FROM payment p WHERE EXISTS (SELECT 1 FROM refund r WHERE r.order_no = p.order_no)",
    "SELECT order_no FROM payment p WHERE NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_no = p.order_no)",
    "SELECT order_no FROM payment WHERE order_no IN (SELECT order_no FROM refund)",
    "SELECT order_no FROM payment WHERE order_no NOT IN (SELECT order_no FROM refund)",
    "SELECT order_no FROM payment p WHERE p.amount > (SELECT SUM(r.amount) FROM refund r WHERE r.order_no = p.order_no)",
    "SELECT order_no FROM payment p WHERE p.status = 'PAID'
     OR EXISTS (SELECT 1 FROM refund r WHERE r.order_no = p.order_no)",
    "SELECT order_no, COUNT(*) AS n FROM payment GROUP BY order_no HAVING COUNT(*) > 1",
    "SELECT order_no, COUNT(DISTINCT channel) AS n FROM payment GROUP BY order_no",
    "SELECT DISTINCT order_no FROM payment",
    "SELECT order_no FROM payment UNION ALL SELECT order_no FROM refund",
    "SELECT order_no FROM payment UNION SELECT order_no FROM refund",
    "SELECT order_no FROM payment EXCEPT SELECT order_no FROM refund",
    "SELECT order_no FROM payment INTERSECT SELECT order_no FROM refund",
    "WITH r AS (SELECT order_no, SUM(amount) AS refunded FROM refund GROUP BY order_no)
     SELECT p.order_no, r.refunded FROM payment p JOIN r ON r.order_no = p.order_no",
    "SELECT order_no, n FROM (SELECT order_no, ROW_NUMBER() OVER (PARTITION BY order_no ORDER BY refund_no) AS n
     FROM refund) WHERE n > 1",
    "SELECT order_no, total FROM (SELECT order_no, SUM(amount) OVER (PARTITION BY order_no) AS total FROM refund)",
    "SELECT s.order_no FROM settlement s JOIN accounting_entry e ON e.settlement_no = s.settlement_no",
    "SELECT s.order_no FROM accounting_entry e JOIN accounting_entry_booked b ON b.settlement_no = e.settlement_no
     JOIN settlement s ON s.settlement_no = b.settlement_no",
    "SELECT s.order_no, e.n FROM settlement s JOIN (SELECT settlement_no, COUNT(*) AS n FROM accounting_entry
     GROUP BY settlement_no) e ON e.settlement_no = s.settlement_no",
];

const LOOK_ALIKES: &[(&str, &str)] = &[
    // Joins that tie rows of different orders.
    ("SELECT a.order_no FROM payment a JOIN payment b ON a.merchant_no = b.merchant_no", "neither order_no nor a declared link"),
    ("SELECT p.order_no FROM payment p JOIN refund r ON r.payment_no = p.payment_no", "neither order_no nor a declared link"),
    ("SELECT p.order_no FROM payment p, refund r", "combined"),
    ("SELECT p.order_no FROM payment p CROSS JOIN refund r", "combined"),
    ("SELECT p.order_no FROM payment p JOIN refund r ON r.order_no < p.order_no", "combined"),
    ("SELECT p.order_no FROM payment p JOIN refund r ON r.order_no = p.order_no OR r.amount > p.amount", "combined"),
    ("SELECT p.order_no FROM payment p JOIN refund r ON r.order_no = p.payment_no", "neither order_no nor a declared link"),
    ("SELECT p.order_no FROM payment p LEFT JOIN refund r ON r.merchant_no = p.merchant_no", "neither order_no"),
    ("SELECT s.order_no FROM settlement s JOIN accounting_entry e ON e.account_no = s.merchant_no", "neither order_no"),
    ("SELECT s.order_no FROM settlement s JOIN accounting_entry e ON e.settlement_no = s.order_no", "neither order_no"),
    // The key passes through something.
    ("SELECT p.order_no FROM payment p JOIN refund r ON UPPER(r.order_no) = UPPER(p.order_no)", "function or a cast"),
    ("SELECT p.order_no FROM payment p JOIN refund r ON SUBSTR(r.order_no, 1, 4) = p.order_no", "function or a cast"),
    ("SELECT UPPER(order_no) AS order_no FROM payment", "not the key of the order"),
    ("SELECT SUBSTR(order_no, 1, 4) AS order_no, COUNT(*) AS n FROM payment GROUP BY SUBSTR(order_no, 1, 4)", "function or a cast"),
    ("SELECT order_no || '' AS order_no FROM payment", "not the key of the order"),
    // Keys of the side that may be missing.
    ("SELECT r.order_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no", "outer join"),
    ("SELECT p.order_no FROM payment p FULL JOIN refund r ON r.order_no = p.order_no", "outer join"),
    ("SELECT COALESCE(p.order_no, r.payment_no) AS order_no FROM payment p FULL JOIN refund r ON r.order_no = p.order_no", "outer join"),
    ("SELECT COALESCE(r.order_no, s.order_no) AS order_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no
      LEFT JOIN settlement s ON s.order_no = p.order_no", "outer join"),
    ("SELECT p.order_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no
      LEFT JOIN settlement s ON s.order_no = r.order_no", "neither order_no"),
    ("SELECT r.order_no, COUNT(*) AS n FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no GROUP BY r.order_no", "does not include order_no"),
    // Subqueries that look at all orders.
    ("SELECT order_no FROM payment WHERE amount > (SELECT MAX(amount) FROM refund)", "subquery"),
    ("SELECT order_no FROM payment WHERE EXISTS (SELECT 1 FROM refund WHERE amount > 100)", "combined"),
    ("SELECT order_no FROM payment WHERE NOT EXISTS (SELECT 1 FROM refund)", "combined"),
    ("SELECT order_no FROM payment WHERE merchant_no IN (SELECT merchant_no FROM refund)", "neither order_no"),
    ("SELECT order_no FROM payment p WHERE NOT EXISTS (SELECT 1 FROM refund r WHERE r.payment_no = p.payment_no)", "neither order_no"),
    ("SELECT order_no FROM refund WHERE reason NOT IN (SELECT reason FROM refund)", "NOT IN"),
    ("SELECT order_no FROM payment p WHERE p.amount > (SELECT SUM(r.amount) FROM refund r WHERE r.merchant_no = p.merchant_no)", "does not include order_no"),
    ("SELECT order_no FROM payment WHERE amount > ALL (SELECT amount FROM refund)", "combined"),
    // Groups and windows over several orders.
    ("SELECT MIN(order_no) AS order_no FROM payment", "without GROUP BY"),
    ("SELECT MIN(order_no) AS order_no FROM payment HAVING COUNT(*) > 1", "without GROUP BY"),
    ("SELECT MIN(order_no) AS order_no, merchant_no FROM payment GROUP BY merchant_no", "does not include order_no"),
    ("SELECT order_no, COUNT(*) AS n FROM payment GROUP BY ROLLUP (order_no)", "ROLLUP"),
    ("SELECT order_no, COUNT(*) AS n FROM payment GROUP BY GROUPING SETS ((order_no), ())", "ROLLUP"),
    ("SELECT p.order_no FROM payment p JOIN (SELECT DISTINCT merchant_no FROM refund) r ON r.merchant_no = p.merchant_no", "does not include order_no"),
    ("SELECT order_no, n FROM (SELECT order_no, RANK() OVER (ORDER BY amount) AS n FROM payment)", "PARTITION BY"),
    ("SELECT order_no, t FROM (SELECT order_no, SUM(amount) OVER (PARTITION BY merchant_no) AS t FROM payment)", "PARTITION BY"),
    ("SELECT order_no, n FROM (SELECT order_no, ROW_NUMBER() OVER (PARTITION BY order_no ORDER BY amount) AS n FROM payment)", "may tie"),
    ("SELECT order_no, n FROM (SELECT order_no, LAG(amount) OVER (PARTITION BY order_no ORDER BY updated_at) AS n FROM payment)", "may tie"),
    ("SELECT DISTINCT ON (merchant_no) order_no FROM payment", "DISTINCT ON"),
    // Sets that mix keys.
    ("SELECT order_no FROM payment UNION ALL SELECT settlement_no FROM accounting_entry", "UNION"),
    ("SELECT order_no FROM payment UNION SELECT merchant_no FROM payment", "UNION"),
    ("SELECT order_no FROM payment EXCEPT SELECT merchant_no FROM refund", "neither order_no"),
    ("SELECT order_no FROM payment INTERSECT SELECT payment_no FROM refund", "neither order_no"),
    ("SELECT order_no FROM payment UNION ALL SELECT 'E1'", "stand in the rule itself"),
    // Tables that know no order.
    ("SELECT p.order_no FROM payment p JOIN cash_out c ON c.merchant_no = p.merchant_no", "do not belong to one order"),
    ("SELECT cash_out_no AS order_no FROM cash_out", "do not belong to one order"),
    ("SELECT settlement_no AS order_no FROM accounting_entry", "not the key of the order"),
    ("SELECT merchant_no AS order_no FROM payment", "not the key of the order"),
];
