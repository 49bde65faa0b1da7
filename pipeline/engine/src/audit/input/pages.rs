//! The pages of some columns of a row group. A page of which no row is wanted must not hide that it is damaged, so pages
//! that are passed over can be unpacked all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::super::snapshot::Snapshot;
use super::picked::ranges;
use super::{Chunks, DataFile, Part, Place, TableInput};

/// Columns of a row group, ready to be decoded.
pub(super) struct Columns<'f> {
    metadata: &'f ParquetMetaData,
    group: usize,
    /// By the leaf's number.
    leaves: BTreeMap<usize, Arc<Mutex<Pages>>>,
}

/// The pages of one column.
struct Pages {
    pages: SerializedPageReader<Chunks>,
    /// Whether those that are passed over are unpacked.
    thorough: bool,
    /// Values in pages that were unpacked.
    values: i64,
}

impl<'f> Columns<'f> {
    /// Reads the columns' bytes. With `thorough` every page is unpacked, at the latest by [`Columns::finish`].
    pub fn open(
        snapshot: &Snapshot,
        file: &'f DataFile,
        group: usize,
        mask: &ProjectionMask,
        thorough: bool,
    ) -> Result<Columns<'f>, String> {
        let metadata = file.metadata.metadata();
        let row_group = metadata.row_group(group);
        let rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        let ranges = ranges(file, group, mask);
        let bytes = snapshot.read(&file.path, &ranges)?;
        let chunks = Arc::new(Chunks {
            length: file.size,
            parts: ranges.iter().map(|range| range.start).zip(bytes).collect(),
        });
        let mut leaves = BTreeMap::new();
        for (leaf, chunk) in row_group.columns().iter().enumerate() {
            if mask.leaf_included(leaf) {
                let pages = SerializedPageReader::new(Arc::clone(&chunks), chunk, rows, None);
                let pages = Pages {
                    pages: pages.map_err(|error| unreadable(row_group, leaf, &error))?,
                    thorough,
                    values: 0,
                };
                leaves.insert(leaf, Arc::new(Mutex::new(pages)));
            }
        }
        Ok(Columns {
            metadata,
            group,
            leaves,
        })
    }

    /// Unpacks what nobody has asked for, where that is wanted.
    pub fn finish(&self) -> Result<(), String> {
        let row_group = self.metadata.row_group(self.group);
        for (leaf, pages) in &self.leaves {
            let mut pages = locked(pages);
            if !pages.thorough {
                continue;
            }
            let said = |error: ParquetError| unreadable(row_group, *leaf, &error);
            while pages.next_page().map_err(said)?.is_some() {}
            let promised = row_group.column(*leaf).num_values();
            if pages.values != promised {
                let problem = format!("{} of {promised} values", pages.values);
                return Err(said(ParquetError::General(problem)));
            }
        }
        Ok(())
    }
}

fn unreadable(group: &RowGroupMetaData, leaf: usize, error: &ParquetError) -> String {
    let column = group.column(leaf).column_path().string();
    format!("column {column} cannot be read: {error}")
}

fn locked(pages: &Mutex<Pages>) -> MutexGuard<'_, Pages> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RowGroups for Columns<'_> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.group).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let pages = self.leaves.get(&leaf).ok_or_else(|| {
            ParquetError::General(format!("column {leaf} of the file was not read"))
        })?;
        Ok(Box::new(OneChunk(Some(SharedPages(Arc::clone(pages))))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

impl Pages {
    fn next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = page.as_ref().filter(|page| page.is_data_page()) {
            self.values += i64::from(page.num_values());
        }
        Ok(page)
    }
}

/// The pages of one column, for a decoder; who opened them has them, too.
struct SharedPages(Arc<Mutex<Pages>>);

impl Iterator for SharedPages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<ParquetResult<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for SharedPages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        locked(&self.0).next_page()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        locked(&self.0).pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        let mut pages = locked(&self.0);
        match pages.thorough {
            true => pages.next_page().map(|_| ()),
            false => pages.pages.skip_next_page(),
        }
    }

    fn at_record_boundary(&mut self) -> ParquetResult<bool> {
        locked(&self.0).pages.at_record_boundary()
    }
}

/// The one chunk of a column that a row group has.
struct OneChunk(Option<SharedPages>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let pages: Box<dyn PageReader> = Box::new(self.0.take()?);
        Some(Ok(pages))
    }
}

impl PageIterator for OneChunk {}

impl TableInput {
    /// Unpacks every page of the columns that are read and that `wanted` names by their indexes in the table, without
    /// looking at their values.
    pub fn check_pages(&self, part: usize, wanted: &dyn Fn(usize) -> bool) -> Result<(), String> {
        let Part::RowGroup {
            snapshot,
            file,
            group,
        } = &self.parts[part]
        else {
            return Ok(());
        };
        let positions = 0..self.columns.len();
        let positions = positions.filter(|position| wanted(self.columns[*position]));
        self.check_columns(snapshot, file, *group, positions)
            .map_err(|problem| format!("{}: {problem}", file.shown))
    }

    /// The same of columns by their positions among those that are read, one after the other.
    pub(super) fn check_columns(
        &self,
        snapshot: &Snapshot,
        file: &DataFile,
        group: usize,
        positions: impl Iterator<Item = usize>,
    ) -> Result<(), String> {
        for position in positions {
            if let Place::Root(root) = file.places[position] {
                let mask = ProjectionMask::roots(file.metadata.parquet_schema(), [root]);
                Columns::open(snapshot, file, group, &mask, true)?.finish()?;
            }
        }
        Ok(())
    }
}
