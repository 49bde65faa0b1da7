//! The rows of the touched entities, before and after the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId};
use centinel_rules::Rule;

use super::needed::ColumnsOf;
use super::reader::{Reader, set_of};
use super::rows::{Effects, Row};
use super::value::Value;
use crate::audit::{ByHash, needed_by};

/// All rows of some entities of one kind, by table in the storage schema.
pub(super) type Tables = BTreeMap<TableId, Vec<RecordBatch>>;

/// The slices of one kind of entity.
pub(super) struct Slices {
    pub entity: EntityId,
    /// Keys of the touched entities.
    pub touched: BTreeSet<String>,
    pub before: Tables,
    pub after: Tables,
}

/// What was read.
pub(super) struct Read {
    pub slices: Vec<Slices>,
    /// The columns of which every page was unpacked.
    pub columns: ColumnsOf,
}

/// What is read of one table.
#[derive(Default)]
struct Wanted {
    columns: BTreeSet<usize>,
    entities: BTreeSet<EntityId>,
    links_to: BTreeSet<TableId>,
    is_target: bool,
}

/// By target table and entity: the keys of rows that lead to a touched entity.
type Targets = BTreeMap<(TableId, EntityId), ByHash<()>>;

/// Reads the slices of all touched entities that these local rules judge, and with them what was not read yet of the
/// changed rows. With `thorough` every page of what is read is unpacked.
pub(super) fn read(
    reader: &Reader<'_>,
    rules: &[Arc<Rule>],
    effects: &mut Effects,
    thorough: bool,
) -> Result<Read, String> {
    let entities: BTreeSet<EntityId> = rules.iter().map(|rule| rule.entity).collect();
    let mut slices: Vec<Slices> = entities
        .iter()
        .map(|entity| Slices {
            entity: *entity,
            touched: touched(effects, *entity),
            before: Tables::new(),
            after: Tables::new(),
        })
        .collect();
    slices.retain(|slices| !slices.touched.is_empty());
    let keys: BTreeMap<EntityId, ByHash<()>> = slices
        .iter()
        .map(|slices| {
            let texts = slices.touched.iter().map(String::as_str);
            (slices.entity, set_of(texts))
        })
        .collect();
    let mut wanted = wanted(reader.catalog, rules, &keys);
    for (id, want) in &mut wanted {
        if effects.has_changes_of(*id) {
            want.columns
                .extend(0..reader.catalog.table(*id).columns.len());
        }
    }
    let (mut targets, mut columns) = (Targets::new(), ColumnsOf::new());
    while let Some(id) = ready(&wanted)? {
        let want = wanted.remove(&id).unwrap_or_default();
        let rows = read_table(reader, id, &want, &keys, &targets, thorough)?;
        if thorough {
            columns.insert(id, want.columns.clone());
        }
        effects.complete(reader, id, &rows)?;
        for slices in &mut slices {
            if !want.entities.contains(&slices.entity) {
                continue;
            }
            let (before, after) = of_entity(reader, id, slices, &rows, &keys, &targets, effects)?;
            if want.is_target {
                let leading = targets.entry((id, slices.entity)).or_default();
                for rows in before.iter().chain(&after) {
                    let key = &reader.catalog.table(id).primary_key;
                    let hashes = reader.hashes(id, key, rows, key)?;
                    leading.extend(hashes.into_iter().map(|hash| (hash, ())));
                }
            }
            slices.before.insert(id, before);
            slices.after.insert(id, after);
        }
        if want.is_target {
            refuse_repeated(reader, id, &rows, &targets)?;
        }
    }
    Ok(Read { slices, columns })
}

fn touched(effects: &Effects, entity: EntityId) -> BTreeSet<String> {
    let all = effects.rows.iter().flat_map(|effect| &effect.entities);
    all.filter(|(of, _)| *of == entity)
        .map(|(_, key)| key.clone())
        .collect()
}

fn wanted(
    catalog: &Catalog,
    rules: &[Arc<Rule>],
    keys: &BTreeMap<EntityId, ByHash<()>>,
) -> BTreeMap<TableId, Wanted> {
    let mut wanted: BTreeMap<TableId, Wanted> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| keys.contains_key(&rule.entity)) {
        for id in needed_by(catalog, rule) {
            let table = catalog.table(id);
            let want = wanted.entry(id).or_default();
            want.columns.extend(table.changed_at);
            want.columns.extend(&table.primary_key);
            let Some(path) = table.path_to(rule.entity) else {
                continue;
            };
            want.entities.insert(rule.entity);
            want.columns.extend(path.columns());
            if let EntityPath::Through { target, .. } = path {
                want.links_to.insert(*target);
                wanted.entry(*target).or_default().is_target = true;
            }
        }
        for used in &rule.reads {
            let want = wanted.entry(used.table).or_default();
            want.columns.extend(&used.columns);
        }
    }
    wanted
}

/// A table whose links lead to tables that were read.
fn ready(wanted: &BTreeMap<TableId, Wanted>) -> Result<Option<TableId>, String> {
    let found = wanted.iter().find(|(_, want)| {
        want.links_to
            .iter()
            .all(|target| !wanted.contains_key(target))
    });
    match found {
        Some((id, _)) => Ok(Some(*id)),
        None if wanted.is_empty() => Ok(None),
        None => Err(
            "tables link to each other in a circle, for different entities; plan by their rules one by one".into(),
        ),
    }
}

