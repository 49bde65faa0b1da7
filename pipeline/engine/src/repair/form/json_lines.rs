//! `{"table":"refund","operation":"update","key":{…},"old":{…},"new":{…}}`: one row in each line.

use std::collections::BTreeMap;

use centinel_catalog::{Catalog, Table};
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::change::{
    Cells, Changes, MOST_MISTAKES, Mistake, Planned, RowChange, Unfit, find_column, find_table,
};
use super::super::value::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    table: String,
    operation: String,
    #[serde(default)]
    key: BTreeMap<String, Json>,
    #[serde(default)]
    old: BTreeMap<String, Json>,
    #[serde(default)]
    new: BTreeMap<String, Json>,
}

/// Reads all lines; blank ones are passed over.
pub fn read(catalog: &Catalog, text: &str) -> Result<Changes, Vec<Mistake>> {
    let mut changes = Changes::default();
    let mut mistakes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
        let place = format!("line {}", number + 1);
        match serde_json::from_str::<Line>(line) {
            Ok(line) => read_line(catalog, line, place, &mut changes, &mut mistakes),
            Err(error) => mistakes.push(Mistake::new(
                place,
                format!("is not a change: {}", without_place(&error.to_string())),
                r#"write {"table":"refund","operation":"update","key":{"refund_no":"R1"},"old":{"status":"FAILED"},"new":{"status":"SUCCESS"}}"#,
            )),
        }
    }
    match mistakes.is_empty() {
        true => Ok(changes),
        false => Err(mistakes),
    }
}

/// The line is told already, and the column of a line says little.
fn without_place(error: &str) -> &str {
    error.split(" at line ").next().unwrap_or(error)
}

fn read_line(
    catalog: &Catalog,
    line: Line,
    place: String,
    changes: &mut Changes,
    mistakes: &mut Vec<Mistake>,
) {
    let id = match find_table(catalog, &line.table) {
        Ok(id) => id,
        Err((problem, remedy)) => return mistakes.push(Mistake::new(place, problem, remedy)),
    };
    let Some(planned) = Planned::parse(&line.operation) else {
        let problem = format!("`{}` is no operation", line.operation);
        return mistakes.push(Mistake::new(
            place,
            problem,
            "write insert, update or delete",
        ));
    };
    let table = catalog.table(id);
    let before = mistakes.len();
    let mut unfit = Vec::new();
    let mut read = |cells: &BTreeMap<String, Json>| {
        let mut values = BTreeMap::new();
        for (name, json) in cells {
            let column = match find_column(table, name) {
                Ok(column) => column,
                Err((problem, remedy)) => {
                    mistakes.push(Mistake::new(place.clone(), problem, remedy));
                    continue;
                }
            };
            let text = match text_of(json) {
                Ok(text) => text,
                Err(problem) => {
                    mistakes.push(Mistake::new(
                        place.clone(),
                        format!("the value of {name} {problem}"),
                        "write it as text, so that no digit is lost",
                    ));
                    continue;
                }
            };
            let mut cells = Cells {
                table,
                place: place.clone(),
                mistakes: &mut *mistakes,
            };
            match cells.read(column, text.as_deref()) {
                Some(Ok(value)) => {
                    values.insert(column, value);
                }
                Some(Err(reason)) => unfit.push((column, reason)),
                None => {}
            }
        }
        values
    };
    let (key, old, mut new) = (read(&line.key), read(&line.old), read(&line.new));
    if planned == Planned::Insert {
        // The row holds its key, which need not be said twice.
        for (column, value) in &key {
            new.entry(*column).or_insert_with(|| value.clone());
        }
    }
    let change = RowChange {
        table: id,
        planned,
        key: Vec::new(),
        old,
        new,
        place: place.clone(),
    };
    if mistakes.len() == before {
        finish(table, change, &key, &unfit, changes, mistakes);
    }
}

