//! Whether a part can be read to its end: every page of every wanted column is there and can be unpacked.

use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

use super::picked::ranges;
use super::{Chunks, Part, Place, TableInput};

impl TableInput {
    /// Unpacks every page of the columns that are read, without looking at their values: a page of which no row is wanted
    /// must not hide that it is damaged.
    pub fn check_pages(&self, part: usize) -> Result<(), String> {
        let Part::RowGroup {
            snapshot,
            file,
            group,
        } = &self.parts[part]
        else {
            return Ok(());
        };
        let roots = file.places.iter().filter_map(|place| match place {
            Place::Root(root) => Some(*root),
            Place::Constant(_) | Place::Nowhere => None,
        });
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), roots);
        let row_group = file.metadata.metadata().row_group(*group);
        let rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        for (leaf, chunk) in row_group.columns().iter().enumerate() {
            if !mask.leaf_included(leaf) {
                continue;
            }
            let said = |error: ParquetError| {
                format!(
                    "{}: column {} cannot be read: {error}",
                    file.shown,
                    chunk.column_path().string()
                )
            };
            let one = ProjectionMask::leaves(file.metadata.parquet_schema(), [leaf]);
            let ranges = ranges(file, *group, &one);
            let bytes = snapshot
                .read(&file.path, &ranges)
                .map_err(|problem| format!("{}: {problem}", file.shown))?;
            let chunks = Chunks {
                length: file.size,
                parts: ranges.iter().map(|range| range.start).zip(bytes).collect(),
            };
            let mut pages =
                SerializedPageReader::new(Arc::new(chunks), chunk, rows, None).map_err(said)?;
            let mut values = 0;
            while let Some(page) = pages.get_next_page().map_err(said)? {
                if page.is_data_page() {
                    values += i64::from(page.num_values());
                }
            }
            if values != chunk.num_values() {
                let problem = format!("{values} of {} values", chunk.num_values());
                return Err(said(ParquetError::General(problem)));
            }
        }
        Ok(())
    }
}
