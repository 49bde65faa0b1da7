//! What several places know of one entity → one line of time. Pure.

use std::collections::{BTreeMap, BTreeSet};

use centinel_model::{Amount, Finding, Timestamp, Verdict};

use crate::form::{
    BreakerStep, ColumnStep, FindingStep, PersonStep, RowStep, Step, TRACE_SCHEMA, Total, Trace,
    What,
};
use crate::history::{Change, History, MoneyValue, Value, VersionOf};
use crate::merge::{merge, moment};

/// Changes of one trace. Of more the newest ones count.
pub const MOST_CHANGES: usize = 10_000;
/// Entries of findings, and of the breaker, of one trace. Of more the newest ones count.
pub const MOST_ENTRIES: usize = 10_000;

/// The lane of verdicts.
pub const RULES_LANE: &str = "rules";
/// The lane of what people do with findings.
pub const PEOPLE_LANE: &str = "people";
/// The lane of trips, holds and releases.
pub const BREAKER_LANE: &str = "breaker";

/// The ids of rules about changes made by hand begin so; behind it stands the table, with `-` for `_`.
const BY_HAND: &str = "manual-change-";
/// The key column of such a rule that names the change.
const CHANGE: &str = "change_id";

/// What a trace is made of.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// What state knows, what the archive knows.
    pub histories: Vec<History>,
    /// What was told of the entity's findings, and what people did with them.
    pub findings: Vec<FindingEntry>,
    /// What the breaker did about it.
    pub breaker: Vec<BreakerEntry>,
}

/// One entry of a finding's history.
#[derive(Clone, Debug, PartialEq)]
pub enum FindingEntry {
    /// Detection told this.
    Told {
        /// When it came, by the wall clock, RFC 3339.
        at: String,
        /// As it was told.
        finding: Box<Finding>,
    },
    /// A person did something.
    Person {
        /// When, by the wall clock, RFC 3339.
        at: String,
        /// The person.
        by: String,
        /// What.
        step: PersonStep,
    },
}

/// One thing that the breaker did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerEntry {
    /// When, by the wall clock, RFC 3339.
    pub at: String,
    /// The person behind it; none where the breaker did it by itself.
    pub by: Option<String>,
    /// What.
    pub step: BreakerStep,
}

/// One line of time.
pub fn compose(entity: &str, key: &str, parts: Parts) -> Trace {
    let (mut changes, rules, completeness) = merge(parts.histories);
    let too_many = changes.len().saturating_sub(MOST_CHANGES);
    // What the oldest ones leave behind is still what the next ones began with.
    let mut known = Before::default();
    for change in changes.drain(..too_many) {
        known.learn(&change);
    }
    let by_hand = by_hand(&parts.findings);
    let mut systems: Vec<String> = Vec::new();
    let mut placed: Vec<(Timestamp, u8, Step)> = Vec::new();
    for change in changes {
        if !systems.contains(&change.system) {
            systems.push(change.system.clone());
        }
        placed.push((
            moment(&change.committed_at),
            0,
            row(change, &mut known, &by_hand),
        ));
    }
    let (findings, findings_left_out) = newest(parts.findings, |entry| match entry {
        FindingEntry::Told { at, .. } | FindingEntry::Person { at, .. } => moment(at),
    });
    placed.extend(findings.into_iter().map(finding));
    let (acts, acts_left_out) = newest(parts.breaker, |entry| moment(&entry.at));
    placed.extend(acts.into_iter().map(breaker));
    // Stable: within one time things stay in the order in which they came.
    placed.sort_by_key(|(at, kind, _)| (*at, *kind));
    let mut steps: Vec<Step> = placed.into_iter().map(|(_, _, step)| step).collect();
    for (stage, step) in (1..).zip(&mut steps) {
        step.stage = stage;
    }
    let mut trace = Trace {
        schema: TRACE_SCHEMA.into(),
        entity: entity.into(),
        key: key.into(),
        systems,
        steps,
        rules,
        totals: Vec::new(),
        changes_left_out: completeness.left_out.max(too_many as u64),
        completeness,
        entries_left_out: findings_left_out + acts_left_out,
    };
    trace.totals = totals(&trace);
    trace
}

