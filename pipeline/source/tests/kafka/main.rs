//! Topics of a real broker: nothing is lost, nothing comes twice, and what is gone is said.
#![allow(clippy::unwrap_used, clippy::panic)]

mod avro;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/avro.rs"]
mod encoder;
mod keys;
mod leader;
mod support;
#[path = "../common/registry.rs"]
mod test_registry;

use std::time::Duration;

use centinel_model::{HoleReason, Timestamp};
use centinel_source::{
    Input as _, InputError, KafkaInput, KafkaProgress, Reading, Start, TopicName, Until,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::Producer as _;
use regex::Regex;
use test_servers::Kafka;

use common::insert;
use support::{Kept, LONG, now, open, options, producer, producer_with, read_to_end, read_until};
use support::{send, send_later};

fn with_topic(partitions: u32) -> Kafka {
    let kafka = Kafka::start();
    kafka.create_topic("payments", partitions, &[]);
    kafka
}

#[test]
fn positions_resume_exactly_in_every_partition() {
    let kafka = with_topic(3);
    let producer = producer(&kafka);
    for number in 0..300 {
        send_later(&producer, "payments", (number % 3) as i32, &insert(number));
    }
    producer.flush(LONG).unwrap();
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences(), (0..300).collect::<Vec<_>>());
    // Nothing more: nothing comes.
    read_to_end(&options, &mut kept);
    for number in 300..400 {
        send_later(&producer, "payments", (number % 3) as i32, &insert(number));
    }
    producer.flush(LONG).unwrap();
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences(), (0..400).collect::<Vec<_>>());
    assert!(kept.holes.is_empty());
    assert_eq!(kept.horizon, None, "the topic was read from its beginning");
}

#[test]
fn progress_says_that_everything_before_it_was_read() {
    let kafka = with_topic(2);
    let producer = producer(&kafka);
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    // Partitions without any record count as read to their end.
    let begun = now();
    read_until(&mut input, &mut kept, "progress while idle", |kept| {
        kept.progress > Some(begun)
    });
    for number in 0..200 {
        send_later(&producer, "payments", (number % 2) as i32, &insert(number));
    }
    producer.flush(LONG).unwrap();
    let sent = now();
    read_until(
        &mut input,
        &mut kept,
        "progress after the records",
        |kept| kept.progress > Some(sent),
    );
    assert_eq!(
        kept.sequences().len(),
        200,
        "all was read before it was said"
    );
}

#[test]
fn heartbeats_count_for_all_partitions() {
    let kafka = with_topic(2);
    let producer = producer(&kafka);
    let mut options = options(&kafka.bootstrap());
    options.progress = KafkaProgress::Heartbeat {
        table: "payment".into(),
    };
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    send(&producer, "payments", 1, &insert(1));
    let beat = r#"{"heartbeat":"payment-db","committed_at":"2026-11-22T09:00:00Z"}"#;
    send(&producer, "payments", 0, beat);
    let beat = Timestamp::parse("2026-11-22T09:00:00Z").unwrap();
    read_until(&mut input, &mut kept, "the heartbeat", |kept| {
        kept.progress == Some(beat)
    });
    assert_eq!(kept.sequences(), [1]);
}

#[test]
fn a_broker_that_stops_and_starts_loses_and_repeats_nothing() {
    let mut kafka = with_topic(2);
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    for round in 0..2u64 {
        let producer = producer(&kafka);
        for number in round * 500..round * 500 + 500 {
            send_later(&producer, "payments", (number % 2) as i32, &insert(number));
        }
        producer.flush(LONG).unwrap();
        let some = round as usize * 500 + 1;
        read_until(&mut input, &mut kept, "some", |kept| {
            kept.changes.len() >= some
        });
        match round {
            0 => kafka.stop(),
            _ => kafka.kill(),
        }
        // What waits in memory is read while the broker is away.
        if let Reading::Chunk(chunk) = input.read(now()).unwrap() {
            kept.take_in(*chunk);
        }
        kafka.start_again();
        let all = round as usize * 500 + 500;
        read_until(&mut input, &mut kept, "all", |kept| {
            kept.changes.len() >= all
        });
    }
    assert_eq!(kept.sequences(), (0..1_000).collect::<Vec<_>>());
    assert!(kept.holes.is_empty());
}

#[test]
fn connections_that_are_cut_lose_and_repeat_nothing() {
    let kafka = with_topic(2);
    let producer = producer(&kafka);
    let proxy = kafka.proxy();
    let options = options(&proxy.address());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    for round in 0..5u64 {
        for number in round * 1_000..round * 1_000 + 1_000 {
            send_later(&producer, "payments", (number % 2) as i32, &insert(number));
        }
        producer.flush(LONG).unwrap();
        proxy.cut_after(20_000);
        let all = (round as usize + 1) * 1_000;
        read_until(&mut input, &mut kept, "the round", |kept| {
            kept.changes.len() >= all
        });
        proxy.cut_all();
    }
    assert_eq!(kept.sequences(), (0..5_000).collect::<Vec<_>>());
}

