//! From a change log to people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::receiver::Receiver;
use crate::shop::Shop;

/// Each finding by itself, at once.
fn channels(port: u16) -> String {
    format!(
        "[alerts.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\nallow = [\"127.0.0.1\"]\n\
         secret = {{ file = \"secret\" }}\nwait = \"0s\"\nagain = \"1m\"\nattempts = 100\ntimeout = \"1s\"\n\
         limit = {{ messages = 1000, per = \"30s\" }}\n\
         trace = \"https://centinel.example/trace/{{entity}}/{{key}}\"\n\
         [alerts.record]\nkind = \"file\"\npath = \"alerts.jsonl\"\nwait = \"0s\"\nagain = \"1m\"\n"
    )
}

/// Messages by id: one that comes twice is the same.
fn by_id(messages: &[Value]) -> BTreeMap<String, Value> {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for message in messages {
        let id = message["id"].as_str().unwrap().to_owned();
        let before = known.insert(id, message.clone());
        assert!(
            before.is_none_or(|before| before == *message),
            "two messages of one id"
        );
    }
    known
}

fn mentioned(messages: &BTreeMap<String, Value>, kind: &str) -> BTreeSet<String> {
    let of_kind = messages.values().filter(|message| message["kind"] == kind);
    let findings = of_kind.flat_map(|message| message["findings"].as_array().unwrap());
    findings
        .map(|finding| finding["finding_id"].as_str().unwrap().to_owned())
        .collect()
}

fn count(messages: &BTreeMap<String, Value>, kind: &str) -> u64 {
    let of_kind = messages.values().filter(|message| message["kind"] == kind);
    of_kind
        .map(|message| message["count"].as_u64().unwrap())
        .sum()
}

