//! A topic of a real broker as a channel.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::Value;
use test_servers::Kafka;

use crate::shop::Shop;

/// What is in the topic: keys and values, as many as this.
fn records(kafka: &Kafka, many: usize) -> Vec<(String, Value)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "people")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["alerts"]).unwrap();
    let (mut found, began) = (Vec::new(), Instant::now());
    while found.len() < many {
        assert!(began.elapsed() < Duration::from_secs(120), "only {found:?}");
        if let Some(record) = consumer.poll(Duration::from_millis(200)) {
            let record = record.unwrap();
            let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
            found.push((
                key,
                serde_json::from_slice(record.payload().unwrap()).unwrap(),
            ));
        }
    }
    found
}

#[test]
fn messages_reach_a_topic_also_after_its_broker_was_away() {
    let (mut shop, mut kafka) = (Shop::new(), Kafka::start());
    kafka.create_topic("alerts", 3, &[]);
    shop.configure(&format!(
        "[alerts.topic]\nkind = \"kafka\"\nbrokers = \"{}\"\ntopic = \"alerts\"\nwait = \"0s\"\ntimeout = \"3s\"\n",
        kafka.bootstrap()
    ));
    let (status, shown, said) = shop.centinel(&["alerts", "test", "topic"]);
    assert_eq!(
        (status, shown.as_str()),
        (0, "topic: took the test\n"),
        "{said}"
    );
    kafka.stop();
    shop.break_rule(0..1);
    let mut running = shop.detect();
    running.wait_said("the alert channel `topic` does not take messages");
    kafka.start_again();
    running.wait_said("the alert channel `topic` takes messages again");
    assert_eq!(running.terminate().0, 2);
    let records = records(&kafka, 2);
    let rules: Vec<&Value> = records.iter().map(|(_, value)| &value["rule"]).collect();
    assert_eq!(rules, ["centinel/alert-test", "amount-is-positive"]);
    assert!(records.iter().all(|(key, _)| key == "topic"));
    assert_eq!(records[1].1["schema"], "centinel/alert/1");
    assert_eq!(records[1].1["channel"], "topic");
}
