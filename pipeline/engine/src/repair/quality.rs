//! What is wrong with the data that a plan touches, and with the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::{Catalog, EntityPath, MoneyUnit, Table};
use centinel_model::{Duration, TableId, Timestamp};
use centinel_rules::Rule;

use super::change::{Changes, Planned, shown, shown_key};
use super::report::{Quality, QualityFinding, QualityKind, Violations};
use super::rows::{Effect, Effects, Row};
use super::value::Value;
use crate::audit::Clock;

/// Findings of one kind that are listed; all are counted.
const MOST_LISTED: u64 = 1_000;

impl Quality {
    /// Takes in one thing that is wrong.
    pub(super) fn add(&mut self, finding: QualityFinding) {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST_LISTED {
            self.found.push(finding);
        }
    }
}

/// Looks at every changed row.
pub(super) struct Examination<'a> {
    pub catalog: &'a Catalog,
    pub rules: &'a [Arc<Rule>],
    pub clock: Clock,
}

impl Examination<'_> {
    /// All that can be told without asking rules.
    pub fn run(&self, changes: &Changes, effects: &Effects) -> Quality {
        let mut quality = Quality::default();
        for unfit in &changes.unfit {
            quality.add(QualityFinding {
                kind: QualityKind::OutOfRange,
                table: unfit.table.clone(),
                key: unfit.key.clone(),
                column: Some(unfit.column.clone()),
                message: format!("the new value {}", unfit.reason),
                place: unfit.place.clone(),
            });
        }
        let patience = self.patience();
        for effect in &effects.rows {
            let table = self.catalog.table(effect.change.table);
            let mut one = One {
                catalog: self.catalog,
                table,
                effect,
                quality: &mut quality,
            };
            one.check_rows();
            one.check_old_values();
            if let Some(after) = &effect.after {
                one.check_nulls(after);
                one.check_state(after);
                one.check_orphan(after);
            }
            let patience = patience
                .get(&effect.change.table)
                .copied()
                .unwrap_or(Duration::ZERO);
            if !self.clock.at_rest {
                one.check_rest(self.clock.as_of, patience);
            }
        }
        quality
    }

    /// By table, the longest patience of the rules that read it.
    fn patience(&self) -> BTreeMap<TableId, Duration> {
        let mut longest: BTreeMap<TableId, Duration> = BTreeMap::new();
        for rule in self.rules {
            for used in &rule.reads {
                let known = longest.entry(used.table).or_insert(Duration::ZERO);
                *known = (*known).max(rule.patience());
            }
        }
        longest
    }
}

/// One changed row.
struct One<'a> {
    catalog: &'a Catalog,
    table: &'a Table,
    effect: &'a Effect,
    quality: &'a mut Quality,
}

