//! Exports, read back by code that knows only their forms.

use centinel_findings::{Act, CSV_COLUMNS, Filter, FindingsError, Order};
use serde_json::{Value, json};

use crate::support::{Desk, id, money, now, told};

/// A reader of RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quoted, character) {
            (true, '"') if characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            (_, '"') => quoted = !quoted,
            (false, ',') => record.push(std::mem::take(&mut cell)),
            (false, '\r') if characters.peek() == Some(&'\n') => {
                characters.next();
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            (_, character) => cell.push(character),
        }
    }
    assert!(!quoted && cell.is_empty() && record.is_empty());
    records
}

fn desk() -> Desk {
    let mut desk = Desk::new();
    let fields = json!({ "hint": "=cmd|' /C calc'!A0", "amount": "12.50", "currency": "CNY", "title": "one, \"two\"\nthree" });
    desk.tell(&[
        told("r", "@E1", 1, "confirmed", fields),
        told("r", "E2", 1, "recovered", money("3", "USD")),
    ]);
    let act = Act::FalseAlarm {
        reason: "-1+1".into(),
    };
    desk.store
        .act(&id("r", "@E1"), &act, "+Li Wei", None, now())
        .unwrap();
    desk
}

#[test]
fn a_csv_holds_every_finding_and_no_formula() {
    let desk = desk();
    let mut out = Vec::new();
    assert_eq!(
        desk.store
            .export_csv(&Filter::default(), Order::Money, &mut out)
            .unwrap(),
        2
    );
    let records = records(&String::from_utf8(out).unwrap());
    assert_eq!(records[0], CSV_COLUMNS);
    assert!(
        records
            .iter()
            .all(|record| record.len() == CSV_COLUMNS.len())
    );
    let cell = |row: usize, column: &str| {
        let at = CSV_COLUMNS.iter().position(|name| *name == column).unwrap();
        records[row][at].as_str()
    };
    for (column, wanted) in [
        ("entity_key", "'@E1"),
        ("title", "one, \"two\"\nthree"),
        ("hint", "'=cmd|' /C calc'!A0"),
        ("amount", "12.50"),
        ("handled_by", "'+Li Wei"),
        ("reason", "'-1+1"),
        ("open", "false"),
        ("verdict", "confirmed"),
        ("handling", "false_alarm"),
        ("key", "order_no=@E1"),
    ] {
        assert_eq!(cell(1, column), wanted, "{column}");
    }
    assert_eq!(
        (cell(2, "entity_key"), cell(2, "verdict")),
        ("E2", "recovered")
    );
    let formula = |cell: &String| cell.trim_start().starts_with(['=', '+', '-', '@']);
    assert!(!records.iter().flatten().any(formula));
}

#[test]
fn json_lines_hold_values_as_they_are() {
    let desk = desk();
    let mut out = Vec::new();
    let open = Filter {
        open: Some(false),
        ..Filter::default()
    };
    assert_eq!(
        desk.store
            .export_jsonl(&open, Order::Money, &mut out)
            .unwrap(),
        2
    );
    let lines: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["schema"], "centinel/exported-finding/1");
    assert_eq!(lines[0]["finding"]["entity_key"], "@E1");
    assert_eq!(lines[0]["finding"]["schema"], "centinel/finding/1");
    assert_eq!(lines[0]["handled"]["reason"], "-1+1");
    assert_eq!(lines[1]["finding"]["amount"], "3");
}

#[test]
fn an_export_goes_over_pages_and_a_full_disk_is_said() {
    let mut desk = Desk::new();
    let lines: Vec<Value> = (0..1_203)
        .map(|n| {
            told(
                &format!("r{}", n % 7),
                &format!("E{n}"),
                1,
                "confirmed",
                money(&(n % 10).to_string(), "CNY"),
            )
        })
        .collect();
    desk.tell(&lines);
    let mut out = Vec::new();
    assert_eq!(
        desk.store
            .export_jsonl(&Filter::default(), Order::Money, &mut out)
            .unwrap(),
        1_203
    );
    let keys: std::collections::BTreeSet<String> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["finding"]["entity_key"].to_string()
        })
        .collect();
    assert_eq!(keys.len(), 1_203);

    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for export in [
        desk.store
            .export_csv(&Filter::default(), Order::Time, &mut Full(100_000)),
        desk.store
            .export_jsonl(&Filter::default(), Order::Time, &mut Full(100_000)),
    ] {
        let refused = export.unwrap_err();
        assert!(matches!(&refused, FindingsError::Export(_)), "{refused}");
    }
}

#[test]
fn a_scan_gives_what_pages_and_histories_give() {
    let desk = desk();
    let mut rows = desk.list(&Filter::default(), Order::Time, 10);
    rows.sort_by_key(|row| row.finding.finding_id.0.clone());
    let (mut scanned, mut short) = (Vec::new(), Vec::new());
    desk.store
        .scan(true, &mut |one| {
            scanned.push(one);
            true
        })
        .unwrap();
    scanned.sort_by_key(|one| one.finding_id.clone());
    assert_eq!(scanned.len(), rows.len());
    for (one, row) in scanned.iter().zip(&rows) {
        assert_eq!(one.finding.as_deref(), Some(&row.finding));
        assert_eq!(
            (&one.finding_id, &one.rule, one.severity, one.verdict),
            (
                &row.finding.finding_id.0,
                &row.finding.rule,
                row.finding.severity,
                row.finding.verdict
            )
        );
        assert_eq!(
            (one.open, one.handling, one.worse, &one.owner, &one.handled),
            (row.open, row.handling, row.worse, &row.owner, &row.handled)
        );
        assert_eq!((one.acts, one.last_entry), (row.acts, row.last_entry));
        assert_eq!(
            (&one.amount, &one.currency),
            (&row.finding.amount, &row.finding.currency)
        );
        assert_eq!(one.since.to_string(), row.since);
    }
    desk.store
        .scan(false, &mut |one| {
            short.push(one);
            false
        })
        .unwrap();
    assert_eq!(short.len(), 1, "who has enough gets no more");
    assert_eq!(short[0].finding, None);

    let mut entries = Vec::new();
    desk.store
        .scan_entries(&mut |one| {
            entries.push(one);
            true
        })
        .unwrap();
    assert!(entries.is_sorted_by_key(|one| one.entry.number));
    for row in &rows {
        let id = &row.finding.finding_id.0;
        let of = entries.iter().filter(|one| one.finding_id == *id);
        let of: Vec<_> = of.map(|one| one.entry.clone()).collect();
        assert_eq!(of, desk.store.history(id, 0, 500).unwrap());
    }
}
