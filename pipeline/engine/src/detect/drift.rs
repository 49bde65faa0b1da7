//! Columns that the platform's tables do not have as their schemas say: the rules that use them are suspended.
//!
//! Rows say themselves which columns they lack. A rule is not asked of an entity with a current row that lacks what
//! the rule reads; everything else goes on. So nothing false comes of such rows, before and after the table is
//! mended: what is judged follows from the rows alone, and a row that is seen whole again is judged again.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, make_array};
use arrow::error::ArrowError;
use centinel_catalog::Catalog;
use centinel_model::{
    Evidence, FINDING_SCHEMA, Finding, FindingId, MicroBatch, Position, Severity, TableShape,
    Timestamp, Verdict,
};
use centinel_rules::Rule;
use centinel_state::{Commit, Record, current_rows};
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::entities::{EntityGroup, Work};
use super::messages::{NoteMessage, line_of};
use crate::EngineError;
use crate::finding::DRIFT_RULE;

/// Physical tables shown with a finding.
const SHOWN: usize = 20;
/// More notes than this are not remembered, and not told any more: a person has seen enough by then.
const MOST_NOTES: usize = 10_000;

/// A column of a table, by their names.
type ColumnName = (String, String);

/// The drifts in force, and what was told of them. Persisted as one fact, in JSON, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifts {
    /// By table and physical table: those that lack columns, or did.
    shapes: BTreeMap<String, BTreeMap<String, Shape>>,
    /// By table and column: the findings that were told.
    told: BTreeMap<String, BTreeMap<String, Suspension>>,
    /// By table: the messages of the notes that were told.
    noted: BTreeMap<String, BTreeSet<String>>,
}

/// How a physical table was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    /// Commit time of the first row that was seen so, in microseconds since 1970.
    since: i64,
    input: String,
    position: Position,
    /// By column.
    lost: BTreeMap<String, Lost>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    /// The column's type in the schema at that time.
    declared: String,
    what: String,
    remedy: String,
}

/// A finding on one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Suspension {
    open: bool,
    /// Messages told.
    sequence: u64,
    occurrence: u32,
    /// The rules that are suspended, by id.
    rules: Vec<String>,
}

/// A drift in force, over all physical tables that have it.
struct InForce {
    since: Timestamp,
    what: String,
    remedy: String,
    /// A row of evidence for each physical table.
    shown: Vec<BTreeMap<String, Option<String>>>,
}

impl Drifts {
    /// How many findings are open.
    pub fn open(&self) -> i64 {
        let told = self.told.values().flat_map(BTreeMap::values);
        told.filter(|suspension| suspension.open).count() as i64
    }

    pub(super) fn open_columns(&self) -> Vec<ColumnName> {
        let told = self.told.iter().flat_map(|(table, columns)| {
            let open = columns.iter().filter(|(_, suspension)| suspension.open);
            open.map(move |(column, _)| (table.clone(), column.clone()))
        });
        told.collect()
    }

    fn suspension(&mut self, (table, column): &ColumnName) -> &mut Suspension {
        let columns = self.told.entry(table.clone()).or_default();
        columns.entry(column.clone()).or_default()
    }

    fn is_empty(&self) -> bool {
        self.shapes.is_empty() && self.open() == 0
    }

    /// Takes in how a table was seen; older than what is known it says nothing. Returns whether it counts.
    fn see(&mut self, catalog: &Catalog, shape: &TableShape) -> bool {
        let table = catalog.table(shape.table);
        let known = self.shapes.get(&table.name);
        let known = known.and_then(|known| known.get(&*shape.physical));
        let older = known.is_some_and(|known| shape.since.0 < known.since);
        if older || (known.is_none() && shape.drifts.is_empty()) {
            return !older;
        }
        let lost = shape.drifts.iter().map(|drift| {
            let column = &table.columns[drift.column];
            let lost = Lost {
                declared: column.kind.to_string(),
                what: drift.what.clone(),
                remedy: drift.remedy.clone(),
            };
            (column.name.clone(), lost)
        });
        let lost: BTreeMap<String, Lost> = lost.collect();
        if known.is_some_and(|known| known.lost == lost) {
            return true;
        }
        let seen = Shape {
            since: shape.since.0,
            input: shape.input.clone(),
            position: shape.position.clone(),
            lost,
        };
        let shapes = self.shapes.entry(table.name.clone()).or_default();
        shapes.insert(shape.physical.to_string(), seen);
        true
    }

