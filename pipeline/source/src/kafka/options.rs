use std::fmt;

use centinel_model::Duration;
use regex::Regex;

use crate::format::Format;

/// The topics that one source of the catalog is read from.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// The source's name in the schemas.
    pub source: String,
    /// `host:port`, several with commas.
    pub brokers: String,
    /// Under which the offsets are shown to those who watch the brokers.
    pub group: String,
    /// The topics.
    pub topics: Vec<TopicOptions>,
    /// How it is known up to which time everything was read.
    pub progress: KafkaProgress,
    /// Where a partition without a stored position begins.
    pub start: Start,
    /// Settings of librdkafka, such as `security.protocol`.
    pub settings: Vec<Setting>,
}

/// One topic, or all whose names match.
#[derive(Clone, Debug)]
pub struct TopicOptions {
    /// Which.
    pub name: TopicName,
    /// What their messages are.
    pub format: Format,
}

/// A topic's name, or what names look like.
#[derive(Clone, Debug)]
pub enum TopicName {
    /// This one.
    Exact(String),
    /// All that match.
    Pattern(Regex),
}

/// How a source's progress is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaProgress {
    /// Producers write directly: all that was there at some time was read, and a record takes at most `delay`
    /// from its commit time to the broker.
    Broker {
        /// What a record may take.
        delay: Duration,
    },
    /// The platform writes to this table (or publishes this event) at an interval; what a tool delivered
    /// before that stands before it. Also what `lines` say in heartbeats of their own.
    Heartbeat {
        /// Its name in the schemas.
        table: String,
    },
}

/// Where a partition without a stored position begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    Earliest,
    /// Behind its last record: what came before is not looked at.
    Latest,
}

/// One setting; its value may be a secret and is never shown.
#[derive(Clone)]
pub struct Setting {
    /// The setting's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}=…", self.name)
    }
}

impl KafkaOptions {
    /// What the messages of a partition are, by the name under which its position is kept; none when it is not read.
    pub(crate) fn format_of(&self, input: &str) -> Option<&Format> {
        let place = input
            .strip_prefix(self.source.as_str())?
            .strip_prefix('/')?;
        let (topic, _) = place.rsplit_once('/')?;
        let read = self.topics.iter().find(|read| read.name.matches(topic))?;
        Some(&read.format)
    }
}

impl TopicName {
    pub(super) fn matches(&self, topic: &str) -> bool {
        match self {
            TopicName::Exact(name) => name == topic,
            TopicName::Pattern(pattern) => pattern.is_match(topic),
        }
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicName::Exact(name) => write!(out, "topic `{name}`"),
            TopicName::Pattern(pattern) => write!(out, "topics like `{pattern}`"),
        }
    }
}
