//! The change log, read as its page describes it, and folded to rows.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::Value;

/// A row by column.
pub type Row = BTreeMap<String, Value>;

/// A line that is no heartbeat.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: String,
    pub operation: String,
    /// Epoch, sequence and ordinal; zero for an event.
    pub version: (u64, u64, u64),
    pub committed_at: String,
    pub before: Option<Row>,
    pub after: Option<Row>,
}

pub fn read(path: &Path) -> Vec<Change> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter_map(|line: Json| change(&line)).collect()
}

fn change(line: &Json) -> Option<Change> {
    let committed_at = plain_time(line["committed_at"].as_str().unwrap());
    if let Some(event) = line["event"].as_str() {
        let mut after = row(&line["after"]).unwrap();
        let id = line["message_id"].as_str().unwrap().to_owned();
        after.insert("message_id".into(), Some(id));
        return Some(Change {
            table: event.into(),
            operation: "insert".into(),
            version: (0, 0, 0),
            committed_at,
            before: None,
            after: Some(after),
        });
    }
    let table = line["table"].as_str()?;
    let number = |name: &str| line[name].as_u64().unwrap();
    Some(Change {
        table: table.into(),
        operation: line["op"].as_str().unwrap().into(),
        version: (number("epoch"), number("sequence"), number("ordinal")),
        committed_at,
        before: row(&line["before"]),
        after: row(&line["after"]),
    })
}

fn row(object: &Json) -> Option<Row> {
    let members = object.as_object()?.iter();
    let value = |value: &Json| match value {
        Json::Null => None,
        Json::String(text) if is_time(text) => Some(plain_time(text)),
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Some(
        members
            .map(|(name, of)| (name.clone(), value(of)))
            .collect(),
    )
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')
}

/// A time without its zone and without zeros that say nothing.
pub fn plain_time(text: &str) -> String {
    let text = text.trim_end_matches('Z');
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// The rows of a table at the end of the log: of each primary key the highest version.
pub fn current(changes: &[Change], table: &str, key: &[&str]) -> Vec<Row> {
    let key_of = |row: &Row| -> Vec<Value> { key.iter().map(|name| row[*name].clone()).collect() };
    let mut newest: BTreeMap<Vec<Value>, (&Change, Option<&Row>)> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.table == table) {
        // A row whose key changes is gone under the old one.
        let old = change.before.as_ref().map(|row| (key_of(row), None));
        let new = change.after.as_ref().map(|row| (key_of(row), Some(row)));
        for (key, row) in old.into_iter().chain(new) {
            let known = newest.get(&key);
            if known.is_none_or(|(known, _)| known.version <= change.version) {
                newest.insert(key, (change, row));
            }
        }
    }
    newest
        .into_values()
        .filter_map(|(_, row)| row.cloned())
        .collect()
}

/// Personal data as the page on schemas says it is shown.
pub fn masked(value: &Value) -> Value {
    let text = value.as_ref()?;
    let letters: Vec<char> = text.chars().collect();
    let shown = match letters.len() > 8 {
        true => &letters[letters.len() - 4..],
        false => &[],
    };
    Some(format!("****{}", shown.iter().collect::<String>()))
}
