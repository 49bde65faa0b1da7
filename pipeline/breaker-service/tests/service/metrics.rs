//! `/metrics`: its text is one that Prometheus reads, and its numbers are those of what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::failing::{FAILS, WORKS, failing};
use crate::support::{Service, release, request, trip};

async fn scrape(service: &Service) -> BTreeMap<String, f64> {
    let answer = service
        .client
        .get(format!("{}/metrics", service.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    read_by_prometheus(&text);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// What alert rules and the dashboard ask of the breaker.
fn named() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../jobs/monitoring/");
    let mut found = BTreeSet::new();
    for file in ["alert-rules.yaml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(format!("{folder}{file}")).unwrap();
        for part in text.split("centinel_breaker_").skip(1) {
            let end = part.find(|letter: char| letter != '_' && !letter.is_ascii_lowercase());
            found.insert(format!(
                "centinel_breaker_{}",
                &part[..end.unwrap_or(part.len())]
            ));
        }
    }
    found
}

/// Prometheus's own tool reads it and finds nothing to improve.
fn read_by_prometheus(text: &str) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is of the package `prometheus`, which `make setup-servers` installs");
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = tool.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{complaint}\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_counted_by_point_decision_and_default() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check", "findings"]).await;
    let fresh = scrape(&service).await;
    assert_eq!(fresh["centinel_breaker_trips_in_force"], 0.0);
    assert!(!fresh.contains_key("centinel_breaker_staleness_seconds"));

    service
        .post("/v1/progress", &key, json!({"lag_ms": 2_000}))
        .await;
    for number in 0..5 {
        service
            .check(&key, &format!("free-{number}"), "refund", "M2", "1.00")
            .await;
    }
    for (id, merchant) in [("k1", "M1"), ("k2", "M\"3\n")] {
        let mut wish = trip(id, "M1", &["refund", "cash_out"]);
        wish["scope"] = json!({"merchant": merchant});
        let (status, answer) = service.call("POST", "/v1/trips", &ann, wish).await;
        // A name that is none sets nothing.
        assert_eq!(status, if merchant == "M1" { 200 } else { 400 }, "{answer}");
    }
    for (id, point) in [("h1", "refund"), ("h2", "refund"), ("h3", "cash_out")] {
        let answer = service.check(&key, id, point, "M1", "1.00").await;
        assert_eq!(answer["decision"], "hold");
    }
    // What is no check is not counted as one.
    let (status, _) = service.call("POST", "/v1/checks", &key, json!({})).await;
    assert_eq!(status, 400);
    let other = request("h1", "refund", "M1", "9.00");
    let (status, _) = service.call("POST", "/v1/checks", &key, other).await;
    assert_eq!(status, 409);
    service
        .post(
            "/v1/releases",
            &ann,
            release("a1", "T1", Some(&["h1"]), "reject"),
        )
        .await;

    let seen = scrape(&service).await;
    let checks = |point: &str, decision: &str, default: &str| {
        let labels = format!(r#"{{point="{point}",decision="{decision}",default="{default}"}}"#);
        seen[&format!("centinel_breaker_checks_total{labels}")]
    };
    assert_eq!(checks("refund", "allow", "false"), 5.0);
    assert_eq!(checks("refund", "hold", "false"), 2.0);
    assert_eq!(checks("cash_out", "hold", "false"), 1.0);
    assert_eq!(checks("settlement", "allow", "false"), 0.0);
    assert_eq!(checks("refund", "allow", "true"), 0.0);
    let took = |what: &str| seen[&format!("centinel_breaker_check_seconds_{what}")];
    assert_eq!(took(r#"count{point="refund"}"#), 7.0);
    assert_eq!(took(r#"bucket{point="refund",le="+Inf"}"#), 7.0);
    assert!(took(r#"sum{point="refund"}"#) > 0.0);
    assert_eq!(seen["centinel_breaker_trips_in_force"], 1.0);
    assert_eq!(seen["centinel_breaker_holds_waiting"], 2.0);
    assert_eq!(seen["centinel_breaker_store_failing"], 0.0);
    assert!(seen["centinel_breaker_staleness_seconds"] >= 2.0);
    let names: BTreeSet<&str> = seen
        .keys()
        .filter_map(|series| series.split('{').next())
        .collect();
    let named = named();
    assert!(named.len() > 8, "{named:?}");
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !names.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not in {names:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_shows_in_failures_and_defaults() {
    let (mut service, mode) = failing().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    let everywhere = ["refund", "settlement", "cash_out"];
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &everywhere))
        .await;
    mode.store(FAILS, Ordering::Relaxed);
    for (id, point) in [("r1", "refund"), ("s1", "settlement"), ("s2", "settlement")] {
        let answer = service.check(&key, id, point, "M1", "1.00").await;
        assert_eq!(answer["default"], true, "{answer}");
    }
    let seen = scrape(&service).await;
    let checks = "centinel_breaker_checks_total";
    let refund = format!(r#"{checks}{{point="refund",decision="allow",default="true"}}"#);
    let settlement = format!(r#"{checks}{{point="settlement",decision="hold",default="true"}}"#);
    assert_eq!((seen[&refund], seen[&settlement]), (1.0, 2.0));
    assert_eq!(seen["centinel_breaker_store_failing"], 1.0);
    assert!(seen["centinel_breaker_store_failures_total"] >= 1.0);
    mode.store(WORKS, Ordering::Relaxed);
    service.stop().await;
}
