//! Rows of several tables, gathered as ranges of decoded columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use centinel_model::{Images, LostColumns, Origin, TableChanges, TableId};

/// Some consecutive changes of one decoded table.
#[derive(Clone, Debug)]
struct Piece {
    changes: Arc<TableChanges>,
    range: Range<usize>,
}

/// Changes by table, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    tables: Vec<(TableId, Vec<Piece>)>,
}

impl Gather {
    /// Adds one change.
    pub(crate) fn add(&mut self, changes: &Arc<TableChanges>, row: u32) {
        let range = row as usize..row as usize + 1;
        let pieces = self.pieces(changes.table);
        if !extend(pieces, changes, &range) {
            pieces.push(Piece {
                changes: Arc::clone(changes),
                range,
            });
        }
    }

    /// Adds everything that was gathered elsewhere.
    pub(crate) fn append(&mut self, other: Gather) {
        for (table, added) in other.tables {
            let pieces = self.pieces(table);
            for piece in added {
                if !extend(pieces, &piece.changes, &piece.range) {
                    pieces.push(piece);
                }
            }
        }
    }

    /// The tables that have changes.
    pub(crate) fn tables(&self) -> impl Iterator<Item = TableId> {
        self.tables.iter().map(|(table, _)| *table)
    }

    /// The changes of each table, put together.
    pub(crate) fn finish(self) -> Result<Vec<TableChanges>, ArrowError> {
        self.tables
            .into_iter()
            .map(|(_, pieces)| join(&pieces))
            .collect()
    }

    /// The same changes in memory of their own, so that the chunks they came from can go.
    pub(crate) fn detached(self) -> Result<Gather, ArrowError> {
        let mut detached = Gather::default();
        for (table, pieces) in self.tables {
            let mut changes = join(&pieces)?;
            changes.before.rows = copied(&changes.before.rows)?;
            changes.after.rows = copied(&changes.after.rows)?;
            let range = 0..changes.len();
            detached.tables.push((
                table,
                vec![Piece {
                    changes: Arc::new(changes),
                    range,
                }],
            ));
        }
        Ok(detached)
    }

    fn pieces(&mut self, table: TableId) -> &mut Vec<Piece> {
        let index = self
            .tables
            .iter()
            .position(|(id, _)| *id == table)
            .unwrap_or_else(|| {
                self.tables.push((table, Vec::new()));
                self.tables.len() - 1
            });
        &mut self.tables[index].1
    }
}

/// Makes the last piece longer if the range follows it; says whether it did.
fn extend(pieces: &mut [Piece], changes: &Arc<TableChanges>, range: &Range<usize>) -> bool {
    let Some(last) = pieces.last_mut() else {
        return false;
    };
    let follows = last.range.end == range.start && Arc::ptr_eq(&last.changes, changes);
    if follows {
        last.range.end = range.end;
    }
    follows
}

fn copied(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let all = UInt32Array::from_iter_values(0..rows.num_rows() as u32);
    take_record_batch(rows, &all)
}

fn join(pieces: &[Piece]) -> Result<TableChanges, ArrowError> {
    fn all<'a, T: Copy + 'a>(
        pieces: &'a [Piece],
        of: impl Fn(&'a TableChanges) -> &'a [T],
    ) -> Vec<T> {
        let mut joined = Vec::with_capacity(pieces.iter().map(|piece| piece.range.len()).sum());
        pieces
            .iter()
            .for_each(|piece| joined.extend_from_slice(&of(&piece.changes)[piece.range.clone()]));
        joined
    }
    Ok(TableChanges {
        table: pieces[0].changes.table,
        operations: all(pieces, |changes| &changes.operations),
        versions: all(pieces, |changes| &changes.versions),
        committed_at: all(pieces, |changes| &changes.committed_at),
        before: join_images(pieces, |changes| &changes.before)?,
        after: join_images(pieces, |changes| &changes.after)?,
        lost: join_lost(pieces),
        origins: join_origins(pieces),
    })
}

fn join_lost(pieces: &[Piece]) -> Vec<(u32, LostColumns)> {
    let (mut joined, mut base) = (Vec::new(), 0);
    for Piece { changes, range } in pieces {
        let before = |end: usize| {
            let lost = &changes.lost;
            lost.partition_point(|(index, _)| (*index as usize) < end)
        };
        let own = &changes.lost[before(range.start)..before(range.end)];
        let moved = |index: u32| index - range.start as u32 + base;
        joined.extend(
            own.iter()
                .map(|(index, columns)| (moved(*index), Arc::clone(columns))),
        );
        base += range.len() as u32;
    }
    joined
}

fn join_origins(pieces: &[Piece]) -> Vec<(u32, Option<Arc<Origin>>)> {
    let (mut joined, mut base) = (Vec::<(u32, Option<Arc<Origin>>)>::new(), 0);
    for Piece { changes, range } in pieces {
        let runs = &changes.origins;
        let begun = runs.partition_point(|(first, _)| *first as usize <= range.start);
        let ended = runs.partition_point(|(first, _)| (*first as usize) < range.end);
        let known = begun.checked_sub(1).and_then(|run| runs[run].1.clone());
        let moved = runs[begun..ended.max(begun)]
            .iter()
            .map(|(first, origin)| (first - range.start as u32 + base, origin.clone()));
        for (first, origin) in std::iter::once((base, known)).chain(moved) {
            if joined.last().and_then(|(_, last)| last.as_ref()) != origin.as_ref() {
                joined.push((first, origin));
            }
        }
        base += range.len() as u32;
    }
    joined
}

fn join_images(
    pieces: &[Piece],
    of: impl Fn(&TableChanges) -> &Images,
) -> Result<Images, ArrowError> {
    let mut row = Vec::with_capacity(pieces.iter().map(|piece| piece.range.len()).sum());
    let mut slices = Vec::with_capacity(pieces.len());
    let mut base = 0;
    for piece in pieces {
        let images = of(&piece.changes);
        let indexes = &images.row[piece.range.clone()];
        // Image rows stand in the order of their changes, so a range of these is a range of those.
        let first = indexes.iter().flatten().next().copied().unwrap_or(0);
        let end = indexes
            .iter()
            .rev()
            .flatten()
            .next()
            .map_or(0, |last| last + 1);
        row.extend(
            indexes
                .iter()
                .map(|index| index.map(|index| index - first + base)),
        );
        slices.push(images.rows.slice(first as usize, (end - first) as usize));
        base += end - first;
    }
    let rows = match &slices[..] {
        [one] => one.clone(),
        several => concat_batches(&several[0].schema(), several)?,
    };
    Ok(Images { rows, row })
}
