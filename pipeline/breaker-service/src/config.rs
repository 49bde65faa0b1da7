//! `[breaker]` of the configuration. What a point does in doubt has no default: a service without it does not start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use centinel_breaker::{AutomaticLimits, Decision, Limits, Money, PointPolicy, Policies};
use centinel_model::Duration;
use serde::{Deserialize, Deserializer};

/// A span of time as it is written: `500ms`, `30s`, `4h`, `90d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        let span = Duration::parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Span(span))
    }
}

impl Span {
    /// The span as the standard library has it.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.0).unwrap_or(0))
    }
}

const fn seconds(seconds: i64) -> Span {
    Span(Duration::seconds(seconds))
}

/// The breaker's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens, such as `127.0.0.1:7070`.
    pub listen: SocketAddr,
    /// The file of the store.
    pub store: PathBuf,
    /// Certificate and key; required unless it listens on this machine alone.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// What each point does in doubt.
    pub points: Points,
    /// Up to where confirmed findings trip without a person.
    pub automatic: Automatic,
    /// Above what a release needs a second person, by currency; a currency that is not named always does.
    pub second_person_above: Money,
    /// Where dispositions are posted.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// Where dispositions are produced.
    #[serde(default)]
    pub kafka: Option<Kafka>,
    /// Limits with usual values.
    #[serde(default)]
    pub limits: ServiceLimits,
}

/// TLS of the service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// All points.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// Refunds.
    pub refund: Point,
    /// Settlements.
    pub settlement: Point,
    /// Cash-outs.
    pub cash_out: Point,
}

/// One point.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// When the breaker cannot store a hold, or not within `deadline`.
    pub on_error: Decision,
    /// How long a check may take.
    pub deadline: Span,
    /// When a finding on the scope is suspected.
    pub on_suspected: Decision,
    /// When a finding on the scope could not be judged.
    pub on_undetermined: Decision,
    /// How old the knowledge of findings may be.
    pub max_staleness: Span,
    /// When it is older.
    pub beyond_max_staleness: Decision,
}

/// Limits of automatic trips.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Automatic {
    /// The least money at risk in the finding, by currency.
    pub least_at_risk: Money,
    /// The most money that the trip would have held of the recent traffic, by currency.
    pub most_held: Money,
    /// So many in any hour.
    pub most_in_an_hour: u32,
    /// How long one lasts.
    pub lasts: Span,
}

/// Where dispositions are posted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://…`; `http://` on this machine alone.
    pub url: String,
    /// Name of the environment variable that holds the secret which signs them, 32 letters at least.
    pub secret_env: String,
    /// How long an answer may take.
    #[serde(default = "delivery_timeout")]
    pub timeout: Span,
}

fn delivery_timeout() -> Span {
    seconds(10)
}

/// Where dispositions are produced.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// The topic. It must be there; whoever may write to it decides what the platform pays.
    pub topic: String,
    /// How long a record may take.
    #[serde(default = "delivery_timeout")]
    pub timeout: Span,
    /// Settings of librdkafka that say how brokers are reached, such as `security.protocol`.
    #[serde(default)]
    pub settings: BTreeMap<String, KafkaSetting>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "WrittenSetting")]
pub enum KafkaSetting {
    /// The value itself.
    Plain(String),
    /// A secret, in the environment variable of this name.
    Secret(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenSetting {
    Plain(String),
    Secret(BTreeMap<String, String>),
}

impl TryFrom<WrittenSetting> for KafkaSetting {
    type Error = &'static str;

    fn try_from(written: WrittenSetting) -> Result<KafkaSetting, &'static str> {
        // So strict that a secret in the place of its variable's name is seldom taken for a name, and shown.
        let named = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        match written {
            WrittenSetting::Plain(value) => Ok(KafkaSetting::Plain(value)),
            WrittenSetting::Secret(mut of) => match (of.remove("env"), of.is_empty()) {
                (Some(env), true) if env.bytes().all(named) => Ok(KafkaSetting::Secret(env)),
                _ => {
                    Err("a setting is a text, or { env = \"NAME\" } with a name of capital letters")
                }
            },
        }
    }
}

/// How brokers are reached; all else the breaker sets itself, or at-least-once would not hold.
const REACHING: [&str; 6] = [
    "security.",
    "ssl.",
    "sasl.",
    "socket.",
    "broker.",
    "client.dns.",
];
/// Words in the names of settings that are secrets.
const SECRET: [&str; 5] = [
    "password",
    "passphrase",
    "secret",
    ".pem",
    "oauthbearer.config",
];

impl Kafka {
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |what: String| Err(ConfigError(what));
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.topic.is_empty() || self.topic.len() > 249 || !self.topic.bytes().all(named) {
            return refuse(
                "`kafka.topic` is no topic's name: write letters, digits, `.`, `_` and `-`".into(),
            );
        }
        if self.brokers.split(',').any(|one| !one.contains(':')) {
            return refuse(
                "`kafka.brokers` is no list of brokers: write host:port, several with commas"
                    .into(),
            );
        }
        if !(Duration::seconds(1)..=Duration::seconds(300)).contains(&self.timeout.0) {
            return refuse("`kafka.timeout` is less than 1s or more than 300s".into());
        }
        for (name, value) in &self.settings {
            if !REACHING.iter().any(|allowed| name.starts_with(allowed)) {
                return refuse(format!(
                    "`{name}` of `kafka.settings` is not for you to set: only how brokers are reached is, such as \"security.protocol\""
                ));
            }
            if matches!(value, KafkaSetting::Plain(_))
                && SECRET.iter().any(|word| name.contains(word))
            {
                return refuse(format!(
                    "the secret `{name}` of `kafka.settings` stands in the file itself: write {{ env = \"NAME\" }}"
                ));
            }
        }
        Ok(())
    }
}

