//! From commit in a real MariaDB to a confirmed finding: 2,000 changes a second over one source, a rule with
//! `settle: 0s` and `retries: 0`. `make bench-latency`, or `bench_latency [SECONDS]` (20 by default).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use centinel_batch::Limits;
use centinel_engine::detect::{
    Detector, DetectorLimits, InputOptions, RunOptions, Surroundings, Until, run,
};
use centinel_model::{Finding, Timestamp, Verdict};
use centinel_outlet::LineFile;
use centinel_source::{BinlogOptions, Password};
use centinel_state::{FileStore, Store};
use centinel_tests::measure::machine;
use mysql_async::prelude::Queryable;
use test_servers::MariaDb;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Committed in a second, each a transaction of its own.
const RATE: u64 = 2_000;
/// One in so many breaks the rule.
const BAD: u64 = 50;

const ENTITIES: &str = "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n";
const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
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
status: stable
--- */
SELECT order_no, amount FROM payment WHERE amount <= 0
";

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    println!("machine: {}", machine());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (schemas, rules) = (folder.path().join("schemas"), folder.path().join("rules"));
    for (folder, name, text) in [
        (&schemas, "entities.yaml", ENTITIES),
        (&schemas, "payment.yaml", PAYMENT),
        (&rules, "payment-amount-is-positive.sql", RULE),
    ] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let database = MariaDb::start(&[]);
    database.execute(
        "CREATE DATABASE shop; CREATE TABLE shop.payment \
         (payment_no BIGINT PRIMARY KEY, order_no VARCHAR(32) NOT NULL, amount DECIMAL(18,2) NOT NULL)",
    );
    measure(folder.path(), &schemas, &rules, &database, seconds);
}

fn measure(folder: &Path, schemas: &Path, rules: &Path, database: &MariaDb, seconds: u64) {
    let catalog = std::sync::Arc::new(centinel_catalog::load(schemas).expect("the schemas load"));
    let rules = centinel_rules::load(rules, &catalog)
        .expect("the rule loads")
        .rules;
    let store = FileStore::open(&folder.join("state"), 64 << 20);
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(store.expect("the state opens"));
    let limits = DetectorLimits::default();
    let mut detector = Detector::new(
        std::sync::Arc::clone(&catalog),
        &rules,
        std::sync::Arc::clone(&store),
        limits,
    )
    .expect("detection begins");
    let mut outlet = LineFile::open(&folder.join("findings.jsonl")).expect("a file");
    let password = Password::new(database.password());
    let options = RunOptions {
        inputs: vec![InputOptions::Binlog(BinlogOptions::new(
            "payment-db",
            "127.0.0.1",
            database.port(),
            database.user(),
            password,
        ))],
        until: Until::Stopped,
        // As the configuration has it by default.
        limits: Limits {
            max_wait: centinel_model::Duration(50_000),
            ..Limits::default()
        },
        silent_after: centinel_model::Duration::seconds(60),
        quiet_after: None,
        archive: None,
        bootstrap: None,
        backlog: Default::default(),
    };
    let committed: Mutex<HashMap<String, Instant>> = Mutex::default();
    let mut told: Vec<(String, Instant)> = Vec::new();
    let stop = AtomicBool::new(false);
    let ready = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ready.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(20));
            }
            write(database, seconds, &committed);
            std::thread::sleep(Duration::from_secs(3));
            stop.store(true, Ordering::Relaxed);
        });
        let mut observe = |_: &Detector, messages: &[(u64, Vec<u8>)]| {
            ready.store(true, Ordering::Relaxed);
            let now = Instant::now();
            for (_, message) in messages {
                let finding: Finding = match serde_json::from_slice(message) {
                    Ok(finding) => finding,
                    Err(_) => continue,
                };
                if finding.verdict == Verdict::Confirmed {
                    told.push((finding.entity_key, now));
                }
            }
        };
        let surroundings = Surroundings {
            now: &wall_clock,
            stop: &|| stop.load(Ordering::Relaxed),
            observe: &mut observe,
            at_step: &|_| {},
        };
        run(&mut detector, &mut outlet, &options, surroundings).expect("detection runs");
    });
    let committed = committed.into_inner().expect("nobody died");
    let mut latencies: Vec<Duration> = told
        .iter()
        .filter_map(|(order, at)| Some(at.duration_since(*committed.get(order)?)))
        .collect();
    latencies.sort();
    assert_eq!(
        latencies.len(),
        committed.len(),
        "every bad row was found once"
    );
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{} changes read, {} findings confirmed; from commit to told: median {:.0} ms, 99th percentile {:.0} ms, \
         longest {:.0} ms",
        detector.counters.changes,
        latencies.len(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        at(1.0).as_secs_f64() * 1e3,
    );
}

/// Commits at the rate, as far as the server keeps up; notes when the bad rows were committed.
fn write(database: &MariaDb, seconds: u64, committed: &Mutex<HashMap<String, Instant>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(database.port())
            .user(Some(database.admin_user()))
            .pass(Some(database.admin_password()))
            .prefer_socket(false);
        let mut connection = mysql_async::Conn::new(options).await.expect("a connection");
        let began = Instant::now();
        let count = RATE * seconds;
        for number in 0..count {
            let due = Duration::from_micros(number * 1_000_000 / RATE);
            if let Some(early) = due.checked_sub(began.elapsed()) {
                tokio::time::sleep(early).await;
            }
            let (order, amount) = (
                format!("E{number}"),
                if number % BAD == 0 { "-1.00" } else { "10.00" },
            );
            connection
                .exec_drop(
                    "INSERT INTO shop.payment VALUES (?, ?, ?)",
                    (number, &order, amount),
                )
                .await
                .expect("the row is committed");
            if number % BAD == 0 {
                committed
                    .lock()
                    .expect("nobody died")
                    .insert(order, Instant::now());
            }
        }
        println!(
            "{count} commits in {:.1} s: {:.0} a second",
            began.elapsed().as_secs_f64(),
            count as f64 / began.elapsed().as_secs_f64()
        );
        let _ = connection.disconnect().await;
    });
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
