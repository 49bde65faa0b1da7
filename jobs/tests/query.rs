//! `centinel query` over what real runs left behind: detection with an archive, a store of findings, an audit, a drill.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// A folder in which a configuration names everything.
struct Desk(tempfile::TempDir);

impl Desk {
    /// Detection has read a log to its end.
    fn detected() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let (schemas, rules) = (root().join("schemas"), root().join("sql-rules"));
        let small = root().join("data-fixtures/small/faulty");
        let snapshot = small.join("snapshot");
        std::fs::create_dir(desk.path("archive")).unwrap();
        let config = format!(
            "centinel = \"config/1\"\nschemas = {schemas:?}\nrules = {rules:?}\nstate = \"state\"\n\
             [findings]\nfile = \"findings.jsonl\"\nstore = \"findings.db\"\n\
             [archive]\nurl = \"archive\"\n\
             [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n\
             [audits.nightly]\nsnapshot = {snapshot:?}\ncron = \"30 2 * * *\"\n\
             [drills.weekly]\ncron = \"@weekly\"\norders = 60\nwith_breaker = false\n"
        );
        std::fs::write(desk.path("centinel.toml"), config).unwrap();
        let log = small.join("jsonl/log.jsonl").display().to_string();
        let (schemas, rules) = (schemas.display().to_string(), rules.display().to_string());
        let (status, _, said) = desk.run(&[
            "detect",
            "--schemas",
            &schemas,
            "--rules",
            &rules,
            "--state",
            "state",
            "--input",
            &log,
            "--out",
            "findings.jsonl",
            "--archive",
            "archive",
            "--until-end",
        ]);
        assert_eq!(status, 2, "{said}");
        let (status, _, said) = desk.run(&["findings", "list", "--config", "centinel.toml"]);
        assert_eq!(status, 2, "{said}");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            done.status.code().unwrap(),
            text(done.stdout),
            text(done.stderr),
        )
    }

    fn query(&self, sql: &str, more: &[&str]) -> (i32, String, String) {
        self.run(&[&["query", sql], more].concat())
    }

    /// The rows of an answer.
    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<Value> {
        let (status, out, said) = self.query(sql, &["--format", "jsonl"]);
        assert_eq!((status, said.as_str()), (0, ""), "{sql}");
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What detection told last of each finding, from its file.
    fn told(&self) -> BTreeMap<String, Value> {
        let text = std::fs::read_to_string(self.path("findings.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let findings = lines.filter(|line| line["schema"] == "centinel/finding/1");
        findings
            .map(|finding| (finding["finding_id"].as_str().unwrap().to_owned(), finding))
            .collect()
    }
}

/// An amount of money in hundredths.
fn hundredths(amount: &Value) -> Option<i128> {
    let text = amount.as_str()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<2}");
    assert!(part[2..].chars().all(|digit| digit == '0'), "{text}");
    Some(format!("{whole}{}", &part[..2]).parse().unwrap())
}

#[test]
fn findings_are_those_of_detections_file_with_what_people_said() {
    let desk = Desk::detected();
    let told = desk.told();
    assert!(told.len() > 10);
    let first = told.keys().next().unwrap();
    let (status, _, said) = desk.run(&[
        "findings",
        "false-alarm",
        first,
        "--by",
        "Li Wei",
        "--reason",
        "a test",
        "--config",
        "centinel.toml",
    ]);
    assert_eq!(status, 0, "{said}");

    let rows = desk.rows("SELECT * FROM findings ORDER BY finding_id");
    assert_eq!(rows.len(), told.len());
    for (row, (id, told)) in rows.iter().zip(&told) {
        assert_eq!(row["finding_id"], **id);
        for same in [
            "rule",
            "severity",
            "verdict",
            "entity",
            "entity_key",
            "currency",
            "title",
            "hint",
            "occurrence",
        ] {
            assert_eq!(row[same], told[same], "{same} of {id}");
        }
        assert_eq!(
            hundredths(&row["amount"]),
            hundredths(&told["amount"]),
            "{id}"
        );
        assert_eq!(row["amount_text"], told["amount"]);
        let rows: Value = serde_json::from_str(row["evidence"].as_str().unwrap()).unwrap();
        assert_eq!(rows, told["evidence"]["rows"]);
        let key: Value = serde_json::from_str(row["key"].as_str().unwrap()).unwrap();
        for pair in told["key"].as_array().unwrap() {
            assert_eq!(key[pair[0].as_str().unwrap()], pair[1]);
        }
        let (handling, open) = match id == first {
            true => ("false_alarm", false),
            false => (
                "new",
                ["confirmed", "undetermined"].contains(&told["verdict"].as_str().unwrap()),
            ),
        };
        assert_eq!(
            (row["handling"].as_str(), row["open"].as_bool()),
            (Some(handling), Some(open)),
            "{id}"
        );
    }

    // Sums by rule, exact.
    let mut sums = BTreeMap::<String, i128>::new();
    for finding in told.values() {
        if let Some(amount) = hundredths(&finding["amount"]) {
            *sums
                .entry(finding["rule"].as_str().unwrap().to_owned())
                .or_default() += amount;
        }
    }
    let rows = desk.rows(
        "SELECT rule, sum(amount) AS at_risk FROM findings WHERE amount IS NOT NULL GROUP BY rule ORDER BY rule",
    );
    let found = rows.iter().map(|row| {
        (
            row["rule"].as_str().unwrap().to_owned(),
            hundredths(&row["at_risk"]).unwrap(),
        )
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), sums);

    let entries =
        desk.rows("SELECT finding_id, what, by, text FROM finding_entries WHERE what <> 'told'");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0]["finding_id"], &entries[0]["text"]),
        (&Value::from(first.as_str()), &Value::from("a test"))
    );
    let lines = std::fs::read_to_string(desk.path("findings.jsonl")).unwrap();
    let messages = lines.matches("\"schema\":\"centinel/finding/1\"").count();
    let told = desk.rows("SELECT count(*) AS n FROM finding_entries WHERE what = 'told'");
    assert_eq!(told[0]["n"], messages);
}