/// Killed at any moment, while the receiver fails and does not answer: every finding is told, and counted once.
#[test]
fn nothing_is_lost_whenever_it_is_killed() {
    const FINDINGS: u64 = 90;
    let (mut shop, receiver) = (Shop::new(), Receiver::start());
    shop.configure(&channels(receiver.port));
    // Moments by a simple generator: the same in each run, but not to the clock of the program.
    let mut draw = 20_261_122_u64;
    let mut next = |below: u64| {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % below
    };
    for part in 0..9 {
        receiver.trouble([503, 0, 1][part % 3]);
        let running = shop.detect();
        let first = part as u64 * FINDINGS / 9;
        for number in first..first + FINDINGS / 9 {
            shop.break_rule(number..number + 1);
            std::thread::sleep(Duration::from_millis(next(60)));
        }
        std::thread::sleep(Duration::from_millis(next(1_500)));
        running.kill();
    }
    receiver.trouble(0);
    let mut running = shop.detect();
    let told = || {
        let (hook, record) = (by_id(&receiver.taken()), by_id(&shop.lines("alerts.jsonl")));
        let all = |messages| mentioned(messages, "confirmed").len() as u64 == FINDINGS;
        all(&hook) && all(&record)
    };
    running.wait("every finding by both channels", told);
    assert_eq!(running.terminate().0, 2);

    let confirmed = shop.told("confirmed");
    assert_eq!(confirmed.len() as u64, FINDINGS);
    let (hook, record) = (by_id(&receiver.taken()), by_id(&shop.lines("alerts.jsonl")));
    for messages in [&hook, &record] {
        assert_eq!(mentioned(messages, "confirmed"), confirmed);
        assert_eq!(count(messages, "confirmed"), FINDINGS);
    }
    let one = hook.values().next().unwrap();
    assert_eq!(one["rule"], "amount-is-positive");
    assert_eq!(one["tags"], serde_json::json!(["balance"]));
    assert_eq!(one["runbook"], "https://wiki.example/amount");
    let trace = one["largest"][0]["trace"].as_str().unwrap();
    assert!(
        trace.starts_with("https://centinel.example/trace/order/O-"),
        "{trace}"
    );
    // The store was killed as often.
    let (_, listed, _) =
        shop.centinel(&["findings", "list", "--limit", "500", "--format", "jsonl"]);
    assert_eq!(listed.lines().count() as u64, FINDINGS);

    let (status, shown, said) = shop.centinel(&["alerts", "status"]);
    assert_eq!(status, 0, "{shown}{said}");
    assert!(
        shown.contains("hook: ") && shown.contains(&format!("{FINDINGS} findings open")),
        "{shown}"
    );
    let (_, json, _) = shop.centinel(&["alerts", "status", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["open"], FINDINGS);
    assert_eq!(json["channels"]["record"]["pending"], 0);
}

/// Who is told for the first time hears what is open, and later what ended.
#[test]
fn at_first_what_is_open_is_told_and_its_end_is_told_too() {
    let mut shop = Shop::new();
    shop.configure("");
    shop.break_rule(0..20);
    for number in 0..15 {
        shop.mend(number);
    }
    assert_eq!(shop.centinel(&["detect", "--until-now"]).0, 2);
    let receiver = Receiver::start();
    shop.configure(&channels(receiver.port));
    let mut running = shop.detect();
    let told = |kind: &str, many: usize| mentioned(&by_id(&receiver.taken()), kind).len() == many;
    running.wait("what is open", || told("confirmed", 5));
    shop.mend(17);
    running.wait("its end", || told("recovered", 1));
    assert_eq!(running.terminate().0, 2);
    assert_eq!(count(&by_id(&receiver.taken()), "confirmed"), 5);
    assert_eq!(mentioned(&by_id(&receiver.taken()), "recovered"), {
        let ended = shop.lines("findings.jsonl").into_iter();
        ended
            .filter(|line| line["verdict"] == "recovered" && line["entity_key"] == "O-17")
            .map(|line| line["finding_id"].as_str().unwrap().to_owned())
            .collect()
    });
}

/// A channel that does not take messages is told once, waited for, and shown.
#[test]
fn a_channel_that_fails_is_shown_and_a_test_is_marked() {
    let (mut shop, receiver) = (Shop::new(), Receiver::start());
    shop.configure(&channels(receiver.port).replace("alerts.jsonl", "away/alerts.jsonl"));
    let (status, shown, said) = shop.centinel(&["check"]);
    assert_eq!(status, 3);
    assert!(
        shown.contains("alerts: cannot be told") && said.contains("there is no folder"),
        "{said}"
    );
    let (status, shown, _) = shop.centinel(&["alerts", "test"]);
    assert_eq!(status, 3);
    assert!(shown.contains("hook: took the test"), "{shown}");
    assert!(shown.contains("record: did not take the test"), "{shown}");
    let test = &receiver.taken()[0];
    assert!(
        test["title"].as_str().unwrap().starts_with("TEST"),
        "{test}"
    );

    shop.break_rule(0..1);
    let mut running = shop.detect();
    running.wait_said("the alert channel `record` does not take messages");
    let (status, shown, _) = shop.centinel(&["alerts", "status"]);
    assert_eq!(status, 2);
    assert!(shown.contains("FAILS since"), "{shown}");
    std::fs::create_dir(shop.path("away")).unwrap();
    running.wait_said("the alert channel `record` takes messages again");
    assert_eq!(running.terminate().0, 2);
    assert_eq!(shop.centinel(&["alerts", "status"]).0, 0);
    assert_eq!(shop.centinel(&["check"]).0, 0);
    // What is wrong in the file is said with its line, and without what may be a secret.
    shop.configure("[alerts.hook]\nkind = \"slack\"\nurl = \"https://hooks.example/T0KEN\"\n");
    let (status, _, said) = shop.centinel(&["check"]);
    assert_eq!(status, 64);
    assert!(
        said.contains("centinel.toml:11: [alerts.hook]: `url` holds a token"),
        "{said}"
    );
    assert!(!said.contains("T0KEN"), "{said}");
}
