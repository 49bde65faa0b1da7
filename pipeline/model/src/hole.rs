use serde::{Deserialize, Serialize};

use crate::{EntityId, EntityKey, Position, SourceId, TableId, Timestamp};

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoleReason {
    /// Not UTF-8.
    InvalidUtf8,
    /// Not one whole JSON object.
    Malformed,
    /// Longer than the limit.
    TooLong,
    /// Neither a change, an event nor a heartbeat of this format version.
    UnknownForm,
    /// A table or event that no schema describes.
    UnknownTable,
    /// A column that the schema does not have.
    UnknownColumn,
    /// A column that the schema needs is missing or null.
    MissingColumn,
    /// A value of another type than the schema says.
    WrongType,
    /// A number or an amount that does not fit its column exactly.
    OutOfRange,
    /// A time outside the years 1970 to 9999, or a commit time in the far future.
    AbsurdTime,
    /// More rows in one transaction than the limit.
    TransactionTooLarge,
    /// A version of a row, or an event's message id, came again with other content.
    Contradiction,
    /// Records are gone that were never read: a log was purged, or a topic was made anew.
    Gap,
    /// A change that cannot be seen row by row: a TRUNCATE, or a statement written as text.
    Unobservable,
    /// The table has another shape than its schema says.
    Drift,
    /// A change that may be older than one which was delivered before it, in a format that does not say.
    ReplaySuspected,
}

/// A record that could not be read: kept, counted and shown, never dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Name of the input it came from.
    pub input: String,
    /// Where it stands in the input.
    pub position: Position,
    /// What kind of mistake it is.
    pub reason: HoleReason,
    /// What is wrong, in a sentence, without the values of the record.
    pub message: String,
    /// The record's bytes; cut to the first MiB when longer, with `bytes_total` telling how many there were.
    pub bytes: Vec<u8>,
    /// How many bytes the record had.
    pub bytes_total: u64,
    /// The table, if that much could be read.
    pub table: Option<TableId>,
    /// The source, if the table could be read.
    pub source: Option<SourceId>,
    /// Everything that its source, or with an unknown source every source of its input, committed up to this
    /// time was read before it; none when nothing says so.
    pub since: Option<Timestamp>,
    /// The entities it belongs to, if their keys could be read.
    pub entities: Vec<(EntityId, EntityKey)>,
}
