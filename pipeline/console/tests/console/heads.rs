//! What every answer bears.

use crate::support::{Answer, Desk, finding, id};

fn is_guarded(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{path}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{path}");
    }
    assert!(!answer.headers.contains_key("etag") && !answer.headers.contains_key("last-modified"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_guarded_and_kept_by_nobody() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let ann = desk.person("ann", "operator").await;
    let of = format!("/findings/{}", id("r", "E1"));
    let paths = [
        "/",
        "/sign-in",
        "/findings",
        of.as_str(),
        "/findings/none",
        "/findings/export.csv",
        "/findings/export.jsonl",
        "/findings?severity=x",
        "/log",
        "/log/breaker",
        "/nowhere",
        "/assets/none.js",
    ];
    for path in paths {
        let answer = ann.get(path).await;
        is_guarded(path, &answer);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(
            !answer.text.contains("style=\"")
                && !answer.text.contains("<script>")
                && !answer.text.contains("onclick"),
            "{path}"
        );
        is_guarded(path, &desk.visitor().get(path).await);
        // Whether it changed since nobody is told: there is nothing to compare with.
        let again = ann
            .send(
                "GET",
                path,
                &[
                    ("if-none-match", "*"),
                    ("if-modified-since", "Sun, 22 Nov 2026 08:00:00 GMT"),
                ],
                None,
            )
            .await;
        assert_eq!(again.status, answer.status, "{path}");
    }
    assert_eq!(ann.get("/nowhere").await.status, 404);
    assert_eq!(ann.send("DELETE", "/findings", &[], None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_names_is_there_and_may_be_kept() {
    let desk = Desk::new().await;
    let page = desk.visitor().get("/sign-in").await;
    let named: Vec<&str> = page
        .text
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    assert!(named.len() >= 7, "{named:?}");
    for path in named {
        let answer = desk.visitor().get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        is_guarded(path, &answer);
        assert!(
            answer.header("cache-control").contains("immutable"),
            "{path}"
        );
        assert!(!answer.text.is_empty() && !answer.header("content-type").contains("html"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_in_the_language_that_was_chosen() {
    let desk = Desk::new().await;
    let visitor = desk.visitor();
    let chinese = visitor
        .send(
            "GET",
            "/sign-in",
            &[("accept-language", "zh-CN,zh;q=0.9,en;q=0.5")],
            None,
        )
        .await;
    assert!(
        chinese.text.contains("lang=\"zh-CN\"")
            && chinese.text.contains("登录")
            && !chinese.text.contains("Password")
    );
    let english = visitor
        .send("GET", "/sign-in", &[("accept-language", "fr")], None)
        .await;
    assert!(english.text.contains("lang=\"en\"") && english.text.contains("Password"));
    let chosen = visitor.get("/sign-in?lang=zh&theme=dark").await;
    let cookies: Vec<_> = chosen
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("lang=zh;"))
            && cookies
                .iter()
                .any(|cookie| cookie.starts_with("theme=dark;"))
    );
    let mut kept = desk.visitor();
    kept.cookie = "lang=zh; theme=dark".into();
    let page = kept.get("/sign-in").await;
    assert!(page.text.contains("登录") && page.text.contains("data-theme=\"dark\""));
    // Only words that are known are kept.
    let other = visitor
        .get("/sign-in?lang=%3Cb%3E&theme=x%0D%0Aset-cookie:y")
        .await;
    assert_eq!(other.header("set-cookie"), "");
}
