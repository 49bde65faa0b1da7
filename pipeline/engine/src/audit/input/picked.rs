//! Some rows of a table: the columns by which they are told are read first, all others only where a row is wanted.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;

use super::super::fit;
use super::super::snapshot::Snapshot;
use super::{BATCH_ROWS, Chunks, DataFile, Part, Place, TableInput};

/// Says which of some rows are wanted. They have the probed columns, in that order, as the files hold them: keys are
/// not in their normal form, and nothing is refused for being null.
pub(crate) type Pick<'a> = &'a (dyn Fn(&RecordBatch) -> Result<BooleanBuffer, String> + Sync);

impl TableInput {
    /// The wanted rows of a part with all columns that are read, in storage types. `probe` names positions among these
    /// columns; nothing else is read of a part in which no row is wanted.
    pub fn read_picked(
        &self,
        part: usize,
        probe: &[usize],
        pick: Pick<'_>,
    ) -> Result<Option<RecordBatch>, String> {
        match &self.parts[part] {
            Part::Batch(batch) => {
                let columns = self
                    .columns
                    .iter()
                    .map(|column| Arc::clone(batch.column(*column)));
                let rows = self.named(&all(self), columns.collect(), batch.num_rows())?;
                let told = rows.project(probe).map_err(|error| error.to_string())?;
                let wanted = pick(&told)?;
                match wanted.count_set_bits() {
                    0 => Ok(None),
                    _ => filter_record_batch(&rows, &BooleanArray::from(wanted))
                        .map(Some)
                        .map_err(|error| error.to_string()),
                }
            }
            Part::RowGroup {
                snapshot,
                file,
                group,
            } => self
                .pick_of_group(snapshot, file, *group, probe, pick)
                .map_err(|problem| format!("{}: {problem}", file.shown)),
            Part::Kept(_) => Err("rows are picked from the snapshot itself".into()),
        }
    }

    fn pick_of_group(
        &self,
        snapshot: &Snapshot,
        file: &DataFile,
        group: usize,
        probe: &[usize],
        pick: Pick<'_>,
    ) -> Result<Option<RecordBatch>, String> {
        let said = |error: arrow::error::ArrowError| error.to_string();
        let (mut masks, mut told) = (Vec::new(), Vec::new());
        self.decode(snapshot, file, group, probe, None, &mut |rows| {
            let wanted = pick(&rows)?;
            let wanted = BooleanArray::from(wanted);
            if wanted.true_count() > 0 {
                told.push(filter_record_batch(&rows, &wanted).map_err(said)?);
            }
            masks.push(wanted);
            Ok(())
        })?;
        let Some(first) = told.first() else {
            return Ok(None);
        };
        let told = concat_batches(&first.schema(), &told).map_err(said)?;
        let others: Vec<usize> = all(self)
            .into_iter()
            .filter(|position| !probe.contains(position))
            .collect();
        let selection = RowSelection::from_filters(&masks);
        let mut parts = Vec::new();
        if !others.is_empty() {
            self.decode(
                snapshot,
                file,
                group,
                &others,
                Some(selection),
                &mut |rows| {
                    parts.push(rows);
                    Ok(())
                },
            )?;
        }
        let rest = match parts.first() {
            Some(first) => Some(concat_batches(&first.schema(), &parts).map_err(said)?),
            None => None,
        };
        if rest
            .as_ref()
            .is_some_and(|rest| rest.num_rows() != told.num_rows())
        {
            return Err("its columns have different numbers of rows".into());
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for position in all(self) {
            let of = |positions: &[usize]| positions.iter().position(|known| *known == position);
            columns.push(match (of(probe), of(&others), &rest) {
                (Some(place), _, _) => Arc::clone(told.column(place)),
                (None, Some(place), Some(rest)) => Arc::clone(rest.column(place)),
                _ => return Err("a column was not read".into()),
            });
        }
        self.named(&all(self), columns, told.num_rows()).map(Some)
    }

    /// Hands on some columns of a row group, of all rows or of those selected.
    fn decode(
        &self,
        snapshot: &Snapshot,
        file: &DataFile,
        group: usize,
        positions: &[usize],
        selection: Option<RowSelection>,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), String>,
    ) -> Result<(), String> {
        let said = |error: ParquetError| format!("cannot be read: {error}");
        let roots = positions
            .iter()
            .filter_map(|place| match file.places[*place] {
                Place::Root(root) => Some(root),
                Place::Constant(_) | Place::Nowhere => None,
            });
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), roots);
        let ranges = ranges(file, group, &mask);
        let bytes = snapshot.read(&file.path, &ranges)?;
        let chunks = Chunks {
            length: file.size,
            parts: ranges.iter().map(|range| range.start).zip(bytes).collect(),
        };
        let mut reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, file.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        for batch in reader.build().map_err(said)? {
            let batch = batch.map_err(|error| format!("cannot be read: {error}"))?;
            let mut columns = Vec::with_capacity(positions.len());
            for position in positions {
                let column = &self.table().columns[self.columns[*position]];
                let values = match &file.places[*position] {
                    Place::Constant(value) => {
                        fit::constant(column, value.as_deref(), batch.num_rows())
                    }
                    Place::Nowhere => fit::constant(column, None, batch.num_rows()),
                    Place::Root(_) => match batch.column_by_name(&column.name) {
                        Some(found) => fit::to_storage(column, found),
                        None => Err("is missing".into()),
                    },
                };
                columns.push(
                    values
                        .and_then(|values| plain(&values))
                        .map_err(|problem| format!("column {}: {problem}", column.name))?,
                );
            }
            each(self.named(positions, columns, batch.num_rows())?)?;
        }
        Ok(())
    }

    fn named(
        &self,
        positions: &[usize],
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, String> {
        let fields: Vec<Field> = positions
            .iter()
            .map(|position| {
                let column = &self.table().columns[self.columns[*position]];
                Field::new(&column.name, column.storage_type(), true)
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| error.to_string())
    }
}

fn all(input: &TableInput) -> Vec<usize> {
    (0..input.columns.len()).collect()
}

/// Texts that repeat come as dictionaries.
fn plain(values: &ArrayRef) -> Result<ArrayRef, String> {
    match values.data_type() {
        DataType::Dictionary(_, _) => {
            cast(values, &DataType::Utf8).map_err(|error| error.to_string())
        }
        _ => Ok(Arc::clone(values)),
    }
}

/// Where the chunks of the columns stand.
pub(super) fn ranges(file: &DataFile, group: usize, mask: &ProjectionMask) -> Vec<Range<u64>> {
    let chunks = file.metadata.metadata().row_group(group).columns();
    chunks
        .iter()
        .enumerate()
        .filter(|(leaf, _)| mask.leaf_included(*leaf))
        .map(|(_, chunk)| {
            let (start, length) = chunk.byte_range();
            start..start.saturating_add(length).min(file.size)
        })
        .collect()
}
