//! The program as a person or a script meets it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn centinel(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    command.args(arguments).current_dir(root());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    shown(centinel(arguments).output().unwrap())
}

fn shown(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A copy of one shipped rule and its test in a folder of its own, changed.
fn changed_rule(id: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in [format!("{id}.sql"), format!("{id}.test.yaml")] {
        let text = std::fs::read_to_string(root().join("sql-rules").join(&name)).unwrap();
        std::fs::write(folder.path().join(&name), text.replace(from, to)).unwrap();
    }
    folder
}

#[test]
fn wrong_usage_is_64_and_says_what_is_right() {
    for arguments in [
        &[][..],
        &["rule"],
        &["rules"],
        &["rules", "chek"],
        &["audit"],
        &["detect", "--state", "unused"],
        &["rules", "explain"],
        &["rules", "test", "--format", "xml"],
        &["rules", "check", "--no-such-option"],
    ] {
        let (status, out, complaint) = run(arguments);
        assert_eq!((status, out.as_str()), (64, ""), "{arguments:?}");
        assert!(complaint.contains("--help"), "{arguments:?}: {complaint}");
    }
}

#[test]
fn asking_for_help_is_no_mistake() {
    for arguments in [
        &["--help"][..],
        &["rules", "test", "--help"],
        &["--version"],
    ] {
        let (status, out, complaint) = run(arguments);
        assert_eq!((status, complaint.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains("centinel"), "{out}");
    }
}

#[test]
fn check_says_where_each_shipped_rule_runs() {
    let (status, out, complaint) = run(&["rules", "check"]);
    assert_eq!((status, complaint.as_str()), (0, ""));
    let rule = "refunded-not-above-paid (stable)\n  detection: yes\n  audits: slice by slice\n";
    assert!(out.contains(rule), "{out}");
}

#[test]
fn check_points_into_the_file_of_a_misspelt_column() {
    let folder = changed_rule(
        "refunded-not-above-paid",
        "SUM(amount) AS paid",
        "SUM(amonut) AS paid",
    );
    let (status, out, complaint) =
        run(&["rules", "check", "--rules", folder.path().to_str().unwrap()]);
    assert_eq!((status, out.as_str()), (64, ""));
    let place = folder.path().join("refunded-not-above-paid.sql:22:");
    assert!(complaint.contains(place.to_str().unwrap()), "{complaint}");
    assert!(complaint.contains("did you mean `amount`?"), "{complaint}");
    assert!(complaint.ends_with("1 mistake\n"), "{complaint}");
}

#[test]
fn check_points_into_a_test_file() {
    let folder = changed_rule(
        "refunded-not-above-paid",
        "payment_no: P1",
        "paymnet_no: P1",
    );
    let (status, _, complaint) =
        run(&["rules", "check", "--rules", folder.path().to_str().unwrap()]);
    assert_eq!(status, 64);
    assert!(
        complaint.contains("refunded-not-above-paid.test.yaml:"),
        "{complaint}"
    );
    assert!(
        complaint.contains("did you mean `payment_no`?"),
        "{complaint}"
    );
}

#[test]
fn check_says_why_a_rule_is_for_audits_only() {
    let folder = changed_rule(
        "order-paid-once",
        "PARTITION BY order_no",
        "PARTITION BY merchant_no",
    );
    let text = "/* ---
id: paid-in-all
title: Fewer than a million payments
entity: order
severity: warn
key: [order_no]
owner: payment
--- */
SELECT p.order_no, t.payments
FROM payment p
JOIN (SELECT status, COUNT(*) AS payments FROM payment GROUP BY status) t ON t.status = p.status
WHERE t.payments > 1000000
";
    std::fs::write(folder.path().join("paid-in-all.sql"), text).unwrap();
    let (status, out, complaint) =
        run(&["rules", "check", "--rules", folder.path().to_str().unwrap()]);
    assert_eq!((status, complaint.as_str()), (0, ""));
    let rule = out
        .split("paid-in-all (draft, runs only when named)\n")
        .nth(1)
        .unwrap();
    let mut lines = rule.lines();
    let detection = lines.next().unwrap();
    assert!(detection.starts_with("  detection: no"), "{detection}");
    assert!(detection.contains("paid-in-all.sql:"), "{detection}");
    assert_eq!(lines.next(), Some("  audits: whole tables"));
    assert_eq!(lines.next(), Some("  tests: none"));
}

#[test]
fn a_missing_folder_is_wrong_usage() {
    for option in ["--schemas", "--rules"] {
        let (status, _, complaint) = run(&["rules", "check", option, "no/such/folder"]);
        assert_eq!(status, 64);
        assert!(complaint.contains("no/such/folder"), "{complaint}");
    }
}

#[test]
fn explain_shows_what_a_rule_reads_and_how() {
    let (status, out, _) = run(&["rules", "explain", "refunded-not-above-paid"]);
    assert_eq!(status, 0);
    for line in [
        "entity: order\n",
        "  payment: order_no, amount, status\n",
        "local: yes, it is answered slice by slice\n",
        "detection: yes, confirmed 150s after the last change\n",
        "plan over slices:\n",
    ] {
        assert!(out.contains(line), "{line}{out}");
    }
    let (status, _, complaint) = run(&["rules", "explain", "no-such-rule"]);
    assert_eq!(
        (status, complaint.as_str()),
        (64, "error: there is no rule `no-such-rule`\n")
    );
}

#[test]
fn tests_pass_on_every_path() {
    let (status, out, complaint) = run(&[
        "rules",
        "test",
        "refunded-not-above-paid",
        "entry-booked-once",
    ]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert!(out.ends_with(", failed: 0\n"), "{out}");
}

#[test]
fn a_test_that_fails_shows_the_differences_of_every_path() {
    let folder = changed_rule(
        "refunded-not-above-paid",
        "r.refunded > COALESCE",
        "r.refunded >= COALESCE",
    );
    let rules = folder.path().to_str().unwrap();
    let (status, out, _) = run(&["rules", "test", "--rules", rules]);
    assert_eq!(status, 2, "{out}");
    assert!(
        out.starts_with("refunded-not-above-paid: refunded in full, in parts\n"),
        "{out}"
    );
    let row = "{excess: 0.00, order_no: E1, paid: 60.00, refunded: 60.00}";
    for path in [
        "audit",
        "audit, backwards",
        "detection",
        "detection, backwards",
        "detection, shuffled",
    ] {
        assert!(
            out.contains(&format!("  {path}: found, not expected: {row}\n")),
            "{out}"
        );
    }
    let (status, out, _) = run(&["rules", "test", "--rules", rules, "--format", "junit"]);
    assert_eq!(status, 2);
    assert!(
        out.contains("<testsuite name=\"refunded-not-above-paid\""),
        "{out}"
    );
    assert!(out.contains("found, not expected: {excess: 0.00"), "{out}");
}

#[test]
fn a_closed_pipe_is_no_accident() {
    let mut child = centinel(&["rules", "check"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (status, _, complaint) = shown(child.wait_with_output().unwrap());
    assert_eq!((status, complaint.as_str()), (0, ""));
}

/// The words of a command as a shell reads them, up to where the command ends.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in command.chars() {
        match letter {
            '"' => quoted = !quoted,
            '|' | '#' | ';' | '&' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `--help` at the end makes the program say its help, once everything before it is understood.
#[test]
fn the_commands_in_the_readme_are_understood() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("centinel "))
        .filter(|command| !command.starts_with('='))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let words = words(command);
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let (status, _, complaint) = run(&arguments);
        assert_eq!(status, 0, "centinel {command}: {complaint}");
    }
}

/// Schemas with a JSON column, and a rule that looks into it.
fn json_rule(folder: &Path) {
    let files = [
        (
            "schemas/entities.yaml",
            "centinel: entities/1\nentities: { order: { key: [order_no] } }\n",
        ),
        (
            "schemas/payment.yaml",
            "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  detail: { type: json, nullable: true }
  updated_at: timestamp
changed_at: updated_at
",
        ),
        (
            "rules/paid-in-yuan.sql",
            "/* ---
id: paid-in-yuan
title: The channel was asked for yuan
entity: order
severity: critical
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
status: stable
--- */
SELECT order_no, payment_no, amount, json_get_str(detail, 'request', 'currency') AS asked
FROM payment
WHERE json_get_str(detail, 'request', 'currency') <> 'CNY'
",
        ),
        (
            "rules/paid-in-yuan.test.yaml",
            r#"tests:
  - name: one of three was asked for in yen
    given:
      payment:
        - {payment_no: P1, order_no: E1, amount: "10.00", detail: '{"request": {"currency": "CNY"}}'}
        - {payment_no: P2, order_no: E1, amount: "20.00", detail: '{"request": {"currency": "JPY"}}'}
        - {payment_no: P3, order_no: E2, amount: "30.00"}
    expect:
      - {order_no: E1, payment_no: P2, amount: "20.00", asked: JPY}
"#,
        ),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn rules_look_into_json_columns_on_every_path() {
    let folder = tempfile::tempdir().unwrap();
    json_rule(folder.path());
    let folders = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (schemas, rules) = (folders("schemas"), folders("rules"));
    let (status, out, complaint) =
        run(&["rules", "test", "--schemas", &schemas, "--rules", &rules]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert_eq!(out, "tests: 1, failed: 0\n");
    let (_, out, _) = run(&["rules", "check", "--schemas", &schemas, "--rules", &rules]);
    assert!(
        out.starts_with("paid-in-yuan (stable)\n  detection: yes\n"),
        "{out}"
    );
}
