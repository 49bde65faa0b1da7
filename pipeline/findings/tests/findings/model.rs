//! What the store should say, worked out from everything that happened, in memory and by no code of the store: lists that are
//! walked through and whole numbers of the smallest unit.

use std::collections::{BTreeMap, BTreeSet};

use centinel_findings::{Act, Filter, Handling};
use centinel_model::{Severity, Timestamp, Verdict};
use serde_json::Value;

/// Something that happened to a finding.
#[derive(Clone, Debug)]
pub enum Event {
    Told { name: (u64, u64), message: Value },
    Did { act: Act, by: String },
}

/// Everything that happened.
#[derive(Default)]
pub struct Model {
    /// Findings in the order in which they first came.
    pub ids: Vec<String>,
    pub events: BTreeMap<String, Vec<Event>>,
    lines: BTreeMap<(u64, String), String>,
    pub unread: u64,
    pub holes: u64,
    pub sources: u64,
}

/// What is to be seen of a finding.
#[derive(Clone, Debug)]
pub struct Seen {
    pub arrived: usize,
    pub message: Value,
    pub verdict: Verdict,
    pub handling: Handling,
    pub worse: bool,
    pub owner: String,
    pub since: String,
    pub missing: u64,
    pub acts: u64,
    pub handled_by: Option<String>,
    /// In hundredths.
    pub amount: Option<i128>,
    pub currency: String,
    pub history: Vec<&'static str>,
}

impl Model {
    /// A line of the file of this generation came.
    pub fn line(&mut self, generation: u64, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            self.unread += 1;
            return;
        };
        let name = match message["schema"].as_str().unwrap_or_default() {
            "centinel/finding/1" => {
                format!("finding {} {}", message["finding_id"], message["sequence"])
            }
            "centinel/hole/1" => format!("hole {}", message["number"]),
            "centinel/source/1" => {
                self.sources += 1;
                return;
            }
            other => panic!("{other}"),
        };
        match self.lines.get(&(generation, name.clone())) {
            Some(known) if known == line => return,
            Some(_) => {
                self.unread += 1;
                return;
            }
            None => {}
        }
        self.lines.insert((generation, name), line.to_owned());
        if message["schema"] == "centinel/hole/1" {
            self.holes += 1;
            return;
        }
        let id = message["finding_id"].as_str().unwrap().to_owned();
        if !self.ids.contains(&id) {
            self.ids.push(id.clone());
        }
        let name = (generation, message["sequence"].as_u64().unwrap());
        self.events
            .entry(id)
            .or_default()
            .push(Event::Told { name, message });
    }

    /// Somebody did something; false where there is no such finding.
    pub fn did(&mut self, id: &str, act: &Act, by: &str) -> bool {
        let Some(events) = self.events.get_mut(id) else {
            return false;
        };
        events.push(Event::Did {
            act: act.clone(),
            by: by.to_owned(),
        });
        true
    }

    pub fn seen(&self) -> Vec<Seen> {
        let of = |(arrived, id): (usize, &String)| seen(arrived, &self.events[id]);
        self.ids.iter().enumerate().map(of).collect()
    }
}

/// The hundredths of an amount.
fn hundredths(message: &Value) -> Option<i128> {
    let text = message["amount"].as_str()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some(format!("{whole}{fraction:0<2}").parse().unwrap())
}

fn verdict(message: &Value) -> Verdict {
    serde_json::from_value(message["verdict"].clone()).unwrap()
}

fn broken(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Suspected | Verdict::Confirmed | Verdict::Undetermined
    )
}

/// What a person judged: the verdict, amount and currency as they were.
type Judged = (Handling, String, Verdict, Option<i128>, Option<String>);

