//! Dispositions to a Kafka topic: one record each, its key the request's id.
//!
//! The producer is idempotent and waits for all replicas in sync. Records of one request go to one partition, and the next one
//! of a request is only sent when the one before is there; so in a partition a request's records stand in their order, and what
//! comes again after a failure has a sequence that was there before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use centinel_breaker::Told;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::ServeError;
use crate::config::{Kafka, KafkaSetting};
use crate::delivery::{Deliver, Undelivered};
use crate::store::Way;

const SCHEMA: &str = "centinel/disposition/1";
/// How much longer than the producer's own timeout its word is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// A record's value.
#[derive(Serialize)]
struct Value<'a> {
    schema: &'static str,
    #[serde(flatten)]
    told: &'a Told,
}

/// Who waits to hear whether a record is there.
type Waiter = oneshot::Sender<Result<(), KafkaError>>;

/// Hears of deliveries, and of what is wrong with the brokers.
struct Hearing {
    last: Arc<Mutex<Option<String>>>,
}

impl ClientContext for Hearing {
    fn error(&self, error: KafkaError, reason: &str) {
        let text = format!("{error}: {reason}");
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

impl ProducerContext for Hearing {
    type DeliveryOpaque = Box<Waiter>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiter: Box<Waiter>) {
        let done = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        let _ = waiter.send(done);
    }
}

/// Produces to the platform's topic.
pub struct Recorder {
    topic: String,
    patience: Duration,
    settings: ClientConfig,
    producer: Option<ThreadedProducer<Hearing>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Recorder {
    /// With the secrets of the environment. It connects by itself, when the brokers are there.
    pub fn new(kafka: Kafka) -> Result<Recorder, ServeError> {
        let mut settings = ClientConfig::new();
        for (name, value) in &kafka.settings {
            let value = match value {
                KafkaSetting::Plain(value) => value.clone(),
                KafkaSetting::Secret(env) => std::env::var(env).map_err(|_| {
                    ServeError::Start(format!(
                        "the environment variable {env} holds no secret: set it; it is `{name}` of `kafka.settings`"
                    ))
                })?,
            };
            settings.set(name, value);
        }
        settings
            .set("bootstrap.servers", &kafka.brokers)
            .set("client.id", "centinel-breaker")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // As Kafka's own producers choose partitions.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "2")
            .set(
                "message.timeout.ms",
                kafka.timeout.std().as_millis().to_string(),
            );
        let mut recorder = Recorder {
            topic: kafka.topic,
            patience: kafka.timeout.std() + GRACE,
            settings,
            producer: None,
            trouble: Arc::default(),
        };
        let wrong =
            |error| ServeError::Start(format!("[breaker.kafka]: {error}: correct its `settings`"));
        recorder.producer().map_err(wrong)?;
        Ok(recorder)
    }

    /// The producer; a new one behind one that failed for good.
    fn producer(&mut self) -> Result<&ThreadedProducer<Hearing>, KafkaError> {
        let fatal =
            |producer: &ThreadedProducer<Hearing>| producer.client().fatal_error().is_some();
        if let Some(failed) = self.producer.take_if(|producer| fatal(producer)) {
            // Its end waits for its threads.
            tokio::task::spawn_blocking(move || drop(failed));
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => {
                let last = self.trouble.clone();
                ThreadedProducer::from_config_and_context(&self.settings, Hearing { last })?
            }
        };
        Ok(self.producer.insert(producer))
    }

    /// Produces messages of different requests, and waits for all of them.
    async fn produce(&mut self, told: &[Told]) -> Result<(), Undelivered> {
        let mut failed = None;
        let mut waiting = Vec::new();
        let topic = self.topic.clone();
        match self.producer() {
            Ok(producer) => {
                for one in told {
                    let (waiter, done) = oneshot::channel();
                    let value = value(one)?;
                    let record = BaseRecord::with_opaque_to(&topic, Box::new(waiter))
                        .key(one.request_id.as_str())
                        .payload(&value);
                    if let Err((error, _)) = producer.send(record) {
                        failed = Some((waiting.len(), error));
                        break;
                    }
                    waiting.push(done);
                }
            }
            Err(error) => failed = Some((0, error)),
        }
        let until = tokio::time::Instant::now() + self.patience;
        let mut first = None;
        for (taken, done) in waiting.into_iter().enumerate() {
            let done = tokio::time::timeout_at(until, done).await;
            let done = done.map_or(Err(KafkaError::Canceled), |done| {
                done.unwrap_or(Err(KafkaError::Canceled))
            });
            if let Err(error) = done {
                first.get_or_insert((taken, error));
            }
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((taken, error)) = first.or(failed) else {
            *trouble = None;
            return Ok(());
        };
        let why = match &*trouble {
            Some(trouble) => format!("{error} ({trouble})"),
            None => error.to_string(),
        };
        Err(Undelivered { taken, why })
    }
}

fn value(told: &Told) -> Result<String, Undelivered> {
    let schema = SCHEMA;
    serde_json::to_string(&Value { schema, told }).map_err(|error| Undelivered {
        taken: 0,
        why: error.to_string(),
    })
}

impl Deliver for Recorder {
    const WAY: Way = Way::Kafka;
    const NAME: &'static str = "the Kafka topic";
    const MOST_AT_ONCE: usize = 1_000;

    async fn deliver(&mut self, told: &[Told]) -> Result<(), Undelivered> {
        let mut taken = 0;
        while taken < told.len() {
            let mut requests = BTreeSet::new();
            let rest = told[taken..].iter();
            let many = rest
                .take_while(|one| requests.insert(&one.request_id))
                .count();
            let produced = self.produce(&told[taken..taken + many]).await;
            produced.map_err(|not| Undelivered {
                taken: taken + not.taken,
                ..not
            })?;
            taken += many;
        }
        Ok(())
    }
}
