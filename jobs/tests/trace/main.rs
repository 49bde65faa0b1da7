//! `centinel trace`, and the interface that it asks.
#![allow(clippy::unwrap_used, clippy::panic)]

mod desk;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use desk::{Desk, LIMIT, Running, TOKEN, centinel, interface, program, root};

fn changes(trace: &Value) -> Vec<String> {
    let steps = trace["steps"].as_array().unwrap().iter();
    let rows = steps.filter(|step| step["what"] == "row");
    let told = rows.map(|step| {
        format!(
            "{} {} {} {}",
            step["table"], step["primary_key"], step["version"], step["operation"]
        )
    });
    told.collect()
}

#[test]
fn a_running_detection_a_stopped_state_and_an_archive_tell_the_same() {
    let (interface, _) = interface();
    let desk = Desk::new(&format!("{interface}[archive]\nurl = \"archive\"\n"));
    let order = desk.refunded();
    let running = Running::begin(&desk);
    let path = format!("/v1/history?entity=order&key={order}");
    running.wait(&path, |status, body| {
        status == 200 && body.contains("\"refund\"")
    });
    // Everything that is there was read when the state says the same twice.
    let mut before = String::new();
    let begun = Instant::now();
    loop {
        let now = running.get(&path, TOKEN).1;
        if now == before {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "it does not come to rest");
        before = now;
        std::thread::sleep(Duration::from_secs(2));
    }
    let live = desk.json(&order);
    assert_eq!(live["schema"], "centinel/trace/1");
    assert!(changes(&live).len() >= 4, "{live}");
    let systems = live["systems"].to_string();
    assert!(
        systems.contains("payment") && systems.contains("refund"),
        "{systems}"
    );
    assert!(live["rules"].as_array().unwrap().len() > 5, "{live}");
    assert!(
        live["totals"]
            .as_array()
            .unwrap()
            .iter()
            .any(|total| total["currency"] == "CNY")
    );
    // A second process cannot open the state, and says so where it has nobody to ask.
    let (state, root) = (desk.at("state"), root());
    let (schemas, rules) = (root.join("schemas"), root.join("sql-rules"));
    let folders = [
        "--schemas",
        schemas.to_str().unwrap(),
        "--rules",
        rules.to_str().unwrap(),
    ];
    let by_state = [
        &["trace", &order, "--state", &state, "--json"],
        &folders[..],
    ]
    .concat();
    let (status, _, told) = centinel(&by_state);
    assert_eq!(status, 3, "{told}");
    assert!(
        told.contains("in use") && told.contains("[interface]"),
        "{told}"
    );
    // Rules and sources, with what they did.
    let rules_told: Value = serde_json::from_str(&running.get("/v1/rules", TOKEN).1).unwrap();
    let asked = rules_told
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["evaluations"].as_u64() > Some(0));
    assert!(asked.count() > 5, "{rules_told}");
    let sources: Value = serde_json::from_str(&running.get("/v1/sources", TOKEN).1).unwrap();
    let first = &sources[0];
    assert!(
        first["positions"][0]
            .as_str()
            .unwrap()
            .contains("log.jsonl: byte "),
        "{first}"
    );
    drop(running);

    // Nobody answers now: the state is opened.
    let stopped = desk.json(&order);
    assert_eq!(changes(&stopped), changes(&live));
    let (status, out, told) = centinel(&by_state);
    assert_eq!(status, 0, "{told}");
    assert_eq!(
        changes(&serde_json::from_str(&out).unwrap()),
        changes(&live)
    );

    // The archive alone has all of it once its segments are whole.
    let config = desk.at("centinel.toml");
    let log = desk.at("log.jsonl");
    let archive = desk.at("whole");
    let other = desk.at("other");
    let out = desk.at("other.jsonl");
    let detect = [
        &[
            "detect",
            "--state",
            &other,
            "--input",
            &log,
            "--archive",
            &archive,
            "--until-end",
            "--out",
            &out,
        ],
        &folders[..],
    ];
    assert_eq!(centinel(&detect.concat()).0, 2);
    let by_archive = [
        &["trace", &order, "--archive", &archive, "--json"],
        &folders[..2],
    ]
    .concat();
    let (status, out, told) = centinel(&by_archive);
    assert_eq!(status, 0, "{told}");
    assert_eq!(
        changes(&serde_json::from_str(&out).unwrap()),
        changes(&live)
    );
    assert!(Path::new(&config).exists());
}

