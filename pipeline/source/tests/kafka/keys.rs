//! What a check says of how rows are spread over the partitions of a real topic.

use std::time::{Duration, Instant};

use centinel_source::{Checked, Format, check_kafka};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use test_servers::Kafka;

use crate::common;
use crate::support::{LONG, now, options, producer, producer_with};

/// The row of a payment as tools write it, all values as text or as JSON's own.
fn row(number: u64, text: bool) -> String {
    let amount = if text { "\"12.50\"" } else { "12.50" };
    format!(
        r#"{{"payment_no":"P{number}","order_no":"o{number}","amount":{amount},"fen":null,"live":null,"paid_at":null,"day":null,"extra":null,"updated_at":"2026-11-22 08:00:00"}}"#
    )
}

fn canal(number: u64) -> String {
    let row = row(number, true);
    format!(
        r#"{{"data":[{row}],"database":"shop","es":1795334340000,"id":3,"isDdl":false,"old":null,"table":"payment","ts":1795334340000,"type":"INSERT"}}"#
    )
}

fn maxwell(number: u64, position: Option<u64>) -> String {
    let row = row(number, false);
    let position = position.map(|position| format!(r#""position":"binlog.000001:{position}","#));
    format!(
        r#"{{"database":"shop","table":"payment","type":"insert","ts":1795334340,"xid":{number},"commit":true,{}"data":{row}}}"#,
        position.unwrap_or_default()
    )
}

fn send(producer: &BaseProducer, partition: i32, key: Option<&str>, value: &str) {
    let record: BaseRecord<'_, str, str> = BaseRecord::to("payments")
        .partition(partition)
        .payload(value);
    let record = match key {
        Some(key) => record.key(key),
        None => record,
    };
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(LONG).unwrap();
}

fn check(kafka: &Kafka, format: Format) -> Checked {
    let mut options = options(&kafka.bootstrap());
    options.topics[0].format = format;
    check_kafka(&common::catalog(), &options, now())
}

/// Waits until readers see the partitions up to these offsets: a broker marks a transaction's end in each of them after
/// its producer was told that it is committed.
fn committed_up_to(kafka: &Kafka, ends: [i64; 2]) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let begun = Instant::now();
    for (partition, end) in (0..).zip(ends) {
        while consumer
            .fetch_watermarks("payments", partition, LONG)
            .unwrap()
            .1
            < end
        {
            assert!(
                begun.elapsed() < LONG,
                "partition {partition} is not at {end}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Nothing is wrong, and all was seen.
#[track_caller]
fn assert_well(checked: &Checked) {
    assert_eq!(*checked, Checked::default());
}

#[track_caller]
fn assert_one(checked: &Checked, says: &[&str]) {
    assert_eq!(checked.problems.len(), 1, "{checked:#?}");
    let problem = &checked.problems[0];
    let told = format!("{}; help: {}", problem.what, problem.remedy);
    for says in says {
        assert!(told.contains(says), "`{says}` in {told}");
    }
}

#[test]
fn rows_of_one_key_in_two_partitions_of_canal_are_a_problem() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 3, &[]);
    let empty = check(&kafka, Format::Canal);
    assert_eq!(empty.problems, [], "that it is empty is no problem");
    assert_eq!(empty.notes.len(), 1, "{:?}", empty.notes);
    assert!(
        empty.notes[0].contains("`payments` has no message yet"),
        "{:?}",
        empty.notes
    );

    // Canal chooses partitions itself, without keys. One stays empty.
    let producer = producer(&kafka);
    for number in 0..40 {
        send(&producer, (number % 2) as i32, None, &canal(number));
        send(&producer, (number % 2) as i32, None, &canal(number));
    }
    assert_well(&check(&kafka, Format::Canal));

    send(&producer, 2, None, &canal(7));
    assert_one(
        &check(&kafka, Format::Canal),
        &[
            "rows of `payment` with one primary key stand in two partitions of `payments`: in 1 at offset 6, in 2 at \
             offset 0",
            "partitionHash",
            "a new topic",
        ],
    );
    // What lies further back than the newest messages is not looked at.
    for number in 0..110 {
        let number = 100 + number;
        send(&producer, 1, None, &canal(number));
        send(&producer, 1, None, &canal(number));
    }
    assert_well(&check(&kafka, Format::Canal));
}

#[test]
fn maxwell_needs_keys_where_it_writes_no_positions() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 2, &[]);
    let producer = producer(&kafka);
    // With positions, rows may come by any way.
    for number in 0..4 {
        let message = maxwell(number / 2, Some(100 + number));
        send(&producer, (number % 2) as i32, None, &message);
    }
    assert_well(&check(&kafka, Format::Maxwell));

    kafka.delete_topic("payments");
    kafka.create_topic("payments", 2, &[]);
    let producer = producer_with(&kafka, &[]);
    for number in 0..4 {
        send(
            &producer,
            (number % 2) as i32,
            Some("k"),
            &maxwell(number, None),
        );
    }
    assert_well(&check(&kafka, Format::Maxwell));
    send(&producer, 1, None, &maxwell(9, None));
    assert_one(
        &check(&kafka, Format::Maxwell),
        &[
            "messages of `payments` have no key",
            "partition 1 at offset 2",
            "output_binlog_position=true",
        ],
    );
    send(&producer, 0, Some("k"), &maxwell(9, None));
    assert_one(
        &check(&kafka, Format::Maxwell),
        &["one primary key", "in 0 at offset 2, in 1 at offset 2"],
    );
}

#[test]
fn one_partition_needs_no_keys() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 1, &[]);
    let producer = producer(&kafka);
    for number in 0..4 {
        send(&producer, 0, None, &maxwell(number / 2, None));
    }
    assert_well(&check(&kafka, Format::Maxwell));
}

/// What marks the end of a transaction stands last and is never given out; all messages were seen nevertheless.
#[test]
fn marks_of_transactions_are_not_waited_for() {
    let kafka = Kafka::start();
    kafka.create_topic("payments", 2, &[]);
    let producer = producer_with(&kafka, &[("transactional.id", "test")]);
    producer.init_transactions(LONG).unwrap();
    producer.begin_transaction().unwrap();
    for number in 0..4 {
        send(
            &producer,
            (number % 2) as i32,
            Some("k"),
            &maxwell(number, None),
        );
    }
    producer.commit_transaction(LONG).unwrap();
    committed_up_to(&kafka, [3, 3]);
    assert_well(&check(&kafka, Format::Maxwell));
    producer.begin_transaction().unwrap();
    send(&producer, 0, Some("k"), &maxwell(1, None));
    producer.commit_transaction(LONG).unwrap();
    committed_up_to(&kafka, [5, 3]);
    // Partition 0 has two messages and a mark before it.
    assert_one(
        &check(&kafka, Format::Maxwell),
        &["in 0 at offset 3, in 1 at offset 0"],
    );
}
