//! Audits and a repair of the incident of the README, and the pages that show what they left.

use serde_json::{Value, json};
use test_servers::Browser;

use crate::place::{OPERATOR, PASSWORD, Place, root};
use crate::{ALONE, SCRATCH, WIDTHS, look_in_both, says, see, sign_in, sign_out, well};

/// An audit that finds something, one that finds nothing since its rule is broken nowhere, and one whose snapshot is missing.
fn configuration() -> String {
    let incident = root().join("data-fixtures/incident");
    let at = |name: &str| json!(incident.join(name)).to_string();
    let (schemas, rules, snapshot) = (at("schemas"), at("sql-rules"), at("snapshot"));
    format!(
        r#"centinel = "config/1"
schemas = {schemas}
rules = {rules}

[audits.nightly]
snapshot = {snapshot}
cron = "30 2 * * *"
zone = "Asia/Shanghai"

[audits.hourly]
snapshot = {snapshot}
rules = ["settlement-has-payment"]
cron = "@hourly"

[audits.of-the-day]
snapshot = "snapshots/%Y-%m-%d"
cron = "0 6 * * *"
"#
    )
}

/// The ends of all runs of an audit, the newest last.
fn ended(place: &Place, audit: &str) -> Vec<Value> {
    let lines = place.lines(&format!("reports/{audit}/history.jsonl"));
    lines
        .into_iter()
        .filter(|line| line["event"] == "ended")
        .collect()
}

/// The text of a table's row that begins with this.
async fn row(browser: &Browser, begins: &str) -> String {
    let begins = json!(begins);
    let script = format!(
        "return [...document.querySelectorAll('tbody tr')].map((row) => row.innerText).find((text) => text.startsWith({begins}))"
    );
    let found = browser.run(&script).await;
    found
        .as_str()
        .unwrap_or_else(|| panic!("no row begins with {begins}"))
        .to_owned()
}

/// Plans the repair that does harm and the one that is right, and approves the second.
fn plan(place: &Place) -> (Value, Value) {
    let incident = root().join("data-fixtures/incident");
    let at = |name: &str| incident.join(name).display().to_string();
    let (snapshot, schemas, rules) = (at("snapshot"), at("schemas"), at("sql-rules"));
    let tried = |sql: &str, out: &str, expected: i32| {
        let (status, said, complaint) = place.run(&[
            "repair",
            "plan",
            "--snapshot",
            &snapshot,
            "--schemas",
            &schemas,
            "--rules",
            &rules,
            "--sql",
            &at(sql),
            "--out",
            out,
        ]);
        assert_eq!(status, expected, "{said}{complaint}");
        let text = std::fs::read_to_string(place.path(out)).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let harmful = tried("first.sql", "reports/first.json", 2);
    let right = tried("corrected.sql", "reports/corrected.json", 0);
    let (status, said, complaint) = place.run(&[
        "repair",
        "approve",
        "reports/corrected.json",
        "--schemas",
        &schemas,
        "--rules",
        &rules,
        "--by",
        OPERATOR,
        "--reason",
        "ticket 4711",
    ]);
    assert_eq!(status, 0, "{said}{complaint}");
    (harmful, right)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_what_audits_and_repairs_came_to() {
    let _alone = ALONE.lock().await;
    let place = Place::new(&configuration());
    for (audit, expected) in [
        ("nightly", 2),
        ("nightly", 2),
        ("hourly", 0),
        ("of-the-day", 3),
    ] {
        let (status, said, complaint) = place.run(&["schedule", "--once", audit]);
        assert_eq!(status, expected, "{audit}: {said}{complaint}");
    }
    let (harmful, right) = plan(&place);
    let _served = place.serve();
    let console = place.console.as_str();
    let browser = Browser::start(SCRATCH).await;
    browser.size(1280, 900).await;
    sign_in(&browser, console, OPERATOR, PASSWORD).await;

    // Each audit with its last result, as its history has it.
    browser.click("nav a[href='/audits']").await;
    says(&browser, "nightly").await;
    let runs = ended(&place, "nightly");
    let [_, last] = runs.as_slice() else {
        panic!("{runs:#?}")
    };
    let result = &last["result"];
    let (findings, at_risk) = (&result["findings"], &result["at_risk"]["CNY"]);
    assert!(findings.as_u64() > Some(50), "{result}");
    let findings = format!("{findings} findings");
    let at_risk = format!("{} CNY", at_risk.as_str().unwrap());
    let nightly = row(&browser, "nightly").await;
    for words in ["found something", &findings, &at_risk] {
        assert!(nightly.contains(words), "{words}: {nightly}");
    }
    assert!(nightly.trim_end().ends_with('2'), "two runs: {nightly}");
    assert!(row(&browser, "hourly").await.contains("well"));
    let failed = row(&browser, "of-the-day").await;
    assert!(
        !failed.contains("well") && failed.contains("status 3"),
        "{failed}"
    );
    look_in_both(&browser, console, "/audits", "audits-real").await;
    look_in_both(&browser, console, "/audits/nightly", "audit-real").await;
    look_in_both(&browser, console, "/audits/of-the-day", "audit-failed").await;

    // One run, and its report.
    let run = format!("/audits/nightly/{}", last["run"].as_str().unwrap());
    look_in_both(&browser, console, &run, "audit-run-real").await;
    let figures = browser.text("dl.figures").await;
    assert!(figures.contains(&at_risk), "{figures}");
    let still = format!("{} still there", result["findings"]);
    says(&browser, &still).await;
    // The report is served so that nothing runs in it, not even what looks for barriers: that reads the file.
    let report = format!("{run}/report.html");
    let linked = "return document.querySelector('main a.button').getAttribute('href')";
    assert_eq!(browser.run(linked).await, report);
    for (width, height) in WIDTHS {
        browser.size(width, height).await;
        browser.go(&format!("{console}{report}")).await;
        says(&browser, "settled-equals-paid-minus-refunded").await;
        browser
            .glimpse(&format!("audit-report-real-{width}-top"))
            .await;
        well(&browser).await;
        let file = place.path(&format!("reports{}", report.trim_start_matches("/audits")));
        browser.go(&format!("file://{}", file.display())).await;
        see(&browser, width, "audit-report-file").await;
    }

    // The plan that would have done harm, and the one that was approved.
    let introduced = harmful["result"]["violations"]["introduced"]
        .as_array()
        .unwrap()
        .len();
    let fixed = right["result"]["violations"]["fixed"]
        .as_array()
        .unwrap()
        .len();
    assert!(introduced > 0 && fixed > 0);
    browser.go(&format!("{console}/audits")).await;
    assert!(row(&browser, "first.json").await.contains("unsafe"));
    assert!(row(&browser, "corrected.json").await.contains(OPERATOR));
    look_in_both(&browser, console, "/repairs/first.json", "repair-unsafe").await;
    says(&browser, &format!("Introduced ({introduced})")).await;
    look_in_both(
        &browser,
        console,
        "/repairs/corrected.json",
        "repair-approved",
    )
    .await;
    says(&browser, &format!("Fixed ({fixed})")).await;
    says(&browser, "ticket 4711").await;
    well(&browser).await;
    sign_out(&browser).await;
    browser.end().await;
}
