//! The rows that a plan changes, as they are in the snapshot and as they are to be; and which entities they touch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, RecordBatch};
use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId};

use super::change::{Changes, Planned, RowChange};
use super::reader::{Reader, set_of};
use super::value::Value;
use crate::audit::ByHash;

/// All values of a row, by index of the column.
pub(super) type Row = Vec<Value>;

/// One row that the plan changes.
pub(super) struct Effect {
    /// The first change that names the row.
    pub change: RowChange,
    /// Others that do, which are mistakes of the plan.
    pub again: Vec<RowChange>,
    /// The key in its normal form; none where part of it is null.
    pub key: Option<String>,
    /// How many rows of the snapshot have this key.
    pub found: usize,
    /// Until [`Effects::complete`] its key and the columns that lead to entities only; all others are null.
    pub before: Option<Row>,
    pub after: Option<Row>,
    is_complete: bool,
    /// The entities that it touches, before and after.
    pub entities: BTreeSet<(EntityId, String)>,
    /// Of which kinds of entities it leads to none, though its table does: before, and after.
    pub nowhere: [BTreeSet<EntityId>; 2],
}

/// Everything that a plan changes.
#[derive(Default)]
pub(super) struct Effects {
    pub rows: Vec<Effect>,
    by_key: HashMap<(TableId, String), usize>,
    /// Rows of tables that changed rows link to, by key.
    targets: HashMap<(TableId, String), Vec<Row>>,
}

/// Where a row leads to.
enum Leads {
    To(String),
    Through(TableId, String),
    Nowhere,
}

impl Effects {
    /// Looks up every row that the plan names, and follows links to entities.
    pub fn look_up(
        reader: &Reader<'_>,
        changes: &Changes,
        entities: &BTreeSet<EntityId>,
    ) -> Result<Effects, String> {
        let mut effects = Effects::default();
        for change in &changes.rows {
            effects.add(reader, change)?;
        }
        let mut waiting: BTreeMap<TableId, BTreeSet<String>> = BTreeMap::new();
        for effect in &effects.rows {
            let keys = waiting.entry(effect.change.table).or_default();
            keys.extend(effect.key.clone());
        }
        while let Some(id) = next_table(reader.catalog, &waiting, entities) {
            let keys = waiting.remove(&id).unwrap_or_default();
            effects.read(reader, id, keys, entities, &mut waiting)?;
        }
        effects.follow(reader, entities)?;
        Ok(effects)
    }

    /// Whether rows of this table change.
    pub fn has_changes_of(&self, id: TableId) -> bool {
        self.rows.iter().any(|effect| effect.change.table == id)
    }

    /// Fills in what was not read of the changed rows of a table: from these rows of it, which have all columns, and from
    /// the snapshot where they are not among them.
    pub fn complete(
        &mut self,
        reader: &Reader<'_>,
        id: TableId,
        rows: &[RecordBatch],
    ) -> Result<(), String> {
        if self.incomplete(id).is_empty() {
            return Ok(());
        }
        self.fill_in(reader, id, rows)?;
        let missing = self.incomplete(id);
        if missing.is_empty() {
            return Ok(());
        }
        let table = reader.catalog.table(id);
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let found = reader.by_key(id, &all, &table.primary_key, &missing)?;
        self.fill_in(reader, id, &found)
    }

    /// The same for all tables of which nothing else was read.
    pub fn complete_rest(&mut self, reader: &Reader<'_>) -> Result<(), String> {
        let tables: BTreeSet<TableId> =
            self.rows.iter().map(|effect| effect.change.table).collect();
        tables
            .into_iter()
            .try_for_each(|id| self.complete(reader, id, &[]))
    }

    /// The keys of changed rows that were found and not read whole.
    fn incomplete(&self, id: TableId) -> ByHash<()> {
        let own = self
            .rows
            .iter()
            .filter(|effect| effect.change.table == id && effect.found > 0 && !effect.is_complete);
        set_of(own.filter_map(|effect| effect.key.as_deref()))
    }

    fn fill_in(
        &mut self,
        reader: &Reader<'_>,
        id: TableId,
        rows: &[RecordBatch],
    ) -> Result<(), String> {
        let table = reader.catalog.table(id);
        for rows in rows {
            let texts = reader.texts(id, &table.primary_key, rows, &table.primary_key)?;
            for row in 0..rows.num_rows() {
                let key = (id, texts.value(row).to_owned());
                let Some(index) = self.by_key.get(&key) else {
                    continue;
                };
                let effect = &mut self.rows[*index];
                if !effect.is_complete {
                    let columns = rows.columns().iter();
                    let values = columns.map(|column| Value::of(column.as_ref(), row));
                    effect.before = Some(values.collect());
                    effect.after = after(&effect.change, effect.before.as_ref());
                    effect.is_complete = true;
                }
            }
        }
        Ok(())
    }