    /// Forgets what was said of columns that the schemas do not have any more, or have in another type.
    fn forget_mended(&mut self, catalog: &Catalog) {
        self.shapes.retain(|table, shapes| {
            let table = catalog.table_id(table).map(|id| catalog.table(id));
            for shape in shapes.values_mut() {
                shape.lost.retain(|column, lost| {
                    let own = table.and_then(|table| {
                        let index = table.column_index(column)?;
                        Some(table.columns[index].kind.to_string())
                    });
                    own.as_ref() == Some(&lost.declared)
                });
            }
            table.is_some()
        });
    }

    fn in_force(&self) -> BTreeMap<ColumnName, InForce> {
        let mut found: BTreeMap<ColumnName, InForce> = BTreeMap::new();
        for (table, shapes) in &self.shapes {
            for (physical, shape) in shapes {
                for (column, lost) in &shape.lost {
                    let since = Timestamp(shape.since);
                    let name = (table.clone(), column.clone());
                    let known = found.entry(name).or_insert_with(|| InForce {
                        since,
                        what: lost.what.clone(),
                        remedy: lost.remedy.clone(),
                        shown: Vec::new(),
                    });
                    known.since = known.since.min(since);
                    known
                        .shown
                        .push(shown(physical, &shape.input, &shape.position));
                }
            }
        }
        found
    }
}

impl Detector {
    /// Takes in the shapes of tables: tells which rules are suspended, and which are no longer. Returns whether there
    /// is more to tell with the next micro-batch.
    pub(super) fn take_in_shapes(
        &mut self,
        batch: &MicroBatch,
        commit: &mut Commit,
    ) -> Result<bool, EngineError> {
        for note in &batch.notes {
            self.tell_note(NoteMessage::new(note, &self.catalog), commit)?;
        }
        let drifting = batch.shapes.iter().any(|shape| !shape.drifts.is_empty());
        if self.drifts.is_empty() && !drifting {
            return Ok(false);
        }
        let mut passing: Vec<(ColumnName, InForce)> = Vec::new();
        for shape in &batch.shapes {
            if self.drifts.see(&self.catalog, shape) {
                passing.extend(drifts_of(&self.catalog, shape));
            }
        }
        let seen = self.drifts.in_force();
        self.drifts.forget_mended(&self.catalog);
        let mut drifts = self.drifts.in_force();
        let lasting = drifts.len();
        // What came and went within the micro-batch is told all the same; that it went is told with the next.
        for (name, drift) in passing {
            drifts.entry(name).or_insert(drift);
        }
        for (name, drift) in &drifts {
            self.tell_drift(name, drift, commit)?;
        }
        for name in self.drifts.open_columns() {
            let used = !self.readers_of(&name).is_empty();
            if !used || !drifts.contains_key(&name) {
                self.tell_end(&name, used && !seen.contains_key(&name), commit)?;
            }
        }
        Ok(drifts.len() > lasting)
    }

    /// Suspends the rules that use a column. A column that none uses is worth a note.
    fn tell_drift(
        &mut self,
        name: &ColumnName,
        drift: &InForce,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let rules = self.readers_of(name);
        if rules.is_empty() {
            let note = NoteMessage::of_unused(name, &drift.what);
            return self.tell_note(note, commit);
        }
        let suspension = self.drifts.suspension(name);
        if suspension.open && suspension.rules == rules {
            return Ok(());
        }
        suspension.occurrence += u32::from(!suspension.open);
        suspension.open = true;
        suspension.rules = rules;
        let hint = format!(
            "{}; {}; suspended meanwhile, for entities whose rows lack it: {}",
            drift.what,
            drift.remedy,
            suspension.rules.join(", ")
        );
        let mut finding = self.drift_finding(name, Verdict::Confirmed, drift.since, hint);
        finding.evidence = Evidence {
            rows: drift.shown.iter().take(SHOWN).cloned().collect(),
            total: drift.shown.len() as u64,
        };
        self.send(line_of(&finding)?, commit);
        Ok(())
    }