/// Checks that a change says what its operation needs, and takes it in.
pub(super) fn finish(
    table: &Table,
    mut change: RowChange,
    key: &BTreeMap<usize, Value>,
    unfit: &[(usize, String)],
    changes: &mut Changes,
    mistakes: &mut Vec<Mistake>,
) {
    let mut refuse = |problem: String, remedy: &str| {
        mistakes.push(Mistake::new(change.place.clone(), problem, remedy));
    };
    let names = |columns: Vec<usize>| {
        let names: Vec<&str> = columns
            .into_iter()
            .map(|column| table.columns[column].name.as_str())
            .collect();
        names.join(", ")
    };
    let own = |column: &&usize| !table.primary_key.contains(column);
    let strange: Vec<usize> = key.keys().filter(own).copied().collect();
    if !strange.is_empty() {
        return refuse(
            format!("the key names {}, which is no part of it", names(strange)),
            "name the columns of the table's primary key",
        );
    }
    let told = |column: &usize| {
        let of_row = match change.planned {
            Planned::Insert => change.new.get(column),
            _ => None,
        };
        key.get(column).or(of_row).cloned()
    };
    let is_unfit = |column: &usize| unfit.iter().any(|(other, _)| other == column);
    let missing: Vec<usize> = table
        .primary_key
        .iter()
        .filter(|column| told(column).is_none() && !is_unfit(column))
        .copied()
        .collect();
    if !missing.is_empty() {
        return refuse(
            format!("the key of {} lacks {}", table.name, names(missing)),
            "name every column of the table's primary key",
        );
    }
    if table.primary_key.iter().any(|column| {
        change.new.get(column) != key.get(column)
            && change.planned == Planned::Update
            && change.new.contains_key(column)
    }) {
        return refuse(
            "an update changes the row's key".into(),
            "write a delete and an insert",
        );
    }
    let unsaid: Vec<usize> = match change.planned {
        Planned::Update => change
            .new
            .keys()
            .filter(|column| !change.old.contains_key(column) && !is_unfit(column))
            .copied()
            .collect(),
        _ => Vec::new(),
    };
    if !unsaid.is_empty() {
        return refuse(
            format!("the old value of {} is not said", names(unsaid)),
            "an update says old and new of each column, so that it cannot meet another row than was meant",
        );
    }
    let nothing = change.new.is_empty() && unfit.is_empty();
    match change.planned {
        Planned::Update if nothing => {
            return refuse(
                "an update changes nothing".into(),
                "name the columns under `new`",
            );
        }
        Planned::Insert if !change.old.is_empty() => {
            return refuse(
                "an insert has old values".into(),
                "leave `old` out: the row is not there yet",
            );
        }
        Planned::Delete if !change.new.is_empty() => {
            return refuse("a delete has new values".into(), "leave `new` out");
        }
        _ => {}
    }
    let key_values: Vec<Value> = table
        .primary_key
        .iter()
        .map(|column| told(column).unwrap_or(Value::Null))
        .collect();
    if change.planned == Planned::Insert {
        let absent: Vec<usize> = (0..table.columns.len())
            .filter(|column| !change.new.contains_key(column) && !key.contains_key(column))
            .filter(|column| !table.columns[*column].nullable && !is_unfit(column))
            .collect();
        if !absent.is_empty() {
            return refuse(
                format!("the new row lacks {}", names(absent)),
                "name every column that may not be null: what a database would fill in is not known here",
            );
        }
        for column in 0..table.columns.len() {
            change.new.entry(column).or_insert(Value::Null);
        }
    }
    change.key = key_values;
    for (column, reason) in unfit {
        changes.unfit.push(Unfit {
            table: table.name.clone(),
            key: super::super::change::shown_key(table, &change.key),
            column: table.columns[*column].name.clone(),
            reason: reason.clone(),
            place: change.place.clone(),
        });
    }
    changes.rows.push(change);
}

/// The text of a value; `None` is null. Fractions must be text.
fn text_of(json: &Json) -> Result<Option<String>, &'static str> {
    Ok(Some(match json {
        Json::Null => return Ok(None),
        Json::String(text) => text.clone(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Json::Number(_) => return Err("is a number with a fraction"),
        Json::Array(_) | Json::Object(_) => return Err("is an array or an object"),
    }))
}
