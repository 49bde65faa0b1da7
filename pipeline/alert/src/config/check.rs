//! Channels as they are written → channels as they are. Everything that is wrong is said at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use centinel_model::{Duration, Severity};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::{ChannelForm, ChannelKind, Secret, SecretText, TextOrSecret};
use crate::dispatch::{ChannelRules, Limit, Rules};
use crate::guard::Guard;
use crate::http::Http;
use crate::outlet::{Alertmanager, DingTalk, Feishu, LinesFile, Outlet, Slack, Topic, Webhook};

/// Channels, at most.
const MOST_CHANNELS: usize = 32;
const HOUR: Duration = Duration::seconds(3_600);
const MINUTE: Duration = Duration::seconds(60);
/// A webhook's secret has so many letters at least.
const LEAST_SECRET: usize = 32;
/// Settings of librdkafka that are this crate's own.
const OWN_SETTINGS: [&str; 6] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "acks",
    "enable.idempotence",
    "queue.buffering.max.messages",
    "message.timeout.ms",
];

/// Something that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The channel's name; empty where it is the text as a whole.
    pub channel: String,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        match self.channel.is_empty() {
            true => write!(out, "[alerts]: {}", self.what),
            false => write!(out, "[alerts.{}]: {}", self.channel, self.what),
        }
    }
}

/// Channels that are right, as far as can be said without their secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    forms: BTreeMap<String, ChannelForm>,
    /// Who is told what.
    pub rules: Rules,
}

/// Channels that messages can be sent to, by name.
pub type Outlets = BTreeMap<String, Arc<dyn Outlet>>;

impl Channels {
    /// Reads the tables `[alerts.NAME]` of a TOML text; other tables are passed over.
    ///
    /// # Errors
    /// Everything that is wrong. No value is shown where it might be a secret.
    pub fn read(text: &str) -> Result<Channels, Vec<Problem>> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            alerts: BTreeMap<String, ChannelForm>,
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map(|before| before.matches('\n').count() + 1);
            let what = error.message().lines().next().unwrap_or_default();
            vec![Problem {
                channel: String::new(),
                line,
                what: format!("{what}: write what pipeline/alert/README.md shows"),
            }]
        })?;
        Channels::check(file.alerts)
    }

    /// Checks channels that were read.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(forms: BTreeMap<String, ChannelForm>) -> Result<Channels, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut channels = BTreeMap::new();
        if forms.len() > MOST_CHANNELS {
            problems.push(Problem {
                channel: String::new(),
                line: None,
                what: format!(
                    "there are {} channels, at most {MOST_CHANNELS} are kept: join some",
                    forms.len()
                ),
            });
        }
        for (name, form) in &forms {
            let mut found = Found::default();
            let rules = rules(name, form, &mut found);
            problems.extend(found.0.into_iter().map(|what| Problem {
                channel: name.clone(),
                line: None,
                what,
            }));
            channels.insert(name.clone(), rules);
        }
        match problems.is_empty() {
            false => Err(problems),
            true => {
                let causes = ["release", "merchant_no"].map(str::to_owned).to_vec();
                Ok(Channels {
                    forms,
                    rules: Rules { causes, channels },
                })
            }
        }
    }

    /// Files that messages are written to, by channel.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let paths = self.forms.iter();
        paths.filter_map(|(name, form)| Some((name.as_str(), form.path.as_deref()?)))
    }

    /// Reads the secrets and makes what sends. Nothing is connected yet. `variable` is the environment; relative paths
    /// begin at `folder`.
    ///
    /// # Errors
    /// Every secret that is missing, and every address that cannot be.
    pub fn outlets(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
        folder: &Path,
    ) -> Result<Outlets, Vec<Problem>> {
        let (mut outlets, mut problems) = (Outlets::new(), Vec::new());
        for (name, form) in &self.forms {
            let maker = Maker {
                form,
                variable,
                folder,
            };
            match maker.outlet() {
                Ok(outlet) => {
                    outlets.insert(name.clone(), outlet);
                }
                Err(what) => problems.push(Problem {
                    channel: name.clone(),
                    line: None,
                    what,
                }),
            }
        }
        match problems.is_empty() {
            true => Ok(outlets),
            false => Err(problems),
        }
    }
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn unless(&mut self, right: bool, what: impl Into<String>) {
        if !right {
            self.0.push(what.into());
        }
    }
}

