//! A Parquet snapshot: the current row of every table as of one moment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{
    ArrayRef, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::key::Key;
use crate::record::{Delivered, Record};
use crate::row::{Row, Value};
use crate::table::{Column, ColumnKind, Table};
use crate::text::{TimeStyle, push_time, to_text};

const BATCH_ROWS: usize = 16_384;
const ROW_GROUP_ROWS: usize = 1_048_576;
/// Batches that wait for the writing thread; more would only cost memory.
const WAITING_BATCHES: usize = 16;

/// Why a snapshot could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rows could not be encoded.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The columns do not fit the schema.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// The writing thread ended before its time.
    #[error("the writing thread ended before its time")]
    Thread,
}

/// Writes one Parquet file for each table and event, and `manifest.json`.
///
/// Only rows that may still change are held in memory.
pub struct SnapshotWriter {
    folder: PathBuf,
    as_of: Option<i64>,
    tables: Vec<Table>,
    open: HashMap<(Table, Key), Row>,
    batches: [Vec<Row>; Table::ALL.len()],
    rows: [u64; Table::ALL.len()],
    sender: SyncSender<(Table, Vec<Row>)>,
    thread: JoinHandle<Result<(), SnapshotError>>,
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::File { path, source }
}

impl SnapshotWriter {
    /// Begins a snapshot of `tables` in `folder`, which is made if it does not exist. Records committed after
    /// `as_of` are left out.
    pub fn create(
        folder: &Path,
        tables: &[Table],
        as_of: Option<i64>,
    ) -> Result<SnapshotWriter, SnapshotError> {
        std::fs::create_dir_all(folder).map_err(file_error(folder))?;
        let mut files = HashMap::new();
        for table in tables {
            files.insert(*table, TableFile::create(folder, *table)?);
        }
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        Ok(SnapshotWriter {
            folder: folder.to_owned(),
            as_of,
            tables: tables.to_vec(),
            open: HashMap::new(),
            batches: std::array::from_fn(|_| Vec::new()),
            rows: [0; Table::ALL.len()],
            sender,
            thread: std::thread::spawn(move || write_batches(files, receiver)),
        })
    }

    /// Takes the next record of a history that repeats nothing.
    pub fn write(&mut self, delivered: &Delivered) -> Result<(), SnapshotError> {
        let Some(row) = delivered.record.row() else {
            return Ok(());
        };
        let late = self
            .as_of
            .is_some_and(|as_of| delivered.record.committed_at() > as_of);
        if late || !self.tables.contains(&row.table()) {
            return Ok(());
        }
        match &delivered.record {
            Record::Change(change) => {
                let name = (row.table(), row.primary_key());
                if !change.closes {
                    self.open.insert(name, *row);
                    return Ok(());
                }
                if change.before.is_some() {
                    self.open.remove(&name);
                }
                self.push(*row)
            }
            _ => self.push(*row),
        }
    }

    fn push(&mut self, row: Row) -> Result<(), SnapshotError> {
        let table = row.table();
        self.rows[table as usize] += 1;
        let batch = &mut self.batches[table as usize];
        batch.push(row);
        if batch.len() < BATCH_ROWS {
            return Ok(());
        }
        self.send(table)
    }

    fn send(&mut self, table: Table) -> Result<(), SnapshotError> {
        let batch = std::mem::take(&mut self.batches[table as usize]);
        self.sender
            .send((table, batch))
            .map_err(|_| SnapshotError::Thread)
    }

    /// Writes the rows that may still change, ends the files and writes the manifest. `end` is the time that the
    /// history had reached, used where no as-of time was asked for. Rows written, by table.
    pub fn finish(mut self, end: i64) -> Result<Vec<(Table, u64)>, SnapshotError> {
        let mut rest: Vec<_> = self.open.drain().collect();
        rest.sort_by_key(|(name, _)| *name);
        for (_, row) in rest {
            self.push(row)?;
        }
        for table in self.tables.clone() {
            self.send(table)?;
        }
        drop(self.sender);
        self.thread.join().map_err(|_| SnapshotError::Thread)??;
        let counts: Vec<(Table, u64)> = self
            .tables
            .iter()
            .map(|table| (*table, self.rows[*table as usize]))
            .collect();
        write_manifest(&self.folder, self.as_of.unwrap_or(end), &counts)?;
        Ok(counts)
    }
}

fn write_manifest(folder: &Path, as_of: i64, counts: &[(Table, u64)]) -> Result<(), SnapshotError> {
    let as_of = to_text(|out| push_time(out, as_of, TimeStyle::Rfc3339));
    let tables: Vec<String> = counts
        .iter()
        .map(|(table, rows)| {
            format!(
                "    \"{}\": {{\"as_of\": \"{as_of}\", \"rows\": {rows}}}",
                table.name()
            )
        })
        .collect();
    let text = format!(
        "{{\n  \"centinel\": \"snapshot/1\",\n  \"as_of\": \"{as_of}\",\n  \"tables\": {{\n{}\n  }}\n}}\n",
        tables.join(",\n")
    );
    let path = folder.join("manifest.json");
    std::fs::write(&path, text).map_err(file_error(&path))
}