#[test]
fn for_people_it_is_lines_with_what_changed_rules_and_sums() {
    let desk = Desk::new("");
    desk.detected();
    let order = desk.refunded();
    let (status, out, told) = desk.trace(&order, &[]);
    assert_eq!((status, told.as_str()), (0, ""), "{out}");
    assert!(out.starts_with(&format!("order {order}: ")), "{out}");
    for wanted in [
        "payment: payment ",
        " insert",
        "amount ",
        " → ",
        "the rules now:",
        "passed: ",
        "the money in its rows now:",
        " CNY in ",
    ] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    for line in out.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
    let narrow = program()
        .env("COLUMNS", "60")
        .args(["trace", "--config", &desk.at("centinel.toml"), &order])
        .output()
        .unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 60),
        "{narrow}"
    );
}

#[test]
fn what_is_not_there_has_a_status_of_its_own() {
    let desk = Desk::new("");
    // Detection has not run: that is known, and nothing else.
    let (status, out, told) = desk.trace("O-1", &[]);
    assert_eq!((status, told.as_str()), (1, ""), "{out}");
    assert!(out.contains("detection has not run yet"), "{out}");
    desk.detected();
    let (status, out, told) = desk.trace("O-NEVER-SEEN", &[]);
    assert_eq!((status, told.as_str()), (1, ""), "{out}");
    assert!(
        out.starts_with("order O-NEVER-SEEN: nothing is known of it"),
        "{out}"
    );
    let (status, _, told) = desk.trace("O-1", &["--entity", "planet"]);
    assert_eq!(status, 64);
    assert!(
        told.contains("no schema names an entity `planet`"),
        "{told}"
    );
    // What should be there and cannot be read is never taken for nothing.
    std::fs::write(desk.path("findings.db"), b"this is no store of findings").unwrap();
    let (status, out, told) = desk.trace(&desk.refunded(), &[]);
    assert_eq!(status, 3, "{out} {told}");
    assert!(
        told.contains("cannot be used as a store of findings") && out.contains("payment"),
        "{told}"
    );
    let missing = desk.at("nowhere");
    let (status, _, told) = centinel(&["trace", "O-1", "--state", &missing]);
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("there is no state in"), "{told}");
    assert!(!Path::new(&missing).exists(), "looking makes nothing");
}

/// An archive whose first segment is not whole yet holds nothing, which is known; a place without an archive is not one.
#[test]
fn an_archive_that_has_begun_and_holds_nothing_is_no_fault() {
    let desk = Desk::new("[archive]\nurl = \"archive\"\n");
    desk.detected();
    assert!(!desk.path("archive/segments").exists());
    let (status, out, told) = desk.trace("O-NEVER-SEEN", &[]);
    assert_eq!((status, told.as_str()), (1, ""), "{out}");
    assert!(
        out.starts_with("order O-NEVER-SEEN: nothing is known of it"),
        "{out}"
    );
    let schemas = root().join("schemas").display().to_string();
    let in_place = |place: &str| {
        let place = desk.at(place);
        let named = ["--archive", &place, "--schemas", &schemas];
        let (status, _, told) = centinel(&[&["trace", "O-1"], &named[..]].concat());
        (status, told)
    };
    assert_eq!(in_place("archive"), (1, String::new()));
    std::fs::create_dir(desk.path("empty")).unwrap();
    let (status, told) = in_place("empty");
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("holds no archive"), "{told}");
    let (status, told) = in_place("nowhere");
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("cannot be opened"), "{told}");
    // What was not written as it should be is not taken for the beginning of one.
    std::fs::write(desk.path("empty/archive.json"), "{").unwrap();
    let (status, told) = in_place("empty");
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("archive.json cannot be read"), "{told}");
}

