use centinel_alert::Outcome;
use serde_json::json;

use crate::samples::{ALERT, DIGEST, RECOVERED, long, message, nasty};
use crate::server::{Answer, Server, answer};
use crate::{later, outlet, refused, send};

async fn slack(server: &Server, message: &centinel_alert::Message) -> Outcome {
    let table = "kind = \"slack\"\nurl = { env = \"SLACK_URL\" }\nallow = [\"127.0.0.1\"]";
    let url = format!("{}/services/T0/B0/token", server.url);
    send(&outlet(table, &[("SLACK_URL", &url)]), message).await
}

#[tokio::test]
async fn the_wire_form_is_blocks_of_plain_text() {
    let server = Server::start(|_, _| answer(200, "ok")).await;
    assert_eq!(slack(&server, &message(ALERT)).await, Outcome::Delivered);
    let asked = server.one();
    assert_eq!(asked.path, "/services/T0/B0/token");
    let text = "Rule: settled-equals-paid\nShould hold: What was settled is what was paid\nCause: merchant_no M1\n\
                Money: CNY 1,234,567.80\nSince: 2026-11-22T07:58:00Z\nOpen now: 34, CNY 2,000,000.00\n\
                Owner: settlement\nAmong them: release r41, r42, and more\n\
                Largest: order O1, payment_no P1: CNY 300,000.00\n\
                Evidence: paid = 100.00, settled = none\nEvidence: and 2 more rows\n\
                Hint: `settled` is exactly 100 times `paid`";
    let wanted = json!({
        "text": "CRITICAL: 12 confirmed, 1 changed, CNY 1,234,567.80 at risk",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "emoji": false,
                "text": "🔴 CRITICAL: 12 confirmed, 1 changed, CNY 1,234,567.80 at risk"}},
            {"type": "section", "text": {"type": "plain_text", "emoji": false, "text": text}},
            {"type": "section", "text": {"type": "mrkdwn", "verbatim": true,
                "text": "<https://centinel.example/trace/order/O1|Trace> · <https://wiki.example/settled|Runbook>"}},
        ],
    });
    assert_eq!(asked.json(), wanted);
}

#[tokio::test]
async fn digests_and_ends_read_as_such() {
    let server = Server::start(|_, _| answer(200, "ok")).await;
    slack(&server, &message(DIGEST)).await;
    slack(&server, &message(RECOVERED)).await;
    let asked = server.asked();
    let digest = asked[0].json();
    assert_eq!(
        digest["text"],
        "CRITICAL: digest of 904 findings, 41 causes"
    );
    let text = "Rule: settled-equals-paid (critical): 900 confirmed, 3 changed, 40 causes, CNY 77.00, JPY 5,000, since 2026-11-22T07:58:00Z\n\
                Rule: paid-once (warn): 1 recovered, since 2026-11-22T07:59:00Z";
    assert_eq!(digest["blocks"][1]["text"]["text"], text);
    let ended = asked[1].json();
    assert_eq!(ended["text"], "2 recovered");
    assert_eq!(ended["blocks"][0]["text"]["text"], "🟢 2 recovered");
    let text = "Rule: settled-equals-paid\nShould hold: What was settled is what was paid\nMoney: CNY 30.00\n\
                Since: 2026-11-22T07:58:00Z\nOpen now: nothing\nOwner: settlement\nRunbook: Ask the settlement team.";
    assert_eq!(ended["blocks"][1]["text"]["text"], text);
}

#[tokio::test]
async fn data_calls_nobody_and_links_nowhere() {
    let server = Server::start(|_, _| answer(200, "ok")).await;
    slack(&server, &nasty()).await;
    let json = server.one().json();
    for block in json["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().unwrap();
        match block["text"]["type"].as_str().unwrap() {
            "plain_text" => {}
            "mrkdwn" => assert_eq!(text, "<https://centinel.example/trace/order/O1|Trace>"),
            other => panic!("{other}"),
        }
    }
    assert!(!json["text"].as_str().unwrap().contains('<'));
}

#[tokio::test]
async fn every_block_is_within_slacks_bounds() {
    let server = Server::start(|_, _| answer(200, "ok")).await;
    slack(&server, &long()).await;
    let json = server.one().json();
    let blocks = json["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    for block in blocks {
        let most = if block["type"] == "header" {
            150
        } else {
            3_000
        };
        let text = block["text"]["text"].as_str().unwrap();
        assert!((1..=most).contains(&text.chars().count()));
    }
}

#[tokio::test]
async fn limits_and_mistakes_are_told_apart() {
    let busy = Server::start(|_, _| Answer {
        headers: vec![("retry-after", "30".into())],
        ..answer(429, "rate_limited")
    });
    assert_eq!(later(slack(&busy.await, &message(ALERT)).await).1, Some(30));
    for (status, body) in [(400, "invalid_blocks"), (400, "invalid_payload")] {
        let server = Server::start(move |_, _| answer(status, body)).await;
        assert!(refused(slack(&server, &message(ALERT)).await).contains(body));
    }
    for (status, body) in [
        (403, "action_prohibited"),
        (404, "no_service"),
        (410, "channel_is_archived"),
        (500, "rollup_error"),
        (200, "<html>a proxy</html>"),
    ] {
        let server = Server::start(move |_, _| answer(status, body)).await;
        assert!(
            later(slack(&server, &message(ALERT)).await)
                .0
                .contains(body)
        );
    }
}
