//! Every page at phone and desktop width, light and dark, in both languages.

use std::collections::BTreeMap;

use centinel_interface::{RuleStatus, SourceStatus};
use centinel_model::{Evidence, Finding, Severity, Verdict};
use serde_json::json;

use crate::support::{Desk, finding, id};
use crate::{sign_in, with_browser};

/// Findings as a platform has them, over some weeks.
pub fn findings() -> Vec<Finding> {
    let rules = [
        (
            "refunded-more-than-paid",
            "Refunded more than was paid",
            Severity::Critical,
            "refunds",
        ),
        (
            "settlement-equals-payment",
            "Settlement differs from its payment",
            Severity::Error,
            "settlement",
        ),
        (
            "voucher-not-in-accounting",
            "A voucher reached accounting",
            Severity::Warn,
            "accounting",
        ),
        (
            "bill-arrives-in-time",
            "The bill of an order is late",
            Severity::Info,
            "billing",
        ),
    ];
    (0..240_usize)
        .map(|at| {
            let (rule, title, severity, owner) = rules[(at * at + at / 7) % 4];
            let mut finding = finding(rule, &format!("2026112200{:06}", 917 * at % 1_000_000));
            finding.title = title.into();
            finding.severity = severity;
            finding.owner = owner.into();
            finding.amount = (severity != Severity::Info)
                .then(|| format!("{}.{:02}", (at * 7919) % 12_000, at % 100));
            finding.currency = finding
                .amount
                .is_some()
                .then(|| ["CNY", "CNY", "CNY", "USD"][at % 4].into());
            finding.verdict = match at % 11 {
                0..=6 => Verdict::Confirmed,
                7 => Verdict::Recovered,
                8 => Verdict::Suspected,
                9 => Verdict::Undetermined,
                _ => Verdict::Cleared,
            };
            let day = 1 + (at * 13) % 23;
            finding.anchor = format!("2026-11-{day:02}T{:02}:{:02}:00Z", at % 24, at % 60);
            finding.judged_at = format!("2026-11-{day:02}T{:02}:{:02}:30Z", at % 24, at % 60);
            finding.hint = at
                .is_multiple_of(3)
                .then(|| "the amounts differ by exactly a factor of 100".into());
            let row = |entry: &str, booked: &str| -> BTreeMap<String, Option<String>> {
                [
                    ("order_no", finding.entity_key.as_str()),
                    ("entry_no", entry),
                    ("booked_amount", booked),
                    ("status", "BOOKED"),
                ]
                .map(|(column, value)| (column.to_owned(), Some(value.to_owned())))
                .into()
            };
            if rule == "voucher-not-in-accounting" {
                finding.evidence = Evidence {
                    rows: vec![row("A-1", "10.00"), row("A-2", "10.00")],
                    total: 5,
                };
            }
            finding
        })
        .collect()
}

