//! What the pages show, to whom.

use serde_json::json;

use crate::fake::order;
use crate::support::{Stage, id, told};

const PAGES: [&str; 15] = [
    "/trace",
    "/trace/order/O-1",
    "/trace/order/O-1?stage=1",
    "/trace/order/nobody",
    "/breaker",
    "/breaker?state=in_force",
    "/breaker/holds",
    "/breaker/releases",
    "/rules",
    "/rules/settled-equals-paid",
    "/audits",
    "/audits/nightly",
    "/audits/weekly/d1",
    "/sources",
    "/quarantine/1",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_there_in_both_languages() {
    let stage = Stage::new().await;
    let olga = stage.person("olga").await;
    for path in PAGES {
        let sign = if path.contains('?') { '&' } else { '?' };
        for (word, tag) in [("en", "en"), ("zh", "zh-CN")] {
            let page = olga.page(&format!("{path}{sign}lang={word}")).await;
            assert!(
                page.body.contains(&format!("<html lang=\"{tag}\"")),
                "{path}"
            );
            assert_eq!(page.body.matches("<h1>").count(), 1, "{path}");
            let policy = page
                .headers
                .get("content-security-policy")
                .unwrap()
                .to_str()
                .unwrap();
            assert!(
                policy.contains("script-src 'self'") && !policy.contains("unsafe"),
                "{path}"
            );
            for inline in [" style=\"", "<style", "<script>", " onclick", " hx-on"] {
                assert!(!page.body.contains(inline), "{path}: {inline}");
            }
        }
    }
    let chinese = olga.page("/breaker?lang=zh").await.body;
    assert!(chinese.contains("资金熔断") && !chinese.contains("Requests held"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_no_identifier_and_no_address_has_one() {
    let order = "ORDER-20261122-0077";
    let stage = Stage::with(&[told("settled-equals-paid", order, json!({}))]).await;
    stage
        .detection
        .known()
        .histories
        .push(self::order(order, 3));
    let (olga, vera) = (stage.person("olga").await, stage.person("vera").await);
    let fields = [
        ("request_id", "console-1"),
        ("scope", "order"),
        ("name", order),
        ("point", "settlement"),
        ("reason", "settled twice"),
        ("owner", "settlement"),
        ("lasts", "4h"),
    ];
    olga.act("/breaker", "/breaker/trips", &fields).await;
    stage.check("SETTLE-778899", order, "5.00").await;
    let finding = id("settled-equals-paid", order);
    let secrets = [
        order,
        "SETTLE-778899",
        "MERCHANT-9001",
        "PAY-778899",
        "SET-445566",
        "root@10.0.0.8",
        "ORDER-R-1-2026",
        "PAY-R-1",
        "ORDER-5566",
        "6222000011112222",
    ];
    let trace = format!("/trace?finding={finding}");
    let mut pages = PAGES.to_vec();
    pages.retain(|path| !path.starts_with("/trace/"));
    let stages: Vec<String> = (1..=9)
        .map(|stage| format!("{trace}&stage={stage}"))
        .collect();
    let parts: Vec<String> = (1..=9)
        .map(|stage| format!("{trace}&stage={stage}&of=9"))
        .collect();
    pages.extend(stages.iter().chain(&parts).map(String::as_str));
    pages.extend([
        &*trace,
        "/breaker/trips/T1",
        "/breaker/holds?cause=T1",
        "/repairs/plan.json",
        "/audits/nightly/r1",
        "/quarantine",
    ]);
    for path in pages {
        let page = vera.page(path).await;
        for secret in secrets {
            assert!(
                !page.body.contains(secret),
                "{path} shows {secret}: {}",
                page.body
            );
        }
    }
    // Others see them.
    let page = olga
        .page(&format!("/trace/order/{order}?stage=5"))
        .await
        .body;
    for shown in [order, "SET-445566", "root@10.0.0.8"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(olga.page("/quarantine/1").await.body.contains("PAY-R-1"));
    assert!(
        olga.page("/breaker/trips/T1")
            .await
            .body
            .contains("SETTLE-778899")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_shows_the_rows_as_they_were_then() {
    let stage = Stage::with(&[]).await;
    let olga = stage.person("olga").await;
    let first = olga.page("/trace/order/O-1?stage=1").await.body;
    let rows = first.split_once("Rows as they were then").unwrap().1;
    assert!(rows.contains("PAY-778899") && rows.contains("12.50 CNY"));
    assert!(!rows.contains("SET-445566"), "it was not settled yet");
    let fourth = olga.page("/trace/order/O-1?stage=4&of=5").await.body;
    let rows = fourth.split_once("Rows as they were then").unwrap().1;
    assert!(rows.contains("<mark>124.99 CNY</mark>"), "{rows}");
    let last = olga.page("/trace/order/O-1").await.body;
    assert!(last.contains("changed by hand") && last.contains("root@10.0.0.8"));
    assert!(last.contains("<mark>124.98 CNY</mark>"));
    // A part is a part, and one of another line of time has the page come anew.
    let part = olga.page("/trace/order/O-1?stage=2&of=5").await;
    assert!(!part.body.contains("<html") && part.headers.get("hx-refresh").is_none());
    let other = olga.page("/trace/order/O-1?stage=2&of=77").await;
    assert_eq!(other.headers.get("hx-refresh").unwrap(), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_shown_in_a_sandbox_and_nothing_else_of_its_folder() {
    let stage = Stage::new().await;
    let olga = stage.person("olga").await;
    let report = olga.page("/audits/nightly/r1/report.html").await;
    let policy = report
        .headers
        .get("content-security-policy")
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("sandbox;") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("allow-scripts") && !policy.contains("script-src"));
    for path in [
        "/audits/nightly/r2/report.html",
        "/audits/nightly/..%2Fnightly%2Fr1/report.html",
        "/audits/..%2Freports%2Fnightly/r1/report.html",
        "/audits/nightly/r1%2F..%2F..%2Fplan.json/report.html",
        "/audits/nightly/secret.txt/report.html",
        "/audits/nobody/r1",
        "/repairs/..%2Ffindings.db",
        "/repairs/nothing.json",
    ] {
        assert_eq!(olga.get(path).await.status, 404, "{path}");
    }
    let run = olga.page("/audits/nightly/r1").await.body;
    assert!(run.contains("could not judge all") && run.contains("99.10 CNY"));
    assert!(
        olga.page("/audits/nightly")
            .await
            .body
            .contains("under way, or cut off")
    );
    assert!(
        olga.page("/audits/weekly/d1")
            .await
            .body
            .contains("UNNOTICED")
    );
    let plan = olga.page("/repairs/plan.json").await.body;
    assert!(plan.contains("unsafe") && !plan.contains("6222000011112222"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_show_what_became_of_their_findings() {
    let rule = "settled-equals-paid";
    let stage = Stage::with(&[
        told(rule, "O-1", json!({})),
        told(rule, "O-2", json!({"verdict": "undetermined"})),
        told(rule, "O-3", json!({})),
        told(rule, "O-3", json!({"verdict": "recovered", "sequence": 2})),
        told("gone-rule", "O-4", json!({})),
    ])
    .await;
    let olga = stage.person("olga").await;
    let rules = olga.page("/rules").await.body;
    let row = rules
        .split_once("What was settled is what was paid")
        .unwrap()
        .1;
    let row = row.split_once("</tr>").unwrap().0;
    let cells: Vec<&str> = row
        .split("<td class=\"number\">")
        .skip(1)
        .map(|cell| cell.split('<').next().unwrap())
        .collect();
    // Asked, time, suspected, confirmed, cleared, recovered, could not judge, false alarms, open.
    assert_eq!(cells, ["40", "8.0 ms", "0", "1", "0", "1", "1", "0", "2"]);
    assert!(rules.contains("gone-rule"));
    let one = olga.page("/rules/settled-equals-paid").await.body;
    assert!(one.contains("/findings?rule=settled-equals-paid") && one.contains("200 µs"));
    assert!(!one.contains("href=\"javascript:"));
    assert_eq!(olga.get("/rules/nobody").await.status, 404);
}
