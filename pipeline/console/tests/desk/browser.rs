//! The main ways through these pages in a real browser, and what the pages look like in it.

use std::panic::resume_unwind;
use std::sync::Arc;

use serde_json::json;
use test_servers::Browser;

use crate::fake::order;
use crate::support::{PASSWORD, Stage, id, told};

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

async fn sign_in(browser: &Browser, stage: &Stage, name: &str) {
    browser.go(&format!("{}/sign-in", stage.url)).await;
    browser.fill("#name", name).await;
    browser.fill("#password", PASSWORD).await;
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

async fn says(browser: &Browser, words: &str) {
    let words = json!(words);
    browser
        .until(&format!("document.body.innerText.includes({words})"))
        .await;
}

async fn well(browser: &Browser) {
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_finding_to_its_trace_to_a_trip_to_its_release_by_a_second_person() {
    let stage = Arc::new(Stage::new().await);
    let here = stage.clone();
    with_browser(|browser| async move {
        let stage = here;
        browser.size(1280, 900).await;
        sign_in(&browser, &stage, "olga").await;
        browser.go(&format!("{}/findings", stage.url)).await;
        browser.click("table tbody tr th a").await;
        browser.until("document.querySelector(\"a[href='/trace/order/O-1']\")").await;
        browser.click("a[href='/trace/order/O-1']").await;
        says(&browser, "Rows as they were then").await;

        // The slider, by keys and by a click on a step.
        let last = browser.text("#stage-number").await;
        assert!(last.starts_with("6 / 6"), "{last}");
        browser.run("document.querySelector('#slider').focus()").await;
        browser.run("const slider = document.querySelector('#slider'); slider.value = 1; slider.dispatchEvent(new Event('input', {bubbles: true})); slider.dispatchEvent(new Event('change', {bubbles: true}))").await;
        browser.until("!document.querySelector('#stage').innerText.includes('SET-445566')").await;
        browser.until("location.search.includes('stage=1')").await;
        browser.click("a.step[data-stage='5']").await;
        browser.until("document.querySelector('#stage').innerText.includes('changed by hand')").await;
        assert_eq!(browser.text("#stage-number").await, "5 / 6");
        well(&browser).await;

        // A trip, looked at before it is set.
        let finding = id("settled-equals-paid", "O-1");
        browser.go(&format!("{}/breaker/trips/new?finding={finding}", stage.url)).await;
        assert!(!browser.run("return Boolean(document.querySelector(\"form[action='/breaker/trips']\"))").await.as_bool().unwrap());
        browser.click("form[action='/breaker/trips/new'] button").await;
        browser.until("document.querySelector('#preview')").await;
        browser.click("form[action='/breaker/trips'] button").await;
        browser.until("location.pathname === '/breaker/trips/T1'").await;
        says(&browser, "in force").await;
        assert_eq!(stage.check("settle-1", "O-1", "125.00").await["decision"], "hold");
        assert_eq!(stage.check("settle-2", "O-1", "1.00").await["decision"], "hold");

        // One of two is chosen and proposed for release.
        browser.go(&format!("{}/breaker/trips/T1", stage.url)).await;
        browser.click("input[name='hold'][value='settle-2']").await;
        browser.click("input[name='disposition'][value='resume']").await;
        browser.fill("#reason", "this one is right").await;
        browser.click("form[action='/breaker/releases'] button").await;
        browser.until("location.pathname === '/breaker/releases/R1'").await;
        says(&browser, "another person has to confirm it").await;
        well(&browser).await;
        sign_out(&browser).await;

        sign_in(&browser, &stage, "anna").await;
        browser.go(&format!("{}/breaker", stage.url)).await;
        browser.click(".doubt a[href='/breaker/releases/R1']").await;
        browser.until("document.querySelector(\"form[action$='/confirm'] button\")").await;
        browser.click("form[action$='/confirm'] button").await;
        says(&browser, "done").await;
        well(&browser).await;
        assert_eq!(stage.check("settle-2", "O-1", "1.00").await["decision"], "allow");
        assert_eq!(stage.check("settle-1", "O-1", "125.00").await["decision"], "hold");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_quarantine_to_a_record_that_is_read_after_all() {
    let stage = Arc::new(Stage::new().await);
    let here = stage.clone();
    with_browser(|browser| async move {
        let stage = here;
        browser.size(390, 844).await;
        sign_in(&browser, &stage, "olga").await;
        browser.go(&format!("{}/quarantine", stage.url)).await;
        browser.click("a[href='/quarantine/1']").await;
        says(&browser, "PAY-R-1").await;
        browser
            .fill("#again-reason", "the column is in the schema now")
            .await;
        browser.click("form[aria-labelledby='again'] button").await;
        says(&browser, "it still cannot be read").await;
        says(&browser, "then re-drive the record again").await;
        well(&browser).await;
        stage.detection.known().mended = true;
        browser.go(&format!("{}/quarantine/1", stage.url)).await;
        browser
            .fill("#again-reason", "the column is in the schema now")
            .await;
        browser.click("form[aria-labelledby='again'] button").await;
        says(&browser, "read after all").await;
        browser.click("nav a[href='/quarantine']").await;
        says(&browser, "read after all").await;
        well(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_session_ended_elsewhere_closes_its_stream_and_asks_for_no_other() {
    let stage = Arc::new(Stage::new().await);
    let here = stage.clone();
    with_browser(|browser| async move {
        sign_in(&browser, &here, "olga").await;
        browser.go(&format!("{}/findings", here.url)).await;
        let stream = "document.body['htmx-internal-data'].sseEventSource.readyState";
        browser
            .until(&format!("{stream} === EventSource.OPEN"))
            .await;
        let elsewhere = here.person("olga").await;
        elsewhere.act("/findings", "/sign-out", &[]).await;
        browser
            .until(&format!("{stream} === EventSource.CLOSED"))
            .await;
        well(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_runs_nothing() {
    let stage = Arc::new(Stage::new().await);
    let here = stage.clone();
    with_browser(|browser| async move {
        sign_in(&browser, &here, "olga").await;
        browser
            .go(&format!("{}/audits/nightly/r1/report.html", here.url))
            .await;
        says(&browser, "order O-1").await;
        // Its script did not run, its style did.
        assert_eq!(browser.run("return document.title").await, "r");
        let colour = browser
            .run("return getComputedStyle(document.querySelector('p')).color")
            .await;
        assert_eq!(colour, "rgb(255, 0, 0)");
        assert_eq!(browser.run("return window.origin").await, "null");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_at_every_width_and_in_every_colour_and_language() {
    let stage = Arc::new(Stage::with(&[
        told("settled-equals-paid", "O-1", json!({})),
        told("settled-equals-paid", "O-2", json!({"verdict": "undetermined", "amount": null, "currency": null})),
        told("refunded-at-most-paid", "O-1", json!({"verdict": "suspected", "title": "Refunded at most what was paid", "judged_at": "2026-11-22T08:00:02Z"})),
    ]).await);
    stage.detection.known().histories.push(order("O-500", 498));
    let olga = stage.person("olga").await;
    let trip = [
        ("request_id", "console-1"),
        ("scope", "merchant"),
        ("name", "MERCHANT-9001"),
        ("point", "settlement"),
        ("reason", "settled twice since release 40; see ticket 4711"),
        ("owner", "settlement"),
        ("lasts", "4h"),
    ];
    olga.act("/breaker", "/breaker/trips", &trip).await;
    for (number, amount) in ["120.00", "88.50", "1020.00"].iter().enumerate() {
        stage
            .check(&format!("settle-{number}"), "O-1", amount)
            .await;
    }
    let ask = [
        ("request_id", "console-2"),
        ("cause", "T1"),
        ("which", "chosen"),
        ("hold", "settle-0"),
        ("disposition", "resume"),
        ("reason", "this one is right"),
    ];
    olga.act("/breaker/trips/T1", "/breaker/releases", &ask)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let here = stage.clone();
    with_browser(|browser| async move {
        let pages = [
            ("trace-search", "/trace"),
            ("trace", "/trace/order/O-1"),
            ("trace-by-hand", "/trace/order/O-1?stage=6"),
            ("trace-500", "/trace/order/O-500?stage=250"),
            ("trace-none", "/trace/order/nobody"),
            ("breaker", "/breaker"),
            ("trip-new", "/breaker/trips/new"),
            ("trip-preview", "/breaker/trips/new?preview=yes&scope=merchant&name=MERCHANT-9001&point=settlement&reason=x&owner=settlement&lasts=4h"),
            ("trip", "/breaker/trips/T1"),
            ("holds", "/breaker/holds"),
            ("releases", "/breaker/releases"),
            ("release", "/breaker/releases/R1"),
            ("rules", "/rules"),
            ("rule", "/rules/settled-equals-paid"),
            ("audits", "/audits"),
            ("audit", "/audits/nightly"),
            ("audit-run", "/audits/nightly/r1"),
            ("drill-run", "/audits/weekly/d1"),
            ("repair-plan", "/repairs/plan.json"),
            ("sources", "/sources"),
            ("quarantine", "/quarantine"),
            ("quarantined", "/quarantine/1"),
        ];
        let looks = [
            (390, 844, "en", "light"),
            (390, 844, "zh", "dark"),
            (1280, 900, "zh", "light"),
            (1280, 900, "en", "dark"),
            (1280, 900, "en", "light"),
        ];
        sign_in(&browser, &here, "olga").await;
        let mut faults = vec![];
        for (width, height, language, theme) in looks {
            browser.size(width, height).await;
            browser.go(&format!("{}/trace?lang={language}&theme={theme}", here.url)).await;
            for (name, path) in pages {
                let look = format!("{name}-{width}-{language}-{theme}");
                browser.go(&format!("{}{path}", here.url)).await;
                browser.until("document.readyState === 'complete'").await;
                let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
                if wide.as_i64() > Some(0) {
                    faults.push(format!("{look}: {wide} px too wide"));
                }
                faults.extend(browser.barriers().await.into_iter().map(|fault| format!("{look}: {fault}")));
                faults.extend(browser.complaints().await.into_iter().map(|said| format!("{look}: {said}")));
                browser.picture(&look).await;
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    })
    .await;
}
