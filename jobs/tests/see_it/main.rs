//! The programs and a browser: what a person sees who tries Centinel for the first time, and does about it; and the pages
//! that only real work fills. The pictures of the README are taken here: `make screenshots`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod audited;
mod demonstration;
mod place;
mod quarantined;

use std::time::Duration;

use test_servers::Browser;

/// Until the first findings are there, and everything else that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where tests may write.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");
const WIDTHS: [(u32, u32); 2] = [(1280, 900), (390, 844)];

/// One test at a time: the demonstration's platform moves its money by the clock, and what it holds must be found before.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn sign_in(browser: &Browser, console: &str, name: &str, password: &str) {
    browser.go(&format!("{console}/sign-in")).await;
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
    browser.click("form.sign-in button").await;
    browser
        .until("document.querySelector('form.sign-out')")
        .await;
}

async fn sign_out(browser: &Browser) {
    well(browser).await;
    browser.click("form.sign-out button").await;
    browser
        .until("document.querySelector('form.sign-in')")
        .await;
    well(browser).await;
}

/// The browser has said nothing.
#[track_caller]
fn well(browser: &Browser) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move { assert_eq!(browser.complaints().await, Vec::<String>::new(), "at {at}") }
}

async fn says(browser: &Browser, words: &str) {
    let words = serde_json::json!(words);
    browser
        .until(&format!("document.body.innerText.includes({words})"))
        .await;
}

/// Holds the page that is open to what every page must be, and takes pictures of it.
async fn see(browser: &Browser, width: u32, name: &str) {
    browser.until("document.readyState === 'complete'").await;
    // What arrives later, such as a chart.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "{name}");
    assert_eq!(browser.barriers().await, Vec::<String>::new(), "{name}");
    let wide = browser
        .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        .await;
    assert!(
        wide.as_i64().unwrap() <= 0,
        "{name} is {wide} pixels too wide for {width}"
    );
    browser.picture(&format!("{name}-{width}")).await;
    browser.glimpse(&format!("{name}-{width}-top")).await;
}

/// Looks at a page at both widths.
async fn look(browser: &Browser, console: &str, path: &str, name: &str) {
    for (width, height) in WIDTHS {
        browser.size(width, height).await;
        browser.go(&format!("{console}{path}")).await;
        see(browser, width, name).await;
    }
    browser.size(1280, 900).await;
}

/// The same in both languages; the last one is English.
async fn look_in_both(browser: &Browser, console: &str, path: &str, name: &str) {
    for language in ["zh", "en"] {
        browser.go(&format!("{console}/?lang={language}")).await;
        look(browser, console, path, &format!("{name}-{language}")).await;
    }
}

/// Looks at a page that is the answer to a form, and cannot be gone to.
async fn look_here(browser: &Browser, name: &str) {
    for (width, height) in WIDTHS {
        browser.size(width, height).await;
        see(browser, width, name).await;
    }
    browser.size(1280, 900).await;
}

async fn path_of(browser: &Browser) -> String {
    let path = browser.run("return location.pathname").await;
    path.as_str().unwrap().to_owned()
}