    /// The changed row with this key.
    pub fn find(&self, table: TableId, key: &str) -> Option<&Effect> {
        let index = self.by_key.get(&(table, key.to_owned()))?;
        self.rows.get(*index)
    }

    fn add(&mut self, reader: &Reader<'_>, change: &RowChange) -> Result<(), String> {
        let key = key_text(reader, change)?;
        let known = key.as_ref().map(|key| (change.table, key.clone()));
        if let Some(index) = known.as_ref().and_then(|name| self.by_key.get(name)) {
            self.rows[*index].again.push(change.clone());
            return Ok(());
        }
        if let Some(name) = known {
            self.by_key.insert(name, self.rows.len());
        }
        self.rows.push(Effect {
            change: change.clone(),
            again: Vec::new(),
            key,
            found: 0,
            before: None,
            after: None,
            is_complete: false,
            entities: BTreeSet::new(),
            nowhere: Default::default(),
        });
        Ok(())
    }

    /// Reads rows of one table by key. Rows that they link to wait to be read.
    fn read(
        &mut self,
        reader: &Reader<'_>,
        id: TableId,
        keys: BTreeSet<String>,
        entities: &BTreeSet<EntityId>,
        waiting: &mut BTreeMap<TableId, BTreeSet<String>>,
    ) -> Result<(), String> {
        let table = reader.catalog.table(id);
        let paths = table.entities.iter();
        let paths = paths.filter(|path| entities.contains(&path.entity()));
        let columns: Vec<usize> = paths.flat_map(|path| path.columns().to_vec()).collect();
        let wanted = set_of(keys.iter().map(String::as_str));
        let found = reader.by_key(id, &columns, &table.primary_key, &wanted)?;
        for rows in &found {
            let texts = reader.texts(id, &table.primary_key, rows, &table.primary_key)?;
            for row in 0..rows.num_rows() {
                let key = texts.value(row).to_owned();
                let values: Row = (0..table.columns.len())
                    .map(|column| Value::of(rows.column(column).as_ref(), row))
                    .collect();
                if let Some(index) = self.by_key.get(&(id, key.clone())) {
                    let effect = &mut self.rows[*index];
                    effect.found += 1;
                    effect.before.get_or_insert_with(|| values.clone());
                }
                self.targets.entry((id, key)).or_default().push(values);
            }
        }
        for key in &keys {
            // Known to be missing, where nothing was found: it is not looked for again.
            self.targets.entry((id, key.clone())).or_default();
        }
        let mut links = Vec::new();
        for effect in self
            .rows
            .iter_mut()
            .filter(|effect| effect.change.table == id)
        {
            effect.after = after(&effect.change, effect.before.as_ref());
        }
        let versions = self.versions(id, &keys);
        let through = table.entities.iter().filter(|path| {
            entities.contains(&path.entity()) && matches!(path, EntityPath::Through { .. })
        });
        for path in through {
            for row in &versions {
                if let Leads::Through(target, key) = leads(reader, id, path, row)? {
                    links.push((target, key));
                }
            }
        }
        for (target, key) in links {
            if !self.targets.contains_key(&(target, key.clone())) {
                waiting.entry(target).or_default().insert(key);
            }
        }
        Ok(())
    }