impl Trace {
    /// Whether nobody knows anything of the entity.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.rules.iter().all(|rule| rule.finding_id.is_none())
    }
}

fn newest<T>(mut entries: Vec<T>, at: impl Fn(&T) -> Timestamp) -> (Vec<T>, u64) {
    entries.sort_by_key(&at);
    let too_many = entries.len().saturating_sub(MOST_ENTRIES);
    entries.drain(..too_many);
    (entries, too_many as u64)
}

/// Rows as they were last, by table and primary key.
#[derive(Default)]
struct Before(BTreeMap<(String, String), (VersionOf, Vec<Value>, Vec<MoneyValue>)>);

impl Before {
    fn learn(&mut self, change: &Change) {
        let name = (change.table.clone(), change.primary_key.clone());
        let newer = (self.0.get(&name)).is_none_or(|(version, ..)| *version <= change.version);
        if newer {
            let row = (change.version, change.after.clone(), change.money.clone());
            self.0.insert(name, row);
        }
    }

    /// The row before a change, where that is known.
    fn of(&self, change: &Change) -> Option<(Vec<Value>, Vec<MoneyValue>)> {
        if !change.before.is_empty() {
            return Some((change.before.clone(), change.money_before.clone()));
        }
        let name = (change.table.clone(), change.primary_key.clone());
        let known = self.0.get(&name);
        let (_, row, money) = known.filter(|(version, ..)| *version <= change.version)?;
        Some((row.clone(), money.clone()))
    }
}

fn row(change: Change, known: &mut Before, by_hand: &ByHand) -> Step {
    let came = change.event || change.operation == "insert";
    let before = match came {
        true => Some(Default::default()),
        false => known.of(&change),
    };
    known.learn(&change);
    let before_known = before.is_some();
    let (before, money_before) = before.unwrap_or_default();
    let columns = columns(&change, &before, &money_before, before_known);
    let found_by_hand = by_hand.of(&change);
    Step {
        stage: 0,
        at: change.committed_at,
        lane: change.system,
        by: change.origin.account.clone(),
        by_hand: change.by_hand || !found_by_hand.is_empty(),
        what: What::Row(RowStep {
            table: change.table,
            event: change.event,
            operation: change.operation,
            primary_key: change.primary_key,
            version: change.version,
            origin: change.origin,
            columns,
            before_known,
            found_by_hand,
        }),
    }
}

fn columns(
    change: &Change,
    before: &[Value],
    money_before: &[MoneyValue],
    before_known: bool,
) -> Vec<ColumnStep> {
    let names = match change.after.is_empty() {
        true => before,
        false => &change.after,
    };
    let value = |values: &[Value], column: &str| {
        let found = values.iter().find(|(name, _)| name == column);
        found.and_then(|(_, value)| value.clone())
    };
    let column = |column: &String| {
        let money = |all: &[MoneyValue]| all.iter().find(|(name, ..)| name == column).cloned();
        let (old, new) = (money(money_before), money(&change.money));
        // Masked values do not show whether they differ; their source may.
        let raw = (value(before, column), value(&change.after, column));
        let told = change.changed.contains(column);
        let changed = before_known && (raw.0 != raw.1 || told);
        let currency = new.as_ref().or(old.as_ref());
        ColumnStep {
            column: column.clone(),
            changed,
            currency: currency.map(|(.., currency)| currency.clone()),
            before: old.map_or(raw.0, |(_, amount, _)| amount),
            after: new.map_or(raw.1, |(_, amount, _)| amount),
        }
    };
    names.iter().map(|(name, _)| column(name)).collect()
}

/// Findings that say that a change was made by hand: by table as their rule writes it, and change.
struct ByHand(BTreeMap<(String, String), BTreeSet<String>>);

