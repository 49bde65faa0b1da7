//! The text as Prometheus reads it: bounded, whatever data calls things, and right.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration as StdDuration;

use centinel_metrics::{
    ArchiveSeen, Bounds, Channel, Live, Metrics, OTHER, Phase, Quarantined, RuleSeen, Seen,
    SelfCheck, SourceSeen,
};
use centinel_model::{Duration, Severity, Timestamp};

type Series = (String, BTreeMap<String, String>);

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn metrics() -> Metrics {
    let bounds = Bounds {
        turn: Duration::seconds(120),
        lag: Duration::seconds(60),
    };
    Metrics::new("1.2.3", at(0), bounds)
}

/// Reads the text form by its specification: a name, labels in braces with `\\`, `\"` and `\n` escaped, a number.
fn read(text: &str) -> BTreeMap<Series, f64> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"").unwrap();
                let (mut value, mut letters) = (String::new(), after.char_indices());
                let end = loop {
                    match letters.next().unwrap() {
                        (_, '\\') => match letters.next().unwrap().1 {
                            'n' => value.push('\n'),
                            letter @ ('\\' | '"') => value.push(letter),
                            letter => panic!("\\{letter} in {line}"),
                        },
                        (at, '"') => break at,
                        (_, letter) => value.push(letter),
                    }
                };
                assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
                rest = after[end + 1..].trim_start_matches(',');
            }
            rest = &rest[1..];
        }
        let value = rest.trim().parse().unwrap();
        let series = (name.to_owned(), labels);
        assert!(found.insert(series, value).is_none(), "twice: {line}");
    }
    found
}

/// Prometheus's own tool reads it and finds nothing to improve.
fn read_by_prometheus(text: &str) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is of the package `prometheus`, which `make setup-servers` installs");
    let mut input = tool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let said = tool.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{complaint}");
}

fn one(found: &BTreeMap<Series, f64>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let series = (name.to_owned(), labels);
    *found
        .get(&series)
        .unwrap_or_else(|| panic!("{series:?} is not in {found:#?}"))
}

fn rule(id: &str, open: [u64; 3]) -> RuleSeen {
    RuleSeen {
        id: id.into(),
        severity: Severity::Critical,
        evaluations: 3,
        time: StdDuration::from_millis(5),
        open,
    }
}

fn source(name: &str, progress: Option<i64>) -> SourceSeen {
    SourceSeen {
        name: name.into(),
        progress: progress.map(at),
        behind: progress.is_none(),
        changes: 2,
    }
}

fn finding(id: u32, sequence: u64, rule: &str, verdict: &str, money: &str) -> Vec<u8> {
    let (amount, currency) = money.split_once(' ').unwrap();
    serde_json::to_vec(&serde_json::json!({
        "schema": "centinel/finding/1", "finding_id": format!("{id:032x}"), "sequence": sequence, "rule": rule,
        "verdict": verdict, "severity": "error", "amount": amount, "currency": currency, "title": "\n",
    }))
    .unwrap()
}

