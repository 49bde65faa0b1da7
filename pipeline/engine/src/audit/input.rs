//! The rows of one table, from Parquet files or from memory, in parts that threads read side by side.

mod overlaid;
mod pages;
mod picked;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use centinel_catalog::{Catalog, ColumnType, Entity, EntityPath, Table};
use centinel_model::{EntityId, TableId};
use object_store::ObjectMeta;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use overlaid::Kept;
pub(crate) use overlaid::{Overlaid, Replaced};
pub(crate) use picked::Pick;

use super::concat::dictionary;
use super::fit;
use super::snapshot::Snapshot;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 65_536;
/// What is read of a file's end at first; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// Values of a column that repeat: more bytes than this are not worth a dictionary.
const MOST_DICTIONARY_BYTES: i64 = 64 << 10;

/// Where tables come from.
#[derive(Clone)]
pub(crate) enum Input {
    Snapshot(Arc<Snapshot>),
    /// Batches in the storage schema; a table that is not there has no rows.
    Tables(Arc<BTreeMap<TableId, Vec<RecordBatch>>>),
    /// A snapshot in which some rows are others.
    Overlaid(Arc<Overlaid>),
}

/// One table, ready to be read.
pub(crate) struct TableInput {
    catalog: Arc<Catalog>,
    id: TableId,
    /// Indexes of the columns that are read, rising.
    columns: Vec<usize>,
    /// For each column the entities whose key it is part of.
    keys: Vec<Vec<EntityId>>,
    /// Columns whose nulls are counted rather than refused: they are keys, or say when a row changed.
    may_be_null: Vec<bool>,
    /// Whether files may lack columns that may be null and place no row.
    may_lack: bool,
    pub rows: u64,
    parts: Vec<Part>,
}

enum Part {
    RowGroup {
        snapshot: Arc<Snapshot>,
        file: Arc<DataFile>,
        group: usize,
    },
    Batch(RecordBatch),
    /// A part of another input, without the rows that are replaced.
    Kept(Kept),
}

struct DataFile {
    path: Path,
    shown: String,
    size: u64,
    /// What its store says of its content: it changes when that does.
    stamp: String,
    metadata: ArrowReaderMetadata,
    /// For each column that is read: its place in the file, or the value that the path tells.
    places: Vec<Place>,
}

enum Place {
    Root(usize),
    Constant(Option<String>),
    /// The file does not have it.
    Nowhere,
}

impl Input {
    /// Opens a table for some of its columns, or tells all that is wrong with it.
    pub fn open(
        &self,
        catalog: &Arc<Catalog>,
        id: TableId,
        columns: &[usize],
    ) -> Result<TableInput, Vec<String>> {
        self.open_with(catalog, id, columns, false)
    }

    /// The same, but files may lack columns that may be null and that place no row: [`TableInput::lacking`] names
    /// them, and their nulls say nothing.
    pub fn open_lacking(
        &self,
        catalog: &Arc<Catalog>,
        id: TableId,
        columns: &[usize],
    ) -> Result<TableInput, Vec<String>> {
        self.open_with(catalog, id, columns, true)
    }

    fn open_with(
        &self,
        catalog: &Arc<Catalog>,
        id: TableId,
        columns: &[usize],
        may_lack: bool,
    ) -> Result<TableInput, Vec<String>> {
        let table = catalog.table(id);
        let mut input = TableInput {
            catalog: Arc::clone(catalog),
            id,
            columns: columns.to_vec(),
            keys: columns
                .iter()
                .map(|column| keys_of(table, *column))
                .collect(),
            may_be_null: columns
                .iter()
                .map(|column| may_be_null(table, *column))
                .collect(),
            may_lack,
            rows: 0,
            parts: Vec::new(),
        };
        match self {
            Input::Tables(tables) => {
                for batch in tables.get(&id).into_iter().flatten() {
                    input.rows += batch.num_rows() as u64;
                    input.parts.push(Part::Batch(batch.clone()));
                }
            }
            Input::Snapshot(snapshot) => input.open_files(snapshot)?,
            Input::Overlaid(overlaid) => input.open_overlaid(overlaid)?,
        }
        Ok(input)
    }
}

impl TableInput {
    fn table(&self) -> &Table {
        self.catalog.table(self.id)
    }