#[test]
fn records_that_expired_unread_are_one_hole() {
    let kafka = with_topic(1);
    let producer = producer(&kafka);
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    for number in 0..10 {
        send(&producer, "payments", 0, &insert(number));
    }
    read_to_end(&options, &mut kept);
    for number in 10..30 {
        send(&producer, "payments", 0, &insert(number));
    }
    kafka.delete_records("payments", 0, 20);
    for _ in 0..2 {
        read_to_end(&options, &mut kept);
    }
    let expected: Vec<u64> = (0..10).chain(20..30).collect();
    assert_eq!(kept.sequences(), expected);
    assert_eq!(kept.holes.len(), 1);
    assert_eq!(kept.holes[0].reason, HoleReason::Gap);
    let horizon = Timestamp::parse(common::NOW).unwrap();
    assert_eq!(kept.horizon, Some(horizon), "reading begins anew behind it");
    assert!(
        kept.holes[0].message.contains("10 to 19"),
        "{}",
        kept.holes[0].message
    );
    // The same while reading goes on.
    let mut input = open(&options, &kept, Until::Stopped);
    read_until(&mut input, &mut kept, "progress", |kept| {
        kept.progress.is_some()
    });
    assert_eq!(kept.holes.len(), 1);
}

#[test]
fn a_topic_made_anew_is_told_whether_it_is_shorter_or_longer() {
    let kafka = with_topic(1);
    let producer = producer(&kafka);
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    for number in 0..10 {
        send(&producer, "payments", 0, &insert(number));
    }
    read_to_end(&options, &mut kept);
    for (round, count) in [(1u64, 5u64), (2, 50)] {
        kafka.delete_topic("payments");
        kafka.create_topic("payments", 1, &[]);
        let producer = support::producer(&kafka);
        for number in 0..count {
            send(&producer, "payments", 0, &insert(round * 1_000 + number));
        }
        read_to_end(&options, &mut kept);
        assert_eq!(kept.holes.len() as u64, round, "{:?}", kept.holes);
        assert!(kept.holes.iter().all(|hole| hole.reason == HoleReason::Gap));
    }
    let expected: Vec<u64> = (0..10).chain(1_000..1_005).chain(2_000..2_050).collect();
    assert_eq!(
        kept.sequences(),
        expected,
        "the new topics were read from their beginnings"
    );
}

#[test]
fn aborted_transactions_are_not_read_and_markers_do_not_hold_progress_back() {
    let kafka = with_topic(1);
    let producer = producer_with(&kafka, &[("transactional.id", "test")]);
    producer.init_transactions(LONG).unwrap();
    for round in 0..6u64 {
        producer.begin_transaction().unwrap();
        send(&producer, "payments", 0, &insert(round));
        match round % 2 {
            0 => producer.commit_transaction(LONG).unwrap(),
            _ => producer.abort_transaction(LONG).unwrap(),
        }
    }
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences(), [0, 2, 4]);
    let mut input = open(&options, &kept, Until::Stopped);
    let begun = now();
    read_until(&mut input, &mut kept, "progress behind markers", |kept| {
        kept.progress > Some(begun)
    });
}

#[test]
fn another_consumer_of_the_group_takes_nothing_away() {
    let kafka = with_topic(2);
    let producer = producer(&kafka);
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "centinel")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    other.subscribe(&["payments"]).unwrap();
    for number in 0..400u64 {
        send(&producer, "payments", (number % 2) as i32, &insert(number));
        if number % 100 == 50 {
            let _ = other.poll(Duration::from_millis(500));
        }
    }
    read_until(&mut input, &mut kept, "all", |kept| {
        kept.changes.len() == 400
    });
    assert_eq!(kept.sequences(), (0..400).collect::<Vec<_>>());
}

#[test]
fn new_partitions_and_new_topics_are_found() {
    let kafka = Kafka::start();
    kafka.create_topic("shop0.payments", 1, &[]);
    let producer = producer(&kafka);
    let mut options = options(&kafka.bootstrap());
    options.topics[0].name = TopicName::Pattern(Regex::new(r"^shop\d\.payments$").unwrap());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    send(&producer, "shop0.payments", 0, &insert(0));
    read_until(&mut input, &mut kept, "the first topic", |kept| {
        kept.changes.len() == 1
    });
    kafka.create_topic("shop1.payments", 2, &[]);
    kafka.create_topic("other.payments", 1, &[]);
    let before = now();
    send(&producer, "shop1.payments", 1, &insert(1));
    send(&producer, "other.payments", 0, &insert(2));
    read_until(&mut input, &mut kept, "the second topic", |kept| {
        kept.changes.len() == 2
    });
    assert!(
        kept.progress < Some(before),
        "progress went past a record of a topic that was not known yet"
    );
    assert_eq!(kept.sequences(), [0, 1]);
    assert_eq!(kept.positions.0.len(), 2);
}

