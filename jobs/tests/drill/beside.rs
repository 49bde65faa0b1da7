//! A scheduled drill beside what is real.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use centinel_breaker_service::{Config, Record, serve_over, sqlite};
use data_fixtures::DRILL_MARK;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::place::*;

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
    assert!(history().contains("\"event\":\"began\"") && history().contains("\"drill\":true"));
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
        list.contains("drill weekly: next ") && list.contains("42 of 42 faults detected"),
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