/// What the kind of channel itself allows.
fn own_limits(kind: ChannelKind) -> Vec<Limit> {
    let limit = |messages, per| Limit { messages, per };
    match kind {
        ChannelKind::Dingtalk => vec![limit(20, MINUTE)],
        ChannelKind::Feishu => vec![limit(100, MINUTE), limit(5, Duration::seconds(1))],
        ChannelKind::Slack => vec![limit(1, Duration::seconds(1))],
        ChannelKind::Webhook
        | ChannelKind::Alertmanager
        | ChannelKind::File
        | ChannelKind::Kafka => Vec::new(),
    }
}

/// What people can read, unless they say otherwise.
fn usual_limit(kind: ChannelKind) -> Option<Limit> {
    let messages = match kind {
        ChannelKind::Dingtalk | ChannelKind::Feishu | ChannelKind::Slack => 10,
        ChannelKind::Webhook => 60,
        ChannelKind::Alertmanager | ChannelKind::File | ChannelKind::Kafka => return None,
    };
    Some(Limit {
        messages,
        per: MINUTE,
    })
}

fn rules(name: &str, form: &ChannelForm, found: &mut Found) -> ChannelRules {
    let kind = form.kind;
    let plain = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter)
    };
    found.unless(
        !name.is_empty() && name.len() <= 60 && name.chars().all(plain),
        "a channel's name has small letters, digits, - and _, at most 60",
    );
    fields(form, found);
    let span = |span: Option<super::Span>, usual: Duration| span.map_or(usual, |span| span.0);
    let wait = span(form.wait, Duration::seconds(10));
    let again = span(form.again, Duration::seconds(300));
    found.unless(
        wait <= HOUR,
        "`wait` is more than 1h: nobody would be told in time",
    );
    found.unless(
        (MINUTE..=HOUR.times(24)).contains(&again),
        "`again` is between 1m and 24h",
    );
    let timeout = span(form.timeout, Duration::seconds(10));
    found.unless(
        timeout >= Duration(100_000) && timeout <= MINUTE,
        "`timeout` is between 100ms and 1m",
    );
    let attempts = form.attempts.unwrap_or(8);
    found.unless(
        (1..=100).contains(&attempts),
        "`attempts` is between 1 and 100",
    );
    let mut limits = own_limits(kind);
    match form.limit {
        Some(limit) => {
            let within = (1..=1_000).contains(&limit.messages);
            let long = (Duration::seconds(30)..=HOUR.times(24)).contains(&limit.per.0);
            found.unless(
                within && long,
                "`limit` has 1 to 1000 `messages` and a `per` between 30s and 24h",
            );
            limits.push(Limit {
                messages: limit.messages,
                per: limit.per.0,
            });
        }
        None => limits.extend(usual_limit(kind)),
    }
    let keeps = kind == ChannelKind::Alertmanager;
    let refresh = keeps.then(|| span(form.refresh, Duration::seconds(120)));
    if let Some(refresh) = refresh {
        found.unless(
            refresh >= Duration::seconds(10) && refresh <= HOUR,
            "`refresh` is between 10s and 1h",
        );
        found.unless(
            form.resolved != Some(false),
            "an Alertmanager is always told what ended: leave out `resolved`, and set `send_resolved` of its receivers",
        );
    }
    if let Some(trace) = &form.trace {
        found.unless(
            template(trace),
            "`trace` is an https:// or http:// address in which `{entity}`, `{key}`, `{finding}` and `{rule}` may stand, behind its host",
        );
    }
    ChannelRules {
        severity: form.severity.unwrap_or(Severity::Warn),
        owners: form.owners.clone(),
        tags: form.tags.clone(),
        fallback: form.fallback,
        resolved: form.resolved.unwrap_or(true),
        undetermined: form.undetermined.unwrap_or(true),
        wait,
        again,
        limits,
        attempts,
        refresh,
        trace: form.trace.clone(),
    }
}

