//! Messages as detection writes them, and a file that grows as its does.

use std::io::Write;
use std::path::PathBuf;

use centinel_findings::{Caught, Filter, FindingsError, Order, Row, Store, follow};
use centinel_model::{FindingId, Timestamp};
use serde_json::{Value, json};

/// A message on the finding of a rule and an order; `change` puts other fields in.
pub fn told(rule: &str, order: &str, sequence: u64, verdict: &str, change: Value) -> Value {
    let mut message = json!({
        "schema": "centinel/finding/1",
        "finding_id": id(rule, order),
        "sequence": sequence,
        "rule": rule,
        "rule_version": "0123456789abcdef",
        "title": format!("The title of {rule}"),
        "entity": "order",
        "entity_key": order,
        "key": [["order_no", order]],
        "verdict": verdict,
        "occurrence": 1,
        "severity": "error",
        "owner": "settlement",
        "amount": null,
        "currency": null,
        "hint": null,
        "evidence": { "rows": [], "total": 0 },
        "positions": {},
        "anchor": "2026-11-22T08:00:00Z",
        "judged_at": "2026-11-22T08:01:00Z",
    });
    for (name, value) in change.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

pub fn id(rule: &str, order: &str) -> String {
    FindingId::new(rule, [order]).0
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The time at which tests take things in and do things.
pub fn now() -> Timestamp {
    at("2026-11-23T09:00:00Z")
}

pub fn money(amount: &str, currency: &str) -> Value {
    json!({ "amount": amount, "currency": currency })
}

/// A folder with a store and detection's file.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub store: Store,
}

impl Desk {
    pub fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("findings.db")).unwrap();
        Desk { folder, store }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("findings.jsonl")
    }

    /// Detection writes lines.
    pub fn write(&self, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.write_bytes(text.as_bytes());
    }

    pub fn write_bytes(&self, bytes: &[u8]) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.file()).unwrap();
        file.write_all(bytes).unwrap();
    }

    pub fn try_follow(&mut self) -> Result<Caught, FindingsError> {
        let file = self.file();
        follow(&mut self.store, &file, &now)
    }

    pub fn follow(&mut self) -> Caught {
        self.try_follow().unwrap()
    }

    /// Writes lines and takes them in.
    pub fn tell(&mut self, lines: &[Value]) -> Caught {
        self.write(lines);
        self.follow()
    }

    pub fn restart(&mut self) {
        let path = self.folder.path().join("findings.db");
        self.store = Store::open(&path).unwrap();
    }

    pub fn get(&self, rule: &str, order: &str) -> Row {
        self.store.get(&id(rule, order)).unwrap().unwrap()
    }

    /// All that fits, by pages of `limit`.
    pub fn list(&self, filter: &Filter, order: Order, limit: usize) -> Vec<Row> {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .store
                .page(filter, order, after.as_ref(), limit)
                .unwrap();
            assert!(page.rows.len() <= limit);
            assert!(page.next.is_none() || page.rows.len() == limit);
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    }

    /// The words of a finding's history.
    pub fn history(&self, rule: &str, order: &str) -> Vec<String> {
        let entries = self.store.history(&id(rule, order), 0, 500).unwrap();
        let word = |entry| {
            serde_json::to_value(entry).unwrap()["what"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        entries.into_iter().map(word).collect()
    }
}

/// The orders of findings, in their order.
pub fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|row| row.finding.entity_key.as_str())
        .collect()
}
