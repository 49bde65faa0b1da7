//! A producer, and a reader that keeps what an engine would keep.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use centinel_model::{DecodedChunk, Hole, Positions, Timestamp, Version};
use centinel_source::{
    Format, Input, KafkaInput, KafkaOptions, KafkaProgress, Reading, Setting, Start, TopicName,
    TopicOptions, Until,
};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::Kafka;

use crate::common;

pub const LONG: Duration = Duration::from_secs(30);

pub fn options(kafka: &str) -> KafkaOptions {
    KafkaOptions {
        source: "payment-db".into(),
        brokers: kafka.into(),
        group: "centinel".into(),
        topics: vec![TopicOptions {
            name: TopicName::Exact("payments".into()),
            format: Format::Lines,
        }],
        progress: KafkaProgress::Broker {
            delay: centinel_model::Duration::ZERO,
        },
        start: Start::Earliest,
        settings: vec![Setting {
            name: "socket.timeout.ms".into(),
            value: "5000".into(),
        }],
    }
}

pub fn producer(kafka: &Kafka) -> BaseProducer {
    producer_with(kafka, &[])
}

pub fn producer_with(kafka: &Kafka, settings: &[(&str, &str)]) -> BaseProducer {
    producer_at(&kafka.bootstrap(), settings)
}

pub fn producer_at(brokers: &str, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "1")
        .set("enable.idempotence", "true");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Sends a message and waits until the broker has it.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &str) {
    send_later(producer, topic, partition, value);
    producer.flush(LONG).unwrap();
}

pub fn send_later(producer: &BaseProducer, topic: &str, partition: i32, value: &str) {
    let record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.poll(Duration::ZERO);
}

/// What was read, as an engine keeps it: positions and rows in one step.
#[derive(Default)]
pub struct Kept {
    pub positions: Positions,
    /// How often each change was given out.
    pub changes: BTreeMap<Version, usize>,
    pub holes: Vec<Hole>,
    pub progress: Option<Timestamp>,
    pub horizon: Option<Timestamp>,
}

impl Kept {
    pub fn take_in(&mut self, chunk: DecodedChunk) {
        for version in chunk.tables.iter().flat_map(|table| &table.versions) {
            *self.changes.entry(*version).or_default() += 1;
        }
        self.holes.extend(chunk.holes);
        for (_, time) in &chunk.progress {
            assert!(Some(*time) > self.progress, "progress goes forward");
            self.progress = Some(*time);
        }
        for (_, time) in &chunk.horizons {
            self.horizon = Some(*time);
        }
        self.positions.0.insert(chunk.input, chunk.after);
    }

    /// Sequence numbers of the changes, which must all have come exactly once.
    pub fn sequences(&self) -> Vec<u64> {
        let twice = self.changes.iter().find(|(_, count)| **count != 1);
        assert_eq!(twice, None, "given out more than once");
        self.changes
            .keys()
            .map(|version| version.sequence)
            .collect()
    }
}

pub fn open(options: &KafkaOptions, kept: &Kept, until: Until) -> KafkaInput {
    KafkaInput::open(&common::catalog(), options.clone(), &kept.positions, until).unwrap()
}

/// Reads until the condition holds; panics when it does not in time.
pub fn read_until(
    input: &mut KafkaInput,
    kept: &mut Kept,
    what: &str,
    done: impl Fn(&Kept) -> bool,
) {
    let begun = Instant::now();
    while !done(kept) {
        match input.read(now()).unwrap() {
            Reading::Chunk(chunk) => kept.take_in(*chunk),
            Reading::Nothing => std::thread::sleep(Duration::from_millis(2)),
            Reading::End => panic!("the input ended before: {what}"),
        }
        let (changes, holes) = (kept.changes.len(), kept.holes.len());
        assert!(
            begun.elapsed() < LONG * 2,
            "waited in vain for: {what}; {changes} changes, {holes} holes"
        );
    }
}

/// Reads to the end of what there is now.
pub fn read_to_end(options: &KafkaOptions, kept: &mut Kept) {
    let mut input = open(options, kept, Until::Now);
    let begun = Instant::now();
    loop {
        match input.read(now()).unwrap() {
            Reading::Chunk(chunk) => kept.take_in(*chunk),
            Reading::Nothing => std::thread::sleep(Duration::from_millis(2)),
            Reading::End => return,
        }
        assert!(begun.elapsed() < LONG * 2, "the end is never reached");
    }
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap().as_micros() as i64)
}
