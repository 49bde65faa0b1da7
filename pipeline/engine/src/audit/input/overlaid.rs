//! A snapshot in which some rows are others: what a repair would leave behind, read without being written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use centinel_model::TableId;

use super::super::key::{ByHash, hash_texts, texts_of};
use super::super::snapshot::Snapshot;
use super::{Input, Part, TableInput};

/// A snapshot and the rows that replace some of its own.
pub(crate) struct Overlaid {
    pub snapshot: Arc<Snapshot>,
    pub tables: BTreeMap<TableId, Arc<Replaced>>,
}

/// What is otherwise in one table.
pub(crate) struct Replaced {
    /// Hashes of the primary keys whose rows of the snapshot do not count.
    pub keys: ByHash<()>,
    /// The rows that count in their place, in the storage schema.
    pub rows: RecordBatch,
}

/// A part of the snapshot's own input.
pub(super) struct Kept {
    input: Arc<TableInput>,
    part: usize,
    replaced: Arc<Replaced>,
    /// Where the primary key's columns stand in what is read.
    key: Vec<usize>,
    /// The columns that are handed on.
    shown: Vec<usize>,
}

impl TableInput {
    pub(super) fn open_overlaid(&mut self, overlaid: &Overlaid) -> Result<(), Vec<String>> {
        let Some(replaced) = overlaid.tables.get(&self.id) else {
            return self.open_files(&overlaid.snapshot);
        };
        let primary_key = self.table().primary_key.clone();
        let mut columns: Vec<usize> = self.columns.iter().chain(&primary_key).copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let place = |column: &usize| columns.iter().position(|known| known == column);
        let key = primary_key.iter().filter_map(place).collect::<Vec<_>>();
        let shown = self.columns.iter().filter_map(place).collect::<Vec<_>>();
        let snapshot = Input::Snapshot(Arc::clone(&overlaid.snapshot));
        let input = Arc::new(snapshot.open(&self.catalog, self.id, &columns)?);
        self.rows = input.rows + replaced.rows.num_rows() as u64;
        self.parts.extend((0..input.parts()).map(|part| {
            Part::Kept(Kept {
                input: Arc::clone(&input),
                part,
                replaced: Arc::clone(replaced),
                key: key.clone(),
                shown: shown.clone(),
            })
        }));
        self.parts.push(Part::Batch(replaced.rows.clone()));
        Ok(())
    }
}

impl Kept {
    pub fn describe(&self) -> (String, u64) {
        self.input.describe(self.part)
    }

    pub fn read(
        &self,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), String>,
    ) -> Result<(), String> {
        self.input.read(self.part, &mut |rows| {
            let hashes = hash_texts(&texts_of(&rows, &self.key));
            let stays = hashes
                .iter()
                .map(|hash| Some(!self.replaced.keys.contains_key(hash)));
            let stays: BooleanArray = stays.collect();
            let rows = match stays.false_count() {
                0 => rows,
                _ => filter_record_batch(&rows, &stays).map_err(|error| error.to_string())?,
            };
            each(
                rows.project(&self.shown)
                    .map_err(|error| error.to_string())?,
            )
        })
    }
}
