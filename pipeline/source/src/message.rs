use std::ops::Range;

use centinel_model::{Position, Timestamp};

/// Messages of one partition, in order, not yet decoded.
#[derive(Clone, Debug)]
pub struct RawMessages {
    /// Name of the partition, under which its position is kept.
    pub input: String,
    /// Where the first message stands.
    pub start: Position,
    /// The offset after the last message.
    pub end: u64,
    /// Where to resume after the last message.
    pub after: Position,
    /// Keys, values and headers of all messages.
    pub bytes: Vec<u8>,
    /// The messages.
    pub messages: Vec<RawMessage>,
}

/// One message; ranges are of [`RawMessages::bytes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawMessage {
    /// Its offset in the partition.
    pub offset: u64,
    /// When the broker or the producer says that it was written.
    pub written_at: Option<Timestamp>,
    /// Its key; none when it is null.
    pub key: Option<Range<usize>>,
    /// Its value; none when it is null: a tombstone.
    pub value: Option<Range<usize>>,
    /// Names and values of its headers.
    pub headers: Vec<(Range<usize>, Range<usize>)>,
}
