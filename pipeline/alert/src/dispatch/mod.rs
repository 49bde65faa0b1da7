//! Findings in, messages out: who is told what, when, and what came of it. No I/O; the clock is an argument.
//!
//! What is handed out by [`Alerts::due`] is in the state already, so one who stores the state before sending delivers
//! at least once, under the same id again after a crash.

mod channel;
mod incident;
mod limit;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use centinel_model::{
    Duration, Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};

pub use channel::{ChannelRules, Health, Outcome};
pub use limit::Limit;
pub use stored::{STATE_SCHEMA, StateError};

use channel::{Channel, Due, Topic};
use incident::{Incidents, Moved, Observed};

use crate::message::{ALERT_SCHEMA, Alert, Body, Cause, Facts, Kind, Message, Open, Standing};
use crate::money::{AtRisk, Money};
use crate::notice::RuleNote;

/// The rule under which other channels are told that one fails.
pub const CHANNEL_RULE: &str = "centinel/alert-channel-fails";
/// Others are told of a channel that has failed for so long.
const TOLD_AFTER: Duration = Duration::seconds(300);
/// Inputs whose places are remembered.
const MOST_INPUTS: usize = 64;

/// Who is told what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Columns by which findings of one rule are put together: the first that a finding has a value in.
    pub causes: Vec<String>,
    /// Channels by name.
    pub channels: BTreeMap<String, ChannelRules>,
}

/// Where a finding stands in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the input, such as `detection`.
    pub input: &'a str,
    /// Its number there, from 1, rising.
    pub number: u64,
}

/// What became of a finding that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// At least one channel is told of it.
    Told,
    /// It was taken in before.
    Before,
    /// Nobody wants to be told: it is only suspected, its rule is run in the shadow, its channels take no such kind, or
    /// it ends what was never told.
    Silent,
    /// No channel takes it. It is counted.
    Unrouted,
}

/// How all channels do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// By name.
    pub channels: BTreeMap<String, ChannelStatus>,
    /// Findings that no channel took, by severity.
    pub unrouted: BTreeMap<Severity, u64>,
    /// Findings that are open.
    pub open: u64,
}

/// How one channel does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelStatus {
    /// Whether the configuration still has it; what waits for one that it has not stays.
    pub configured: bool,
    /// Messages that are not delivered yet.
    pub pending: u64,
    /// Findings in them.
    pub pending_findings: u64,
    /// What was delivered, and what failed.
    #[serde(flatten)]
    pub health: Health,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Tells ids of this state from those of another.
    instance: String,
    /// Messages that were put together.
    number: u64,
    /// The last number that was taken in, by input.
    consumed: BTreeMap<String, u64>,
    incidents: Incidents,
    channels: BTreeMap<String, Channel>,
    unrouted: BTreeMap<Severity, u64>,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Alerts {
    rules: Rules,
    state: State,
}

/// To whom a finding goes.
#[derive(Clone, Copy)]
enum To<'a> {
    /// As the rules say.
    Routed,
    /// To all channels but this one.
    AllBut(&'a str),
}

impl Alerts {
    /// Nothing was found yet. `instance` is part of all ids: take another one for each new state.
    pub fn new(rules: Rules, instance: &str) -> Alerts {
        let state = State {
            instance: instance.to_owned(),
            ..State::default()
        };
        Alerts::with(rules, state)
    }

    fn with(rules: Rules, mut state: State) -> Alerts {
        for name in rules.channels.keys() {
            state.channels.entry(name.clone()).or_default();
        }
        Alerts { rules, state }
    }

    /// The last number of this input that was taken in; 0 where there is none.
    pub fn consumed(&self, input: &str) -> u64 {
        self.state.consumed.get(input).copied().unwrap_or(0)
    }