#[test]
fn what_was_seen_is_told_with_units_and_labels() {
    let metrics = metrics();
    let stages = |milliseconds: [u64; 2]| {
        let [read, commit] = milliseconds.map(StdDuration::from_millis);
        vec![("read", read), ("commit", commit)]
    };
    let seen = |changes, times| Seen {
        changes,
        repeated: 1,
        stages: stages(times),
        sources: vec![source("a", Some(90)), source("b", None)],
        rules: vec![rule("r", [4, 2, 1])],
        confirmed: 2,
        quarantined: vec![Quarantined {
            source: Some("a".into()),
            reason: "malformed".into(),
            count: 6,
        }],
        unsettled: 6,
        ..Seen::default()
    };
    let told = [finding(1, 1, "r", "confirmed", "0.10 CNY"), b"{}".to_vec()];
    metrics.committed(seen(30, [10, 20]), told.iter().map(Vec::as_slice), at(50));
    let told = [
        finding(2, 1, "r", "confirmed", "0.2 CNY"),
        finding(3, 1, "r", "undetermined", "9 USD"),
        finding(4, 1, "centinel-self-check", "confirmed", "77 CNY"),
    ];
    metrics.committed(seen(42, [15, 25]), told.iter().map(Vec::as_slice), at(95));
    metrics.alerts(
        vec![Channel {
            name: "on-call".into(),
            delivered: 3,
            failed: 2,
            pending: 1,
            failing_since: Some(at(70)),
            ..Channel::default()
        }],
        BTreeMap::from([(Severity::Warn, 5)]),
    );
    metrics.self_check(SelfCheck {
        last_found: Some(at(60)),
        failing: None,
        failures: 1,
    });
    metrics.part("findings store", Some("no space".into()));
    let live = || Live {
        turned: Some(at(99)),
        backlog_records: 7,
        backlog_bytes: 8,
        state_bytes: vec![("state", 1_000), ("spool", 10)],
        archive: Some(ArchiveSeen {
            waiting: 2,
            waiting_bytes: 600,
            trouble: None,
        }),
    };
    let text = metrics.text(live(), at(100));
    read_by_prometheus(&text);
    let found = read(&text);
    for (name, labels, value) in [
        ("build_info", &[("version", "1.2.3")][..], 1.0),
        ("alive", &[], 1.0),
        ("ready", &[], 0.0),
        ("seconds_since_commit", &[], 5.0),
        ("batches_total", &[], 2.0),
        ("batch_changes_count", &[], 2.0),
        ("batch_changes_sum", &[], 42.0),
        ("batch_changes_bucket", &[("le", "16")], 1.0),
        ("batch_stage_seconds_sum", &[("stage", "read")], 0.015),
        ("batch_stage_seconds_count", &[("stage", "commit")], 2.0),
        ("changes_read_total", &[("source", "a")], 2.0),
        ("changes_repeated_total", &[], 1.0),
        ("source_lag_seconds", &[("source", "a")], 10.0),
        ("source_behind", &[("source", "a")], 0.0),
        ("source_behind", &[("source", "b")], 1.0),
        ("rule_evaluations_total", &[("rule", "r")], 3.0),
        ("rule_seconds_total", &[("rule", "r")], 0.005),
        (
            "open_findings",
            &[
                ("rule", "r"),
                ("severity", "critical"),
                ("verdict", "suspected"),
            ],
            4.0,
        ),
        (
            "findings_told_total",
            &[
                ("rule", "r"),
                ("severity", "error"),
                ("verdict", "confirmed"),
            ],
            2.0,
        ),
        ("money_at_risk", &[("currency", "CNY")], 0.3),
        ("money_at_risk_missing_findings", &[], 0.0),
        (
            "quarantined_records_total",
            &[("source", "a"), ("reason", "malformed")],
            6.0,
        ),
        ("quarantine_unsettled", &[], 6.0),
        ("state_bytes", &[("part", "spool")], 10.0),
        ("backlog_records", &[], 7.0),
        ("backlog_bytes", &[], 8.0),
        ("archive_waiting_segments", &[], 2.0),
        ("archive_waiting_bytes", &[], 600.0),
        ("part_failing", &[("part", "archive")], 0.0),
        ("part_failing", &[("part", "findings store")], 1.0),
        (
            "alert_deliveries_total",
            &[("channel", "on-call"), ("outcome", "failed")],
            2.0,
        ),
        ("alert_pending", &[("channel", "on-call")], 1.0),
        (
            "alert_channel_failing_seconds",
            &[("channel", "on-call")],
            30.0,
        ),
        (
            "alert_unrouted_findings_total",
            &[("severity", "warn")],
            5.0,
        ),
        ("self_check_last_found_timestamp_seconds", &[], 60.0),
        ("self_check_failing", &[], 0.0),
        ("self_check_failures_total", &[], 1.0),
    ] {
        assert_eq!(
            one(&found, &format!("centinel_{name}"), labels),
            value,
            "{name} {labels:?}"
        );
    }
    // Nothing is told of what is not known.
    let lag = found
        .keys()
        .filter(|(name, _)| name == "centinel_source_lag_seconds");
    assert_eq!(lag.count(), 1);
    let usd = found
        .keys()
        .any(|(_, labels)| labels.get("currency").is_some_and(|it| it == "USD"));
    assert!(!usd, "{text}");
    assert!(!text.contains("self-check"), "{text}");
    let truth = metrics.truth(live(), at(100));
    assert!(truth.alive && !truth.ready);
    assert_eq!(truth.reasons.len(), 2, "{truth:?}");
}

