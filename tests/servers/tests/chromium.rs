//! A browser lives as long as its test, and no longer.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use test_servers::Browser;

/// Processes of a group that have not ended.
fn alive(group: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let told = processes.filter_map(|one| {
        // It may have ended meanwhile.
        let told = std::fs::read_to_string(one.unwrap().path().join("stat")).ok()?;
        // Behind the name: state, parent, group.
        let (_, behind) = told.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split(' ').collect();
        (fields[2] == group.to_string() && !matches!(fields[0], "Z" | "X")).then_some(told)
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_browser_is_left_by_a_test_that_fails() {
    let browser = Browser::start(env!("CARGO_TARGET_TMPDIR")).await;
    let group = browser.group();
    // The driver, and the browser with its helpers.
    assert!(alive(group).len() > 2, "{:?}", alive(group));
    let failed = tokio::spawn(async move {
        browser.go("about:blank").await;
        browser.click("#nothing").await;
    });
    assert!(failed.await.unwrap_err().is_panic());
    for _ in 0..200 {
        if alive(group).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("still there: {:?}", alive(group));
}
