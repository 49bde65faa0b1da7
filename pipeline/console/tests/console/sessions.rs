//! How sessions begin and end.

use serde_json::json;

use crate::support::{Desk, PASSWORD, Visitor};

async fn is_in(visitor: &Visitor) -> bool {
    let answer = visitor.get("/findings").await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.status);
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_under_an_id_that_nobody_knew() {
    let desk = Desk::new().await;
    desk.account("ann", "operator").await;
    // Somebody has put a cookie of their own choice into the browser.
    let mut planted = desk.visitor();
    planted.cookie = "centinel=planted".into();
    let mut ann = planted.clone();
    let answer = ann.sign_in("ann", PASSWORD).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie");
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("planted") && is_in(&ann).await && !is_in(&planted).await);

    // Whoever signs in again has another id, and the one before is worth nothing.
    let before = ann.clone();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    ann.sign_in("ann", PASSWORD).await;
    assert!(before.cookie != ann.cookie && is_in(&ann).await && !is_in(&before).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_everywhere_when_its_person_signs_out() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let mut elsewhere = desk.visitor();
    elsewhere.sign_in("ann", PASSWORD).await;
    let answer = ann.post_form("/sign-out", &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "/sign-in")
    );
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert!(!is_in(&ann).await && !is_in(&elsewhere).await);
    // At the breaker, too.
    let log = desk
        .by_root("GET", "/v1/audit?before=1000000&limit=1", json!(null))
        .await;
    assert!(
        log["entries"][0]["body"]
            .as_str()
            .unwrap()
            .contains("session.end"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    desk.later(29 * 60);
    // What the page asks by itself does not keep it …
    assert_eq!(ann.get("/overview/live").await.status, 200);
    desk.later(61);
    assert!(!is_in(&ann).await);
    let answer = ann.get("/findings?open=all").await;
    assert_eq!(
        answer.header("location"),
        "/sign-in?next=%2Ffindings%3Fopen%3Dall"
    );

    // … what the person does keeps it for half a day.
    let bob = desk.person("bob", "operator").await;
    for _ in 0..24 {
        assert!(is_in(&bob).await);
        desk.later(29 * 60 + 59);
    }
    assert!(is_in(&bob).await);
    desk.later(25);
    assert!(!is_in(&bob).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_breaker_says_of_a_person_counts_soon() {
    let desk = Desk::new().await;
    let ann = desk.person("ann", "operator").await;
    assert_eq!(ann.get("/findings/export.csv").await.status, 200);
    desk.by_root("PATCH", "/v1/accounts/ann", json!({"role": "viewer"}))
        .await;
    desk.later(16);
    assert_eq!(ann.get("/findings/export.csv").await.status, 403);
    desk.by_root("PATCH", "/v1/accounts/ann", json!({"disabled": true}))
        .await;
    desk.later(16);
    assert!(!is_in(&ann).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_the_cookie_is_of_this_host_alone() {
    let desk =
        Desk::with(|settings| settings.origin = Some("https://console.example.com".into())).await;
    desk.account("ann", "operator").await;
    let visitor = desk.visitor();
    let body = crate::support::encoded(&[("name", "ann"), ("password", PASSWORD)]);
    let headers = [("origin", "https://console.example.com")];
    let answer = visitor
        .send("POST", "/sign-in", &headers, Some(body.clone()))
        .await;
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-centinel=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert!(
        answer
            .header("strict-transport-security")
            .contains("max-age")
    );
    let own = [("origin", visitor.url.as_str())];
    assert_eq!(
        visitor
            .send("POST", "/sign-in", &own, Some(body))
            .await
            .status,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_by_a_link_from_elsewhere_is_let_in_all_the_same() {
    let desk = Desk::new().await;
    // Such a link brings no cookie: the page leads to itself, and then it comes.
    let headers = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    let answer = desk
        .visitor()
        .send("GET", "/findings?words=a%22%3E%3Cb%3E", &headers, None)
        .await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .text
            .contains("http-equiv=\"refresh\" content=\"0; url=/findings?words=a%22%3E%3Cb%3E\""),
        "{}",
        answer.text
    );
    desk.end();
}
