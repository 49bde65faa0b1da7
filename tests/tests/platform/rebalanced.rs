//! The group of consumers changes in mid-stream, and topics get more partitions.

use std::time::{Duration, Instant};

use centinel_tests::platform::{LONG, PARTITIONS, Platform};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use crate::{assert_true, history, judged_by, watching};

const GROWING: [&str; 2] = ["payment_completed", "settlement_completed"];
const MORE_PARTITIONS: u32 = 5;

/// Another consumer of Centinel's own group.
struct Member {
    consumer: BaseConsumer,
    read: u64,
}

impl Member {
    fn poll(&mut self) {
        let message = self.consumer.poll(Duration::from_millis(20));
        self.read += u64::from(message.is_some_and(|message| message.is_ok()));
    }
}

/// Another member joins these; waits until it was given partitions, for which the others must give up theirs.
fn join(members: &mut Vec<Member>, brokers: &str) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "centinel")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&GROWING).unwrap();
    members.push(Member { consumer, read: 0 });
    let began = Instant::now();
    while members
        .iter()
        .any(|member| member.consumer.assignment().unwrap().count() == 0)
    {
        assert!(began.elapsed() < LONG, "a member was given nothing");
        members.iter_mut().for_each(Member::poll);
    }
}

/// The first of these says that it has read all that it was given, and leaves.
fn leave(members: &mut Vec<Member>) {
    let began = Instant::now();
    while members[0].read < 50 {
        assert!(began.elapsed() < LONG, "{} were given", members[0].read);
        members.iter_mut().for_each(Member::poll);
    }
    let member = members.remove(0);
    // While members come and go, nothing may be taken from one.
    let _ = member.consumer.commit_consumer_state(CommitMode::Sync);
}

#[test]
fn members_that_come_and_go_and_partitions_that_are_added_change_nothing() {
    let mut platform = Platform::start();
    let history = history(26, 1_500);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let inputs = platform.addresses().inputs();
    let watching = watching(inputs, folder.path(), &judged, &history);
    let brokers = platform.kafka.bootstrap();
    let live = &mut platform;
    let detected = watching
        .run(&|_| {}, |_| {
            let mut members = Vec::new();
            let parts = history.records.chunks(history.records.len().div_ceil(24));
            for (number, part) in parts.enumerate() {
                match number {
                    6 | 8 | 14 => join(&mut members, &brokers),
                    10 => GROWING
                        .iter()
                        .for_each(|topic| live.kafka.add_partitions(topic, MORE_PARTITIONS)),
                    12 | 18 | 20 => leave(&mut members),
                    _ => {}
                }
                live.live(part);
            }
            live.say_that_it_ended(history.end);
        })
        .unwrap();
    for topic in GROWING {
        let added = (PARTITIONS..MORE_PARTITIONS).map(|number| platform.records_in(topic, number));
        assert!(added.sum::<i64>() > 100, "{topic} has not grown");
    }
    assert_true(&detected, &judged.1, &history);
}