    /// All inputs of which something was taken in, each with the last number.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, u64)> {
        let inputs = self.state.consumed.iter();
        inputs.map(|(input, number)| (input.as_str(), *number))
    }

    /// Takes in a finding. One whose number was taken in before changes nothing.
    pub fn take(
        &mut self,
        place: Place<'_>,
        finding: &Finding,
        note: &RuleNote,
        now: Timestamp,
    ) -> Taken {
        match self.state.consumed.get_mut(place.input) {
            Some(number) if *number >= place.number => return Taken::Before,
            Some(number) => *number = place.number,
            None => {
                if self.state.consumed.len() >= MOST_INPUTS {
                    self.state.consumed.pop_first();
                }
                let input = place.input.to_owned();
                self.state.consumed.insert(input, place.number);
            }
        }
        self.observe(finding, note, To::Routed, now)
    }

    fn observe(&mut self, finding: &Finding, note: &RuleNote, to: To<'_>, now: Timestamp) -> Taken {
        let kind = match finding.verdict {
            Verdict::Suspected => return Taken::Silent,
            Verdict::Confirmed => Kind::Confirmed,
            Verdict::Undetermined => Kind::Undetermined,
            Verdict::Recovered => Kind::Recovered,
            Verdict::Cleared => Kind::Cleared,
            Verdict::RuleChanged => Kind::Withdrawn,
        };
        // A rule may have been put into the shadow while something of it was open.
        if note.silent && !self.state.incidents.knows(&finding.finding_id) {
            return Taken::Silent;
        }
        let incidents = &mut self.state.incidents;
        let moved = match incidents.observe(kind, finding, note, &self.rules.causes, now) {
            Observed::Known => return Taken::Before,
            Observed::Untold => return Taken::Silent,
            Observed::Moved(moved) => moved,
        };
        let channels = self.rules.channels.iter();
        let mut routed: Vec<bool> = channels
            .map(|(name, rules)| match to {
                To::Routed => rules.takes(&moved.facts),
                To::AllBut(other) => name != other,
            })
            .collect();
        if matches!(to, To::Routed) && !routed.contains(&true) {
            let channels = self.rules.channels.values();
            routed = channels.map(|rules| rules.fallback).collect();
        }
        if !routed.contains(&true) {
            *self.state.unrouted.entry(finding.severity).or_default() += 1;
            return Taken::Unrouted;
        }
        let mut taken = Taken::Silent;
        for ((name, rules), routed) in self.rules.channels.iter().zip(routed) {
            if routed
                && rules.wants(kind)
                && let Some(channel) = self.state.channels.get_mut(name)
            {
                tell(channel, rules, &moved, finding, &self.rules.causes, now);
                taken = Taken::Told;
            }
        }
        taken
    }

    /// The next message to send, if there is one now. At most one of each channel is on its way: say by
    /// [`Alerts::done`] what came of it.
    pub fn due(&mut self, now: Timestamp) -> Option<Message> {
        for (name, rules) in &self.rules.channels {
            let Some(channel) = self.state.channels.get_mut(name) else {
                continue;
            };
            let mut body = match channel.due(rules, now) {
                None => continue,
                Some(Due::Again(id, made_at, body)) => {
                    return Some(message(id, name, made_at, body));
                }
                Some(Due::New(body)) => body,
                Some(Due::Refresh(after)) => {
                    let takes = |facts: &Facts| {
                        rules.takes(facts)
                            || (rules.fallback && !self.rules.others_take(name, facts))
                    };
                    let (alerts, up_to) = self.state.incidents.standing(after, takes, rules);
                    channel.refreshed(up_to, rules, now);
                    if alerts.is_empty() {
                        continue;
                    }
                    Body::Standing(Standing { alerts })
                }
            };
            self.state.incidents.complete(&mut body);
            link(&mut body, rules.trace.as_deref());
            self.state.number += 1;
            let id = format!("{}-{}", self.state.instance, self.state.number);
            channel.sends(&id, &body, rules, now);
            return Some(message(id, name, now, body));
        }
        None
    }

    /// What came of a message. False when it is not on its way.
    pub fn done(&mut self, message: &Message, outcome: &Outcome, now: Timestamp) -> bool {
        let name = message.channel.as_str();
        let (Some(rules), Some(channel)) = (
            self.rules.channels.get(name),
            self.state.channels.get_mut(name),
        ) else {
            return false;
        };
        if !channel.done(&message.id, outcome, rules, now) {
            return false;
        }
        let health = &mut channel.health;
        let since = health.failing_since.map(Timestamp);
        let fails = since.is_some_and(|since| now.since(since) >= TOLD_AFTER);
        if fails != health.told && (fails || since.is_none()) {
            health.told = fails;
            let why = health.last_error.clone().unwrap_or_default();
            self.tell_others(name, since, &why, now);
        }
        true
    }

    /// Tells the other channels that one fails since then, or works again.
    fn tell_others(&mut self, name: &str, since: Option<Timestamp>, why: &str, now: Timestamp) {
        let verdict = match since {
            Some(_) => Verdict::Confirmed,
            None => Verdict::Recovered,
        };
        self.state.number += 1;
        let finding = Finding {
            schema: FINDING_SCHEMA.into(),
            finding_id: FindingId::new(CHANNEL_RULE, [name]),
            sequence: self.state.number,
            rule: CHANNEL_RULE.into(),
            rule_version: String::new(),
            title: "Every alert channel takes messages".into(),
            entity: "alert_channel".into(),
            entity_key: name.to_owned(),
            key: vec![("alert_channel".into(), name.to_owned())],
            verdict,
            occurrence: 1,
            severity: Severity::Critical,
            owner: "centinel".into(),
            amount: None,
            currency: None,
            hint: since.map(|_| why.to_owned()),
            evidence: Evidence::default(),
            positions: Positions::default(),
            anchor: since.unwrap_or(now).to_string(),
            judged_at: now.to_string(),
            checkpoint: None,
            status: None,
            trip: None,
        };
        let note = RuleNote {
            runbook: "See why the channel refuses or does not answer; what it missed is told in a digest once it works."
                .into(),
            ..RuleNote::default()
        };
        self.observe(&finding, &note, To::AllBut(name), now);
    }

    /// When [`Alerts::due`] may have something next; none before something new comes, or an outcome.
    pub fn wake(&self) -> Option<Timestamp> {
        let channels = self.rules.channels.iter();
        let wakes = channels.filter_map(|(name, rules)| self.state.channels.get(name)?.wake(rules));
        wakes.min()
    }

    /// How all channels do.
    pub fn status(&self) -> Status {
        let channels = self.state.channels.iter().map(|(name, channel)| {
            let (pending, pending_findings) = channel.waiting();
            let status = ChannelStatus {
                configured: self.rules.channels.contains_key(name),
                pending,
                pending_findings,
                health: channel.health.clone(),
            };
            (name.clone(), status)
        });
        Status {
            channels: channels.collect(),
            unrouted: self.state.unrouted.clone(),
            open: self.state.incidents.open_findings(),
        }
    }
}

