//! Pages are told what has changed.

use std::time::Duration;

use crate::support::{Desk, Visitor, finding};

async fn stream(visitor: &Visitor) -> reqwest::Response {
    let client = reqwest::Client::new();
    let request = client
        .get(format!("{}/live", visitor.url))
        .header("cookie", &visitor.cookie);
    request.send().await.unwrap()
}

/// Reads until the stream has said this, or has ended; what it said.
async fn read(stream: &mut reqwest::Response, until: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while let Ok(Some(part)) = stream.chunk().await {
            text += &String::from_utf8_lossy(&part);
            if !until.is_empty() && text.contains(until) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the stream says something");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_of_findings_and_its_stream_ends_with_the_session() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    let mut live = stream(&ann).await;
    assert_eq!(live.status().as_u16(), 200);
    assert!(
        live.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    desk.tell(&[finding("r", "E1")]);
    let said = read(&mut live, "event: findings").await;
    // What is told is that, and not what.
    assert!(!said.contains("E1"), "{said}");
    ann.post_form("/sign-out", &[]).await;
    read(&mut live, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_limited_and_nobody_has_one_without_a_session() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    let mut streams = vec![];
    for _ in 0..4 {
        let live = stream(&ann).await;
        assert_eq!(live.status().as_u16(), 200);
        streams.push(live);
    }
    assert_eq!(stream(&ann).await.status().as_u16(), 503);
    drop(streams);
    crate::support::until("room for a stream", || async {
        stream(&ann).await.status().as_u16() == 200
    })
    .await;
    assert_eq!(desk.visitor().get("/live").await.status, 303);
    // The console's end is the stream's.
    let mut live = stream(&ann).await;
    desk.end();
    read(&mut live, "").await;
}
