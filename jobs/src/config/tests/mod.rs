#![allow(clippy::unwrap_used, clippy::panic)]

mod alerts;
mod console;
mod drills;
mod fields;
mod mistakes;
mod secrets;

use std::path::{Path, PathBuf};

use super::secret::SecretOrigin;
use super::*;

/// Every field once, none as it is by default.
const EVERY_FIELD: &str = r#"centinel = "config/1"
schemas = "the-schemas"
rules = "/rules"
state = "the-state"
[findings]
file = "f.jsonl"
store = "f.db"
[archive]
url = "s3://bucket/archive"
endpoint = "http://127.0.0.1:9000"
region = "cn-north-1"
access_key_id = { env = "KEY_ID" }
secret_access_key = { file = "key" }
segment_bytes = 2_097_152
segment_age = "10m"
spool_bytes = 4_194_304
[detection]
batch_rows = 0x10
batch_wait = "70ms"
cache_mib = 64
silent_after = "2m"
bootstrap = "snapshot"
bootstrap_as_of = "2026-11-22T08:00:00Z"
forget = true
[sources.a-db]
kind = "binlog"
host = "127.0.0.1"
port = 3307
user = "reader"
password = { env = "A_PASSWORD" }
server_id = 4711
tls = "required"
ca = "ca.pem"
snapshot = true
progress = { heartbeat_table = "pay.beat" }
[sources.b-events]
kind = "kafka"
brokers = "one:9092, [::1]:9093"
group = "shown"
progress = "broker"
broker_delay = "3s"
start = "latest"
[sources.b-events.settings]
"log.queue" = true
"sasl.password" = { env = "B_PASSWORD" }
"socket.timeout.ms" = 1000
[[sources.b-events.topics]]
topic = "paid"
format = "json-event"
event = "payment_completed"
[[sources.b-events.topics]]
topic = "lines"
format = "lines"
[sources.c-topics]
kind = "kafka"
brokers = "one:9092"
progress = { heartbeat = "beat" }
[[sources.c-topics.topics]]
pattern = '^c\.(a|b)$'
format = "debezium"
decimals = "numeric"
times = "micros"
servers = [7, 8]
[[sources.c-topics.topics]]
topic = "avro"
format = "debezium-avro"
registry = "https://registry:8081"
registry_user = "reader"
registry_password = { file = "/run/registry" }
registry_ca = "registry.pem"
servers = [9]
[[sources.c-topics.topics]]
topic = "flat"
format = "debezium-flat"
[[sources.c-topics.topics]]
topic = "canal"
format = "canal"
[[sources.c-topics.topics]]
topic = "maxwell"
format = "maxwell"
[sources.d-log]
kind = "file"
path = "../log.jsonl"
[audits.nightly]
snapshot = "lake/%Y-%m-%d"
lag = "1d"
cut = "scheduled"
folders = ["rules", "/quality"]
rules = ["a", "b"]
tags = ["c"]
cron = "30 2 * * *"
zone = "Asia/Shanghai"
missed = "skip"
baseline = "known.yaml"
reports = "the-reports"
keep = 30
timeout = "1h"
memory = "1GiB"
fail_on = "warn"
sudden_change = { rows_percent = 50, totals_percent = 60, over = 9, from = 4, severity = "warn" }
[audits.past]
archive = "s3://bucket/archive"
cron = "@hourly"
[breaker_report]
url = "https://breaker:7070/"
key = { env = "REPORT_KEY" }
ca = "breaker.pem"
deadline = "3s"
suspicions = true
[interface]
listen = "0.0.0.0:9000"
token = { env = "INTERFACE_TOKEN" }
[interface.tls]
certificate = "chain.pem"
key = "key.pem"
ca = "ca.pem"
"#;

/// A breaker, with all that it must be told.
const BREAKER: &str = r#"[breaker]
listen = "127.0.0.1:7070"
store = "breaker.db"
second_person_above = { CNY = "50000" }
[breaker.points.refund]
on_error = "allow"
deadline = "200ms"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"
[breaker.points.settlement]
on_error = "hold"
deadline = "500ms"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"
[breaker.points.cash_out]
on_error = "hold"
deadline = "500ms"
on_suspected = "hold"
on_undetermined = "hold"
max_staleness = "5m"
beyond_max_staleness = "hold"
[breaker.automatic]
least_at_risk = { CNY = "100" }
most_held = { CNY = "1000000" }
most_in_an_hour = 20
lasts = "4h"
"#;

/// Little, and right.
const SMALL: &str = r#"centinel = "config/1"
state = "state"
[sources.db]
kind = "binlog"
host = "db.example.com"
user = "reader"
password = { env = "PASSWORD" }
server_id = 1
[sources.events]
kind = "kafka"
brokers = "one:9092"
progress = "broker"
[[sources.events.topics]]
topic = "paid"
format = "json-event"
event = "paid"
[sources.log]
kind = "file"
path = "log.jsonl"
[archive]
url = "s3://bucket/archive"
[detection]
batch_rows = 10
[findings]
file = "f.jsonl"
"#;

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(text, Path::new("etc/centinel.toml"))
}

fn problems(text: &str) -> Vec<Problem> {
    parse(text).expect_err(text)
}

fn secret(origin: SecretOrigin) -> Secret {
    Secret {
        origin,
        what: "password".to_owned(),
        file: PathBuf::from("centinel.toml"),
        line: 7,
    }
}

fn variable(name: &str) -> Secret {
    secret(SecretOrigin::Variable(name.to_owned()))
}

fn in_file(path: impl Into<PathBuf>) -> Secret {
    secret(SecretOrigin::File(path.into()))
}
