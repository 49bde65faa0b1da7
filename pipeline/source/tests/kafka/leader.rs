//! A cluster whose brokers leave and come back, one after the other: each time a copy takes over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use centinel_source::Until;
use rdkafka::producer::{BaseProducer, Producer as _};
use test_servers::KafkaCluster;

use crate::common::insert;
use crate::support::{
    Kept, LONG, now, open, options, producer_at, read_to_end, read_until, send_later,
};

const ROUNDS: u64 = 3;

/// The broker that leads the first partition; waits while there is none.
fn leader(producer: &BaseProducer) -> usize {
    let began = Instant::now();
    loop {
        let metadata = producer.client().fetch_metadata(Some("payments"), LONG);
        let topics = metadata.iter().flat_map(|metadata| metadata.topics());
        let mut partitions = topics.flat_map(|topic| topic.partitions());
        let leader = partitions.find(|partition| partition.id() == 0);
        let leader = leader.and_then(|partition| usize::try_from(partition.leader()).ok());
        if let Some(leader) = leader.filter(|leader| *leader > 0) {
            return leader;
        }
        assert!(began.elapsed() < LONG, "nobody leads");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn write(producer: &BaseProducer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        send_later(producer, "payments", (number % 2) as i32, &insert(number));
    }
}

#[test]
fn leaders_that_go_away_in_mid_stream_lose_and_repeat_nothing() {
    let mut cluster = KafkaCluster::start(3);
    cluster.create_topic("payments", 2, 3);
    let producer = producer_at(&cluster.bootstrap(), &[]);
    let options = options(&cluster.bootstrap());
    let mut kept = Kept::default();
    let mut input = open(&options, &kept, Until::Stopped);
    let mut led = BTreeSet::new();
    for round in 0..ROUNDS {
        let (first, half, all) = (round * 1_000, round * 1_000 + 500, round * 1_000 + 1_000);
        write(&producer, first..half);
        producer.flush(LONG).unwrap();
        read_until(&mut input, &mut kept, "some of the round", |kept| {
            kept.changes.len() as u64 > first
        });
        let gone = leader(&producer);
        led.insert(gone);
        write(&producer, half..all);
        match round {
            1 => cluster.stop(gone),
            _ => cluster.kill(gone),
        }
        // The new leader takes what the old one did not.
        producer.flush(LONG * 2).unwrap();
        let sent = now();
        read_until(
            &mut input,
            &mut kept,
            "the round, and that it is all",
            |kept| kept.changes.len() as u64 >= all && kept.progress > Some(sent),
        );
        assert_ne!(leader(&producer), gone);
        cluster.start_again(gone);
    }
    assert!(led.len() > 1, "only {led:?} led");
    assert_eq!(kept.sequences(), (0..ROUNDS * 1_000).collect::<Vec<_>>());
    assert!(kept.holes.is_empty(), "{:?}", kept.holes);
    // Where another leads, positions mean what they meant.
    read_to_end(&options, &mut kept);
    assert_eq!(kept.sequences().len() as u64, ROUNDS * 1_000);
    assert!(kept.holes.is_empty(), "{:?}", kept.holes);
}
