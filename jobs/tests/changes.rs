//! `centinel changes`, as people call it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

fn centinel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centinel"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .output()
        .unwrap()
}

/// Every fault once, those by hand among them: each is listed with who, when, what, and what it broke.
#[test]
fn changes_by_hand_are_listed_with_who_when_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let (state, findings) = (
        folder.path().join("state"),
        folder.path().join("findings.jsonl"),
    );
    let (state, findings) = (state.to_str().unwrap(), findings.to_str().unwrap());
    let log = "data-fixtures/small/faulty/jsonl/log.jsonl";
    let detected = centinel(&[
        "detect",
        "--state",
        state,
        "--input",
        log,
        "--until-end",
        "--out",
        findings,
    ]);
    assert_eq!(detected.status.code(), Some(2), "{detected:?}");
    let listed = centinel(&["changes", "--findings", findings]);
    assert_eq!(listed.status.code(), Some(2), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    // Five faults by hand, and two whose event was never sent.
    assert!(text.contains("7 changes made by hand"), "{text}");
    for part in [
        "update of settlement in order",
        "account ops@console, thread 77",
        "money moved: 10.00 CNY",
        "checkpoint order-chain: violated",
        "settled-equals-paid-minus-refunded: violated, 10.00",
        "status: CREATED → PAID",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // Of another table only those.
    let listed = centinel(&[
        "changes",
        "--findings",
        findings,
        "--table",
        "cash_out",
        "--format",
        "jsonl",
    ]);
    let text = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!(lines[0]["rule"], "manual-change-cash-out");
}

#[test]
fn a_healthy_platform_has_none_and_a_file_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("findings.jsonl");
    std::fs::write(&empty, "").unwrap();
    let listed = centinel(&["changes", "--findings", empty.to_str().unwrap()]);
    assert_eq!(listed.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "no change was made by hand\n"
    );
    let listed = centinel(&["changes", "--findings", "nowhere.jsonl"]);
    assert_eq!(listed.status.code(), Some(3));
    let said = String::from_utf8_lossy(&listed.stderr);
    assert!(
        said.contains("nowhere.jsonl") && said.contains("name the file"),
        "{said}"
    );
    std::fs::write(&empty, "{\"rule\": \"manual-change-payment\"\n").unwrap();
    let listed = centinel(&["changes", "--findings", empty.to_str().unwrap()]);
    assert_eq!(listed.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&listed.stderr).contains("line 1"));
}
