//! What state knows of one entity, for people: every version of its rows that is kept, and what the rules say of it now.
//!
//! It is read beside the detection that writes the state, by read transactions of the store's own: detection waits for
//! none of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use centinel_catalog::{Catalog, EntityPath, HISTORY_COLUMNS, Table, TableKind, mask};
use centinel_model::{EntityId, FindingId, Operation, TableId, Timestamp, Version};
use centinel_rules::{Rule, RuleCurrency};
use centinel_state::{Record, RowDecoder, Store, StoredDocument};
use centinel_trace::{
    Change, Completeness, HISTORY_SCHEMA, History, MOST_CHANGES, Origin, RuleNow, joined,
};
use centinel_verdict::{Case, CaseState, read_cases};

use super::detector::{Detector, PROGRESS_FACT, RULES_FACT, read_fact};
use super::horizon::Horizons;
use super::judging::{amount_text, key_values};
use super::keys::{DocumentKind, document_key};
use super::limits::DetectorLimits;
use super::shapes::Shapes;
use crate::EngineError;
use crate::named::{is_told_with, named};
use crate::rule_facts::RuleRegister;
use crate::shown::{Values, differing, money, shown, shown_key, values};

/// Looks into a state, for one set of rules and schemas.
pub struct HistoryReader {
    catalog: Arc<Catalog>,
    rules: Vec<Arc<Rule>>,
    /// Under the catalog's numbers.
    store: Arc<dyn Store>,
    shapes: Shapes,
}

/// Which entity is asked about.
struct Asked<'a> {
    entity: EntityId,
    name: &'a str,
    /// In its normal form.
    key: &'a str,
}

impl Detector {
    /// Looks into the state of this detection; it may be sent to other threads and outlive it.
    pub fn history_reader(&self) -> HistoryReader {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        HistoryReader {
            catalog: Arc::clone(&self.catalog),
            rules: rules.map(|judged| Arc::clone(&judged.rule)).collect(),
            store: Arc::clone(&self.store),
            shapes: self.shapes.clone(),
        }
    }
}

impl HistoryReader {
    /// Looks into a state that no detection has open.
    ///
    /// # Errors
    /// State that cannot be read, or not under these schemas.
    pub fn open(
        catalog: Arc<Catalog>,
        rules: &[Arc<Rule>],
        store: Arc<dyn Store>,
    ) -> Result<HistoryReader, EngineError> {
        let register: RuleRegister = read_fact(store.as_ref(), RULES_FACT)?.unwrap_or_default();
        let shapes = Shapes::take_up(store.as_ref(), &catalog, register.entities())?;
        Ok(HistoryReader {
            store: shapes.numbered(store)?,
            catalog,
            rules: rules.to_vec(),
            shapes,
        })
    }

    /// Everything that state has of one entity; none where it has nothing. Its key is brought to its normal form.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for an entity that state keeps no rows by; state that cannot be read.
    pub fn read(&self, entity: &str, key: &str) -> Result<Option<History>, EngineError> {
        let register: RuleRegister =
            read_fact(self.store.as_ref(), RULES_FACT)?.unwrap_or_default();
        let kept = register.entities();
        let id = self.catalog.entity_id(entity);
        let Some(id) = id.filter(|_| kept.iter().any(|kept| kept == entity)) else {
            return Err(EngineError::Unsupported(format!(
                "state keeps no rows by `{entity}`: name one of {}",
                kept.join(", ")
            )));
        };
        let key = self.catalog.entity(id).normalise(key);
        let asked = Asked {
            entity: id,
            name: entity,
            key: &key,
        };
        let place = document_key(DocumentKind::Entity(id), &key);
        let found = self.store.documents(&[place.as_slice()])?;
        let Some(document) = found.into_iter().next().flatten() else {
            return Ok(None);
        };
        let document = self.shapes.as_of_now(document.bytes)?;
        let stored = StoredDocument::read(&document)?;
        let cases = read_cases(stored.verdicts).map_err(damaged)?;
        let rules = self.rules_now(&asked, &cases, &register, &place)?;
        let by_hand = self.by_hand(&cases, &register, &key);
        let mut completeness = self.completeness(&asked, &stored)?;
        let mut changes = self.changes(&stored.records, &by_hand, &mut completeness)?;
        let mut apart = Vec::new();
        for (other, key) in named(&self.catalog, id, &changes) {
            let is_kept = kept.contains(&self.catalog.entity(other).name);
            if is_kept {
                let told = &mut completeness;
                apart.extend(self.rows_of_named(other, &key, id, &register, told)?);
            }
        }
        if !apart.is_empty() {
            changes = joined(vec![changes, apart]);
        }
        let too_many = changes.len().saturating_sub(MOST_CHANGES);
        changes.drain(..too_many);
        completeness.left_out = too_many as u64;
        Ok(Some(History {
            schema: HISTORY_SCHEMA.into(),
            entity: entity.into(),
            key: key.into_owned(),
            changes,
            rules,
            completeness,
        }))
    }

