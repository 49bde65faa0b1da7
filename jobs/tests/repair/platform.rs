//! The small healthy platform, on which payments are guarded and repairs announced: its log goes on after its snapshot.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use centinel_model::Timestamp;
use serde_json::{Map, Value, json};

use crate::{centinel, root};

/// The platform's own changes are explained; those of people must be announced.
const GUARD: &str = "guard:
  plans: repair-plans
  window: 1s
  explained_by:
    - { operations: [insert] }
    - { operations: [update], when: account IS NULL }
";

const RULE: &str = "/* ---
id: payment-is-above-zero
title: Nobody pays nothing
entity: order
severity: error
key: [order_no, payment_no]
owner: payment
settle: 0s
retries: 0
status: stable
--- */
SELECT order_no, payment_no FROM payment WHERE amount <= 0
";

/// How long an announced file is behind the clock, and a second for the guard's window, at most.
const LATE: Duration = Duration::from_secs(4);

pub struct Platform {
    folder: tempfile::TempDir,
    sequence: u64,
}

/// What `detect` told so far: rule and key of each finding, by its last verdict.
#[derive(Debug, Default)]
pub struct Told {
    pub status: i32,
    pub findings: BTreeMap<(String, String), String>,
}

impl Told {
    /// The keys of what is confirmed of this rule.
    pub fn confirmed(&self, rule: &str) -> Vec<&str> {
        let found = self.findings.iter();
        let confirmed = found.filter(|((of, _), verdict)| of == rule && *verdict == "confirmed");
        confirmed.map(|((_, key), _)| key.as_str()).collect()
    }
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros() as i64)
}

