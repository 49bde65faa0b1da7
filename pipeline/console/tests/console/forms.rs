//! That it was the person who sent a form, from a page of this console.

use crate::support::{Desk, PASSWORD, encoded, finding, id};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_by_a_form_from_elsewhere() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let ann = desk.person("ann", "operator").await;
    let bob = desk.person("bob", "operator").await;
    let path = format!("/findings/{}/acts", id("r", "E1"));
    let page = ann.get(&format!("/findings/{}", id("r", "E1"))).await;
    let (csrf, seen) = (page.csrf(), page.hidden("seen"));
    let others = bob.get("/").await.csrf();
    let form = |csrf: &str| {
        encoded(&[
            ("csrf", csrf),
            ("act", "note"),
            ("said", "x"),
            ("seen", &seen),
        ])
    };
    let own = ann.url.clone();
    let port = own.replace("127.0.0.1", "localhost");
    let cases: [(&[(&str, &str)], String); 11] = [
        // Without a word from where it comes.
        (&[], form(&csrf)),
        (&[("origin", "https://evil.example")], form(&csrf)),
        (&[("origin", "null")], form(&csrf)),
        (&[("origin", &port)], form(&csrf)),
        (
            &[("origin", &own), ("sec-fetch-site", "cross-site")],
            form(&csrf),
        ),
        (&[("sec-fetch-site", "same-site")], form(&csrf)),
        (&[("sec-fetch-site", "none")], form(&csrf)),
        // Without the session's token.
        (&[("origin", &own)], form("")),
        (
            &[("origin", &own)],
            encoded(&[("act", "note"), ("said", "x"), ("seen", &seen)]),
        ),
        (&[("origin", &own)], form(&others)),
        (
            &[("origin", &own)],
            format!("{}&csrf={csrf}", form(&others)),
        ),
    ];
    for (headers, body) in cases {
        let answer = ann.send("POST", &path, headers, Some(body.clone())).await;
        assert_eq!(answer.status, 403, "{headers:?} {body}");
    }
    let row = || desk.store().get(&id("r", "E1")).unwrap().unwrap();
    assert_eq!(row().acts, 0);
    // Signing somebody in by a form from elsewhere would make them work under another's name.
    let body = encoded(&[("name", "ann"), ("password", PASSWORD)]);
    let foreign = [("origin", "https://evil.example")];
    let answer = desk
        .visitor()
        .send("POST", "/sign-in", &foreign, Some(body))
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, ""));

    let answer = ann
        .send("POST", &path, &[("origin", &own)], Some(form(&csrf)))
        .await;
    assert_eq!((answer.status, row().acts), (303, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let ann = desk.person("ann", "operator").await;
    let path = format!("/findings/{}/acts", id("r", "E1"));
    let long = "x".repeat(70_000);
    let answer = ann
        .post_form(&path, &[("act", "note"), ("said", &long), ("seen", "1")])
        .await;
    assert_eq!(answer.status, 413);
    let answer = desk
        .visitor()
        .post("/sign-in", &[("name", "ann"), ("password", &long)])
        .await;
    assert_eq!(answer.status, 400);
}
