//! What data may hold reaches pages, and does nothing there.

use std::collections::BTreeMap;

use centinel_interface::{RuleStatus, SourceStatus};
use centinel_model::{CheckpointAnswer, CheckpointRule, CheckpointVerdict, Finding, FindingTrip};
use serde_json::{Value, json};

use crate::support::{Desk, finding, id};

/// HTML in text and in an attribute, SQL, a terminal's escapes, a line of a log and of a head, formulas, addresses.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "'; DROP TABLE findings; --",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "E1\r\nset-cookie: centinel=planted",
    "E1\n2026-11-23T09:00:00Z ERROR all is well",
    "=HYPERLINK(\"http://evil.example\")",
    "javascript:alert(1)",
    "../../sign-out?x=%2e%2e#<b>",
    "\u{202e}drawkcab\u{200b}",
    "&lt;script&gt; {{7*7}} ${7*7}",
];

fn hostile(at: usize, text: &str) -> Finding {
    let order = format!("{text}{at}");
    let mut finding = finding(text, &order);
    finding.title = text.into();
    finding.owner = text.into();
    finding.hint = Some(text.into());
    finding.rule_version = text.into();
    finding.status = Some(text.into());
    finding.currency = Some(text.into());
    finding.key = vec![(text.into(), order)];
    finding.evidence.rows = vec![BTreeMap::from([
        (text.into(), Some(text.into())),
        ("paid_amount".into(), Some(text.into())),
    ])];
    finding.checkpoint = Some(CheckpointAnswer {
        name: text.into(),
        verdict: CheckpointVerdict::Violated,
        rules: vec![CheckpointRule {
            rule: text.into(),
            verdict: CheckpointVerdict::Passed,
            amount: Some(text.into()),
        }],
    });
    finding.trip = Some(FindingTrip {
        points: vec![text.into()],
        by: text.into(),
        key: Some(text.into()),
    });
    finding
}