fn seen(arrived: usize, events: &[Event]) -> Seen {
    let mut newest: Option<((u64, u64), &Value)> = None;
    let (mut amount, mut currency): (Option<i128>, Option<String>) = (None, None);
    let mut judged: Option<Judged> = None;
    let (mut since, mut assigned, mut acts, mut worse) = (String::new(), None, 0, false);
    let mut history = Vec::new();
    let mut names = BTreeSet::new();
    for event in events {
        match event {
            Event::Told { name, message } => {
                history.push("told");
                names.insert(*name);
                if newest.is_some_and(|(known, _)| known > *name) {
                    continue;
                }
                let before = newest.map(|(_, message)| message);
                let passed = before.is_none_or(|before| !broken(verdict(before)));
                let counted = |message: &Value| message["occurrence"].as_u64();
                let again = before.is_some_and(|before| counted(message) > counted(before));
                let opens = broken(verdict(message)) && (passed || again);
                if opens || before.is_none() {
                    since = message["anchor"].as_str().unwrap().to_owned();
                }
                let (was, was_worse) = (amount, worse);
                amount = hundredths(message);
                let told = message["currency"].as_str().map(str::to_owned);
                if told.is_some() || before.is_none() || amount != was {
                    currency = told;
                }
                newest = Some((*name, message));
                worse = false;
                let Some((handling, _, judged_verdict, judged_amount, judged_currency)) = &judged
                else {
                    continue;
                };
                if !broken(verdict(message)) {
                    continue;
                }
                let other_currency =
                    currency.is_some() && judged_currency.is_some() && currency != *judged_currency;
                let larger = amount.is_some() && (amount > *judged_amount || other_currency);
                let confirmed =
                    verdict(message) == Verdict::Confirmed && *judged_verdict != Verdict::Confirmed;
                if opens || ((larger || confirmed) && *handling != Handling::Acknowledged) {
                    judged = None;
                    history.push("reopened");
                } else if larger || confirmed {
                    worse = true;
                    if !was_worse || (amount.is_some() && amount > was) {
                        history.push("worse");
                    }
                }
            }
            Event::Did { act, by } => {
                acts += 1;
                let now = verdict(newest.unwrap().1);
                let mut judge = |handling| {
                    judged = Some((handling, by.clone(), now, amount, currency.clone()));
                    worse = false;
                };
                history.push(match act {
                    Act::Acknowledge { .. } => {
                        judge(Handling::Acknowledged);
                        "acknowledged"
                    }
                    Act::Resolve { .. } => {
                        judge(Handling::Resolved);
                        "resolved"
                    }
                    Act::FalseAlarm { .. } => {
                        judge(Handling::FalseAlarm);
                        "false_alarm"
                    }
                    Act::Reopen { .. } => {
                        (judged, worse) = (None, false);
                        "reopened"
                    }
                    Act::Assign { owner } => {
                        assigned.clone_from(owner);
                        "assigned"
                    }
                    Act::Note { .. } => "note",
                });
            }
        }
    }
    let ((generation, sequence), message) = newest.unwrap();
    let told = names.iter().filter(|(of, _)| *of == generation).count() as u64;
    Seen {
        arrived,
        message: message.clone(),
        verdict: verdict(message),
        handling: judged.as_ref().map_or(Handling::New, |judged| judged.0),
        worse,
        owner: assigned.unwrap_or_else(|| message["owner"].as_str().unwrap().to_owned()),
        since,
        missing: sequence - told,
        acts,
        handled_by: judged.map(|judged| judged.1),
        amount,
        currency: amount.and(currency).unwrap_or_default(),
        history,
    }
}

impl Seen {
    pub fn open(&self) -> bool {
        broken(self.verdict) && matches!(self.handling, Handling::New | Handling::Acknowledged)
    }

    pub fn severity(&self) -> Severity {
        serde_json::from_value(self.message["severity"].clone()).unwrap()
    }

    pub fn text(&self, field: &str) -> &str {
        self.message[field].as_str().unwrap()
    }

    pub fn fits(&self, filter: &Filter, systems: &BTreeMap<String, Vec<String>>) -> bool {
        let rule = self.text("rule").to_owned();
        let any = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.iter().any(|one| one == value)
        };
        let since = Timestamp::parse(&self.since).unwrap();
        filter.open.is_none_or(|open| open == self.open())
            && filter.worse.is_none_or(|worse| worse == self.worse)
            && (filter.verdicts.is_empty() || filter.verdicts.contains(&self.verdict))
            && (filter.handlings.is_empty() || filter.handlings.contains(&self.handling))
            && (filter.severities.is_empty() || filter.severities.contains(&self.severity()))
            && any(&filter.rules, &rule)
            && any(&filter.owners, &self.owner)
            && any(&filter.currencies, &self.currency)
            && (filter.systems.is_empty()
                || systems
                    .get(&rule)
                    .is_some_and(|of| of.iter().any(|one| filter.systems.contains(one))))
            && filter
                .entity_key
                .as_ref()
                .is_none_or(|key| key == self.text("entity_key"))
            && filter.from.is_none_or(|from| since >= from)
            && filter.until.is_none_or(|until| since < until)
            && filter
                .text
                .as_ref()
                .is_none_or(|text| self.text("entity_key").starts_with(text.as_str()))
    }
}
