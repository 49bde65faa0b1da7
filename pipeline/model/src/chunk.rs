use crate::{Hole, HorizonOf, Note, Position, SourceId, TableChanges, TableShape, Timestamp};

/// A stretch of one input, decoded: its changes by column, and its lines in order.
#[derive(Clone, Debug)]
pub struct DecodedChunk {
    /// Name of the input it was read from.
    pub input: String,
    /// Where the chunk begins.
    pub start: Position,
    /// Where the line after the chunk stands in the input, counted as [`Line::offset`] is.
    pub end: u64,
    /// Where to resume once all of the chunk was taken in.
    pub after: Position,
    /// The changes, one entry for each table that was named, perhaps without any.
    pub tables: Vec<TableChanges>,
    /// The records that could not be read, in order.
    pub holes: Vec<Hole>,
    /// Every line in order.
    pub lines: Vec<Line>,
    /// Everything that these sources committed up to these times stands before the end of this chunk, or
    /// in what was given out before it.
    pub progress: Vec<(SourceId, Timestamp)>,
    /// What was committed before these times may be missing: reading began behind it.
    pub horizons: Vec<(HorizonOf, Timestamp)>,
    /// The shapes of the physical tables of which it has rows, in the order in which they were seen.
    pub shapes: Vec<TableShape>,
    /// What else was noticed of tables' shapes.
    pub notes: Vec<Note>,
    /// The bytes that were decoded.
    pub bytes: Vec<u8>,
}

/// One line of a log, one message of a topic, or one row of a binary log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in its input: a number that rises from line to line, or stays for the lines of one
    /// message. In a file the bytes before it, in a partition the record's offset, in a binary log the
    /// number of the transaction.
    pub offset: u64,
    /// Index of its first byte in [`DecodedChunk::bytes`]; none stand there for a row of a binary log.
    pub start: u32,
    /// How many bytes of input it stands for, a line's end included.
    pub length: u64,
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
    /// A record that says nothing: a tombstone, or one that was told apart from what is watched.
    Nothing,
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
    /// A chunk of one input without anything in it.
    pub fn new(input: String, start: Position, end: u64, after: Position) -> DecodedChunk {
        DecodedChunk {
            input,
            start,
            end,
            after,
            tables: Vec::new(),
            holes: Vec::new(),
            lines: Vec::new(),
            progress: Vec::new(),
            horizons: Vec::new(),
            shapes: Vec::new(),
            notes: Vec::new(),
            bytes: Vec::new(),
        }
    }
}
