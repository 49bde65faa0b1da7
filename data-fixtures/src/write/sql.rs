//! The statements that make a MariaDB or MySQL server live the same history.

use std::collections::BTreeMap;

use crate::record::{Change, Delivered, Record};
use crate::row::{Row, Value};
use crate::table::{ColumnKind, Source, Table};
use crate::text::{SECOND, TimeStyle, push_integer, push_padded, push_time};

/// The table of each database that heartbeats are written to.
pub const HEARTBEAT_TABLE: &str = "centinel_heartbeat";

/// Writes records as SQL, each source in a database of its own. Row changes must come in the order in which
/// their sources committed them; events have no place in a database and are left out.
///
/// Each transaction sets the session's `timestamp`, so that the server's binary log carries the simulated
/// commit times, in whole seconds.
#[derive(Debug, Default)]
pub struct SqlWriter {
    values: Vec<Value>,
    before: Vec<Value>,
    /// By source, whether a transaction is under way.
    open: BTreeMap<Source, bool>,
}

/// The name of a source's database.
pub fn database(source: Source) -> String {
    source.name().replace('-', "_")
}

/// The statements that make all databases and their tables.
pub fn schema() -> String {
    let mut sql = String::new();
    for source in Source::ALL {
        if source == Source::BusinessEvents {
            continue;
        }
        let database = database(source);
        sql += &format!("CREATE DATABASE {database} CHARACTER SET utf8mb4;\n");
        sql += &format!(
            "CREATE TABLE {database}.{HEARTBEAT_TABLE} (id INT PRIMARY KEY, beat_at DATETIME(6) NOT NULL);\n"
        );
        for table in Table::ALL
            .into_iter()
            .filter(|table| table.source() == source)
        {
            sql += &create_table(&database, table, "");
        }
    }
    sql
}

/// The statement that makes a table. `changed` is what its `updated_at` has beside its type.
fn create_table(database: &str, table: Table, changed: &str) -> String {
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| {
            let kind = match column.kind {
                ColumnKind::Text => "VARCHAR(64)".to_owned(),
                ColumnKind::Integer => "BIGINT".to_owned(),
                ColumnKind::Timestamp => "DATETIME(6)".to_owned(),
                ColumnKind::Decimal { precision, scale } => {
                    format!("DECIMAL({precision},{scale})")
                }
            };
            let null = if column.nullable { "NULL" } else { "NOT NULL" };
            let more = match column.name {
                "updated_at" => changed,
                _ => "",
            };
            format!("{} {kind} {null}{more}", column.name)
        })
        .collect();
    format!(
        "CREATE TABLE {database}.{} ({}, PRIMARY KEY ({}));\n",
        table.name(),
        columns.join(", "),
        table.columns()[0].name
    )
}

/// The statements that make a database, its tables, and these rows in them, to be loaded by anybody. The server fills in
/// when a row changes, where a statement does not say it.
pub fn load(database: &str, tables: &[Table], rows: &[Row]) -> Vec<u8> {
    let mut out =
        format!("SET NAMES utf8mb4;\nCREATE DATABASE {database} CHARACTER SET utf8mb4;\n")
            .into_bytes();
    let mut values = Vec::new();
    for table in tables {
        let changed = " DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)";
        out.extend_from_slice(create_table(database, *table, changed).as_bytes());
        let mut rows = rows.iter().filter(|row| row.table() == *table).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let insert = format!("INSERT INTO {database}.{} VALUES\n", table.name());
        out.extend_from_slice(insert.as_bytes());
        while let Some(row) = rows.next() {
            push_row(&mut out, row, &mut values);
            let end: &[u8] = if rows.peek().is_some() {
                b",\n"
            } else {
                b";\n"
            };
            out.extend_from_slice(end);
        }
    }
    out
}

impl SqlWriter {
    /// Appends the record's statements.
    pub fn write(&mut self, out: &mut Vec<u8>, delivered: &Delivered) {
        match &delivered.record {
            Record::Change(change) => self.write_change(out, delivered.source, change),
            Record::Heartbeat(at) if delivered.source != Source::BusinessEvents => {
                push_session_time(out, *at);
                out.extend_from_slice(b"REPLACE INTO ");
                out.extend_from_slice(database(delivered.source).as_bytes());
                out.extend_from_slice(format!(".{HEARTBEAT_TABLE} VALUES (1, '").as_bytes());
                push_time(out, *at, TimeStyle::Database);
                out.extend_from_slice(b"');\n");
            }
            Record::Heartbeat(_) | Record::Event(_) => {}
        }
    }

    fn write_change(&mut self, out: &mut Vec<u8>, source: Source, change: &Change) {
        let open = self.open.entry(source).or_default();
        if !std::mem::replace(open, !change.last) {
            push_session_time(out, change.committed_at);
            out.extend_from_slice(b"BEGIN;\n");
        }
        match &change.before {
            None => self.insert(out, &change.after),
            Some(before) => self.update(out, before, &change.after),
        }
        if change.last {
            out.extend_from_slice(b"COMMIT;\n");
        }
    }

    fn insert(&mut self, out: &mut Vec<u8>, row: &Row) {
        out.extend_from_slice(b"INSERT INTO ");
        push_name(out, row);
        out.extend_from_slice(b" VALUES ");
        push_row(out, row, &mut self.values);
        out.extend_from_slice(b";\n");
    }

    fn update(&mut self, out: &mut Vec<u8>, before: &Row, after: &Row) {
        out.extend_from_slice(b"UPDATE ");
        push_name(out, after);
        before.values(&mut self.before);
        after.values(&mut self.values);
        let columns = after.table().columns();
        let mut separator: &[u8] = b" SET ";
        for (index, column) in columns.iter().enumerate() {
            if self.before[index] != self.values[index] {
                out.extend_from_slice(separator);
                separator = b", ";
                out.extend_from_slice(column.name.as_bytes());
                out.push(b'=');
                push_literal(out, &self.values[index]);
            }
        }
        if separator == b" SET " {
            // Nothing changed: the statement still touches the row, as platforms do.
            out.extend_from_slice(format!(" SET {0}={0}", columns[0].name).as_bytes());
        }
        out.extend_from_slice(format!(" WHERE {}=", columns[0].name).as_bytes());
        push_literal(out, &self.before[0]);
        out.extend_from_slice(b";\n");
    }
}

fn push_name(out: &mut Vec<u8>, row: &Row) {
    out.extend_from_slice(database(row.table().source()).as_bytes());
    out.push(b'.');
    out.extend_from_slice(row.table().name().as_bytes());
}

/// All values of a row in brackets.
fn push_row(out: &mut Vec<u8>, row: &Row, values: &mut Vec<Value>) {
    row.values(values);
    let mut separator = b'(';
    for value in values.iter() {
        out.push(separator);
        separator = b',';
        push_literal(out, value);
    }
    out.push(b')');
}

fn push_session_time(out: &mut Vec<u8>, micros: i64) {
    out.extend_from_slice(b"SET TIMESTAMP=");
    push_integer(out, micros.div_euclid(SECOND));
    out.push(b'.');
    push_padded(out, micros.rem_euclid(SECOND) as u64, 6);
    out.extend_from_slice(b";\n");
}

/// Texts of the platform hold no quotes and no backslashes; were there one, the server would refuse it.
fn push_literal(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Integer(number) => push_integer(out, *number),
        plain => {
            out.push(b'\'');
            plain.push_text(out, TimeStyle::Database);
            out.push(b'\'');
        }
    }
}