/// Which fields a kind has.
fn fields(form: &ChannelForm, found: &mut Found) {
    use ChannelKind::{Alertmanager, Dingtalk, Feishu, File, Kafka, Slack, Webhook};
    let web = [Webhook, Alertmanager, Dingtalk, Feishu, Slack];
    let given = [
        ("url", form.url.is_some(), &web[..]),
        ("allow", !form.allow.is_empty(), &web[..]),
        (
            "secret",
            form.secret.is_some(),
            &[Webhook, Dingtalk, Feishu][..],
        ),
        (
            "authorization",
            form.authorization.is_some(),
            &[Alertmanager][..],
        ),
        ("refresh", form.refresh.is_some(), &[Alertmanager][..]),
        ("path", form.path.is_some(), &[File][..]),
        ("brokers", form.brokers.is_some(), &[Kafka][..]),
        ("topic", form.topic.is_some(), &[Kafka][..]),
        ("settings", !form.settings.is_empty(), &[Kafka][..]),
    ];
    let kind = form.kind;
    for (field, is_given, kinds) in given {
        found.unless(
            !is_given || kinds.contains(&kind),
            format!("`{field}` is no field of kind `{kind}`: take it out"),
        );
        let wanted = match field {
            "secret" => kind == Webhook,
            "url" | "path" | "brokers" | "topic" => true,
            _ => false,
        };
        found.unless(
            is_given || !wanted || !kinds.contains(&kind),
            format!("`{field}` is missing, which kind `{kind}` needs"),
        );
    }
    let robot = [Dingtalk, Feishu, Slack].contains(&kind);
    if let Some(TextOrSecret::Text(url)) = &form.url {
        found.unless(
            !robot,
            "`url` holds a token, so it does not stand in this file: write { env = \"NAME\" } or { file = \"/path\" }",
        );
        if !robot && let Err(why) = address(url, form) {
            found.0.push(why);
        }
    }
    for (name, value) in &form.settings {
        found.unless(
            !OWN_SETTINGS.contains(&name.as_str()),
            format!(
                "`settings` has `{}`, which Centinel sets itself: take it out",
                shown(name)
            ),
        );
        let secret = ["password", "passphrase", "secret", "key.pem"];
        let secret = secret.iter().any(|word| name.contains(word));
        found.unless(
            !secret || matches!(value, TextOrSecret::Secret(_)),
            format!("the setting `{}` is a secret: write {{ env = \"NAME\" }} or {{ file = \"/path\" }}", shown(name)),
        );
    }
}

fn shown(name: &str) -> String {
    crate::text::clean(name, 60)
}

/// Whether an address is one that may be sent to, as far as its text says.
fn address(url: &str, form: &ChannelForm) -> Result<Url, String> {
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    let parsed =
        parsed.ok_or("`url` is no address: write one such as https://alerts.example/hook")?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("`url` has an account in it: give that as a secret, in `authorization` or a `url` from { env = … }".into());
    }
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if !form.allow.is_empty() => Ok(parsed),
        "http" => Err("`url` begins with http://, which encrypts nothing: write https://, or name the receiver's own network in `allow`".into()),
        _ => Err("`url` begins with neither https:// nor http://".into()),
    }
}

/// Whether an address with places in it is one whatever stands in them.
fn template(text: &str) -> bool {
    let mut rest = text;
    let mut filled = String::new();
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else {
            return false;
        };
        if !["entity", "key", "finding", "rule"].contains(&name) {
            return false;
        }
        filled.push_str(before);
        filled.push('0');
        rest = after;
    }
    filled.push_str(rest);
    let plain = |letter: char| letter.is_ascii_graphic() && !"<>\"|()[]`\\".contains(letter);
    // Data in the host would lead elsewhere.
    let host = text.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let url = Url::parse(&filled).ok();
    let web = url.is_some_and(|url| ["http", "https"].contains(&url.scheme()));
    web && filled.chars().all(plain) && !host.contains('{')
}

