use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use centinel_alert::{Message, Outcome};
use serde_json::json;

use crate::samples::{ALERT, RECOVERED, long, message, nasty};
use crate::server::{Answer, Asked, Server, answer};
use crate::{base64, hmac, later, outlet, refused, send};

pub const SECRET: &str = "SEC0123456789abcdef";

async fn dingtalk(server: &Server, message: &Message) -> Outcome {
    let table = "kind = \"dingtalk\"\nurl = { env = \"DINGTALK_URL\" }\nsecret = { env = \"DINGTALK_SECRET\" }\nallow = [\"127.0.0.1\"]";
    let url = format!("{}/robot/send?access_token=t0", server.url);
    let secrets = [("DINGTALK_URL", url.as_str()), ("DINGTALK_SECRET", SECRET)];
    send(&outlet(table, &secrets), message).await
}

/// A robot as DingTalk has them: its mistakes stand in the body of a 200.
pub fn robot() -> impl Fn(&Asked, usize) -> Answer + Clone + Send + Sync + 'static {
    let taken = Arc::new(AtomicUsize::new(0));
    move |asked, _| {
        let said = |code: i64, text: &str| {
            answer(200, &json!({"errcode": code, "errmsg": text}).to_string())
        };
        if asked.query["access_token"] != "t0" {
            return said(300_005, "token is not exist");
        }
        let time = &asked.query["timestamp"];
        if asked.query["sign"] != base64(&hmac(SECRET, &format!("{time}\n{SECRET}"))) {
            return said(310_000, "sign not match");
        }
        if asked.headers["content-type"] != "application/json; charset=utf-8" {
            return said(43_004, "invalid content-type");
        }
        if asked.body.len() > 20_000 {
            return said(460_101, "message too long");
        }
        match taken.fetch_add(1, Ordering::SeqCst) {
            0..20 => said(0, "ok"),
            _ => said(130_101, "send too fast, exceed 20 times per minute"),
        }
    }
}

#[tokio::test]
async fn the_wire_form_is_markdown_signed_by_time() {
    let server = Server::start(robot()).await;
    assert_eq!(dingtalk(&server, &message(ALERT)).await, Outcome::Delivered);
    let asked = server.one();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/robot/send")
    );
    assert_eq!(asked.query["timestamp"], "1795334411250");
    let text = "#### 🔴 CRITICAL: 12 confirmed, 1 changed, CNY 1,234,567.80 at risk\n\n\
                - **Rule**: settled-equals-paid\n- **Should hold**: What was settled is what was paid\n\
                - **Cause**: merchant_no M1\n- **Money**: CNY 1,234,567.80\n- **Since**: 2026-11-22T07:58:00Z\n\
                - **Open now**: 34, CNY 2,000,000.00\n- **Owner**: settlement\n\
                - **Among them**: release r41, r42, and more\n\
                - **Largest**: order O1, payment_no P1: CNY 300,000.00\n\
                - **Evidence**: paid = 100.00, settled = none\n- **Evidence**: and 2 more rows\n\
                - **Hint**: ｀settled｀ is exactly 100 times ｀paid｀\n\n\
                [Trace](https://centinel.example/trace/order/O1) · [Runbook](https://wiki.example/settled)\n";
    let wanted = json!({
        "msgtype": "markdown",
        "markdown": {"title": "CRITICAL: 12 confirmed, 1 changed, CNY 1,234,567.80 at risk", "text": text},
        "at": {"isAtAll": false},
    });
    assert_eq!(asked.json(), wanted);
    assert_eq!(
        dingtalk(&server, &message(RECOVERED)).await,
        Outcome::Delivered
    );
}

#[tokio::test]
async fn above_its_limit_it_is_left_alone_for_ten_minutes() {
    let server = Server::start(robot()).await;
    for _ in 0..20 {
        assert_eq!(dingtalk(&server, &message(ALERT)).await, Outcome::Delivered);
    }
    let (why, after) = later(dingtalk(&server, &message(ALERT)).await);
    assert_eq!(after, Some(600));
    assert_eq!(
        why,
        "errcode 130101: send too fast, exceed 20 times per minute"
    );
}

#[tokio::test]
async fn mistakes_in_a_200_are_no_success() {
    for (code, again) in [
        (310_000, true),
        (300_005, true),
        (-1, true),
        (400_102, true),
        (460_101, false),
        (430_104, false),
        (40_035, false),
    ] {
        let body = json!({"errcode": code, "errmsg": "why"}).to_string();
        let server = Server::start(move |_, _| answer(200, &body)).await;
        let outcome = dingtalk(&server, &message(ALERT)).await;
        let why = if again {
            later(outcome).0
        } else {
            refused(outcome)
        };
        assert_eq!(why, format!("errcode {code}: why"));
    }
    for body in ["", "<html>", "{}", "{\"errcode\":\"0\"}", "[0]"] {
        let server = Server::start(move |_, _| answer(200, body)).await;
        assert!(
            later(dingtalk(&server, &message(ALERT)).await)
                .0
                .contains("without an errcode")
        );
    }
    let server = Server::start(|_, _| answer(502, "{\"errcode\":0}")).await;
    assert!(
        later(dingtalk(&server, &message(ALERT)).await)
            .0
            .contains("502")
    );
}

#[tokio::test]
async fn data_marks_nothing_and_calls_nobody() {
    let server = Server::start(robot()).await;
    dingtalk(&server, &nasty()).await;
    let json = server.one().json();
    let text = json["markdown"]["text"].as_str().unwrap();
    for (line, begins) in text.lines().skip(2).map(|line| (line, "- **")) {
        let Some(row) = line.strip_prefix(begins) else {
            assert!(
                line.is_empty() || line == "[Trace](https://centinel.example/trace/order/O1)",
                "{line}"
            );
            continue;
        };
        let (_, value) = row.split_once("**: ").unwrap();
        for sign in [
            '<', '>', '[', ']', '(', ')', '*', '`', '#', '@', '\\', '|', '&', '!',
        ] {
            assert!(!value.contains(sign), "{sign} in {value}");
        }
        assert!(!value.contains("://"), "{value}");
    }
    assert_eq!(json["at"], json!({"isAtAll": false}));
}

#[tokio::test]
async fn the_longest_message_is_within_its_20_kb() {
    let server = Server::start(robot()).await;
    assert_eq!(dingtalk(&server, &long()).await, Outcome::Delivered);
}
