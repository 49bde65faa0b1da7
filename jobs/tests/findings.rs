//! `centinel findings`, as people call it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn centinel(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    let done = command
        .current_dir(root())
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// A store and a file of findings.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// `centinel findings` over both.
    fn findings(&self, task: &str, arguments: &[&str]) -> (i32, String, String) {
        let (store, from) = (self.at("findings.db"), self.at("findings.jsonl"));
        let all = [
            &["findings", task, "--store", &store, "--from", &from],
            arguments,
        ]
        .concat();
        centinel(&all)
    }

    fn write(&self, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(self.at("findings.jsonl"), text).unwrap();
    }
}

fn told(order: &str, sequence: u64, change: Value) -> Value {
    let mut message = json!({
        "schema": "centinel/finding/1", "finding_id": format!("{:032x}", order.len() + order.as_bytes()[1] as usize),
        "sequence": sequence, "rule": "paid-is-settled", "rule_version": "0123456789abcdef", "title": "What is paid is settled",
        "entity": "order", "entity_key": order, "key": [["order_no", order]], "verdict": "confirmed", "occurrence": 1,
        "severity": "critical", "owner": "settlement", "amount": "12.50", "currency": "CNY", "hint": null,
        "evidence": { "rows": [{ "paid": "12.50", "settled": null }], "total": 1 }, "positions": {},
        "anchor": "2026-11-22T08:00:00Z", "judged_at": "2026-11-22T08:01:00Z",
    });
    for (name, value) in change.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

/// What detection finds on a platform with every fault once: listed, judged by people, and open again when it comes again.
#[test]
fn what_detection_finds_is_taken_in_once_and_handled() {
    let desk = Desk::new();
    let (state, out) = (desk.at("state"), desk.at("findings.jsonl"));
    let log = "data-fixtures/small/faulty/jsonl/log.jsonl";
    let detect = [
        "detect",
        "--state",
        &state,
        "--input",
        log,
        "--until-end",
        "--out",
        &out,
    ];
    assert_eq!(centinel(&detect).0, 2);
    let confirmed = std::fs::read_to_string(&out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|message| {
            message["schema"] == "centinel/finding/1" && message["verdict"] == "confirmed"
        })
        .count();
    assert!(confirmed > 10);

    let (status, first, complaints) =
        desk.findings("list", &["--limit", "500", "--format", "jsonl"]);
    assert_eq!((status, complaints.as_str()), (2, ""));
    let rows: Vec<Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        rows.iter().filter(|row| row["open"] == true).count(),
        confirmed
    );
    // Asked again, it is the same.
    assert_eq!(
        desk.findings("list", &["--limit", "500", "--format", "jsonl"])
            .1,
        first
    );
    let (_, text, _) = desk.findings("list", &["--order", "money", "--open", "--limit", "3"]);
    assert!(
        text.contains(&format!("3 of {confirmed} findings; {confirmed} open, ")),
        "{text}"
    );
    assert!(text.contains("more: --after m_"), "{text}");

    let id = rows[0]["finding"]["finding_id"].as_str().unwrap();
    let judged = desk.findings(
        "false-alarm",
        &[&id[..10], "--by", "Li Wei", "--reason", "a test order"],
    );
    assert_eq!(judged.0, 0, "{judged:?}");
    let (status, text, _) = desk.findings("show", &[id]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains("false alarm by Li Wei") && text.contains("      a test order"),
        "{text}"
    );
    let (_, text, _) = desk.findings("list", &["--open", "--limit", "1"]);
    assert!(
        text.contains(&format!("1 of {} findings", confirmed - 1)),
        "{text}"
    );
}

