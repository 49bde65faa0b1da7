use std::time::Duration;

use centinel_alert::Outcome;

use crate::samples::{ALERT, DIGEST, NASTY, RECOVERED, message, nasty};
use crate::server::{Answer, Server, answer};
use crate::{hmac, later, outlet, refused, send};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn table(server: &Server, more: &str) -> String {
    format!(
        "kind = \"webhook\"\nurl = \"{}/hook?a=b\"\nsecret = {{ env = \"HOOK_SECRET\" }}\nallow = [\"127.0.0.1\"]\n{more}",
        server.url
    )
}

async fn sent(server: &Server, more: &str) -> Outcome {
    let outlet = outlet(&table(server, more), &[("HOOK_SECRET", SECRET)]);
    send(&outlet, &message(ALERT)).await
}

#[tokio::test]
async fn the_message_is_the_documented_json_and_signed() {
    for sample in [ALERT, DIGEST, RECOVERED] {
        let server = Server::start(|_, _| answer(204, "")).await;
        let outlet = outlet(&table(&server, ""), &[("HOOK_SECRET", SECRET)]);
        assert_eq!(send(&outlet, &message(sample)).await, Outcome::Delivered);
        let asked = server.one();
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            ("POST", "/hook")
        );
        assert_eq!(asked.query["a"], "b");
        assert_eq!(
            asked.headers["content-type"],
            "application/json; charset=utf-8"
        );
        let wanted: serde_json::Value = serde_json::from_str(sample).unwrap();
        assert_eq!(asked.json(), wanted);
        // 2026-11-22T08:00:11Z, by `date +%s`.
        let tag = hmac(SECRET, &format!("1795334411.{}", asked.body));
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            asked.headers["centinel-signature"],
            format!("t=1795334411,v1={tag}")
        );
    }
}

#[tokio::test]
async fn data_stays_data() {
    let server = Server::start(|_, _| answer(200, "")).await;
    let outlet = outlet(&table(&server, ""), &[("HOOK_SECRET", SECRET)]);
    assert_eq!(send(&outlet, &nasty()).await, Outcome::Delivered);
    assert_eq!(server.one().json()["largest"][0]["entity_key"], NASTY);
}

#[tokio::test]
async fn what_is_no_success_is_tried_again_or_refused_for_good() {
    for (status, again) in [
        (500, true),
        (503, true),
        (429, true),
        (401, true),
        (404, true),
        (400, false),
        (413, false),
        (422, false),
    ] {
        let server = Server::start(move |_, _| answer(status, "the \u{1b}[31mreason")).await;
        let outcome = sent(&server, "").await;
        let why = if again {
            later(outcome).0
        } else {
            refused(outcome)
        };
        assert_eq!(why, format!("it answered {status}: the [31mreason"));
    }
}

#[tokio::test]
async fn it_waits_as_long_as_it_is_told() {
    let server = Server::start(|_, _| Answer {
        headers: vec![("retry-after", "37".into())],
        ..answer(503, "")
    });
    assert_eq!(later(sent(&server.await, "").await).1, Some(37));
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left_in_time() {
    let silent = Server::start(|_, _| Answer {
        delay: Duration::from_secs(60),
        ..answer(200, "")
    });
    let slow = Server::start(|_, _| Answer {
        between: Duration::from_millis(50),
        ..answer(200, &"x".repeat(10_000))
    });
    for server in [silent.await, slow.await] {
        let begun = std::time::Instant::now();
        let (why, _) = later(sent(&server, "timeout = \"300ms\"").await);
        assert_eq!(why, "it did not answer within 300 ms");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_a_limit() {
    let server = Server::start(|_, _| answer(500, &"y".repeat(900_000))).await;
    let (why, _) = later(sent(&server, "").await);
    assert!(why.len() < 300, "{} bytes", why.len());
    let server = Server::start(|_, _| answer(200, &"y".repeat(900_000))).await;
    assert_eq!(sent(&server, "").await, Outcome::Delivered);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start(|_, _| answer(200, "")).await;
    let there = target.url.clone();
    let server = Server::start(move |_, _| Answer {
        headers: vec![("location", there.clone())],
        ..answer(307, "")
    });
    let (why, _) = later(sent(&server.await, "").await);
    assert!(why.starts_with("it answered 307, a redirect"), "{why}");
    assert_eq!(target.asked().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let server = Server::start(|_, _| answer(200, "")).await;
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let table = table(&server, "").replace(&server.port.to_string(), &port.to_string());
    let outlet = outlet(&table, &[("HOOK_SECRET", SECRET)]);
    let (why, _) = later(send(&outlet, &message(ALERT)).await);
    assert!(why.contains("onnection refused"), "{why}");
    assert!(
        !why.contains("hook"),
        "the address may hold a secret: {why}"
    );
}
