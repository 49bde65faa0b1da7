//! All forms tell the same history, and the committed sets are what their commands make.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use data_fixtures::write::{CanalWriter, DebeziumWriter, JsonLinesWriter, SnapshotWriter};
use data_fixtures::{
    Delivered, Key, Record, Row, SECOND, Simulation, SimulationParameters, Table, Value,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value as Json};

fn history() -> (Vec<Delivered>, i64) {
    let parameters = SimulationParameters {
        seed: 31,
        orders: 400,
        fault_share: 1_000,
        refund_share: 5_000,
        ..Default::default()
    };
    let mut simulation = Simulation::new(parameters);
    let history = simulation.by_ref().collect();
    (history, simulation.end().unwrap())
}

fn lines(mut write: impl FnMut(&mut Vec<u8>, &Delivered), history: &[Delivered]) -> Vec<Json> {
    let mut out = Vec::new();
    history
        .iter()
        .for_each(|delivered| write(&mut out, delivered));
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The rows as the model holds them, as texts by column; null is absent.
fn plain(row: &Row) -> BTreeMap<String, String> {
    let mut values = Vec::new();
    row.values(&mut values);
    let named = row.table().columns().iter().zip(values);
    named
        .filter(|(_, value)| *value != Value::Null)
        .map(|(column, value)| {
            let mut text = Vec::new();
            value.push_text(&mut text, data_fixtures::TimeStyle::Rfc3339);
            (column.name.to_owned(), String::from_utf8(text).unwrap())
        })
        .collect()
}

fn plain_json(object: &Map<String, Json>) -> BTreeMap<String, String> {
    let text = |value: &Json| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn as_database_times(mut row: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for (name, value) in &mut row {
        if name.ends_with("_at") {
            *value = value.replace('T', " ").replace('Z', "");
        }
    }
    row
}

#[test]
fn the_change_log_says_what_happened() {
    let (history, _) = history();
    let mut writer = JsonLinesWriter::default();
    let lines = lines(|out, delivered| writer.write(out, delivered), &history);
    assert_eq!(lines.len(), history.len());
    for (line, delivered) in lines.iter().zip(&history) {
        match &delivered.record {
            Record::Change(change) => {
                assert_eq!(line["table"], change.after.table().name());
                assert_eq!(
                    line["op"],
                    if change.before.is_some() {
                        "update"
                    } else {
                        "insert"
                    }
                );
                assert_eq!(line["sequence"], change.sequence);
                assert_eq!(
                    (&line["ordinal"], &line["last"]),
                    (&change.ordinal.into(), &change.last.into())
                );
                assert_eq!(
                    plain_json(line["after"].as_object().unwrap()),
                    plain(&change.after)
                );
                assert_eq!(
                    line["before"].as_object().map(plain_json),
                    change.before.as_ref().map(plain)
                );
                assert_eq!(line["committed_at"], line["after"]["updated_at"]);
            }
            Record::Event(event) => {
                let mut row = plain_json(line["after"].as_object().unwrap());
                assert!(!row.contains_key("message_id"));
                row.insert(
                    "message_id".to_owned(),
                    line["message_id"].as_str().unwrap().to_owned(),
                );
                assert_eq!(row, plain(&event.row));
                assert_eq!(line["event"], event.row.table().name());
            }
            Record::Heartbeat(_) => assert_eq!(line["heartbeat"], delivered.source.name()),
        }
    }
}

#[test]
fn debezium_says_what_happened() {
    let (history, _) = history();
    let mut writer = DebeziumWriter::default();
    let lines = lines(|out, delivered| writer.write(out, delivered), &history);
    assert_eq!(lines.len(), history.len());
    for (line, delivered) in lines.iter().zip(&history) {
        let Some(row) = delivered.record.row() else {
            assert_eq!(line["ts_ms"], delivered.record.committed_at() / 1_000);
            continue;
        };
        assert_eq!(plain_json(line["after"].as_object().unwrap()), plain(row));
        assert_eq!(line["source"]["table"], row.table().name());
        assert_eq!(line["source"]["ts_us"], delivered.record.committed_at());
        if let Record::Change(change) = &delivered.record {
            assert_eq!(line["op"], if change.before.is_some() { "u" } else { "c" });
            assert_eq!(line["transaction"]["total_order"], change.ordinal + 1);
            assert_eq!(line["transaction"]["id"], line["source"]["gtid"]);
            assert!(
                line["transaction"]["id"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!(":{}", change.sequence))
            );
        }
    }
}

#[test]
fn canal_says_what_happened() {
    let (history, _) = history();
    let mut writer = CanalWriter::default();
    let lines = lines(|out, delivered| writer.write(out, delivered), &history);
    let mut rows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut largest = 0;
    for line in lines.iter().filter(|line| line["table"] != "heartbeat") {
        let data = line["data"].as_array().unwrap();
        largest = largest.max(data.len());
        for (index, row) in data.iter().enumerate() {
            assert!(
                row.as_object()
                    .unwrap()
                    .values()
                    .all(|value| value.is_string() || value.is_null())
            );
            let row = plain_json(row.as_object().unwrap());
            let key = row[line["pkNames"][0].as_str().unwrap()].clone();
            let before = rows.insert(key, row.clone());
            assert_eq!(
                line["type"],
                if before.is_some() { "UPDATE" } else { "INSERT" }
            );
            if let Some(before) = before {
                let old = line["old"][index].as_object().unwrap();
                assert!(!old.is_empty());
                let mut restored = row.clone();
                restored.retain(|name, _| !old.contains_key(name));
                restored.extend(plain_json(old));
                assert_eq!(restored, before);
                assert!(
                    plain_json(old)
                        .iter()
                        .all(|(name, value)| row.get(name) != Some(value))
                );
            }
        }
    }
    assert!(largest > 2);
    let expected: BTreeMap<Key, &Row> = history
        .iter()
        .filter_map(|delivered| delivered.record.row())
        .map(|row| (row.primary_key(), row))
        .collect();
    assert_eq!(rows.len(), expected.len());
    for (key, row) in expected {
        assert_eq!(rows[&key.text()], as_database_times(plain(row)));
    }
    let beats = lines
        .iter()
        .filter(|line| line["table"] == "heartbeat")
        .count();
    assert_eq!(
        beats,
        history
            .iter()
            .filter(|delivered| delivered.record.row().is_none())
            .count()
    );
}

fn field_text(field: &Field) -> Option<String> {
    let time = |micros: i64| {
        let mut out = Vec::new();
        data_fixtures::push_time(&mut out, micros, data_fixtures::TimeStyle::Rfc3339);
        String::from_utf8(out).unwrap()
    };
    match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        Field::Long(number) => Some(number.to_string()),
        Field::TimestampMicros(micros) => Some(time(*micros)),
        other => Some(other.to_string()),
    }
}

fn assert_snapshot_holds(folder: &Path, history: &[Delivered], as_of: i64) {
    let mut expected: BTreeMap<(Table, String), BTreeMap<String, String>> = BTreeMap::new();
    for delivered in history
        .iter()
        .filter(|delivered| delivered.record.committed_at() <= as_of)
    {
        if let Some(row) = delivered.record.row() {
            expected.insert((row.table(), row.primary_key().text()), plain(row));
        }
    }
    let mut found = BTreeMap::new();
    let manifest: Json =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    for table in Table::ALL {
        let file = fs::File::open(folder.join(format!("{}.parquet", table.name()))).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let mut rows = 0;
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let columns = row.get_column_iter();
            let row: BTreeMap<String, String> = columns
                .filter_map(|(name, field)| Some((name.clone(), field_text(field)?)))
                .collect();
            rows += 1;
            found.insert((table, row[table.columns()[0].name].clone()), row);
        }
        assert_eq!(manifest["tables"][table.name()]["rows"], rows);
    }
    assert_eq!(found, expected);
}

