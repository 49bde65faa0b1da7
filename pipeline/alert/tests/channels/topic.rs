//! A topic of librdkafka's own broker, which speaks Kafka's protocol on a port of this machine.

use std::time::{Duration, Instant};

use centinel_alert::Outcome;
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::samples::{ALERT, message};
use crate::{later, outlet, send};

fn table(brokers: &str, more: &str) -> String {
    format!(
        "kind = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"alerts\"\ntimeout = \"10s\"\n{more}"
    )
}

#[tokio::test]
async fn a_message_is_confirmed_by_the_broker_before_it_counts() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    let outlet = outlet(&table(&cluster.bootstrap_servers(), ""), &[]);
    // The broker fails first: the client sends again by itself.
    let failing = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS];
    cluster.request_errors(RDKafkaApiKey::Produce, &failing);
    assert_eq!(send(&outlet, &message(ALERT)).await, Outcome::Delivered);
    let read = tokio::task::spawn_blocking({
        let brokers = cluster.bootstrap_servers();
        move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("group.id", "test")
                .set("auto.offset.reset", "earliest")
                .create()
                .unwrap();
            consumer.subscribe(&["alerts"]).unwrap();
            let end = Instant::now() + Duration::from_secs(60);
            let record = loop {
                match consumer.poll(Duration::from_secs(1)) {
                    Some(record) => break record.unwrap(),
                    None => assert!(Instant::now() < end, "the topic has no record"),
                }
            };
            let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
            (key, record.payload().unwrap().to_vec())
        }
    });
    let (key, value) = read.await.unwrap();
    assert_eq!(key, "c");
    let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
    assert_eq!(
        value,
        serde_json::from_str::<serde_json::Value>(ALERT).unwrap()
    );
}

#[tokio::test]
async fn brokers_that_are_not_there_are_tried_again() {
    let outlet = outlet(&table("127.0.0.1:1", "").replace("10s", "500ms"), &[]);
    let (why, _) = later(send(&outlet, &message(ALERT)).await);
    assert!(why.contains("timed out"), "{why}");
}
