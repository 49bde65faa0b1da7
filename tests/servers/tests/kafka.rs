//! Kafka really runs, keeps its records, and is reached through the proxy.
#![allow(clippy::unwrap_used)]

use test_servers::Kafka;

fn produce(kafka: &Kafka, records: &str) {
    let arguments = ["--topic", "orders", "--command-property", "linger.ms=0"];
    kafka.tool(
        "org.apache.kafka.tools.ConsoleProducer",
        &arguments,
        records,
    );
}

/// So many records, as a client that begins at `bootstrap` reads them.
fn consume(bootstrap: &str, count: &str) -> String {
    let limits = [
        "--from-beginning",
        "--max-messages",
        count,
        "--timeout-ms",
        "20000",
    ];
    let arguments = [
        &["--bootstrap-server", bootstrap, "--topic", "orders"],
        &limits[..],
    ]
    .concat();
    Kafka::tool_alone(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &arguments,
        "",
    )
}

/// `topic:partition:offset` of each partition's beginning (-2) or end (-1).
fn offsets(kafka: &Kafka, time: &str) -> String {
    let arguments = ["--topic", "orders", "--time", time];
    let said = kafka.tool("org.apache.kafka.tools.GetOffsetShell", &arguments, "");
    let mut lines: Vec<_> = said.split_whitespace().collect();
    lines.sort_unstable();
    lines.join(" ")
}

#[test]
fn records_outlive_stop_and_kill() {
    let mut kafka = Kafka::start();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("orders", 1, &[]);
    produce(&kafka, "one\n");
    kafka.stop();
    assert!(!kafka.is_running());
    kafka.start_again();
    assert_eq!(kafka.bootstrap(), bootstrap);
    produce(&kafka, "two\n");
    kafka.kill();
    assert!(!kafka.is_running());
    kafka.start_again();
    assert_eq!(consume(&bootstrap, "2"), "one\ntwo\n");
}

#[test]
fn topics_and_records_come_and_go() {
    let kafka = Kafka::start_with(&[("num.io.threads", "3")]);
    kafka.create_topic("orders", 3, &[("retention.ms", "12345678")]);
    let described = kafka.tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--describe", "--topic", "orders"],
        "",
    );
    assert!(described.contains("PartitionCount: 3"), "{described}");
    assert!(described.contains("retention.ms=12345678"), "{described}");
    kafka.delete_topic("orders");
    kafka.create_topic("orders", 1, &[]);
    produce(&kafka, "one\ntwo\nthree\n");
    assert_eq!(offsets(&kafka, "-1"), "orders:0:3");
    kafka.delete_records("orders", 0, 2);
    assert_eq!(offsets(&kafka, "-2"), "orders:0:2");
    assert_eq!(consume(&kafka.bootstrap(), "1"), "three\n");
    assert!(
        kafka.log().contains("num.io.threads = 3"),
        "settings reach the broker"
    );
}

#[test]
fn a_proxy_stays_between() {
    let kafka = Kafka::start();
    kafka.create_topic("orders", 1, &[]);
    produce(&kafka, "one\ntwo\n");
    let proxy = kafka.proxy();
    assert_eq!(consume(&proxy.address(), "2"), "one\ntwo\n");
    // One connection to ask who is there, one or more to read.
    assert!(
        proxy.accepted() >= 2,
        "{} connections: the client went around",
        proxy.accepted()
    );
}
