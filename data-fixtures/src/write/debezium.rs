//! Debezium's envelope for MySQL, without schemas, decimals as strings, times as texts.
//!
//! Events take the form of an outbox table's insertions, without a transaction's metadata. A heartbeat is
//! Debezium's own message and does not name its source: keep one file per source.

use crate::record::{Change, Delivered, Record};
use crate::row::{Row, Value};
use crate::table::Source;
use crate::text::push_integer;
use crate::write::json_lines::push_json_row;

/// Writes records as Debezium's messages.
#[derive(Debug, Default)]
pub struct DebeziumWriter {
    values: Vec<Value>,
    event_positions: i64,
}

/// Appends the database of a source, as Debezium and Canal name it.
pub(crate) fn push_database(out: &mut Vec<u8>, source: Source) {
    out.extend(
        source
            .name()
            .bytes()
            .map(|byte| if byte == b'-' { b'_' } else { byte }),
    );
}

/// Appends the GTID of a source's transaction.
pub(crate) fn push_gtid(out: &mut Vec<u8>, source: Source, sequence: u64) {
    out.extend_from_slice(b"00000000-0000-0000-0000-00000000000");
    push_integer(out, source as i64 + 1);
    out.push(b':');
    push_integer(out, sequence.cast_signed());
}

impl DebeziumWriter {
    /// Appends the record's message, with a `\n`.
    pub fn write(&mut self, out: &mut Vec<u8>, delivered: &Delivered) {
        match &delivered.record {
            Record::Change(change) => self.write_change(out, delivered, change),
            Record::Event(event) => {
                self.event_positions += 1;
                let position = self.event_positions;
                self.write_rows(out, None, &event.row);
                push_source(
                    out,
                    delivered,
                    event.committed_at,
                    &event.row,
                    None,
                    position,
                );
                push_operation(out, b"c", delivered.arrival);
                out.extend_from_slice(b",\"transaction\":null}\n");
            }
            Record::Heartbeat(at) => {
                out.extend_from_slice(b"{\"ts_ms\":");
                push_integer(out, at.div_euclid(1_000));
                out.extend_from_slice(b"}\n");
            }
        }
    }

    fn write_change(&mut self, out: &mut Vec<u8>, delivered: &Delivered, change: &Change) {
        self.write_rows(out, change.before.as_ref(), &change.after);
        let position = change.sequence.cast_signed() * 1_000;
        push_source(
            out,
            delivered,
            change.committed_at,
            &change.after,
            Some(change),
            position,
        );
        push_operation(
            out,
            if change.before.is_some() { b"u" } else { b"c" },
            delivered.arrival,
        );
        out.extend_from_slice(b",\"transaction\":{\"id\":\"");
        push_gtid(out, delivered.source, change.sequence);
        // A transaction of the platform touches one table, so both orders are the same.
        for name in [&b"\",\"total_order\":"[..], b",\"data_collection_order\":"] {
            out.extend_from_slice(name);
            push_integer(out, i64::from(change.ordinal) + 1);
        }
        out.extend_from_slice(b"}}\n");
    }

    fn write_rows(&mut self, out: &mut Vec<u8>, before: Option<&Row>, after: &Row) {
        out.extend_from_slice(b"{\"before\":");
        match before {
            Some(row) => push_json_row(out, row, 0, &mut self.values),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"after\":");
        push_json_row(out, after, 0, &mut self.values);
    }
}

/// Appends `source`. Commit times are exact in `ts_us` and cut off in `ts_ms`.
fn push_source(
    out: &mut Vec<u8>,
    delivered: &Delivered,
    at: i64,
    row: &Row,
    change: Option<&Change>,
    position: i64,
) {
    out.extend_from_slice(
        b",\"source\":{\"version\":\"3.6.0.Final\",\"connector\":\"mysql\",\"name\":\"",
    );
    out.extend_from_slice(delivered.source.name().as_bytes());
    out.extend_from_slice(b"\",\"ts_ms\":");
    push_integer(out, at.div_euclid(1_000));
    out.extend_from_slice(b",\"ts_us\":");
    push_integer(out, at);
    out.extend_from_slice(b",\"snapshot\":\"false\",\"db\":\"");
    push_database(out, delivered.source);
    out.extend_from_slice(b"\",\"sequence\":null,\"table\":\"");
    out.extend_from_slice(row.table().name().as_bytes());
    out.extend_from_slice(b"\",\"server_id\":1,\"gtid\":");
    match change {
        Some(change) => {
            out.push(b'"');
            push_gtid(out, delivered.source, change.sequence);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"file\":\"mysql-bin.000001\",\"pos\":");
    push_integer(out, position);
    out.extend_from_slice(b",\"row\":");
    push_integer(out, change.map_or(0, |change| i64::from(change.ordinal)));
    out.extend_from_slice(b",\"thread\":null,\"query\":null}");
}

fn push_operation(out: &mut Vec<u8>, operation: &[u8], arrival: i64) {
    out.extend_from_slice(b",\"op\":\"");
    out.extend_from_slice(operation);
    out.extend_from_slice(b"\",\"ts_ms\":");
    push_integer(out, arrival.div_euclid(1_000));
}
