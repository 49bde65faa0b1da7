//! What is delivered: row changes, events and heartbeats.

use crate::row::Row;
use crate::table::Source;

/// A row change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The epoch of the source's order; 1 throughout.
    pub epoch: u32,
    /// The transaction's place in its source's order, from 1.
    pub sequence: u64,
    /// The row's place in its transaction, from 0.
    pub ordinal: u32,
    /// Whether it is the transaction's last row.
    pub last: bool,
    /// Microseconds since 1970-01-01 UTC.
    pub committed_at: i64,
    /// The row before; absent for an insertion.
    pub before: Option<Row>,
    /// The row after. The platform never deletes.
    pub after: Row,
    /// Whether the row never changes again.
    pub closes: bool,
    /// Whether somebody made it by hand.
    pub by_hand: bool,
}

/// A business event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since 1970-01-01 UTC.
    pub committed_at: i64,
    /// The event's row.
    pub row: Row,
}

/// One line of a change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Nearly every record is a change; a box would cost an allocation each.
pub enum Record {
    /// A row change.
    Change(Change),
    /// A business event.
    Event(Event),
    /// All that its source committed up to and including this time was delivered before.
    Heartbeat(i64),
}

/// A record as it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When it arrives, microseconds since 1970-01-01 UTC; never less than the record before.
    pub arrival: i64,
    /// Where it comes from.
    pub source: Source,
    /// What it is.
    pub record: Record,
}

impl Record {
    /// When its source committed it; a heartbeat's own time.
    pub fn committed_at(&self) -> i64 {
        match self {
            Record::Change(change) => change.committed_at,
            Record::Event(event) => event.committed_at,
            Record::Heartbeat(at) => *at,
        }
    }

    /// The row as this record leaves it.
    pub fn row(&self) -> Option<&Row> {
        match self {
            Record::Change(change) => Some(&change.after),
            Record::Event(event) => Some(&event.row),
            Record::Heartbeat(_) => None,
        }
    }
}
