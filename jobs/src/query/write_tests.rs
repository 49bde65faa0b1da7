#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::*;

const HOSTILE: &str = "E1\u{1b}[2J\r\n\u{9b}31m\u{202e},\"=cmd\u{7f}";

fn answer(columns: Vec<(&str, ArrayRef)>) -> Answer {
    let fields = columns.iter();
    let fields = fields.map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    Answer {
        schema,
        batches: vec![batch],
        is_cut: false,
    }
}

fn text(answer: &Answer, format: Format) -> String {
    write(answer, format, true).unwrap().text
}

fn hostile() -> Answer {
    let texts = StringArray::from(vec![Some(HOSTILE), Some(""), None, Some("=1+1")]);
    answer(vec![(HOSTILE, Arc::new(texts))])
}

#[test]
fn nothing_of_a_row_steers_a_terminal() {
    for format in [Format::Table, Format::Jsonl, Format::Csv] {
        let text = text(&hostile(), format);
        let steers = |c: char| c != '\n' && c != '\r' && one_line(&c.to_string()) != c.to_string();
        assert!(!text.contains(steers), "{text:?}");
        // The ends of lines are those of rows.
        let ends = text.matches('\n').count();
        let rows = match format {
            Format::Table => 8,
            Format::Jsonl => 4,
            Format::Csv => 5,
        };
        assert_eq!(ends, rows, "{text:?}");
    }
}

#[test]
fn json_says_exactly_what_is_there() {
    let line = text(&hostile(), Format::Jsonl);
    let first: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(first[HOSTILE], HOSTILE);
    let mut lines = line.lines().skip(1);
    let second: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(second[HOSTILE], "");
    let third: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert!(third[HOSTILE].is_null());
}

#[test]
fn csv_for_programs_is_exact_but_for_formulas() {
    let text = write(&hostile(), Format::Csv, false).unwrap().text;
    let quoted = format!("\"{}\"", HOSTILE.replace('"', "\"\""));
    assert_eq!(
        text,
        format!("{quoted}\r\n{quoted}\r\n\"\"\r\n\r\n'=1+1\r\n")
    );
}

#[test]
fn values_keep_their_digits() {
    let decimals = Decimal128Array::from(vec![Some(-5), Some(123_456_789_012_345_678_901_234_567)]);
    let decimals = decimals.with_precision_and_scale(38, 2).unwrap();
    let time = 1_795_334_400_123_456;
    let answer = answer(vec![
        ("n", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))),
        ("d", Arc::new(decimals)),
        ("b", Arc::new(BooleanArray::from(vec![true, false]))),
        ("f", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
        (
            "t",
            Arc::new(TimestampMicrosecondArray::from(vec![time, 0])),
        ),
        (
            "z",
            Arc::new(TimestampNanosecondArray::from(vec![time * 1_000, 0]).with_timezone("+00:00")),
        ),
        ("n", Arc::new(Int64Array::from(vec![None, Some(1)]))),
    ]);
    let lines = text(&answer, Format::Jsonl);
    assert_eq!(
        lines,
        "{\"n\":-9223372036854775808,\"d\":\"-0.05\",\"b\":true,\"f\":0.5,\"t\":\"2026-11-22T08:00:00.123456Z\",\
         \"z\":\"2026-11-22T08:00:00.123456+00:00\",\"n_2\":null}\n\
         {\"n\":9223372036854775807,\"d\":\"1234567890123456789012345.67\",\"b\":false,\"f\":\"NaN\",\
         \"t\":\"1970-01-01T00:00:00Z\",\"z\":\"1970-01-01T00:00:00+00:00\",\"n_2\":1}\n"
    );
    let table = text(&answer, Format::Table);
    assert!(
        table.contains("n_2") && table.contains("1234567890123456789012345.67"),
        "{table}"
    );
}

#[test]
fn an_answer_that_is_too_long_is_cut_between_rows_and_says_so() {
    let long = "x".repeat(1 << 20);
    let texts = StringArray::from(vec![long.as_str(); 300]);
    let answer = answer(vec![("long", Arc::new(texts))]);
    let written = write(&answer, Format::Jsonl, false).unwrap();
    assert!(written.is_cut && written.rows < 300 && written.text.len() <= MOST_BYTES);
    assert_eq!(written.text.lines().count(), written.rows);
    assert!(write(&answer, Format::Table, false).is_err());
}
