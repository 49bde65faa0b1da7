//! Drills with the built program: every fault is noticed in its time, the breaker holds what it has to, and nothing of a
//! drill is ever found among what is real.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use centinel_breaker_service::{Config, Record, Store, serve_over, sqlite};
use data_fixtures::{DRILL_MARK, FaultKind};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn centinel(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    command.args(arguments).current_dir(folder);
    command
}

fn shown(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A folder to drill in, beside the repository's schemas and rules.
struct Place {
    folder: tempfile::TempDir,
    rules: PathBuf,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
            rules: root().join("sql-rules"),
        }
    }

    /// The same with a copy of the rules that lacks some.
    fn without(rules: &[&str]) -> Place {
        let mut place = Place::new();
        let copy = place.folder.path().join("rules");
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(&place.rules).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let left_out = rules
                .iter()
                .any(|rule| name.starts_with(&format!("{rule}.")));
            if file.is_file() && !left_out {
                std::fs::copy(&file, copy.join(name)).unwrap();
            }
        }
        place.rules = copy;
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn drill(&self, more: &[&str]) -> (i32, String, String) {
        let schemas = root().join("schemas");
        let mut command = centinel(self.folder.path(), &["drill", "run", "--folder", "drills"]);
        command
            .arg("--schemas")
            .arg(schemas)
            .arg("--rules")
            .arg(&self.rules);
        shown(command.args(more).output().unwrap())
    }

    fn history(&self, folder: &str) -> Vec<Value> {
        lines(&std::fs::read_to_string(self.path(folder).join("drills.jsonl")).unwrap())
    }

    fn configure(&self, more: &str) {
        let schemas = root().join("schemas");
        let text = format!(
            "centinel = \"config/1\"\nschemas = {schemas:?}\nrules = {:?}\n{more}\n",
            self.rules
        );
        std::fs::write(self.path("centinel.toml"), text).unwrap();
    }
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {line}"))
}

fn number(line: &Value, field: &str) -> i64 {
    line[field]
        .as_i64()
        .unwrap_or_else(|| panic!("{field} of {line}"))
}

/// Fen of an amount in yuan.
fn fen(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (yuan, rest) = text.split_once('.').unwrap();
    assert_eq!(rest.len(), 2, "{text}");
    format!("{yuan}{rest}").parse().unwrap()
}

/// Every fault is there, detected by a rule that is named, in time; those whose rules trip were held after their trip,
/// and only after it.
fn assert_all_detected(faults: &[Value], with_breaker: bool) {
    let kinds: BTreeSet<&str> = faults.iter().map(|fault| text(fault, "kind")).collect();
    let all: BTreeSet<&str> = FaultKind::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(kinds, all);
    let (mut held, mut leaked, mut tripped) = (0, 0, 0);
    for fault in faults {
        let kind = FaultKind::by_name(text(fault, "kind")).unwrap();
        assert_eq!(text(fault, "verdict"), "detected", "{fault:#}");
        assert_eq!(text(fault, "loss_class"), kind.loss_class().name());
        assert!(text(fault, "entity_key").starts_with(DRILL_MARK), "{fault}");
        let rules = fault["rules"].as_array().unwrap();
        let seen: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "rule")).collect();
        // The simulator says which rules always see it; the drill asks for these at least.
        for rule in kind.rules() {
            assert!(
                seen.contains(rule),
                "{} is not asked of {rule}",
                kind.name()
            );
        }
        assert!(seen.contains(text(fault, "rule")));
        for rule in rules {
            assert_eq!(
                (&rule["confirmed"], &rule["in_time"]),
                (&true.into(), &true.into()),
                "{rule}"
            );
            // A micro-batch of a second, heartbeats of a second, and deliveries of up to five.
            let late = number(rule, "took_ms") - number(rule, "due_ms");
            assert!(late <= 8_000, "{rule}");
            assert_eq!(rule["must_tell"], rule["told"], "{rule}");
        }
        if with_breaker {
            let breaker = &fault["breaker"];
            let trips = breaker["trips"].as_array().unwrap();
            tripped += usize::from(!trips.is_empty());
            for trip in trips {
                assert!(text(trip, "scope").starts_with(DRILL_MARK), "{trip}");
            }
            held += fen(&breaker["held"]["amount"]);
            leaked += fen(&breaker["leaked"]["amount"]);
            let none = trips.is_empty() && number(&breaker["held"], "requests") == 0;
            assert!(none || !trips.is_empty(), "held without a trip: {fault:#}");
        }
    }
    if with_breaker {
        assert!(tripped >= 15, "{tripped} faults trip");
        assert!(held > 0 && leaked > 0, "{held} held, {leaked} leaked");
    }
}

