//! The project's own change log, version 1.

use crate::record::{Change, Delivered, Event, Record};
use crate::row::{Row, Value};
use crate::table::Source;
use crate::text::{TimeStyle, push_integer, push_json_text, push_time};

/// Who changes rows by hand, as far as the log knows it.
const BY_HAND: &[u8] = b",\"thread\":77,\"account\":\"ops@console\"";

/// Writes records as lines of the change log.
#[derive(Debug, Default)]
pub struct JsonLinesWriter {
    values: Vec<Value>,
}

/// Appends a value as JSON: decimals and timestamps are strings, integers numbers.
pub(crate) fn push_json_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Integer(number) => push_integer(out, *number),
        Value::Text(text) => push_json_text(out, text),
        plain => {
            out.push(b'"');
            plain.push_text(out, TimeStyle::Rfc3339);
            out.push(b'"');
        }
    }
}

/// Appends a row as a JSON object, without its first `skip` columns.
pub(crate) fn push_json_row(out: &mut Vec<u8>, row: &Row, skip: usize, values: &mut Vec<Value>) {
    row.values(values);
    let mut separator = b'{';
    for (column, value) in row.table().columns().iter().zip(values.iter()).skip(skip) {
        out.push(separator);
        separator = b',';
        out.push(b'"');
        out.extend_from_slice(column.name.as_bytes());
        out.extend_from_slice(b"\":");
        push_json_value(out, value);
    }
    out.push(b'}');
}

impl JsonLinesWriter {
    /// Appends the record's line, with its `\n`.
    pub fn write(&mut self, out: &mut Vec<u8>, delivered: &Delivered) {
        match &delivered.record {
            Record::Change(change) => self.write_change(out, change),
            Record::Event(event) => self.write_event(out, event),
            Record::Heartbeat(at) => write_heartbeat(out, delivered.source, *at),
        }
        out.push(b'\n');
    }

    fn write_change(&mut self, out: &mut Vec<u8>, change: &Change) {
        out.extend_from_slice(b"{\"table\":\"");
        out.extend_from_slice(change.after.table().name().as_bytes());
        out.extend_from_slice(if change.before.is_some() {
            b"\",\"op\":\"update\",\"epoch\":"
        } else {
            b"\",\"op\":\"insert\",\"epoch\":"
        });
        push_integer(out, i64::from(change.epoch));
        out.extend_from_slice(b",\"sequence\":");
        push_integer(out, change.sequence.cast_signed());
        out.extend_from_slice(b",\"ordinal\":");
        push_integer(out, i64::from(change.ordinal));
        out.extend_from_slice(if change.last {
            b",\"last\":true"
        } else {
            b",\"last\":false"
        });
        push_committed_at(out, change.committed_at);
        if change.by_hand {
            out.extend_from_slice(BY_HAND);
        }
        if let Some(before) = &change.before {
            out.extend_from_slice(b",\"before\":");
            push_json_row(out, before, 0, &mut self.values);
        }
        out.extend_from_slice(b",\"after\":");
        push_json_row(out, &change.after, 0, &mut self.values);
        out.push(b'}');
    }

    fn write_event(&mut self, out: &mut Vec<u8>, event: &Event) {
        out.extend_from_slice(b"{\"event\":\"");
        out.extend_from_slice(event.row.table().name().as_bytes());
        out.extend_from_slice(b"\",\"message_id\":\"");
        event.row.primary_key().push_text(out);
        out.push(b'"');
        push_committed_at(out, event.committed_at);
        out.extend_from_slice(b",\"after\":");
        push_json_row(out, &event.row, 1, &mut self.values);
        out.push(b'}');
    }
}

fn push_committed_at(out: &mut Vec<u8>, at: i64) {
    out.extend_from_slice(b",\"committed_at\":\"");
    push_time(out, at, TimeStyle::Rfc3339);
    out.push(b'"');
}

fn write_heartbeat(out: &mut Vec<u8>, source: Source, at: i64) {
    out.extend_from_slice(b"{\"heartbeat\":\"");
    out.extend_from_slice(source.name().as_bytes());
    out.push(b'"');
    push_committed_at(out, at);
    out.push(b'}');
}