#[test]
fn a_life_from_confirmed_to_open_again() {
    let desk = Desk::new();
    desk.write(&[told("E1", 1, json!({}))]);
    let id = told("E1", 1, json!({}))["finding_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, text, _) = desk.findings("list", &[]);
    assert_eq!(status, 2);
    assert!(
        text.contains(
            "critical confirmed paid-is-settled in order E1, 12.50 CNY at risk, settlement"
        ),
        "{text}"
    );
    assert!(
        text.contains("1 of 1 finding; 1 open, 12.5 CNY at risk"),
        "{text}"
    );

    let done = desk.findings(
        "ack",
        &[&id, "--by", "Li Wei", "--note", "ticket 7", "--seen", "1"],
    );
    assert_eq!(done.1, format!("done: entry 2 of {id}\n"));
    let late = desk.findings(
        "resolve",
        &[&id, "--by", "Chen", "--reason", "paid back", "--seen", "1"],
    );
    assert_eq!(late.0, 3);
    assert!(late.2.contains("look at it again"), "{}", late.2);

    desk.write(&[
        told("E1", 1, json!({})),
        told("E1", 2, json!({ "amount": "20" })),
    ]);
    let (_, text, _) = desk.findings("list", &["--worse"]);
    assert!(
        text.contains("confirmed (acknowledged by Li Wei, worse since)"),
        "{text}"
    );
    let (_, text, _) = desk.findings("show", &[&id]);
    assert!(
        text.contains("20 CNY are at risk, and were 12.50 CNY"),
        "{text}"
    );
    assert!(text.contains("    settled: null"), "{text}");
    assert_eq!(desk.findings("show", &[&id, "--sequence", "3"]).0, 64);

    assert_eq!(
        desk.findings("note", &[&id, "--by", "Chen", "--text", "one\ntwo"])
            .0,
        0
    );
    assert_eq!(
        desk.findings("assign", &[&id, "--by", "Chen", "--to", "Chen"])
            .0,
        0
    );
    assert_eq!(
        desk.findings("resolve", &[&id, "--by", "Chen", "--reason", "paid back"])
            .0,
        0
    );
    let (status, text, _) = desk.findings("list", &["--owner", "Chen"]);
    assert_eq!(status, 0, "{text}");
    let lines = [
        told("E1", 1, json!({})),
        told("E1", 2, json!({ "amount": "20" })),
        told("E1", 3, json!({ "verdict": "recovered" })),
        told("E1", 4, json!({ "occurrence": 2 })),
    ];
    desk.write(&lines);
    let (status, text, _) = desk.findings("show", &[&id]);
    assert_eq!(status, 2);
    assert!(
        text.contains("it broke again, after it was resolved by Chen"),
        "{text}"
    );
    assert!(text.contains("confirmed (occurrence 2)"), "{text}");
    let (_, history, _) = desk.findings("show", &[&id, "--format", "jsonl"]);
    let whats: Vec<String> = history
        .lines()
        .skip(1)
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["what"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let wanted = [
        "told",
        "acknowledged",
        "told",
        "worse",
        "note",
        "assigned",
        "resolved",
        "told",
        "told",
        "reopened",
    ];
    assert_eq!(whats, wanted);
}

#[test]
fn nothing_that_rows_hold_steers_the_terminal_or_a_spreadsheet() {
    let desk = Desk::new();
    let evil = "\u{1b}]0;x\u{7}\u{1b}[2J\u{202e}\n=1+1";
    let fields = json!({ "hint": evil, "title": evil, "owner": evil, "evidence": { "rows": [{ evil: evil }], "total": 1 } });
    desk.write(&[told("E1", 1, fields)]);
    let id = told("E1", 1, json!({}))["finding_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        desk.findings("note", &[&id, "--by", "Li Wei", "--text", evil])
            .0,
        0
    );
    for (task, arguments) in [("list", vec![]), ("show", vec![id.as_str()])] {
        let (_, text, complaints) = desk.findings(task, &arguments);
        let steers = |character: char| {
            (character.is_control() && character != '\n') || character == '\u{202e}'
        };
        assert!(
            !text.contains(steers) && !complaints.contains(steers),
            "{text:?}"
        );
        // A line of a note stands behind its indent.
        assert!(!text.lines().any(|line| line.starts_with('=')), "{text}");
    }
    let (status, csv, said) = desk.findings("export", &[]);
    assert_eq!((status, said.as_str()), (0, "1 finding exported\n"));
    assert!(csv.starts_with("finding_id,rule,title"), "{csv}");
    let (_, line, _) = desk.findings("export", &["--format", "jsonl"]);
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap()["finding"]["hint"],
        evil
    );
    // A formula at the beginning of a cell is none any more, and no file is written over.
    let other = Desk::new();
    other.write(&[told("=E2", 1, json!({ "hint": "@x" }))]);
    let out = other.at("out.csv");
    assert_eq!(other.findings("export", &["--out", &out]).0, 0);
    let csv = std::fs::read_to_string(&out).unwrap();
    assert!(csv.contains(",'=E2,") && csv.contains(",'@x,"), "{csv}");
    assert_eq!(other.findings("export", &["--out", &out]).0, 3);
}

#[test]
fn a_file_that_is_another_or_damaged_is_said() {
    let desk = Desk::new();
    desk.write(&[told("E1", 1, json!({})), told("E2", 1, json!({}))]);
    assert_eq!(desk.findings("list", &[]).0, 2);
    desk.write(&[told("E1", 1, json!({}))]);
    let (status, text, said) = desk.findings("list", &[]);
    assert_eq!(status, 3);
    assert!(
        text.contains("2 of 2 findings") && said.contains("shorter than what was taken in"),
        "{said}"
    );
    desk.write(&[told("E1", 1, json!({ "amount": "13" }))]);
    let (status, _, said) = desk.findings("list", &[]);
    assert_eq!(status, 3);
    assert!(
        said.contains("is not the file that was taken in so far"),
        "{said}"
    );
    let store = desk.at("findings.db");
    assert_eq!(
        centinel(&["findings", "anew", "--store", &store, "--by", "Li Wei"]).0,
        0
    );
    let (status, text, said) = desk.findings("list", &["--entity", "E1"]);
    assert_eq!((status, said.as_str()), (2, ""));
    assert!(text.contains("13 CNY at risk"), "{text}");

    let damaged = Desk::new();
    std::fs::write(damaged.at("findings.jsonl"), "no message\n").unwrap();
    let (status, text, said) = damaged.findings("list", &[]);
    assert_eq!((status, text.as_str()), (3, "no finding\n"));
    assert!(
        said.contains("1 line of") && said.contains("could not be read"),
        "{said}"
    );
}

#[test]
fn wrong_usage_is_refused_with_a_remedy() {
    let desk = Desk::new();
    desk.write(&[told("E1", 1, json!({}))]);
    let cases: [(&str, &[&str], &str); 9] = [
        (
            "list",
            &["--verdict", "perhaps"],
            "it is one of suspected, confirmed",
        ),
        (
            "list",
            &["--handling", "perhaps"],
            "it is one of new, acknowledged",
        ),
        ("list", &["--limit", "501"], "ask for 1 to 500"),
        (
            "list",
            &["--after", "nonsense"],
            "begin with the first page",
        ),
        ("list", &["--text", "!"], "cannot be searched for"),
        ("show", &["ffff"], "no finding begins with `ffff`"),
        (
            "resolve",
            &["0000", "--by", "Li Wei", "--reason", " "],
            "the reason is empty",
        ),
        ("resolve", &["0000", "--by", "Li Wei"], "--reason"),
        ("ack", &["0000"], "--by"),
    ];
    for (task, arguments, wanted) in cases {
        let (status, out, said) = desk.findings(task, arguments);
        assert_eq!(
            (status, out.as_str()),
            (64, ""),
            "{task} {arguments:?}: {said}"
        );
        assert!(said.contains(wanted), "{task} {arguments:?}: {said}");
    }
    let (status, _, said) = centinel(&["findings", "list"]);
    assert_eq!(status, 64);
    assert!(
        said.contains("give --store FILE, or --config FILE"),
        "{said}"
    );
}

/// Everything from the configuration file: the store, the file, and which systems rules read.
#[test]
fn a_configuration_names_the_store_and_the_systems() {
    let desk = Desk::new();
    let (schemas, rules) = (root().join("schemas"), root().join("sql-rules"));
    let config = desk.at("centinel.toml");
    let text = |store: &str| {
        let (schemas, rules) = (
            schemas.canonicalize().unwrap(),
            rules.canonicalize().unwrap(),
        );
        format!(
            "centinel = \"config/1\"\nschemas = {:?}\nrules = {:?}\nstate = \"state\"\n[findings]\nfile = \"findings.jsonl\"\n{store}\n\
             [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n",
            schemas, rules
        )
    };
    std::fs::write(&config, text("")).unwrap();
    let list = ["findings", "list", "--config", &config];
    let (status, _, said) = centinel(&list);
    assert_eq!(status, 64);
    assert!(said.contains("add `store = \"findings.db\"`"), "{said}");
    std::fs::write(&config, text("store = \"kept.db\"")).unwrap();
    // Detection has not run yet.
    assert_eq!(centinel(&list), (0, "no finding\n".into(), String::new()));
    let rule = "settled-equals-paid-minus-refunded";
    desk.write(&[
        told("E1", 1, json!({ "rule": rule })),
        told("E22", 1, json!({ "rule": "gone" })),
    ]);
    let of =
        |system: &str| centinel(&["findings", "list", "--config", &config, "--system", system]).1;
    for system in ["payment", "settlement"] {
        assert!(
            of(system).contains("in order E1,") && !of(system).contains("E22"),
            "{}",
            of(system)
        );
    }
    assert_eq!(of("billing"), "no finding\n");
    assert!(desk.0.path().join("kept.db").exists());
}
