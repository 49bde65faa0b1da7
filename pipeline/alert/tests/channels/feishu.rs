use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use centinel_alert::{Message, Outcome};
use serde_json::{Value, json};

use crate::samples::{ALERT, NASTY, RECOVERED, long, message, nasty};
use crate::server::{Answer, Asked, Server, answer};
use crate::{base64, hmac, later, outlet, refused, send};

const SECRET: &str = "feishu-secret";

async fn feishu(server: &Server, message: &Message) -> Outcome {
    let table = "kind = \"feishu\"\nurl = { env = \"FEISHU_URL\" }\nsecret = { env = \"FEISHU_SECRET\" }\nallow = [\"127.0.0.1\"]";
    let url = format!("{}/open-apis/bot/v2/hook/h0", server.url);
    let secrets = [("FEISHU_URL", url.as_str()), ("FEISHU_SECRET", SECRET)];
    send(&outlet(table, &secrets), message).await
}

/// A robot as Feishu has them: its mistakes stand in the body of a 200, and time and secret are the key.
fn robot() -> impl Fn(&Asked, usize) -> Answer + Clone + Send + Sync + 'static {
    let taken = Arc::new(AtomicUsize::new(0));
    move |asked, _| {
        let said = |code: i64, text: &str| {
            answer(
                200,
                &json!({"code": code, "msg": text, "data": {}}).to_string(),
            )
        };
        let body = asked.json();
        let time = body["timestamp"].as_str().unwrap_or_default();
        if body["sign"] != Value::String(base64(&hmac(&format!("{time}\n{SECRET}"), ""))) {
            return said(
                19_021,
                "sign match fail or timestamp is not within one hour from current time",
            );
        }
        if asked.body.len() > 20_000 {
            return said(9_499, "Bad Request");
        }
        match taken.fetch_add(1, Ordering::SeqCst) {
            // As it does, under the old names, too.
            0..5 => answer(
                200,
                r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
            ),
            _ => said(11_232, "frequency limited psm"),
        }
    }
}

fn plain(text: &str) -> Value {
    json!({"tag": "plain_text", "content": text})
}

#[tokio::test]
async fn the_wire_form_is_a_card_signed_in_its_body() {
    let server = Server::start(robot()).await;
    assert_eq!(feishu(&server, &message(ALERT)).await, Outcome::Delivered);
    let asked = server.one();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/open-apis/bot/v2/hook/h0")
    );
    let rows = [
        "Rule: settled-equals-paid",
        "Should hold: What was settled is what was paid",
        "Cause: merchant_no M1",
        "Money: CNY 1,234,567.80",
        "Since: 2026-11-22T07:58:00Z",
        "Open now: 34, CNY 2,000,000.00",
        "Owner: settlement",
        "Among them: release r41, r42, and more",
        "Largest: order O1, payment_no P1: CNY 300,000.00",
        "Evidence: paid = 100.00, settled = none",
        "Evidence: and 2 more rows",
        "Hint: `settled` is exactly 100 times `paid`",
    ];
    let mut elements: Vec<Value> = rows
        .iter()
        .map(|row| json!({"tag": "div", "text": plain(row)}))
        .collect();
    elements.push(json!({"tag": "action", "actions": [
        {"tag": "button", "type": "default", "text": plain("Trace"), "url": "https://centinel.example/trace/order/O1"},
        {"tag": "button", "type": "default", "text": plain("Runbook"), "url": "https://wiki.example/settled"},
    ]}));
    let wanted = json!({
        "timestamp": "1795334411",
        "sign": base64(&hmac(&format!("1795334411\n{SECRET}"), "")),
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": true},
            "header": {"template": "red",
                "title": plain("CRITICAL: 12 confirmed, 1 changed, CNY 1,234,567.80 at risk")},
            "elements": elements,
        },
    });
    assert_eq!(asked.json(), wanted);
    assert_eq!(
        feishu(&server, &message(RECOVERED)).await,
        Outcome::Delivered
    );
    assert_eq!(
        server.asked()[1].json()["card"]["header"]["template"],
        "green"
    );
}

#[tokio::test]
async fn above_its_limit_it_waits() {
    let server = Server::start(robot()).await;
    for _ in 0..5 {
        assert_eq!(feishu(&server, &message(ALERT)).await, Outcome::Delivered);
    }
    let (why, after) = later(feishu(&server, &message(ALERT)).await);
    assert_eq!(
        (why.as_str(), after),
        ("code 11232: frequency limited psm", Some(60))
    );
}

#[tokio::test]
async fn mistakes_are_told_apart_whatever_the_status() {
    for (status, body, again) in [
        (200, json!({"code": 19_021, "msg": "sign match fail"}), true),
        (200, json!({"code": 19_022, "msg": "Ip Not Allowed"}), true),
        (
            200,
            json!({"code": 19_024, "msg": "Key Words Not Found"}),
            true,
        ),
        (400, json!({"code": 9_499, "msg": "too many request"}), true),
        (
            400,
            json!({"code": 11_232, "msg": "frequency limited"}),
            true,
        ),
        (400, json!({"code": 9_499, "msg": "Bad Request"}), false),
        (
            200,
            json!({"code": 19_002, "msg": "params error, msg_type need"}),
            false,
        ),
        (500, json!({"code": 0, "msg": ""}), true),
    ] {
        let text = body.to_string();
        let server = Server::start(move |_, _| answer(status, &text)).await;
        let outcome = feishu(&server, &message(ALERT)).await;
        let why = if again {
            later(outcome).0
        } else {
            refused(outcome)
        };
        if body["code"] != 0 {
            assert_eq!(
                why,
                format!("code {}: {}", body["code"], body["msg"].as_str().unwrap())
            );
        }
    }
    let old = json!({"Extra": null, "StatusCode": 0, "StatusMessage": "success"}).to_string();
    let server = Server::start(move |_, _| answer(200, &old)).await;
    assert_eq!(feishu(&server, &message(ALERT)).await, Outcome::Delivered);
    for body in ["<html>", "[0]", "{}", "{\"code\":\"0\"}"] {
        let server = Server::start(move |_, _| answer(200, body)).await;
        let (why, _) = later(feishu(&server, &message(ALERT)).await);
        assert!(why.contains("without a code"), "{why}");
    }
}

#[tokio::test]
async fn data_stands_in_plain_text_alone() {
    let server = Server::start(robot()).await;
    feishu(&server, &nasty()).await;
    let asked = server.one();
    let card = &asked.json()["card"];
    let elements = card["elements"].as_array().unwrap();
    let (last, rows) = elements.split_last().unwrap();
    assert!(
        rows.iter()
            .any(|row| row["text"]["content"] == format!("Rule: {NASTY}"))
    );
    assert!(
        rows.iter()
            .all(|row| row["tag"] == "div" && row["text"]["tag"] == "plain_text")
    );
    assert_eq!(last["actions"].as_array().unwrap().len(), 1);
    assert_eq!(
        last["actions"][0]["url"],
        "https://centinel.example/trace/order/O1"
    );
}

#[tokio::test]
async fn the_longest_message_is_within_its_20_kb() {
    let server = Server::start(robot()).await;
    assert_eq!(feishu(&server, &long()).await, Outcome::Delivered);
}
