//! Avro from a real broker, with a registry that comes and goes.

use std::time::{Duration, Instant};

use centinel_source::{
    AvroOptions, Format, Input as _, KafkaOptions, Reading, Registry, Until, check_kafka,
};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use test_servers::Kafka;

use crate::common;
use crate::encoder::{Column, amount, counted, datum, message, row, schema};
use crate::support::{Kept, LONG, now, open, options, producer, read_until};
use crate::test_registry::TestRegistry;

fn columns(number: u64) -> Vec<Column> {
    let zoned = r#"{"type":"string","connect.name":"io.debezium.time.ZonedTimestamp"}"#;
    let time = counted("2026-11-22T07:59:00Z");
    let mut columns = row(number, amount("12.50"));
    columns.push(Column::new("updated_at", zoned, "", time, ""));
    columns
}

fn send(producer: &BaseProducer, id: u32, number: u64) {
    let value = message(id, &datum("c", None, Some(&columns(number)), number as i64));
    let key = message(9, &counted(format!("P{number}")));
    let record = BaseRecord::to("payments")
        .partition(0)
        .key(&key)
        .payload(&value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(LONG).unwrap();
}

fn reading(kafka: &Kafka, registry: Registry) -> KafkaOptions {
    let mut options = options(&kafka.bootstrap());
    options.topics[0].format = Format::DebeziumAvro(AvroOptions {
        registry,
        servers: Vec::new(),
    });
    options
}

#[test]
fn a_registry_that_is_away_holds_back_what_it_is_needed_for() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 1, &[]);
    let registry = TestRegistry::start();
    registry.register(7, &schema(&columns(0)));
    let producer = producer(&kafka);
    send(&producer, 7, 1);
    let options = reading(&kafka, registry.client());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    read_until(&mut input, &mut kept, "the first", |kept| {
        kept.changes.len() == 1
    });
    let sent_before = now();
    read_until(&mut input, &mut kept, "progress", |kept| {
        kept.progress > Some(sent_before)
    });

    registry.away(true);
    for number in 2..5 {
        send(&producer, 8, number);
    }
    let (sent, asked) = (now(), registry.asked().len());
    let begun = Instant::now();
    while registry.asked().len() < asked + 5 {
        if let Reading::Chunk(chunk) = input.read(now()).unwrap() {
            kept.take_in(*chunk);
        }
        std::thread::sleep(Duration::from_millis(2));
        assert!(begun.elapsed() < LONG, "the registry is not asked again");
    }
    // Nothing is given out, nothing is lost, and nothing is said to be read that was not.
    assert_eq!((kept.changes.len(), kept.holes.len()), (1, 0));
    assert!(kept.progress < Some(sent));
    assert_eq!(kept.positions.0["payment-db/payments/0"].place().0, 1);
    assert_eq!(input.backlog().unwrap().read, 1);

    // Neither by a restart in between.
    drop(input);
    registry.away(false);
    registry.register(8, &schema(&columns(0)));
    let mut input = open(&options, &kept, Until::Stopped);
    read_until(&mut input, &mut kept, "progress after them", |kept| {
        kept.progress > Some(sent)
    });
    let all: Vec<u64> = (1..5).map(|position| (3 << 40) + position).collect();
    assert_eq!((kept.sequences(), kept.holes.len()), (all, 0));
    assert_eq!(kept.positions.0["payment-db/payments/0"].place().0, 4);
}

#[test]
fn a_check_tells_what_is_wrong_with_the_registry() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 1, &[]);
    let registry = TestRegistry::start();
    let problems = |account: Option<(&str, &str)>| {
        let client = Registry::new(registry.options(account));
        let options = reading(&kafka, client);
        let checked = check_kafka(&common::catalog(), &options, now());
        checked
            .problems
            .iter()
            .map(|problem| format!("{}; {}", problem.what, problem.remedy))
            .collect::<Vec<_>>()
    };
    let one = |says: &[&str], account| {
        let problems = problems(account);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        for says in says {
            assert!(problems[0].contains(says), "`{says}` in {problems:#?}");
        }
        assert!(!problems[0].contains("hunter2"), "{problems:#?}");
    };
    // Without a message the topic's subject tells.
    one(&["no subject `payments-value`", "first message"], None);
    let subject = "/subjects/payments-value/versions/latest";
    registry.put(subject, 200, r#"{"schema":"{}","schemaType":"JSON"}"#);
    one(
        &["`payments-value` cannot be read: it is JSON, not Avro"],
        None,
    );
    let right = serde_json::json!({ "schema": schema(&columns(0)) }).to_string();
    registry.put(subject, 200, &right);
    assert_eq!(problems(None), [""; 0]);

    registry.away(true);
    one(&["does not answer", "it runs"], None);
    registry.away(false);
    registry.wants(Some("Basic cmVhZGVyOnNlY3JldA=="));
    one(&["wants an account", "add `registry_user`"], None);
    one(
        &["does not take the account", "`registry_password`"],
        Some(("reader", "hunter2")),
    );
    assert_eq!(problems(Some(("reader", "secret"))), [""; 0]);
    registry.wants(None);
    registry.put("/subjects", 403, "");
    one(&["does not let the account read", "grant"], None);
    registry.put("/subjects", 200, "<html>");
    one(&["something else than a registry"], None);
    registry.put("/subjects", 301, "");
    one(&["sends elsewhere, to http://elsewhere/"], None);
    registry.put("/subjects", 200, "[]");

    // With messages the newest tells.
    let producer = producer(&kafka);
    send(&producer, 7, 1);
    one(
        &[
            "newest message of `payments`",
            "schema 7: the registry does not know it",
        ],
        None,
    );
    registry.register(7, &schema(&columns(0)));
    assert_eq!(problems(None), [""; 0]);
}
