//! Records of the quarantine as detection's interface tells them.

use centinel_engine::detect::{HoleMessage, QuarantineError, SettledTo};
use centinel_interface::{Problem, QuarantinedBytes, QuarantinedRecord, Settled, Standing};
use centinel_model::Position;

/// A record that could not be read.
pub fn record(hole: HoleMessage) -> QuarantinedRecord {
    let settled = hole.settled;
    QuarantinedRecord {
        number: hole.number,
        position: place(&hole.position),
        reason: serde_json::to_value(hole.reason)
            .ok()
            .and_then(|reason| Some(reason.as_str()?.to_owned()))
            .unwrap_or_default(),
        input: hole.input,
        message: hole.message,
        table: hole.table,
        entities: hole.entities,
        bytes_total: hole.bytes_total,
        standing: match settled.as_ref().map(|settled| settled.to) {
            None => Standing::Waiting,
            Some(SettledTo::Redriven) => Standing::Redriven,
            Some(SettledTo::Accepted) => Standing::Accepted,
        },
        settled: settled.map(|settled| Settled {
            by: settled.by,
            at: settled.at,
            reason: settled.reason,
        }),
    }
}

/// What was kept of its bytes.
pub fn bytes(hole: &HoleMessage, kept: &[u8]) -> QuarantinedBytes {
    let text = String::from_utf8_lossy(kept);
    QuarantinedBytes {
        whole: hole.bytes_total == kept.len() as u64 && text.as_bytes() == kept,
        text: text.into_owned(),
    }
}

/// Why something cannot be done to a record.
pub fn problem(error: QuarantineError) -> Problem {
    let what = error.to_string();
    match error {
        QuarantineError::NotFound(_) => Problem::NotFound(what),
        QuarantineError::Refused(_) => Problem::Refused(what),
        QuarantineError::Unavailable(_) | QuarantineError::Failed(_) => Problem::Unavailable(what),
    }
}

/// Where it stands, as a person would write it.
fn place(position: &Position) -> String {
    match position {
        Position::File { offset, .. } => format!("byte {offset}"),
        Position::Partition { next, .. } => format!("offset {next}"),
        Position::Binlog {
            transactions, row, ..
        } => format!("transaction {transactions}, row {row}"),
        Position::Snapshot { rows, .. } => format!("row {rows}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_whole_where_the_text_says_all_of_them() {
        let hole = |total| -> HoleMessage {
            serde_json::from_value(serde_json::json!({
                "schema": "centinel/hole/1", "number": 7, "input": "log", "reason": "invalid_utf8", "message": "no",
                "position": { "kind": "file", "offset": 12, "first_line": "" }, "table": null, "entities": [],
                "bytes_total": total,
            }))
            .unwrap()
        };
        for (kept, total, text, whole) in [
            (&b"abc"[..], 3, "abc", true),
            (b"abc", 4, "abc", false),
            (b"a\xffc", 3, "a\u{fffd}c", false),
        ] {
            let told = bytes(&hole(total), kept);
            assert_eq!((told.text.as_str(), told.whole), (text, whole));
        }
        let told = record(hole(3));
        assert_eq!((told.number, told.reason.as_str()), (7, "invalid_utf8"));
        assert_eq!(
            (told.position.as_str(), told.standing),
            ("byte 12", Standing::Waiting)
        );
    }
}
