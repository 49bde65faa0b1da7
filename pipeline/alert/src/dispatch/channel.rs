//! One channel: what waits for it, what is on its way, and how it does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use centinel_model::{Duration, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use super::limit::{Limit, Sent};
use crate::message::{Alert, Body, Cause, Digest, Facts, Kind, Standing};
use crate::text::pairs;

/// Causes that wait for one channel; more go straight into its digest.
const MOST_PENDING: usize = 500;
/// Causes whose last message is remembered, so that the next one keeps its distance.
const MOST_TOLD: usize = 2 * MOST_PENDING;
/// Causes in one message to a channel that keeps them by itself.
pub(super) const MOST_STANDING: usize = 100;

/// When there is more than the limits leave room for, so many causes are told one by one beside the digest.
const MOST_BESIDE_DIGEST: usize = 3;
/// After a digest nothing new is told for so long, so that a storm is a few messages.
const AFTER_DIGEST: Duration = Duration::seconds(60);

const FIRST_PAUSE: Duration = Duration::seconds(2);
const LONGEST_PAUSE: Duration = Duration::seconds(3_600);

/// What a channel takes, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRules {
    /// The least severity.
    pub severity: Severity,
    /// Owners of rules; all where there is none.
    pub owners: Vec<String>,
    /// Tags, one of which a rule must have; all rules where there is none.
    pub tags: Vec<String>,
    /// Whether it takes what no other channel takes, too.
    pub fallback: bool,
    /// Whether it is told that findings ended.
    pub resolved: bool,
    /// Whether it is told what could not be judged.
    pub undetermined: bool,
    /// How long a cause is collected before its first message.
    pub wait: Duration,
    /// How far messages of one cause are apart.
    pub again: Duration,
    /// How many messages it takes.
    pub limits: Vec<Limit>,
    /// How often one message is tried before what it says goes into the digest.
    pub attempts: u32,
    /// For a channel that keeps causes by itself: how often it is told again what is open.
    pub refresh: Option<Duration>,
    /// Address of an entity's history, with `{entity}`, `{key}`, `{finding}` and `{rule}` in it.
    pub trace: Option<String>,
}

impl ChannelRules {
    /// By severity, owner and tag.
    pub(super) fn takes(&self, facts: &Facts) -> bool {
        let owner = self.owners.is_empty() || self.owners.contains(&facts.owner);
        let tag = self.tags.is_empty() || facts.tags.iter().any(|tag| self.tags.contains(tag));
        facts.severity >= self.severity && owner && tag
    }

    pub(super) fn wants(&self, kind: Kind) -> bool {
        let keeps = self.refresh.is_some();
        match kind {
            Kind::Confirmed => true,
            Kind::Undetermined => self.undetermined,
            Kind::Cleared => self.undetermined && (self.resolved || keeps),
            Kind::Recovered | Kind::Withdrawn => self.resolved || keeps,
        }
    }
}

/// One message for each: what became of the findings of a rule that have a cause in common.
pub(super) type Topic = (Kind, String, Cause);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) alert: Alert,
    /// When it may be told.
    ready_at: i64,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Flight {
    id: String,
    made_at: i64,
    body: Body,
    attempts: u32,
    /// Whether its outcome is awaited. After a restart nobody waits: it is sent again.
    #[serde(skip)]
    sending: bool,
}

/// How a channel does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Messages that were taken.
    pub delivered: u64,
    /// Findings that they mentioned.
    pub mentioned: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages whose form or content was refused; what they said went into a digest.
    pub refused: u64,
    /// Messages that were tried as often as allowed; what they said went into a digest.
    pub given_up: u64,
    /// Since when every attempt has failed, microseconds since 1970.
    pub failing_since: Option<i64>,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// When the last message was taken, microseconds since 1970.
    pub last_delivered: Option<i64>,
    /// Whether the other channels were told that this one fails.
    pub(super) told: bool,
}

/// A channel's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    #[serde(with = "pairs")]
    pending: BTreeMap<Topic, Pending>,
    digest: Digest,
    flight: Option<Flight>,
    sent: Sent,
    /// When the last message of a topic was put together.
    #[serde(with = "pairs")]
    told: BTreeMap<Topic, i64>,
    /// Nothing is sent before.
    not_before: i64,
    /// Nothing new is sent before: a digest was.
    quiet_until: i64,
    /// Attempts that failed since the last that did not.
    failures: u32,
    refresh_at: i64,
    refresh_from: Option<Topic>,
    pub(super) health: Health,
}

/// What the channel is to be told now.
pub(super) enum Due {
    /// A message, with its id and when it was put together, as it was sent before.
    Again(String, Timestamp, Body),
    /// A message that was put together now.
    New(Body),
    /// How all open causes after this topic stand.
    Refresh(Option<Topic>),
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// It may be taken later.
    Later {
        /// Why it was not.
        why: String,
        /// The channel said to wait so long.
        after: Option<Duration>,
    },
    /// It will never be taken as it is.
    Refused {
        /// Why.
        why: String,
    },
}

