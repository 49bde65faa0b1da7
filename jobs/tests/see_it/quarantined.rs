//! Records that could not be read, from the page that lists them to findings that are as if they had been read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use test_servers::Browser;

use crate::place::{OPERATOR, PASSWORD, Place, until};
use crate::{ALONE, PATIENCE, SCRATCH, look_here, look_in_both, says, sign_in, sign_out, well};

const CONFIGURATION: &str = r#"centinel = "config/1"
schemas = "schemas"
rules = "rules"
state = "state"

[sources.payment-db]
kind = "file"
path = "log.jsonl"
"#;
const ENTITIES: &str = "centinel: entities/1
entities: { order: { key: [order_no] } }
";
const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  updated_at: timestamp
changed_at: updated_at
";
const MENDED: &str = "  channel: { type: text, nullable: true }\nchanged_at: updated_at\n";
const RULE: &str = "/* ---
id: no-large-payment
title: No payment is large
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
settle: 0s
retries: 0
status: stable
--- */
SELECT order_no, payment_no, amount
FROM payment
WHERE amount > 100
";
/// Of which nobody can say whose it was.
const HALF: &str = r#"{"table":"payment","op":"ins"#;
const REASON: &str = "the platform writes a channel since release 41";

fn row(number: u64, amount: &str, more: &str) -> String {
    format!(
        r#"{{"payment_no":"P{number}","order_no":"O{number}","amount":"{amount}","updated_at":"2026-11-22T08:00:00Z"{more}}}"#
    )
}

fn change(operation: &str, sequence: u64, minute: u64, images: &str) -> String {
    format!(
        r#"{{"table":"payment","op":"{operation}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"2026-11-22T08:{minute}:00Z",{images}}}"#
    )
}

