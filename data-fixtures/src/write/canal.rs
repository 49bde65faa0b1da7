//! Canal's flat messages: one message for the rows of one transaction, all values texts.
//!
//! A heartbeat is an update of the one row of a table `heartbeat` in the source's database, which holds the time.

use crate::record::{Delivered, Record};
use crate::row::{Row, Value};
use crate::table::{Column, ColumnKind, Source, Table};
use crate::text::{TimeStyle, push_integer, push_json_text, push_time, to_text};
use crate::write::debezium::{push_database, push_gtid};

/// Writes records as Canal's flat messages. Rows wait until their transaction is whole.
#[derive(Debug, Default)]
pub struct CanalWriter {
    messages: i64,
    waiting: [Vec<Delivered>; Source::ALL.len()],
    values: Vec<Value>,
    old: Vec<Value>,
}

fn mysql_type(kind: ColumnKind) -> (String, i64) {
    match kind {
        ColumnKind::Text => ("varchar(64)".to_owned(), 12),
        ColumnKind::Decimal { precision, scale } => (format!("decimal({precision},{scale})"), 3),
        ColumnKind::Integer => ("bigint(20)".to_owned(), -5),
        ColumnKind::Timestamp => ("datetime(6)".to_owned(), 93),
    }
}

fn push_text_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) => push_json_text(out, text),
        plain => {
            out.push(b'"');
            plain.push_text(out, TimeStyle::Database);
            out.push(b'"');
        }
    }
}

/// Appends `{"name":value,…}` of the columns that `wanted` lets through.
fn push_object<T>(
    out: &mut Vec<u8>,
    columns: &[Column],
    values: &[T],
    wanted: impl Fn(usize) -> bool,
    push: impl Fn(&mut Vec<u8>, &T),
) {
    let mut separator = b'{';
    for (index, (column, value)) in columns.iter().zip(values).enumerate() {
        if wanted(index) {
            out.push(separator);
            separator = b',';
            push_json_text(out, column.name);
            out.push(b':');
            push(out, value);
        }
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

impl CanalWriter {
    /// Appends the message that this record completes, with a `\n`; nothing while its transaction is not whole.
    pub fn write(&mut self, out: &mut Vec<u8>, delivered: &Delivered) {
        match &delivered.record {
            Record::Heartbeat(at) => self.write_heartbeat(out, delivered, *at),
            Record::Event(_) => self.write_message(out, &[*delivered]),
            Record::Change(change) => {
                let waiting = &mut self.waiting[delivered.source as usize];
                waiting.push(*delivered);
                if change.last {
                    let rows = std::mem::take(waiting);
                    self.write_message(out, &rows);
                }
            }
        }
    }

    /// Appends one message. `rows` are of one table and operation, and not empty.
    fn write_message(&mut self, out: &mut Vec<u8>, rows: &[Delivered]) {
        let changes: Vec<(Option<Row>, Row)> = rows
            .iter()
            .filter_map(|delivered| match &delivered.record {
                Record::Change(change) => Some((change.before, change.after)),
                Record::Event(event) => Some((None, event.row)),
                Record::Heartbeat(_) => None,
            })
            .collect();
        let Some((before, after)) = changes.first() else {
            return;
        };
        let (table, is_update) = (after.table(), before.is_some());
        out.extend_from_slice(b"{\"data\":[");
        for (index, (_, after)) in changes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            after.values(&mut self.values);
            push_object(
                out,
                table.columns(),
                &self.values,
                |_| true,
                push_text_value,
            );
        }
        out.push(b']');
        self.push_head(out, &rows[0], table.name());
        push_types(out, table);
        self.push_old(out, table, &changes, is_update);
        push_primary_key(out, table.columns()[0].name, is_update);
    }

    /// Appends the fields that do not depend on the rows.
    fn push_head(&mut self, out: &mut Vec<u8>, delivered: &Delivered, table: &str) {
        self.messages += 1;
        out.extend_from_slice(b",\"database\":\"");
        push_database(out, delivered.source);
        out.extend_from_slice(b"\",\"table\":\"");
        out.extend_from_slice(table.as_bytes());
        for (name, number) in [
            (&b"\",\"id\":"[..], self.messages),
            (
                b",\"es\":",
                delivered.record.committed_at().div_euclid(1_000),
            ),
            (b",\"ts\":", delivered.arrival.div_euclid(1_000)),
        ] {
            out.extend_from_slice(name);
            push_integer(out, number);
        }
        out.extend_from_slice(b",\"gtid\":\"");
        if let Record::Change(change) = &delivered.record {
            push_gtid(out, delivered.source, change.sequence);
        }
        out.push(b'"');
    }

    fn push_old(
        &mut self,
        out: &mut Vec<u8>,
        table: Table,
        changes: &[(Option<Row>, Row)],
        is_update: bool,
    ) {
        if !is_update {
            out.extend_from_slice(b",\"old\":null");
            return;
        }
        out.extend_from_slice(b",\"old\":[");
        for (index, (before, after)) in changes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            after.values(&mut self.values);
            before.unwrap_or(*after).values(&mut self.old);
            let changed = |column: usize| self.old[column] != self.values[column];
            push_object(out, table.columns(), &self.old, changed, push_text_value);
        }
        out.push(b']');
    }

    fn write_heartbeat(&mut self, out: &mut Vec<u8>, delivered: &Delivered, at: i64) {
        let time = to_text(|out| push_time(out, at, TimeStyle::Database));
        out.extend_from_slice(b"{\"data\":[{\"id\":\"1\",\"beaten_at\":\"");
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b"\"}]");
        self.push_head(out, delivered, "heartbeat");
        out.extend_from_slice(
            b",\"mysqlType\":{\"id\":\"bigint(20)\",\"beaten_at\":\"datetime(6)\"},\"sqlType\":{\"id\":-5,\"beaten_at\":93}",
        );
        out.extend_from_slice(b",\"old\":[{}]");
        push_primary_key(out, "id", true);
    }
}

fn push_types(out: &mut Vec<u8>, table: Table) {
    let types: Vec<(String, i64)> = table
        .columns()
        .iter()
        .map(|column| mysql_type(column.kind))
        .collect();
    out.extend_from_slice(b",\"mysqlType\":");
    push_object(
        out,
        table.columns(),
        &types,
        |_| true,
        |out, (name, _)| push_json_text(out, name),
    );
    out.extend_from_slice(b",\"sqlType\":");
    push_object(
        out,
        table.columns(),
        &types,
        |_| true,
        |out, (_, number)| push_integer(out, *number),
    );
}

fn push_primary_key(out: &mut Vec<u8>, column: &str, is_update: bool) {
    out.extend_from_slice(b",\"pkNames\":[");
    push_json_text(out, column);
    out.extend_from_slice(b"],\"isDdl\":false,\"sql\":\"\",\"type\":\"");
    out.extend_from_slice(if is_update { b"UPDATE" } else { b"INSERT" });
    out.extend_from_slice(b"\"}\n");
}
