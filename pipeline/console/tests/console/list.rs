//! The list of findings: its filters, its pages and its exports tell the same.

use std::collections::BTreeSet;

use centinel_model::{Finding, Severity, Verdict};
use serde_json::Value;

use crate::support::{Desk, Visitor, finding, id};

fn many() -> Vec<Finding> {
    (0..130)
        .map(|at: usize| {
            let mut finding = finding(["double-refund", "late"][at % 2], &format!("E{at:04}"));
            finding.severity = [Severity::Critical, Severity::Error, Severity::Warn][at % 3];
            finding.verdict = if at % 5 == 0 {
                Verdict::Recovered
            } else {
                Verdict::Confirmed
            };
            finding.owner = ["settlement", "refunds"][at % 2].into();
            finding.amount = Some(format!("{at}.50"));
            finding.anchor = format!("2026-11-{:02}T08:{:02}:00Z", 10 + at % 10, at % 60);
            finding
        })
        .collect()
}

/// The findings that a page links to.
fn listed(text: &str) -> Vec<String> {
    let (_, table) = text.split_once("<tbody>").unwrap_or_default();
    table
        .split("href=\"/findings/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// All pages of a filter, by their links.
async fn all_pages(visitor: &Visitor, query: &str) -> Vec<String> {
    let (mut path, mut all) = (format!("/findings?{query}"), vec![]);
    for _ in 0..20 {
        let page = visitor.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        all.extend(listed(&page.text));
        let Some((before, _)) = page.text.split_once("\" rel=\"next\"") else {
            return all;
        };
        path = before
            .rsplit_once("href=\"")
            .unwrap()
            .1
            .replace("&amp;", "&");
    }
    panic!("{query}: the pages do not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_exports_hold_what_the_filter_says_and_each_once() {
    let desk = Desk::new().await;
    let findings = many();
    desk.tell(&findings);
    let ann = desk.person("ann", "operator").await;
    type Fits = fn(&Finding) -> bool;
    let filters: [(&str, Fits); 7] = [
        ("open=all", |_| true),
        ("", |finding| finding.verdict == Verdict::Confirmed),
        ("open=no", |finding| finding.verdict == Verdict::Recovered),
        ("severity=critical&severity=warn&open=all", |finding| {
            finding.severity != Severity::Error
        }),
        ("verdict=recovered&open=all&rule=late", |finding| {
            finding.verdict == Verdict::Recovered && finding.rule == "late"
        }),
        (
            "owner=refunds&from=2026-11-12&until=2026-11-15&open=all",
            |finding| {
                finding.owner == "refunds"
                    && ("2026-11-12".."2026-11-15").contains(&&finding.anchor[..10])
            },
        ),
        ("words=e0007+double&open=all&order=time", |_| false),
    ];
    for (query, fits) in filters {
        for order in ["time", "money"] {
            let query = match query.contains("order=") {
                true => query.to_owned(),
                false => format!("{query}&order={order}"),
            };
            let expected: BTreeSet<String> = findings
                .iter()
                .filter(|finding| fits(finding))
                .map(|finding| finding.finding_id.0.clone())
                .collect();
            let pages = all_pages(&ann, &query).await;
            let once: BTreeSet<String> = pages.iter().cloned().collect();
            assert_eq!(pages.len(), once.len(), "{query}: some stand twice");
            assert_eq!(once, expected, "{query}");
            let exported = ann.get(&format!("/findings/export.jsonl?{query}")).await;
            let ids: Vec<String> = exported
                .text
                .lines()
                .map(|line| {
                    serde_json::from_str::<Value>(line).unwrap()["finding"]["finding_id"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(
                ids, pages,
                "{query}: the export is in the order of the pages"
            );
            let csv = ann.get(&format!("/findings/export.csv?{query}")).await;
            assert_eq!(csv.text.lines().count(), expected.len() + 1, "{query}");
            let first = ann.get(&format!("/findings?{query}")).await.text;
            if !query.contains("words") {
                let counted = format!("<strong class=\"number\">{}</strong>", expected.len());
                assert!(first.contains(&counted), "{query}: its number is not there");
            }
        }
    }
    // One that is known by a word of its key.
    let found = all_pages(&ann, "words=E0007&open=all").await;
    assert_eq!(found, [id("late", "E0007")]);
    // What cannot be asked is refused with a page, not with half a file.
    for path in [
        "/findings/export.csv?severity=x",
        "/findings/export.jsonl?words=%21",
        "/findings?after=x",
    ] {
        let answer = ann.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.header("content-type").contains("html"), "{path}");
    }
}
