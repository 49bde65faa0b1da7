//! What is open, by rule and cause, and which findings those are.

use std::collections::BTreeMap;

use centinel_model::{Finding, FindingId, Timestamp};
use serde::{Deserialize, Serialize};

use super::channel::{ChannelRules, MOST_STANDING, Topic};
use super::{cause_of, open_of, risk_of};
use crate::message::{Alert, Body, Cause, Facts, Kind, OTHER_RULES, since};
use crate::money::{AtRisk, Money};
use crate::notice::RuleNote;
use crate::text::pairs;

/// Causes that are told apart; more of one rule share one.
const MOST_INCIDENTS: usize = 2_000;
/// Findings that are remembered one by one; of more, only their number.
const MOST_REMEMBERED: usize = 50_000;

/// One cause of which something is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Incident {
    /// As the last finding had them: a rule may get another owner.
    facts: Facts,
    /// Findings that are open, those that are not remembered among them.
    open: u64,
    /// Those that are not remembered.
    nameless: u64,
    /// What is open and what it has at risk.
    alert: Alert,
}

/// An open finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// The number of its incident's topic.
    topic: u64,
    sequence: u64,
    risk: AtRisk,
}

/// All that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incidents {
    #[serde(with = "pairs")]
    incidents: BTreeMap<Topic, Incident>,
    /// Topics by number, so that a remembered finding is small.
    topics: BTreeMap<u64, Topic>,
    #[serde(with = "pairs")]
    numbers: BTreeMap<Topic, u64>,
    next: u64,
    findings: BTreeMap<String, Remembered>,
}

/// What taking in a finding came to.
pub(super) enum Observed {
    /// It is known already.
    Known,
    /// Something ended of which nothing was ever told.
    Untold,
    /// Something is to be told.
    Moved(Box<Moved>),
}

/// What a finding changed.
pub(super) struct Moved {
    /// What became of it.
    pub(super) kind: Kind,
    /// Of which kind its incident is.
    pub(super) of: Kind,
    pub(super) facts: Facts,
    pub(super) cause: Cause,
    pub(super) risk: AtRisk,
    /// Whether it had been told already and only its amount changed; from this.
    pub(super) changed: bool,
    pub(super) before: Option<AtRisk>,
    pub(super) since: Timestamp,
    /// What it was open as before, where that is something else.
    pub(super) left: Option<(Facts, Topic)>,
}

impl Incidents {
    /// Whether this finding is open, and remembered.
    pub(super) fn knows(&self, id: &FindingId) -> bool {
        self.findings.contains_key(&id.0)
    }

    pub(super) fn open_findings(&self) -> u64 {
        self.incidents.values().map(|incident| incident.open).sum()
    }

    /// Takes in what became of a finding.
    pub(super) fn observe(
        &mut self,
        kind: Kind,
        finding: &Finding,
        note: &RuleNote,
        causes: &[String],
        now: Timestamp,
    ) -> Observed {
        let id = &finding.finding_id.0;
        let known = self.findings.get(id).cloned();
        if known
            .as_ref()
            .is_some_and(|known| known.sequence >= finding.sequence)
        {
            return Observed::Known;
        }
        let moved = match kind.ends() {
            true => self.ends(kind, finding, causes, known, now),
            false => Some(self.begins(kind, finding, note, causes, known, now)),
        };
        moved.map_or(Observed::Untold, |moved| Observed::Moved(Box::new(moved)))
    }

    fn begins(
        &mut self,
        kind: Kind,
        finding: &Finding,
        note: &RuleNote,
        causes: &[String],
        known: Option<Remembered>,
        now: Timestamp,
    ) -> Moved {
        let (risk, since) = (risk_of(finding), since(finding, now));
        if let Some(known) = &known
            && let Some(topic) = self.topics.get(&known.topic).cloned()
            && topic.0 == kind
            && let Some(incident) = self.incidents.get_mut(&topic)
        {
            incident.alert.money.remove(&known.risk);
            incident.alert.money.add(&risk);
            incident.alert.show(finding, &risk, causes);
            let facts = incident.facts.clone();
            self.remember(finding, known.topic, risk.clone());
            return Moved {
                kind,
                of: kind,
                facts,
                cause: topic.2,
                risk,
                changed: true,
                before: Some(known.risk.clone()),
                since,
                left: None,
            };
        }
        let left = known.and_then(|known| {
            let topic = self.topics.get(&known.topic)?.clone();
            Some((self.forget(finding)?, topic))
        });
        let facts = Facts::of(finding, note);
        let topic = self.topic(kind, &facts, cause_of(finding, causes));
        let room = self.findings.len() < MOST_REMEMBERED;
        let incident = self.incidents.entry(topic.clone()).or_insert_with(|| {
            let alert = Alert::new(kind, facts.clone(), topic.2.clone(), since);
            let facts = facts.clone();
            let (open, nameless) = (0, 0);
            Incident {
                facts,
                open,
                nameless,
                alert,
            }
        });
        incident.facts.clone_from(&facts);
        incident.alert.facts.clone_from(&facts);
        incident.open += 1;
        incident.nameless += u64::from(!room);
        incident.alert.money.add(&risk);
        incident.alert.show(finding, &risk, causes);
        if room {
            let number = match self.numbers.get(&topic) {
                Some(number) => *number,
                None => {
                    self.next += 1;
                    self.numbers.insert(topic.clone(), self.next);
                    self.topics.insert(self.next, topic.clone());
                    self.next
                }
            };
            self.remember(finding, number, risk.clone());
        }
        Moved {
            kind,
            of: kind,
            facts,
            cause: topic.2,
            risk,
            changed: false,
            before: None,
            since,
            left,
        }
    }