fn by_hand(findings: &[FindingEntry]) -> ByHand {
    // The last word on each counts.
    let mut last: BTreeMap<&str, &Finding> = BTreeMap::new();
    for entry in findings {
        if let FindingEntry::Told { finding, .. } = entry {
            let known = last.entry(&finding.finding_id.0).or_insert(finding);
            if known.sequence < finding.sequence {
                *known = finding;
            }
        }
    }
    let mut found = ByHand(BTreeMap::new());
    for finding in last.into_values() {
        let stands = matches!(finding.verdict, Verdict::Confirmed | Verdict::RuleChanged);
        let table = finding.rule.strip_prefix(BY_HAND).filter(|_| stands);
        let change = finding.key.iter().find(|(column, _)| column == CHANGE);
        if let (Some(table), Some((_, change))) = (table, change) {
            let name = (table.to_owned(), change.clone());
            let ids = found.0.entry(name).or_default();
            ids.insert(finding.finding_id.0.clone());
        }
    }
    found
}

impl ByHand {
    fn of(&self, change: &Change) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (epoch, sequence, ordinal) = change.version;
        let table = change.table.replace('_', "-");
        // As histories of guarded tables name a change: with `-` behind it where the row left.
        let mut keys = vec![
            change.primary_key.clone(),
            change.primary_key.replace(',', "/"),
        ];
        keys.dedup();
        let ids = keys.iter().flat_map(|key| {
            let id = format!("{key}@{epoch}.{sequence}.{ordinal}");
            [format!("{id}-"), id]
        });
        let found = ids.filter_map(|id| self.0.get(&(table.clone(), id)));
        found.flatten().cloned().collect()
    }
}

fn finding(entry: FindingEntry) -> (Timestamp, u8, Step) {
    match entry {
        FindingEntry::Told { at, finding } => told(at, *finding),
        FindingEntry::Person { at, by, step } => {
            let by = Some(by);
            let what = What::Person(step);
            (moment(&at), 2, plain(at, PEOPLE_LANE, by, what))
        }
    }
}

fn told(told_at: String, finding: Finding) -> (Timestamp, u8, Step) {
    // A rule's clock that stands at the end says nothing of when.
    let judged = moment(&finding.judged_at);
    let at = match judged == Timestamp::MAX || judged == Timestamp::MIN {
        true => told_at.clone(),
        false => finding.judged_at,
    };
    let what = What::Finding(FindingStep {
        finding_id: finding.finding_id.0,
        rule: finding.rule,
        title: finding.title,
        severity: finding.severity.to_string(),
        verdict: finding.verdict,
        sequence: finding.sequence,
        occurrence: finding.occurrence,
        amount: finding
            .amount
            .map(|amount| (amount, finding.currency.unwrap_or_default())),
        hint: finding.hint,
        checkpoint: finding.checkpoint,
        told_at,
    });
    (moment(&at), 1, plain(at, RULES_LANE, None, what))
}

fn breaker(entry: BreakerEntry) -> (Timestamp, u8, Step) {
    let at = moment(&entry.at);
    let step = plain(entry.at, BREAKER_LANE, entry.by, What::Breaker(entry.step));
    (at, 3, step)
}

fn plain(at: String, lane: &str, by: Option<String>, what: What) -> Step {
    Step {
        stage: 0,
        at,
        lane: lane.into(),
        by,
        by_hand: false,
        what,
    }
}

fn totals(trace: &Trace) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    let end = trace.steps.len() as u32;
    for system in trace.state_at(end) {
        let mut sums: BTreeMap<(String, String, String), (Option<Amount>, u64)> = BTreeMap::new();
        for row in &system.rows {
            for cell in &row.cells {
                let (Some(currency), Some(value)) = (&cell.currency, &cell.value) else {
                    continue;
                };
                let name = (row.table.clone(), cell.column.clone(), currency.clone());
                let (sum, rows) = sums.entry(name).or_insert((Some(NOTHING), 0));
                *rows += 1;
                *sum = (*sum)
                    .zip(Amount::exact(value).ok())
                    .and_then(|(sum, more)| sum.checked_add(more));
            }
        }
        totals.extend(
            sums.into_iter()
                .map(|((table, column, currency), (sum, rows))| Total {
                    system: system.system.clone(),
                    table,
                    column,
                    currency,
                    amount: sum.map(|sum| sum.to_string()),
                    rows,
                }),
        );
    }
    totals
}

const NOTHING: Amount = Amount { units: 0, scale: 0 };
