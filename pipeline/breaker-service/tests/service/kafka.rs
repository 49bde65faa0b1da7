//! Dispositions in a topic of a real Kafka: each at least once, and those of one request in their order, whatever is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use test_servers::Kafka;

use crate::program::Place;
use crate::support::{release, request, trip, until};

const TOPIC: &str = "dispositions";
const PARTITIONS: i32 = 3;
const ROUNDS: u64 = 8;
/// Requests that are held once, and those that are held in each round.
const ONCE: usize = 150;
const ALWAYS: usize = 10;

/// Everything in the topic, by partition and offset: keys and values.
fn records(bootstrap: &str) -> Vec<(String, Value)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "a-reader")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let (mut assignment, mut ends) = (TopicPartitionList::new(), BTreeMap::new());
    for partition in 0..PARTITIONS {
        let offset = Offset::Beginning;
        assignment
            .add_partition_offset(TOPIC, partition, offset)
            .unwrap();
        let patience = Duration::from_secs(30);
        let (_, end) = consumer
            .fetch_watermarks(TOPIC, partition, patience)
            .unwrap();
        ends.insert(partition, end);
    }
    consumer.assign(&assignment).unwrap();
    let (mut found, mut read) = (Vec::new(), BTreeMap::new());
    while ends
        .iter()
        .any(|(partition, end)| read.get(partition).unwrap_or(&0) < end)
    {
        let message = consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
        read.insert(message.partition(), message.offset() + 1);
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let value = serde_json::from_str(&text(message.payload())).unwrap();
        found.push((text(message.key()), value));
    }
    found
}

/// Holds requests by a trip of the round, and lets all of them go.
async fn round(place: &Place, ann: &str, key: &str, round: u64) {
    let merchant = format!("M{}", round % 2);
    let wish = trip(&format!("k{round}"), &merchant, &["settlement"]);
    let set = place.persist("POST", "/v1/trips", ann, wish).await;
    let once = (0..ONCE).map(|number| format!("once-{round}-{number}"));
    let always = (0..ALWAYS).map(|number| format!("always-{}-{number}", round % 2));
    let held = futures::future::join_all(once.chain(always).map(|id| {
        let body = request(&id, "settlement", &merchant, "1.00");
        place.persist("POST", "/v1/checks", key, body)
    }));
    assert!(held.await.iter().all(|answer| answer["stored"] == true));
    let all = release(
        &format!("a{round}"),
        set["id"].as_str().unwrap(),
        None,
        "resume",
    );
    place.persist("POST", "/v1/releases", ann, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_disposition_reaches_the_topic_in_the_order_of_its_request() {
    let mut kafka = tokio::task::block_in_place(Kafka::start);
    kafka.create_topic(TOPIC, PARTITIONS as u32, &[]);
    let table = format!(
        "[breaker.kafka]\nbrokers = \"{}\"\ntopic = \"{TOPIC}\"\ntimeout = \"5s\"\n",
        kafka.bootstrap()
    );
    let place = Place::with("100000000", &table);
    let mut running = place.start();
    let root = place.sign_in("root").await;
    place.approver(&root, "ann").await;
    let key = place.key(&root).await;
    for number in 0..ROUNDS {
        let ann = place.sign_in("ann").await;
        // In one round the broker is not there when dispositions are; it comes back later.
        let away = number == 3;
        if away {
            tokio::task::block_in_place(|| kafka.kill());
        }
        round(&place, &ann, &key, number).await;
        if away {
            let said = place.folder.path().join("said");
            until("the word of it", || async {
                let said = std::fs::read_to_string(&said).unwrap();
                said.contains("the Kafka topic does not take").then_some(())
            })
            .await;
            tokio::task::block_in_place(|| kafka.start_again());
        } else {
            tokio::time::sleep(Duration::from_millis(number * 9)).await;
        }
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        running = place.start();
    }

    // The store's own list is what must be in the topic.
    let ann = place.sign_in("ann").await;
    let (mut expected, mut after) = (Vec::new(), 0);
    let total = (ROUNDS as usize) * (ONCE + ALWAYS);
    while expected.len() < total {
        let path = format!("/v1/dispositions?after={after}&limit=1000&wait_ms=5000");
        let page = place.persist("GET", &path, &key, Value::Null).await;
        expected.extend(page["dispositions"].as_array().unwrap().clone());
        after = page["next"].as_u64().unwrap();
    }
    until("the last one's delivery", || async {
        let status = place.persist("GET", "/v1/status", &ann, Value::Null).await;
        (status["kafka_delivered"] == total as u64).then_some(())
    })
    .await;
    let bootstrap = kafka.bootstrap();
    let records = tokio::task::block_in_place(|| records(&bootstrap));
    let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (key, mut value) in records {
        assert_eq!(value["request_id"], key.as_str());
        let schema = value.as_object_mut().unwrap().remove("schema").unwrap();
        assert_eq!(schema, "centinel/disposition/1");
        let sequence = value["sequence"].as_u64().unwrap();
        assert_eq!(value, expected[sequence as usize - 1]);
        // What repeats is not behind what was told of its request for the first time.
        let of_request = told.entry(key).or_default();
        if of_request.last().is_none_or(|last| sequence > *last) {
            of_request.push(sequence);
        } else {
            assert!(
                of_request.contains(&sequence),
                "{sequence} came late: {of_request:?}"
            );
        }
    }
    let mut wanted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for one in &expected {
        let of_request = wanted.entry(one["request_id"].as_str().unwrap().to_owned());
        of_request
            .or_default()
            .push(one["sequence"].as_u64().unwrap());
    }
    assert_eq!(wanted["always-0-0"].len(), ROUNDS as usize / 2);
    assert_eq!(told, wanted);
    drop(running);
    place.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secured_broker_takes_dispositions_from_the_account_it_knows() {
    let kafka = tokio::task::block_in_place(Kafka::start_secured);
    kafka.create_topic(TOPIC, PARTITIONS as u32, &[]);
    let secured = kafka.secured();
    let table = format!(
        "[breaker.kafka]\nbrokers = \"{}\"\ntopic = \"{TOPIC}\"\n[breaker.kafka.settings]\n\
         \"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = \"{}\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = \"{}\"\n\
         \"sasl.password\" = {{ env = \"KAFKA_PASSWORD\" }}\n",
        secured.bootstrap(),
        secured.authority().display(),
        secured.user(),
    );
    let place = Place::with("100000000", &table);
    // A wrong password: it is said, and no check waits for it.
    let running = place.start_with(&[("KAFKA_PASSWORD", "not this one")]);
    let root = place.sign_in("root").await;
    place.approver(&root, "ann").await;
    let (ann, key) = (place.sign_in("ann").await, place.key(&root).await);
    round(&place, &ann, &key, 0).await;
    until("the word of it", || async {
        let said = std::fs::read_to_string(place.folder.path().join("said")).unwrap();
        assert!(!said.contains("not this one"), "{said}");
        said.contains("the Kafka topic does not take").then_some(())
    })
    .await;
    drop(running);

    let _running = place.start_with(&[("KAFKA_PASSWORD", secured.password())]);
    let ann = place.sign_in("ann").await;
    let all = (ONCE + ALWAYS) as u64;
    until("the last one's delivery", || async {
        let status = place.persist("GET", "/v1/status", &ann, Value::Null).await;
        (status["kafka_delivered"] == json!(all)).then_some(())
    })
    .await;
    let bootstrap = kafka.bootstrap();
    let records = tokio::task::block_in_place(|| records(&bootstrap));
    assert_eq!(records.len() as u64, all);
}