#[test]
fn findings_lead_to_the_rows_behind_them() {
    let desk = Desk::detected();
    let rows = desk.rows(
        "SELECT f.finding_id, p.amount, count(a._change) AS changes
         FROM findings f JOIN state.payment p ON p.order_no = f.entity_key
         JOIN archive.payment a ON a.payment_no = p.payment_no
         WHERE f.entity = 'order' GROUP BY f.finding_id, p.payment_no, p.amount",
    );
    assert!(rows.len() > 5);
    assert!(rows.iter().all(|row| row["changes"].as_u64().unwrap() >= 1));
    // What is personal is masked in every way to it.
    let rows = desk.rows(
        "SELECT payer_account FROM state.payment UNION SELECT payer_account FROM archive.payment",
    );
    assert!(
        rows.iter()
            .all(|row| row["payer_account"].as_str().unwrap().starts_with("****"))
    );
}

#[test]
fn audits_and_drills_are_those_of_their_files() {
    let desk = Desk::detected();
    assert_eq!(desk.rows("SELECT * FROM audit_runs"), Vec::<Value>::new());
    let (status, _, said) = desk.run(&["schedule", "--once", "nightly"]);
    assert_eq!(status, 2, "{said}");
    let (status, _, said) = desk.run(&["schedule", "--once", "weekly"]);
    assert!([0, 2].contains(&status), "{said}");

    let rows = desk.rows("SELECT * FROM audit_runs");
    let history = std::fs::read_to_string(desk.path("reports/nightly/history.jsonl")).unwrap();
    let lines = history
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ended = lines
        .into_iter()
        .find(|line| line["event"] == "ended")
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["audit"], &rows[0]["outcome"]),
        (&"nightly".into(), &"finished".into())
    );
    for same in ["run", "exit_status", "duration_ms"] {
        assert_eq!(rows[0][same], ended[same], "{same}");
    }
    for same in [
        "findings",
        "rules",
        "rows",
        "could_not_judge",
        "rules_version",
    ] {
        assert_eq!(rows[0][same], ended["result"][same], "{same}");
    }

    let report = desk
        .path("reports/nightly")
        .join(ended["run"].as_str().unwrap())
        .join("findings.jsonl");
    let report = std::fs::read_to_string(report).unwrap();
    let lines = report
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.filter(|line| line["schema"] == "centinel/finding/1");
    let expected: BTreeSet<(String, Option<i128>)> = found
        .map(|line| {
            (
                line["finding_id"].as_str().unwrap().to_owned(),
                hundredths(&line["amount"]),
            )
        })
        .collect();
    let rows =
        desk.rows("SELECT finding_id, amount FROM audit_findings WHERE standing = 'finding'");
    assert_eq!(rows.len(), expected.len());
    let found = rows.iter().map(|row| {
        (
            row["finding_id"].as_str().unwrap().to_owned(),
            hundredths(&row["amount"]),
        )
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);

    let rows = desk.rows("SELECT drill, outcome, detected, unnoticed FROM drill_runs");
    let drills = std::fs::read_to_string(desk.path("reports/weekly/drills.jsonl")).unwrap();
    let drill: Value = serde_json::from_str(drills.lines().next().unwrap()).unwrap();
    assert_eq!(rows.len(), 1);
    for same in ["detected", "unnoticed"] {
        assert_eq!(rows[0][same], drill[same], "{same}");
    }
}

