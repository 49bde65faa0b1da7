//! What the archive knows of one entity: every change of its rows since the archive began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt64Type};
use centinel_catalog::{Catalog, ColumnType, EntityPath, Table, TableKind, mask};
use centinel_model::{EntityId, Operation, TableId, Timestamp, Version};
use centinel_outlet::archive::{
    ACCOUNT, COMMITTED_AT, EPOCH, Location, OPERATION, ORDINAL, SEQUENCE, STATEMENT, THREAD,
    TRANSACTION, before,
};
use centinel_state::key_text;
use centinel_trace::{Change, Completeness, HISTORY_SCHEMA, History, MOST_CHANGES, Origin, joined};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ident, lit};

use super::fold::Fold;
use super::manifests::Segments;
use super::runtime;
use crate::EngineError;
use crate::audit::AuditOptions;
use crate::detect::{bare, put_after, put_before};
use crate::shown::{Values, differing, values};

/// Rows that others may name to reach one entity: more are not followed.
const MOST_TARGETS: usize = 1_000;
/// What looking for one entity may use.
const MEMORY_BYTES: usize = 512 << 20;

/// Where an archive lies.
#[derive(Clone, Debug)]
pub struct ArchivePlace {
    /// Its folder or URL ([`Location::open`]).
    pub location: String,
    /// Options of the object store, such as the environment's variables.
    pub store_options: Vec<(String, String)>,
}

/// Every change of the rows of one entity, the newest [`MOST_CHANGES`] of each table; none where the archive has nothing of
/// it. Rows that reach the entity through a row of another table are among them, as that row's entity is now. Not for use
/// within an asynchronous runtime.
///
/// # Errors
/// An archive that cannot be read, or not under these schemas; no entity of this name.
pub fn history_in_archive(
    catalog: &Catalog,
    archive: &ArchivePlace,
    entity: &str,
    key: &str,
    threads: usize,
) -> Result<Option<History>, EngineError> {
    let id = catalog
        .entity_id(entity)
        .ok_or_else(|| EngineError::Unsupported(format!("no schema names an entity `{entity}`")))?;
    let key = catalog.entity(id).normalise(key);
    let failed =
        |problem: String| EngineError::Archive(format!("the archive cannot be read: {problem}"));
    let location = Location::open(&archive.location, &archive.store_options).map_err(failed)?;
    let runtime = runtime(threads).map_err(|error| failed(error.to_string()))?;
    let found = runtime.block_on(async {
        let tables: BTreeSet<TableId> = catalog
            .table_ids()
            .filter(|table| is_archived(catalog, *table, id))
            .collect();
        let kept = [entity.to_owned()];
        let segments = Segments::all(&location, catalog, &tables, &kept).await?;
        let options = AuditOptions {
            memory_bytes: MEMORY_BYTES,
            threads,
            ..AuditOptions::default()
        };
        let fold = Fold::reading(&location, Timestamp::LATEST, &options, true);
        let mut search = Search {
            catalog,
            location: &location,
            fold: fold.map_err(|error| error.to_string())?,
            segments,
            entity: id,
            key: &key,
            told: Completeness::default(),
            left_out: 0,
        };
        search.completeness(&tables);
        let changes = search.changes(&tables).await?;
        Ok::<_, String>((changes, search.told, search.left_out))
    });
    let (changes, mut completeness, left_out) = found.map_err(failed)?;
    // Deliveries that were repeated stand in the archive as often as they came.
    let mut changes = joined(vec![changes]);
    let too_many = changes.len().saturating_sub(MOST_CHANGES);
    changes.drain(..too_many);
    completeness.left_out = left_out + too_many as u64;
    Ok((!changes.is_empty()).then(|| History {
        schema: HISTORY_SCHEMA.into(),
        entity: entity.into(),
        key: key.into_owned(),
        changes,
        rules: Vec::new(),
        completeness,
    }))
}

/// Histories of guarded tables are derived, the archive does not hold them.
fn is_archived(catalog: &Catalog, table: TableId, entity: EntityId) -> bool {
    let table = catalog.table(table);
    let derived = matches!(table.kind, TableKind::History(_));
    !derived && table.path_to(entity).is_some()
}

/// One entity that is looked for.
struct Search<'a> {
    catalog: &'a Catalog,
    location: &'a Location,
    fold: Fold,
    segments: Segments,
    entity: EntityId,
    key: &'a str,
    told: Completeness,
    left_out: u64,
}

/// How a row shows that it belongs to the entity: it has one of these keys in these columns.
struct Belongs {
    columns: Vec<usize>,
    keys: BTreeSet<String>,
    wanted: Vec<Vec<ScalarValue>>,
}

/// A change as it was read, with the row on both sides.
struct Read {
    operation: Operation,
    version: Version,
    committed_at: Timestamp,
    origin: Origin,
    /// The primary key, whether the row belongs to the entity, and the row.
    before: Option<Side>,
    after: Option<Side>,
}

struct Side {
    key: String,
    belongs: bool,
    row: Values,
}