    fn open_files(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), Vec<String>> {
        let name = self.table().name.clone();
        let files = snapshot
            .files(&name)
            .map_err(|problem| vec![format!("{name}: {problem}")])?;
        let mut problems = Vec::new();
        for meta in files {
            match self.open_file(snapshot, meta) {
                Ok(file) => {
                    let groups = file.metadata.metadata().row_groups();
                    self.rows += groups
                        .iter()
                        .map(|group| group.num_rows() as u64)
                        .sum::<u64>();
                    let count = groups.len();
                    let file = Arc::new(file);
                    self.parts.extend((0..count).map(|group| Part::RowGroup {
                        snapshot: Arc::clone(snapshot),
                        file: Arc::clone(&file),
                        group,
                    }));
                }
                Err(found) => problems.extend(found),
            }
        }
        match snapshot.promised_rows(&name) {
            Some(promised) if problems.is_empty() && promised != self.rows => problems.push(format!(
                "{name}: manifest.json promises {promised} rows and there are {}; take the snapshot again",
                self.rows
            )),
            _ => {}
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    fn open_file(&self, snapshot: &Snapshot, meta: ObjectMeta) -> Result<DataFile, Vec<String>> {
        let shown = snapshot.show(&meta.location);
        let unreadable = |error: String| {
            vec![format!(
                "{shown}: cannot be read: {error}; write it again, or put back what was written"
            )]
        };
        let metadata = self.read_footer(snapshot, &meta).map_err(unreadable)?;
        let partitions = snapshot.partitions(&meta.location);
        let mut problems = Vec::new();
        let mut places = Vec::new();
        for (index, may_be_null) in self.columns.iter().zip(&self.may_be_null) {
            let column = &self.table().columns[*index];
            let may_lack = self.may_lack && column.nullable && !may_be_null;
            let fields = metadata.schema().fields();
            let root = fields.iter().position(|field| *field.name() == column.name);
            let told = partitions.iter().find(|(name, _)| *name == column.name);
            let place = match (root, told) {
                (Some(root), _) => {
                    fit::check(column, fields[root].data_type()).map(|()| Place::Root(root))
                }
                (None, Some((_, value))) => fit::constant(column, value.as_deref(), 0)
                    .map(|_| Place::Constant(value.clone())),
                (None, None) if may_lack => Ok(Place::Nowhere),
                (None, None) => Err("is missing".into()),
            };
            match place {
                Ok(place) => places.push(place),
                Err(problem) => problems.push(format!("{shown}: column {} {problem}", column.name)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(DataFile {
            path: meta.location,
            shown,
            size: meta.size,
            stamp: meta
                .e_tag
                .unwrap_or_else(|| meta.last_modified.to_rfc3339()),
            metadata,
            places,
        })
    }

    /// What a file says of itself. Its types are its own, not what some writer's hints would make of them,
    /// but for texts that repeat: those are read as dictionaries.
    fn read_footer(
        &self,
        snapshot: &Snapshot,
        meta: &ObjectMeta,
    ) -> Result<ArrowReaderMetadata, String> {
        let footer = Arc::new(read_footer(snapshot, meta)?);
        let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let said = |error: ParquetError| error.to_string();
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&footer), options()).map_err(said)?;
        let fields = plain.schema().fields();
        if fields.len() != plain.parquet_schema().num_columns() {
            return Ok(plain);
        }
        let hinted = fields.iter().enumerate().map(|(column, field)| {
            let text = *field.data_type() == DataType::Utf8 && self.is_plain_text(field.name());
            match text && repeats(&footer, column) {
                true => Arc::new(field.as_ref().clone().with_data_type(dictionary())),
                false => Arc::clone(field),
            }
        });
        let hinted = Arc::new(Schema::new(hinted.collect::<Vec<_>>()));
        ArrowReaderMetadata::try_new(footer, options().with_schema(hinted)).map_err(said)
    }

    /// Whether a column is read, and names neither an entity nor a row.
    fn is_plain_text(&self, name: &str) -> bool {
        let table = self.table();
        let column = table
            .column_index(name)
            .filter(|column| self.columns.contains(column));
        column.is_some_and(|column| {
            table.columns[column].kind == ColumnType::Text
                && !table.primary_key.contains(&column)
                && !table
                    .entities
                    .iter()
                    .any(|path| path.columns().contains(&column))
        })
    }

    /// What tells a part from others, its content changed among them, and how many rows it has.
    pub fn describe(&self, part: usize) -> (String, u64) {
        match &self.parts[part] {
            Part::Batch(batch) => (String::new(), batch.num_rows() as u64),
            Part::RowGroup { file, group, .. } => {
                let rows = file.metadata.metadata().row_group(*group).num_rows();
                let text = format!("{} {} {} {group}", file.shown, file.size, file.stamp);
                (text, rows as u64)
            }
            Part::Kept(kept) => kept.describe(),
        }
    }

    /// The columns of the table that the file of a part does not have, rising.
    pub fn lacking(&self, part: usize) -> Vec<usize> {
        let Part::RowGroup { file, .. } = &self.parts[part] else {
            return Vec::new();
        };
        let places = self.columns.iter().zip(&file.places);
        let lacking = places.filter(|(_, place)| matches!(place, Place::Nowhere));
        lacking.map(|(column, _)| *column).collect()
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Hands on the rows of a part, in storage types or as dictionaries of texts, keys in their normal form.
    pub fn read(
        &self,
        part: usize,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), String>,
    ) -> Result<(), String> {
        match &self.parts[part] {
            Part::Batch(batch) => {
                let columns = self
                    .columns
                    .iter()
                    .map(|column| Arc::clone(batch.column(*column)));
                each(self.ready(columns.collect(), batch.num_rows())?)
            }
            Part::RowGroup {
                snapshot,
                file,
                group,
            } => self
                .read_group(snapshot, file, *group, each)
                .map_err(|problem| format!("{}: {problem}", file.shown)),
            Part::Kept(kept) => kept.read(each),
        }
    }

    fn read_group(
        &self,
        snapshot: &Snapshot,
        file: &DataFile,
        group: usize,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), String>,
    ) -> Result<(), String> {
        let said = |error: ParquetError| format!("cannot be read: {error}");
        let roots = file.places.iter().filter_map(|place| match place {
            Place::Root(root) => Some(*root),
            Place::Constant(_) | Place::Nowhere => None,
        });
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), roots);
        let ranges = picked::ranges(file, group, &mask);
        let bytes = snapshot.read(&file.path, &ranges)?;
        let parts = ranges.iter().map(|range| range.start).zip(bytes).collect();
        let chunks = Chunks {
            length: file.size,
            parts,
        };
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, file.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(said)?;
        for batch in reader {
            let batch = batch.map_err(|error| format!("cannot be read: {error}"))?;
            each(self.of_file(file, &batch)?)?;
        }
        Ok(())
    }