#[test]
fn statuses_say_what_came_of_it() {
    let desk = Desk::detected();
    let none = "SELECT finding_id FROM findings WHERE rule = 'none'";
    assert_eq!(
        desk.query(none, &["--format", "jsonl"]),
        (0, String::new(), String::new())
    );

    for (sql, part) in [
        ("DELETE FROM findings", "`DELETE FROM` is refused"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT nothing FROM findings", "nothing"),
        ("SELECT * FROM findigns", "--tables"),
        ("SELECT * FROM trips", "the configuration serves no breaker"),
        ("SELECT", "SQL"),
    ] {
        let (status, out, said) = desk.query(sql, &[]);
        assert_eq!((status, out.as_str()), (64, ""), "{sql}: {said}");
        assert!(said.contains(part), "{sql}: {said}");
    }
    for more in [
        &["--rows", "0"][..],
        &["--rows", "1000001"],
        &["--rows", "10001"],
        &["--timeout", "0s"],
        &["--memory", "1"],
    ] {
        let (status, out, said) = desk.query("SELECT 1", more);
        assert_eq!((status, out.as_str()), (64, ""), "{more:?}: {said}");
    }

    let (status, out, said) = desk.query(
        "SELECT finding_id FROM findings",
        &["--format", "csv", "--rows", "3"],
    );
    assert_eq!((status, out.lines().count()), (3, 4), "{said}");
    assert!(said.contains("only the first 3"), "{said}");

    let began = Instant::now();
    let endless = "SELECT count(*) FROM archive.payment a, archive.payment b, archive.payment c, archive.payment d
                   WHERE a.amount * b.amount + c.amount * d.amount = -1";
    let (status, out, said) = desk.query(endless, &["--timeout", "1s"]);
    assert_eq!((status, out.as_str()), (3, ""), "{said}");
    assert!(said.contains("longer than 1s"), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );

    std::fs::remove_dir_all(desk.path("archive")).unwrap();
    let (status, _, said) = desk.query("SELECT count(*) FROM archive.payment", &[]);
    assert_eq!(status, 3, "{said}");
    // What a query does not name may be gone.
    assert_eq!(desk.query("SELECT count(*) FROM findings", &[]).0, 0);
}

/// Somebody who had enough interrupts it; nothing stays behind.
#[test]
fn an_interrupt_ends_a_query_and_leaves_no_files() {
    let desk = Desk::detected();
    let temporary = desk.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let endless = "SELECT count(*) FROM archive.payment a, archive.payment b, archive.payment c, archive.payment d
                   WHERE a.amount * b.amount + c.amount * d.amount = -1";
    let mut command = desk.command(&["query", endless, "--timeout", "5m"]);
    let child = command
        .env("TMPDIR", &temporary)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while std::fs::read_dir(&temporary).unwrap().count() == 0 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&done.stderr).contains("stopped before its end"));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn tables_are_listed_with_their_columns() {
    let desk = Desk::detected();
    let (status, out, said) = desk.run(&["query", "--tables"]);
    assert_eq!((status, said.as_str()), (0, ""));
    for part in [
        "findings: a finding as it is now",
        "state.payment: a row as it is now",
        "archive.settlement: a change",
        "DECIMAL(28,8)",
        "decimal(18,2); money in major units of CNY",
        "trips: not there, the configuration serves no breaker",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (status, out, _) = desk.run(&["query", "--tables", "--format", "jsonl"]);
    assert_eq!(status, 0);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Each table that is listed can be asked for each of its columns, in its type.
    let mut columns = BTreeMap::<String, Vec<String>>::new();
    for line in &lines {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        columns
            .entry(text("table"))
            .or_default()
            .push(text("column"));
    }
    assert!(columns.len() > 25, "{:?}", columns.keys());
    for (table, columns) in columns {
        let sql = format!("SELECT \"{}\" FROM {table} LIMIT 1", columns.join("\", \""));
        let (status, _, said) = desk.query(&sql, &[]);
        assert_eq!(status, 0, "{sql}: {said}");
    }
}

/// Values that a platform's rows may hold do not reach a terminal as they are.
#[test]
fn hostile_texts_steer_nothing() {
    let desk = Desk::detected();
    let hostile =
        "chr(27) || '[2J' || chr(13) || chr(10) || chr(155) || '31m' || chr(8238) || '<b>'";
    for format in ["table", "jsonl"] {
        let (status, out, _) = desk.query(&format!("SELECT {hostile} AS x"), &["--format", format]);
        assert_eq!(status, 0);
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!out.contains(steers), "{out:?}");
    }
    let (_, _, said) = desk.query(
        &format!("SELECT CAST({hostile} AS BIGINT) FROM findings"),
        &[],
    );
    assert!(
        !said.contains(|c: char| c.is_control() && c != '\n'),
        "{said:?}"
    );
}
