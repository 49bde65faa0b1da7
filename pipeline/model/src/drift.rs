//! How the tables of a platform differ from their schemas.

use std::sync::Arc;

use crate::{Position, TableId, Timestamp};

/// Columns of a row that its source could not give, because its table has another shape than its schema says:
/// indexes in the schema, rising, each once. In the row they are null.
pub type LostColumns = Arc<[usize]>;

/// The shape of a physical table, as rows of one input were seen to have it from a place on. It is told again with
/// each chunk, so that none depends on another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// The table of the schemas.
    pub table: TableId,
    /// The platform's own table, as `database.table`; the event's name for an event.
    pub physical: Arc<str>,
    /// Name of the input.
    pub input: String,
    /// Where the first row stands that was seen so.
    pub position: Position,
    /// Commit time of that row.
    pub since: Timestamp,
    /// What does not fit, by column, rising; none where the table is as its schema says.
    pub drifts: Vec<ColumnDrift>,
}

/// A column of the schema that rows come without: it was dropped or renamed, or it has another type now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDrift {
    /// Its index in the schema.
    pub column: usize,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Something about a table's shape that is no mistake, and that a person should know: a column that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Name of the input.
    pub input: String,
    /// Where it was noticed.
    pub position: Position,
    /// The table of the schemas.
    pub table: TableId,
    /// The platform's column, where the note is about one.
    pub column: Option<String>,
    /// What was noticed, and what to do.
    pub message: String,
}
