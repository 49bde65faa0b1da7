//! Changes that a tool reads from the databases and publishes: when it starts again it publishes stretches twice.

use std::collections::BTreeMap;
use std::time::Duration;

use centinel_engine::detect::InputOptions;
use centinel_source::{
    DebeziumOptions, Format, KafkaOptions, KafkaProgress, Start, TopicName, TopicOptions,
};
use centinel_tests::platform::LONG;
use centinel_tests::schemas;
use data_fixtures::write::{DebeziumWriter, JsonLinesWriter};
use data_fixtures::{Delivered, Record, Source, trouble};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::Kafka;

use crate::{assert_true, history, watching};

const PARTITIONS: u32 = 3;

#[test]
fn a_tool_that_starts_again_and_repeats_itself_changes_nothing() {
    let history = history(25, 1_500);
    let repeated = trouble::repeat(history.records.iter().copied(), 3, 500);
    let delivered: Vec<Delivered> = trouble::replay(repeated, 4, 50).collect();
    assert!(delivered.len() > history.records.len() * 11 / 10);
    let kafka = Kafka::start();
    for source in Source::ALL {
        kafka.create_topic(source.name(), PARTITIONS, &[]);
        kafka.create_topic(&words(source), 1, &[]);
    }
    let catalog = schemas();
    let judged = (catalog.clone(), centinel_tests::rules(&catalog));
    let folder = tempfile::tempdir().unwrap();
    let inputs = Source::ALL.map(|source| input(&kafka, source)).into();
    let watching = watching(inputs, folder.path(), &judged, &history);
    let detected = watching
        .run(&|_| {}, |_| publish(&kafka, &delivered, history.end))
        .unwrap();
    assert_true(&detected, &judged.1, &history);
}

/// The topic of a source's heartbeats.
fn words(source: Source) -> String {
    format!("{}-heartbeats", source.name())
}

fn publish(kafka: &Kafka, delivered: &[Delivered], end: i64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("linger.ms", "5")
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    let (mut debezium, mut lines) = (DebeziumWriter::default(), JsonLinesWriter::default());
    let words_at_last = Source::ALL.map(|source| Delivered {
        arrival: end,
        source,
        record: Record::Heartbeat(end + 10_000_000),
    });
    let send = |topic: &str, key: &[u8], message: &[u8]| {
        let sent = BaseRecord::to(topic).key(key).payload(message);
        producer.send(sent).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    };
    let parts = delivered.chunks(delivered.len().div_ceil(20));
    for part in parts.chain([&words_at_last[..]]) {
        let mut beats: BTreeMap<Source, &Delivered> = BTreeMap::new();
        for record in part {
            let (mut message, mut key) = (Vec::new(), Vec::new());
            match &record.record {
                Record::Change(change) => {
                    debezium.write(&mut message, record);
                    change.after.primary_key().push_text(&mut key);
                }
                Record::Event(event) => {
                    lines.write(&mut message, record);
                    event.row.primary_key().push_text(&mut key);
                }
                Record::Heartbeat(_) => {
                    beats.insert(record.source, record);
                    continue;
                }
            }
            message.pop();
            send(record.source.name(), &key, &message);
        }
        // A heartbeat counts for what stands in the topics when it is read.
        producer.flush(LONG).unwrap();
        for (source, beat) in beats {
            let mut message = Vec::new();
            lines.write(&mut message, beat);
            message.pop();
            send(&words(source), b"", &message);
        }
        producer.flush(LONG).unwrap();
    }
}

fn input(kafka: &Kafka, source: Source) -> InputOptions {
    let format = match source {
        Source::BusinessEvents => Format::Lines,
        _ => Format::Debezium(DebeziumOptions::default()),
    };
    InputOptions::Kafka(KafkaOptions {
        source: source.name().into(),
        brokers: kafka.bootstrap(),
        group: "centinel".into(),
        topics: [
            (source.name().to_owned(), format),
            (words(source), Format::Lines),
        ]
        .map(|(topic, format)| TopicOptions {
            name: TopicName::Exact(topic),
            format,
        })
        .into(),
        // What lines say in heartbeats of their own counts as well; a table of another source never comes.
        progress: KafkaProgress::Heartbeat {
            table: match source {
                Source::PaymentDb => "refund".into(),
                _ => "payment".into(),
            },
        },
        start: Start::Earliest,
        settings: Vec::new(),
    })
}