    /// The rows of an entity that another one names, but for those that reach that one by themselves.
    fn rows_of_named(
        &self,
        entity: EntityId,
        key: &str,
        asked: EntityId,
        register: &RuleRegister,
        told: &mut Completeness,
    ) -> Result<Vec<Change>, EngineError> {
        let place = document_key(DocumentKind::Entity(entity), key);
        let found = self.store.documents(&[place.as_slice()])?;
        let Some(document) = found.into_iter().next().flatten() else {
            return Ok(Vec::new());
        };
        let document = self.shapes.as_of_now(document.bytes)?;
        let mut stored = StoredDocument::read(&document)?;
        stored
            .records
            .retain(|record| is_told_with(&self.catalog, record.table, asked));
        let cases = read_cases(stored.verdicts).map_err(damaged)?;
        let by_hand = self.by_hand(&cases, register, key);
        self.changes(&stored.records, &by_hand, told)
    }

    /// What each rule of this entity says, as its last look left it.
    fn rules_now(
        &self,
        asked: &Asked<'_>,
        cases: &[Case],
        register: &RuleRegister,
        place: &[u8],
    ) -> Result<Vec<RuleNow>, EngineError> {
        let place = self.store.place_of(place)?;
        let mut said = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.entity == asked.entity) {
            let number = register.number(&rule.id);
            let waits = number
                .is_none_or(|number| register.is_changed(number) && register.is_ahead(&place));
            let now = |verdict: &str, finding_id, amount| RuleNow {
                rule: rule.id.clone(),
                title: rule.title.clone(),
                finding_id,
                verdict: verdict.into(),
                amount,
            };
            let before = said.len();
            for case in cases.iter().filter(|case| Some(case.rule) == number) {
                let verdict = match case.state {
                    CaseState::Suspected => "suspected",
                    CaseState::Confirmed => "confirmed",
                    CaseState::Undetermined => "undetermined",
                    CaseState::Closed => continue,
                };
                let key = key_values(&case.key, asked.key);
                let finding = FindingId::new(&rule.id, key.iter().map(String::as_str));
                let currency = match &rule.currency {
                    Some(RuleCurrency::Fixed(code)) => code.clone(),
                    _ => String::new(),
                };
                let amount = amount_text(case.amount()).map(|amount| (amount, currency));
                said.push(now(verdict, Some(finding.0), amount));
            }
            if said.len() == before {
                said.push(now(if waits { "waiting" } else { "passed" }, None, None));
            }
        }
        Ok(said)
    }

    /// The changes that rules about changes by hand take for such: the guarded table, and the change as its history names it.
    fn by_hand(
        &self,
        cases: &[Case],
        register: &RuleRegister,
        entity_key: &str,
    ) -> HashSet<(TableId, String)> {
        let mut found = HashSet::new();
        for case in cases
            .iter()
            .filter(|case| case.state == CaseState::Confirmed)
        {
            let guards = self.rules.iter().find_map(|rule| {
                let is_it = register.number(&rule.id) == Some(case.rule);
                rule.guards.as_ref().filter(|_| is_it)
            });
            let change = key_values(&case.key, entity_key).pop();
            found.extend(guards.map(|guards| guards.table).zip(change));
        }
        found
    }

    fn completeness(
        &self,
        asked: &Asked<'_>,
        stored: &StoredDocument<'_>,
    ) -> Result<Completeness, EngineError> {
        let mut told = Completeness::default();
        let own = |table: &&Table| table.path_to(asked.entity).is_some();
        let horizons = Horizons::read(&self.catalog, self.store.as_ref())?;
        let ids = self.catalog.table_ids();
        let ids = ids.filter(|id| own(&self.catalog.table(*id)));
        let since = ids.filter_map(|id| horizons.of_table(id)).max();
        if let Some(forgotten) = stored.forgotten {
            told.notes.push(format!(
                "its rows up to {forgotten} have left state: the archive has them, where there is one"
            ));
        }
        told.since = since.max(stored.forgotten).map(|time| time.to_string());
        let progress: BTreeMap<String, i64> =
            read_fact(self.store.as_ref(), PROGRESS_FACT)?.unwrap_or_default();
        let tables = self.catalog.tables.iter().filter(own);
        let read: Option<Vec<i64>> = tables
            .map(|table| progress.get(self.catalog.source(table.source)).copied())
            .collect();
        told.until = read
            .and_then(|read| read.into_iter().min())
            .map(|time| Timestamp(time).to_string());
        let linked = self.catalog.tables.iter().any(|table| {
            matches!(
                table.path_to(asked.entity),
                Some(EntityPath::Through { .. })
            )
        });
        if linked {
            told.notes.push(format!(
                "rows that name another row to reach their {} and still wait for it are not among these",
                asked.name
            ));
        }
        Ok(told)
    }

    fn changes(
        &self,
        records: &[Record<'_>],
        by_hand: &HashSet<(TableId, String)>,
        told: &mut Completeness,
    ) -> Result<Vec<Change>, EngineError> {
        let (mut rows, mut histories) = (Vec::new(), Vec::new());
        let kept = DetectorLimits::default().history_per_row;
        for records in records.chunk_by(|left, right| left.table == right.table) {
            let id = records[0].table;
            let table = self.catalog.table(id);
            let images = decoded(table, records)?;
            if let TableKind::History(guarded) = table.kind {
                let of = self.catalog.table(guarded);
                let named = |image: &Values| is_by_hand(by_hand, guarded, image);
                let images = records.iter().zip(&images);
                histories.extend(images.filter_map(|(record, image)| {
                    let image = image.as_ref()?;
                    let mut change = of_history(of, record, image)?;
                    change.by_hand = named(image);
                    Some(change)
                }));
                continue;
            }
            lost(table, records, told);
            let mut first = 0;
            for row in records.chunk_by(Record::same_row) {
                let images = &images[first..first + row.len()];
                first += row.len();
                told.replaced_missing |= row.len() > kept;
                rows.extend(versions(table, row, images)?);
            }
        }
        Ok(joined(vec![rows, histories]))
    }
}