    fn of_file(&self, file: &DataFile, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, place) in self.columns.iter().zip(&file.places) {
            let column = &self.table().columns[*index];
            let values = match place {
                Place::Constant(value) => fit::constant(column, value.as_deref(), batch.num_rows()),
                Place::Nowhere => fit::constant(column, None, batch.num_rows()),
                Place::Root(_) => match batch.column_by_name(&column.name) {
                    Some(found) => fit::to_storage(column, found),
                    None => Err("is missing".into()),
                },
            };
            columns.push(values.map_err(|problem| format!("column {}: {problem}", column.name))?);
        }
        self.ready(columns, batch.num_rows())
    }

    /// Checks nulls and brings keys to their normal form.
    fn ready(&self, mut columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
        let mut fields = Vec::with_capacity(columns.len());
        for (place, index) in self.columns.iter().enumerate() {
            let column = &self.table().columns[*index];
            let nulls = columns[place].null_count();
            if nulls > 0 && !column.nullable && !self.may_be_null[place] {
                return Err(format!(
                    "column {} holds nulls; mend the data, or declare it nullable",
                    column.name
                ));
            }
            if !self.keys[place].is_empty() {
                let entities: Vec<&Entity> = self.keys[place]
                    .iter()
                    .map(|entity| self.catalog.entity(*entity))
                    .collect();
                columns[place] = fit::normalised(&columns[place], &entities);
            }
            fields.push(Field::new(
                &column.name,
                columns[place].data_type().clone(),
                true,
            ));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| error.to_string())
    }
}

fn keys_of(table: &Table, column: usize) -> Vec<EntityId> {
    let paths = table.entities.iter().filter_map(|path| match path {
        EntityPath::Direct { entity, columns } if columns.contains(&column) => Some(*entity),
        _ => None,
    });
    paths.collect()
}

fn may_be_null(table: &Table, column: usize) -> bool {
    table.changed_at == Some(column)
        || table
            .entities
            .iter()
            .any(|path| path.columns().contains(&column))
}

fn read_footer(snapshot: &Snapshot, meta: &ObjectMeta) -> Result<ParquetMetaData, String> {
    let mut tail = TAIL_BYTES.min(meta.size);
    let mut reader = ParquetMetaDataReader::new();
    loop {
        let range = meta.size - tail..meta.size;
        let bytes = snapshot.read(&meta.location, std::slice::from_ref(&range))?;
        let bytes = bytes.into_iter().next().unwrap_or_default();
        match reader.try_parse_sized(&bytes, meta.size) {
            Ok(()) => break,
            Err(ParquetError::NeedMoreData(needed))
                if (needed as u64) > tail && needed as u64 <= meta.size =>
            {
                tail = needed as u64;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    reader.finish().map_err(|error| error.to_string())
}

/// Whether a column of a flat file holds few values, each of which it names once.
fn repeats(metadata: &ParquetMetaData, column: usize) -> bool {
    metadata.row_groups().iter().all(|group| {
        let chunk = group.column(column);
        let values = chunk
            .dictionary_page_offset()
            .map(|start| chunk.data_page_offset() - start);
        let pages = chunk.page_encoding_stats_mask().is_some_and(|mask| {
            mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
        });
        pages && values.is_some_and(|bytes| bytes <= MOST_DICTIONARY_BYTES)
    })
}

/// The parts of a file that were read, at their places.
struct Chunks {
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        self.parts
            .iter()
            .find(|(at, bytes)| (*at..*at + bytes.len() as u64).contains(&start))
            .map(|(at, bytes)| bytes.slice((start - at) as usize..))
            .ok_or_else(|| ParquetError::General(format!("nothing was read at byte {start}")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Reader<Bytes>, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at byte {start}")));
        }
        Ok(bytes.slice(..length))
    }
}
