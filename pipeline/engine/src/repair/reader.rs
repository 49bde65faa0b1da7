//! Rows of a snapshot by their keys: the columns that hold keys are read of every row, all others of few.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use centinel_catalog::{Catalog, Entity, EntityPath};
use centinel_model::TableId;

use crate::audit::{ByHash, Input, Pick, Snapshot, hash_text, hash_texts, normalised, texts_of};

/// Reads tables of a snapshot.
pub(super) struct Reader<'a> {
    pub catalog: &'a Arc<Catalog>,
    pub snapshot: &'a Arc<Snapshot>,
    pub threads: usize,
    /// Bytes of rows that may be held.
    pub memory_bytes: usize,
    held: AtomicUsize,
}

impl<'a> Reader<'a> {
    pub fn new(
        catalog: &'a Arc<Catalog>,
        snapshot: &'a Arc<Snapshot>,
        threads: usize,
        memory_bytes: usize,
    ) -> Reader<'a> {
        Reader {
            catalog,
            snapshot,
            threads,
            memory_bytes,
            held: AtomicUsize::new(0),
        }
    }

    /// The rows that are wanted, in the storage schema of the whole table: columns that are not read are null.
    /// `pick` sees the probed columns. All columns are indexes of the table.
    pub fn pick(
        &self,
        id: TableId,
        columns: &[usize],
        probe: &[usize],
        pick: Pick<'_>,
    ) -> Result<Vec<RecordBatch>, String> {
        self.pick_with(id, columns, probe, pick, false)
    }

    /// The same; with `thorough` every page of these columns is unpacked, those in which no row is wanted as well.
    pub fn pick_with(
        &self,
        id: TableId,
        columns: &[usize],
        probe: &[usize],
        pick: Pick<'_>,
        thorough: bool,
    ) -> Result<Vec<RecordBatch>, String> {
        let table = self.catalog.table(id);
        let mut columns: Vec<usize> = columns.iter().chain(probe).copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let input = Input::Snapshot(Arc::clone(self.snapshot))
            .open(self.catalog, id, &columns)
            .map_err(|problems| problems.join("; "))?;
        let place = |column: &usize| columns.iter().position(|known| known == column);
        let probe: Vec<usize> = probe.iter().filter_map(place).collect();
        let next = AtomicUsize::new(0);
        let found: Mutex<Vec<(usize, RecordBatch)>> = Mutex::default();
        let failed: Mutex<Option<String>> = Mutex::default();
        let locked = |problem: String| {
            next.store(input.parts(), Ordering::Relaxed);
            failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(problem);
        };
        let work = || loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= input.parts() {
                return;
            }
            match input.read_picked(part, &probe, pick, thorough) {
                Ok(None) => {}
                Ok(Some(rows)) => {
                    let bytes = rows.get_array_memory_size();
                    if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > self.memory_bytes {
                        return locked(format!(
                            "the rows of what the plan touches need more than {} MiB; split the plan, or give more \
                             --memory",
                            self.memory_bytes >> 20
                        ));
                    }
                    found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((part, rows));
                }
                Err(problem) => return locked(format!("{}: {problem}", table.name)),
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(input.parts()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(problem) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(problem);
        }
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(part, _)| *part);
        let wide = found
            .into_iter()
            .map(|(_, rows)| self.widened(id, &columns, &rows));
        wide.collect()
    }

    /// The rows with one of these keys in these columns.
    pub fn by_key(
        &self,
        id: TableId,
        columns: &[usize],
        key: &[usize],
        wanted: &ByHash<()>,
    ) -> Result<Vec<RecordBatch>, String> {
        self.pick(id, columns, key, &|rows| {
            let places: Vec<usize> = (0..key.len()).collect();
            let hashes = self.hashes(id, key, rows, &places)?;
            Ok(BooleanBuffer::collect_bool(hashes.len(), |row| {
                hashes[row] != 0 && wanted.contains_key(&hashes[row])
            }))
        })
    }

    /// The hashes of keys in their normal form, 0 where a key is null. `places` says where the table's columns `key`
    /// stand in the rows.
    pub fn hashes(
        &self,
        id: TableId,
        key: &[usize],
        rows: &RecordBatch,
        places: &[usize],
    ) -> Result<Vec<u128>, String> {
        Ok(hash_texts(&self.texts(id, key, rows, places)?))
    }

    /// The texts of keys in their normal form; null where a key is null.
    pub fn texts(
        &self,
        id: TableId,
        key: &[usize],
        rows: &RecordBatch,
        places: &[usize],
    ) -> Result<StringArray, String> {
        let columns: Vec<ArrayRef> = key
            .iter()
            .zip(places)
            .map(|(column, place)| {
                normalised(rows.column(*place), &key_of(self.catalog, id, *column))
            })
            .collect();
        let fields: Vec<_> = places
            .iter()
            .map(|place| rows.schema_ref().field(*place).clone())
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let rows = RecordBatch::try_new(schema, columns).map_err(|error| error.to_string())?;
        let all: Vec<usize> = (0..key.len()).collect();
        Ok(texts_of(&rows, &all))
    }

    fn widened(
        &self,
        id: TableId,
        columns: &[usize],
        rows: &RecordBatch,
    ) -> Result<RecordBatch, String> {
        let table = self.catalog.table(id);
        let all = table.columns.iter().enumerate().map(|(index, column)| {
            match columns.iter().position(|known| *known == index) {
                Some(place) => Arc::clone(rows.column(place)),
                None => new_null_array(&column.storage_type(), rows.num_rows()),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(table.storage_schema(), all.collect(), &options)
            .map_err(|error| error.to_string())
    }
}

/// The entities whose key the column is part of.
fn key_of(catalog: &Catalog, id: TableId, column: usize) -> Vec<&Entity> {
    let paths = catalog.table(id).entities.iter();
    paths
        .filter_map(|path| match path {
            EntityPath::Direct { entity, columns } if columns.contains(&column) => {
                Some(catalog.entity(*entity))
            }
            _ => None,
        })
        .collect()
}

/// A set of keys.
pub(super) fn set_of<'a>(texts: impl Iterator<Item = &'a str>) -> ByHash<()> {
    texts.map(|text| (hash_text(text), ())).collect()
}
