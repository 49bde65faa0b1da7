//! A report as one HTML file: whole, escaped, capped, and loading nothing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use centinel_model::{Finding, FindingId, Severity};
use centinel_outlet::{
    Acceptance, AtRisk, Comparison, CouldNotJudge, EarlierFinding, InFlight, PastRun, Report,
    RuleSummary, Surroundings, TableFigures, WithoutEntity, write_html,
};

/// Wherever this is shown as it is, it is text.
const HOSTILE: &str = "<img src=x onerror=\"alert('&')\">";
const ESCAPED: &str = "&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;";

fn finding(rule: &str, key: &str) -> Finding {
    serde_json::from_value(serde_json::json!({
        "schema": "centinel/finding/1", "finding_id": FindingId::new(rule, [key]), "sequence": 1, "rule": rule,
        "rule_version": "v", "title": HOSTILE, "entity": "order", "entity_key": key, "key": [["order_no", key]],
        "verdict": "confirmed", "occurrence": 1, "severity": "critical", "owner": HOSTILE, "amount": "12.50",
        "currency": "CNY", "hint": HOSTILE,
        "evidence": {"rows": [{"order_no": key, HOSTILE: HOSTILE, "nothing": null}], "total": 3},
        "positions": {}, "anchor": "", "judged_at": "",
    }))
    .unwrap()
}

fn report(findings: usize) -> Report {
    let hostile = || HOSTILE.to_owned();
    let at_risk = || AtRisk([("CNY".to_owned(), "12.50".to_owned())].into());
    let mut report = Report {
        as_of: Some(hostile()),
        rules: vec![RuleSummary {
            rule: hostile(),
            title: hostile(),
            severity: Some(Severity::Critical),
            in_flight: 1_500,
            at_risk: at_risk(),
            ..RuleSummary::default()
        }],
        findings: (0..findings)
            .map(|place| finding(HOSTILE, &format!("{HOSTILE}{place}")))
            .collect(),
        in_flight: vec![InFlight {
            rule: hostile(),
            entity_key: hostile(),
            key: vec![(hostile(), hostile())],
            amount: Some("1.00".to_owned()),
            currency: Some("CNY".to_owned()),
            anchor: hostile(),
            confirmed_at: hostile(),
        }],
        could_not_judge: vec![CouldNotJudge {
            rule: Some(hostile()),
            entity_key: Some(hostile()),
            reason: hostile(),
        }],
        without_entity: vec![WithoutEntity {
            table: hostile(),
            entity: hostile(),
            null_keys: 1,
            unresolved: 2,
            overdue: 3,
        }],
        tables: vec![TableFigures {
            table: hostile(),
            rows: 7,
            totals: BTreeMap::from([(hostile(), at_risk())]),
        }],
        notes: vec![hostile()],
        ..Report::default()
    };
    let mut first = true;
    report.accept(|_| {
        std::mem::take(&mut first).then(|| Acceptance {
            reason: hostile(),
            by: hostile(),
            until: hostile(),
        })
    });
    report
}

fn around(past: usize) -> Surroundings {
    let hostile = || HOSTILE.to_owned();
    let old = |key: &str| EarlierFinding {
        id: FindingId::new(HOSTILE, [key]),
        rule: hostile(),
        entity_key: hostile(),
        key: vec![(hostile(), hostile())],
        amount: Some("3.00".to_owned()),
        currency: Some("CNY".to_owned()),
    };
    Surroundings {
        title: hostile(),
        facts: vec![(hostile(), hostile())],
        exit_status: 3,
        comparison: Some(Comparison {
            with: hostile(),
            gone: vec![old("1")],
            unsure: vec![(old("2"), "it is in flight")],
            ..Comparison::default()
        }),
        past: (0..past)
            .map(|run| PastRun {
                at: hostile(),
                findings: (run % 3 != 1).then_some(run as u64),
                at_risk: AtRisk([("USD".to_owned(), "99999999.99".to_owned())].into()),
                exit_status: 2,
            })
            .collect(),
    }
}

fn page(report: &Report, around: &Surroundings) -> String {
    let mut bytes = Vec::new();
    write_html(report, around, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Every tag of a page that is opened and closed in order.
fn tags(page: &str) -> Vec<String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    for part in page
        .split('<')
        .skip(1)
        .filter(|part| !part.starts_with('!'))
    {
        let (tag, _) = part.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{part}"),
            None if name == "meta" => {}
            None => open.push(name.to_owned()),
        }
        seen.push(name.to_owned());
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn whatever_is_in_the_data_is_shown_as_text() {
    let page = page(&report(3), &around(4));
    assert!(!page.contains("<img"), "a value became an element");
    assert!(
        page.matches(ESCAPED).count() > 30,
        "{}",
        page.matches(ESCAPED).count()
    );
    let all = tags(&page);
    for tag in ["script", "img", "link", "iframe", "object"] {
        assert!(!all.iter().any(|seen| seen == tag), "{tag}");
    }
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
    assert!(page.contains("width=device-width"));
}

#[test]
fn long_lists_are_capped_and_say_how_long_they_are() {
    let page = page(&report(501), &around(0));
    assert!(
        page.contains("450 more of 500 are not shown here"),
        "findings of a rule"
    );
    assert!(page.contains("1499 more of 1500"), "in flight");
    assert!(page.contains("1 of 3 rows are shown"), "evidence");
    assert!(page.len() < 400_000, "{}", page.len());
    assert!(!page.contains("<svg"), "a first run has nothing to draw");
}

#[test]
fn past_runs_are_drawn_for_findings_and_for_each_currency() {
    let page = page(&report(3), &around(200));
    assert_eq!(page.matches("<svg").count(), 3, "findings, CNY and USD");
    // This run and the 59 before it, in each of the plots.
    assert_eq!(page.matches("<rect").count(), 3 * 60);
    assert!(page.contains("came to no end"));
    tags(&page);
}

#[test]
fn what_could_not_be_judged_is_never_told_as_clean() {
    let unjudged = Report {
        could_not_judge: report(0).could_not_judge,
        ..Report::default()
    };
    let around = Surroundings {
        exit_status: unjudged.exit_status(Severity::Error),
        ..Surroundings::default()
    };
    let page = page(&unjudged, &around);
    assert!(page.contains("Something could not be judged: this is not clean"));
    assert!(!page.contains("Nothing was found"));
}
