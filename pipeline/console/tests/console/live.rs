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
    // The page is told that this is the end, so that its browser does not ask for another stream.
    ann.post_form("/sign-out", &[]).await;
    let said = read(&mut live, "").await;
    assert!(
        said.trim_end().ends_with("event: ended\ndata: ended"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_limited_and_nobody_has_one_without_a_session() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    // A fifth one takes the place of the first.
    let mut first = stream(&ann).await;
    let mut others = vec![];
    for _ in 0..4 {
        let live = stream(&ann).await;
        assert_eq!(live.status().as_u16(), 200);
        others.push(live);
    }
    let said = read(&mut first, "").await;
    assert!(!said.contains("ended"), "{said}");
    desk.tell(&[finding("r", "E1")]);
    read(&mut others[0], "event: findings").await;
    drop(others);
    assert_eq!(desk.visitor().get("/live").await.status, 303);
    // The console's end is the stream's.
    let mut live = stream(&ann).await;
    desk.end();
    let said = read(&mut live, "").await;
    // Its browser finds the next one.
    assert!(!said.contains("ended"), "{said}");
}
