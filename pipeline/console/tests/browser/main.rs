//! The pages in a real browser: they render, work, complain of nothing, and can be used by everybody.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code)]

mod flows;
mod pages;
#[path = "../console/support.rs"]
mod support;

use std::panic::resume_unwind;
use std::sync::Arc;

use support::{Desk, PASSWORD};
use test_servers::Browser;

/// Runs a test with a browser, which ends whatever becomes of the test.
async fn with_browser<F>(test: impl FnOnce(Arc<Browser>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let browser = Arc::new(Browser::start(env!("CARGO_TARGET_TMPDIR")).await);
    let done = tokio::spawn(test(browser.clone())).await;
    if let Some(browser) = Arc::into_inner(browser) {
        browser.end().await;
    }
    if let Err(error) = done {
        resume_unwind(error.into_panic());
    }
}

/// Signs somebody in by the page.
async fn sign_in(browser: &Browser, desk: &Desk, name: &str) {
    browser.go(&format!("{}/sign-in", desk.url)).await;
    browser.fill("#name", name).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("form.sign-in button").await;
    browser
        .until("document.querySelector('form.sign-out')")
        .await;
}