impl Search<'_> {
    fn completeness(&mut self, tables: &BTreeSet<TableId>) {
        let Some(last) = self.segments.last() else {
            return;
        };
        let time = |text: &String| Timestamp::parse(text).ok();
        let (mut since, mut until) = (None, Some(Timestamp::MAX));
        for id in tables {
            let table = self.catalog.table(*id);
            let source = self.catalog.source(table.source);
            let own = last.table_horizons.get(&table.name);
            let own = own.and_then(|horizon| time(&horizon.time));
            since = since.max(own.max(last.horizons.get(source).and_then(time)));
            until = until.min(last.progress.get(source).and_then(time));
        }
        self.told.since = since.map(|time| time.to_string());
        self.told.until = until.map(|time| time.to_string());
        let unread = self
            .segments
            .unread(self.catalog, tables, Timestamp::LATEST);
        self.told.notes.extend(unread);
    }

    /// First the tables that have the entity's key themselves, then those that name a row of these.
    async fn changes(&mut self, tables: &BTreeSet<TableId>) -> Result<Vec<Change>, String> {
        let (mut changes, mut targets, mut cut) = (Vec::new(), BTreeMap::new(), false);
        for id in tables {
            let table = self.catalog.table(*id);
            let Some(EntityPath::Direct { columns, .. }) = table.path_to(self.entity) else {
                continue;
            };
            if let Some(belongs) = Belongs::by_key(table, columns, self.key) {
                let read = self.read(table, &belongs).await?;
                targets.insert(*id, owned(&read));
                changes.extend(read.into_iter().flat_map(|read| read.told(table)));
            }
        }
        for id in tables {
            let table = self.catalog.table(*id);
            let path = table.path_to(self.entity);
            let Some(EntityPath::Through {
                columns, target, ..
            }) = path
            else {
                continue;
            };
            let mut keys = targets.get(target).cloned().unwrap_or_default();
            while keys.len() > MOST_TARGETS {
                keys.pop_last();
                cut = true;
            }
            if let Some(belongs) = Belongs::by_target(table, columns, keys) {
                let read = self.read(table, &belongs).await?;
                changes.extend(read.into_iter().flat_map(|read| read.told(table)));
            }
        }
        if cut {
            self.told.notes.push(format!(
                "more than {MOST_TARGETS} rows may be named to reach it: rows that name others are not among these"
            ));
        }
        Ok(changes)
    }

    async fn read(&mut self, table: &Table, belongs: &Belongs) -> Result<Vec<Read>, String> {
        let files = self.segments.files_unread(self.location, table).await?;
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let (batches, left_out) = self
            .find(table, &files, belongs)
            .await
            .map_err(|error| format!("{}: {}", table.name, error.strip_backtrace()))?;
        self.left_out += left_out;
        let mut found = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let read = Read::of(table, belongs, batch, row);
                found.push(
                    read.ok_or_else(|| format!("{}: a change lacks its columns", table.name))?,
                );
            }
        }
        Ok(found)
    }

    /// The changes of rows that belong to the entity before or after, and how many older ones there are.
    async fn find(
        &self,
        table: &Table,
        files: &[String],
        belongs: &Belongs,
    ) -> Result<(Vec<RecordBatch>, u64), DataFusionError> {
        let wanted = |side: &dyn Fn(&str) -> String| {
            let rows = belongs.wanted.iter().map(|values| {
                let parts = belongs.columns.iter().zip(values).map(|(column, value)| {
                    ident(side(&table.columns[*column].name)).eq(lit(value.clone()))
                });
                parts.reduce(Expr::and).unwrap_or_else(|| lit(false))
            });
            rows.reduce(Expr::or).unwrap_or_else(|| lit(false))
        };
        let either = wanted(&str::to_owned).or(wanted(&before));
        let changes = self.fold.changes(table, files).await?.filter(either)?;
        let newest = changes.clone().sort(vec![
            ident(COMMITTED_AT).sort(false, false),
            ident(EPOCH).sort(false, false),
            ident(SEQUENCE).sort(false, false),
            ident(ORDINAL).sort(false, false),
        ])?;
        let batches = newest.limit(0, Some(MOST_CHANGES))?.collect().await?;
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let all = match found < MOST_CHANGES {
            true => found,
            false => changes.count().await?,
        };
        Ok((batches, (all - found) as u64))
    }
}

/// The rows of a table that belong to the entity as of the newest change of each.
fn owned(read: &[Read]) -> BTreeSet<String> {
    let mut newest: BTreeMap<&str, (Version, bool)> = BTreeMap::new();
    for read in read {
        for (side, after) in [(&read.before, false), (&read.after, true)] {
            let Some(side) = side else { continue };
            let now = (read.version, after && side.belongs);
            let known = newest.entry(&side.key).or_insert(now);
            *known = now.max(*known);
        }
    }
    let owned = newest.into_iter().filter(|(_, (_, belongs))| *belongs);
    owned.map(|(key, _)| key.to_owned()).collect()
}