impl One<'_> {
    fn tell(&mut self, kind: QualityKind, column: Option<usize>, message: impl Into<String>) {
        self.quality.add(QualityFinding {
            kind,
            table: self.table.name.clone(),
            key: shown_key(self.table, &self.effect.change.key),
            column: column.map(|column| self.table.columns[column].name.clone()),
            message: message.into(),
            place: self.effect.change.place.clone(),
        });
    }

    fn check_rows(&mut self) {
        let (planned, found) = (self.effect.change.planned, self.effect.found);
        if self.effect.key.is_none() {
            return self.tell(
                QualityKind::NullInKey,
                None,
                "part of the row's key is null",
            );
        }
        let again = &self.effect.again;
        if !again.is_empty() {
            let others: Vec<&str> = again.iter().map(|other| other.place.as_str()).collect();
            let message = format!("the plan names this row again ({})", others.join(", "));
            self.tell(QualityKind::RepeatedChange, None, message);
        }
        match (planned, found) {
            (Planned::Insert, 1..) => {
                self.tell(
                    QualityKind::KeyExists,
                    None,
                    "a row with this key is there already",
                );
            }
            (Planned::Update | Planned::Delete, 0) => {
                self.tell(QualityKind::MissingRow, None, "no row has this key");
            }
            _ => {}
        }
        if found > 1 {
            let message = format!("the snapshot has {found} rows with this key");
            self.tell(QualityKind::RepeatedKey, None, message);
        }
    }

    fn check_old_values(&mut self) {
        let Some(before) = &self.effect.before else {
            return;
        };
        for (column, expected) in &self.effect.change.old {
            let found = &before[*column];
            if !same(found, expected) {
                let declared = &self.table.columns[*column];
                let message = format!(
                    "the plan expects {} and the snapshot has {}",
                    shown(declared, expected),
                    shown(declared, found)
                );
                self.tell(QualityKind::OldValueDiffers, Some(*column), message);
            }
        }
    }

    fn check_nulls(&mut self, after: &Row) {
        for (index, column) in self.table.columns.iter().enumerate() {
            if column.nullable || after[index] != Value::Null {
                continue;
            }
            let is_key = self.table.primary_key.contains(&index)
                || self
                    .table
                    .entities
                    .iter()
                    .any(|path| path.columns().contains(&index));
            let kind = match is_key {
                true => QualityKind::NullInKey,
                false => QualityKind::NullInRequired,
            };
            self.tell(
                kind,
                Some(index),
                "becomes null, which the schema does not allow",
            );
        }
    }

    fn check_state(&mut self, after: &Row) {
        let Some(state) = &self.table.state else {
            return;
        };
        let Some(to) = after[state.column].text() else {
            return;
        };
        if !state.values.iter().any(|value| value == to) {
            let message = format!("`{to}` is none of {}", state.values.join(", "));
            return self.tell(QualityKind::UnknownState, Some(state.column), message);
        }
        let from = self
            .effect
            .before
            .as_ref()
            .and_then(|before| before[state.column].text());
        if let Some(from) = from
            && !state.may_follow(from, to)
        {
            let message = format!("`{to}` may not follow `{from}`");
            self.tell(
                QualityKind::ForbiddenTransition,
                Some(state.column),
                message,
            );
        }
    }

    fn check_orphan(&mut self, after: &Row) {
        for entity in &self.effect.nowhere[1] {
            let Some(path) = self.table.path_to(*entity) else {
                continue;
            };
            let columns = path.columns();
            let null = columns.iter().any(|column| after[*column] == Value::Null);
            let expected = columns
                .iter()
                .all(|column| self.table.columns[*column].nullable);
            if null && expected {
                continue;
            }
            let name = &self.catalog.entity(*entity).name;
            let message = match path {
                EntityPath::Direct { .. } => format!("the row belongs to no {name} after the plan"),
                EntityPath::Through { target, .. } => format!(
                    "the row of {} that it names is not there after the plan, so it belongs to no {name}",
                    self.catalog.table(*target).name
                ),
            };
            self.tell(QualityKind::Orphan, columns.first().copied(), message);
        }
    }

    fn check_rest(&mut self, as_of: Timestamp, patience: Duration) {
        let (Some(column), Some(before)) = (self.table.changed_at, &self.effect.before) else {
            return;
        };
        match &before[column] {
            Value::Timestamp(micros) if Timestamp(*micros).plus(patience) <= as_of => {}
            Value::Timestamp(micros) => {
                let message = format!(
                    "the row changed at {}, less than {patience} before {as_of}: more may be on its way",
                    Timestamp(*micros)
                );
                self.tell(QualityKind::StillChanging, Some(column), message);
            }
            _ => self.tell(
                QualityKind::StillChanging,
                Some(column),
                "the row does not say when it changed",
            ),
        }
    }
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found.number(), expected.number()) {
        (Some(found), Some(expected)) => found == expected,
        _ => found == expected,
    }
}

/// Amounts that become exactly a hundredth, or 100 times, of what they were (by the digits of their currency), though
/// that fixes nothing of an entity of the row.
pub(super) fn wrong_units(
    catalog: &Catalog,
    effects: &Effects,
    violations: &Violations,
    quality: &mut Quality,
) {
    let fixed: std::collections::BTreeSet<(&str, &str)> = violations
        .fixed
        .iter()
        .map(|violation| (violation.entity.as_str(), violation.entity_key.as_str()))
        .collect();
    for effect in &effects.rows {
        let (Some(before), Some(after)) = (&effect.before, &effect.after) else {
            continue;
        };
        let table = catalog.table(effect.change.table);
        let mends = effect.entities.iter().any(|(entity, key)| {
            fixed.contains(&(catalog.entity(*entity).name.as_str(), key.as_str()))
        });
        if mends {
            continue;
        }
        for (index, column) in table.columns.iter().enumerate() {
            let Some(money) = column.money.as_ref().filter(|money| money.minor_digits > 0) else {
                continue;
            };
            let (Some(old), Some(new)) = (before[index].number(), after[index].number()) else {
                continue;
            };
            let Some(factor) = 10i128.checked_pow(u32::from(money.minor_digits)) else {
                continue;
            };
            let times =
                |left: i128, right: i128| left != 0 && left.checked_mul(factor) == Some(right);
            let (larger, smaller) = (times(old.units, new.units), times(new.units, old.units));
            if !larger && !smaller {
                continue;
            }
            let unit = match money.unit {
                MoneyUnit::Major => "major units (yuan, not fen)",
                MoneyUnit::Minor => "minor units (fen, not yuan)",
            };
            let message = match larger {
                true => format!(
                    "becomes exactly {factor} times what it was, which mends nothing; the column counts in {unit}"
                ),
                false => format!(
                    "becomes exactly one part in {factor} of what it was, which mends nothing; the column counts in {unit}"
                ),
            };
            let mut one = One {
                catalog,
                table,
                effect,
                quality: &mut *quality,
            };
            one.tell(QualityKind::WrongUnit, Some(index), message);
        }
    }
}
