use centinel_model::{HoleReason, LineContent};
use centinel_source::Format;

use crate::support::{MILLIS, assert_hole, decode, decoder, told, value_of};

pub fn row(number: u64, amount: &str) -> String {
    format!(
        r#"{{"payment_no":"P{number}","order_no":"o{number}","amount":"{amount}","fen":null,"live":null,"day":null,"paid_at":null,"extra":null}}"#
    )
}

pub fn message(kind: &str, data: &str, old: &str, millis: i64) -> String {
    format!(
        r#"{{"data":{data},"database":"shop","es":{millis},"gtid":"","id":3,"isDdl":false,"mysqlType":{{"payment_no":"varchar(32)","amount":"decimal(18,2)","fen":"bigint(20) unsigned"}},"old":{old},"pkNames":["payment_no"],"sql":"","sqlType":{{"payment_no":12,"amount":3}},"table":"payment","ts":{millis},"type":"{kind}"}}"#
    )
}

#[test]
fn one_message_is_many_rows_of_one_transaction() {
    let mut decoder = decoder(Format::Canal);
    let rows = format!("[{},{}]", row(1, "1.00"), row(2, "2.00"));
    let values = [
        message("INSERT", &rows, "null", MILLIS),
        message(
            "UPDATE",
            &rows,
            r#"[{"amount":"9.00"},{"order_no":"o7","fen":"5"}]"#,
            MILLIS,
        ),
        message("DELETE", &rows, "null", MILLIS),
        message(
            "INIT-INSERT",
            &format!("[{}]", row(3, "3.00")),
            "null",
            MILLIS,
        ),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    let at = "2026-11-22T07:59:00Z";
    let (one, two) = (
        "payment_no=P1 order_no=O1 amount=1.00",
        "payment_no=P2 order_no=O2 amount=2.00",
    );
    assert_eq!(
        told(&chunk),
        [
            format!("payment Insert 0/100/0 {at} after {one}"),
            format!("payment Insert 0/100/1 {at} after {two}"),
            format!(
                "payment Update 0/102/0 {at} before {} after {one}",
                one.replace("1.00", "9.00")
            ),
            format!(
                "payment Update 0/102/1 {at} before {} fen=5 after {two}",
                two.replace("O2", "O7")
            ),
            format!("payment Delete 0/104/0 {at} before {one}"),
            format!("payment Delete 0/104/1 {at} before {two}"),
            format!("payment Snapshot 0/106/0 {at} after payment_no=P3 order_no=O3 amount=3.00"),
        ]
    );
    let lasts: Vec<bool> = chunk
        .lines
        .iter()
        .map(|line| matches!(line.content, LineContent::Change { transaction, .. } if transaction.last))
        .collect();
    assert_eq!(lasts, [false, true, false, true, false, true, true]);
    let lengths: Vec<u64> = chunk.lines.iter().map(|line| line.length).collect();
    let whole = |index: usize| values[index].len() as u64;
    assert_eq!(lengths, [whole(0), 0, whole(1), 0, whole(2), 0, whole(3)]);
}

#[test]
fn a_bad_row_of_a_message_takes_nothing_else_with_it() {
    let mut decoder = decoder(Format::Canal);
    let rows = format!(
        "[{},{},{},{}]",
        row(1, "1.00"),
        row(2, "1.005"),
        row(3, "x"),
        row(4, "4.00")
    );
    let chunk = decode(&mut decoder, &[&message("INSERT", &rows, "null", MILLIS)]);
    let lines = told(&chunk);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0].contains("P1") && lines[1].contains("P4"),
        "{lines:#?}"
    );
    assert!(
        lines[2].starts_with("hole OutOfRange payment [O2 O3] `amount` has more"),
        "{lines:#?}"
    );
    let LineContent::Hole {
        transaction: Some(transaction),
        ..
    } = chunk.lines[2].content
    else {
        panic!("{:?}", chunk.lines[2])
    };
    assert!(transaction.last);
    assert_eq!(transaction.sequence, 100);
}

