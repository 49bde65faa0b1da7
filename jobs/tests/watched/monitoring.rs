//! The alert rules and the dashboard, by Prometheus's own tools.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use crate::shop::promtool;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Every expression of the alert rules or of the dashboard.
pub fn expressions(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    if file.extension().is_some_and(|end| end == "yaml") {
        let lines = text.lines().map(str::trim);
        let found = lines.filter_map(|line| line.strip_prefix("expr: "));
        return found.map(str::to_owned).collect();
    }
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// Every name of a metric in a text.
pub fn names_of(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\bcentinel_[a-z_]+").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let found = lines.flat_map(|line| name.find_iter(line));
    found.map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn alert_rules_fire_when_they_must_and_not_otherwise() {
    let path = |name: &str| folder().join(name).display().to_string();
    promtool(&["check", "rules", &path("alert-rules.yaml")], "");
    promtool(&["test", "rules", &path("alert-rules.test.yaml")], "");
    // Each has tests of both kinds.
    let (rules, tests) = (read("alert-rules.yaml"), read("alert-rules.test.yaml"));
    let alert = Regex::new(r"alert: (\w+)").unwrap();
    let alerts: Vec<&str> = alert
        .captures_iter(&rules)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert!(alerts.len() > 15, "{alerts:?}");
    for alert in alerts {
        let own = tests.split("eval_time: ").filter(|test| {
            test.lines()
                .nth(1)
                .is_some_and(|line| line.trim() == format!("alertname: {alert}"))
        });
        let own: Vec<&str> = own.collect();
        let silent = |test: &&&str| test.contains("exp_alerts: []");
        assert!(
            own.iter().any(|test| silent(&test)),
            "{alert} is never silent"
        );
        assert!(own.iter().any(|test| !silent(&test)), "{alert} never fires");
        // And people find what to do.
        let heading = format!("### {alert}\n");
        assert!(read("README.md").contains(&heading), "{heading}");
        let runbook = format!("runbook: README.md#{}", alert.to_lowercase());
        assert!(rules.contains(&runbook), "{runbook}");
    }
}

#[test]
fn every_expression_of_the_dashboard_can_be_asked() {
    let found = expressions(&folder().join("grafana-dashboard.json"));
    assert!(found.len() > 40, "{}", found.len());
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, expression) in found.iter().enumerate() {
        let variables = Regex::new(r"\$(\{\w+\}|\w+)").unwrap();
        let expression = variables.replace_all(expression, ".+");
        let expression = serde_json::to_string(&expression).unwrap();
        writeln!(rules, "  - record: panel:{number}\n    expr: {expression}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    assert_eq!(dashboard["uid"], "centinel");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: BTreeSet<&str> = variables
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert!(variables.contains("datasource"), "{variables:?}");
    let used = Regex::new(r"\$\{?(\w+)").unwrap();
    let mut ids = BTreeSet::new();
    let mut places: Vec<(u64, u64, u64, u64)> = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
        assert!(x + w <= 24, "{panel}");
        let over = |other: &(u64, u64, u64, u64)| {
            x < other.0 + other.2 && other.0 < x + w && y < other.1 + other.3 && other.1 < y + h
        };
        assert!(!places.iter().any(over), "{panel} lies over another");
        places.push((x, y, w, h));
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            for variable in used.captures_iter(expression) {
                assert!(variables.contains(&variable[1]), "{expression}");
            }
        }
    }
}
