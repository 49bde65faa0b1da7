//! Whether a file of the archive is the one that its manifest names: by what its footer says.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use centinel_model::{Duration, Timestamp};
use centinel_outlet::archive::{CHANGE, COMMITTED_AT, Location, ManifestFile};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

const HOUR: Duration = Duration::seconds(3_600);
/// Read at once from the end of a file: nearly every footer fits in.
const FOOTER_BYTES: u64 = 16 << 10;

/// So many columns say who made a change.
const MADE_BY: usize = 4;

/// What must be so in a file of the archive.
pub(crate) struct Promised<'a> {
    pub file: &'a ManifestFile,
    /// Beginning of the file's hour.
    pub hour: Timestamp,
    /// The numbers of the changes in its segment.
    pub changes: Range<u64>,
    /// Its columns, as of when it was written.
    pub schema: SchemaRef,
}

impl Promised<'_> {
    /// An error where the file is another, or damaged.
    pub async fn check(&self, location: &Location) -> Result<(), String> {
        let (path, schema) = (&self.file.path, &self.schema);
        let read = self.footer(location).await.and_then(|footer| {
            ArrowReaderMetadata::try_new(Arc::new(footer), ArrowReaderOptions::new())
                .map_err(|error| error.to_string())
        });
        let found = read.map_err(|why| {
            format!("{path} cannot be read: {why}: put the file back that was written")
        })?;
        let wrong = |what: &str| {
            Err(format!(
                "{path} is not the file that its manifest names, {what}: put that back"
            ))
        };
        // Earlier versions did not write who made a change, which stands last.
        let (there, all) = (found.schema().fields(), schema.fields());
        let whole = there.len() == all.len() || there.len() + MADE_BY == all.len();
        if !whole || there[..] != all[..there.len()] {
            return wrong("it has other columns");
        }
        let rows: i64 = found
            .metadata()
            .row_groups()
            .iter()
            .map(|rows| rows.num_rows())
            .sum();
        if u64::try_from(rows) != Ok(self.file.rows) {
            return wrong(&format!("it holds {rows} changes, not {}", self.file.rows));
        }
        let whole = |range: &Range<u64>| range.start as i64..range.end as i64;
        if !lies_in(found.metadata(), schema, CHANGE, &whole(&self.changes)) {
            return wrong("its changes have numbers of another segment");
        }
        let hour = self.hour.0..self.hour.plus(HOUR).0;
        if !lies_in(found.metadata(), schema, COMMITTED_AT, &hour) {
            return wrong("its changes are of another hour");
        }
        Ok(())
    }

    async fn footer(&self, location: &Location) -> Result<ParquetMetaData, String> {
        let (path, size) = (&self.file.path, self.file.bytes);
        let mut wanted = FOOTER_BYTES.min(size);
        loop {
            let end = location.get_range(path, size - wanted..size).await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&end, size) {
                Ok(()) => return reader.finish().map_err(|error| error.to_string()),
                // More each time, and never more than there is.
                Err(ParquetError::NeedMoreData(more))
                    if (wanted + 1..=size).contains(&(more as u64)) =>
                {
                    wanted = more as u64;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Whether all values of a column of whole numbers lie in a range, as the footer tells; it always does.
fn lies_in(found: &ParquetMetaData, schema: &SchemaRef, name: &str, range: &Range<i64>) -> bool {
    let Ok(column) = schema.index_of(name) else {
        return false;
    };
    found.row_groups().iter().all(|rows| {
        let statistics = rows
            .columns()
            .get(column)
            .and_then(|column| column.statistics());
        let Some(Statistics::Int64(values)) = statistics else {
            return false;
        };
        let ends = values.min_opt().zip(values.max_opt());
        ends.is_some_and(|(least, most)| range.contains(least) && range.contains(most))
    })
}
