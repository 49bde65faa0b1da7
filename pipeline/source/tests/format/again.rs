//! Records decoded again from the bytes that were kept of them.

use centinel_model::{Duration, HoleReason, Position, Timestamp};
use centinel_source::{
    Format, InputOptions, KafkaOptions, KafkaProgress, KeptRecord, Start, TopicName, TopicOptions,
    decode_again,
};

use crate::canal;
use crate::debezium::{create, string_decimals};
use crate::support::{NOW, catalog, told};

fn topics(source: &str, topics: &[(&str, Format)]) -> InputOptions {
    InputOptions::Kafka(KafkaOptions {
        source: source.into(),
        brokers: "nowhere:9092".into(),
        group: String::new(),
        topics: topics
            .iter()
            .map(|(name, format)| TopicOptions {
                name: TopicName::Exact((*name).into()),
                format: format.clone(),
            })
            .collect(),
        progress: KafkaProgress::Broker {
            delay: Duration::seconds(1),
        },
        start: Start::Earliest,
        settings: Vec::new(),
    })
}

fn again(input: &str, position: &Position, bytes: &[u8]) -> Result<Vec<String>, String> {
    let event = |name: &str| Format::JsonEvent { event: name.into() };
    let inputs = [
        topics(
            "events",
            &[("plain", event("plain")), ("received", event("received"))],
        ),
        topics(
            "pay-db",
            &[("changes", string_decimals()), ("canal", Format::Canal)],
        ),
    ];
    let record = KeptRecord {
        input,
        position,
        bytes,
    };
    let chunk = decode_again(catalog(), &inputs, record, Timestamp::parse(NOW).unwrap())?;
    Ok(told(&chunk))
}

fn at(next: u64) -> Position {
    Position::Partition { next, known: None }
}

#[test]
fn a_message_is_what_its_topic_says_at_its_own_offset() {
    let value = r#"{"message_id":"m-1","order_no":"o1","committed_at":"2026-11-22T07:59:00Z"}"#;
    let read = again("events/plain/3", &at(77), value.as_bytes()).unwrap();
    assert_eq!(read.len(), 1);
    assert!(read[0].starts_with("plain Insert 0/0/0 2026-11-22T07:59:00Z after message_id=m-1"));
    let read = again("pay-db/changes/0", &at(5), create(1, "12.50").as_bytes()).unwrap();
    assert!(
        read[0].contains("payment_no=P1 order_no=O1 amount=12.50"),
        "{read:?}"
    );
}

#[test]
fn a_line_of_a_file_is_read_whatever_is_configured() {
    let place = Position::File {
        offset: 9,
        first_line: "x".into(),
    };
    let line = r#"{"event":"plain","message_id":"m-1","committed_at":"2026-11-22T07:59:00Z","after":{"order_no":"o1"}}"#;
    let read = again("gone.jsonl", &place, line.as_bytes()).unwrap();
    assert!(read[0].starts_with("plain Insert"), "{read:?}");
    let broken = line.replace("order_no", "order_number");
    let record = KeptRecord {
        input: "gone.jsonl",
        position: &place,
        bytes: broken.as_bytes(),
    };
    let now = Timestamp::parse(NOW).unwrap();
    let chunk = decode_again(catalog(), &[], record, now).unwrap();
    assert_eq!(chunk.holes[0].reason, HoleReason::UnknownColumn);
    assert_eq!(chunk.holes[0].position, place);
}

#[test]
fn what_cannot_be_known_from_the_bytes_alone_is_refused() {
    let binlog = Position::Binlog {
        gtids: "0-1-1".into(),
        transactions: 1,
        row: 0,
        committed_at: 0,
    };
    let snapshot = Position::Snapshot {
        location: String::new(),
        files: String::new(),
        rows: 1,
        whole: false,
    };
    let rows = format!("[{}]", canal::row(1, "1.00"));
    let change = canal::message("INSERT", &rows, "null", crate::support::MILLIS);
    for (input, position, bytes, why) in [
        ("pay-db", &binlog, "row", "without the log around it"),
        ("(bootstrap)", &snapshot, "row", "without its file"),
        (
            "events/gone/0",
            &at(1),
            "{}",
            "reads no partition `events/gone/0`",
        ),
        ("events/plain", &at(1), "{}", "reads no partition"),
        ("other/plain/0", &at(1), "{}", "reads no partition"),
        // Its number stands in the key, its name in a header.
        ("events/received/0", &at(1), "{}", "of which none were kept"),
        (
            "pay-db/canal/0",
            &at(1),
            change.as_str(),
            "by their place alone",
        ),
    ] {
        let refused = again(input, position, bytes.as_bytes()).unwrap_err();
        assert!(refused.contains(why), "{input}: {refused}");
    }
}
