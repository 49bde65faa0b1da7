use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far one input has been read: where to resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Position {
    /// A file: bytes read, always at the start of a line, and a fingerprint of its first line by
    /// which a replaced file is told apart.
    File {
        /// Bytes from the start of the file.
        offset: u64,
        /// SHA-256 of the first line, in hexadecimal; empty until a whole line was read.
        first_line: String,
    },
    /// A partition of a Kafka topic.
    Partition {
        /// The offset of the next record to read.
        next: u64,
        /// A record that was read, by which a topic made anew under its old name is told apart.
        known: Option<KnownRecord>,
    },
    /// A database's binary log.
    Binlog {
        /// The transactions that were read whole, as the server writes a set of GTIDs.
        gtids: String,
        /// How many transactions were read since the first snapshot: the next one's `sequence`.
        transactions: u64,
        /// The row in the next transaction, where the position is a row's; else 0.
        row: u32,
        /// Commit time of the last transaction that was read, in microseconds since 1970.
        committed_at: i64,
    },
    /// The snapshot that a state begins with.
    Snapshot {
        /// Its folder or URL, as it was given.
        location: String,
        /// SHA-256 of its files' names, sizes and numbers of rows, the first 16 bytes in hexadecimal.
        files: String,
        /// Rows that were taken in, in the order of the tables and their files.
        rows: u64,
        /// Whether these are all.
        whole: bool,
    },
}

/// A record of a partition, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRecord {
    /// Its offset.
    pub offset: u64,
    /// SHA-256 of its time, key and value, the first 16 bytes in hexadecimal.
    pub fingerprint: String,
}

impl Position {
    /// The same input's position at the line at `offset`, which stands behind this one in the chunk that
    /// begins here. Inputs that can only be resumed where a chunk begins stay where they are.
    pub fn advanced_to(&self, offset: u64) -> Position {
        let mut position = self.clone();
        match &mut position {
            Position::File { offset: own, .. } => *own = offset,
            Position::Partition { next, .. } => *next = offset,
            Position::Binlog { .. } | Position::Snapshot { .. } => {}
        }
        position
    }

    /// Where in its input it stands: a number that rises with what is read, and the row at that place.
    pub fn place(&self) -> (u64, u32) {
        match self {
            Position::File { offset, .. } => (*offset, 0),
            Position::Partition { next, .. } => (*next, 0),
            Position::Binlog {
                transactions, row, ..
            } => (*transactions, *row),
            Position::Snapshot { rows, .. } => (*rows, 0),
        }
    }
}

/// Positions by input name, as one micro-batch reaches them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions(pub BTreeMap<String, Position>);
