//! What is scraped is what was written into the log.

use std::collections::BTreeSet;

use crate::shop::{Running, Shop, promtool};

/// Amounts in fen, which a computer adds up without a mistake.
fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

fn value(running: &Running, series: &str) -> f64 {
    let found = running.scrape();
    *found
        .get(series)
        .unwrap_or_else(|| panic!("{series} is not in {found:#?}"))
}

const CONFIRMED: &str = r#"centinel_open_findings{rule="amount-is-not-negative",severity="critical",verdict="confirmed"}"#;
const AT_RISK: &str = r#"centinel_money_at_risk{currency="CNY"}"#;

#[test]
fn what_was_written_is_what_is_counted() {
    let mut shop = Shop::new();
    shop.configure("");
    let (mut changes, mut bad, mut at_risk) = (0, 0, 0);
    for number in 0..500_u64 {
        let broken = number % 7 == 3;
        let fen = number * 31 + 1;
        let sign = if broken { "-" } else { "" };
        shop.pay(number, &format!("{sign}{}", yuan(fen)));
        changes += 1;
        if broken {
            (bad, at_risk) = (bad + 1, at_risk + fen);
        }
    }
    // Two records that nobody can read, for different reasons.
    shop.write("{\"table\":\"payment\",");
    shop.write("{\"what\":\"is this\"}");
    shop.beat();
    let mut running = shop.detect();
    running.wait("all findings", |running| {
        (running.scrape().get(CONFIRMED) == Some(&f64::from(bad))).then_some(())
    });
    let text = running.get("/metrics").unwrap().1;
    promtool(&["check", "metrics"], &text);
    let found = running.scrape();
    let source = r#"{source="payment-db"}"#;
    let rule = r#"rule="amount-is-not-negative""#;
    assert_eq!(
        found[&format!("centinel_changes_read_total{source}")],
        f64::from(changes)
    );
    assert_eq!(found["centinel_batch_changes_sum"], f64::from(changes));
    assert_eq!(
        found["centinel_batch_changes_count"],
        found["centinel_batches_total"]
    );
    let told = format!(
        r#"centinel_findings_told_total{{{rule},severity="critical",verdict="confirmed"}}"#
    );
    assert_eq!(found[&told], f64::from(bad));
    // The only float is the written number: exact to the fen here.
    assert_eq!(found[AT_RISK], yuan(at_risk).parse::<f64>().unwrap());
    assert_eq!(found["centinel_money_at_risk_missing_findings"], 0.0);
    // Each order was looked at once at least, in slices of many.
    assert!(found[&format!("centinel_rule_evaluations_total{{{rule}}}")] >= 1.0);
    assert!(found[&format!("centinel_rule_seconds_total{{{rule}}}")] > 0.0);
    let unread: f64 = found
        .iter()
        .filter(|(series, _)| series.starts_with("centinel_quarantined_records_total"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(unread, 2.0, "{found:#?}");
    assert_eq!(found["centinel_quarantine_unsettled"], 2.0);
    assert_eq!(found[&format!("centinel_source_behind{source}")], 0.0);
    assert!(found[&format!("centinel_source_lag_seconds{source}")] < 60.0);
    assert!(found["centinel_seconds_since_commit"] < 60.0);
    let state = std::fs::read_dir(shop.path("state")).unwrap();
    let files = state.map(|file| file.unwrap().metadata().unwrap());
    let bytes: u64 = files
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum();
    let told = found[r#"centinel_state_bytes{part="state"}"#];
    assert!(
        told > 0.0 && (told - bytes as f64).abs() < 50e6,
        "{told}, {bytes}"
    );

    // One loss is mended, and the money goes with it.
    let number = 3;
    let fen = number * 31 + 1;
    shop.mend(number, &format!("-{}", yuan(fen)), &yuan(fen));
    shop.beat();
    let left = yuan(at_risk - fen).parse::<f64>().unwrap();
    running.wait("less money at risk", |running| {
        (running.scrape()[AT_RISK] == left).then_some(())
    });
    assert_eq!(value(&running, CONFIRMED), f64::from(bad - 1));
    running.terminate();

    // A new start knows what is open, and how much money that is.
    let mut running = shop.detect();
    shop.beat();
    running.wait("the money of before", |running| {
        (running.scrape().get(AT_RISK) == Some(&left)).then_some(())
    });
    let found = running.scrape();
    assert_eq!(found[CONFIRMED], f64::from(bad - 1));
    assert_eq!(found["centinel_money_at_risk_missing_findings"], 0.0);
    let told = found
        .keys()
        .any(|series| series.starts_with("centinel_findings_told_total"));
    assert!(!told, "nothing was told by this run");
}

/// Every metric that alerts, panels and the page name is there, in a run with everything beside it.
#[test]
fn every_metric_that_is_named_is_there() {
    let mut shop = Shop::new();
    shop.configure(
        "[archive]\nurl = \"archive\"\n[self_check]\nevery = \"5s\"\nwithin = \"30s\"\n\
         [alerts.record]\nkind = \"file\"\npath = \"alerts.jsonl\"\nseverity = \"critical\"\nwait = \"0s\"\n",
    );
    shop.pay(1, "-5.00");
    shop.beat();
    let mut running = shop.detect();
    let ready = [
        "centinel_self_check_last_found_timestamp_seconds",
        "centinel_archive_waiting_bytes",
        AT_RISK,
    ];
    running.wait("everything", |running| {
        shop.beat();
        let found = running.scrape();
        ready
            .iter()
            .all(|series| found.contains_key(*series))
            .then_some(())
    });
    let text = running.get("/metrics").unwrap().1;
    promtool(&["check", "metrics"], &text);
    let scraped = crate::monitoring::names_of(&text);
    let own = |name: &&String| !name.starts_with("centinel_breaker_");
    let folder = crate::monitoring::folder();
    let mut missing = BTreeSet::new();
    for file in ["alert-rules.yaml", "grafana-dashboard.json"] {
        let named = crate::monitoring::expressions(&folder.join(file));
        let named = crate::monitoring::names_of(&named.join("\n"));
        assert!(named.iter().filter(own).count() > 10, "{file}");
        missing.extend(
            named
                .iter()
                .filter(own)
                .filter(|name| !scraped.contains(*name))
                .cloned(),
        );
    }
    // There are none of these while all is well: a series begins with the first.
    missing.remove("centinel_alert_unrouted_findings_total");
    assert!(missing.is_empty(), "{missing:?} are not in\n{text}");
    // And what is scraped is on the page.
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let parts = ["_bucket", "_sum", "_count"];
    let unnamed = scraped.iter().filter(|name| {
        let name = parts
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .unwrap_or(name);
        let name = name.strip_prefix("centinel_").unwrap();
        !page.contains(&format!("`{name}`"))
    });
    let unnamed: Vec<&String> = unnamed.collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
}
