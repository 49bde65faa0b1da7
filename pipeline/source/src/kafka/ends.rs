//! Where the partitions end at some moment, asked again and again on a thread of its own: once all of them were
//! read up to there, everything that was written before the moment was read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use centinel_model::Timestamp;
use rdkafka::consumer::Consumer as _;

use super::connection::{Consumer, Found, REQUEST, found, watermarks};
use super::options::{KafkaOptions, TopicName};

/// How often the ends are asked for.
const EVERY: Duration = Duration::from_millis(200);
/// How often all topics are listed, to find new ones that match a pattern.
const LISTED_EVERY: Duration = Duration::from_secs(10);

/// What the brokers said.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// The wall clock before they were asked.
    pub(super) asked_at: Timestamp,
    /// The same on this process's own clock.
    pub(super) asked: Instant,
    /// The next offset of each partition that there was.
    pub(super) ends: BTreeMap<Found, u64>,
}

/// The thread that asks.
pub(super) struct EndWatch {
    pub(super) ends: Receiver<Ends>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EndWatch {
    pub(super) fn start(
        consumer: Arc<Consumer>,
        options: Arc<KafkaOptions>,
    ) -> std::io::Result<EndWatch> {
        let (send, ends) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("kafka ends".into())
            .spawn(move || watch(&consumer, &options, &send, &stopped))?;
        Ok(EndWatch {
            ends,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Frees the thread where it waits to hand something over.
        while self.ends.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(
    consumer: &Arc<Consumer>,
    options: &KafkaOptions,
    send: &SyncSender<Ends>,
    stop: &AtomicBool,
) {
    let mut patterns: Vec<Found> = Vec::new();
    let mut listed: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let asked_at = wall_clock();
        if listed.is_none_or(|last| last.elapsed() >= LISTED_EVERY) {
            // Fails while the brokers are away; then it is asked again.
            if let Ok(metadata) = consumer.fetch_metadata(None, REQUEST) {
                patterns = found(&metadata, options);
                listed = Some(Instant::now());
            }
        }
        if let Some(ends) = ask(consumer, options, &patterns) {
            // When the last answer was not taken yet, it is as good.
            let _ = send.try_send(Ends {
                asked_at,
                asked,
                ends,
            });
        }
        // Many partitions take long to ask: a fifth of the time is enough.
        let spent = asked.elapsed();
        std::thread::sleep(EVERY.max(spent * 5).saturating_sub(spent));
    }
}

/// The ends of all partitions, or nothing when one of them cannot be asked now.
fn ask(
    consumer: &Arc<Consumer>,
    options: &KafkaOptions,
    listed: &[Found],
) -> Option<BTreeMap<Found, u64>> {
    let mut partitions: Vec<Found> = listed.to_vec();
    for topic in &options.topics {
        if let TopicName::Exact(name) = &topic.name {
            let metadata = consumer.fetch_metadata(Some(name), REQUEST).ok()?;
            partitions.extend(found(&metadata, options));
        }
    }
    partitions.sort();
    partitions.dedup();
    partitions
        .into_iter()
        .map(|partition| {
            let (_, high) = watermarks(consumer, &partition.topic, partition.number).ok()?;
            Some((partition, high))
        })
        .collect()
}

/// Microseconds since 1970 on this machine's clock.
pub(super) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_micros() as i64))
}