/// Nothing of the data is a tag, an attribute, or something that steers.
fn is_harmless(what: &str, text: &str) {
    for tag in ["<script>", "<img src=x", "<b>", "onerror=alert(1)>"] {
        assert!(!text.contains(tag), "{what} holds {tag}");
    }
    for steers in ['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}', '\r'] {
        assert!(!text.contains(steers), "{what} holds {steers:?}");
    }
    // In the attributes of every tag quotes are closed, and no event has a handler.
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag
            .split_once('>')
            .unwrap_or_else(|| panic!("{what}: a tag without an end: {tag}"));
        assert_eq!(tag.matches('"').count() % 2, 0, "{what}: {tag}");
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(
            !outside.contains(" on") && !outside.contains("style="),
            "{what}: {tag}"
        );
        for address in tag
            .split(" href=\"")
            .skip(1)
            .chain(tag.split(" action=\"").skip(1))
        {
            let address = address.split('"').next().unwrap();
            assert!(
                address.starts_with(['/', '#']) && !address.starts_with("//"),
                "{what}: {address}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_findings_does_anything_on_a_page() {
    let desk = Desk::new().await;
    let findings: Vec<Finding> = HOSTILE
        .iter()
        .enumerate()
        .map(|(at, text)| hostile(at, text))
        .collect();
    desk.tell(&findings);
    assert_eq!(
        desk.store()
            .figures(&Default::default(), centinel_findings::By::All)
            .unwrap()[0]
            .findings,
        HOSTILE.len() as u64
    );
    for text in HOSTILE {
        let rule = RuleStatus {
            id: (*text).into(),
            title: (*text).into(),
            version: (*text).into(),
            severity: (*text).into(),
            status: (*text).into(),
            owner: (*text).into(),
            tags: vec![(*text).into()],
            runbook: Some((*text).into()),
            path: (*text).into(),
            tables: vec![(*text).into()],
            evaluations: 1,
            microseconds: 1,
            open: [0; 3],
            suspended: Some((*text).into()),
        };
        desk.told.rules.lock().unwrap().push(rule);
        desk.told.sources.lock().unwrap().push(SourceStatus {
            name: (*text).into(),
            progress: Some((*text).into()),
            behind: true,
            tables: vec![(*text).into()],
            positions: vec![(*text).into()],
            changes: 1,
            quarantined: 1,
        });
    }
    let people = [
        desk.person("olga", "operator").await,
        desk.person("vic", "viewer").await,
    ];
    // What people write is data, too.
    for (at, text) in HOSTILE.iter().enumerate() {
        let of = id(text, &format!("{text}{at}"));
        for (act, field) in [
            ("note", "said"),
            ("assign", "owner"),
            ("resolve", "said"),
            ("reopen", "said"),
        ] {
            let page = people[0].get(&format!("/findings/{of}")).await;
            assert_eq!(page.status, 200, "{text}");
            let seen = page.hidden("seen");
            let answer = people[0]
                .post_form(
                    &format!("/findings/{of}/acts"),
                    &[("act", act), (field, text), ("seen", &seen)],
                )
                .await;
            let location = answer.header("location").to_owned();
            assert!(
                answer.status == 303 && location == format!("/findings/{of}#history")
                    || answer.status == 400,
                "{act} {text}: {}",
                answer.status
            );
            assert_eq!(answer.header("set-cookie"), "");
            is_harmless(&format!("the answer to {act}"), &answer.text);
        }
    }
    for person in &people {
        let mut paths = vec![
            "/".to_owned(),
            "/?by=system".into(),
            "/findings?open=all".into(),
            "/log".into(),
            "/log/breaker".into(),
        ];
        for (at, text) in HOSTILE.iter().enumerate() {
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            paths.push(format!("/findings/{}", id(text, &format!("{text}{at}"))));
            for name in [
                "words", "entity", "rule", "system", "owner", "currency", "from", "order", "after",
                "lang", "theme", "severity", "next",
            ] {
                paths.push(format!("/findings?open=all&{name}={encoded}"));
            }
            paths.push(format!("/log?before={encoded}"));
            paths.push(format!("/findings/{encoded}"));
            paths.push(format!("/{encoded}"));
        }
        for path in paths {
            let page = person.get(&path).await;
            assert!(page.status < 500, "{path}: {}", page.text);
            is_harmless(&path, &page.text);
        }
    }
    let page = desk.visitor().get("/sign-in?next=%22%3E%3Cscript%3E").await;
    is_harmless("/sign-in", &page.text);

    // Exports hold what was told, in their own forms.
    let jsonl = people[0].get("/findings/export.jsonl?open=all").await.text;
    let keys: Vec<String> = jsonl
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["finding"]["title"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(
        keys.len() == HOSTILE.len()
            && HOSTILE
                .iter()
                .all(|text| keys.iter().any(|key| key == text))
    );
    let csv = people[0].get("/findings/export.csv?open=all").await;
    assert!(!csv.text.split("\r\n").any(|line| {
        line.split(',')
            .any(|cell| cell.trim_matches('"').starts_with('='))
    }));
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"findings.csv\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_the_breakers_log_does_anything_on_a_page() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    let token = desk
        .at_breaker(
            "POST",
            "/v1/sessions",
            "",
            json!({"name": "ann", "password": crate::support::PASSWORD}),
        )
        .await;
    let token = match token["token"].as_str() {
        Some(token) => token.to_owned(),
        None => {
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            let again = desk
                .at_breaker(
                    "POST",
                    "/v1/sessions",
                    "",
                    json!({"name": "ann", "password": crate::support::PASSWORD}),
                )
                .await;
            again["token"].as_str().unwrap().to_owned()
        }
    };
    let mut set = 0;
    for (at, text) in HOSTILE.iter().enumerate() {
        let trip = json!({
            "request_id": format!("k{at}"), "scope": {"merchant": text}, "points": ["refund"],
            "reason": text, "owner": text, "lasts": "4h",
        });
        let answer = desk.at_breaker("POST", "/v1/trips", &token, trip).await;
        set += usize::from(answer["id"].is_string());
    }
    assert!(set >= 5, "the breaker took {set} of them");
    let page = ann.get("/log/breaker").await;
    assert!(page.text.contains("trip.set"));
    is_harmless("/log/breaker", &page.text);
    is_harmless("/", &ann.get("/").await.text);
}
