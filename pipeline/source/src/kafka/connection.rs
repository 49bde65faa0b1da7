//! The client: how it is set up, what it says when it cannot, which partitions there are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::options::{KafkaOptions, TopicName};
use crate::InputError;

/// How long one request to the brokers may take.
pub(super) const REQUEST: Duration = Duration::from_secs(10);
/// How long a client is listened to that gave no answer.
const LISTENED: Duration = Duration::from_millis(100);
/// Kilobytes of messages that wait in memory, over all partitions.
const QUEUED_KILOBYTES: usize = 128 << 10;

/// What a complaint contains, in small letters, and what to do then; the first that fits counts.
const REMEDIES: [(&str, &str); 6] = [
    (
        "certificate verify failed",
        "let `ssl.ca.location` of `settings` name the PEM file of the authority that signed the brokers' certificates, \
         and name the brokers in `brokers` as their certificates do",
    ),
    (
        "ssl handshake failed",
        "see whether `security.protocol` and the `ssl.…` settings of `settings` fit the brokers' listeners",
    ),
    (
        "security.protocol",
        "see whether `security.protocol` of `settings` fits the brokers' listeners",
    ),
    (
        "authentication fail",
        "correct `sasl.username` and `sasl.password` of `settings`",
    ),
    (
        "unsupported sasl mechanism",
        "let `sasl.mechanism` of `settings` be one that the brokers' listeners have",
    ),
    (
        "sasl",
        "see whether `security.protocol` and the `sasl.…` settings of `settings` fit the brokers' listeners",
    ),
];

pub(super) type Consumer = BaseConsumer<Complaints>;

/// What the client last complained of, for messages: it retries by itself.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Option<String>>);

impl Complaints {
    pub(super) fn last(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, complaint: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(complaint);
    }

    /// What to do about it, where it names its cause.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        let complaint = self.last()?.to_ascii_lowercase();
        let remedy = REMEDIES.iter().find(|(sign, _)| complaint.contains(sign));
        remedy.map(|(_, remedy)| *remedy)
    }
}

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        if (level as i32) <= (RDKafkaLogLevel::Error as i32) {
            self.keep(message.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That all brokers are down says less than why the last one was left.
        let down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if !down || self.last().is_none() {
            self.keep(reason.to_owned());
        }
    }
}

impl ConsumerContext for Complaints {}

/// A client for so many partitions.
pub(super) fn connect(options: &KafkaOptions, partitions: usize) -> Result<Consumer, InputError> {
    let mut config = ClientConfig::new();
    for setting in &options.settings {
        config.set(&setting.name, &setting.value);
    }
    let queued = (QUEUED_KILOBYTES / partitions.max(1)).clamp(1 << 10, 32 << 10);
    config
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", &options.group)
        .set("client.id", "centinel")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is not there any more is a gap to be told, never a reason to begin elsewhere.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", queued.to_string())
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "10000");
    config
        .create_with_context(Complaints::default())
        .map_err(|error| {
            refused(
                options,
                &error.to_string(),
                "correct the source's `settings`",
            )
        })
}

/// The partitions that the options name, in order of name and number, each with the index of its topic options.
pub(super) fn discover(
    consumer: &Consumer,
    options: &KafkaOptions,
) -> Result<Vec<Found>, InputError> {
    let metadata = consumer.fetch_metadata(None, REQUEST).map_err(|error| {
        listen(consumer);
        let reason = match consumer.context().last() {
            Some(complaint) => format!("{error}; the client says: {complaint}"),
            None => error.to_string(),
        };
        let usual = "see whether `brokers` is right, they run, and `settings` fit their listeners";
        let remedy = consumer.context().remedy().unwrap_or(usual);
        refused(
            options,
            &format!("the brokers do not answer: {reason}"),
            remedy,
        )
    })?;
    for topic in &options.topics {
        let exact = matches!(topic.name, TopicName::Exact(_));
        let mut names = metadata.topics().iter().map(|found| found.name());
        if exact && !names.any(|name| topic.name.matches(name)) {
            return Err(refused(
                options,
                &format!("there is no {}", topic.name),
                "create it, or correct the name",
            ));
        }
    }
    Ok(found(&metadata, options))
}

/// Takes in what a client has to say that was not read from yet: it waits to be asked.
fn listen(consumer: &Consumer) {
    let begun = Instant::now();
    while begun.elapsed() < LISTENED {
        let _ = consumer.poll(LISTENED / 10);
    }
}

/// A partition that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Found {
    pub(super) topic: String,
    pub(super) number: i32,
    /// Index of the topic options that name it.
    pub(super) options: usize,
}

pub(super) fn found(metadata: &Metadata, options: &KafkaOptions) -> Vec<Found> {
    let mut found = Vec::new();
    for topic in metadata.topics() {
        let named = options
            .topics
            .iter()
            .position(|options| options.name.matches(topic.name()));
        let Some(named) = named else { continue };
        found.extend(topic.partitions().iter().map(|partition| Found {
            topic: topic.name().to_owned(),
            number: partition.id(),
            options: named,
        }));
    }
    found.sort();
    found
}

/// A refusal in the words of this source.
pub(super) fn refused(options: &KafkaOptions, what: &str, remedy: &str) -> InputError {
    InputError::Refused {
        input: options.source.clone(),
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// First and next offset of a partition.
pub(super) fn watermarks(
    consumer: &Arc<Consumer>,
    topic: &str,
    partition: i32,
) -> Result<(u64, u64), KafkaError> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST)?;
    Ok((low.max(0) as u64, high.max(0) as u64))
}
