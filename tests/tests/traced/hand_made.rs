//! Logs with what a simulated platform seldom does: many changes of one row, rows that move and go, and schemas that change.

use std::io::Write;

use centinel_tests::{Detection, all_rules, folder};
use centinel_trace::{MOST_CHANGES, Parts, compose};
use serde_json::{Value, json};

use super::*;

/// Appends lines to a log, as transactions of their own behind everything that is there.
struct Author {
    lines: Vec<Value>,
    text: String,
    epoch: u64,
    sequence: u64,
    seconds: u64,
}

impl Author {
    /// Behind a simulated platform's log.
    fn behind(lived: &Lived, path: &Path) -> Author {
        write_log(path, &lived.records);
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let sequence = lines
            .iter()
            .filter_map(|line| line["sequence"].as_u64())
            .max();
        let epoch = lines.iter().filter_map(|line| line["epoch"].as_u64()).max();
        Author {
            lines,
            text,
            epoch: epoch.unwrap(),
            sequence: sequence.unwrap() + 1,
            seconds: 0,
        }
    }

    /// The row of a table as its first line has it, which has this.
    fn row(&self, table: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let rows = self.lines.iter().filter(|line| line["table"] == table);
        let newest = |row: &Value, name: &str| {
            let versions = self
                .lines
                .iter()
                .filter(|line| line["table"] == table && line["after"][name] == row[name]);
            versions.last().unwrap()["after"].clone()
        };
        let name = log_name(table);
        let mut rows = rows.map(|line| newest(&line["after"], name));
        rows.find(|row| row.is_object() && fits(row)).unwrap()
    }

