use centinel_model::HoleReason;
use centinel_source::Format;

use crate::support::{assert_hole, decode, decoder, told, value_of};

const SECONDS: i64 = crate::support::MILLIS / 1_000;

pub fn row(number: u64, amount: &str) -> String {
    format!(
        r#"{{"payment_no":"P{number}","order_no":"o{number}","amount":{amount},"fen":null,"live":null,"day":null,"paid_at":null,"extra":null}}"#
    )
}

/// A message; `more` follows the transaction's number.
pub fn message(kind: &str, more: &str, data: &str, old: &str) -> String {
    format!(
        r#"{{"database":"shop","table":"payment","type":"{kind}","ts":{SECONDS},"xid":142{more},"data":{data}{old},"primary_key_columns":["payment_no"]}}"#
    )
}

#[test]
fn rows_are_ordered_by_their_place_in_the_log_where_it_is_given() {
    let place = r#","position":"master.000006:800911""#;
    let values = [
        message(
            "insert",
            &format!(r#","xoffset":0{place}"#),
            &row(1, "1.00"),
            "",
        ),
        message(
            "update",
            &format!(r#","xoffset":1{place}"#),
            &row(1, "2.5"),
            r#","old":{"amount":1.00}"#,
        ),
        message(
            "delete",
            &format!(r#","commit":true{place}"#),
            &row(1, "2.5"),
            "",
        ),
        message("insert", place, &row(2, "7"), ""),
        message("bootstrap-insert", "", &row(3, "3.00"), ""),
    ];
    let chunk = decode(
        &mut decoder(Format::Maxwell),
        &values.each_ref().map(String::as_str),
    );
    let sequence = (6_u64 << 40) + 800_911;
    let at = "2026-11-22T07:59:00Z";
    let (one, two) = (
        "payment_no=P1 order_no=O1 amount=1.00",
        "payment_no=P1 order_no=O1 amount=2.50",
    );
    assert_eq!(
        told(&chunk),
        [
            format!("payment Insert 0/{sequence}/0 {at} after {one}"),
            format!("payment Update 0/{sequence}/1 {at} before {one} after {two}"),
            format!("payment Delete 0/{sequence}/{} {at} before {two}", u32::MAX),
            // Without a number in its transaction it follows the rows before it.
            format!(
                "payment Insert 0/{sequence}/106 {at} after payment_no=P2 order_no=O2 amount=7.00"
            ),
            format!("payment Snapshot 0/0/108 {at} after payment_no=P3 order_no=O3 amount=3.00"),
        ]
    );
}

#[test]
fn without_a_place_the_partition_orders_them() {
    let mut decoder = decoder(Format::Maxwell);
    let values = [
        message("insert", "", &row(1, "1.00"), ""),
        message("insert", r#","commit":true"#, &row(2, "1.00"), ""),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    let versions: Vec<(u64, u32)> = chunk.tables[0]
        .versions
        .iter()
        .map(|version| (version.sequence, version.ordinal))
        .collect();
    assert_eq!(versions, [(100, 0), (102, 0)]);
    let older = values[0].replace(&SECONDS.to_string(), &(SECONDS - 2).to_string());
    let lines = told(&decode(&mut decoder, &[&older]));
    assert!(lines[0].starts_with("payment Insert"), "{lines:#?}");
    assert!(
        lines[1].starts_with("hole ReplaySuspected payment [O1]"),
        "{lines:#?}"
    );
    let placed = message(
        "insert",
        r#","position":"master.000006:800911""#,
        &row(1, "1.00"),
        "",
    );
    assert_hole(
        &decode(&mut decoder, &[&placed]),
        HoleReason::MissingColumn,
        &["output_binlog_position=true"],
    );
}

#[test]
fn a_log_that_begins_anew_is_not_taken_for_an_old_one() {
    let mut decoder = decoder(Format::Maxwell);
    let placed = |place: &str, seconds: i64| {
        message(
            "insert",
            &format!(r#","position":"{place}""#),
            &row(1, "1.00"),
            "",
        )
        .replace(&SECONDS.to_string(), &seconds.to_string())
    };
    let (first, again) = (
        placed("a.000006:9", SECONDS - 5),
        placed("a.000006:5", SECONDS - 9),
    );
    // Delivered again: its place says so, nothing is wrong.
    assert!(decode(&mut decoder, &[&first, &again]).holes.is_empty());
    let chunk = decode(&mut decoder, &[&placed("b.000001:5", SECONDS)]);
    assert_hole(&chunk, HoleReason::ReplaySuspected, &[]);
    assert!(told(&chunk)[1].contains("[O1]"));
    let server = |id: u64| {
        message(
            "insert",
            &format!(r#","position":"a.000007:5","server_id":{id}"#),
            &row(1, "1.00"),
            "",
        )
    };
    let chunk = decode(&mut decoder, &[&server(1), &server(2)]);
    assert_hole(&chunk, HoleReason::Contradiction, &["another server"]);
}

#[test]
fn values_are_exact_or_refused() {
    let read = |column: &str, json: &str| {
        let data = row(1, "1.00").replace(
            &format!(r#""{column}":null"#),
            &format!(r#""{column}":{json}"#),
        );
        value_of(
            &decode(
                &mut decoder(Format::Maxwell),
                &[&message("insert", "", &data, "")],
            ),
            column,
        )
    };
    let table = [
        ("fen", "9223372036854775807", "9223372036854775807"),
        ("live", "1", "true"),
        ("live", "false", "false"),
        ("day", r#""2026-11-22""#, "2026-11-22"),
        (
            "paid_at",
            r#""2026-11-22 07:59:00.123456""#,
            "2026-11-22T07:59:00.123456",
        ),
        ("extra", r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    ];
    for (column, json, expected) in table {
        assert_eq!(
            read(column, json).as_deref(),
            Ok(expected),
            "{column} {json}"
        );
    }
    let refused = [
        ("fen", "18446744073709551615", HoleReason::OutOfRange),
        ("fen", "1.5", HoleReason::WrongType),
        ("day", r#""0000-00-00""#, HoleReason::AbsurdTime),
        (
            "paid_at",
            r#""0000-00-00 00:00:00.000000""#,
            HoleReason::AbsurdTime,
        ),
        ("paid_at", "5", HoleReason::Drift),
        ("live", r#""x""#, HoleReason::Drift),
    ];
    for (column, json, reason) in refused {
        assert_eq!(read(column, json).unwrap_err().0, reason, "{column} {json}");
    }
    let amount = |json: &str| {
        value_of(
            &decode(
                &mut decoder(Format::Maxwell),
                &[&message("insert", "", &row(1, json), "")],
            ),
            "amount",
        )
    };
    // No float on the way: 17 digits, and what a float would round.
    assert_eq!(
        amount("9999999999999999.99").as_deref(),
        Ok("9999999999999999.99")
    );
    assert_eq!(amount("0E-8").as_deref(), Ok("0.00"));
    assert_eq!(amount(r#""2.50""#).as_deref(), Ok("2.50"));
    assert_eq!(amount("0.005").unwrap_err().0, HoleReason::OutOfRange);
}

#[test]
fn sets_are_text_as_mysql_shows_them() {
    let data = |list: &str| {
        row(1, "1.00").replace(r#""payment_no":"P1""#, &format!(r#""payment_no":{list}"#))
    };
    let read = |list: &str| {
        value_of(
            &decode(
                &mut decoder(Format::Maxwell),
                &[&message("insert", "", &data(list), "")],
            ),
            "payment_no",
        )
    };
    assert_eq!(read(r#"["bar","baz"]"#).as_deref(), Ok("bar,baz"));
    assert_eq!(read("[]").as_deref(), Ok(""));
    assert_eq!(read("[1]").unwrap_err().0, HoleReason::WrongType);
    assert_eq!(read("{}").unwrap_err().0, HoleReason::WrongType);
}

#[test]
fn what_is_not_about_rows_is_told_noted_or_passed_over() {
    let mut decoder = decoder(Format::Maxwell);
    for kind in [
        "bootstrap-start",
        "bootstrap-complete",
        "table-create",
        "database-create",
        "table-alter",
    ] {
        assert_eq!(
            told(&decode(&mut decoder, &[&message(kind, "", "{}", "")])),
            ["nothing"],
            "{kind}"
        );
    }
    let altered = decode(&mut decoder, &[&message("table-alter", "", "{}", "")]);
    assert_eq!(altered.notes.len(), 1);
    assert_hole(
        &decode(&mut decoder, &[&message("table-drop", "", "{}", "")]),
        HoleReason::Unobservable,
        &["rows of `payment`"],
    );
    let drop = |database: &str| {
        format!(r#"{{"database":"{database}","type":"database-drop","ts":{SECONDS}000}}"#)
    };
    assert_hole(
        &decode(&mut decoder, &[&drop("shop")]),
        HoleReason::Unobservable,
        &["database"],
    );
    assert_eq!(told(&decode(&mut decoder, &[&drop("other")])), ["nothing"]);
    let other = message("insert", "", &row(1, "1.00"), "")
        .replace(r#""table":"payment""#, r#""table":"x""#);
    assert_eq!(told(&decode(&mut decoder, &[&other])), ["nothing"]);
    for (value, reason, says) in [
        (
            message("replace", "", "{}", ""),
            HoleReason::UnknownForm,
            "`type` names no change",
        ),
        (
            r#"{"ts":1}"#.to_owned(),
            HoleReason::UnknownForm,
            "`type` is missing",
        ),
        (
            message("update", "", &row(1, "1.00"), ""),
            HoleReason::MissingColumn,
            "`old` is missing",
        ),
        (
            message("insert", "", "null", ""),
            HoleReason::MissingColumn,
            "`data` is missing",
        ),
        (
            message("insert", "", r#"{"payment_no":"P1"}"#, ""),
            HoleReason::Drift,
            "`order_no` (text) is missing in a row of `payment`",
        ),
        (
            message("insert", r#","position":"x""#, &row(1, "1.00"), ""),
            HoleReason::WrongType,
            "not a place",
        ),
        (
            message("insert", "", &row(1, "1.00"), r#","data":{}"#),
            HoleReason::Malformed,
            "`data` stands twice",
        ),
    ] {
        let mut decoder = crate::support::decoder(Format::Maxwell);
        assert_hole(&decode(&mut decoder, &[&value]), reason, &[says]);
    }
}
