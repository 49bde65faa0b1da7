//! From a commit in a real MariaDB to a held check: 2,000 changes a second over one source, a rule with `settle: 0s` and
//! `retries: 0` that trips the order, `centinel detect` and `centinel breaker serve` as processes of their own.
//! `make bench-breaker-latency`, or `bench_breaker_latency [SECONDS]` (20 by default).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_breaker_client::{
    Client, Currency, Decision, Name, Options, Point, Request, read_amount,
};
use centinel_tests::measure::machine;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use test_servers::{MariaDb, call};
use tokio::task::JoinSet;

/// Committed in a second, each a transaction of its own.
const RATE: u64 = 2_000;
/// One in so many breaks the rule.
const BAD: u64 = 50;
/// How often the platform asks about one order.
const ASK: Duration = Duration::from_millis(5);
/// An order that is not held by then never will be.
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse battery staple";

const ENTITIES: &str = "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n";
const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
from: shop.payment
primary_key: [payment_no]
entities:
  order: [order_no]
columns:
  payment_no: integer
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
";
const RULE: &str = "/* ---
id: payment-amount-is-positive
title: A payment's amount is above zero
entity: order
severity: critical
key: [order_no]
amount: amount
currency: CNY
owner: payment
settle: 0s
retries: 0
trip: { points: [settlement, cash_out], by: order }
status: stable
--- */
SELECT order_no, amount FROM payment WHERE amount <= 0
";
const CONFIG: &str = r#"centinel = "config/1"
schemas = "schemas"
rules = "rules"
state = "state"
[findings]
file = "findings.jsonl"
[sources.payment-db]
kind = "binlog"
host = "127.0.0.1"
port = DATABASE_PORT
user = "DATABASE_USER"
password = { env = "DATABASE_PASSWORD" }
server_id = 4711
snapshot = true
[breaker_report]
url = "http://127.0.0.1:BREAKER_PORT"
key = { file = "report.key" }
[breaker]
listen = "127.0.0.1:BREAKER_PORT"
store = "breaker.db"
second_person_above = { CNY = "50000" }
[breaker.points.refund]
on_error = "allow"
deadline = "1s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "1m"
beyond_max_staleness = "allow"
[breaker.points.settlement]
on_error = "hold"
deadline = "1s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "1m"
beyond_max_staleness = "allow"
[breaker.points.cash_out]
on_error = "hold"
deadline = "1s"
on_suspected = "allow"
on_undetermined = "hold"
max_staleness = "1m"
beyond_max_staleness = "allow"
[breaker.automatic]
least_at_risk = { CNY = "0" }
most_held = { CNY = "100000000" }
most_in_an_hour = 100000
lasts = "4h"
"#;

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    println!("machine: {}", machine());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = MariaDb::start(&[]);
    database.execute(
        "CREATE DATABASE shop; CREATE TABLE shop.payment \
         (payment_no BIGINT PRIMARY KEY, order_no VARCHAR(32) NOT NULL, amount DECIMAL(18,2) NOT NULL)",
    );
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let config = CONFIG
        .replace("DATABASE_PORT", &database.port().to_string())
        .replace("DATABASE_USER", database.user())
        .replace("BREAKER_PORT", &port.to_string());
    for (name, text) in [
        ("schemas/entities.yaml", ENTITIES),
        ("schemas/payment.yaml", PAYMENT),
        ("rules/payment-amount-is-positive.sql", RULE),
        ("centinel.toml", &config),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder above")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let url = format!("http://127.0.0.1:{port}");
    let key = Programs::begin(folder.path(), &url);
    let programs = Programs::start(folder.path(), &url, database.password(), &key.0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut latencies = runtime.block_on(measure(&database, &url, &key.1, seconds));
    drop(programs);
    latencies.sort();
    let at = |share: f64| {
        let index = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[index].as_secs_f64() * 1e3
    };
    println!(
        "{} orders; from commit to a held check: median {:.0} ms, 99th percentile {:.0} ms, longest {:.0} ms",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

/// The two programs, killed when this is dropped.
struct Programs(Vec<Child>);

impl Drop for Programs {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Programs {
    /// Keys of detection and of the platform, made while the breaker serves; it ends then.
    fn begin(folder: &Path, url: &str) -> (String, String) {
        let mut admin = centinel(folder, &["breaker", "first-admin", "root"]);
        let made = admin.env("BREAKER_PASSWORD", PASSWORD).status();
        assert!(made.expect("the program runs").success());
        let _serving = Programs(vec![serve(folder, url)]);
        let post = |path: &str, token: &str, body: Value| -> Value {
            let (status, answer) = call(url, "POST", path, token, &body).expect("an answer");
            assert_eq!(status, 200, "{answer}");
            answer
        };
        let body = json!({"name": "root", "password": PASSWORD});
        let session = post("/v1/sessions", "", body);
        let root = session["token"].as_str().expect("a token");
        let key = |scopes: &[&str]| {
            let body = json!({"name": "a program", "scopes": scopes, "lasts": "1d"});
            let key = post("/v1/keys", root, body);
            key["token"].as_str().expect("a token").to_owned()
        };
        (key(&["findings"]), key(&["check"]))
    }

    /// Both, following what is written from now on.
    fn start(folder: &Path, url: &str, password: &str, key: &str) -> Programs {
        std::fs::write(folder.join("report.key"), key).expect("a file");
        let breaker = serve(folder, url);
        let mut detection = centinel(folder, &["detect", "--config", "centinel.toml"]);
        detection.env("DATABASE_PASSWORD", password);
        let detection = detection.spawn().expect("the program runs");
        let programs = Programs(vec![breaker, detection]);
        let began = Instant::now();
        while !folder.join("state/state.redb").exists() {
            assert!(began.elapsed() < LIMIT, "detection does not begin");
            std::thread::sleep(Duration::from_millis(50));
        }
        // Until it reads the log as a replica.
        std::thread::sleep(Duration::from_secs(3));
        programs
    }
}

/// The program that was built beside this one.
fn centinel(folder: &Path, arguments: &[&str]) -> Command {
    let beside: PathBuf = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(beside.with_file_name("centinel"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn serve(folder: &Path, url: &str) -> Child {
    let child = centinel(folder, &["breaker", "serve"]).spawn();
    let child = child.expect("build the program first: cargo build --bin centinel");
    let began = Instant::now();
    while call(url, "GET", "/v1/health", "", &Value::Null).is_none() {
        assert!(began.elapsed() < LIMIT, "the breaker does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Commits at the rate, as far as the server keeps up, and asks about each bad order until it is held.
async fn measure(database: &MariaDb, url: &str, key: &str, seconds: u64) -> Vec<Duration> {
    let client = Client::new(Options {
        url: url.to_owned(),
        key: key.to_owned(),
        deadline: Duration::from_secs(2),
        on_error: Decision::Allow,
        max_cache_age: None,
        ca: None,
    });
    let client = Arc::new(client.expect("a client"));
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(database.port())
        .user(Some(database.admin_user()))
        .pass(Some(database.admin_password()))
        .prefer_socket(false);
    let mut connection = mysql_async::Conn::new(options).await.expect("a connection");
    let mut asking = JoinSet::new();
    let began = Instant::now();
    let count = RATE * seconds;
    for number in 0..count {
        let due = Duration::from_micros(number * 1_000_000 / RATE);
        if let Some(early) = due.checked_sub(began.elapsed()) {
            tokio::time::sleep(early).await;
        }
        let bad = number % BAD == 0;
        let (order, amount) = (format!("E{number}"), if bad { "-1.00" } else { "10.00" });
        connection
            .exec_drop(
                "INSERT INTO shop.payment VALUES (?, ?, ?)",
                (number, &order, amount),
            )
            .await
            .expect("the row is committed");
        if bad {
            asking.spawn(ask(Arc::clone(&client), order, Instant::now()));
        }
    }
    println!(
        "{count} commits in {:.1} s: {:.0} a second",
        began.elapsed().as_secs_f64(),
        count as f64 / began.elapsed().as_secs_f64()
    );
    let latencies = asking.join_all().await;
    let _ = connection.disconnect().await;
    latencies
}

/// Asks for this order until it is held; how long that took since its commit.
async fn ask(client: Arc<Client>, order: String, committed: Instant) -> Duration {
    let name = |text: &str| Name::new(text).expect("a name");
    let request = Request {
        request_id: name(&format!("settle-{order}")),
        point: Point::Settlement,
        business_code: name("SHOP"),
        merchant_no: name("M1"),
        order_no: name(&order),
        amount: read_amount("1.00").expect("an amount"),
        currency: Currency::new("CNY").expect("a currency"),
    };
    loop {
        let checked = client
            .check(&request)
            .await
            .expect("the breaker knows the key");
        let took = committed.elapsed();
        if checked.decision == Decision::Hold {
            return took;
        }
        assert!(took < LIMIT, "{order} was never held");
        tokio::time::sleep(ASK).await;
    }
}