fn read_table(
    reader: &Reader<'_>,
    id: TableId,
    want: &Wanted,
    keys: &BTreeMap<EntityId, ByHash<()>>,
    targets: &Targets,
    thorough: bool,
) -> Result<Vec<RecordBatch>, String> {
    let table = reader.catalog.table(id);
    let columns: Vec<usize> = want.columns.iter().copied().collect();
    let mut probe: Vec<usize> = want
        .entities
        .iter()
        .filter_map(|entity| table.path_to(*entity))
        .flat_map(|path| path.columns().to_vec())
        .collect();
    probe.sort_unstable();
    probe.dedup();
    let place = |column: &usize| probe.iter().position(|known| known == column);
    let pick = |rows: &RecordBatch| -> Result<BooleanBuffer, String> {
        let mut all = BooleanBuffer::new_unset(rows.num_rows());
        for entity in &want.entities {
            let Some(path) = table.path_to(*entity) else {
                continue;
            };
            let places: Vec<usize> = path.columns().iter().filter_map(place).collect();
            all = &all | &belongs(reader, id, path, rows, &places, keys, targets)?;
        }
        Ok(all)
    };
    reader.pick_with(id, &columns, &probe, &pick, thorough)
}

/// Which rows lead to a touched entity by this path.
fn belongs(
    reader: &Reader<'_>,
    id: TableId,
    path: &EntityPath,
    rows: &RecordBatch,
    places: &[usize],
    keys: &BTreeMap<EntityId, ByHash<()>>,
    targets: &Targets,
) -> Result<BooleanBuffer, String> {
    let set = match path {
        EntityPath::Direct { entity, .. } => keys.get(entity),
        EntityPath::Through { entity, target, .. } => targets.get(&(*target, *entity)),
    };
    let Some(set) = set else {
        return Ok(BooleanBuffer::new_unset(rows.num_rows()));
    };
    let hashes = reader.hashes(id, path.columns(), rows, places)?;
    Ok(BooleanBuffer::collect_bool(hashes.len(), |row| {
        hashes[row] != 0 && set.contains_key(&hashes[row])
    }))
}

/// The rows of one kind of entity, as they are and as the plan leaves them.
fn of_entity(
    reader: &Reader<'_>,
    id: TableId,
    slices: &Slices,
    rows: &[RecordBatch],
    keys: &BTreeMap<EntityId, ByHash<()>>,
    targets: &Targets,
    effects: &Effects,
) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>), String> {
    let table = reader.catalog.table(id);
    let Some(path) = table.path_to(slices.entity) else {
        return Ok(Default::default());
    };
    let changed = set_of(
        effects
            .rows
            .iter()
            .filter(|effect| effect.change.table == id)
            .filter_map(|effect| effect.key.as_deref()),
    );
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for rows in rows {
        let of_entity = belongs(reader, id, path, rows, path.columns(), keys, targets)?;
        let rows = filter_record_batch(rows, &BooleanArray::from(of_entity))
            .map_err(|error| error.to_string())?;
        if rows.num_rows() == 0 {
            continue;
        }
        let hashes = reader.hashes(id, &table.primary_key, &rows, &table.primary_key)?;
        let stays =
            BooleanBuffer::collect_bool(hashes.len(), |row| !changed.contains_key(&hashes[row]));
        let kept = filter_record_batch(&rows, &BooleanArray::from(stays))
            .map_err(|error| error.to_string())?;
        before.push(rows);
        after.push(kept);
    }
    let new: Vec<&Row> = effects
        .rows
        .iter()
        .filter(|effect| effect.change.table == id)
        .filter_map(|effect| effect.after.as_ref())
        .collect();
    after.push(batch_of(reader.catalog, id, &new)?);
    Ok((before, after))
}

/// Rows in the storage schema of their table.
pub(super) fn batch_of(
    catalog: &Catalog,
    id: TableId,
    rows: &[&Row],
) -> Result<RecordBatch, String> {
    let table = catalog.table(id);
    let columns = table.columns.iter().enumerate().map(|(index, column)| {
        let values = rows.iter().map(|row| &row[index]);
        Value::array(column, values)
    });
    RecordBatch::try_new(table.storage_schema(), columns.collect())
        .map_err(|error| error.to_string())
}

/// Two rows with the key that a link names: nobody knows where it leads.
fn refuse_repeated(
    reader: &Reader<'_>,
    id: TableId,
    rows: &[RecordBatch],
    targets: &Targets,
) -> Result<(), String> {
    let table = reader.catalog.table(id);
    let mut leading: ByHash<()> = ByHash::default();
    for (_, keys) in targets.iter().filter(|((target, _), _)| *target == id) {
        leading.extend(keys.keys().map(|key| (*key, ())));
    }
    let found = reader.by_key(id, &[], &table.primary_key, &leading)?;
    let count = |batches: &[RecordBatch]| -> Result<ByHash<usize>, String> {
        let mut counts: ByHash<usize> = ByHash::default();
        for rows in batches {
            let hashes = reader.hashes(id, &table.primary_key, rows, &table.primary_key)?;
            hashes
                .into_iter()
                .for_each(|hash| *counts.entry(hash).or_default() += 1);
        }
        Ok(counts)
    };
    let known = count(rows)?;
    let repeated = count(&found)?
        .into_iter()
        .filter(|(key, all)| *all > known.get(key).copied().unwrap_or(0).max(1))
        .count();
    match repeated {
        0 => Ok(()),
        repeated => Err(format!(
            "{}: {repeated} primary keys stand again with another entity, so links to them lead nowhere certain; mend \
             the data",
            table.name
        )),
    }
}
