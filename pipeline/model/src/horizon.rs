use crate::{SourceId, TableId};

/// Whose rows from before some time may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HorizonOf {
    /// All tables of a source: it was not read from its beginning.
    Source(SourceId),
    /// One table: its part of the source was not read from its beginning.
    Table(TableId),
    /// One table whose rows as of that time were read from a snapshot; what they were before nobody knows.
    Snapshot(TableId),
}