    fn ends(
        &mut self,
        kind: Kind,
        finding: &Finding,
        causes: &[String],
        known: Option<Remembered>,
        now: Timestamp,
    ) -> Option<Moved> {
        let (topic, risk, facts) = match known {
            Some(known) => {
                let topic = self.topics.get(&known.topic)?.clone();
                (topic, known.risk, self.forget(finding)?)
            }
            None => {
                let of = match kind {
                    Kind::Cleared => Kind::Undetermined,
                    _ => Kind::Confirmed,
                };
                let rule = Facts::of(finding, &RuleNote::default()).rule;
                let topic = self.nameless(of, rule, cause_of(finding, causes))?;
                let risk = risk_of(finding);
                let facts = self.less(&topic, &risk, true)?;
                (topic, risk, facts)
            }
        };
        Some(Moved {
            kind,
            of: topic.0,
            facts,
            cause: topic.2,
            risk,
            changed: false,
            before: None,
            since: since(finding, now),
            left: None,
        })
    }

    /// The topic of a new finding, as long as there is room for it.
    fn topic(&self, kind: Kind, facts: &Facts, cause: Cause) -> Topic {
        let topic = (kind, facts.rule.clone(), cause);
        let most = match self.incidents.contains_key(&topic) {
            true => usize::MAX,
            false => MOST_INCIDENTS,
        };
        if self.incidents.len() < most {
            return topic;
        }
        let shared = (kind, topic.1, Cause::Many);
        match self.incidents.contains_key(&shared) || self.incidents.len() < 2 * MOST_INCIDENTS {
            true => shared,
            false => (kind, OTHER_RULES.to_owned(), Cause::Many),
        }
    }

    /// The incident to which a finding belongs that is not remembered.
    fn nameless(&self, of: Kind, rule: String, cause: Cause) -> Option<Topic> {
        let own = (of, rule.clone(), cause);
        let some = |topic: &Topic| {
            let incident = self.incidents.get(topic);
            incident.is_some_and(|incident| incident.nameless > 0)
        };
        if some(&own) {
            return Some(own);
        }
        let first = (of, rule.clone(), Cause::None);
        let of_rule = self.incidents.range(first..);
        let of_rule = of_rule.take_while(|(topic, _)| topic.0 == of && topic.1 == rule);
        let most = of_rule.max_by_key(|(_, incident)| incident.nameless);
        most.filter(|(_, incident)| incident.nameless > 0)
            .map(|(topic, _)| topic.clone())
    }

    fn remember(&mut self, finding: &Finding, topic: u64, risk: AtRisk) {
        let sequence = finding.sequence;
        let remembered = Remembered {
            topic,
            sequence,
            risk,
        };
        self.findings
            .insert(finding.finding_id.0.clone(), remembered);
    }

    /// Takes a remembered finding out of its incident, whose facts are returned.
    fn forget(&mut self, finding: &Finding) -> Option<Facts> {
        let known = self.findings.remove(&finding.finding_id.0)?;
        let topic = self.topics.get(&known.topic)?.clone();
        self.less(&topic, &known.risk, false)
    }

    /// One finding less.
    fn less(&mut self, topic: &Topic, risk: &AtRisk, nameless: bool) -> Option<Facts> {
        let incident = self.incidents.get_mut(topic)?;
        incident.open = incident.open.saturating_sub(1);
        incident.nameless = incident.nameless.saturating_sub(u64::from(nameless));
        incident.alert.money.remove(risk);
        let facts = incident.facts.clone();
        if incident.open == 0 {
            self.incidents.remove(topic);
            if let Some(number) = self.numbers.remove(topic) {
                self.topics.remove(&number);
            }
        }
        Some(facts)
    }

    /// Open causes after this topic, at most a message full of them, and the last of them unless it was the end.
    pub(super) fn standing(
        &self,
        after: Option<Topic>,
        takes: impl Fn(&Facts) -> bool,
        rules: &ChannelRules,
    ) -> (Vec<Alert>, Option<Topic>) {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let open = self.incidents.range((from, Unbounded));
        let open = open.filter(|(topic, incident)| rules.wants(topic.0) && takes(&incident.facts));
        let (mut alerts, mut last) = (Vec::new(), None);
        for (topic, incident) in open {
            if alerts.len() == MOST_STANDING {
                return (alerts, last);
            }
            alerts.push(incident.alert.clone());
            last = Some(topic.clone());
        }
        (alerts, None)
    }

    /// Fills in what is open now.
    pub(super) fn complete(&self, body: &mut Body) {
        let of = |alert: &mut Alert| {
            let kind = match alert.kind {
                Kind::Confirmed | Kind::Recovered | Kind::Withdrawn => Kind::Confirmed,
                Kind::Undetermined | Kind::Cleared => Kind::Undetermined,
            };
            let topic = (kind, alert.facts.rule.clone(), alert.cause.clone());
            let money = Money::default();
            alert.open = match self.incidents.get(&topic) {
                Some(incident) => open_of(incident.open, &incident.alert.money),
                None => open_of(0, &money),
            };
        };
        match body {
            Body::Alert(alert) => of(alert),
            Body::Standing(standing) => standing.alerts.iter_mut().for_each(of),
            Body::Digest(_) => {}
        }
    }
}
