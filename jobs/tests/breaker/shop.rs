//! A shop in a folder: schemas, rules, a log, one configuration for detection and breaker, and both programs over it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_servers::call;

/// What any wait ends with at the latest.
const LIMIT: Duration = Duration::from_secs(120);
pub const PASSWORD: &str = "correct horse battery staple";

const ENTITIES: &str = "centinel: entities/1
entities: { order: { key: [order_no] }, merchant: { key: [merchant_no] } }
";
const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no], merchant: [merchant_no] }
columns:
  payment_no: text
  order_no: text
  merchant_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  updated_at: timestamp
changed_at: updated_at
";
const CONFIG: &str = r#"centinel = "config/1"
schemas = "schemas"
rules = "rules"
state = "state"
[findings]
file = "findings.jsonl"
[sources.payment-db]
kind = "file"
path = "log.jsonl"
[breaker_report]
url = "http://127.0.0.1:PORT"
key = { file = "report.key" }
suspicions = SUSPICIONS
[breaker]
listen = "127.0.0.1:PORT"
store = "breaker.db"
second_person_above = { CNY = "50000" }
[breaker.points.refund]
on_error = "allow"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"
[breaker.points.settlement]
on_error = "hold"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"
[breaker.points.cash_out]
on_error = "hold"
deadline = "2s"
on_suspected = "SUSPECTED"
on_undetermined = "hold"
max_staleness = "5m"
beyond_max_staleness = "allow"
[breaker.automatic]
least_at_risk = { CNY = "100" }
most_held = { CNY = "1000000" }
most_in_an_hour = 1000
lasts = "4h"
"#;

pub struct Shop {
    folder: tempfile::TempDir,
    pub url: String,
    sequence: u64,
}

/// A payment as its row is in the log, without braces.
pub fn payment(number: &str, merchant: &str, amount: &str) -> String {
    format!(
        r#""payment_no":"{number}","order_no":"O-{number}","merchant_no":"{merchant}","amount":"{amount}","updated_at":"2026-11-22T08:00:00Z""#
    )
}

