//! A store whose commits fail for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_model::Timestamp;
use centinel_state::{Commit, Entry, Kept, StateError, Store, Wake};

/// A store that cannot commit while it fails, as one whose process is killed at that moment, or whose disk is full.
pub struct FailingStore(Arc<dyn Store>, AtomicBool);

impl FailingStore {
    /// A store that fails until it works again.
    pub fn over(store: Arc<dyn Store>) -> Arc<FailingStore> {
        Arc::new(FailingStore(store, AtomicBool::new(true)))
    }

    /// From now on it commits.
    pub fn works_again(&self) {
        self.1.store(false, Ordering::Relaxed);
    }
}

impl Store for FailingStore {
    fn documents(&self, keys: &[&[u8]]) -> Result<Vec<Option<Kept>>, StateError> {
        self.0.documents(keys)
    }
    fn next_number(&self) -> Result<u64, StateError> {
        self.0.next_number()
    }
    fn documents_after(
        &self,
        place: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StateError> {
        self.0.documents_after(place, limit)
    }
    fn place_of(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        self.0.place_of(key)
    }
    fn count(&self) -> Result<u64, StateError> {
        self.0.count()
    }
    fn due(
        &self,
        sources: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Wake, Vec<u8>)>, StateError> {
        self.0.due(sources, until, limit)
    }
    fn wake_sets(&self) -> Result<Vec<u64>, StateError> {
        self.0.wake_sets()
    }
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.0.fact(name)
    }
    fn undelivered(&self) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        self.0.undelivered()
    }
    fn holes(&self, first: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        self.0.holes(first, limit)
    }
    fn commit(&self, commit: &Commit) -> Result<(), StateError> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(StateError::Store("killed".into())),
            false => self.0.commit(commit),
        }
    }
}