#[test]
fn partitions_that_are_added_are_read_from_their_first_record() {
    let kafka = with_topic(1);
    let mut options = options(&kafka.bootstrap());
    options.start = Start::Latest;
    send(&producer(&kafka), "payments", 0, &insert(0));
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    send(&producer(&kafka), "payments", 0, &insert(1));
    read_until(&mut input, &mut kept, "the first", |kept| {
        !kept.changes.is_empty()
    });
    // While it is read: found after a record is there.
    kafka.add_partitions("payments", 2);
    send(&producer(&kafka), "payments", 1, &insert(2));
    read_until(&mut input, &mut kept, "the added partition", |kept| {
        kept.changes.len() == 2
    });
    drop(input);
    // While nobody reads.
    kafka.add_partitions("payments", 3);
    send(&producer(&kafka), "payments", 2, &insert(3));
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences(), [1, 2, 3]);
    assert!(kept.holes.is_empty());
}

#[test]
fn ten_thousand_poison_messages_are_as_many_holes_and_stop_nothing() {
    let kafka = with_topic(2);
    let producer = producer(&kafka);
    for number in 0..10_000u64 {
        let poison = match number % 4 {
            0 => "not JSON".to_owned(),
            1 => insert(number).replace("12.50", "twelve"),
            2 => insert(number).replace("payment\"", "unknown\""),
            _ => "\u{0}\u{1}{".to_owned(),
        };
        send_later(&producer, "payments", (number % 2) as i32, &poison);
        if number % 100 == 0 {
            send_later(&producer, "payments", (number % 2) as i32, &insert(number));
        }
    }
    producer.flush(LONG).unwrap();
    let options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    read_to_end(&options, &mut kept);
    assert_eq!(kept.holes.len(), 10_000);
    assert_eq!(kept.sequences().len(), 100);
    let mut places: Vec<_> = kept
        .holes
        .iter()
        .map(|hole| (hole.input.clone(), hole.position.place()))
        .collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 10_000, "each hole has its own place");
}

#[test]
fn a_topic_whose_beginning_is_gone_has_a_horizon() {
    let kafka = with_topic(1);
    let producer = producer(&kafka);
    for number in 0..10 {
        send(&producer, "payments", 0, &insert(number));
    }
    kafka.delete_records("payments", 0, 4);
    let mut options = options(&kafka.bootstrap());
    let mut kept = Kept::default();
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences(), (4..10).collect::<Vec<_>>());
    assert_eq!(kept.horizon, Some(Timestamp::parse(common::NOW).unwrap()));
    assert!(
        kept.holes.is_empty(),
        "what was never to be read is no hole"
    );
    // Begun at the end, everything before is beyond the horizon, too.
    options.start = Start::Latest;
    let mut late = Kept::default();
    let mut input = open(&options, &late, Until::Stopped);
    send(&producer, "payments", 0, &insert(10));
    read_until(&mut input, &mut late, "the new record", |kept| {
        !kept.changes.is_empty()
    });
    assert_eq!(late.sequences(), [10]);
    assert!(late.horizon.is_some());
}

#[test]
fn what_waiting_does_not_mend_is_refused_with_a_remedy() {
    let kafka = with_topic(1);
    let refusal = |change: &dyn Fn(&mut centinel_source::KafkaOptions)| {
        let mut options = options(&kafka.bootstrap());
        change(&mut options);
        let opened = KafkaInput::open(
            &common::catalog(),
            options,
            &centinel_model::Positions::default(),
            Until::Now,
        );
        match opened.err() {
            Some(InputError::Refused { what, remedy, .. }) => format!("{what}; {remedy}"),
            other => panic!("expected a refusal: {other:?}"),
        }
    };
    let missing = refusal(&|options| options.topics[0].name = TopicName::Exact("paymets".into()));
    assert!(missing.contains("no topic `paymets`"), "{missing}");
    let source = refusal(&|options| options.source = "unknown-db".into());
    assert!(
        source.contains("no schema is read from this source"),
        "{source}"
    );
    let setting = refusal(&|options| options.settings[0].name = "security.protocl".into());
    assert!(setting.contains("security.protocl"), "{setting}");
    let secret = refusal(&|options| {
        options.settings[0].name = "sasl.password".into();
        options.settings[0].value = "hunter2".into();
        options.brokers = "127.0.0.1:1".into();
    });
    assert!(secret.contains("do not answer"), "{secret}");
    assert!(!secret.contains("hunter2"), "{secret}");
}