#[test]
fn every_fault_is_detected_in_its_time_and_the_breaker_holds() {
    let place = Place::new();
    let (status, out, complaint) = place.drill(&["--with-breaker", "--format", "jsonl"]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    let mut all = lines(&out);
    let last = all.pop().unwrap();
    assert_all_detected(&all, true);
    let drill = text(&last, "drill").to_owned();
    for line in &all {
        assert_eq!(text(line, "schema"), "centinel/drill-fault/1");
        assert_eq!(text(line, "drill"), drill);
    }
    assert_eq!(text(&last, "schema"), "centinel/drill/1");
    assert_eq!(
        (number(&last, "detected"), number(&last, "false_alarms")),
        (42, 0)
    );
    assert_eq!(place.history("drills"), [last.clone()]);
    let asked = number(&last["breaker"], "asked");
    let held = number(&last["breaker"]["held"], "requests");
    assert!(
        asked > 500 && held > 0 && held < asked / 2,
        "{held} of {asked}"
    );

    // Again, for people: it is a drill, it is as before, and the history has both.
    let (status, out, complaint) = place.drill(&["--with-breaker"]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with("DRILL ") && out.contains("nothing here is real"),
        "{out}"
    );
    assert!(out.contains(&format!("as in drill {drill}")), "{out}");
    assert_eq!(place.history("drills").len(), 2);
    let left: BTreeSet<String> = std::fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        left,
        ["drills".to_owned()].into(),
        "a drill leaves its history alone"
    );
}

#[test]
fn drills_of_other_seeds_and_sizes_detect_the_same() {
    for (seed, orders) in [("7", "300"), ("11", "1500")] {
        let place = Place::new();
        let arguments = [
            "--seed",
            seed,
            "--orders",
            orders,
            "--format",
            "jsonl",
            "--out",
            "out.jsonl",
        ];
        let (status, out, complaint) = place.drill(&arguments);
        assert_eq!((status, out.as_str(), complaint.as_str()), (0, "", ""));
        let mut all = lines(&std::fs::read_to_string(place.path("out.jsonl")).unwrap());
        all.pop();
        assert_all_detected(&all, false);
        assert!(all.iter().all(|fault| fault["breaker"].is_null()));
    }
}

