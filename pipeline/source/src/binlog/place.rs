//! Where reading stands, and what a position says of it.

use centinel_model::Position;

use super::gtid::GtidSet;

/// How far the log was read: everything of whole transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The transactions that were read whole.
    pub(super) gtids: GtidSet,
    /// The number of the next transaction, by which its rows are versioned. A snapshot takes one too.
    pub(super) transactions: u64,
    /// What the source's clock was last told to show, in microseconds since 1970: by the last transaction or,
    /// where later, by the progress that was announced since.
    pub(super) clock: i64,
    /// Whether all snapshots are whole, and the log was read up to where they stood. A start from where it
    /// is not takes another snapshot. A position says so by its commit time: 0 until then.
    pub(super) settled: bool,
    /// Set where reading begins without a snapshot, at first or behind a gap: what was committed before this time
    /// may be missing.
    pub(super) horizon: Option<i64>,
}

/// How many numbers a new stretch of transactions begins behind the last at most.
const STRETCH_BITS: u32 = 32;

impl Place {
    /// Lets the next transactions have numbers that none had before. A position may stand before rows that were
    /// stored already; where the same transactions follow, their rows come again under the same numbers. Before
    /// other rows, a new snapshot or what is left behind a gap, the numbers must be new.
    pub(super) fn begin_stretch(&mut self) {
        self.transactions = ((self.transactions >> STRETCH_BITS) + 1) << STRETCH_BITS;
    }

    pub(super) fn position(&self, row: u32) -> Position {
        Position::Binlog {
            gtids: self.gtids.to_string(),
            transactions: self.transactions,
            row,
            committed_at: if self.settled { self.clock } else { 0 },
        }
    }

    /// `None` unless it is a position in a binary log.
    pub(super) fn of(position: &Position) -> Option<Place> {
        match position {
            Position::Binlog {
                gtids,
                transactions,
                committed_at,
                ..
            } => Some(Place {
                gtids: GtidSet::parse(gtids)?,
                transactions: *transactions,
                clock: *committed_at,
                settled: *committed_at > 0,
                horizon: None,
            }),
            _ => None,
        }
    }
}
