//! Plain JSON events, and the project's own lines.

use centinel_model::{HoleReason, Timestamp};
use centinel_source::{Format, MessageDecoder};

use crate::support::{MILLIS, NOW, Sent, assert_hole, catalog, decode, decode_sent, decoder, told};

fn event(name: &str) -> Format {
    Format::JsonEvent { event: name.into() }
}

fn sent(value: &str) -> Sent {
    Sent {
        key: Some("1250".into()),
        headers: vec![
            ("x".into(), b"\xff".to_vec()),
            ("ce_id".into(), b"m-1".to_vec()),
        ],
        ..Sent::from(value)
    }
}

fn value() -> String {
    format!(
        r#"{{"head":{{"time":{MILLIS},"v":1}},"data":{{"orderNo":" o1","amount":"12.50","items":[{{"orderNo":"o9"}}]}},"at":{MILLIS},"more":{{}}}}"#
    )
}

#[test]
fn the_schema_says_where_the_parts_of_an_event_stand() {
    let mut decoder = decoder(event("received"));
    let number = value()
        .replace(r#""amount":"12.50""#, r#""amount":12.5"#)
        .replace(r#"" o1""#, "7001");
    let chunk = decode_sent(
        &mut decoder,
        &[sent(&value()), sent(&number), Sent::default()],
    );
    let at = "2026-11-22T07:59:00Z";
    assert_eq!(
        told(&chunk),
        [
            format!(
                "received Insert 0/0/0 {at} after message_id=m-1 order_no=O1 amount=12.50 fen=1250 at=2026-11-22T07:59:00"
            ),
            format!(
                "received Insert 0/0/0 {at} after message_id=m-1 order_no=7001 amount=12.50 fen=1250 at=2026-11-22T07:59:00"
            ),
            "nothing".to_owned(),
        ]
    );
}

#[test]
fn without_a_mapping_names_are_the_columns() {
    let mut decoder = decoder(event("plain"));
    let value = r#"{"message_id":"m-1","order_no":"o1","committed_at":"2026-11-22T15:59:00+08:00","live":true,"x":[1]}"#;
    let lines = told(&decode(&mut decoder, &[value]));
    assert_eq!(
        lines,
        ["plain Insert 0/0/0 2026-11-22T07:59:00Z after message_id=m-1 order_no=o1 live=true"]
    );
    let wrong = [
        (
            value.replace(r#""message_id":"m-1","#, ""),
            HoleReason::MissingColumn,
            "`message_id` (text) is missing",
        ),
        (
            value.replace(r#""committed_at""#, r#""at_once""#),
            HoleReason::MissingColumn,
            "`$.committed_at` is missing",
        ),
        (
            value.replace("15:59:00+08:00", "15:59:00"),
            HoleReason::WrongType,
            "times: { zone",
        ),
        (
            value.replace("2026-11-22T15:59:00+08:00", "2036-11-22T15:59:00+08:00"),
            HoleReason::AbsurdTime,
            "future",
        ),
        (
            value.replace(r#""order_no":"o1""#, r#""order_no":"o1","order_no":"o2""#),
            HoleReason::Malformed,
            "`order_no` stands twice",
        ),
        (
            value.replace("[1]", "[1"),
            HoleReason::Malformed,
            "not one whole JSON object",
        ),
        (
            "[]".to_owned(),
            HoleReason::Malformed,
            "not one whole JSON object",
        ),
    ];
    for (value, reason, says) in wrong {
        assert_hole(&decode(&mut decoder, &[&value]), reason, &[says]);
    }
}

#[test]
fn a_refused_event_names_its_entities() {
    let mut decoder = decoder(event("received"));
    let wrong = [
        (
            value().replace(r#""12.50""#, r#""12.505""#),
            HoleReason::OutOfRange,
            "[O1]",
            "`amount`",
        ),
        (
            value().replace(&format!(r#""at":{MILLIS}"#), r#""at":1.5"#),
            HoleReason::WrongType,
            "[O1]",
            "`at ($.at)`",
        ),
        (
            value().replace(&format!(r#""time":{MILLIS}"#), r#""time":"x""#),
            HoleReason::WrongType,
            "[O1]",
            "`$.head.time`",
        ),
        (
            value().replace(r#""orderNo":" o1","#, ""),
            HoleReason::MissingColumn,
            "[]",
            "`order_no`",
        ),
    ];
    for (value, reason, entities, says) in wrong {
        let chunk = decode_sent(&mut decoder, &[sent(&value)]);
        assert_hole(&chunk, reason, &[says]);
        assert!(
            told(&chunk)[0].contains(&format!("received {entities}")),
            "{:?}",
            told(&chunk)
        );
    }
    // Without its header.
    let chunk = decode(&mut decoder, &[&value()]);
    assert_hole(&chunk, HoleReason::MissingColumn, &["`message_id`"]);
}

#[test]
fn only_events_are_read_as_events() {
    for name in ["payment", "nothing"] {
        let refused = MessageDecoder::new(catalog(), event(name)).unwrap_err();
        assert!(
            refused.contains(&format!("no schema describes an event `{name}`")),
            "{refused}"
        );
    }
}

#[test]
fn lines_are_the_projects_own_form() {
    let mut decoder = decoder(Format::Lines);
    let line = r#"{"table":"payment","op":"insert","epoch":1,"sequence":9,"ordinal":0,"last":true,"committed_at":"2026-11-22T07:59:00Z","after":{"payment_no":"P1","order_no":"o1","amount":"1.00"}}"#;
    let beat = r#"{"heartbeat":"pay-db","committed_at":"2026-11-22T07:59:00Z"}"#;
    let bad = line.replace("1.00", "x");
    let mut messages = vec![
        Sent::from(line),
        Sent::from((line.to_owned() + "\n").as_str()),
        Sent::from(beat),
        Sent::from(bad.as_str()),
        Sent::default(),
    ];
    messages.push(Sent {
        value: Some(vec![0xff]),
        ..Sent::default()
    });
    let chunk = decode_sent(&mut decoder, &messages);
    let lines = told(&chunk);
    assert_eq!(
        lines[0],
        "payment Insert 1/9/0 2026-11-22T07:59:00Z after payment_no=P1 order_no=O1 amount=1.00"
    );
    assert_eq!(lines[1], lines[0]);
    assert_eq!(lines[2], "heartbeat");
    assert!(
        lines[3].starts_with("hole WrongType payment [O1]"),
        "{lines:#?}"
    );
    assert_eq!(lines[4], "nothing");
    assert!(lines[5].starts_with("hole InvalidUtf8"), "{lines:#?}");
    let offsets: Vec<u64> = chunk.lines.iter().map(|line| line.offset).collect();
    assert_eq!(offsets, [100, 102, 104, 106, 108, 110]);
}

#[test]
fn a_message_may_carry_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let text = "centinel: schema/1\nevent: e\nsystem: s\nsource: s\ncolumns: { at: timestamp }\n\
                times: { zone: \"+08:00\" }\njson: { message_id: key, committed_at: message }\n";
    std::fs::write(folder.path().join("e.yaml"), text).unwrap();
    std::fs::write(
        folder.path().join("n.yaml"),
        "centinel: entities/1\nentities: { o: { key: [o] } }\n",
    )
    .unwrap();
    let catalog = centinel_catalog::load(folder.path()).unwrap();
    let mut decoder = MessageDecoder::new(&catalog, event("e")).unwrap();
    let sent = Sent {
        key: Some("k".into()),
        written_at: Some(Timestamp(5_000_000)),
        ..Sent::from(r#"{"at":"1970-01-01 08:00:01"}"#)
    };
    let messages = crate::support::partition("t/0", &[sent]);
    let chunk = decoder
        .decode(messages, Timestamp::parse(NOW).unwrap())
        .unwrap();
    assert!(chunk.holes.is_empty(), "{:?}", chunk.holes);
    assert_eq!(chunk.tables[0].committed_at, [Timestamp(5_000_000)]);
    let at = chunk.tables[0].after.rows.column(1);
    assert_eq!(
        arrow::util::display::array_value_to_string(at, 0).unwrap(),
        "1970-01-01T00:00:01"
    );
}
