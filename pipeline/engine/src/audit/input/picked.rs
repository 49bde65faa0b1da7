//! Some rows of a table: the columns by which they are told are read first, all others only where a row is wanted.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, concat, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;

use super::super::fit;
use super::super::snapshot::Snapshot;
use super::pages::Columns;
use super::{BATCH_ROWS, DataFile, Part, Place, TableInput};

/// Says which of some rows are wanted. They have the probed columns, in that order, as the files hold them: keys are
/// not in their normal form, and nothing is refused for being null.
pub(crate) type Pick<'a> = &'a (dyn Fn(&RecordBatch) -> Result<BooleanBuffer, String> + Sync);

/// A row group of a file.
type Group<'a> = (&'a Snapshot, &'a DataFile, usize);

impl TableInput {
    /// The wanted rows of a part with all columns that are read, in storage types. `probe` names positions among these
    /// columns; nothing else is decoded of a part in which no row is wanted. With `thorough` every page of all these
    /// columns is unpacked, so that nothing unreadable is passed over; otherwise only those that hold wanted rows.
    pub fn read_picked(
        &self,
        part: usize,
        probe: &[usize],
        pick: Pick<'_>,
        thorough: bool,
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
                .pick_of_group(
                    (snapshot.as_ref(), file.as_ref(), *group),
                    probe,
                    pick,
                    thorough,
                )
                .map_err(|problem| format!("{}: {problem}", file.shown)),
            Part::Kept(_) => Err("rows are picked from the snapshot itself".into()),
        }
    }

    fn pick_of_group(
        &self,
        group: Group<'_>,
        probe: &[usize],
        pick: Pick<'_>,
        thorough: bool,
    ) -> Result<Option<RecordBatch>, String> {
        let said = |error: arrow::error::ArrowError| error.to_string();
        let (mut masks, mut told) = (Vec::new(), Vec::new());
        self.decode(group, probe, None, thorough, &mut |rows| {
            let wanted = pick(&rows)?;
            let wanted = BooleanArray::from(wanted);
            if wanted.true_count() > 0 {
                told.push(filter_record_batch(&rows, &wanted).map_err(said)?);
            }
            masks.push(wanted);
            Ok(())
        })?;
        let is_other = |position: &usize| !probe.contains(position);
        let Some(first) = told.first() else {
            if thorough {
                let others = all(self).into_iter().filter(is_other);
                self.check_columns(group.0, group.1, group.2, others)?;
            }
            return Ok(None);
        };
        let told = concat_batches(&first.schema(), &told).map_err(said)?;
        let selection = RowSelection::from_filters(&masks);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for position in all(self) {
            if let Some(place) = probe.iter().position(|known| *known == position) {
                columns.push(Arc::clone(told.column(place)));
                continue;
            }
            // One column after the other, so that few bytes are held.
            let mut parts = Vec::new();
            let selection = Some(selection.clone());
            self.decode(group, &[position], selection, thorough, &mut |rows| {
                parts.push(Arc::clone(rows.column(0)));
                Ok(())
            })?;
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(concat(&parts).map_err(said)?);
        }
        let rows = told.num_rows();
        if columns.iter().any(|column| column.len() != rows) {
            return Err("its columns have different numbers of rows".into());
        }
        self.named(&all(self), columns, rows).map(Some)
    }

    /// Hands on some columns of a row group, of all rows or of those selected.
    fn decode(
        &self,
        (snapshot, file, group): Group<'_>,
        positions: &[usize],
        selection: Option<RowSelection>,
        thorough: bool,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), String>,
    ) -> Result<(), String> {
        let said = |error: ParquetError| format!("cannot be read: {error}");
        let roots = positions
            .iter()
            .filter_map(|place| match file.places[*place] {
                Place::Root(root) => Some(root),
                Place::Constant(_) | Place::Nowhere => None,
            });
        let schema = file.metadata.parquet_schema();
        let mask = ProjectionMask::roots(schema, roots);
        let pages = Columns::open(snapshot, file, group, &mask, thorough)?;
        let types = Some(file.metadata.schema().fields());
        let levels = parquet_to_arrow_field_levels(schema, mask, types).map_err(said)?;
        let reader = ParquetRecordBatchReader::try_new_with_row_groups(
            &levels, &pages, BATCH_ROWS, selection,
        );
        for batch in reader.map_err(said)? {
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
        pages.finish()
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
