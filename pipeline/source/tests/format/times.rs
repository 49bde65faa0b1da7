//! Times and truth values as Debezium writes them.

use centinel_model::HoleReason;
use centinel_source::{DebeziumOptions, Format, IntegerTimes};

use crate::debezium::{create, row};
use crate::support::{decode, decoder, value_of};

fn read(
    times: Option<IntegerTimes>,
    column: &str,
    json: &str,
) -> Result<String, (HoleReason, String)> {
    let value = create(1, "AQ==").replace(
        &format!(r#""{column}":null"#),
        &format!(r#""{column}":{json}"#),
    );
    let format = Format::Debezium(DebeziumOptions {
        times,
        ..DebeziumOptions::default()
    });
    value_of(&decode(&mut decoder(format), &[&value]), column)
}

/// As [`read`], beside a schema that calls the column so; of the table whose clock runs ahead of UTC.
fn read_beside(name: &str, json: &str) -> Result<String, (HoleReason, String)> {
    let payload = create(1, "AQ==")
        .replace(&row(1, "AQ=="), &format!(r#"{{"id":1,"at":{json}}}"#))
        .replace(r#""db":"shop""#, r#""db":"pay_1""#)
        .replace(r#""table":"payment""#, r#""table":"split_1""#);
    let value = format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{{"type":"int64","field":"id"}},{{"type":"int64","name":"{name}","field":"at"}}]}}]}},"payload":{payload}}}"#
    );
    let chunk = decode(
        &mut decoder(Format::Debezium(DebeziumOptions::default())),
        &[&value],
    );
    value_of(&chunk, "at")
}

#[test]
fn a_schema_says_what_a_time_counts() {
    let at = Ok("2026-11-22T07:59:00.123456");
    let table = [
        ("io.debezium.time.MicroTimestamp", "1795363140123456"),
        ("io.debezium.time.NanoTimestamp", "1795363140123456000"),
        (
            "io.debezium.time.IsoTimestamp",
            r#""2026-11-22T15:59:00.123456Z""#,
        ),
        // An instant, which no zone moves.
        (
            "io.debezium.time.ZonedTimestamp",
            r#""2026-11-22T07:59:00.123456Z""#,
        ),
        (
            "io.debezium.time.ZonedTimestamp",
            r#""2026-11-22T15:59:00.123456+08:00""#,
        ),
    ];
    for (name, json) in table {
        assert_eq!(read_beside(name, json).as_deref(), at, "{name}");
    }
    for name in [
        "io.debezium.time.Timestamp",
        "org.apache.kafka.connect.data.Timestamp",
    ] {
        assert_eq!(
            read_beside(name, "1795363140123").as_deref(),
            Ok("2026-11-22T07:59:00.123"),
            "{name}"
        );
    }
    assert_eq!(
        read_beside("io.debezium.time.NanoTimestamp", "1795363140123456789")
            .unwrap_err()
            .0,
        HoleReason::OutOfRange
    );
    let (reason, says) = read_beside("io.debezium.time.MicroTime", "5").unwrap_err();
    assert_eq!(reason, HoleReason::WrongType);
    assert!(says.contains("does not call a time"), "{says}");
}

#[test]
fn without_a_schema_whole_numbers_must_be_said_to_be_times() {
    let (reason, says) = read(None, "paid_at", "1795334340000").unwrap_err();
    assert_eq!(reason, HoleReason::WrongType);
    assert!(
        says.contains("times = ") && says.contains("schemas"),
        "{says}"
    );
    let at = Ok("2026-11-22T07:59:00");
    assert_eq!(
        read(Some(IntegerTimes::Millis), "paid_at", "1795334340000").as_deref(),
        at
    );
    assert_eq!(
        read(Some(IntegerTimes::Micros), "paid_at", "1795334340000000").as_deref(),
        at
    );
    assert_eq!(
        read(Some(IntegerTimes::Nanos), "paid_at", "1795334340000000000").as_deref(),
        at
    );
    // The wrong unit leads out of the years, or is refused by the schema's own times; it is never guessed.
    assert_eq!(
        read(Some(IntegerTimes::Millis), "paid_at", "1795334340000000")
            .unwrap_err()
            .0,
        HoleReason::AbsurdTime
    );
    assert_eq!(
        read(Some(IntegerTimes::Millis), "paid_at", "-1")
            .unwrap_err()
            .0,
        HoleReason::AbsurdTime
    );
    assert_eq!(
        read(Some(IntegerTimes::Millis), "paid_at", "1.5")
            .unwrap_err()
            .0,
        HoleReason::WrongType
    );
}

#[test]
fn text_of_times_is_always_read() {
    for (json, at) in [
        (r#""2026-11-22T07:59:00Z""#, "2026-11-22T07:59:00"),
        (
            r#""2026-11-22T07:59:00.000001Z""#,
            "2026-11-22T07:59:00.000001",
        ),
        (r#""2026-11-22T15:59:00+08:00""#, "2026-11-22T07:59:00"),
        (r#""2026-11-22 07:59:00.5""#, "2026-11-22T07:59:00.500"),
    ] {
        assert_eq!(read(None, "paid_at", json).as_deref(), Ok(at));
    }
    let (reason, says) = read(None, "paid_at", r#""0000-00-00 00:00:00""#).unwrap_err();
    assert_eq!(reason, HoleReason::AbsurdTime);
    assert!(says.contains("zero date"), "{says}");
    assert_eq!(
        read(None, "paid_at", r#""soon""#).unwrap_err().0,
        HoleReason::WrongType
    );
    assert_eq!(
        read(None, "paid_at", r#"{"seconds":1}"#).unwrap_err().0,
        HoleReason::Drift
    );
}

#[test]
fn days_are_numbers_or_text() {
    for (json, day) in [
        ("20779", "2026-11-22"),
        ("-1", "1969-12-31"),
        (r#""2026-11-22""#, "2026-11-22"),
        (r#""2026-11-22Z""#, "2026-11-22"),
    ] {
        assert_eq!(read(None, "day", json).as_deref(), Ok(day), "{json}");
    }
    assert_eq!(
        read(None, "day", "1795334340").unwrap_err().0,
        HoleReason::AbsurdTime
    );
    assert_eq!(
        read(None, "day", "1795334340000").unwrap_err().0,
        HoleReason::OutOfRange
    );
    assert_eq!(
        read(None, "day", r#""0000-00-00""#).unwrap_err().0,
        HoleReason::AbsurdTime
    );
}

#[test]
fn truth_is_a_number_in_snapshots_and_a_truth_value_in_the_stream() {
    for (json, truth) in [
        ("true", "true"),
        ("1", "true"),
        ("0", "false"),
        ("false", "false"),
    ] {
        assert_eq!(read(None, "live", json).as_deref(), Ok(truth), "{json}");
    }
    for (json, reason) in [
        ("2", HoleReason::WrongType),
        (r#""AQ==""#, HoleReason::Drift),
        ("0.0", HoleReason::WrongType),
    ] {
        assert_eq!(read(None, "live", json).unwrap_err().0, reason, "{json}");
    }
}

#[test]
fn json_is_text_that_holds_it() {
    assert_eq!(
        read(None, "extra", r#""{\"a\": [1]}""#).as_deref(),
        Ok(r#"{"a": [1]}"#)
    );
    assert_eq!(
        read(None, "extra", r#""{""#).unwrap_err().0,
        HoleReason::WrongType
    );
}
