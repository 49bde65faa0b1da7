//! A small platform in a folder, and `centinel detect` over it as a configuration file says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long something may take to happen before the test fails.
const LIMIT: Duration = Duration::from_secs(240);

const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  merchant_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  updated_at: timestamp
changed_at: updated_at
";
const RULE: &str = "/* ---
id: amount-is-positive
title: Every payment has an amount above zero
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
tags: [balance]
settle: 0s
retries: 0
status: stable
runbook: https://wiki.example/amount
--- */
SELECT order_no, payment_no, merchant_no, amount
FROM payment
WHERE amount <= 0
";

pub struct Shop {
    folder: tempfile::TempDir,
    sequence: u64,
}

/// A payment of an order and a merchant of its own, as its row is in the log.
fn payment(number: u64, amount: &str) -> String {
    format!(
        r#"{{"payment_no":"P-{number}","order_no":"O-{number}","merchant_no":"M-{number}","amount":"{amount}","updated_at":"2026-11-22T08:00:00Z"}}"#
    )
}

impl Shop {
    pub fn new() -> Shop {
        let shop = Shop {
            folder: tempfile::tempdir().unwrap(),
            sequence: 0,
        };
        for (name, text) in [
            (
                "schemas/entities.yaml",
                "centinel: entities/1\nentities: { order: { key: [order_no] } }\n",
            ),
            ("schemas/payment.yaml", PAYMENT),
            ("rules/amount-is-positive.sql", RULE),
            ("log.jsonl", ""),
            ("secret", "0123456789abcdef0123456789abcdef\n"),
        ] {
            let path = shop.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes the configuration, with more tables.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
             [findings]\nfile = \"findings.jsonl\"\nstore = \"findings.db\"\n\
             [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n{more}"
        );
        std::fs::write(self.path("centinel.toml"), text).unwrap();
    }

    fn time(&self) -> String {
        let (minute, second) = (self.sequence / 60 % 60, self.sequence % 60);
        format!(
            "2026-11-22T{:02}:{minute:02}:{second:02}",
            8 + self.sequence / 3_600
        )
    }

    /// Payments of zero, which break the rule, and the source's word that this was all.
    pub fn break_rule(&mut self, numbers: std::ops::Range<u64>) {
        let rows = numbers.map(|number| ("insert", None, payment(number, "0")));
        let rows: Vec<_> = rows.collect();
        self.log(&rows);
    }

    /// The payment gets an amount after all.
    pub fn mend(&mut self, number: u64) {
        let before = Some(payment(number, "0"));
        self.log(&[("update", before, payment(number, "5"))]);
    }

    fn log(&mut self, rows: &[(&str, Option<String>, String)]) {
        let mut lines = String::new();
        for (op, before, after) in rows {
            self.sequence += 1;
            let (sequence, time) = (self.sequence, self.time());
            let before = before
                .as_ref()
                .map_or(String::new(), |before| format!(r#","before":{before}"#));
            writeln!(
                lines,
                r#"{{"table":"payment","op":"{op}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{time}Z"{before},"after":{after}}}"#
            )
            .unwrap();
        }
        writeln!(
            lines,
            r#"{{"heartbeat":"payment-db","committed_at":"{}.5Z"}}"#,
            self.time()
        )
        .unwrap();
        let path = self.path("log.jsonl");
        let mut log = OpenOptions::new().append(true).open(path).unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }

    pub fn detect(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.args(["detect", "--config", &self.at("centinel.toml")]);
        Running::start(command)
    }

    /// A job to its end, as the configuration says: exit status, standard output, standard error.
    pub fn centinel(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.at("centinel.toml");
        self.centinel_alone(&[arguments, &["--config", &config]].concat())
    }

    /// The same without the configuration.
    pub fn centinel_alone(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_centinel"))
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let status = done.status.code().unwrap();
        (status, text(done.stdout), text(done.stderr))
    }

    /// Whole lines of a file of JSON Lines.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Findings of real orders that were told with this verdict.
    pub fn told(&self, verdict: &str) -> BTreeSet<String> {
        let told = self.lines("findings.jsonl").into_iter();
        let told = told.filter(|line| line["verdict"] == verdict && line["entity"] == "order");
        told.map(|line| line["finding_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The program, running; killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, keep) = (
            BufReader::new(child.stderr.take().unwrap()).lines(),
            Arc::clone(&said),
        );
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                keep.lock().unwrap().push(line);
            }
        });
        Running { child, said }
    }

    /// Everything on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    #[track_caller]
    pub fn wait(&mut self, what: &str, come: impl Fn() -> bool) {
        let began = Instant::now();
        while !come() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < LIMIT,
                "{what} never came ({ended:?}); it said:\n{}",
                self.said(),
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn wait_said(&mut self, text: &str) {
        let said = Arc::clone(&self.said);
        self.wait(text, || {
            said.lock().unwrap().iter().any(|line| line.contains(text))
        });
    }

    /// SIGKILL, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end; its exit status, and what it said.
    pub fn terminate(mut self) -> (i32, String) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < LIMIT,
                "it does not end; it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        std::thread::sleep(Duration::from_millis(50));
        (status.code().unwrap(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
