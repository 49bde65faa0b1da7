//! The nouns that cross stages, one file each. No I/O, no clock, no other crate of the project.
//!
//! The flow reads from top to bottom: a [`Change`](change) comes from a source with a [`Position`],
//! is cut into a [`MicroBatch`], kept by entity, evaluated as a slice, and ends as a [`Finding`].

mod amount;
mod change;
mod chunk;
mod drift;
mod entity;
mod finding;
mod hole;
mod horizon;
mod micro_batch;
mod origin;
mod position;
mod severity;
mod time;

pub use amount::{Amount, AmountError};
pub use change::{Images, Operation, TableChanges, Version};
pub use chunk::{DecodedChunk, Line, LineContent, TransactionRow};
pub use drift::{ColumnDrift, LostColumns, Note, TableShape};
pub use entity::{EntityId, EntityKey, SourceId, TableId};
pub use finding::{
    CheckpointAnswer, CheckpointRule, CheckpointVerdict, Evidence, FINDING_SCHEMA, Finding,
    FindingId, FindingTrip, SELF_CHECK_RULE, SUSPICION_SCHEMA, Verdict, is_self_check,
};
pub use hole::{Hole, HoleReason};
pub use horizon::HorizonOf;
pub use micro_batch::MicroBatch;
pub use origin::Origin;
pub use position::{KnownRecord, Position, Positions};
pub use severity::Severity;
pub use time::{Duration, DurationError, Timestamp, TimestampError};