impl Channel {
    /// The alert of this topic that waits, made where there is none. None where too many wait.
    pub(super) fn pending(
        &mut self,
        topic: Topic,
        rules: &ChannelRules,
        now: Timestamp,
        new: impl FnOnce() -> Alert,
    ) -> Option<&mut Alert> {
        use std::collections::btree_map::Entry;
        let full = self.pending.len() >= MOST_PENDING;
        match self.pending.entry(topic) {
            Entry::Occupied(known) => Some(&mut known.into_mut().alert),
            Entry::Vacant(_) if full => None,
            Entry::Vacant(place) => {
                let last = self.told.get(place.key());
                let apart = last.map(|last| Timestamp(*last).plus(rules.again));
                let ready = now.plus(rules.wait).max(apart.unwrap_or(Timestamp::MIN));
                let pending = Pending {
                    alert: new(),
                    ready_at: ready.0,
                };
                Some(&mut place.insert(pending).alert)
            }
        }
    }

    /// Puts an alert straight into the digest.
    pub(super) fn digest(&mut self, alert: Alert) {
        self.digest.add(alert);
    }

    /// After the clock was set back, nothing waits for longer than it would have.
    fn settle_clock(&mut self, rules: &ChannelRules, now: Timestamp) {
        self.sent.not_after(now);
        self.not_before = self.not_before.min(now.plus(LONGEST_PAUSE).0);
        self.quiet_until = self.quiet_until.min(now.plus(AFTER_DIGEST).0);
        for last in self.told.values_mut() {
            *last = now.0.min(*last);
        }
        let latest = now.plus(rules.wait.max(rules.again)).0;
        for pending in self.pending.values_mut() {
            pending.ready_at = pending.ready_at.min(latest);
        }
        if let Some(refresh) = rules.refresh {
            self.refresh_at = self.refresh_at.min(now.plus(refresh).0);
        }
    }

    /// What to send now. Whoever gets something sends it, and says by [`Channel::done`] what came of it.
    pub(super) fn due(&mut self, rules: &ChannelRules, now: Timestamp) -> Option<Due> {
        self.settle_clock(rules, now);
        if now.0 < self.not_before || now < self.sent.free_at(&rules.limits) {
            return None;
        }
        if let Some(flight) = &mut self.flight {
            if flight.sending {
                return None;
            }
            flight.sending = true;
            flight.attempts += 1;
            self.sent.note(&rules.limits, now);
            let made_at = Timestamp(flight.made_at);
            return Some(Due::Again(flight.id.clone(), made_at, flight.body.clone()));
        }
        match rules.refresh {
            Some(_) => self.standing(now),
            None if now.0 < self.quiet_until => None,
            None => self.alert(rules, now).map(Due::New),
        }
    }

    /// Causes that changed, or all that are open once it is time.
    fn standing(&mut self, now: Timestamp) -> Option<Due> {
        let ready = self.pending.iter().filter(|(_, one)| one.ready_at <= now.0);
        let ready: Vec<Topic> = ready
            .take(MOST_STANDING)
            .map(|(topic, _)| topic.clone())
            .collect();
        if !ready.is_empty() {
            let alerts = ready
                .iter()
                .filter_map(|topic| self.take_pending(topic, now));
            let alerts = alerts.collect();
            return Some(Due::New(Body::Standing(Standing { alerts })));
        }
        if !self.digest.is_empty() {
            return Some(Due::New(Body::Digest(std::mem::take(&mut self.digest))));
        }
        (self.refresh_at <= now.0).then(|| Due::Refresh(self.refresh_from.clone()))
    }

    /// The worst cause, or the digest; what is more than the limits leave room for goes into that.
    fn alert(&mut self, rules: &ChannelRules, now: Timestamp) -> Option<Body> {
        let ready = self.pending.iter().filter(|(_, one)| one.ready_at <= now.0);
        let mut ready: Vec<(Topic, _)> = ready
            .map(|(topic, one)| {
                let severity = Reverse(one.alert.facts.severity);
                let order = (one.alert.kind.ends(), severity, one.ready_at);
                (topic.clone(), order)
            })
            .collect();
        ready.sort_by(|left, right| (left.1, &left.0).cmp(&(right.1, &right.0)));
        let left = self.sent.left(&rules.limits, now);
        let digests = usize::from(!self.digest.is_empty());
        if ready.len() + digests > left {
            // One message is kept for the digest.
            let beside = left.saturating_sub(1).min(MOST_BESIDE_DIGEST);
            for (topic, _) in ready.split_off(beside.min(ready.len())) {
                if let Some(alert) = self.take_pending(&topic, now) {
                    self.digest.add(alert);
                }
            }
        }
        match ready.first() {
            Some((topic, _)) => {
                let alert = self.take_pending(topic, now)?;
                Some(Body::Alert(Box::new(alert)))
            }
            None if self.digest.is_empty() => None,
            None => {
                self.quiet_until = now.plus(AFTER_DIGEST).0;
                Some(Body::Digest(std::mem::take(&mut self.digest)))
            }
        }
    }

