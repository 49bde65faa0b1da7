//! What is kept: a narrow trait, and the embedded store behind it.
//!
//! A store keeps the newest record under each name, messages to the platform by their sequence, and an audit log that
//! only grows. A commit is durable as a whole, or nothing of it is. Any store that passes `tests/store.rs` will do.

mod looked;
mod sqlite;

use centinel_breaker::{Change, Told};

pub use looked::Looked;
pub use sqlite::Sqlite;

use crate::audit::{Entry, Head};
use crate::clock::Mark;
use crate::directory::{Account, Key};

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, or is full. It may work again by itself.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What it holds cannot be used.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
}

/// How messages reach the platform by themselves. How far each of them came is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Posts to an address.
    Webhook,
    /// Records of a Kafka topic.
    Kafka,
}

/// One record, whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Of the breaker. Messages are kept by their sequence and go with the hold that they are of.
    Breaker(Change),
    /// An account, under its name.
    Account(Account),
    /// An API key, under its id.
    Key(Key),
    /// Up to which sequence messages to the platform were delivered by this way.
    Delivered(Way, u64),
    /// The breaker's clock.
    Mark(Mark),
}

/// What is written at once.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Records in their order: a later one replaces an earlier one under the same name.
    pub records: Vec<Record>,
    /// The next entries of the audit log.
    pub entries: Vec<Entry>,
}

/// A durable store. One process uses it.
pub trait Store: Send {
    /// Every record but the messages to the platform, in no order.
    fn load(&mut self) -> Result<Vec<Record>, StoreError>;
    /// Makes all of it durable, or nothing. After a failure either may be the case: [`head`](Store::head) says which.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;
    /// The end of the audit log.
    fn head(&mut self) -> Result<Head, StoreError>;
    /// Messages with sequences above `after`, in their order, at most `limit`.
    fn told(&mut self, after: u64, limit: usize) -> Result<Vec<Told>, StoreError>;
    /// Entries of the audit log with sequences above `after`, in their order, at most `limit`.
    fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;
}

/// Opens a store, as often as needed: once for writing, once for reading, and anew after a failure.
pub type OpenStore = std::sync::Arc<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send + Sync>;