    /// What is known of rows of a table, before and after.
    fn versions(&self, id: TableId, keys: &BTreeSet<String>) -> Vec<Row> {
        let mut versions = Vec::new();
        for key in keys {
            versions.extend(
                self.targets
                    .get(&(id, key.clone()))
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            let effect = self.find(id, key);
            versions.extend(effect.and_then(|effect| effect.after.clone()));
        }
        versions
    }

    /// Finds the entities of every changed row.
    fn follow(&mut self, reader: &Reader<'_>, entities: &BTreeSet<EntityId>) -> Result<(), String> {
        for index in 0..self.rows.len() {
            let effect = &self.rows[index];
            let id = effect.change.table;
            let mut touched = BTreeSet::new();
            let mut nowhere: [BTreeSet<EntityId>; 2] = Default::default();
            let paths: Vec<EntityPath> = reader
                .catalog
                .table(id)
                .entities
                .iter()
                .filter(|path| entities.contains(&path.entity()))
                .cloned()
                .collect();
            for path in &paths {
                let versions = [&effect.before, &effect.after];
                for (is_after, row) in versions.into_iter().enumerate() {
                    let Some(row) = row else { continue };
                    let mut found = BTreeSet::new();
                    self.resolve(reader, id, path, row, is_after == 1, &mut found)?;
                    if found.is_empty() {
                        nowhere[is_after].insert(path.entity());
                    }
                    // The other version of a link's target leads to a touched entity, too.
                    self.resolve(reader, id, path, row, is_after == 0, &mut found)?;
                    touched.extend(found.into_iter().map(|key| (path.entity(), key)));
                }
            }
            let effect = &mut self.rows[index];
            effect.entities = touched;
            effect.nowhere = nowhere;
        }
        Ok(())
    }

    /// The keys that a row leads to, before or after the plan.
    fn resolve(
        &self,
        reader: &Reader<'_>,
        id: TableId,
        path: &EntityPath,
        row: &Row,
        is_after: bool,
        found: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        match leads(reader, id, path, row)? {
            Leads::Nowhere => {}
            Leads::To(key) => {
                found.insert(key);
            }
            Leads::Through(target, key) => {
                let Some(next) = reader.catalog.table(target).path_to(path.entity()) else {
                    return Ok(());
                };
                let changed = self.find(target, &key);
                let rows: Vec<&Row> = match (is_after, changed) {
                    (true, Some(effect)) => effect.after.iter().collect(),
                    _ => self
                        .targets
                        .get(&(target, key))
                        .into_iter()
                        .flatten()
                        .collect(),
                };
                for row in rows {
                    self.resolve(reader, target, next, row, is_after, found)?;
                }
            }
        }
        Ok(())
    }
}

/// The table to be read next: one that no other waiting table links to, so that each is read once.
fn next_table(
    catalog: &Catalog,
    waiting: &BTreeMap<TableId, BTreeSet<String>>,
    entities: &BTreeSet<EntityId>,
) -> Option<TableId> {
    let is_target = |id: &TableId| {
        waiting.keys().filter(|other| *other != id).any(|other| {
            entities.iter().any(|entity| {
                crate::audit::link_targets(catalog, *entity, std::iter::once(*other)).contains(id)
            })
        })
    };
    waiting
        .keys()
        .find(|id| !is_target(id))
        .or(waiting.keys().next())
        .copied()
}

/// The row that a change leaves behind; none where it leaves none, or has nothing to change.
fn after(change: &RowChange, before: Option<&Row>) -> Option<Row> {
    match (change.planned, before) {
        (Planned::Delete, _) | (Planned::Update, None) => None,
        (Planned::Insert, _) => {
            let columns = change.new.values();
            Some(columns.cloned().collect())
        }
        (Planned::Update, Some(before)) => {
            let mut row = before.clone();
            for (column, value) in &change.new {
                row[*column] = value.clone();
            }
            Some(row)
        }
    }
}

/// Where a row leads to by one path.
fn leads(reader: &Reader<'_>, id: TableId, path: &EntityPath, row: &Row) -> Result<Leads, String> {
    let Some(key) = text_of(reader, id, path.columns(), |column| &row[column])? else {
        return Ok(Leads::Nowhere);
    };
    Ok(match path {
        EntityPath::Direct { .. } => Leads::To(key),
        EntityPath::Through { target, .. } => Leads::Through(*target, key),
    })
}

/// The text of a change's key in its normal form; none where part of it is null.
fn key_text(reader: &Reader<'_>, change: &RowChange) -> Result<Option<String>, String> {
    let key = &reader.catalog.table(change.table).primary_key;
    text_of(reader, change.table, key, |column| {
        let place = key.iter().position(|known| *known == column);
        place
            .and_then(|place| change.key.get(place))
            .unwrap_or(&Value::Null)
    })
}

/// The text of some columns as keys have it.
pub(super) fn text_of<'a>(
    reader: &Reader<'_>,
    id: TableId,
    columns: &[usize],
    value: impl Fn(usize) -> &'a Value,
) -> Result<Option<String>, String> {
    let table = reader.catalog.table(id);
    let schema = table.storage_schema();
    let arrays = columns
        .iter()
        .map(|column| Value::array(&table.columns[*column], std::iter::once(value(*column))));
    let schema = schema.project(columns).map_err(|error| error.to_string())?;
    let row =
        RecordBatch::try_new(schema.into(), arrays.collect()).map_err(|error| error.to_string())?;
    let places: Vec<usize> = (0..columns.len()).collect();
    let texts = reader.texts(id, columns, &row, &places)?;
    Ok(texts.is_valid(0).then(|| texts.value(0).to_owned()))
}