/// Limits with usual values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceLimits {
    /// No trip lasts longer.
    pub longest_trip: Span,
    /// Proposals lapse after this.
    pub proposals_last: Span,
    /// Ended trips, decided holds and releases are forgotten after this; at least 2 days.
    pub keep_ended: Span,
    /// Most trips kept.
    pub most_trips: usize,
    /// Most holds kept.
    pub most_holds: usize,
    /// Most open findings kept.
    pub most_findings: usize,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// Most requests at once.
    pub requests_at_once: usize,
    /// Most connections at once.
    pub connections: usize,
    /// Most streams of changes at once.
    pub streams: usize,
    /// How many requests a second a person may make.
    pub person_requests_per_second: u32,
    /// How long a person stays signed in.
    pub session: Span,
    /// How many checks are remembered for previews.
    pub recent_checks: usize,
    /// For how long.
    pub recent: Span,
    /// Most pages of 4 KiB in the store; 0 for as many as the disk holds.
    pub store_pages: u32,
}

impl Default for ServiceLimits {
    fn default() -> ServiceLimits {
        ServiceLimits {
            longest_trip: seconds(30 * 86_400),
            proposals_last: seconds(86_400),
            keep_ended: seconds(90 * 86_400),
            most_trips: 1_000_000,
            most_holds: 1_000_000,
            most_findings: 1_000_000,
            body_bytes: 64 << 10,
            requests_at_once: 4_096,
            connections: 4_096,
            streams: 64,
            person_requests_per_second: 50,
            session: seconds(12 * 3_600),
            recent_checks: 200_000,
            recent: seconds(3_600),
            store_pages: 0,
        }
    }
}

/// Something in the configuration that cannot be, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("[breaker]: {0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads the table `[breaker]` of a TOML text.
    pub fn read(text: &str) -> Result<Config, ConfigError> {
        #[derive(Deserialize)]
        struct File {
            breaker: Config,
        }
        let remedy = "write what pipeline/breaker-service/README.md shows; what a point does in doubt has no default";
        // The line itself is not told: it may hold what should stand in the environment.
        let wrong = |error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| format!("line {}: ", 1 + before.matches('\n').count()));
            let line = line.unwrap_or_default();
            ConfigError(format!("{line}{}: {remedy}", error.message()))
        };
        let file: File = toml::from_str(text).map_err(wrong)?;
        file.breaker.check()?;
        Ok(file.breaker)
    }

    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |what: &str| Err(ConfigError(what.to_owned()));
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return refuse(
                "it listens beyond this machine without TLS: add [breaker.tls], or listen on 127.0.0.1",
            );
        }
        let day = Duration::seconds(86_400);
        let limits = &self.limits;
        if limits.keep_ended.0 < day.times(2) {
            return refuse(
                "`limits.keep_ended` is less than 2d: what was rejected must be remembered for longer than callers retry",
            );
        }
        if self.automatic.lasts.0 > limits.longest_trip.0
            || self.automatic.lasts.0 == Duration::ZERO
        {
            return refuse("`automatic.lasts` is nothing or more than `limits.longest_trip`");
        }
        let points = [
            &self.points.refund,
            &self.points.settlement,
            &self.points.cash_out,
        ];
        let most = Duration::seconds(10);
        if points
            .iter()
            .any(|point| point.deadline.0 == Duration::ZERO || point.deadline.0 > most)
        {
            return refuse(
                "the `deadline` of a point is nothing or more than 10s: a payment system waits for it",
            );
        }
        if let Some(webhook) = &self.webhook {
            let url = reqwest::Url::parse(&webhook.url).ok();
            let local = url
                .as_ref()
                .and_then(|url| url.host_str().map(str::to_owned));
            let local = local
                .is_some_and(|host| host == "127.0.0.1" || host == "localhost" || host == "[::1]");
            match url.as_ref().map(reqwest::Url::scheme) {
                Some("https") => {}
                Some("http") if local => {}
                _ => {
                    return refuse(
                        "`webhook.url` is no https address: only this machine may be reached by http",
                    );
                }
            }
        }
        self.kafka.as_ref().map_or(Ok(()), Kafka::check)
    }

    /// What the core needs of it.
    pub fn policies(&self) -> Policies {
        let of = |point: &Point| PointPolicy {
            on_suspected: point.on_suspected,
            on_undetermined: point.on_undetermined,
            max_staleness: point.max_staleness.0,
            beyond_max_staleness: point.beyond_max_staleness,
        };
        Policies {
            refund: of(&self.points.refund),
            settlement: of(&self.points.settlement),
            cash_out: of(&self.points.cash_out),
        }
    }

    /// What the core needs of it.
    pub fn core_limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            automatic: AutomaticLimits {
                least_at_risk: self.automatic.least_at_risk.clone(),
                most_held: self.automatic.most_held.clone(),
                most_in_an_hour: self.automatic.most_in_an_hour,
                lasts: self.automatic.lasts.0,
            },
            longest_trip: limits.longest_trip.0,
            proposals_last: limits.proposals_last.0,
            second_person_above: self.second_person_above.clone(),
            keep_ended: limits.keep_ended.0,
            most_trips: limits.most_trips,
            most_holds: limits.most_holds,
            most_findings: limits.most_findings,
        }
    }

    /// The point's own part.
    pub fn point(&self, point: centinel_breaker::Point) -> &Point {
        match point {
            centinel_breaker::Point::Refund => &self.points.refund,
            centinel_breaker::Point::Settlement => &self.points.settlement,
            centinel_breaker::Point::CashOut => &self.points.cash_out,
        }
    }
}
