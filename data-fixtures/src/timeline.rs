//! When each planted fault broke its rules, and when that must be known at the latest.

use std::collections::{BTreeSet, HashMap};

use crate::auditor::{Ledger, Violation};
use crate::key::Key;
use crate::record::Record;
use crate::simulation::Planted;
use crate::text::SECOND;
use crate::truth::{cash_out_no, order_number};

/// A row that comes less than this after patience has ended may have been read before that, and then moves the anchor.
const SLACK: i64 = 30 * SECOND;

/// What the rules must find of one fault, and when.
#[derive(Clone, Debug)]
pub struct Course {
    /// The fault.
    pub planted: Planted,
    /// Every violation of its order or cash-out as of the end, each with its times.
    pub expected: Vec<Due>,
}

/// A violation that stands at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What breaks the rule, as of the end.
    pub violation: Violation,
    /// The commit since which the rule has been broken without a break, microseconds.
    pub broken_at: i64,
    /// The time up to which every source must have been read for it to be certain, microseconds: patience after the
    /// newest commit that concerns the rule. Rows that come later may move the anchor once more; by then it is known.
    pub due: i64,
}

/// Follows a history and keeps every record of the orders and cash-outs that faults befall.
#[derive(Default)]
pub struct Timeline {
    planted: Vec<Planted>,
    orders: HashMap<u64, Vec<Record>>,
    cash_outs: HashMap<u64, Vec<Record>>,
}

impl Timeline {
    /// Tells of faults, before the first record of their orders and cash-outs.
    pub fn plant(&mut self, planted: Vec<Planted>) {
        for fault in planted {
            let records = match fault.fault.is_on_cash_out() {
                true => &mut self.cash_outs,
                false => &mut self.orders,
            };
            records.entry(fault.key.number()).or_default();
            self.planted.push(fault);
        }
    }

    /// Takes the next record of the history.
    pub fn observe(&mut self, record: &Record) {
        let Some(row) = record.row() else { return };
        let order = order_number(row).and_then(|number| self.orders.get_mut(&number));
        order.into_iter().for_each(|records| records.push(*record));
        let cash_out = cash_out_no(row).and_then(|key| self.cash_outs.get_mut(&key.number()));
        cash_out
            .into_iter()
            .for_each(|records| records.push(*record));
    }

    /// What must be found of each fault when every source has been read up to `end` (microseconds).
    pub fn courses(&self, end: i64) -> Vec<Course> {
        let course = |planted: &Planted| {
            let by_number = match planted.fault.is_on_cash_out() {
                true => &self.cash_outs,
                false => &self.orders,
            };
            let records = by_number.get(&planted.key.number()).map(Vec::as_slice);
            Course {
                planted: *planted,
                expected: course(planted, records.unwrap_or_default(), end),
            }
        };
        self.planted.iter().map(course).collect()
    }
}

/// What one violation was like from one commit of its order to the next.
struct Stretch {
    from: i64,
    violation: Violation,
}

fn course(planted: &Planted, records: &[Record], end: i64) -> Vec<Due> {
    let mut records = records.to_vec();
    records.sort_by_key(Record::committed_at);
    let on_cash_out = planted.fault.is_on_cash_out();
    let mut ledger = Ledger::default();
    // Violations that stand, each with what it was like since it began.
    let mut standing: HashMap<(&'static str, Vec<String>), Vec<Stretch>> = HashMap::new();
    let mut rest = records.as_slice();
    while let Some(first) = rest.first() {
        let at = first.committed_at();
        let same = rest.partition_point(|record| record.committed_at() <= at);
        for record in &rest[..same] {
            match on_cash_out {
                true => ledger.apply_to_cash_out(record),
                false => ledger.apply(record),
            }
        }
        rest = &rest[same..];
        let until = rest
            .first()
            .map_or(end, |next| next.committed_at() - 1)
            .max(at);
        let found = of(planted.key, &ledger, until);
        let names: BTreeSet<_> = found.iter().map(name).collect();
        standing.retain(|name, _| names.contains(name));
        for violation in found {
            // A deadline of its own may lie behind the commit.
            let from = at.max(violation.anchor.min(until));
            let stretches = standing.entry(name(&violation)).or_default();
            if stretches
                .last()
                .is_none_or(|last| last.violation.anchor != violation.anchor)
            {
                stretches.push(Stretch { from, violation });
            } else if let Some(last) = stretches.last_mut() {
                last.violation = violation;
            }
        }
    }
    let mut expected: Vec<Due> = standing
        .into_values()
        .filter_map(|stretches| due(&stretches, end))
        .collect();
    expected.sort_by(|left, right| left.violation.cmp(&right.violation));
    expected
}

fn of(entity: Key, ledger: &Ledger, as_of: i64) -> Vec<Violation> {
    let mut found = ledger.violations(as_of);
    found.retain(|violation| violation.entity == entity);
    found
}

fn name(violation: &Violation) -> (&'static str, Vec<String>) {
    (violation.rule, violation.key.clone())
}

/// The first time at which patience ended undisturbed. A violation that is in flight at the end is none.
fn due(stretches: &[Stretch], end: i64) -> Option<Due> {
    let (first, last) = (stretches.first()?, stretches.last()?);
    last.violation.is_certain(end).then_some(())?;
    let ends = stretches.iter().skip(1).map(|next| next.from);
    let certain = stretches
        .iter()
        .zip(ends.chain([i64::MAX]))
        .map(|(stretch, until)| (stretch.violation.anchor + stretch.violation.patience, until))
        .find(|(certain, until)| certain.saturating_add(SLACK) <= *until);
    Some(Due {
        violation: last.violation.clone(),
        broken_at: first.from,
        due: certain.map_or(end, |(certain, _)| certain),
    })
}
