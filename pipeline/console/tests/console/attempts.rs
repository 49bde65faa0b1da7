//! Guessing passwords.

use serde_json::json;

use crate::support::{Desk, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow_and_tells_nothing() {
    let desk = Desk::new().await;
    desk.account("ann", "operator").await;
    let mut texts = vec![];
    for name in [
        "ann",
        "nobody",
        "no such name can be \u{202e} an account's",
        "ann",
    ] {
        let answer = desk.visitor().sign_in(name, "a wrong password, long").await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        assert_eq!(answer.header("set-cookie"), "");
        texts.push(answer.text);
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");

    // Beyond some attempts a name is not tried any more, whatever the password; known or not.
    for name in ["ann", "nobody"] {
        let mut last = 0;
        for _ in 0..6 {
            last = desk
                .visitor()
                .sign_in(name, "a wrong password, long")
                .await
                .status;
        }
        assert_eq!(last, 429, "{name}");
    }
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let refused = |answer: serde_json::Value| answer["entries"].as_array().unwrap().len();
    let before = refused(
        desk.by_root("GET", "/v1/audit?limit=1000", json!(null))
            .await,
    );
    let answer = desk.visitor().sign_in("ann", PASSWORD).await;
    assert_eq!(answer.status, 429);
    let after = refused(
        desk.by_root("GET", "/v1/audit?limit=1000", json!(null))
            .await,
    );
    assert_eq!(before, after, "the breaker was not asked");
    desk.later(11);
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    assert_eq!(desk.visitor().sign_in("ann", PASSWORD).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_tries_only_so_many_names() {
    let desk = Desk::new().await;
    desk.account("ann", "operator").await;
    let mut tried = 0;
    for at in 0..40 {
        let name = format!("name{at}");
        let answer = desk
            .visitor()
            .sign_in(&name, "a wrong password, long")
            .await;
        tried += usize::from(answer.status == 401);
        // Slower than the breaker's own limit.
        tokio::time::sleep(std::time::Duration::from_millis(110)).await;
    }
    assert!((15..=25).contains(&tried), "{tried}");
    while desk.visitor().sign_in("nobody", PASSWORD).await.status != 429 {}
    desk.later(3);
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    assert_eq!(desk.visitor().sign_in("ann", PASSWORD).await.status, 303);
}