    /// Ends the finding on a column: the platform's table fits again, or the schema or the rules were mended.
    fn tell_end(
        &mut self,
        name: &ColumnName,
        by_platform: bool,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        self.drifts.suspension(name).open = false;
        let (verdict, hint) = match by_platform {
            true => (
                Verdict::Recovered,
                "rows that came without it are judged when they are seen whole again",
            ),
            false => (Verdict::RuleChanged, "the schema or the rules were changed"),
        };
        let newest = self.progress.iter().copied().max();
        let at = newest.unwrap_or(Timestamp::MIN).max(Timestamp(0));
        let finding = self.drift_finding(name, verdict, at, hint.into());
        self.send(line_of(&finding)?, commit);
        Ok(())
    }

    /// The ids of the rules that read a column, in order.
    fn readers_of(&self, (table, column): &ColumnName) -> Vec<String> {
        let place = self.catalog.table_id(table).and_then(|id| {
            let index = self.catalog.table(id).column_index(column)?;
            Some((id, index))
        });
        let Some((table, column)) = place else {
            return Vec::new();
        };
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let readers = rules.filter(|judged| {
            let used = judged.rule.reads.iter().find(|used| used.table == table);
            used.is_some_and(|used| used.columns.contains(&column))
        });
        let readers: BTreeSet<&str> = readers.map(|judged| judged.rule.id.as_str()).collect();
        readers.into_iter().map(str::to_owned).collect()
    }

    /// The next message of the finding on a column.
    fn drift_finding(
        &mut self,
        name: &ColumnName,
        verdict: Verdict,
        at: Timestamp,
        hint: String,
    ) -> Finding {
        let suspension = self.drifts.suspension(name);
        suspension.sequence += 1;
        let (sequence, occurrence) = (suspension.sequence, suspension.occurrence);
        let (table, column) = name;
        Finding {
            schema: FINDING_SCHEMA.into(),
            finding_id: FindingId::new(DRIFT_RULE, [table.as_str(), column]),
            sequence,
            rule: DRIFT_RULE.into(),
            rule_version: String::new(),
            title: "Every column that rules use is as its schema says".into(),
            entity: String::new(),
            entity_key: String::new(),
            key: vec![
                ("table".into(), table.clone()),
                ("column".into(), column.clone()),
            ],
            verdict,
            occurrence,
            severity: Severity::Error,
            owner: String::new(),
            amount: None,
            currency: None,
            hint: Some(hint),
            evidence: Evidence::default(),
            positions: self.positions.clone(),
            anchor: at.to_string(),
            judged_at: at.to_string(),
            checkpoint: None,
            status: None,
            trip: None,
        }
    }

    /// Tells a note once.
    fn tell_note(&mut self, note: NoteMessage, commit: &mut Commit) -> Result<(), EngineError> {
        let noted = &mut self.drifts.noted;
        let told = noted.values().map(BTreeSet::len).sum::<usize>();
        let of_table = noted.entry(note.table.clone()).or_default();
        if told >= MOST_NOTES || !of_table.insert(note.message.clone()) {
            return Ok(());
        }
        self.send(line_of(&note)?, commit);
        Ok(())
    }
}

/// What one physical table lacks, by column.
fn drifts_of(catalog: &Catalog, shape: &TableShape) -> Vec<(ColumnName, InForce)> {
    let table = catalog.table(shape.table);
    let drifts = shape.drifts.iter().map(|drift| {
        let name = (table.name.clone(), table.columns[drift.column].name.clone());
        let in_force = InForce {
            since: shape.since,
            what: drift.what.clone(),
            remedy: drift.remedy.clone(),
            shown: vec![shown(&shape.physical, &shape.input, &shape.position)],
        };
        (name, in_force)
    });
    drifts.collect()
}

fn shown(physical: &str, input: &str, position: &Position) -> BTreeMap<String, Option<String>> {
    BTreeMap::from([
        ("table".to_owned(), Some(physical.to_owned())),
        ("input".to_owned(), Some(input.to_owned())),
        ("position".to_owned(), serde_json::to_string(position).ok()),
    ])
}