#[test]
fn a_fault_whose_rule_is_missing_is_named_and_ends_with_2() {
    let whole = Place::new();
    let kinds = [
        "--kind",
        "missing-billing",
        "duplicate-payment",
        "zero-payment",
    ];
    let (status, out, _) = whole.drill(&kinds);
    assert_eq!(status, 0, "{out}");

    // One fault is seen by no other rule, one by three others.
    let place = Place::without(&["paid-order-is-billed", "order-paid-once"]);
    std::fs::rename(whole.path("drills"), place.path("drills")).unwrap();
    let (status, out, complaint) = place.drill(&kinds);
    assert_eq!((status, complaint.as_str()), (2, ""), "{out}");
    let row = |kind: &str| -> Vec<&str> {
        let row = out
            .lines()
            .find(|line| line.starts_with(&format!("{kind} ")));
        row.unwrap().split_whitespace().collect()
    };
    assert_eq!(row("missing-billing")[2..4], ["UNNOTICED", "-"]);
    assert_eq!(row("duplicate-payment")[2], "incomplete");
    assert_eq!(
        row("zero-payment")[2..4],
        ["detected", "payment-amount-is-positive"]
    );
    for told in [
        "missing-billing: paid-order-is-billed must find it and is not among the rules",
        "duplicate-payment: order-paid-once must find it and is not among the rules",
        "worse than in drill",
        ": duplicate-payment, missing-billing",
        "detected 1, incomplete 1, unnoticed 1",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    let history = place.history("drills");
    assert_eq!(
        history[1]["compared"]["worse"],
        serde_json::json!(["duplicate-payment", "missing-billing"])
    );
    assert_eq!(
        (
            number(&history[0], "exit_status"),
            number(&history[1], "exit_status")
        ),
        (0, 2)
    );
}

/// A rule that waits longer is slower than before; one that is wrong about the money is no detection as it has to be.
#[test]
fn a_rule_that_waits_longer_or_tells_other_money_is_told() {
    let place = Place::without(&[]);
    let kinds = ["--kind", "missing-billing", "zero-payment"];
    let (status, ..) = place.drill(&kinds);
    assert_eq!(status, 0);
    let change = |rule: &str, from: &str, to: &str| {
        let path = place.path("rules").join(format!("{rule}.sql"));
        let before = std::fs::read_to_string(&path).unwrap();
        let after = before.replacen(from, to, 1);
        assert_ne!(before, after);
        std::fs::write(path, after).unwrap();
    };
    change("paid-order-is-billed", "settle: 2m", "settle: 3m");
    let (status, out, _) = place.drill(&kinds);
    assert_eq!(status, 2, "{out}");
    assert!(
        out.contains("missing-billing: paid-order-is-billed was sure "),
        "{out}"
    );
    assert!(out.contains("slower than in drill"), "{out}");
    assert_eq!(
        place.history("drills")[1]["compared"]["slower"][0]["kind"],
        "missing-billing"
    );
    // Later than the drill lasts: it did not find it.
    change("paid-order-is-billed", "settle: 3m", "settle: 10h");
    let (status, out, _) = place.drill(&kinds);
    assert_eq!(status, 2, "{out}");
    assert!(
        out.contains("paid-order-is-billed must find it and did not"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_drilled_is_said() {
    let place = Place::new();
    let (status, out, complaint) = place.drill(&["--kind", "duplicate-refnd"]);
    assert_eq!((status, out.as_str()), (64, ""));
    assert!(
        complaint.contains("did you mean `duplicate-refund`?"),
        "{complaint}"
    );
    let (status, _, complaint) = place.drill(&["--orders", "10"]);
    assert_eq!(status, 64);
    assert!(complaint.contains("60..=20000"), "{complaint}");

    // Schemas of another platform: nobody can say.
    let schemas = place.path("schemas");
    std::fs::create_dir(&schemas).unwrap();
    std::fs::write(
        schemas.join("entities.yaml"),
        "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n",
    )
    .unwrap();
    std::fs::write(
        schemas.join("payment.yaml"),
        "centinel: schema/1\ntable: payment\nsystem: payment\nsource: payment-db\nprimary_key: [payment_no]\n\
         entities: { order: [order_no] }\ncolumns:\n  payment_no: text\n  order_no: text\n",
    )
    .unwrap();
    let rules = place.path("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(
        rules.join("one.sql"),
        "/* ---\nid: one\ntitle: One\nentity: order\nseverity: warn\nkey: [order_no]\nowner: payment\nstatus: shadow\n\
         --- */\nSELECT order_no FROM payment WHERE payment_no = 'P1'\n",
    )
    .unwrap();
    let mut command = centinel(place.folder.path(), &["drill", "run", "--folder", "drills"]);
    command
        .arg("--schemas")
        .arg(schemas)
        .arg("--rules")
        .arg(rules);
    let (status, out, _) = shown(command.output().unwrap());
    assert_eq!(status, 3, "{out}");
    assert!(out.contains("the schemas lack refund-db"), "{out}");
    assert!(out.contains("records could not be read"), "{out}");
}

/// A program that runs until it is told to stop, or the test ends.
struct Running(Child);

impl Running {
    fn stop(&mut self) -> Option<i32> {
        let id = self.0.id().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{what} did not come"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A real detection with findings of its own, and a real breaker, beside a scheduled drill.
#[test]
fn a_scheduled_drill_leaves_no_trace_among_what_is_real() {
    let place = Place::new();
    place.configure("[drills.weekly]\ncron = \"0 0 1 1 *\"");
    let log = place.path("log.jsonl");
    let faulty = root().join("data-fixtures/small/faulty/jsonl/log.jsonl");
    let real = std::fs::read_to_string(faulty).unwrap();
    let (first, rest) = real.split_at(real[..real.len() / 2].rfind('\n').unwrap() + 1);
    std::fs::write(&log, first).unwrap();
    let schemas = root().join("schemas");
    let mut detect = centinel(
        place.folder.path(),
        &["detect", "--state", "state", "--follow"],
    );
    detect
        .arg("--schemas")
        .arg(schemas)
        .arg("--rules")
        .arg(&place.rules);
    detect.args(["--input", "log.jsonl", "--out", "findings.jsonl"]);
    let mut detect = Running(detect.stderr(Stdio::null()).spawn().unwrap());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let config = Config::read(&real_breaker(&place.path("breaker.db"))).unwrap();
    let open = sqlite(&config);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = runtime.spawn(serve_over(config, open.clone(), listener, async {
        let _ = ended.await;
    }));

    // Declared years ago, so that one run is due.
    std::fs::create_dir_all(place.path("reports/weekly")).unwrap();
    std::fs::write(
        place.path("reports/weekly/history.jsonl"),
        "{\"schema\":\"centinel/audit-run/1\",\"at\":\"2020-01-01T00:00:00Z\",\"event\":\"declared\"}\n",
    )
    .unwrap();
    let mut schedule = centinel(place.folder.path(), &["schedule"]);
    let mut schedule = Running(
        schedule
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let history = || std::fs::read_to_string(place.path("reports/weekly/history.jsonl")).unwrap();
    until("the drill", || history().contains("\"event\":\"ended\""));
    assert_eq!(schedule.stop(), Some(0));

    // The drill: all was found, and the breaker of its own held.
    let ended: Vec<Value> = lines(&history())
        .into_iter()
        .filter(|line| line["event"] == "ended")
        .collect();
    assert_eq!(
        (text(&ended[0], "outcome"), number(&ended[0], "exit_status")),
        ("finished", 0)
    );
    assert_eq!(text(&ended[0]["drill"], "told"), "42 of 42 faults detected");
    let drills = place.history("reports/weekly");
    assert_eq!(text(&drills[0], "name"), "weekly");
    assert!(number(&drills[0]["breaker"]["held"], "requests") > 0);
    let faults = std::fs::read_to_string(place.path("reports/weekly/faults.jsonl")).unwrap();
    let faults = lines(&faults);
    assert_all_detected(&faults[..faults.len() - 1], true);
    let (status, list, _) = shown(
        centinel(place.folder.path(), &["schedule", "--list"])
            .output()
            .unwrap(),
    );
    assert_eq!(status, 0);
    assert!(
        list.contains("weekly: next ") && list.contains("42 of 42 faults detected"),
        "{list}"
    );

    // What is real went on meanwhile, and knows nothing of it.
    let mut more = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut more, rest.as_bytes()).unwrap();
    let findings = || std::fs::read_to_string(place.path("findings.jsonl")).unwrap_or_default();
    until("real findings", || findings().lines().count() > 20);
    assert_eq!(detect.stop(), Some(2));
    assert!(!findings().contains("DRILL"), "a drill among real findings");
    assert!(
        !contains(&place.path("state"), DRILL_MARK),
        "a drill in a real state"
    );
    drop(end);
    runtime.block_on(serving).unwrap().unwrap();
    let records = open().unwrap().load().unwrap();
    let of_breaker = records
        .iter()
        .filter(|record| matches!(record, Record::Breaker(_)));
    assert_eq!(
        of_breaker.count(),
        0,
        "something was told to a real breaker: {records:?}"
    );
    assert!(!contains(place.folder.path(), DRILL_MARK) || only_in(place.folder.path(), "reports"));
}

fn real_breaker(store: &Path) -> String {
    let point = "on_error = \"hold\"\ndeadline = \"2s\"\non_suspected = \"allow\"\non_undetermined = \"allow\"\n\
                 max_staleness = \"5m\"\nbeyond_max_staleness = \"allow\"\n";
    let points = ["refund", "settlement", "cash_out"]
        .map(|name| format!("[breaker.points.{name}]\n{point}"));
    format!(
        "[breaker]\nlisten = \"127.0.0.1:0\"\nstore = {store:?}\nsecond_person_above = {{}}\n{}\n\
         [breaker.automatic]\nleast_at_risk = {{}}\nmost_held = {{}}\nmost_in_an_hour = 20\nlasts = \"1h\"\n",
        points.join("\n"),
    )
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

fn has(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn contains(folder: &Path, text: &str) -> bool {
    files(folder).iter().any(|file| has(file, text))
}

/// Whether the mark of drills is in no file but those below this one.
fn only_in(folder: &Path, own: &str) -> bool {
    let marked = files(folder)
        .into_iter()
        .filter(|file| has(file, DRILL_MARK));
    marked
        .collect::<Vec<_>>()
        .iter()
        .all(|file| file.starts_with(folder.join(own)))
}
