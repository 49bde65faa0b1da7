//! Whatever data says, it stays text.

use serde_json::json;

use crate::fake::{change, order};
use crate::support::{Stage, told};

const TAG: &str = "<img src=x onerror=alert(1)>\"'>{{7*7}}<script>alert(2)</script>";
const SQL: &str = "x' OR '1'='1'; DROP TABLE findings; --";
const PATH: &str = "../../etc/passwd?a=b#c&d%00 单\u{202e}";

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_programs_are_shown_as_text() {
    for hostile in [TAG, SQL, PATH] {
        let finding = told(
            "rule-x",
            hostile,
            json!({"title": hostile, "hint": hostile, "owner": hostile}),
        );
        let stage = Stage::with(&[finding]).await;
        let mut history = order(hostile, 2);
        let mut row = change(hostile, hostile, false, "update", 9, &[(hostile, hostile)]);
        row.origin.statement = Some(hostile.into());
        row.origin.account = Some(hostile.into());
        history.changes.push(row);
        history.rules[0].title = hostile.into();
        history.completeness.notes.push(hostile.into());
        {
            let mut known = stage.detection.known();
            known.histories.push(history);
            let (record, bytes) = &mut known.records[0];
            record.input = hostile.into();
            record.message = hostile.into();
            record.table = Some(hostile.into());
            record.entities = vec![(hostile.into(), hostile.into())];
            *bytes = hostile.into();
        }
        let (olga, vera) = (stage.person("olga").await, stage.person("vera").await);
        let trip = [
            ("request_id", "console-1"),
            ("scope", "merchant"),
            ("name", "MERCHANT-9001"),
            ("point", "settlement"),
            ("reason", hostile),
            ("owner", "settlement"),
            ("lasts", "4h"),
        ];
        let set = olga.act("/breaker", "/breaker/trips", &trip).await;
        let is_text = set.status == 303;
        let encoded: String = hostile.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut pages: Vec<String> = [
            "/breaker",
            "/breaker/holds",
            "/quarantine",
            "/quarantine/1",
            "/rules",
            "/sources",
        ]
        .map(str::to_owned)
        .to_vec();
        if is_text {
            pages.push("/breaker/trips/T1".into());
        }
        for stage in 1..=7 {
            pages.push(format!("/trace/order/{encoded}?stage={stage}"));
        }
        for name in [
            "key", "entity", "reason", "owner", "name", "lasts", "merchant", "state", "point",
            "order",
        ] {
            pages.push(format!("/breaker/trips/new?{name}={encoded}"));
            pages.push(format!("/breaker/holds?{name}={encoded}"));
            pages.push(format!("/breaker?{name}={encoded}"));
        }
        pages.push(format!("/trace?entity={encoded}"));
        for page in pages {
            for person in [&olga, &vera] {
                let answer = person.get(&page).await;
                assert!(answer.status < 500, "{page}: {}", answer.body);
                for raw in ["<img src=x", "<script>alert", "onerror=alert(1)>\"'>"] {
                    assert!(!answer.body.contains(raw), "{page}: {}", answer.body);
                }
            }
        }
        // And it is found again under its own name.
        let trace = olga.page(&format!("/trace/order/{encoded}")).await;
        assert!(
            trace.body.contains("by hand") && trace.body.contains("112.50"),
            "{}",
            trace.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_page_is_for_is_refused() {
    let stage = Stage::new().await;
    let olga = stage.person("olga").await;
    let long = "x".repeat(2_000);
    for (path, status) in [
        (format!("/trace/order/{long}"), 400),
        ("/trace?finding=nobody".to_owned(), 404),
        ("/breaker/trips/x".to_owned(), 404),
        ("/breaker/trips/T1".to_owned(), 404),
        ("/breaker/releases/R9".to_owned(), 404),
        ("/breaker/holds?cause=x:y".to_owned(), 400),
        (
            "/breaker/trips/new?preview=yes&scope=order&point=refund".to_owned(),
            400,
        ),
        ("/breaker/trips/new?preview=yes&scope=all".to_owned(), 400),
        ("/breaker/trips/new?finding=nobody".to_owned(), 404),
        ("/quarantine/99".to_owned(), 404),
        ("/quarantine/18446744073709551615".to_owned(), 404),
    ] {
        assert_eq!(olga.get(&path).await.status, status, "{path}");
    }
}