#[test]
fn ten_thousand_names_are_some_hundred_series() {
    let metrics = metrics();
    let hostile = |number: usize, what: &str| match number % 4 {
        0 => format!("{what}-{number}"),
        1 => format!("{what}\"}} 1\n# TYPE {number} counter\ncentinel_alive 7\n"),
        2 => format!("{}{number}", "長\u{1b}[2J\\".repeat(200)),
        _ => format!("\r\n{what} {number}\u{0}\u{202e}<b>"),
    };
    let names = |what: &'static str| (0..10_000).map(move |number| hostile(number, what));
    let told: Vec<Vec<u8>> = names("told")
        .enumerate()
        .map(|(number, rule)| {
            let currency = format!("1 C{number}");
            finding(number as u32, 1, &rule, "confirmed", &currency)
        })
        .collect();
    let seen = Seen {
        sources: names("source").map(|name| source(&name, Some(5))).collect(),
        rules: names("rule").map(|name| rule(&name, [1, 1, 1])).collect(),
        confirmed: 10_000,
        quarantined: names("reason")
            .map(|name| Quarantined {
                source: Some(name.clone()),
                reason: name,
                count: 1,
            })
            .collect(),
        ..Seen::default()
    };
    metrics.committed(seen, told.iter().map(Vec::as_slice), at(10));
    let channel = |name| Channel {
        name,
        delivered: 1,
        ..Channel::default()
    };
    metrics.alerts(names("channel").map(channel).collect(), BTreeMap::new());
    let text = metrics.text(Live::default(), at(10));
    read_by_prometheus(&text);
    let found = read(&text);
    assert!(text.len() < 1_000_000, "{} bytes", text.len());
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, labels) in found.keys() {
        for (label, value) in labels {
            values.entry(label).or_default().insert(value);
        }
    }
    for (label, most) in [
        ("rule", 501),
        ("source", 101),
        ("reason", 41),
        ("channel", 51),
        ("currency", 32),
    ] {
        let count = values[label].len();
        assert!(count > 1 && count <= most, "{label}: {count}");
        let longest = values[label]
            .iter()
            .map(|value| value.chars().count())
            .max();
        assert!(longest <= Some(120), "{label}");
        let control = values[label]
            .iter()
            .any(|value| value.chars().any(char::is_control));
        assert!(!control, "{label}");
    }
    // Nothing is lost: what has no name of its own is counted with the others, and no name made a line of its own.
    assert_eq!(one(&found, "centinel_alive", &[]), 1.0);
    let sum = |name: &str| -> f64 {
        let own = found.iter().filter(|((known, _), _)| known == name);
        own.map(|(_, value)| value).sum()
    };
    assert_eq!(sum("centinel_rule_evaluations_total"), 30_000.0);
    assert_eq!(sum("centinel_changes_read_total"), 20_000.0);
    assert_eq!(sum("centinel_open_findings"), 30_000.0);
    assert_eq!(sum("centinel_findings_told_total"), 10_000.0);
    assert_eq!(sum("centinel_quarantined_records_total"), 10_000.0);
    assert_eq!(sum("centinel_money_at_risk"), 32.0);
    assert_eq!(sum("centinel_money_at_risk_missing_findings"), 9_968.0);
    let others = one(
        &found,
        "centinel_rule_evaluations_total",
        &[("rule", OTHER)],
    );
    assert!(others > 28_000.0, "{others}");
    // Money of one currency is never added to that of another.
    assert!(!values["currency"].contains(OTHER));
}

#[test]
fn the_past_and_the_present_meet() {
    let metrics = metrics();
    let line = |bytes: Vec<u8>| [bytes, b"\n".to_vec()].concat();
    let past = [
        line(finding(1, 1, "r", "confirmed", "5 CNY")),
        line(finding(2, 1, "r", "confirmed", "7 CNY")),
        line(finding(3, 1, "r", "confirmed", "100 CNY")),
        line(finding(3, 2, "r", "recovered", "100 CNY")),
        b"{\"schema\":\"centinel/finding/1\",".to_vec(),
    ]
    .concat();
    let seen = || Seen {
        confirmed: 2,
        ..Seen::default()
    };
    metrics.past_comes();
    // Finding 2 recovers before the past is read.
    let told = [
        finding(2, 2, "r", "recovered", "7 CNY"),
        finding(4, 1, "r", "confirmed", "0.5 CNY"),
    ];
    metrics.committed(seen(), told.iter().map(Vec::as_slice), at(1));
    let missing = "centinel_money_at_risk_missing_findings";
    let before = read(&metrics.text(Live::default(), at(1)));
    assert_eq!(one(&before, missing, &[]), 1.0);
    metrics.past(past.as_slice()).unwrap();
    let after = read(&metrics.text(Live::default(), at(1)));
    assert_eq!(one(&after, missing, &[]), 0.0);
    assert_eq!(
        one(&after, "centinel_money_at_risk", &[("currency", "CNY")]),
        5.5
    );
    // Only what was told by this run is counted as told.
    let told: f64 = after
        .iter()
        .filter(|((name, _), _)| name == "centinel_findings_told_total")
        .map(|(_, value)| value)
        .sum();
    assert_eq!(told, 2.0);
}

#[test]
fn a_run_that_failed_is_seen_as_such() {
    let metrics = metrics();
    metrics.phase(Phase::Failed(
        "cannot write findings: No space left on device".into(),
    ));
    let found = read(&metrics.text(Live::default(), at(1)));
    assert_eq!(one(&found, "centinel_alive", &[]), 0.0);
    assert_eq!(one(&found, "centinel_ready", &[]), 0.0);
    let truth = metrics.truth(Live::default(), at(1));
    assert!(truth.reasons[0].contains("No space left"), "{truth:?}");
}
