//! The change log, read without the pipeline: which changes concern which entity, and what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// One change, as it concerns an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub table: String,
    pub key: String,
    pub version: (u32, u64, u32),
    pub gone: bool,
    pub status: Option<String>,
    /// In major units.
    pub amount: Option<String>,
    pub committed_at: String,
}

/// The lines of a log.
pub struct Log(Vec<Value>);

/// The column that names a row, by table.
const NAMES: [(&str, &str); 7] = [
    ("payment", "payment_no"),
    ("refund", "refund_no"),
    ("settlement", "settlement_no"),
    ("billing", "bill_no"),
    ("accounting_entry", "entry_no"),
    ("cash_out", "cash_out_no"),
    ("fee_note", "note_no"),
];
/// Tables and events whose amount counts in fen.
const IN_FEN: [&str; 4] = [
    "settlement",
    "settlement_completed",
    "accounting_entry",
    "accounting_entry_booked",
];

impl Log {
    pub fn read(path: &Path) -> Log {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Log(lines.collect())
    }

    /// Normal forms of all values of a column.
    pub fn keys(&self, column: &str) -> BTreeSet<String> {
        let rows = self
            .0
            .iter()
            .flat_map(|line| [&line["before"], &line["after"]]);
        let values = rows.filter_map(|row| row[column].as_str());
        values.map(|text| normal(column, text)).collect()
    }

    /// All values of these columns.
    pub fn values(&self, columns: &[&str]) -> BTreeSet<String> {
        let rows = self
            .0
            .iter()
            .flat_map(|line| [&line["before"], &line["after"]]);
        let values = rows.flat_map(|row| {
            columns
                .iter()
                .filter_map(move |column| row[*column].as_str())
        });
        values.map(str::to_owned).collect()
    }

    /// Every change of an entity's rows, each once.
    pub fn of(&self, entity: &str, key: &str) -> BTreeSet<Told> {
        let column = format!("{entity}_no");
        let has = |row: &Value| {
            row[&column]
                .as_str()
                .is_some_and(|text| normal(&column, text) == key)
        };
        let mut told: BTreeSet<Told> = BTreeSet::new();
        // Rows of other tables reach an order through the settlement that they name, as its newest change has it.
        let mut settlements: BTreeMap<String, ((u32, u64, u32), bool)> = BTreeMap::new();
        for line in &self.0 {
            let Some(table) = table_of(line) else {
                continue;
            };
            told.extend(concerning(table, line, &has));
            if table == "settlement" {
                for (row, after) in [(&line["before"], false), (&line["after"], true)] {
                    let Some(number) = row["settlement_no"].as_str() else {
                        continue;
                    };
                    let now = (version(line), after && has(row));
                    let known = settlements.entry(number.to_owned()).or_insert(now);
                    *known = now.max(*known);
                }
            }
        }
        if entity == "order" {
            let named = |row: &Value| {
                let number = row["settlement_no"].as_str();
                number.is_some_and(|number| settlements.get(number).is_some_and(|(_, own)| *own))
            };
            for line in &self.0 {
                if let Some(table @ ("accounting_entry" | "accounting_entry_booked")) =
                    table_of(line)
                {
                    told.extend(concerning(table, line, &named));
                }
            }
        }
        told
    }
}

fn table_of(line: &Value) -> Option<&str> {
    line["table"].as_str().or(line["event"].as_str())
}

fn version(line: &Value) -> (u32, u64, u32) {
    let number = |name: &str| line[name].as_u64().unwrap_or(0);
    (
        number("epoch") as u32,
        number("sequence"),
        number("ordinal") as u32,
    )
}

fn normal(column: &str, text: &str) -> String {
    match column {
        "order_no" => text.trim().to_uppercase(),
        _ => text.to_owned(),
    }
}

fn concerning(table: &str, line: &Value, has: &dyn Fn(&Value) -> bool) -> Vec<Told> {
    let name = |row: &Value| {
        let column = NAMES.iter().find(|(known, _)| *known == table);
        match column {
            Some((_, column)) => row[*column].as_str().map(str::to_owned),
            None => line["message_id"].as_str().map(str::to_owned),
        }
    };
    let (before, after) = (&line["before"], &line["after"]);
    let is_now = after.is_object() && has(after);
    let was = before.is_object() && has(before);
    let told = |row: &Value, gone: bool| Told {
        table: table.to_owned(),
        key: name(row).unwrap(),
        version: version(line),
        gone,
        status: row["status"].as_str().filter(|_| !gone).map(str::to_owned),
        amount: amount(table, &row["amount"]).filter(|_| !gone),
        committed_at: time(line["committed_at"].as_str().unwrap()),
    };
    let mut found = Vec::new();
    if is_now {
        found.push(told(after, false));
    }
    if was && !(is_now && name(before) == name(after)) {
        found.push(told(before, true));
    }
    found
}

/// Fen as yuan: the point two digits further left.
fn amount(table: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !IN_FEN.contains(&table) {
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        return Some(format!("{whole}.{fraction:0<2}"));
    }
    let fen: i64 = text.parse().unwrap();
    let sign = if fen < 0 { "-" } else { "" };
    Some(format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100))
}

/// As times are shown: without a fraction that is none, in threes of digits.
fn time(text: &str) -> String {
    let (whole, fraction) = text
        .trim_end_matches('Z')
        .split_once('.')
        .unwrap_or((text.trim_end_matches('Z'), ""));
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        digits if digits.len() <= 3 => format!("{whole}.{digits:0<3}Z"),
        digits => format!("{whole}.{digits:0<6}Z"),
    }
}
