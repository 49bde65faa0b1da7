//! A small platform whose log is of this very moment, and `centinel detect` over it with an interface.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use centinel_model::Timestamp;
use serde_json::Value;

/// How long something may take to happen before the test fails.
const LIMIT: Duration = Duration::from_secs(120);

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
  updated_at: timestamp
changed_at: updated_at
";
const RULE: &str = "/* ---
id: amount-is-not-negative
title: Every payment has an amount
entity: order
severity: critical
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
WHERE amount < 0
";

pub struct Shop {
    folder: tempfile::TempDir,
    sequence: u64,
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
            ("rules/amount-is-not-negative.sql", RULE),
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

    /// Writes the configuration, with more tables.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
             [findings]\nfile = \"findings.jsonl\"\nstore = \"findings.db\"\n\
             [interface]\nlisten = \"127.0.0.1:0\"\ntoken = {{ file = \"secret\" }}\n\
             [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n{more}"
        );
        std::fs::write(self.path("centinel.toml"), text).unwrap();
    }

    /// One payment of an order of its own.
    pub fn pay(&mut self, number: u64, amount: &str) {
        self.sequence += 1;
        let (sequence, time) = (self.sequence, now());
        self.write(&format!(
            r#"{{"table":"payment","op":"insert","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{time}","after":{{"payment_no":"P-{number}","order_no":"O-{number}","amount":"{amount}","updated_at":"{time}"}}}}"#
        ));
    }

    /// The payment has another amount now.
    pub fn mend(&mut self, number: u64, before: &str, amount: &str) {
        self.sequence += 1;
        let (sequence, time) = (self.sequence, now());
        let row = |amount: &str| {
            format!(
                r#"{{"payment_no":"P-{number}","order_no":"O-{number}","amount":"{amount}","updated_at":"{time}"}}"#
            )
        };
        self.write(&format!(
            r#"{{"table":"payment","op":"update","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{time}","before":{},"after":{}}}"#,
            row(before),
            row(amount)
        ));
    }

    /// The source says that this was all.
    pub fn beat(&self) {
        let time = now();
        self.write(&format!(
            r#"{{"heartbeat":"payment-db","committed_at":"{time}"}}"#
        ));
    }

    pub fn write(&self, line: &str) {
        let mut text = String::new();
        writeln!(text, "{line}").unwrap();
        let path = self.path("log.jsonl");
        let mut log = OpenOptions::new().append(true).open(path).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    }

    pub fn detect(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.args(["detect", "--config"]);
        command.arg(self.path("centinel.toml"));
        Running::start(command)
    }

    /// The same as a shell starts it that holds back the signal for files that are too large.
    pub fn detect_without_signal(&self) -> Running {
        let mut command = Command::new("bash");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" detect --config \"$1\""]);
        command.arg(env!("CARGO_BIN_EXE_centinel"));
        command.arg(self.path("centinel.toml"));
        Running::start(command)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_micros()).unwrap())
}

/// The program, running; killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    address: String,
}

impl Running {
    /// Starts it, and waits until it says where its interface is.
    pub fn start(mut command: Command) -> Running {
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
        let mut running = Running {
            child,
            said,
            address: String::new(),
        };
        running.address = running.wait("its address", |running| {
            let said = running.said();
            let (_, address) = said.split_once("interface listens on http://")?;
            let end = address.find(['\n', '"']).unwrap_or(address.len());
            Some(address[..end].to_owned())
        });
        running
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, come: impl Fn(&Running) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = come(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < LIMIT,
                "{what} never came ({ended:?}); it said:\n{}",
                self.said(),
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// An answer's status and body; nothing where nothing answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    /// The answer of `/healthz` or `/readyz`: its status and its reasons.
    pub fn health(&self, path: &str) -> Option<(u16, Vec<String>)> {
        let (status, body) = self.get(path)?;
        let health: Value = serde_json::from_str(&body).unwrap();
        let reasons = health["reasons"].as_array().unwrap().iter();
        let reasons = reasons.map(|reason| reason.as_str().unwrap().to_owned());
        Some((status, reasons.collect()))
    }

    /// All samples, by series as it is written.
    pub fn scrape(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.get("/metrics").unwrap();
        assert_eq!(status, 200);
        samples(&text)
    }

    /// Asks it to end; its exit status.
    pub fn terminate(&mut self) -> i32 {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        self.ended()
    }

    /// Waits for its end; its exit status.
    pub fn ended(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(began.elapsed() < LIMIT, "it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Series → value, of the text form.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// A tool of Prometheus, with this on its standard input.
pub fn promtool(arguments: &[&str], input: &str) {
    let mut tool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is of the package `prometheus`, which `make setup-servers` installs");
    let mut given = tool.stdin.take().unwrap();
    given.write_all(input.as_bytes()).unwrap();
    drop(given);
    let said = tool.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    let out = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{arguments:?}: {out}{complaint}");
}