#[test]
fn values_in_text_are_exact_or_refused() {
    let read = |column: &str, json: &str| {
        let row = row(1, "1.00").replace(
            &format!(r#""{column}":null"#),
            &format!(r#""{column}":{json}"#),
        );
        value_of(
            &decode(
                &mut decoder(Format::Canal),
                &[&message("INSERT", &format!("[{row}]"), "null", MILLIS)],
            ),
            column,
        )
    };
    let table = [
        ("fen", r#""9223372036854775807""#, "9223372036854775807"),
        ("fen", r#""-5""#, "-5"),
        ("live", r#""1""#, "true"),
        ("live", r#""0""#, "false"),
        ("day", r#""2026-11-22""#, "2026-11-22"),
        ("paid_at", r#""2026-11-22 07:59:00""#, "2026-11-22T07:59:00"),
        (
            "paid_at",
            r#""2026-11-22 07:59:00.123456""#,
            "2026-11-22T07:59:00.123456",
        ),
        ("extra", r#""[1, 2]""#, "[1, 2]"),
    ];
    for (column, json, expected) in table {
        assert_eq!(
            read(column, json).as_deref(),
            Ok(expected),
            "{column} {json}"
        );
    }
    let refused = [
        ("fen", r#""18446744073709551615""#, HoleReason::OutOfRange),
        ("fen", r#""1.0""#, HoleReason::WrongType),
        ("fen", "5", HoleReason::WrongType),
        ("live", r#""2""#, HoleReason::WrongType),
        ("day", r#""0000-00-00""#, HoleReason::AbsurdTime),
        (
            "paid_at",
            r#""0000-00-00 00:00:00""#,
            HoleReason::AbsurdTime,
        ),
        ("paid_at", r#""2026-02-30 00:00:00""#, HoleReason::WrongType),
        ("extra", r#""{""#, HoleReason::WrongType),
    ];
    for (column, json, reason) in refused {
        assert_eq!(read(column, json).unwrap_err().0, reason, "{column} {json}");
    }
    let float = message("INSERT", &format!("[{}]", row(1, "1.00")), "null", MILLIS)
        .replace("decimal(18,2)", "DOUBLE");
    let chunk = decode(&mut decoder(Format::Canal), &[&float]);
    let (reason, says) = value_of(&chunk, "amount").unwrap_err();
    assert_eq!(reason, HoleReason::Drift);
    assert!(says.contains("is a FLOAT or DOUBLE"), "{says}");
}

#[test]
fn times_are_of_the_tables_zone_and_shards_are_named() {
    let value = message(
        "INSERT",
        r#"[{"id":"5","at":"2026-11-22 15:59:00"}]"#,
        "null",
        MILLIS,
    )
    .replace(r#""database":"shop""#, r#""database":"pay_1""#)
    .replace(r#""table":"payment""#, r#""table":"split_2""#);
    let lines = told(&decode(&mut decoder(Format::Canal), &[&value]));
    assert!(
        lines[0].ends_with("after shard=pay_1.split_2 id=5 at=2026-11-22T07:59:00"),
        "{lines:#?}"
    );
}

#[test]
fn going_back_in_time_puts_rows_in_doubt_and_keeps_them() {
    let mut decoder = decoder(Format::Canal);
    let insert = |number: u64, millis: i64| {
        message(
            "INSERT",
            &format!("[{}]", row(number, "1.00")),
            "null",
            millis,
        )
    };
    let update = message(
        "UPDATE",
        &format!("[{}]", row(3, "1.00")),
        r#"[{"order_no":"o8"}]"#,
        MILLIS - 1_001,
    );
    let chunk = decode(
        &mut decoder,
        &[
            &insert(1, MILLIS),
            &insert(2, MILLIS - 1_000),
            &update,
            &insert(4, MILLIS),
        ],
    );
    let lines = told(&chunk);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(lines[2].starts_with("payment Update 0/104/0"), "{lines:#?}");
    assert!(
        lines[3].starts_with("hole ReplaySuspected payment [O3 O8]"),
        "{lines:#?}"
    );
    assert!(lines[3].contains("partition the topic by primary key"));
    // It is remembered from chunk to chunk, and by partition.
    let chunk = decode(&mut decoder, &[&insert(5, MILLIS - 60_000)]);
    assert_hole(&chunk, HoleReason::ReplaySuspected, &[]);
    let other = crate::support::partition("topic/1", &[insert(6, MILLIS - 60_000).as_str().into()]);
    let now = centinel_model::Timestamp::parse(crate::support::NOW).unwrap();
    assert!(decoder.decode(other, now).unwrap().holes.is_empty());
}

#[test]
fn statements_about_tables_are_told_or_noted() {
    let ddl = |kind: &str, table: &str| {
        format!(
            r#"{{"data":null,"database":"shop","es":{MILLIS},"id":13,"isDdl":true,"mysqlType":null,"old":null,"pkNames":null,"sql":"x","sqlType":null,"table":"{table}","ts":{MILLIS},"type":"{kind}"}}"#
        )
    };
    let mut decoder = decoder(Format::Canal);
    for kind in ["TRUNCATE", "ERASE"] {
        assert_hole(
            &decode(&mut decoder, &[&ddl(kind, "payment")]),
            HoleReason::Unobservable,
            &["rows of `payment` away"],
        );
        assert_eq!(
            told(&decode(&mut decoder, &[&ddl(kind, "other")])),
            ["nothing"]
        );
    }
    for (kind, notes) in [
        ("ALTER", 1),
        ("RENAME", 1),
        ("CREATE", 0),
        ("CINDEX", 0),
        ("QUERY", 0),
    ] {
        let chunk = decode(
            &mut decoder,
            &[&ddl(kind, "payment"), &ddl(kind, "payment")],
        );
        assert_eq!(told(&chunk), ["nothing"; 2]);
        assert_eq!(chunk.notes.len(), notes, "{kind}");
    }
}

#[test]
fn odd_messages_are_told() {
    let one = format!("[{}]", row(1, "1.00"));
    let good = message("INSERT", &one, "null", MILLIS);
    let missing = message("INSERT", r#"[{"payment_no":"P1"}]"#, "null", MILLIS);
    let table = [
        (
            good.replace(r#""type":"INSERT""#, r#""x":1"#),
            HoleReason::UnknownForm,
            "flatMessage=true",
        ),
        (
            good.replace(r#""database":"shop","#, ""),
            HoleReason::UnknownForm,
            "`database` is missing",
        ),
        (
            message("MERGE", &one, "null", MILLIS),
            HoleReason::UnknownForm,
            "`type` names no change",
        ),
        (
            message("INSERT", "null", "null", MILLIS),
            HoleReason::MissingColumn,
            "`data` is not a list",
        ),
        (
            message("INSERT", "[]", "null", MILLIS),
            HoleReason::MissingColumn,
            "`data` has no rows",
        ),
        (
            message("INSERT", "[1]", "null", MILLIS),
            HoleReason::MissingColumn,
            "`data` is not a list",
        ),
        (
            message("UPDATE", &one, "null", MILLIS),
            HoleReason::MissingColumn,
            "`old` is not a list",
        ),
        (
            message("UPDATE", &one, "[]", MILLIS),
            HoleReason::MissingColumn,
            "binlog_row_image=FULL",
        ),
        (
            good.replace(&format!(r#""es":{MILLIS}"#), r#""es":"x""#),
            HoleReason::MissingColumn,
            "`es` is missing",
        ),
        (
            message("INSERT", &one, "null", 4_102_444_800_000),
            HoleReason::AbsurdTime,
            "future",
        ),
        (missing, HoleReason::Drift, "`order_no` (text) is missing"),
        (
            good.clone() + "x",
            HoleReason::Malformed,
            "not one whole JSON object",
        ),
        (
            "[1]".to_owned(),
            HoleReason::Malformed,
            "not one whole JSON object",
        ),
    ];
    for (value, reason, says) in table {
        assert_hole(
            &decode(&mut decoder(Format::Canal), &[&value]),
            reason,
            &[says],
        );
    }
}