/// What an outlet is made from.
struct Maker<'a> {
    form: &'a ChannelForm,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    folder: &'a Path,
}

impl Maker<'_> {
    fn secret(&self, field: &str, secret: &Secret) -> Result<SecretText, String> {
        let read = secret.read(self.variable, self.folder);
        read.map_err(|why| format!("`{field}`: {why}"))
    }

    fn text(&self, field: &str, text: &TextOrSecret) -> Result<String, String> {
        match text {
            TextOrSecret::Text(text) => Ok(text.clone()),
            TextOrSecret::Secret(secret) => {
                let read = self.secret(field, secret)?;
                Ok(read.reveal().to_owned())
            }
        }
    }

    fn timeout(&self) -> Duration {
        self.form
            .timeout
            .map_or(Duration::seconds(10), |span| span.0)
    }

    fn url(&self) -> Result<Url, String> {
        let url = self.form.url.as_ref().ok_or("`url` is missing")?;
        address(&self.text("url", url)?, self.form)
    }

    fn http(&self, url: Url) -> Result<Http, String> {
        let guard = Guard {
            allow: self.form.allow.clone(),
            only_allowed: url.scheme() == "http",
        };
        Http::new(url.as_str(), guard, self.timeout())
    }

    fn signing(&self) -> Result<Option<String>, String> {
        let secret = self.form.secret.as_ref();
        let read = secret.map(|secret| self.secret("secret", secret));
        let read = read.transpose()?;
        Ok(read.map(|read| read.reveal().to_owned()))
    }

    fn outlet(&self) -> Result<Arc<dyn Outlet>, String> {
        let form = self.form;
        Ok(match form.kind {
            ChannelKind::Webhook => {
                let secret = self.signing()?.ok_or("`secret` is missing")?;
                if secret.chars().count() < LEAST_SECRET {
                    return Err(format!(
                        "`secret` has less than {LEAST_SECRET} letters: take a random one"
                    ));
                }
                let http = self.http(self.url()?)?;
                Arc::new(Webhook { http, secret })
            }
            ChannelKind::Alertmanager => {
                let mut url = self.url()?;
                let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
                url.set_path(&path);
                let authorization = form.authorization.as_ref();
                let authorization = authorization.map(|secret| {
                    let text = self.secret("authorization", secret)?;
                    let header = HeaderValue::from_str(text.reveal());
                    let mut header =
                        header.map_err(|_| "`authorization` holds what no header may")?;
                    header.set_sensitive(true);
                    Ok::<HeaderValue, String>(header)
                });
                Arc::new(Alertmanager {
                    http: self.http(url)?,
                    authorization: authorization.transpose()?,
                    lasts: HOUR.times(4),
                })
            }
            ChannelKind::Dingtalk => Arc::new(DingTalk {
                http: self.http(self.url()?)?,
                secret: self.signing()?,
            }),
            ChannelKind::Feishu => Arc::new(Feishu {
                http: self.http(self.url()?)?,
                secret: self.signing()?,
            }),
            ChannelKind::Slack => Arc::new(Slack {
                http: self.http(self.url()?)?,
            }),
            ChannelKind::File => {
                let path: &PathBuf = form.path.as_ref().ok_or("`path` is missing")?;
                let path = self.folder.join(path);
                Arc::new(LinesFile { path })
            }
            ChannelKind::Kafka => {
                let brokers = form.brokers.as_ref().ok_or("`brokers` is missing")?;
                let topic = form.topic.as_ref().ok_or("`topic` is missing")?;
                let settings = form.settings.iter().map(|(name, value)| {
                    Ok((
                        name.clone(),
                        self.text(&format!("settings.{}", shown(name)), value)?,
                    ))
                });
                let settings = settings.collect::<Result<Vec<_>, String>>()?;
                Arc::new(Topic::new(brokers, topic, settings, self.timeout())?)
            }
        })
    }
}
