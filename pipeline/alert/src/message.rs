//! What is told, in the documented form `centinel/alert/1`.

use std::collections::{BTreeMap, BTreeSet};

use centinel_model::{Finding, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::money::{AtRisk, Money};
use crate::notice::RuleNote;
use crate::text::{clean, percent, rfc3339};

/// The schema id of [`Message`] in JSON. Fields may be added within a version, never changed or removed.
pub const ALERT_SCHEMA: &str = "centinel/alert/1";

/// Findings that are named by their ids in one message.
const MOST_NAMED: usize = 20;
/// Currencies of which the largest finding is shown.
const MOST_LARGEST: usize = 3;
/// Values of another cause's column that are named.
const MOST_VALUES: usize = 5;
/// Rows, columns and key columns of one finding that are shown.
const MOST_ROWS: usize = 3;
const MOST_COLUMNS: usize = 20;
const MOST_KEY_COLUMNS: usize = 8;
/// Letters of a name, a value, a sentence.
const NAME: usize = 120;
const VALUE: usize = 200;
const SENTENCE: usize = 500;
const RUNBOOK: usize = 2_000;

/// One message to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// [`ALERT_SCHEMA`].
    pub schema: String,
    /// Unique; a message that is delivered again has the same one.
    pub id: String,
    /// Name of the channel.
    pub channel: String,
    /// When it was put together.
    #[serde(with = "rfc3339")]
    pub made_at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Body {
    /// One cause.
    Alert(Box<Alert>),
    /// What was too much to be told one by one.
    Digest(Digest),
    /// How causes stand, for a channel that keeps them by itself.
    Standing(Standing),
}

/// How causes stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// One for each; its `kind` is `confirmed` or `undetermined`, and it has ended when nothing of it is open.
    pub alerts: Vec<Alert>,
}

/// What became of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The rule is broken, and everything that could mend it has been read.
    Confirmed,
    /// It could not be judged whether the rule is broken.
    Undetermined,
    /// Was confirmed, and the rule holds again.
    Recovered,
    /// Could not be judged, now can be, and the rule holds.
    Cleared,
    /// Was confirmed by a rule that is changed or gone since. Nothing says that the rule holds.
    Withdrawn,
}

impl Kind {
    /// Whether something ended.
    pub fn ends(self) -> bool {
        !matches!(self, Kind::Confirmed | Kind::Undetermined)
    }

    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Confirmed => "confirmed",
            Kind::Undetermined => "undetermined",
            Kind::Recovered => "recovered",
            Kind::Cleared => "cleared",
            Kind::Withdrawn => "withdrawn",
        }
    }
}

/// What findings of one rule have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The rule's id.
    pub rule: String,
    /// The rule's title: what is true when all is well.
    pub title: String,
    /// The rule's severity.
    pub severity: Severity,
    /// Who looks after the rule.
    pub owner: String,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// What to do, or where that is written; may be empty.
    pub runbook: String,
}

/// What findings of one rule have in common beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The rule alone.
    None,
    /// The same value in a column, such as the merchant.
    Is {
        /// The column.
        column: String,
        /// Its value.
        value: String,
    },
    /// More causes than are told apart.
    Many,
}

/// Some values of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// The first of them, sorted.
    pub values: BTreeSet<String>,
    /// Whether there are others.
    pub more: bool,
}

/// What is open now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// How many findings.
    pub count: u64,
    /// What they have at risk.
    pub money: Money,
}

/// A finding, named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub finding_id: String,
    /// Which message of it.
    pub sequence: u64,
}

/// A finding, shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Its id.
    pub finding_id: String,
    /// Which message of it.
    pub sequence: u64,
    /// The rule's id.
    pub rule: String,
    /// Name of the entity, such as `order`.
    pub entity: String,
    /// Its key.
    pub entity_key: String,
    /// The finding's key.
    pub key: Vec<(String, String)>,
    /// Money at risk in major units.
    pub amount: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// A remark that helps.
    pub hint: Option<String>,
    /// The time from which patience counted.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// Rows that show it: column → value. Sensitive values are masked in findings already.
    pub rows: Vec<BTreeMap<String, Option<String>>>,
    /// How many rows there were.
    pub rows_total: u64,
    /// Where its history is shown.
    pub trace: Option<String>,
}

/// What is told of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What became of the findings.
    pub kind: Kind,
    /// Of the rule.
    #[serde(flatten)]
    pub facts: Facts,
    /// What they have in common beside it.
    pub cause: Cause,
    /// How many findings.
    pub count: u64,
    /// How many more had been told already, and have another amount now.
    pub changed: u64,
    /// Money at risk of those counted; of those that changed, by how much it changed.
    pub money: Money,
    /// The earliest time from which patience counted.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// What is open of this cause, at the time of the message.
    pub open: Open,
    /// Values of the other columns by which findings are told apart.
    pub among: BTreeMap<String, Values>,
    /// The finding with the most money at risk, one for each currency.
    pub largest: Vec<Example>,
    /// The first findings.
    pub findings: Vec<Named>,
}