fn is_by_hand(by_hand: &HashSet<(TableId, String)>, guarded: TableId, image: &Values) -> bool {
    let id = image.first().cloned().flatten();
    id.is_some_and(|id| by_hand.contains(&(guarded, id)))
}

fn damaged(error: impl std::fmt::Display) -> EngineError {
    EngineError::Damaged(error.to_string())
}

/// The images of records of one table; none where a record has none.
fn decoded(table: &Table, records: &[Record<'_>]) -> Result<Vec<Option<Values>>, EngineError> {
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let mut decoder = RowDecoder::new(table, &all);
    for record in records.iter().filter(|record| !record.image.is_empty()) {
        decoder.decode(record.image)?;
    }
    let columns = decoder.finish();
    let mut next = 0..;
    let images = records.iter().map(|record| {
        let row = (!record.image.is_empty()).then(|| next.next()).flatten()?;
        Some(values(table, &columns, row))
    });
    Ok(images.collect())
}

/// Says which columns rows came without: their nulls say nothing.
fn lost(table: &Table, records: &[Record<'_>], told: &mut Completeness) {
    let lacking = |column: usize| records.iter().any(|record| record.lacks(column));
    let names: Vec<&str> = (0..table.columns.len())
        .filter(|column| lacking(*column))
        .map(|column| table.columns[column].name.as_str())
        .collect();
    if !names.is_empty() {
        told.notes.push(format!(
            "rows of {} came without {}, because the platform's table has drifted from its schema: these are null here and \
             say nothing",
            table.name,
            names.join(", ")
        ));
    }
}

/// The versions of one row, oldest first.
fn versions(
    table: &Table,
    records: &[Record<'_>],
    images: &[Option<Values>],
) -> Result<Vec<Change>, EngineError> {
    let mut changes = Vec::with_capacity(records.len());
    let mut previous: Option<&Values> = None;
    for (record, image) in records.iter().zip(images) {
        let key = std::str::from_utf8(record.primary_key).map_err(damaged)?;
        let mut change = bare(
            table,
            record.operation,
            key,
            record.version,
            record.committed_at,
        );
        match (record.is_tombstone(), image) {
            (true, Some(before)) => put_before(&mut change, table, before),
            (true, None) => {}
            (false, Some(after)) => {
                put_after(&mut change, table, after);
                if let Some(before) = previous {
                    change.changed = differing(table, before, after);
                }
            }
            (false, None) => return Err(damaged("a row has no image")),
        }
        previous = image.as_ref().filter(|_| !record.is_tombstone());
        changes.push(change);
    }
    Ok(changes)
}

/// A change of a guarded table, as its history has it.
fn of_history(table: &Table, record: &Record<'_>, row: &Values) -> Option<Change> {
    let first = HISTORY_COLUMNS.len() + table.named_in_history().len();
    let count = table.columns.len();
    let before: Values = row.get(first..first + count)?.to_vec();
    let after: Values = row.get(first + count..first + 2 * count)?.to_vec();
    let text = |index: usize| row.get(index).cloned().flatten();
    let left = text(0)?.ends_with('-');
    let operation = match text(1)?.as_str() {
        "delete" => Operation::Delete,
        _ if left => Operation::Delete,
        "update" => Operation::Update,
        _ => Operation::Insert,
    };
    let gone = operation == Operation::Delete;
    let key: Option<Vec<String>> = table
        .primary_key
        .iter()
        .map(|column| {
            if gone {
                before[*column].clone()
            } else {
                after[*column].clone()
            }
        })
        .collect();
    let key = key?.join("\u{1f}");
    let mut change = bare(table, operation, &key, record.version, record.committed_at);
    let known = before.iter().any(Option::is_some);
    if known {
        put_before(&mut change, table, &before);
    }
    if !gone {
        put_after(&mut change, table, &after);
        if known {
            change.changed = differing(table, &before, &after);
        }
    }
    change.origin = Origin {
        transaction: text(3),
        thread: text(4).and_then(|thread| thread.parse().ok()),
        account: text(5),
        // It may quote what is sensitive.
        statement: text(6).as_deref().map(mask),
    };
    Some(change)
}

/// A change without its images.
pub(crate) fn bare(
    table: &Table,
    operation: Operation,
    key: &str,
    version: Version,
    committed_at: Timestamp,
) -> Change {
    let operation = match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Snapshot => "snapshot",
    };
    Change {
        system: table.system.clone(),
        table: table.name.clone(),
        event: table.kind == TableKind::Events,
        operation: operation.into(),
        primary_key: shown_key(table, key),
        committed_at: committed_at.to_string(),
        version: (version.epoch, version.sequence, version.ordinal),
        origin: Origin::default(),
        after: Vec::new(),
        before: Vec::new(),
        changed: Vec::new(),
        money: Vec::new(),
        money_before: Vec::new(),
        by_hand: false,
    }
}

pub(crate) fn put_before(change: &mut Change, table: &Table, row: &Values) {
    change.before = shown(table, row);
    change.money_before = money(table, row);
}

pub(crate) fn put_after(change: &mut Change, table: &Table, row: &Values) {
    change.after = shown(table, row);
    change.money = money(table, row);
}