impl Rules {
    fn others_take(&self, name: &str, facts: &Facts) -> bool {
        let mut channels = self.channels.iter();
        channels.any(|(other, rules)| other != name && rules.takes(facts))
    }
}

/// Adds what a finding says to what a channel is told of its cause.
fn tell(
    channel: &mut Channel,
    rules: &ChannelRules,
    moved: &Moved,
    finding: &Finding,
    causes: &[String],
    now: Timestamp,
) {
    let kind = match rules.refresh {
        // A channel that keeps causes by itself is told how each stands.
        Some(_) => moved.of,
        None => moved.kind,
    };
    let new = || Alert::new(kind, moved.facts.clone(), moved.cause.clone(), moved.since);
    let add = |alert: &mut Alert| {
        match moved.changed {
            true => alert.changed += 1,
            false => alert.count += 1,
        }
        if let Some(before) = &moved.before {
            alert.money.remove(before);
        }
        alert.money.add(&moved.risk);
        alert.since = alert.since.min(moved.since);
        alert.show(finding, &moved.risk, causes);
    };
    if let (Some(_), Some((facts, left))) = (rules.refresh, &moved.left) {
        // It is told that the other one may have ended; how it stands is filled in when it is sent.
        let ended = || Alert::new(left.0, facts.clone(), left.2.clone(), moved.since);
        channel.pending(left.clone(), rules, now, ended);
    }
    let topic: Topic = (kind, moved.facts.rule.clone(), moved.cause.clone());
    match channel.pending(topic, rules, now, new) {
        Some(alert) => add(alert),
        None => {
            let mut alert = new();
            add(&mut alert);
            channel.digest(alert);
        }
    }
}

fn link(body: &mut Body, template: Option<&str>) {
    match body {
        Body::Alert(alert) => alert.link(template),
        Body::Digest(digest) => digest.link(template),
        Body::Standing(standing) => {
            for alert in &mut standing.alerts {
                alert.link(template);
            }
        }
    }
}

fn message(id: String, channel: &str, made_at: Timestamp, body: Body) -> Message {
    Message {
        schema: ALERT_SCHEMA.into(),
        id,
        channel: channel.to_owned(),
        made_at,
        body,
    }
}

/// What is open of a cause.
fn open_of(count: u64, money: &Money) -> Open {
    Open {
        count,
        money: money.clone(),
    }
}

/// What a finding has at risk.
fn risk_of(finding: &Finding) -> AtRisk {
    AtRisk::of(finding.amount.as_deref(), finding.currency.as_deref())
}

/// What findings of a rule have in common.
fn cause_of(finding: &Finding, causes: &[String]) -> Cause {
    Cause::of(finding, causes)
}
