//! A whole segment → one Parquet file for each table and hour of commit time. The same segment always gives
//! the same names and bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use centinel_model::{TableId, Timestamp};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::columns::COMMITTED_AT;
use super::form::ManifestFile;
use super::spool::{Frame, frames_of, read_frame};

const HOUR: i64 = 3_600_000_000;
const ZSTD_LEVEL: i32 = 3;

/// Gives the files of a segment to `each`, one after the other, and returns what the manifest says of them.
/// `spool` is the segment's file, `name` the name of a table.
pub(super) fn write_files(
    spool: &Path,
    segment: u64,
    name: &dyn Fn(TableId) -> String,
    each: &mut dyn FnMut(&str, Bytes) -> io::Result<()>,
) -> io::Result<Vec<ManifestFile>> {
    let mut by_table: BTreeMap<TableId, Vec<Frame>> = BTreeMap::new();
    for frame in frames_of(spool)? {
        by_table.entry(frame.table).or_default().push(frame);
    }
    let mut files = Vec::new();
    for (table, frames) in by_table {
        let table = name(table);
        let mut file = File::open(spool)?;
        let mut by_hour: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
        for frame in &frames {
            split(read_frame(spool, &mut file, frame)?, &mut by_hour)?;
        }
        for (hour, rows) in by_hour {
            let bytes = parquet(&rows).map_err(io::Error::other)?;
            let path = path_of(&table, hour, segment)?;
            files.push(ManifestFile {
                path: path.clone(),
                table: table.clone(),
                hour: Timestamp(hour * HOUR).to_string(),
                rows: rows.iter().map(|batch| batch.num_rows() as u64).sum(),
                bytes: bytes.len() as u64,
            });
            each(&path, bytes)?;
        }
    }
    Ok(files)
}

/// Adds the rows to those of their hours, counted from 1970.
fn split(rows: RecordBatch, by_hour: &mut BTreeMap<i64, Vec<RecordBatch>>) -> io::Result<()> {
    let times = rows
        .column_by_name(COMMITTED_AT)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| io::Error::other("the spool holds changes without a commit time"))?;
    let mut hours: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, time) in times.values().iter().enumerate() {
        hours
            .entry(time.div_euclid(HOUR))
            .or_default()
            .push(row as u32);
    }
    if let (1, Some((hour, _))) = (hours.len(), hours.first_key_value()) {
        by_hour.entry(*hour).or_default().push(rows);
        return Ok(());
    }
    for (hour, places) in hours {
        let part = take_record_batch(&rows, &UInt32Array::from(places));
        let part = part.map_err(io::Error::other)?;
        by_hour.entry(hour).or_default().push(part);
    }
    Ok(())
}

/// The rows with all columns. An earlier version of the program, which began the segment, knew fewer; those that it did
/// not know stand last.
fn filled(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let missing = schema.fields().iter().skip(rows.num_columns());
    let nulls = missing.map(|field| new_null_array(field.data_type(), rows.num_rows()));
    let columns = rows.columns().iter().cloned().chain(nulls);
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

fn path_of(table: &str, hour: i64, segment: u64) -> io::Result<String> {
    let time = DateTime::from_timestamp_micros(hour * HOUR)
        .ok_or_else(|| io::Error::other("a commit time beyond all years"))?;
    let partition = time.format("date=%Y-%m-%d/hour=%H");
    Ok(format!("table={table}/{partition}/{segment:012}.parquet"))
}

fn parquet(rows: &[RecordBatch]) -> parquet::errors::Result<Bytes> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("centinel".into())
        .build();
    let fullest = rows.iter().max_by_key(|batch| batch.num_columns());
    let Some(schema) = fullest.map(RecordBatch::schema) else {
        return Ok(Bytes::new());
    };
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(properties))?;
    for batch in rows {
        writer.write(&filled(batch, &schema)?)?;
    }
    writer.close()?;
    Ok(bytes.into())
}