    fn change(&mut self, table: &str, op: &str, before: Value, after: Value) {
        self.seconds += 1;
        let (hour, minute, second) = (
            self.seconds / 3600,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        let mut line = json!({
            "table": table, "op": op, "epoch": self.epoch, "sequence": self.sequence, "ordinal": 0, "last": true,
            "committed_at": format!("2030-01-01T{hour:02}:{minute:02}:{second:02}.000000Z"),
        });
        if before.is_object() {
            line["before"] = before;
        }
        if after.is_object() {
            line["after"] = after;
        }
        self.sequence += 1;
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    fn write(&self, path: &Path) {
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(self.text.as_bytes()).unwrap();
    }
}

fn log_name(table: &str) -> &'static str {
    match table {
        "refund" => "refund_no",
        "billing" => "bill_no",
        "settlement" => "settlement_no",
        "accounting_entry" => "entry_no",
        other => panic!("{other}"),
    }
}

fn with(row: &Value, column: &str, value: impl Into<Value>) -> Value {
    let mut row = row.clone();
    row[column] = value.into();
    row
}

fn order_of(row: &Value) -> String {
    row["order_no"].as_str().unwrap().trim().to_uppercase()
}

#[test]
fn five_hundred_changes_of_one_row_are_in_the_archive_and_the_newest_in_state() {
    let lived = platform(81);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    let mut author = Author::behind(&lived, &lines);
    let mut bill = author.row("billing", |_| true);
    let order = order_of(&bill);
    for cents in 0..500 {
        let next = with(&bill, "fee", format!("{}.{:02}", cents / 100, cents % 100));
        author.change("billing", "update", bill, next.clone());
        bill = next;
    }
    author.write(&lines);
    let log = Log::read(&lines);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    agrees(&both, &reader, &log, "order", &order);
    let state = reader.read("order", &order).unwrap().unwrap();
    let archived = both.archived("order", &order).unwrap();
    assert!(state.completeness.replaced_missing && !archived.completeness.replaced_missing);
    let of_bill = |history: &History| {
        let changes = history.changes.iter();
        changes
            .filter(|change| change.table == "billing" && change.operation == "update")
            .count()
    };
    assert_eq!(of_bill(&state), KEPT);
    assert!(of_bill(&archived) >= 500 && archived.changes.len() < MOST_CHANGES);
    let parts = Parts {
        histories: vec![state, archived],
        ..Parts::default()
    };
    let trace = compose("order", &order, parts);
    assert!(!trace.completeness.replaced_missing);
    assert_eq!(trace.changes_left_out, 0);
    let total = trace
        .totals
        .iter()
        .find(|total| total.column == "fee")
        .unwrap();
    assert_eq!(total.currency, "CNY");
    // The last step of the bill says what changed, and nothing else.
    let last = trace.steps.iter().rev().find_map(|step| match &step.what {
        What::Row(row) if row.table == "billing" => Some(row),
        _ => None,
    });
    let changed = last.unwrap().columns.iter().filter(|column| column.changed);
    let changed: Vec<_> = changed
        .map(|column| {
            (
                column.column.as_str(),
                column.before.as_deref(),
                column.after.as_deref(),
            )
        })
        .collect();
    assert_eq!(changed, [("fee", Some("4.98"), Some("4.99"))]);
}

#[test]
fn rows_that_go_and_rows_that_move_are_told_on_both_sides() {
    let lived = platform(82);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    let mut author = Author::behind(&lived, &lines);
    let gone = author.row("billing", |_| true);
    author.change("billing", "delete", gone.clone(), Value::Null);
    let moving = author.row("refund", |row| order_of(row) != order_of(&gone));
    let there = with(&moving, "order_no", gone["order_no"].clone());
    author.change("refund", "update", moving.clone(), there.clone());
    // It comes back, and goes again under another number.
    author.change("refund", "update", there.clone(), moving.clone());
    author.change(
        "refund",
        "update",
        moving.clone(),
        with(&there, "refund_no", "R-RENAMED"),
    );
    // A settlement goes to another order, and its entries follow it.
    let entry = author.row("accounting_entry", |_| true);
    let settlement = author.row("settlement", |row| {
        row["settlement_no"] == entry["settlement_no"]
    });
    let elsewhere = with(&settlement, "order_no", gone["order_no"].clone());
    author.change("settlement", "update", settlement.clone(), elsewhere);
    author.change(
        "accounting_entry",
        "update",
        entry.clone(),
        with(&entry, "amount", 1),
    );
    // An entry is put right: it names another settlement.
    let other = author.row("settlement", |row| {
        ![order_of(&gone), order_of(&settlement)].contains(&order_of(row))
    });
    let wrong = author.row("accounting_entry", |row| {
        row["settlement_no"] != entry["settlement_no"]
            && row["settlement_no"] != other["settlement_no"]
    });
    let put_right = with(&wrong, "settlement_no", other["settlement_no"].clone());
    author.change("accounting_entry", "update", wrong.clone(), put_right);
    let left = author.row("settlement", |row| {
        row["settlement_no"] == wrong["settlement_no"]
    });
    author.write(&lines);
    let log = Log::read(&lines);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    let concerned: BTreeSet<String> = [&gone, &moving, &settlement, &other, &left]
        .map(order_of)
        .into();
    assert!(concerned.len() >= 4, "{concerned:?}");
    for order in &concerned {
        agrees(&both, &reader, &log, "order", order);
    }
    let told = all(&both.archived("order", &order_of(&gone)).unwrap());
    let leaving = told.iter().filter(|told| told.gone).count();
    assert!(leaving >= 2, "{told:#?}");
    assert!(
        told.iter()
            .any(|told| told.key == "R-RENAMED" && !told.gone)
    );
    let entries = told.iter().filter(|told| told.table == "accounting_entry");
    assert!(entries.count() > 0, "its entries followed the settlement");
}

#[test]
fn what_was_written_under_other_schemas_is_read_under_these() {
    let lived = platform(83);
    let own = tempfile::tempdir().unwrap();
    let lines = own.path().join("log.jsonl");
    write_log(&lines, &lived.records);
    // The first half is read under the shipped schemas.
    let text = std::fs::read_to_string(&lines).unwrap();
    let log = Log::read(&lines);
    let both = Both::of(&lines, own);
    // Then a column comes, and another one goes.
    let newer = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder("schemas")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, newer.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = newer.path().join("billing.yaml");
    let schema = std::fs::read_to_string(&path).unwrap();
    let wider = schema.replacen(
        "columns:\n",
        "columns:\n  a_note: { type: text, nullable: true }\n",
        1,
    );
    std::fs::write(&path, wider).unwrap();
    let catalog = Arc::new(centinel_catalog::load(newer.path()).unwrap());
    let both = Both {
        rules: all_rules(&catalog),
        catalog,
        ..both
    };
    let bill = |history: &History| {
        let bill = history
            .changes
            .iter()
            .find(|change| change.table == "billing");
        bill.map(|change| change.after.clone())
    };
    let mut seen = 0;
    {
        // Before detection took over, and …
        let reader = both.reader();
        for order in log.keys("order_no").iter().take(30) {
            agrees(&both, &reader, &log, "order", order);
        }
    }
    // … behind it, where documents of both shapes lie in one state.
    let mut more = text.clone();
    let first = text
        .lines()
        .find(|line| line.contains("\"table\":\"billing\""))
        .unwrap();
    let mut late: Value = serde_json::from_str(first).unwrap();
    late["sequence"] = json!(1_000_000_000u64);
    late["op"] = json!("update");
    late["last"] = json!(true);
    late["before"] = with(&late["after"], "a_note", Value::Null);
    late["after"] = with(&late["after"], "a_note", "it came");
    late["committed_at"] = json!("2030-01-01T00:00:00.000000Z");
    more.push_str(&late.to_string());
    more.push('\n');
    let lines = both.folder.path().join("log.jsonl");
    std::fs::write(&lines, more).unwrap();
    let detection = Detection {
        until: Until::End,
        archive: Some(ArchiveOptions::new(
            both.archive(),
            both.folder.path().join("state").join("archive"),
        )),
        ..Detection::over(&lines, both.folder.path())
    };
    detection.run(&both.catalog, &both.rules);
    let log = Log::read(&lines);
    let reader = both.reader();
    let concerned = order_of(&late["after"]);
    agrees(&both, &reader, &log, "order", &concerned);
    let state = reader.read("order", &concerned).unwrap().unwrap();
    let newest = state
        .changes
        .iter()
        .rfind(|change| change.table == "billing")
        .unwrap();
    assert!(
        newest
            .after
            .contains(&("a_note".into(), Some("it came".into())))
    );
    for order in log.keys("order_no").iter().take(30) {
        agrees(&both, &reader, &log, "order", order);
        let histories = [
            reader.read("order", order).unwrap(),
            both.archived("order", order),
        ];
        for history in histories.iter().flatten() {
            let row = bill(history);
            seen += usize::from(row.is_some());
            assert!(
                row.is_none_or(|row| row.contains(&("a_note".into(), None)) || *order == concerned)
            );
        }
    }
    assert!(seen > 30, "{seen}");
}