/// Order numbers that are a terminal's language, a path, a query, a page: each is only a key.
#[test]
fn hostile_order_numbers_are_only_keys() {
    let keys = [
        "X\u{1b}[2J\u{1b}]0;TITLE\u{7}",
        "../../V1/RULES?KEY=A&B#C%2E",
        "<SCRIPT>ALERT(1)</SCRIPT>",
        "'; DROP TABLE REFUND; --",
        "\u{9b}31M\u{202e}DESREVER\u{2028}LINE",
        "--HELP",
        "..",
    ];
    let (interface, _) = interface();
    let desk = Desk::new(&interface);
    let log = std::fs::read_to_string(desk.path("log.jsonl")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let bill = lines
        .iter()
        .find(|line| line["table"] == "billing")
        .unwrap();
    let last = lines
        .iter()
        .filter_map(|line| line["sequence"].as_u64())
        .max()
        .unwrap();
    let mut more = Vec::new();
    for (number, key) in (1..).zip(keys) {
        let mut line = bill.clone();
        line["op"] = json!("insert");
        line["before"] = Value::Null;
        line["sequence"] = json!(last + number);
        line["ordinal"] = json!(0);
        line["last"] = json!(true);
        line["after"]["bill_no"] = json!(format!("B-{key}"));
        line["after"]["order_no"] = json!(key);
        more.push(line);
    }
    desk.write(&more);
    let check = |how: &str| {
        for key in keys {
            let trace = desk.json(key);
            assert_eq!(trace["key"], key, "{how}");
            assert_eq!(changes(&trace).len(), 1, "{how} {key:?}");
            let (status, out, told) = desk.trace(key, &[]);
            assert_eq!(status, 0, "{how} {told}");
            let (_, json, _) = desk.trace(key, &["--json"]);
            for shown in [&out, &json, &told] {
                let steers = |character: char| {
                    character != '\n'
                        && (character.is_control()
                            || ('\u{2028}'..='\u{202e}').contains(&character))
                };
                assert!(!shown.contains(steers), "{how} {key:?}: {shown:?}");
            }
        }
    };
    let running = Running::begin(&desk);
    let last_key = "/v1/history?entity=order&key=..";
    running.wait(last_key, |status, body| {
        status == 200 && body.contains("billing")
    });
    check("by the interface");
    drop(running);
    check("from the state");
}

#[test]
fn nobody_looks_without_the_token() {
    let (interface, port) = interface();
    let desk = Desk::new(&interface);
    let running = Running::begin(&desk);
    assert_eq!(running.address, format!("127.0.0.1:{port}"));
    for path in [
        "/v1/rules",
        "/v1/sources",
        "/v1/history?entity=order&key=O",
        "/v1/quarantine",
    ] {
        for wrong in ["", "0123456789abcdef0123456789abcdeF"] {
            let (status, body) = running.get(path, wrong);
            assert_eq!(status, 401, "{path}");
            assert!(!body.contains(TOKEN));
        }
    }
    assert_eq!(running.get("/healthz", "").0, 200);
    assert_eq!(running.get("/metrics", "").0, 200);
    running.wait("/v1/rules", |status, body| status == 200 && body != "[]");
    let (status, _) = running.get("/v1/history?entity=planet&key=O", TOKEN);
    assert_eq!(status, 404);
    // A program with another token is told so, and takes it for no answer.
    let done = program()
        .env("INTERFACE_TOKEN", "ffffffffffffffffffffffffffffffff")
        .args(["trace", "O-1", "--config", &desk.at("centinel.toml")])
        .output()
        .unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(3), "{told}");
    assert!(told.contains("refused (401)"), "{told}");
    // A second detection does not take its place.
    let other = Desk::new(&interface);
    let (status, _, told) = centinel(&[
        "detect",
        "--config",
        &other.at("centinel.toml"),
        "--until-now",
    ]);
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("cannot listen on 127.0.0.1"), "{told}");
    // And one with a token that could be guessed does not begin.
    let done = program()
        .env("INTERFACE_TOKEN", "hunter2")
        .args([
            "detect",
            "--config",
            &other.at("centinel.toml"),
            "--until-now",
        ])
        .output()
        .unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(64), "{told}");
    assert!(
        told.contains("fewer than 32 letters") && !told.contains("hunter2"),
        "{told}"
    );
    let check = program()
        .args(["check", "--config", &desk.at("centinel.toml")])
        .output()
        .unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(said.contains("interface: can be served"), "{said}");
}

