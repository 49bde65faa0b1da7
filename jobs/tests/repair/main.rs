//! `centinel repair` as a person or a script meets it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod carried_out;
mod masked;
mod platform;

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn centinel(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    let done = command
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// How long a program that would wait for somebody is waited for.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);

/// The same, of a program that might wait for ever.
fn centinel_in_time(arguments: &[&str]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_centinel"))
        .args(arguments)
        .current_dir(root())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} waits");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// A copy of the small healthy snapshot.
fn snapshot() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let small = root().join("data-fixtures/small/healthy/snapshot");
    for file in std::fs::read_dir(small).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

#[test]
fn a_plan_is_tried_approved_and_refused_once_its_snapshot_changed() {
    let data = snapshot();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        at(name)
    };
    let location = data.path().display().to_string();
    let (plan, report) = (at("plan.json"), at("report.txt"));
    let sql = write(
        "safe.sql",
        "UPDATE payment SET business_code = 'B9' WHERE status = 'PAID';\n",
    );
    let base = ["repair", "plan", "--snapshot", &location, "--at-rest"];
    let safe = [
        &base[..],
        &["--sql", &sql, "--out", &plan, "--report", &report],
    ]
    .concat();
    let (status, out, complaints) = centinel(&safe);
    assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("verdict: safe\n"), "{out}");
    assert!(out.contains("payment: 0 inserted, "), "{out}");
    assert_eq!(
        std::fs::read_to_string(&report).unwrap().trim_end(),
        out.trim_end()
    );
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    assert_eq!(written["schema"], "centinel/repair-plan/1");
    assert_eq!(written["result"]["verdict"], "safe");
    assert_eq!(written["changes"][0]["new"]["business_code"], "B9");

    let (status, out, complaints) = centinel(&[
        "repair", "approve", &plan, "--by", "Wei", "--reason", "ticket 7",
    ]);
    assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
    let approvals = std::fs::read_to_string(at("approvals.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(approvals.trim_end()).unwrap();
    assert_eq!(
        (&line["plan"], line["by"].as_str()),
        (&written["id"], Some("Wei"))
    );

    // The same change as row changes, with an amount that breaks rules.
    let payment = &written["changes"][0]["key"]["payment_no"];
    let text = std::fs::read_to_string(&plan).unwrap();
    let unsafe_sql = write(
        "unsafe.sql",
        &format!(
            "UPDATE payment SET amount = amount * 100 WHERE payment_no = '{}'",
            payment.as_str().unwrap()
        ),
    );
    let bad = at("bad.json");
    let tried = [
        &base[..],
        &["--sql", &unsafe_sql, "--out", &bad, "--format", "json"],
    ]
    .concat();
    let (status, out, complaints) = centinel(&tried);
    assert_eq!((status, complaints.as_str()), (2, ""), "{out}");
    assert_eq!(
        out.trim_end(),
        std::fs::read_to_string(&bad).unwrap().trim_end()
    );
    let (status, _, complaints) = centinel(&["repair", "approve", &bad, "--by", "Wei"]);
    assert_eq!(status, 2);
    assert!(
        complaints.contains("it is not safe (unsafe: ") && complaints.contains("--despite"),
        "{complaints}"
    );
    let (status, ..) = centinel(&[
        "repair",
        "approve",
        &bad,
        "--by",
        "Wei",
        "--despite",
        "a drill",
    ]);
    assert_eq!(status, 0);
    assert_eq!(
        std::fs::read_to_string(at("approvals.jsonl"))
            .unwrap()
            .lines()
            .count(),
        2
    );

    // A file of the snapshot changes; a plan is edited; a rule changes.
    let edited = write("edited.json", &text.replacen("\"B9\"", "\"B7\"", 1));
    let (status, _, complaints) = centinel(&["repair", "approve", &edited, "--by", "Wei"]);
    assert_eq!(status, 2);
    assert!(
        complaints.contains("changed after it was planned"),
        "{complaints}"
    );
    let rules = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(root().join("sql-rules")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        std::fs::copy(&path, rules.path().join(path.file_name().unwrap())).unwrap();
    }
    let rule = rules.path().join("order-paid-once.sql");
    let changed = std::fs::read_to_string(&rule).unwrap() + "\n";
    std::fs::write(&rule, changed).unwrap();
    let elsewhere = rules.path().display().to_string();
    let (status, _, complaints) = centinel(&[
        "repair", "approve", &plan, "--by", "Wei", "--rules", &elsewhere,
    ]);
    assert_eq!(status, 2);
    assert!(complaints.contains("order-paid-once"), "{complaints}");
    let refund = data.path().join("refund.parquet");
    let mut bytes = std::fs::read(&refund).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&refund, bytes).unwrap();
    let (status, _, complaints) = centinel(&["repair", "approve", &plan, "--by", "Wei"]);
    assert_eq!(status, 2);
    assert!(complaints.contains("refund.parquet"), "{complaints}");
    assert_eq!(
        std::fs::read_to_string(at("approvals.jsonl"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}

#[test]
fn what_cannot_be_read_or_evaluated_is_wrong_usage() {
    let data = snapshot();
    let location = data.path().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let sql = write("plan.sql", "UPDATE payment\nSET amount = NOW() WHERE 1 = 1");
    let lines = write(
        "plan.jsonl",
        "{\"table\":\"paymnt\",\"operation\":\"delete\"}\n",
    );
    let cases = [
        (vec!["--sql", sql.as_str()], "line 2, column 14: "),
        (
            vec!["--changes", lines.as_str()],
            "line 1: no schema describes `paymnt`",
        ),
        (vec!["--changes", "nowhere.csv"], "nowhere.csv"),
        (vec![], "--changes"),
        (
            vec!["--sql", &sql, "--changes", &lines],
            "cannot be used with",
        ),
    ];
    for (more, told) in cases {
        let arguments = [vec!["repair", "plan", "--snapshot", &location], more].concat();
        let (status, out, complaints) = centinel(&arguments);
        assert_eq!((status, out.as_str()), (64, ""), "{complaints}");
        assert!(complaints.contains(told), "{complaints}");
    }
    let fine = write(
        "fine.sql",
        "UPDATE payment SET business_code = 'B9' WHERE status = 'PAID'",
    );
    let (status, _, complaints) =
        centinel(&["repair", "plan", "--snapshot", "/nowhere", "--sql", &fine]);
    assert_eq!(status, 3, "{complaints}");
}