impl Belongs {
    /// By the entity's own key. None where no row can have it.
    fn by_key(table: &Table, columns: &[usize], key: &str) -> Option<Belongs> {
        Belongs::new(table, columns, [key.to_owned()].into())
    }

    /// By the primary key of a row that belongs to the entity.
    fn by_target(table: &Table, columns: &[usize], keys: BTreeSet<String>) -> Option<Belongs> {
        Belongs::new(table, columns, keys)
    }

    fn new(table: &Table, columns: &[usize], keys: BTreeSet<String>) -> Option<Belongs> {
        let values = |key: &String| {
            let parts: Vec<&str> = key.split('\u{1f}').collect();
            if parts.len() != columns.len() {
                return None;
            }
            let parts = columns.iter().zip(parts);
            parts
                .map(|(column, part)| match table.columns[*column].kind {
                    ColumnType::Text => Some(ScalarValue::Utf8(Some(part.to_owned()))),
                    ColumnType::Integer => Some(ScalarValue::Int64(Some(part.parse().ok()?))),
                    _ => None,
                })
                .collect::<Option<Vec<ScalarValue>>>()
        };
        let wanted: Vec<Vec<ScalarValue>> = keys.iter().filter_map(values).collect();
        (!wanted.is_empty()).then(|| Belongs {
            columns: columns.to_vec(),
            keys,
            wanted,
        })
    }
}

impl Read {
    fn of(table: &Table, belongs: &Belongs, batch: &RecordBatch, row: usize) -> Option<Read> {
        let text = |name: &str| {
            let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
            (!column.is_null(row)).then(|| column.value(row).to_owned())
        };
        let signed = |name: &str| {
            let column = batch
                .column_by_name(name)?
                .as_primitive_opt::<Int64Type>()?;
            Some(column.value(row))
        };
        let unsigned = |name: &str| {
            let column = batch
                .column_by_name(name)?
                .as_primitive_opt::<UInt64Type>()?;
            (!column.is_null(row)).then(|| column.value(row))
        };
        let operation = match text(OPERATION)?.as_str() {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            "snapshot" => Operation::Snapshot,
            _ => return None,
        };
        let committed_at = batch.column_by_name(COMMITTED_AT)?;
        let committed_at = committed_at.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(Read {
            operation,
            version: Version {
                epoch: u32::try_from(signed(EPOCH)?).ok()?,
                sequence: unsigned(SEQUENCE)?,
                ordinal: u32::try_from(signed(ORDINAL)?).ok()?,
            },
            committed_at: Timestamp(committed_at.value(row)),
            origin: Origin {
                transaction: text(TRANSACTION),
                thread: unsigned(THREAD),
                account: text(ACCOUNT),
                // It may quote what is sensitive.
                statement: text(STATEMENT).as_deref().map(mask),
            },
            before: Side::of(table, belongs, batch, row, &before)?,
            after: match operation {
                Operation::Delete => None,
                _ => Side::of(table, belongs, batch, row, &str::to_owned)?,
            },
        })
    }

    /// What it is to the entity: a row of it, one that left it, or both, where the row has another primary key now.
    fn told(self, table: &Table) -> Vec<Change> {
        let Read {
            operation,
            version,
            committed_at,
            origin,
            before,
            after,
        } = self;
        let mut told = Vec::new();
        let before = before.filter(|side| side.belongs);
        let after = after.filter(|side| side.belongs);
        let same =
            matches!((&before, &after), (Some(before), Some(after)) if before.key == after.key);
        if let Some(after) = &after {
            let mut change = bare(table, operation, &after.key, version, committed_at);
            put_after(&mut change, table, &after.row);
            if let Some(before) = before.as_ref().filter(|_| same) {
                put_before(&mut change, table, &before.row);
                change.changed = differing(table, &before.row, &after.row);
            }
            change.origin = origin.clone();
            told.push(change);
        }
        if let Some(before) = before.filter(|_| !same) {
            let mut change = bare(table, Operation::Delete, &before.key, version, committed_at);
            put_before(&mut change, table, &before.row);
            change.origin = origin;
            told.push(change);
        }
        told
    }
}

impl Side {
    /// One side of a change; none inside where the change does not have it.
    fn of(
        table: &Table,
        belongs: &Belongs,
        batch: &RecordBatch,
        row: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Option<Option<Side>> {
        let columns: Option<Vec<ArrayRef>> = table
            .columns
            .iter()
            .map(|column| batch.column_by_name(&name(&column.name)).map(Arc::clone))
            .collect();
        let columns = columns?;
        let rows = RecordBatch::try_new(table.storage_schema(), columns.clone()).ok()?;
        let text = |columns: &[usize]| {
            let mut text = String::new();
            key_text(&rows, columns, row, &mut text).map(|()| text)
        };
        // Columns of a primary key are never null.
        let Some(key) = text(&table.primary_key) else {
            return Some(None);
        };
        let belongs = text(&belongs.columns).is_some_and(|key| belongs.keys.contains(&key));
        Some(Some(Side {
            key,
            belongs,
            row: values(table, &columns, row),
        }))
    }
}
