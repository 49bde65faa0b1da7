//! Row changes, held by column.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::{LostColumns, Origin, TableId, Timestamp};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// A row came into being; also every event.
    Insert = 0,
    /// A row changed.
    Update = 1,
    /// A row is gone.
    Delete = 2,
    /// A row as a snapshot had it.
    Snapshot = 3,
}

/// Where a change stands in the order of its source. A row gives way only to a higher version, so
/// that a replay cannot roll it back. Events all have the default version: they are told apart by
/// their message id alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Rises when the source starts a new history (a restored database, a new server).
    pub epoch: u32,
    /// The transaction's place in its source (binlog order).
    pub sequence: u64,
    /// The row's place in its transaction.
    pub ordinal: u32,
}

/// The row images of some changes. `row[i]` is the row in `rows` that belongs to change `i`.
#[derive(Clone, Debug)]
pub struct Images {
    /// Columns in catalog order, in the catalog's storage types; normalised entity keys.
    pub rows: RecordBatch,
    /// For each change its row in `rows`, or `None` where the change has no such image.
    pub row: Vec<Option<u32>>,
}

/// Changes of one table, in delivery order; all vectors have one entry per change.
#[derive(Clone, Debug)]
pub struct TableChanges {
    /// The table they belong to.
    pub table: TableId,
    /// What happened.
    pub operations: Vec<Operation>,
    /// Order within the source.
    pub versions: Vec<Version>,
    /// Commit time on the source's clock.
    pub committed_at: Vec<Timestamp>,
    /// The row before, for updates and deletions.
    pub before: Images,
    /// The row after, for insertions, updates and snapshot rows.
    pub after: Images,
    /// The changes whose row after lacks columns, by index, rising; all others are whole.
    pub lost: Vec<(u32, LostColumns)>,
    /// Who made them: each origin is that of the change with this index and of those behind it, up to the next one.
    /// Of changes before the first, nothing is known.
    pub origins: Vec<(u32, Option<Arc<Origin>>)>,
}

impl TableChanges {
    /// How many changes these are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Who made each change, in order.
    pub fn origins(&self) -> impl Iterator<Item = Option<&Origin>> {
        let mut runs = self.origins.iter().peekable();
        let mut known = None;
        (0..self.len() as u32).map(move |index| {
            while let Some((_, origin)) = runs.next_if(|(first, _)| *first <= index) {
                known = origin.as_deref();
            }
            known
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
