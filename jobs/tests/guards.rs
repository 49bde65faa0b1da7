//! Guards whose events and rows hold money in other units, or in currencies of their own, as `centinel detect` judges them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

const ENTITIES: &str = "centinel: entities/1\nentities: { order: { key: [order_no] } }\n";

/// Yuan in the row; the event has fen.
const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
guard:
  window: 1m
  explained_by:
    - event: payment_amended
      key: { payment_no: payment_no }
      when: event.amount = after_amount
";
const AMENDED: &str = "centinel: schema/1
event: payment_amended
system: payment
source: business-events
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: integer, money: { currency: CNY, unit: minor } }
  published_at: timestamp
changed_at: published_at
";

/// Each row has its own currency, counted in its minor unit; the event has the major one.
const WALLET: &str = "centinel: schema/1
table: wallet
system: wallet
source: wallet-db
primary_key: [wallet_no]
entities: { order: [order_no] }
columns:
  wallet_no: text
  order_no: text
  currency: text
  balance: { type: integer, money: { currency: { column: currency }, unit: minor } }
guard:
  window: 1m
  explained_by:
    - event: wallet_set
      key: { wallet_no: wallet_no }
      when: event.balance = after_balance AND event.currency = after_currency
";
const SET: &str = "centinel: schema/1
event: wallet_set
system: wallet
source: business-events
entities: { order: [order_no] }
columns:
  wallet_no: text
  order_no: text
  currency: text
  balance: { type: \"decimal(18,2)\", money: { currency: { column: currency }, unit: major } }
  published_at: timestamp
changed_at: published_at
";

/// Guards bring their rules by themselves; a folder of rules has one at least.
const RULE: &str = "/* ---
id: payment-is-not-negative
title: Nobody pays less than nothing
entity: order
severity: error
key: [order_no, payment_no]
owner: payment
settle: 0s
retries: 0
status: stable
--- */
SELECT order_no, payment_no FROM payment WHERE amount < 0
";

const AT: &str = "2026-11-22T08:00:00Z";

fn change(table: &str, sequence: u64, before: &Value, after: &Value) -> Value {
    let op = if before.is_null() { "insert" } else { "update" };
    let mut line = json!({
        "table": table, "op": op, "epoch": 1, "sequence": sequence, "ordinal": 0, "last": true, "committed_at": AT,
        "after": after,
    });
    if !before.is_null() {
        line["before"] = before.clone();
    }
    line
}

fn event(name: &str, id: &str, after: &Value) -> Value {
    let mut after = after.clone();
    after["published_at"] = AT.into();
    json!({"event": name, "message_id": id, "committed_at": AT, "after": after})
}

/// The changes by hand that are told of this log: name of the change, money at risk and currency.
fn by_hand(lines: &[Value]) -> Vec<(String, String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in [
        ("schemas/entities.yaml", ENTITIES),
        ("schemas/payment.yaml", PAYMENT),
        ("schemas/payment_amended.yaml", AMENDED),
        ("schemas/wallet.yaml", WALLET),
        ("schemas/wallet_set.yaml", SET),
        ("rules/payment-is-not-negative.sql", RULE),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let log: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.path().join("log.jsonl"), log).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_centinel"))
        .args([
            "detect",
            "--until-end",
            "--schemas",
            &at("schemas"),
            "--rules",
            &at("rules"),
        ])
        .args([
            "--state",
            &at("state"),
            "--input",
            &at("log.jsonl"),
            "--out",
            &at("findings.jsonl"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let told = std::fs::read_to_string(Path::new(&at("findings.jsonl"))).unwrap_or_default();
    let mut found: Vec<(String, String, String)> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|finding| {
            assert_eq!(finding["verdict"], "confirmed", "{finding}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&finding["key"][1][1]),
                text(&finding["amount"]),
                text(&finding["currency"]),
            )
        })
        .collect();
    found.sort();
    let expected = if found.is_empty() { 0 } else { 2 };
    assert_eq!(done.status.code(), Some(expected), "{said}\n{told}");
    found
}

#[test]
fn an_event_in_another_unit_explains_an_equal_amount() {
    let row = |number: &str, amount: &str| json!({"payment_no": number, "order_no": "E1", "amount": amount});
    let amended = |number: &str, fen: i64| {
        let row = json!({"payment_no": number, "order_no": "E1", "amount": fen});
        event("payment_amended", &format!("{number}-{fen}"), &row)
    };
    let lines = [
        change("payment", 1, &Value::Null, &row("P1", "12.50")),
        amended("P1", 1_250),
        // The amount in yuan, where fen are meant: it explains nothing.
        change("payment", 2, &Value::Null, &row("P2", "12.50")),
        amended("P2", 12),
        change("payment", 3, &row("P1", "12.50"), &row("P1", "13.00")),
        amended("P1", 1_300),
        change("payment", 4, &row("P1", "13.00"), &row("P1", "1300.00")),
    ];
    let told = |id: &str, amount: &str| (id.to_owned(), amount.to_owned(), "CNY".to_owned());
    assert_eq!(
        by_hand(&lines),
        [told("P1@1.4.0", "1287.00"), told("P2@1.2.0", "12.50")]
    );
}

#[test]
fn rows_with_currencies_of_their_own_are_compared_and_told_in_them() {
    let row = |number: &str, currency: &str, balance: i64| json!({"wallet_no": number, "order_no": "E1", "currency": currency, "balance": balance});
    let set = |number: &str, currency: &str, balance: &str| {
        let row = json!({"wallet_no": number, "order_no": "E1", "currency": currency, "balance": balance});
        event(
            "wallet_set",
            &format!("{number}-{currency}-{balance}"),
            &row,
        )
    };
    let lines = [
        change("wallet", 1, &Value::Null, &row("W1", "USD", 1_250)),
        set("W1", "USD", "12.50"),
        change(
            "wallet",
            2,
            &row("W1", "USD", 1_250),
            &row("W1", "USD", 1_500),
        ),
        // The same number in another currency explains nothing.
        change("wallet", 3, &Value::Null, &row("W2", "EUR", 700)),
        set("W2", "USD", "7.00"),
        // Another currency, and the same number: all of it is at risk.
        change("wallet", 4, &row("W2", "EUR", 700), &row("W2", "CNY", 700)),
    ];
    let told = |id: &str, amount: &str, currency: &str| {
        (id.to_owned(), amount.to_owned(), currency.to_owned())
    };
    assert_eq!(
        by_hand(&lines),
        [
            told("W1@1.2.0", "2.50", "USD"),
            told("W2@1.3.0", "7.00", "EUR"),
            told("W2@1.4.0", "7.00", "CNY"),
        ]
    );
}