/// What people did with a finding and what detection told stand in the trace.
#[test]
fn findings_and_people_stand_in_the_trace() {
    let desk = Desk::new("");
    desk.detected();
    let config = desk.at("centinel.toml");
    let (_, listed, told) =
        centinel(&["findings", "list", "--config", &config, "--format", "jsonl"]);
    let found: Value = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|row| row["entity"] == "order" || row["finding"]["entity"] == "order")
        .unwrap_or_else(|| panic!("{listed} {told}"));
    let finding = if found["finding"].is_object() {
        &found["finding"]
    } else {
        &found
    };
    let (id, order) = (
        finding["finding_id"].as_str().unwrap(),
        finding["entity_key"].as_str().unwrap(),
    );
    let ack = ["findings", "ack", "--config", &config, "--by", "ann", id];
    let (status, out, told) = centinel(&ack);
    assert!(status == 0, "{out} {told}");
    let trace = desk.json(order);
    let steps = trace["steps"].as_array().unwrap();
    let verdict = steps
        .iter()
        .find(|step| step["what"] == "finding" && step["finding_id"] == id);
    assert_eq!(verdict.unwrap()["lane"], "rules");
    let person = steps.iter().find(|step| step["what"] == "person").unwrap();
    assert_eq!(
        (&person["act"], &person["by"], &person["lane"]),
        (&json!("acknowledged"), &json!("ann"), &json!("people"))
    );
}

/// A trace of an order with 500 changes, asked over HTTP of a detection that runs.
#[test]
fn five_hundred_changes_are_answered_soon() {
    let (interface, _) = interface();
    let desk = Desk::new(&interface);
    let order = desk.refunded();
    let log = std::fs::read_to_string(desk.path("log.jsonl")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let is_it = |line: &&Value| {
        let number = line["after"]["order_no"].as_str();
        line["table"] == "refund"
            && number.is_some_and(|number| number.trim().to_uppercase() == order)
    };
    let refund = lines.iter().rev().find(is_it).unwrap();
    let last = lines
        .iter()
        .filter_map(|line| line["sequence"].as_u64())
        .max()
        .unwrap();
    let mut row = refund["after"].clone();
    let mut more = Vec::new();
    for number in 1..=500u64 {
        let mut next = row.clone();
        next["reason"] = json!(format!("change {number}"));
        more.push(json!({
            "table": "refund", "op": "update", "epoch": refund["epoch"], "sequence": last + number, "ordinal": 0, "last": true,
            "committed_at": refund["committed_at"], "before": row, "after": next, "account": "ops@console",
        }));
        row = next;
    }
    desk.write(&more);
    let running = Running::begin(&desk);
    let path = format!("/v1/history?entity=order&key={order}");
    running.wait(&path, |status, body| {
        status == 200 && body.contains("\"change 500\"")
    });
    let trace = desk.json(&order);
    let by_ops = trace["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["by"] == "ops@console");
    assert_eq!(by_ops.count(), 500);
    let mut took: Vec<Duration> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            let (status, body) = running.get(&path, TOKEN);
            assert!(status == 200 && body.len() > 100_000);
            begun.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "500 changes over HTTP: median {:?}, longest {:?}",
        took[10], took[19]
    );
    // Far above what it takes, so that a busy machine does not fail it.
    assert!(took[10] < Duration::from_secs(2), "{took:?}");
}
