//! Who made a change.

/// What a source says of the transaction that a change belongs to, and of who made it: each part as far as the source
/// knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The transaction's own name: a GTID, or the number that a tool tells.
    pub transaction: Option<String>,
    /// The server's thread, which is one connection, that made it.
    pub thread: Option<u64>,
    /// The account that made it.
    pub account: Option<String>,
    /// The statement, of long ones the beginning. It may hold personal data.
    pub statement: Option<String>,
}

impl Origin {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Origin::default()
    }
}
