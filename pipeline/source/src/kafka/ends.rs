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
/// How often all topics are listed where there are patterns, to find new ones that match.
const LISTED_EVERY: Duration = Duration::from_secs(2);

/// What the brokers said.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// On this process's own clock, before they were asked for the ends.
    pub(super) asked: Instant,
    /// Before they were asked which partitions there are. What was written before that stands in one of these.
    pub(super) listed: Moment,
    /// The next offset of each partition that there was.
    pub(super) ends: BTreeMap<Found, u64>,
}

/// A moment on two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// On the wall clock.
    pub(super) time: Timestamp,
    /// On this process's own.
    pub(super) instant: Instant,
}

impl Moment {
    fn now() -> Moment {
        Moment {
            time: wall_clock(),
            instant: Instant::now(),
        }
    }
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
    let patterns = options.topics.iter();
    let patterns = patterns.filter(|topic| matches!(topic.name, TopicName::Pattern(_)));
    let patterns = patterns.count() > 0;
    let (mut matching, mut listed) = (Vec::new(), None::<Moment>);
    while !stop.load(Ordering::Relaxed) {
        let asked = Moment::now();
        // Topics with names of their own are listed each time.
        if !patterns {
            listed = Some(asked);
        } else if listed.is_none_or(|last| last.instant.elapsed() >= LISTED_EVERY) {
            // Fails while the brokers are away; then it is asked again.
            if let Ok(metadata) = consumer.fetch_metadata(None, REQUEST) {
                matching = found(&metadata, options);
                listed = Some(asked);
            }
        }
        if let Some(listed) = listed
            && let Some(ends) = ask(consumer, options, &matching)
        {
            // When the last answer was not taken yet, it is as good.
            let _ = send.try_send(Ends {
                asked: asked.instant,
                listed,
                ends,
            });
        }
        // Many partitions take long to ask: a fifth of the time is enough.
        let spent = asked.instant.elapsed();
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
