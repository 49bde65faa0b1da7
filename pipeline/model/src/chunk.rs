use crate::{Hole, SourceId, TableChanges, Timestamp};

/// A stretch of one input, decoded: its changes by column, and its lines in order.
#[derive(Clone, Debug, Default)]
pub struct DecodedChunk {
    /// Name of the input it was read from.
    pub input: String,
    /// SHA-256 of the input's first line, in hexadecimal.
    pub first_line: String,
    /// Where the byte after the chunk stands in the input.
    pub end: u64,
    /// The changes, one entry for each table that was named, perhaps without any.
    pub tables: Vec<TableChanges>,
    /// The records that could not be read, in order.
    pub holes: Vec<Hole>,
    /// Every line in order.
    pub lines: Vec<Line>,
    /// The bytes that were decoded; the first stands at the first line's offset.
    pub bytes: Vec<u8>,
}

/// One line of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bytes from the start of the input to the line's first byte.
    pub offset: u64,
    /// What it holds.
    pub content: LineContent,
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineContent {
    /// A row change, part of a transaction.
    Change {
        /// Index in [`DecodedChunk::tables`].
        table: u16,
        /// Index in that table's changes.
        row: u32,
        /// The transaction it belongs to.
        transaction: TransactionRow,
    },
    /// An event, which is a transaction of its own.
    Event {
        /// Index in [`DecodedChunk::tables`].
        table: u16,
        /// Index in that table's changes.
        row: u32,
    },
    /// Everything that the source committed up to this time stands before this line.
    Heartbeat {
        /// The source.
        source: SourceId,
        /// The time on its clock.
        committed_at: Timestamp,
    },
    /// A record that could not be read.
    Hole {
        /// Index in [`DecodedChunk::holes`].
        hole: u32,
        /// Its transaction, where that much could be read.
        transaction: Option<TransactionRow>,
    },
}

/// Which transaction a row belongs to, and whether it ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionRow {
    /// The source whose transaction it is.
    pub source: SourceId,
    /// The source's epoch.
    pub epoch: u32,
    /// The transaction's place in its source.
    pub sequence: u64,
    /// Whether this is the transaction's last row.
    pub last: bool,
}

impl TransactionRow {
    /// Whether both rows belong to one transaction.
    pub fn same_transaction(&self, other: &TransactionRow) -> bool {
        (self.source, self.epoch, self.sequence) == (other.source, other.epoch, other.sequence)
    }
}

impl DecodedChunk {
    /// Where the line after line `index` starts.
    pub fn line_end(&self, index: usize) -> u64 {
        self.lines
            .get(index + 1)
            .map_or(self.end, |line| line.offset)
    }
}