/// Many causes at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// By kind and rule, the worst first.
    pub lines: Vec<Line>,
    /// The finding with the most money at risk, one for each currency.
    pub largest: Vec<Example>,
}

/// One rule in a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What became of the findings.
    pub kind: Kind,
    /// Of the rule. Rules beyond the first hundred share the line of the rule `centinel/others`.
    #[serde(flatten)]
    pub facts: Facts,
    /// How many findings.
    pub count: u64,
    /// How many more have another amount now.
    pub changed: u64,
    /// As in an alert.
    pub money: Money,
    /// As in an alert.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// How many messages this would have been.
    pub causes: u64,
}

impl Facts {
    /// Of a finding and what else is known of its rule.
    pub(crate) fn of(finding: &Finding, note: &RuleNote) -> Facts {
        Facts {
            rule: clean(&finding.rule, NAME),
            title: clean(&finding.title, SENTENCE),
            severity: finding.severity,
            owner: clean(&finding.owner, NAME),
            tags: note.tags.clone(),
            runbook: clean(&note.runbook, RUNBOOK),
        }
    }
}

impl Cause {
    /// The first of these columns that the finding has a value in.
    pub(crate) fn of(finding: &Finding, columns: &[String]) -> Cause {
        let found = columns
            .iter()
            .find_map(|column| Some((column, value_of(finding, column)?)));
        match found {
            None => Cause::None,
            Some((column, value)) => Cause::Is {
                column: column.clone(),
                value: clean(value, NAME),
            },
        }
    }
}

fn value_of<'a>(finding: &'a Finding, column: &str) -> Option<&'a str> {
    let key = finding.key.iter().find(|(name, _)| name == column);
    let row = || finding.evidence.rows.first()?.get(column)?.as_deref();
    let value = key.map(|(_, value)| value.as_str()).or_else(row);
    let entity = || (finding.entity == column).then_some(finding.entity_key.as_str());
    value.or_else(entity).filter(|value| !value.is_empty())
}

impl Example {
    fn of(finding: &Finding, since: Timestamp) -> Example {
        let rows = finding.evidence.rows.iter().take(MOST_ROWS).map(|row| {
            let columns = row.iter().take(MOST_COLUMNS);
            let shown = columns.map(|(column, value)| {
                let value = value.as_deref().map(|value| clean(value, VALUE));
                (clean(column, NAME), value)
            });
            shown.collect()
        });
        let key = finding.key.iter().take(MOST_KEY_COLUMNS);
        let cleaned = |text: &Option<String>| text.as_deref().map(|text| clean(text, NAME));
        Example {
            finding_id: finding.finding_id.0.clone(),
            sequence: finding.sequence,
            rule: clean(&finding.rule, NAME),
            entity: clean(&finding.entity, NAME),
            entity_key: clean(&finding.entity_key, VALUE),
            key: key
                .map(|(column, value)| (clean(column, NAME), clean(value, VALUE)))
                .collect(),
            amount: cleaned(&finding.amount),
            currency: cleaned(&finding.currency),
            hint: finding.hint.as_deref().map(|hint| clean(hint, SENTENCE)),
            since,
            rows: rows.collect(),
            rows_total: finding.evidence.total,
            trace: None,
        }
    }

    fn risk(&self) -> AtRisk {
        AtRisk::of(self.amount.as_deref(), self.currency.as_deref())
    }

    /// Fills in the address of its trace: `{entity}`, `{key}`, `{finding}` and `{rule}` stand for its own.
    pub(crate) fn link(&mut self, template: Option<&str>) {
        self.trace = template.map(|template| {
            let mut url = String::with_capacity(template.len() + 64);
            let mut rest = template;
            while let Some((before, (name, after))) = rest
                .split_once('{')
                .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
            {
                url.push_str(before);
                match name {
                    "entity" => url.push_str(&percent(&self.entity)),
                    "key" => url.push_str(&percent(&self.entity_key)),
                    "finding" => url.push_str(&percent(&self.finding_id)),
                    "rule" => url.push_str(&percent(&self.rule)),
                    other => url.push_str(&percent(other)),
                }
                rest = after;
            }
            url.push_str(rest);
            url
        });
    }
}

/// Keeps the largest finding of each currency.
fn keep_largest(largest: &mut Vec<Example>, risk: &AtRisk, example: impl FnOnce() -> Example) {
    let same = |kept: &Example| kept.risk().currency() == risk.currency();
    match largest.iter().position(same) {
        Some(index) if risk.amount() > largest[index].risk().amount() => largest[index] = example(),
        Some(_) => {}
        None if largest.len() < MOST_LARGEST => largest.push(example()),
        None => {}
    }
}

