//! What a change log says is what the columns hold, or it is a hole.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use centinel_model::{
    Amount, EntityKey, HoleReason, LineContent, Operation, Position, Timestamp, TransactionRow,
    Version,
};
use centinel_source::{Decoder, RawChunk};
use common::*;
use proptest::prelude::*;

#[test]
fn a_row_is_read_exactly() {
    let decoded = decode(insert(7));
    assert_eq!(decoded.holes, vec![]);
    let changes = &decoded.tables[0];
    assert_eq!(changes.table, PAYMENT);
    assert_eq!(changes.operations, [Operation::Insert]);
    assert_eq!(
        changes.versions,
        [Version {
            epoch: 1,
            sequence: 7,
            ordinal: 0
        }]
    );
    assert_eq!(changes.committed_at, [Timestamp::parse(NOW).unwrap()]);
    assert_eq!(
        (changes.before.row[0], changes.after.row[0]),
        (None, Some(0))
    );
    let rows = &changes.after.rows;
    assert_eq!(rows.schema(), catalog().tables[0].storage_schema());
    assert_eq!(rows.column(0).as_string::<i32>().value(0), "P7");
    assert_eq!(
        rows.column(1).as_string::<i32>().value(0),
        "O7",
        "entity keys are normalised"
    );
    assert_eq!(
        rows.column(2).as_primitive::<Decimal128Type>().value(0),
        1250
    );
    assert_eq!(rows.column(3).as_primitive::<Int64Type>().value(0), 1250);
    assert!(rows.column(4).as_boolean().value(0));
    assert!(rows.column(5).is_null(0));
    assert_eq!(rows.column(6).as_primitive::<Date32Type>().value(0), 20_779);
    assert_eq!(rows.column(7).as_string::<i32>().value(0), r#"{"a":1}"#);
    let updated_at = rows
        .column(8)
        .as_primitive::<TimestampMicrosecondType>()
        .value(0);
    assert_eq!(
        Timestamp(updated_at).to_string(),
        "2026-11-22T08:00:00.000001Z"
    );
}

#[test]
fn fields_may_stand_in_any_order_with_blanks_and_escapes() {
    let line = r#" { "after" : {"updated_at":"2026-11-22T16:00:00+08:00", "order_no":"\u004f1","amount":-3,"payment_no":"\"\\é\n"} ,
        "committed_at":"2026-11-22T08:00:00Z","ordinal":2,"sequence":9,"epoch":3,"op":"snapshot","table":"payment"} "#
        .replace('\n', "");
    let decoded = decode(format!("{line}\r\n"));
    assert_eq!(decoded.holes, vec![]);
    let rows = &decoded.tables[0].after.rows;
    assert_eq!(rows.column(0).as_string::<i32>().value(0), "\"\\é\n");
    assert_eq!(rows.column(1).as_string::<i32>().value(0), "O1");
    assert_eq!(
        rows.column(2).as_primitive::<Decimal128Type>().value(0),
        -300
    );
    assert!(rows.column(7).is_null(0));
    let transaction = TransactionRow {
        source: PAYMENT_DB,
        epoch: 3,
        sequence: 9,
        last: false,
    };
    assert_eq!(
        decoded.lines[0].content,
        LineContent::Change {
            table: 0,
            row: 0,
            transaction
        }
    );
}