impl Platform {
    pub fn new() -> Platform {
        let platform = Platform {
            folder: tempfile::tempdir().unwrap(),
            sequence: 1_000_000,
        };
        for folder in ["schemas", "rules"] {
            std::fs::create_dir(platform.path(folder)).unwrap();
        }
        let mut sources = String::new();
        for entry in std::fs::read_dir(root().join("schemas")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.ends_with(".yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Guards stand last.
            let own = match text.split_once("\nguard:") {
                Some((own, _)) => own.to_owned() + "\n",
                None => text,
            };
            let text = match name {
                "payment.yaml" => own + GUARD,
                _ => own,
            };
            platform.write(&format!("schemas/{name}"), &text);
            let source = text.lines().find_map(|line| line.strip_prefix("source: "));
            let entry = |source: &str| format!("[sources.{source}]\n");
            if let Some(source) = source.filter(|source| !sources.contains(&entry(source))) {
                sources += &entry(source);
                sources += "kind = \"file\"\npath = \"log.jsonl\"\n";
            }
        }
        platform.write("rules/payment-is-above-zero.sql", RULE);
        platform.write(
            "centinel.toml",
            &format!(
                "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
                 [findings]\nfile = \"findings.jsonl\"\n{sources}\
                 [sources.repair-plans]\nkind = \"file\"\npath = \"plans.jsonl\"\n"
            ),
        );
        platform.write("plans.jsonl", "");
        let log = root().join("data-fixtures/small/healthy/jsonl/log.jsonl");
        std::fs::copy(log, platform.path("log.jsonl")).unwrap();
        platform
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.at(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The payments that were made, as they are now.
    pub fn payments(&self) -> Vec<Map<String, Value>> {
        let mut rows: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for line in self.read("log.jsonl").lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["table"] == "payment" {
                let row = line["after"].as_object().unwrap();
                rows.insert(row["payment_no"].to_string(), row.clone());
            }
        }
        let paid = rows.into_values().filter(|row| row["status"] == "PAID");
        paid.collect()
    }

    /// Arguments that a plan is tried with; then those of this plan.
    pub fn try_plan(&self, more: &[&str]) -> (i32, String, String) {
        let (schemas, rules) = (self.at("schemas"), self.at("rules"));
        let snapshot = root()
            .join("data-fixtures/small/healthy/snapshot")
            .display()
            .to_string();
        let own = [
            "repair",
            "plan",
            "--schemas",
            &schemas,
            "--rules",
            &rules,
            "--snapshot",
            &snapshot,
            "--at-rest",
        ];
        centinel(&[&own[..], more].concat())
    }

    /// A safe plan: these payments get the business code `B9`.
    pub fn plan(&self, payments: &[&str]) -> String {
        let names: Vec<String> = payments.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "UPDATE payment SET business_code = 'B9' WHERE payment_no IN ({});\n",
            names.join(", ")
        );
        let (sql, plan) = (self.write("plan.sql", &sql), self.at("plan.json"));
        let (status, out, said) = self.try_plan(&["--sql", &sql, "--out", &plan]);
        assert_eq!((status, said.as_str()), (0, ""), "{out}");
        plan
    }

    /// Approves and announces it.
    pub fn approve(&self, plan: &str, window: &str) {
        let (schemas, rules) = (self.at("schemas"), self.at("rules"));
        let plans = self.at("plans.jsonl");
        let (status, out, said) = centinel(&[
            "repair",
            "approve",
            plan,
            "--schemas",
            &schemas,
            "--rules",
            &rules,
            "--by",
            "Lin",
            "--window",
            window,
            "--announce",
            &plans,
        ]);
        assert_eq!((status, said.as_str()), (0, ""), "{out}");
    }

    /// Somebody changes a payment by hand.
    pub fn change(&mut self, before: &Map<String, Value>, column: &str, value: &str) {
        self.sequence += 1;
        let mut after = before.clone();
        after.insert(column.into(), value.into());
        after.insert("updated_at".into(), now().to_string().into());
        self.append(&json!({
            "table": "payment", "op": "update", "epoch": 1, "sequence": self.sequence, "ordinal": 0, "last": true,
            "committed_at": now().to_string(), "thread": 77, "account": "ops@console",
            "before": before, "after": after,
        }));
    }

    /// Every source says that this was all, and detection reads it.
    pub fn detect(&self) -> Told {
        let config = self.read("centinel.toml");
        let names = config.lines().filter_map(|line| {
            let name = line.strip_prefix("[sources.")?.strip_suffix(']')?;
            (name != "repair-plans").then_some(name)
        });
        for name in names {
            self.append(&json!({"heartbeat": name, "committed_at": now().to_string()}));
        }
        let (status, _, said) = centinel(&[
            "detect",
            "--until-now",
            "--config",
            &self.at("centinel.toml"),
        ]);
        assert!(!said.contains("error"), "{said}");
        let mut told = Told {
            status,
            ..Told::default()
        };
        for line in self.read("findings.jsonl").lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["schema"] == "centinel/finding/1" {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let key = (text(&line["rule"]), text(&line["key"][1][1]));
                told.findings.insert(key, text(&line["verdict"]));
            }
        }
        told
    }

    /// What `repair status` says.
    pub fn status(&self, plan: &str) -> (i32, String, String) {
        let findings = self.at("findings.jsonl");
        centinel(&["repair", "status", plan, "--findings", &findings])
    }

    /// Waits until the time of the plan that was approved last is over and can be told to be.
    pub fn wait_for_its_end(&self) {
        let approvals = self.read("approvals.jsonl");
        let last: Value = serde_json::from_str(approvals.lines().last().unwrap()).unwrap();
        let until = Timestamp::parse(last["until"].as_str().unwrap()).unwrap();
        let began = Instant::now();
        let left = Duration::from_micros(until.since(now()).0.unsigned_abs()) + LATE;
        while began.elapsed() < left {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn append(&self, line: &Value) {
        let mut log = OpenOptions::new()
            .append(true)
            .open(self.path("log.jsonl"))
            .unwrap();
        writeln!(log, "{line}").unwrap();
    }
}