    fn take_pending(&mut self, topic: &Topic, now: Timestamp) -> Option<Alert> {
        let pending = self.pending.remove(topic)?;
        if self.told.len() >= MOST_TOLD
            && let Some(oldest) = self.told.iter().min_by_key(|(_, at)| **at)
        {
            let oldest = oldest.0.clone();
            self.told.remove(&oldest);
        }
        self.told.insert(topic.clone(), now.0);
        Some(pending.alert)
    }

    /// A message was put together and is sent now.
    pub(super) fn sends(&mut self, id: &str, body: &Body, rules: &ChannelRules, now: Timestamp) {
        self.sent.note(&rules.limits, now);
        self.flight = Some(Flight {
            id: id.to_owned(),
            made_at: now.0,
            body: body.clone(),
            attempts: 1,
            sending: true,
        });
    }

    /// Open causes were told up to this topic, or all of them.
    pub(super) fn refreshed(&mut self, up_to: Option<Topic>, rules: &ChannelRules, now: Timestamp) {
        if up_to.is_none()
            && let Some(refresh) = rules.refresh
        {
            self.refresh_at = now.plus(refresh).0;
        }
        self.refresh_from = up_to;
    }

    /// What came of the message with this id. False when it is not on its way.
    pub(super) fn done(
        &mut self,
        id: &str,
        outcome: &Outcome,
        rules: &ChannelRules,
        now: Timestamp,
    ) -> bool {
        let Some(flight) = self
            .flight
            .take_if(|flight| flight.id == id && flight.sending)
        else {
            return false;
        };
        self.sent.arrived(now);
        let (why, after) = match outcome {
            Outcome::Delivered => {
                self.health.delivered += 1;
                self.health.mentioned += flight.body.mentions();
                self.health.last_delivered = Some(now.0);
                self.health.failing_since = None;
                self.failures = 0;
                return true;
            }
            Outcome::Later { why, after } => (why, *after),
            Outcome::Refused { why } => (why, None),
        };
        self.health.failed += 1;
        self.health.failing_since.get_or_insert(now.0);
        self.health.last_error = Some(why.clone());
        let doublings = self.failures.min(16);
        self.failures += 1;
        let pause = FIRST_PAUSE
            .times(1 << doublings)
            .max(after.unwrap_or(FIRST_PAUSE));
        self.not_before = now.plus(pause.min(LONGEST_PAUSE)).0;
        let refused = matches!(outcome, Outcome::Refused { .. });
        if refused {
            self.health.refused += 1;
        } else if flight.attempts < rules.attempts {
            let sending = false;
            self.flight = Some(Flight { sending, ..flight });
            return true;
        } else {
            self.health.given_up += 1;
        }
        self.fold(flight.body, now);
        true
    }

    /// What a message said that was not taken is said in the next one.
    fn fold(&mut self, body: Body, now: Timestamp) {
        match body {
            Body::Alert(alert) => self.digest.add(*alert),
            Body::Digest(digest) => self.digest.merge(digest),
            Body::Standing(standing) => {
                for alert in standing.alerts {
                    // What was only told again is told again at its time; an end is not.
                    if alert.count + alert.changed == 0 && alert.open.count > 0 {
                        continue;
                    }
                    let topic = (alert.kind, alert.facts.rule.clone(), alert.cause.clone());
                    match self.pending.get_mut(&topic) {
                        Some(pending) => pending.alert.merge(alert),
                        None => {
                            let ready_at = now.0;
                            self.pending.insert(topic, Pending { alert, ready_at });
                        }
                    }
                }
            }
        }
    }

    /// When there may be something to send next; none before something new comes, or an outcome.
    pub(super) fn wake(&self, rules: &ChannelRules) -> Option<Timestamp> {
        let free = self.sent.free_at(&rules.limits);
        let earliest = Timestamp(self.not_before).max(free);
        if let Some(flight) = &self.flight {
            return (!flight.sending).then_some(earliest);
        }
        let earliest = earliest.max(Timestamp(self.quiet_until));
        if !self.digest.is_empty() {
            return Some(earliest);
        }
        let ready = self.pending.values().map(|pending| pending.ready_at).min();
        let refresh = rules.refresh.map(|_| self.refresh_at);
        let next = ready.into_iter().chain(refresh).min()?;
        Some(earliest.max(Timestamp(next)))
    }

    /// Messages, and findings in them, that are not delivered yet.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let flight = self.flight.iter().map(|flight| flight.body.mentions());
        let pending = self.pending.values().map(|pending| {
            let alert = &pending.alert;
            alert.count + alert.changed
        });
        let digest =
            (!self.digest.is_empty()).then(|| Body::Digest(self.digest.clone()).mentions());
        let all = flight.chain(pending).chain(digest);
        all.fold((0, 0), |(messages, findings), more| {
            (messages + 1, findings + more)
        })
    }
}