fn write_batches(
    mut files: HashMap<Table, TableFile>,
    receiver: Receiver<(Table, Vec<Row>)>,
) -> Result<(), SnapshotError> {
    for (table, rows) in receiver {
        if let Some(file) = files.get_mut(&table) {
            file.write(&rows)?;
        }
    }
    files.into_values().try_for_each(TableFile::close)
}

/// The Parquet file of one table.
struct TableFile {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<BufWriter<File>>,
    columns: Vec<ColumnBuilder>,
    values: Vec<Value>,
    text: Vec<u8>,
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Decimal { precision, scale } => {
            DataType::Decimal128(precision, scale.cast_signed())
        }
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// Columns whose texts hardly repeat gain nothing from a dictionary.
fn is_number_text(column: &Column) -> bool {
    column.kind == ColumnKind::Text
        && column.name != "merchant_no"
        && (column.name.ends_with("_no")
            || matches!(column.name, "message_id" | "payer_account" | "bank_card"))
}

fn properties(table: Table) -> Result<WriterProperties, SnapshotError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("simulate".to_owned());
    for column in table.columns() {
        if is_number_text(column) {
            properties = properties.set_column_dictionary_enabled(column.name.into(), false);
        }
    }
    Ok(properties.build())
}

impl TableFile {
    fn create(folder: &Path, table: Table) -> Result<TableFile, SnapshotError> {
        let path = folder.join(format!("{}.parquet", table.name()));
        let file = File::create(&path).map_err(file_error(&path))?;
        let field =
            |column: &Column| Field::new(column.name, data_type(column.kind), column.nullable);
        let schema = Arc::new(Schema::new(
            table.columns().iter().map(field).collect::<Vec<_>>(),
        ));
        let writer = ArrowWriter::try_new(
            BufWriter::new(file),
            schema.clone(),
            Some(properties(table)?),
        )?;
        let columns = table
            .columns()
            .iter()
            .map(|column| ColumnBuilder::new(column.kind))
            .collect();
        Ok(TableFile {
            path,
            schema,
            writer,
            columns,
            values: Vec::new(),
            text: Vec::new(),
        })
    }

    fn write(&mut self, rows: &[Row]) -> Result<(), SnapshotError> {
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            row.values(&mut self.values);
            for (column, value) in self.columns.iter_mut().zip(&self.values) {
                column.push(value, &mut self.text);
            }
        }
        let columns = self.columns.iter_mut().zip(self.schema.fields());
        let arrays = columns
            .map(|(column, field)| column.finish(field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        self.writer
            .write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        Ok(())
    }

    fn close(self) -> Result<(), SnapshotError> {
        self.writer
            .into_inner()?
            .flush()
            .map_err(file_error(&self.path))
    }
}

/// Gathers the values of one column.
enum ColumnBuilder {
    Text(StringBuilder),
    Decimal(Decimal128Builder),
    Integer(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    fn new(kind: ColumnKind) -> ColumnBuilder {
        match kind {
            ColumnKind::Text => ColumnBuilder::Text(StringBuilder::new()),
            ColumnKind::Decimal { .. } => ColumnBuilder::Decimal(Decimal128Builder::new()),
            ColumnKind::Integer => ColumnBuilder::Integer(Int64Builder::new()),
            ColumnKind::Timestamp => ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Appends a value; one of another kind than the column's counts as null and is refused where null is not allowed.
    fn push(&mut self, value: &Value, text: &mut Vec<u8>) {
        match (self, value) {
            (ColumnBuilder::Decimal(builder), Value::Decimal { units, .. }) => {
                builder.append_value(i128::from(*units))
            }
            (ColumnBuilder::Decimal(builder), _) => builder.append_null(),
            (ColumnBuilder::Integer(builder), Value::Integer(number)) => {
                builder.append_value(*number)
            }
            (ColumnBuilder::Integer(builder), _) => builder.append_null(),
            (ColumnBuilder::Timestamp(builder), Value::Timestamp(micros)) => {
                builder.append_value(*micros)
            }
            (ColumnBuilder::Timestamp(builder), _) => builder.append_null(),
            (ColumnBuilder::Text(builder), Value::Null) => builder.append_null(),
            (ColumnBuilder::Text(builder), value) => {
                text.clear();
                value.push_text(text, TimeStyle::Rfc3339);
                builder.append_option(std::str::from_utf8(text).ok());
            }
        }
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, SnapshotError> {
        Ok(match (self, data_type) {
            (ColumnBuilder::Decimal(builder), DataType::Decimal128(precision, scale)) => Arc::new(
                builder
                    .finish()
                    .with_precision_and_scale(*precision, *scale)?,
            ),
            (ColumnBuilder::Decimal(builder), _) => Arc::new(builder.finish()),
            (ColumnBuilder::Text(builder), _) => Arc::new(builder.finish()),
            (ColumnBuilder::Integer(builder), _) => Arc::new(builder.finish()),
            (ColumnBuilder::Timestamp(builder), _) => {
                Arc::new(builder.finish().with_timezone("UTC"))
            }
        })
    }
}