impl EntityGroup {
    /// The rules that read what a current row of the entity lacks, by index.
    pub(super) fn suspended(&self, records: &[Record<'_>]) -> Vec<usize> {
        if records.iter().all(|record| record.lost.is_empty()) {
            return Vec::new();
        }
        let rules = self.rules.iter().enumerate();
        let suspended = rules.filter(|(_, judged)| first_lost(&judged.rule, records).is_some());
        suspended.map(|(index, _)| index).collect()
    }

    /// Says of works that lack the same why rules are not asked of them.
    pub(super) fn set_aside_suspended(&self, works: &[Work<'_>]) -> Vec<(u32, usize, String)> {
        let mut aside = Vec::new();
        for (index, work) in works.iter().enumerate() {
            for rule in &work.suspended {
                let lost = first_lost(&self.rules[*rule].rule, &work.records);
                let reason = lost.map(|(record, column)| {
                    let table = self.catalog().table(record.table);
                    let column = &table.columns[column].name;
                    let at = record.committed_at;
                    format!(
                        "the schema of `{}` has drifted: its row of {at} came without `{column}` (see {DRIFT_RULE})",
                        table.name
                    )
                });
                aside.push((index as u32, *rule, reason.unwrap_or_default()));
            }
        }
        aside
    }
}

/// The first current row that lacks a column which the rule reads, and that column.
fn first_lost<'r, 'b>(rule: &Rule, records: &'r [Record<'b>]) -> Option<(&'r Record<'b>, usize)> {
    let lacking = current_rows(records).filter(|record| !record.lost.is_empty());
    lacking.into_iter().find_map(|record| {
        let used = rule.reads.iter().find(|used| used.table == record.table)?;
        let lost = used.columns.iter().find(|column| record.lacks(**column))?;
        Some((record, *lost))
    })
}

/// Puts entities of which the same rules are suspended beside each other: they are asked together.
pub(super) fn keep_together(works: &mut [Work<'_>]) {
    if works.iter().any(|work| !work.suspended.is_empty()) {
        works.sort_by(|left, right| left.suspended.cmp(&right.suspended));
    }
}

/// A column whose nulls are lost values that no rule asked here reads: whatever stands there, none may.
pub(super) fn without_nulls(column: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let values = column.to_data().into_builder().nulls(None);
    values.build().map(make_array)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use centinel_catalog::ColumnType;
    use centinel_model::ColumnDrift;

    const COLUMN: usize = 5;

    fn catalog() -> Catalog {
        let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        centinel_catalog::load(&schemas).unwrap()
    }

    fn shape(catalog: &Catalog, physical: &str, since: i64, drifted: bool) -> TableShape {
        let drift = ColumnDrift {
            column: COLUMN,
            what: "it is gone".into(),
            remedy: "bring it back".into(),
        };
        TableShape {
            table: catalog.table_id("payment").unwrap(),
            physical: physical.into(),
            input: "topic/0".into(),
            position: Position::Partition {
                next: since as u64,
                known: None,
            },
            since: Timestamp(since),
            drifts: drifted.then_some(drift).into_iter().collect(),
        }
    }

    /// Plays shapes, `physical since drifted → physical tables with the drift`.
    fn play(steps: &[(&str, i64, bool, usize)]) {
        let catalog = catalog();
        let mut drifts = Drifts::default();
        for (physical, since, drifted, expected) in steps {
            drifts.see(&catalog, &shape(&catalog, physical, *since, *drifted));
            let shown = drifts
                .in_force()
                .into_values()
                .map(|drift| drift.shown.len());
            let step = (physical, since, drifted);
            assert_eq!(shown.sum::<usize>(), *expected, "{step:?}");
        }
    }

    #[test]
    fn what_is_older_says_nothing() {
        play(&[
            ("a.payment", 10, true, 1),
            ("a.payment", 5, false, 1),
            ("a.payment", 12, false, 0),
            ("a.payment", 11, true, 0),
            ("a.payment", 13, true, 1),
        ]);
    }

    #[test]
    fn a_drift_lasts_as_long_as_one_physical_table_has_it() {
        play(&[
            ("a.payment", 10, true, 1),
            ("b.payment", 11, false, 1),
            ("b.payment", 12, true, 2),
            ("a.payment", 13, false, 1),
            ("b.payment", 14, false, 0),
        ]);
    }

    #[test]
    fn a_schema_that_was_mended_ends_it() {
        let mut catalog = catalog();
        let mut drifts = Drifts::default();
        drifts.see(&catalog, &shape(&catalog, "a.payment", 10, true));
        drifts.forget_mended(&catalog);
        assert_eq!(drifts.in_force().len(), 1);
        let table = catalog.table_id("payment").unwrap();
        catalog.tables[usize::from(table.0)].columns[COLUMN].kind = ColumnType::Text;
        drifts.forget_mended(&catalog);
        assert!(drifts.in_force().is_empty());
    }
}