impl Alert {
    /// Of nothing yet.
    pub(crate) fn new(kind: Kind, facts: Facts, cause: Cause, since: Timestamp) -> Alert {
        Alert {
            kind,
            facts,
            cause,
            count: 0,
            changed: 0,
            money: Money::default(),
            since,
            open: Open::default(),
            among: BTreeMap::new(),
            largest: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Shows a finding, where it is among the first or the largest.
    pub(crate) fn show(&mut self, finding: &Finding, risk: &AtRisk, columns: &[String]) {
        let since = since(finding, self.since);
        self.since = self.since.min(since);
        keep_largest(&mut self.largest, risk, || Example::of(finding, since));
        if self.findings.len() < MOST_NAMED {
            self.findings.push(Named {
                finding_id: finding.finding_id.0.clone(),
                sequence: finding.sequence,
            });
        }
        for column in columns {
            let own = matches!(&self.cause, Cause::Is { column: cause, .. } if cause == column);
            let Some(value) = value_of(finding, column).filter(|_| !own) else {
                continue;
            };
            let known = self.among.entry(column.clone()).or_default();
            let value = clean(value, NAME);
            match known.values.len() < MOST_VALUES || known.values.contains(&value) {
                true => {
                    known.values.insert(value);
                }
                false => known.more = true,
            }
        }
    }

    /// Takes in what another says of the same cause.
    pub(crate) fn merge(&mut self, other: Alert) {
        self.count += other.count;
        self.changed += other.changed;
        self.money.add_all(&other.money);
        self.since = self.since.min(other.since);
        for example in other.largest {
            keep_largest(&mut self.largest, &example.risk(), || example.clone());
        }
        let room = MOST_NAMED - self.findings.len().min(MOST_NAMED);
        self.findings.extend(other.findings.into_iter().take(room));
        for (column, values) in other.among {
            let known = self.among.entry(column).or_default();
            known.more |= values.more;
            known.values.extend(values.values);
            while known.values.len() > MOST_VALUES {
                known.values.pop_last();
                known.more = true;
            }
        }
    }

    /// Fills in the addresses of traces.
    pub(crate) fn link(&mut self, template: Option<&str>) {
        for example in &mut self.largest {
            example.link(template);
        }
    }
}

/// The finding's anchor; where that is no time, `otherwise`.
pub(crate) fn since(finding: &Finding, otherwise: Timestamp) -> Timestamp {
    Timestamp::parse(&finding.anchor).unwrap_or(otherwise)
}

/// Lines of a digest.
const MOST_LINES: usize = 100;
/// The rule under which those are counted that are too many for a digest.
pub const OTHER_RULES: &str = "centinel/others";

impl Digest {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes in an alert.
    pub(crate) fn add(&mut self, alert: Alert) {
        for example in alert.largest {
            keep_largest(&mut self.largest, &example.risk(), || example.clone());
        }
        self.put(Line {
            kind: alert.kind,
            facts: alert.facts,
            count: alert.count,
            changed: alert.changed,
            money: alert.money,
            since: alert.since,
            causes: 1,
        });
    }

    /// Takes in another digest.
    pub(crate) fn merge(&mut self, other: Digest) {
        for example in other.largest {
            keep_largest(&mut self.largest, &example.risk(), || example.clone());
        }
        for line in other.lines {
            self.put(line);
        }
    }

    fn put(&mut self, mut line: Line) {
        let position = |lines: &[Line], line: &Line| {
            let same =
                |known: &Line| known.kind == line.kind && known.facts.rule == line.facts.rule;
            lines.iter().position(same)
        };
        let mut known = position(&self.lines, &line);
        if known.is_none() && self.lines.len() >= MOST_LINES {
            line.facts = Facts {
                rule: OTHER_RULES.into(),
                title: "All other rules".into(),
                owner: String::new(),
                tags: Vec::new(),
                runbook: String::new(),
                ..line.facts
            };
            known = position(&self.lines, &line);
        }
        match known {
            None => self.lines.push(line),
            Some(index) => {
                let known = &mut self.lines[index];
                known.count += line.count;
                known.changed += line.changed;
                known.money.add_all(&line.money);
                known.since = known.since.min(line.since);
                known.causes += line.causes;
                known.facts.severity = known.facts.severity.max(line.facts.severity);
            }
        }
        self.lines.sort_by_key(|line| {
            (
                line.kind.ends(),
                std::cmp::Reverse(line.facts.severity),
                line.kind,
            )
        });
    }

    /// Fills in the addresses of traces.
    pub(crate) fn link(&mut self, template: Option<&str>) {
        for example in &mut self.largest {
            example.link(template);
        }
    }
}

impl Body {
    /// How many findings it mentions: new ones and changed ones.
    pub fn mentions(&self) -> u64 {
        match self {
            Body::Alert(alert) => alert.count + alert.changed,
            Body::Digest(digest) => digest
                .lines
                .iter()
                .map(|line| line.count + line.changed)
                .sum(),
            Body::Standing(standing) => standing
                .alerts
                .iter()
                .map(|alert| alert.count + alert.changed)
                .sum(),
        }
    }

    /// The worst severity of what it says.
    pub fn severity(&self) -> Severity {
        let worst = match self {
            Body::Alert(alert) => Some(alert.facts.severity),
            Body::Digest(digest) => digest.lines.iter().map(|line| line.facts.severity).max(),
            Body::Standing(standing) => standing
                .alerts
                .iter()
                .map(|alert| alert.facts.severity)
                .max(),
        };
        worst.unwrap_or(Severity::Info)
    }
}
