use crate::{Hole, HorizonOf, Note, Positions, SourceId, TableChanges, TableShape, Timestamp};

/// The changes since the last micro-batch, by table, with the positions they reach. It never splits a
/// source transaction, and it is committed as a whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct MicroBatch {
    /// Changes by table; only tables that have some.
    pub tables: Vec<TableChanges>,
    /// Records that could not be read.
    pub holes: Vec<Hole>,
    /// Commit times up to which everything of a source has been read; only sources that moved.
    pub progress: Vec<(SourceId, Timestamp)>,
    /// What was committed before these times may be missing; only where that was said.
    pub horizons: Vec<(HorizonOf, Timestamp)>,
    /// The shapes of physical tables, in the order in which they were seen; those of its rows are among them.
    pub shapes: Vec<TableShape>,
    /// What else was noticed of tables' shapes.
    pub notes: Vec<Note>,
    /// Where to resume once this batch is committed.
    pub positions: Positions,
    /// Bytes of input that this batch stands for.
    pub bytes: u64,
}

impl MicroBatch {
    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.tables.iter().map(crate::TableChanges::len).sum()
    }

    /// Whether it carries nothing at all, not even progress.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
            && self.holes.is_empty()
            && self.progress.is_empty()
            && self.horizons.is_empty()
            && self.shapes.is_empty()
            && self.notes.is_empty()
    }
}