#[test]
fn snapshots_hold_the_current_rows_at_any_cut() {
    let (history, end) = history();
    let cut = history[0].arrival + 15 * SECOND;
    for as_of in [None, Some(cut)] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(folder.path(), &Table::ALL, as_of).unwrap();
        history
            .iter()
            .for_each(|delivered| writer.write(delivered).unwrap());
        writer.finish(end).unwrap();
        assert_snapshot_holds(folder.path(), &history, as_of.unwrap_or(end));
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inside = files(&entry.path());
            found.extend(
                inside
                    .into_iter()
                    .map(|(path, bytes)| (format!("{name}/{path}"), bytes)),
            );
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Each command in the README makes the committed set that it names, byte for byte.
#[test]
fn the_committed_sets_are_what_their_commands_make() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(home.join("README.md")).unwrap();
    let mut sets = Vec::new();
    for arguments in readme
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run --release -p data-fixtures -- "))
    {
        let Some((arguments, set)) = arguments.split_once(" --out data-fixtures/small/") else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
            .args(arguments.split_whitespace())
            .arg("--out")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (made, committed) = (files(folder.path()), files(&home.join("small").join(set)));
        assert_eq!(
            made.keys().collect::<Vec<_>>(),
            committed.keys().collect::<Vec<_>>()
        );
        for (name, bytes) in made {
            assert!(
                bytes == committed[&name],
                "{set}/{name} is not what its command makes"
            );
        }
        sets.push(set.to_owned());
    }
    sets.sort();
    let mut committed: Vec<String> = fs::read_dir(home.join("small"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    committed.sort();
    assert_eq!(sets, committed);
    let bytes: usize = files(&home.join("small")).values().map(Vec::len).sum();
    assert!(bytes <= 1_000_000, "{bytes} bytes are committed");
}
