//! What people do, from page to page.

use crate::pages::{furnished, one};
use crate::{sign_in, with_browser};

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leads_to_a_page_and_to_an_export() {
    let desk = furnished().await;
    with_browser(|browser| async move {
        browser.size(1280, 900).await;
        sign_in(&browser, &desk, "ann").await;
        browser.click("nav a[href='/findings']").await;
        browser.click("details.filters summary").await;
        browser.click("input[name='severity'][value='critical']").await;
        browser.run("document.querySelector('#filter-owner').value = 'refunds'").await;
        browser.click(".filters button[type='submit']").await;
        browser.until("location.search.includes('severity=critical')").await;
        assert!(browser.address().await.contains("owner=refunds"));
        let shown = browser.run("return document.querySelectorAll('table.list tbody tr').length").await.as_u64().unwrap();
        let count = browser.text(".summary strong").await.parse::<u64>().unwrap();
        assert!(shown > 0 && shown == count.min(50));
        // The export of the same filter has as many lines as the page says.
        let lines = browser
            .run("return fetch(document.querySelector(\"a[download='findings.csv']\").href).then((answer) => answer.text()).then((text) => text.trim().split('\\r\\n').length)")
            .await;
        assert_eq!(lines.as_u64(), Some(count + 1));
        // The next page of all.
        browser.go(&format!("{}/findings?open=all", desk.url)).await;
        let first = browser.text("tbody tr th a").await;
        browser.click("a[rel='next']").await;
        browser.until("location.search.includes('after=')").await;
        assert!(!first.is_empty() && browser.run("return document.querySelectorAll('tbody tr').length").await == 50);
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_found_acknowledged_and_resolved_by_the_keyboards_and_the_page_tells_others() {
    let desk = furnished().await;
    with_browser(|browser| async move {
        browser.size(390, 844).await;
        sign_in(&browser, &desk, "ann").await;
        browser
            .go(&format!(
                "{}/findings?severity=critical&handling=new",
                desk.url
            ))
            .await;
        browser.click("tbody tr th a").await;
        browser.until("document.querySelector('#said')").await;
        browser.click("button[value='acknowledge']").await;
        browser
            .until("!document.querySelector(\"button[value='acknowledge']\")")
            .await;
        browser
            .fill("#said", "The merchant paid it back.\nSeen on the account.")
            .await;
        browser.click("button[value='resolve']").await;
        browser
            .until("document.querySelector('.history').innerText.includes('Seen on the account.')")
            .await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.picture("resolved-390-en-light").await;
        // Whoever has a page open is told that something has happened.
        browser
            .go(&format!("{}/findings/{}", desk.url, one()))
            .await;
        browser.until("document.readyState === 'complete'").await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let mut other = crate::support::finding("another-rule", "E1");
        other.title = "Another one".into();
        desk.tell(&[other]);
        browser
            .until("!document.querySelector('.news').hidden")
            .await;
    })
    .await;
}