fn heartbeat(minute: u64) -> String {
    format!(r#"{{"heartbeat":"payment-db","committed_at":"2026-11-22T08:{minute:02}:30Z"}}"#)
}

/// Three large payments, of which nobody can say what became of them while half a line was written. The first is larger then,
/// the second small, the third larger as well: the last two by rows that have a column more.
fn log() -> Vec<String> {
    let mut lines = vec![heartbeat(0)];
    for number in 1..=3 {
        let after = row(number, "500.00", "");
        lines.push(change("insert", number, 10, &format!(r#""after":{after}"#)));
    }
    lines.extend([heartbeat(20), HALF.into(), heartbeat(25)]);
    let channel = r#","channel":"WX""#;
    for (number, amount, more) in [
        (1, "600.00", ""),
        (2, "50.00", channel),
        (3, "700.00", channel),
    ] {
        let (before, after) = (row(number, "500.00", ""), row(number, amount, more));
        let images = format!(r#""before":{before},"after":{after}"#);
        lines.push(change("update", number + 3, 30 + number, &images));
    }
    lines.push(heartbeat(59));
    lines
}

fn place(schema: &str, lines: &[String]) -> Place {
    let place = Place::followed(CONFIGURATION);
    place.write("schemas/entities.yaml", ENTITIES);
    place.write("schemas/payment.yaml", schema);
    place.write("rules/no-large-payment.sql", RULE);
    place.write("log.jsonl", &format!("{}\n", lines.join("\n")));
    place
}

fn mended() -> String {
    PAYMENT.replace("changed_at: updated_at\n", MENDED)
}

/// What is wrong by the last that was told: verdict and amount by rule and entity.
fn wrong(place: &Place) -> BTreeMap<(String, String), (String, String)> {
    let mut wrong = BTreeMap::new();
    for told in place.lines("findings.jsonl") {
        if told["schema"] != "centinel/finding/1" {
            continue;
        }
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let key = (text("rule"), text("entity_key"));
        match told["verdict"].as_str().unwrap() {
            "confirmed" | "undetermined" => {
                wrong.insert(key, (text("verdict"), text("amount")));
            }
            _ => {
                wrong.remove(&key);
            }
        }
    }
    wrong
}

/// What the command lists: exit status and lines.
fn listed(place: &Place, more: &[&str]) -> (i32, Vec<String>) {
    let (status, listed, complaint) = place.run(&[&["quarantine", "list"], more].concat());
    assert_eq!(complaint, "");
    (status, listed.lines().map(str::to_owned).collect())
}

/// Settles the record that is open, by one of its two forms.
async fn settle(browser: &Browser, form: &str, reason: &str) {
    browser.fill(&format!("#{form}-reason"), reason).await;
    let button = format!("form[aria-labelledby='{form}'] button");
    browser.click(&button).await;
}

/// The page says what became of the record, by whom and why.
async fn is_settled(browser: &Browser, standing: &str, reason: &str) {
    says(browser, "Settled by").await;
    for words in [standing, OPERATOR, reason] {
        says(browser, words).await;
    }
    let forms = "return document.querySelectorAll('main form').length";
    assert_eq!(browser.run(forms).await, 0, "it can be settled twice");
    well(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_settles_what_could_not_be_read() {
    let _alone = ALONE.lock().await;
    let place = place(PAYMENT, &log());
    let mut detection = place.start(&["detect", "--config", "centinel.toml"]);
    let _served = place.serve();
    until("a doubt about each order", || {
        let wrong = wrong(&place);
        wrong.len() == 3 && wrong.values().all(|(verdict, _)| verdict == "undetermined")
    });
    let (status, lines) = listed(&place, &[]);
    assert_eq!((status, lines.len()), (3, 3), "{lines:#?}");

    let console = place.console.as_str();
    let browser = Browser::start(SCRATCH).await;
    browser.size(1280, 900).await;
    sign_in(&browser, console, OPERATOR, PASSWORD).await;
    look_in_both(&browser, console, "/quarantine", "quarantine-waiting").await;
    look_in_both(&browser, console, "/quarantine/2", "quarantined").await;
    look_in_both(&browser, console, "/quarantine/1", "quarantined-half").await;

    // Read again too early: why not, and what to do.
    browser.click("nav a[href='/quarantine']").await;
    says(&browser, "order O2").await;
    browser.click("a[href='/quarantine/2']").await;
    says(&browser, r#""channel":"WX""#).await;
    settle(&browser, "again", REASON).await;
    for words in [
        "Nothing was changed:",
        "it still cannot be read",
        "channel",
        "then re-drive the record again",
    ] {
        says(&browser, words).await;
    }
    look_here(&browser, "quarantined-refused").await;
    assert_eq!(listed(&place, &[]), (status, lines));

    // The schema is mended while detection runs. What was written is still there.
    place.write("schemas/payment.yaml", &mended());
    detection.wait_said("taken over: schemas");
    browser.click("form[aria-labelledby='again'] button").await;
    is_settled(&browser, "read after all", REASON).await;
    browser.go(&format!("{console}/quarantine/3")).await;
    settle(&browser, "again", REASON).await;
    is_settled(&browser, "read after all", REASON).await;
    // Of the half line nothing is needed.
    browser.go(&format!("{console}/quarantine/1")).await;
    settle(&browser, "leave", "a line of a test").await;
    is_settled(&browser, "left out", "a line of a test").await;

    // The command says the same.
    assert_eq!(listed(&place, &[]), (0, vec!["no record".into()]));
    let (_, all) = listed(&place, &["--all"]);
    assert_eq!(all.len(), 3, "{all:#?}");
    for (number, settled) in [
        ("1 ", "accepted by"),
        ("2 ", "re-driven by"),
        ("3 ", "re-driven by"),
    ] {
        let one = all.iter().find(|line| line.starts_with(number)).unwrap();
        assert!(
            one.contains(&format!("{settled} {OPERATOR} at 20")),
            "{one}"
        );
    }

    // What is found is what a detection finds that could read everything from the beginning.
    let whole: Vec<String> = log().into_iter().filter(|line| line != HALF).collect();
    let other = self::place(&mended(), &whole);
    let (status, _, complaint) = other.run(&["detect", "--config", "centinel.toml", "--until-now"]);
    assert_eq!(status, 2, "{complaint}");
    let expected = wrong(&other);
    assert_eq!(expected.len(), 2, "{expected:?}");
    until("what it says is judged", || wrong(&place) == expected);

    // And so do the pages.
    look_in_both(&browser, console, "/quarantine", "quarantine-settled").await;
    look_in_both(&browser, console, "/quarantine/2", "quarantined-settled").await;
    let begun = Instant::now();
    loop {
        browser.go(&format!("{console}/findings")).await;
        let shown = browser
            .run("return [...document.querySelectorAll('table.list tbody tr')].map((row) => row.innerText)")
            .await;
        let shown: Vec<String> = serde_json::from_value(shown).unwrap();
        let has = |order: &str| shown.iter().any(|row| row.contains(order));
        if shown.len() == 2 && has("O1") && has("O3") {
            break;
        }
        // The console's store takes in what was told a moment later.
        assert!(begun.elapsed() < PATIENCE, "{shown:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    sign_out(&browser).await;
    browser.end().await;
}
