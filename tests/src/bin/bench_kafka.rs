//! How fast detection reads Debezium's messages from a real Kafka on the same machine: 20 rules over four tables,
//! a topic for each, durable commits. `make bench-kafka`, or `bench_kafka [ORDERS]` (200,000 by default).
//!
//! `bench_kafka backlog [ORDERS]` reads a backlog with small caches and the program's own micro-batches, and shows
//! after each quarter of it how much memory is held: it levels off, however long the backlog is.

#![allow(clippy::panic, reason = "a bench that cannot go on says why")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_batch::Limits;
use centinel_engine::detect::{
    Detector, DetectorLimits, InputOptions, RunOptions, Stages, Surroundings, Until, run,
};
use centinel_model::Timestamp;
use centinel_outlet::LineFile;
use centinel_rules::Rule;
use centinel_source::{
    DebeziumOptions, Format, KafkaOptions, KafkaProgress, Start, TopicName, TopicOptions,
};
use centinel_state::{FileStore, Store};
use centinel_tests::measure::{
    Mark, RULES, SOURCES, forget_peak_memory, machine, peak_memory, resident_memory, shares,
};
use centinel_tests::{rules, schemas};
use data_fixtures::write::DebeziumWriter;
use data_fixtures::{Record, Simulation, SimulationParameters, Source};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::Kafka;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Partitions of each topic.
const PARTITIONS: u32 = 4;
const LONG: Duration = Duration::from_secs(120);

/// How much memory detection may use, and how much it takes at once.
struct Size {
    cache_bytes: usize,
    store_cache_bytes: usize,
    limits: Limits,
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let backlog = arguments.first().is_some_and(|first| first == "backlog");
    if backlog {
        arguments.remove(0);
    }
    let orders = arguments
        .first()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200_000);
    println!("machine: {}", machine());
    let kafka = Kafka::start();
    for source in SOURCES {
        kafka.create_topic(source.name(), PARTITIONS, &[]);
    }
    let (messages, bytes) = produce(&kafka, orders);
    println!(
        "{orders} orders, {messages} messages of Debezium, {:.2} GB, {PARTITIONS} partitions for each of {} topics",
        bytes as f64 / 1e9,
        SOURCES.len()
    );
    match backlog {
        true => {
            let small = Size {
                cache_bytes: 64 << 20,
                store_cache_bytes: 64 << 20,
                limits: Limits::default(),
            };
            println!("  before: {} held", resident_memory());
            forget_peak_memory();
            let mut quarters = 0;
            measure(&kafka, small, &mut |changes| {
                while (quarters + 1) * messages / 4 <= changes && quarters < 4 {
                    quarters += 1;
                    println!(
                        "  after {quarters}/4, {changes} changes: {} held, at most {} since the last quarter",
                        resident_memory(),
                        peak_memory()
                    );
                    forget_peak_memory();
                }
            });
        }
        false => {
            let large = Size {
                cache_bytes: DetectorLimits::default().cache_bytes,
                store_cache_bytes: 1 << 30,
                limits: Limits {
                    max_rows: 250_000,
                    max_bytes: 320 << 20,
                    ..Limits::default()
                },
            };
            measure(&kafka, large, &mut |_| {});
        }
    }
}

/// Writes the history in order of arrival, each row's messages into one partition.
fn produce(kafka: &Kafka, orders: u64) -> (u64, u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("linger.ms", "20")
        .set("batch.size", "262144")
        .set("enable.idempotence", "true")
        .create()
        .expect("a producer");
    let mut writer = DebeziumWriter::default();
    let (mut message, mut count, mut bytes) = (Vec::new(), 0, 0);
    let simulation = Simulation::new(SimulationParameters {
        orders,
        fault_share: 100,
        orders_per_second: 500,
        ..SimulationParameters::default()
    });
    for record in simulation.filter(|record| SOURCES.contains(&record.source)) {
        let Record::Change(change) = &record.record else {
            continue;
        };
        message.clear();
        writer.write(&mut message, &record);
        message.pop();
        let mut key = Vec::new();
        change.after.primary_key().push_text(&mut key);
        send(&producer, record.source, &key, &message);
        count += 1;
        bytes += message.len() as u64;
    }
    producer.flush(LONG).expect("the broker takes the history");
    (count, bytes)
}

fn send(producer: &BaseProducer, source: Source, key: &[u8], message: &[u8]) {
    let mut record = BaseRecord::to(source.name()).key(key).payload(message);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
            Err((error, _)) => panic!("the broker refuses: {error}"),
        }
    }
}

fn input(kafka: &Kafka, source: Source) -> InputOptions {
    InputOptions::Kafka(KafkaOptions {
        source: source.name().into(),
        brokers: kafka.bootstrap(),
        group: "bench".into(),
        topics: vec![TopicOptions {
            name: TopicName::Exact(source.name().into()),
            format: Format::Debezium(DebeziumOptions::default()),
        }],
        progress: KafkaProgress::Broker {
            delay: centinel_model::Duration::ZERO,
        },
        start: Start::Earliest,
        settings: Vec::new(),
    })
}

/// Reads all that is there; `look` is told how many changes were read.
fn measure(kafka: &Kafka, size: Size, look: &mut dyn FnMut(u64)) {
    let catalog = schemas();
    let chosen: Vec<Arc<Rule>> = rules(&catalog)
        .into_iter()
        .filter(|rule| RULES.contains(&rule.id.as_str()))
        .collect();
    assert_eq!(chosen.len(), RULES.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    let store = FileStore::open(&state, size.store_cache_bytes).expect("the state opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let limits = DetectorLimits {
        cache_bytes: size.cache_bytes,
        ..DetectorLimits::default()
    };
    let mut detector = Detector::new(Arc::clone(&catalog), &chosen, Arc::clone(&store), limits)
        .expect("detection begins");
    let mut outlet = LineFile::open(&folder.path().join("findings.jsonl")).expect("a file");
    let options = RunOptions {
        inputs: SOURCES.iter().map(|source| input(kafka, *source)).collect(),
        until: Until::Now,
        limits: size.limits,
        silent_after: centinel_model::Duration::seconds(60),
        quiet_after: None,
        archive: None,
        bootstrap: None,
        backlog: Default::default(),
    };
    let started = Instant::now();
    let mut last = Mark {
        changes: 0,
        seconds: 0.0,
        stages: Stages::default(),
    };
    let mut observe = |detector: &Detector, _: &[_]| {
        if last.changes < detector.counters.changes {
            last = Mark {
                changes: detector.counters.changes,
                seconds: started.elapsed().as_secs_f64(),
                stages: detector.stages,
            };
            look(last.changes);
        }
    };
    let surroundings = Surroundings {
        now: &|| Timestamp(1_900_000_000_000_000),
        stop: &|| false,
        observe: &mut observe,
        at_step: &|_| {},
    };
    run(&mut detector, &mut outlet, &options, surroundings).expect("detection runs");
    println!(
        "  {} changes in {:.1} s: {:.0} changes/s, the broker on the same cores; {} holes; peak memory {}",
        last.changes,
        last.seconds,
        last.changes as f64 / last.seconds,
        detector.holes(),
        peak_memory(),
    );
    shares(
        "  processor time by stage",
        &Stages::default(),
        &last.stages,
        last.changes,
    );
}