impl Shop {
    /// Detection tells what is confirmed, and what is suspected where that is asked for: then cash-outs are held by it.
    pub fn new(suspicions: bool) -> Shop {
        // Free now; the breaker takes it soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let port = port.unwrap().port();
        let shop = Shop {
            folder: tempfile::tempdir().unwrap(),
            url: format!("http://127.0.0.1:{port}"),
            sequence: 0,
        };
        shop.write("schemas/entities.yaml", ENTITIES);
        shop.write("schemas/payment.yaml", PAYMENT);
        shop.write("log.jsonl", "");
        shop.write("report.key", "no key yet");
        let suspected = if suspicions { "hold" } else { "allow" };
        let config = CONFIG
            .replace("PORT", &port.to_string())
            .replace("SUSPICIONS", &suspicions.to_string())
            .replace("SUSPECTED", suspected);
        shop.write("centinel.toml", &config);
        shop
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

    /// A rule over payments; `head` has what is special of it.
    pub fn rule(&self, id: &str, head: &str, condition: &str) {
        let settle = if head.contains("settle:") {
            ""
        } else {
            "settle: 0s\n"
        };
        let text = format!(
            "/* ---\nid: {id}\ntitle: No payment is so\nentity: order\nseverity: error\nkey: [order_no]\namount: amount\n\
             currency: CNY\nowner: payment\n{settle}retries: 0\n{head}\n--- */\n\
             SELECT order_no, merchant_no, amount FROM payment WHERE {condition}\n"
        );
        self.write(&format!("rules/{id}.sql"), &text);
    }

    /// Adds payments to the log, or changes them where a row before is given, and the source's word that this was all.
    pub fn log(&mut self, rows: &[(Option<&str>, &str)]) {
        let mut lines = String::new();
        for (before, after) in rows {
            self.sequence += 1;
            let (op, before) = match before {
                None => ("insert", String::new()),
                Some(before) => ("update", format!(r#","before":{{{before}}}"#)),
            };
            let (sequence, at) = (self.sequence, self.at());
            writeln!(
                lines,
                r#"{{"table":"payment","op":"{op}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"{at}Z"{before},"after":{{{after}}}}}"#
            )
            .unwrap();
        }
        let at = self.at();
        writeln!(
            lines,
            r#"{{"heartbeat":"payment-db","committed_at":"{at}.5Z"}}"#
        )
        .unwrap();
        let mut log = OpenOptions::new()
            .append(true)
            .open(self.path("log.jsonl"))
            .unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }

    fn at(&self) -> String {
        let (minute, second) = (self.sequence / 60, self.sequence % 60);
        format!("2026-11-22T08:{minute:02}:{second:02}")
    }

    /// The program, with more arguments.
    pub fn centinel(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("BREAKER_PASSWORD")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end: exit status, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        shown(self.centinel(arguments).output().unwrap())
    }

    /// The first admin `root`, and the key that detection uses.
    pub fn begin(&self) -> Breaker {
        let mut command = self.centinel(&["breaker", "first-admin", "root"]);
        let done = command.env("BREAKER_PASSWORD", PASSWORD).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let mut breaker = self.serve();
        let key = breaker.key(&["findings"]);
        self.write("report.key", &key);
        breaker.checks = breaker.key(&["check"]);
        breaker
    }

    /// The breaker over the store that is there.
    pub fn serve(&self) -> Breaker {
        let mut running = Running::start(self.centinel(&["breaker", "serve"]));
        running.wait_said("the breaker listens on http://127.0.0.1:");
        let body = json!({"name": "root", "password": PASSWORD});
        let mut breaker = Breaker {
            url: self.url.clone(),
            running,
            root: String::new(),
            checks: String::new(),
        };
        let signed_in = breaker.post("/v1/sessions", body);
        breaker.root = signed_in["token"].as_str().unwrap().to_owned();
        breaker
    }

    /// `centinel detect`, which follows the log.
    pub fn detect(&self) -> Running {
        Running::start(self.centinel(&["detect", "--config", "centinel.toml"]))
    }

    /// The findings told, as `verdict rule order`.
    pub fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("findings.jsonl")).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let told = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let findings = told.filter(|told| told["schema"] == "centinel/finding/1");
        let shown = findings.map(|finding| {
            let words = [
                &finding["verdict"],
                &finding["rule"],
                &finding["entity_key"],
            ];
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .join(" ")
        });
        shown.collect()
    }
}

pub fn shown(done: std::process::Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// Waits until something is so.
#[track_caller]
pub fn until<T>(what: &str, mut is: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = is() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "{what} never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The breaker, and an admin who looks on.
pub struct Breaker {
    url: String,
    pub running: Running,
    root: String,
    /// A key that may check.
    pub checks: String,
}

impl Breaker {
    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        self.post_as(&self.root, path, body)
    }

    pub fn key(&self, scopes: &[&str]) -> String {
        let body = json!({"name": "a program", "scopes": scopes, "lasts": "30d"});
        let made = self.post("/v1/keys", body);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Makes an account, and signs it in.
    pub fn person(&self, name: &str, role: &str) -> String {
        let account = json!({"name": name, "role": role, "password": PASSWORD});
        self.post("/v1/accounts", account);
        let signed_in = self.post("/v1/sessions", json!({"name": name, "password": PASSWORD}));
        signed_in["token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn post_as(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, answer) = call(&self.url, "POST", path, token, &body).unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let (status, answer) = call(&self.url, "GET", path, &self.root, &Value::Null).unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// All trips, as `state scope`, in the order of their names.
    pub fn trips(&self) -> Vec<String> {
        let trips = self.get("/v1/trips?limit=1000");
        let trips = trips["trips"].as_array().unwrap().iter();
        let shown =
            trips.map(|trip| format!("{} {}", trip["state"].as_str().unwrap(), trip["scope"]));
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        shown
    }

    /// Asks for 250 CNY; the whole answer.
    #[track_caller]
    pub fn check(&self, id: &str, point: &str, order: &str, merchant: &str) -> Value {
        let body = json!({
            "request_id": id, "point": point, "business_code": "B1", "merchant_no": merchant, "order_no": order,
            "amount": "250.00", "currency": "CNY",
        });
        let (status, answer) = call(&self.url, "POST", "/v1/checks", &self.checks, &body).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Kills it without a word, and starts it over the same store.
    pub fn killed_and_back(self, shop: &Shop) -> Breaker {
        let checks = self.checks;
        drop(self.running);
        let mut breaker = shop.serve();
        breaker.checks = checks;
        breaker
    }
}

/// A program while it runs; killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let keep = Arc::clone(&said);
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
    pub fn wait_said(&mut self, text: &str) {
        self.wait(text, |running| running.said().contains(text));
    }

    /// Waits until something has come, while it runs.
    #[track_caller]
    pub fn wait(&mut self, what: &str, come: impl Fn(&Running) -> bool) {
        let began = Instant::now();
        while !come(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < LIMIT,
                "{what} never came ({ended:?}); it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end; its exit status.
    #[track_caller]
    pub fn terminate(mut self) -> i32 {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        let status = until("its end", || self.child.try_wait().unwrap());
        status.code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