/// A desk with everything on it.
pub async fn furnished() -> Desk {
    let desk = Desk::new().await;
    desk.tell(&findings());
    let systems = [
        ("refunded-more-than-paid", &["payment", "refund"][..]),
        ("settlement-equals-payment", &["payment", "settlement"]),
        ("voucher-not-in-accounting", &["accounting"]),
        ("bill-arrives-in-time", &["billing"]),
    ];
    let systems = systems.map(|(rule, systems)| {
        (
            rule.to_owned(),
            systems.iter().map(|system| (*system).to_owned()).collect(),
        )
    });
    desk.store()
        .name_systems(&systems.into_iter().collect())
        .unwrap();
    *desk.told.sources.lock().unwrap() = ["payment-db", "refund-db", "settlement-db", "events"]
        .iter()
        .enumerate()
        .map(|(at, name)| SourceStatus {
            name: (*name).into(),
            progress: Some(format!("2026-11-23T08:5{}:40Z", 9 - at)),
            behind: at == 3,
            tables: vec!["payment".into()],
            positions: vec!["0-1-100".into()],
            changes: 1_000,
            quarantined: at as u64,
        })
        .collect();
    *desk.told.rules.lock().unwrap() = vec![RuleStatus {
        id: "refunded-more-than-paid".into(),
        title: "Refunded more than was paid".into(),
        version: "0123456789abcdef".into(),
        severity: "critical".into(),
        status: "stable".into(),
        owner: "refunds".into(),
        tags: vec![],
        runbook: Some("https://runbooks.example.com/refunds".into()),
        path: "sql-rules/refunds.sql".into(),
        tables: vec!["payment".into(), "refund".into()],
        evaluations: 10_000,
        microseconds: 900_000,
        open: [1, 2, 3],
        suspended: None,
    }];
    desk.account("ann", "operator").await;
    desk.account("vic", "viewer").await;
    let ann = desk
        .by_root(
            "POST",
            "/v1/keys",
            json!({"name": "a program", "scopes": ["check"], "lasts": "30d"}),
        )
        .await;
    let key = ann["token"].as_str().unwrap().to_owned();
    let mut visitor = desk.visitor();
    visitor.sign_in("ann", crate::support::PASSWORD).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let session = desk
        .at_breaker(
            "POST",
            "/v1/sessions",
            "",
            json!({"name": "ann", "password": crate::support::PASSWORD}),
        )
        .await;
    let trip = json!({"request_id": "k1", "scope": {"merchant": "M1"}, "points": ["refund"], "reason": "double refunds", "owner": "refunds", "lasts": "4h"});
    desk.at_breaker(
        "POST",
        "/v1/trips",
        session["token"].as_str().unwrap(),
        trip,
    )
    .await;
    for (at, amount) in ["120.00", "88.50", "1020.00"].iter().enumerate() {
        let request = json!({"request_id": format!("r{at}"), "point": "refund", "business_code": "B1", "merchant_no": "M1", "order_no": format!("O{at}"), "amount": amount, "currency": "CNY"});
        desk.at_breaker("POST", "/v1/checks", &key, request).await;
    }
    // Somebody has worked on the one that is looked at.
    let path = format!("/findings/{}", one());
    for (act, field, text) in [
        ("acknowledge", "said", "on it"),
        ("assign", "owner", "refund team"),
        (
            "note",
            "said",
            "The merchant confirmed that the second refund was sent by a retry.\nWaiting for the money.",
        ),
    ] {
        let seen = visitor.get(&path).await.hidden("seen");
        visitor
            .post_form(
                &format!("{path}/acts"),
                &[("act", act), (field, text), ("seen", &seen)],
            )
            .await;
    }
    desk
}

/// The finding that is looked at.
pub fn one() -> String {
    let findings = findings();
    let found = findings.iter().find(|finding| {
        finding.severity == Severity::Critical && finding.verdict == Verdict::Confirmed
    });
    found.unwrap().finding_id.0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_at_every_width_and_in_every_colour_and_language() {
    let desk = furnished().await;
    with_browser(|browser| async move {
        let voucher = findings().into_iter().find(|finding| finding.rule == "voucher-not-in-accounting").unwrap();
        let pages = [
            ("overview", "/".to_owned()),
            ("findings", "/findings".into()),
            ("filtered", "/findings?severity=critical&order=money".into()),
            ("empty", "/findings?words=nothing".into()),
            ("finding", format!("/findings/{}", one())),
            ("evidence", format!("/findings/{}", id("voucher-not-in-accounting", &voucher.entity_key))),
            ("log", "/log".into()),
            ("breaker-log", "/log/breaker".into()),
            ("unknown", "/findings/none".into()),
        ];
        let looks = [(390, 844, "en", "light"), (390, 844, "zh", "dark"), (1280, 900, "en", "dark"), (1280, 900, "zh", "light"), (1280, 900, "en", "light")];
        browser.size(1280, 900).await;
        browser.go(&format!("{}/sign-in", desk.url)).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "sign-in");
        browser.picture("sign-in-1280-en-light").await;
        sign_in(&browser, &desk, "ann").await;
        let mut faults = vec![];
        for (width, height, language, theme) in looks {
            browser.size(width, height).await;
            browser.go(&format!("{}/?lang={language}&theme={theme}", desk.url)).await;
            for (name, path) in &pages {
                let look = format!("{name}-{width}-{language}-{theme}");
                browser.go(&format!("{}{path}", desk.url)).await;
                browser.until("document.readyState === 'complete'").await;
                if *name == "overview" {
                    browser.until("document.querySelector('.chart canvas')").await;
                }
                // Nothing is wider than the page, but what scrolls by itself.
                let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
                if wide.as_i64() > Some(0) {
                    faults.push(format!("{look}: {wide} px too wide"));
                }
                faults.extend(browser.barriers().await.into_iter().map(|fault| format!("{look}: {fault}")));
                let complaints = browser.complaints().await;
                // That a page is not there its browser says itself: once, and nothing else.
                let fits = match *name {
                    "unknown" => complaints.len() == 1 && complaints[0].contains("the server responded with a status of 404"),
                    _ => complaints.is_empty(),
                };
                if !fits {
                    faults.push(format!("{look}: {complaints:?}"));
                }
                browser.picture(&look).await;
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    })
    .await;
}
