//! `[alerts.NAME]` of the configuration: one table for each channel.

mod check;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use centinel_model::{Duration, Severity};
use serde::{Deserialize, Deserializer};

pub use check::{Channels, Outlets, Problem};
pub use secret::{Secret, SecretText, TextOrSecret};

use crate::guard::Network;

/// A span of time as it is written: `500ms`, `30s`, `4h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        let span = Duration::parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Span(span))
    }
}

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Any receiver of signed JSON.
    Webhook,
    /// An Alertmanager.
    Alertmanager,
    /// A DingTalk group's robot.
    Dingtalk,
    /// A Feishu group's robot.
    Feishu,
    /// A Slack incoming webhook.
    Slack,
    /// A file of JSON Lines.
    File,
    /// A Kafka topic.
    Kafka,
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ChannelKind::Webhook => "webhook",
            ChannelKind::Alertmanager => "alertmanager",
            ChannelKind::Dingtalk => "dingtalk",
            ChannelKind::Feishu => "feishu",
            ChannelKind::Slack => "slack",
            ChannelKind::File => "file",
            ChannelKind::Kafka => "kafka",
        })
    }
}

/// So many messages in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitForm {
    /// How many.
    pub messages: u32,
    /// In how much time.
    pub per: Span,
}

/// One channel as it is written. `README.md` says what each field means and what it is without it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelForm {
    /// What it is.
    pub kind: ChannelKind,
    /// The least severity.
    pub severity: Option<Severity>,
    /// Owners of rules.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Tags of rules.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it takes what no other channel takes.
    #[serde(default)]
    pub fallback: bool,
    /// Whether it is told that findings ended.
    pub resolved: Option<bool>,
    /// Whether it is told what could not be judged.
    pub undetermined: Option<bool>,
    /// How long a cause is collected.
    pub wait: Option<Span>,
    /// How far messages of one cause are apart.
    pub again: Option<Span>,
    /// How many messages it takes.
    pub limit: Option<LimitForm>,
    /// How often one message is tried.
    pub attempts: Option<u32>,
    /// How long one attempt may take.
    pub timeout: Option<Span>,
    /// Address of an entity's history.
    pub trace: Option<String>,
    /// Where it is reached.
    pub url: Option<TextOrSecret>,
    /// What signs.
    pub secret: Option<Secret>,
    /// Alertmanager: the header of that name.
    pub authorization: Option<Secret>,
    /// Alertmanager: how often it is told what is open.
    pub refresh: Option<Span>,
    /// Networks that are allowed though they are not public.
    #[serde(default)]
    pub allow: Vec<Network>,
    /// File: its path.
    pub path: Option<PathBuf>,
    /// Kafka: its brokers.
    pub brokers: Option<String>,
    /// Kafka: the topic.
    pub topic: Option<String>,
    /// Kafka: settings of librdkafka.
    #[serde(default)]
    pub settings: BTreeMap<String, TextOrSecret>,
}
