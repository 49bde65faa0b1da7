//! A small platform in a folder: schemas, rules, a log, and `centinel detect` over them.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long something may take to happen before the test fails.
const LIMIT: Duration = Duration::from_secs(180);

pub const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  status: text
  updated_at: timestamp
changed_at: updated_at
";

/// A rule over payments that is sure as soon as the source has said how far it stands.
pub fn rule(id: &str, condition: &str) -> String {
    format!(
        "/* ---
id: {id}
title: No payment is so
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
settle: 0s
retries: 0
status: stable
--- */
SELECT order_no, payment_no, amount
FROM payment
WHERE {condition}
"
    )
}

pub struct Platform {
    folder: tempfile::TempDir,
    sequence: u64,
}

/// A payment as its row is in the log, without braces.
pub fn payment(number: &str, amount: &str, more: &str) -> String {
    format!(
        r#""payment_no":"{number}","order_no":"O-{number}","amount":"{amount}","status":"PAID","updated_at":"2026-11-22T08:00:00Z"{more}"#
    )
}

impl Platform {
    pub fn new() -> Platform {
        let platform = Platform {
            folder: tempfile::tempdir().unwrap(),
            sequence: 0,
        };
        platform.write(
            "schemas/entities.yaml",
            "centinel: entities/1\nentities: { order: { key: [order_no] } }\n",
        );
        platform.write("schemas/payment.yaml", PAYMENT);
        platform.write("log.jsonl", "");
        platform
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file there, whole at once.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    }

    /// Adds payments to the log, or changes them where a row before is given, and the source's word that this was all.
    pub fn log(&mut self, rows: &[(Option<&str>, &str)]) {
        let mut lines = String::new();
        for (before, after) in rows {
            self.sequence += 1;
            let (sequence, second) = (self.sequence, self.sequence % 60);
            let minute = self.sequence / 60;
            let (op, before) = match before {
                None => ("insert", String::new()),
                Some(before) => ("update", format!(r#","before":{{{before}}}"#)),
            };
            writeln!(
                lines,
                r#"{{"table":"payment","op":"{op}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"2026-11-22T08:{minute:02}:{second:02}Z"{before},"after":{{{after}}}}}"#
            )
            .unwrap();
        }
        let (minute, second) = (self.sequence / 60, self.sequence % 60);
        writeln!(
            lines,
            r#"{{"heartbeat":"payment-db","committed_at":"2026-11-22T08:{minute:02}:{second:02}.5Z"}}"#
        )
        .unwrap();
        let mut log = OpenOptions::new()
            .append(true)
            .open(self.path("log.jsonl"))
            .unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }

    /// `centinel detect` over all of it, as a configuration file says.
    pub fn detect_configured(&self) -> Running {
        self.write(
            "centinel.toml",
            "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
             [findings]\nfile = \"findings.jsonl\"\n\
             [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n",
        );
        let config = self.path("centinel.toml").display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.args(["detect", "--config", &config]);
        self.start(command)
    }

    /// `centinel detect` over all of it, with more arguments.
    pub fn detect(&self, arguments: &[&str]) -> Running {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.arg("detect");
        for (option, name) in [
            ("--schemas", "schemas"),
            ("--rules", "rules"),
            ("--state", "state"),
            ("--input", "log.jsonl"),
            ("--out", "findings.jsonl"),
        ] {
            command.args([option.to_owned(), path(name)]);
        }
        command.args(arguments);
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Running {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, keep) = (
            BufReader::new(child.stderr.take().unwrap()).lines(),
            Arc::clone(&said),
        );
        let listening = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                keep.lock().unwrap().push(line);
            }
        });
        Running {
            child,
            said,
            listening: Some(listening),
            findings: self.path("findings.jsonl"),
        }
    }
}

/// The program, running; killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    listening: Option<std::thread::JoinHandle<()>>,
    findings: PathBuf,
}

impl Running {
    /// Everything on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// How often this stands on standard error.
    pub fn times_said(&self, text: &str) -> usize {
        self.said().matches(text).count()
    }

    /// The findings told, as `verdict rule payment`; of a rule that is gone, the order.
    pub fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.findings).unwrap_or_default();
        let lines = text.lines();
        let told = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let findings = told.filter(|told| told["schema"] == "centinel/finding/1");
        let shown = findings.map(|finding| {
            let payment = &finding["key"][1][1];
            let whose = if payment.is_null() {
                &finding["entity_key"]
            } else {
                payment
            };
            let words = [&finding["verdict"], &finding["rule"], whose];
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .join(" ")
        });
        shown.collect()
    }

    #[track_caller]
    pub fn wait(&mut self, what: &str, come: impl Fn(&Running) -> bool) {
        let began = Instant::now();
        while !come(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < LIMIT,
                "{what} never came ({ended:?}); it said:\n{}\nand told {:#?}",
                self.said(),
                self.told()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn wait_said(&mut self, text: &str) {
        self.wait(text, |running| running.times_said(text) > 0);
    }

    #[track_caller]
    pub fn wait_told(&mut self, finding: &str) {
        self.wait(finding, |running| {
            running.told().iter().any(|told| told == finding)
        });
    }

    /// Asks it to end; its exit status.
    pub fn terminate(mut self) -> (i32, String) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        self.ends()
    }

    /// Waits for its end; its exit status.
    pub fn wait_for_end(mut self) -> (i32, String) {
        self.ends()
    }

    fn ends(&mut self) -> (i32, String) {
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
        self.listening.take().unwrap().join().unwrap();
        (status.code().unwrap(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