#[test]
fn updates_and_deletions_carry_their_images() {
    let update = insert(1)
        .replace("insert", "update")
        .replace(r#""after""#, &format!(r#""before":{},"after""#, columns(2)));
    let delete = insert(3)
        .replace("insert", "delete")
        .replace("after", "before");
    let decoded = decode(format!("{update}\n{delete}\n{}\n", insert(4)));
    assert_eq!(decoded.holes, vec![]);
    let changes = &decoded.tables[0];
    assert_eq!(changes.before.row, [Some(0), Some(1), None]);
    assert_eq!(changes.after.row, [Some(0), None, Some(1)]);
    let key = |images: &centinel_model::Images, row| {
        images
            .rows
            .column(1)
            .as_string::<i32>()
            .value(row)
            .to_owned()
    };
    assert_eq!(
        [key(&changes.before, 0), key(&changes.before, 1)],
        ["O2", "O3"]
    );
    assert_eq!(
        [key(&changes.after, 0), key(&changes.after, 1)],
        ["O1", "O4"]
    );
}

#[test]
fn events_and_heartbeats() {
    let event = r#"{"event":"payment_completed","message_id":"m-7","committed_at":"2026-11-22T08:00:00Z","after":{"order_no":"o1","amount":1.5}}"#;
    let swapped = r#"{"event":"payment_completed","after":{"order_no":"o1","amount":1.5},"message_id":"m-8","committed_at":"2026-11-22T08:00:00Z"}"#;
    let heartbeat = r#"{"heartbeat":"payment-db","committed_at":"2026-11-22T08:00:01Z"}"#;
    let decoded = decode(format!("{event}\n{heartbeat}\n{swapped}"));
    assert_eq!(decoded.holes, vec![]);
    assert_eq!(decoded.tables[0].table, PAYMENT_COMPLETED);
    let ids = decoded.tables[0].after.rows.column(0).as_string::<i32>();
    assert_eq!([ids.value(0), ids.value(1)], ["m-7", "m-8"]);
    assert_eq!(decoded.tables[0].versions, [Version::default(); 2]);
    let committed_at = Timestamp::parse("2026-11-22T08:00:01Z").unwrap();
    assert_eq!(
        decoded.lines[1].content,
        LineContent::Heartbeat {
            source: PAYMENT_DB,
            committed_at
        }
    );
    assert_eq!(decoded.lines[1].offset, 1_000 + event.len() as u64 + 1);
}

/// Every kind of bad line, with its reason and whether its order can still be told.
fn bad_lines() -> Vec<(HoleReason, bool, String)> {
    use HoleReason::*;
    let column = |from: &str, to: &str| insert_of(5, &columns(5).replace(from, to));
    let envelope = |from: &str, to: &str| insert(5).replace(from, to);
    let event = r#"{"event":"payment_completed","message_id":"m","committed_at":"2026-11-22T08:00:00Z","after":{"order_no":"o5","amount":1}}"#;
    let whole = insert(5);
    vec![
        (Malformed, false, String::new()),
        (Malformed, false, whole[..whole.len() - 1].into()),
        (Malformed, false, whole[..200].into()),
        (Malformed, false, format!("{whole},")),
        (Malformed, false, format!("{whole}{whole}")),
        (Malformed, false, format!("[{whole}]")),
        (Malformed, false, column(r#","amount""#, r#""amount""#)),
        (Malformed, false, column(r#","amount""#, r#",,"amount""#)),
        (Malformed, false, column("true", "true,")),
        (Malformed, false, column("1250", "01250")),
        (Malformed, false, column("P5", "P\t5")),
        (Malformed, false, column("P5", r"P\ud800")),
        (
            Malformed,
            false,
            column(r#""fen":1250"#, r#""fen":1250,"fen":1250"#),
        ),
        (
            Malformed,
            false,
            envelope(r#""epoch":1"#, r#""epoch":1,"epoch":1"#),
        ),
        (
            Malformed,
            false,
            envelope(r#""op":"insert""#, r#""op":"delete","before":{}"#),
        ),
        (
            Malformed,
            false,
            event.replace("\"amount\"", "\"message_id\":\"m\",\"amount\""),
        ),
        (WrongType, true, column("1250", "\"1250\"")),
        (WrongType, true, column("1250", "1250.0")),
        (WrongType, true, column("1250", "1e3")),
        (WrongType, true, column("\"P5\"", "5")),
        (WrongType, true, column("\"P5\"", "{\"no\":5}")),
        (WrongType, true, column("\"12.50\"", "\"12,50\"")),
        (WrongType, true, column("\"12.50\"", "1.25e1")),
        (WrongType, true, column("\"12.50\"", "true")),
        (WrongType, true, column("\"12.50\"", "\"\"")),
        (WrongType, true, column("true", "\"true\"")),
        (WrongType, true, column("true", "1")),
        (WrongType, true, column("2026-11-22\"", "2026-02-30\"")),
        (WrongType, true, column("08:00:00.000001Z", "08:00")),
        (WrongType, true, column(r#"{\"a\":1}"#, r#"{\"a\":"#)),
        (WrongType, false, column("\" o5 \"", "5")),
        (WrongType, false, insert_of(5, "[]")),
        (WrongType, true, envelope(r#""epoch":1"#, r#""epoch":"1""#)),
        (OutOfRange, true, column("12.50", "12.505")),
        (OutOfRange, true, column("12.50", "10000000000000000.00")),
        (OutOfRange, true, column("1250", "9223372036854775808")),
        (OutOfRange, true, column("000001Z", "0000011Z")),
        (OutOfRange, true, column("08:00:00.000001Z", "23:59:60Z")),
        (
            OutOfRange,
            true,
            envelope(r#""sequence":5"#, r#""sequence":-5"#),
        ),
        (AbsurdTime, true, column("2026-11-22T", "1969-11-22T")),
        (
            AbsurdTime,
            true,
            envelope("committed_at\":\"2026-11-22", "committed_at\":\"2026-11-24"),
        ),
        (
            AbsurdTime,
            false,
            r#"{"heartbeat":"payment-db","committed_at":"2126-11-22T08:00:00Z"}"#.into(),
        ),
        (UnknownColumn, true, column("\"fen\"", "\"cents\"")),
        (MissingColumn, true, column(r#""amount":"12.50","#, "")),
        (MissingColumn, true, column("\"12.50\"", "null")),
        (MissingColumn, true, envelope(r#""ordinal":0,"#, "")),
        (MissingColumn, false, envelope("insert", "update")),
        (MissingColumn, false, insert_of(5, "null")),
        (
            MissingColumn,
            true,
            event.replace(r#""message_id":"m","#, ""),
        ),
        (
            UnknownTable,
            false,
            envelope(r#""payment""#, r#""payments""#),
        ),
        (
            UnknownTable,
            false,
            envelope(r#""payment""#, r#""payment_completed""#),
        ),
        (
            UnknownTable,
            false,
            r#"{"heartbeat":"nobody","committed_at":"2026-11-22T08:00:00Z"}"#.into(),
        ),
        (UnknownForm, false, "{}".into()),
        (
            UnknownForm,
            true,
            envelope(r#""epoch":1"#, r#""epoch":1,"shard":2"#),
        ),
        (UnknownForm, true, envelope("insert", "upsert")),
        (
            UnknownForm,
            true,
            event.replace(r#""committed_at""#, r#""op":"insert","committed_at""#),
        ),
    ]
}

#[test]
fn every_bad_line_is_a_hole_and_takes_no_neighbour_with_it() {
    for (reason, order_known, line) in bad_lines() {
        let log = format!("{}\n{line}\n{}\n", insert(1), insert(2));
        let decoded = decode(log);
        let [hole] = &decoded.holes[..] else {
            panic!("{reason:?} {line}: {:?}", decoded.holes)
        };
        assert_eq!(hole.reason, reason, "{line}: {}", hole.message);
        assert_eq!(hole.bytes, line.as_bytes());
        assert_eq!(hole.bytes_total, line.len() as u64);
        let offset = 1_001 + insert(1).len() as u64;
        assert_eq!(
            hole.position,
            Position::File {
                offset,
                first_line: "hash".into()
            }
        );
        let order = if order_known {
            vec![(ORDER, EntityKey::from("O5"))]
        } else {
            vec![]
        };
        assert_eq!(hole.entities, order, "{line}");
        assert!(!hole.message.contains("12.5"), "{}", hole.message);
        let good = &decoded.tables[0];
        assert_eq!(
            good.versions
                .iter()
                .map(|version| version.sequence)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        let numbers = good.after.rows.column(0).as_string::<i32>();
        assert_eq!([numbers.value(0), numbers.value(1)], ["P1", "P2"], "{line}");
    }
}

#[test]
fn a_hole_tells_its_table_and_transaction() {
    let line = insert(5).replace("\"12.50\"", "null");
    let decoded = decode(line);
    assert_eq!(
        (decoded.holes[0].table, decoded.holes[0].source),
        (Some(PAYMENT), Some(PAYMENT_DB))
    );
    let transaction = TransactionRow {
        source: PAYMENT_DB,
        epoch: 1,
        sequence: 5,
        last: true,
    };
    assert_eq!(
        decoded.lines[0].content,
        LineContent::Hole {
            hole: 0,
            transaction: Some(transaction)
        }
    );
}

#[test]
fn invalid_utf8_and_a_line_above_the_limit_are_holes() {
    let mut log = insert(1).into_bytes();
    log.extend_from_slice(b"\n\xff\n");
    log.extend_from_slice(insert(2).as_bytes());
    let decoded = decode(log);
    assert_eq!(decoded.holes[0].reason, HoleReason::InvalidUtf8);
    assert_eq!(decoded.tables[0].len(), 2);

    let raw = RawChunk {
        oversized: Some(50_000_000),
        ..chunk("{".repeat(1 << 20))
    };
    let decoded = Decoder::new(&catalog())
        .decode(raw, Timestamp::MIN)
        .unwrap();
    assert_eq!(
        (decoded.holes[0].reason, decoded.holes[0].bytes_total),
        (HoleReason::TooLong, 50_000_000)
    );
    assert_eq!(decoded.end, 50_001_000);
}

/// Decimal texts, good and bad, in all lengths.
fn decimal_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?",
        "[-+.0-9e ]{0,12}",
        any::<i64>().prop_map(|n| n.to_string())
    ]
}

proptest! {
    #[test]
    fn a_decimal_round_trips_exactly_or_is_refused(text in decimal_text()) {
        let decoded = decode(insert_of(1, &columns(1).replace("12.50", &text)));
        let expected = Amount::parse(&text, 18, 2);
        match expected {
            Ok(amount) => {
                prop_assert_eq!(&decoded.holes, &vec![]);
                let units = decoded.tables[0].after.rows.column(2).as_primitive::<Decimal128Type>().value(0);
                prop_assert_eq!(units, amount.units);
            }
            Err(_) => prop_assert_eq!(decoded.holes.len(), 1),
        }
    }

    #[test]
    fn timestamps_agree_with_the_slow_reader(micros in 0..=Timestamp::LATEST.0) {
        let text = Timestamp(micros).to_string();
        let decoded = decode(insert_of(1, &columns(1).replace("2026-11-22T08:00:00.000001Z", &text)));
        let read = decoded.tables[0].after.rows.column(8).as_primitive::<TimestampMicrosecondType>().value(0);
        prop_assert_eq!(read, micros);
    }

    #[test]
    fn random_bytes_never_panic_and_every_line_is_accounted_for(
        start in 0usize..600, junk in proptest::collection::vec(any::<u8>(), 0..40), replaced in 0usize..20,
    ) {
        let mut log = format!("{}\n{}\n", insert(1), insert(2)).into_bytes();
        let start = start.min(log.len());
        log.splice(start..(start + replaced).min(log.len()), junk);
        let lines = log.split(|byte| *byte == b'\n').count() - usize::from(log.last() == Some(&b'\n'));
        let decoded = decode(log);
        let changes: usize = decoded.tables.iter().map(|table| table.len()).sum();
        let heartbeats = decoded.lines.iter().filter(|line| matches!(line.content, LineContent::Heartbeat { .. }));
        prop_assert_eq!(decoded.lines.len(), lines);
        prop_assert_eq!(changes + decoded.holes.len() + heartbeats.count(), lines);
    }
}
