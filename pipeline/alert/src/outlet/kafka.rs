//! A Kafka topic: the message as JSON, its key the channel's name, so that messages of one channel stay in order.

use std::time::Duration as StdDuration;

use centinel_model::{Duration, Timestamp};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::{Outlet, json};
use crate::dispatch::Outcome;
use crate::message::Message;

/// A topic. The brokers confirm each message before it counts as taken.
pub struct Topic {
    producer: ThreadedProducer<Confirmed>,
    topic: String,
    timeout: StdDuration,
}

/// Hands the brokers' answer to the one who waits for it.
struct Confirmed;

impl ClientContext for Confirmed {}

impl ProducerContext for Confirmed {
    type DeliveryOpaque = Box<oneshot::Sender<Option<KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waits: Self::DeliveryOpaque) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        // Nobody waits any more after the time-out.
        let _ = waits.send(error);
    }
}

impl Topic {
    /// `settings` are librdkafka's. Nothing is connected yet.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn new(
        brokers: &str,
        topic: &str,
        settings: impl IntoIterator<Item = (String, String)>,
        timeout: Duration,
    ) -> Result<Topic, String> {
        let millis = u64::try_from(timeout.0 / 1_000).unwrap_or(0).max(1);
        let mut config = ClientConfig::new();
        for (name, value) in settings {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.messages", "1000")
            .set("message.timeout.ms", millis.to_string());
        // What librdkafka says of a setting may show its value.
        let producer =
            ThreadedProducer::from_config_and_context(&config, Confirmed).map_err(|error| {
                match error {
                    KafkaError::ClientConfig(_, _, name, _) => {
                        format!("librdkafka refuses the setting `{name}`")
                    }
                    _ => "librdkafka refuses its settings".to_owned(),
                }
            })?;
        Ok(Topic {
            producer,
            topic: topic.to_owned(),
            // The client's own time-out tells more; this one ends what it forgets.
            timeout: StdDuration::from_millis(millis.saturating_add(5_000)),
        })
    }
}

impl Outlet for Topic {
    fn send<'a>(&'a self, message: &'a Message, _: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let body = match json(message) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            let (told, waits) = oneshot::channel();
            let record = BaseRecord::with_opaque_to(&self.topic, Box::new(told))
                .key(message.channel.as_str())
                .payload(body.as_str());
            if let Err((error, _)) = self.producer.send(record) {
                return outcome(&error);
            }
            match tokio::time::timeout(self.timeout, waits).await {
                Ok(Ok(None)) => Outcome::Delivered,
                Ok(Ok(Some(error))) => outcome(&error),
                Ok(Err(_)) | Err(_) => Outcome::Later {
                    why: "the brokers did not confirm it in time".into(),
                    after: None,
                },
            }
        })
    }
}

fn outcome(error: &KafkaError) -> Outcome {
    let why = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord,
        ) => Outcome::Refused { why },
        _ => Outcome::Later { why, after: None },
    }
}
