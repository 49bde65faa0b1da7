//! How far behind the inputs are, for those who look on while detection runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use centinel_model::Positions;
use centinel_source::Backlog;

/// Shared between the threads of a run and those who look on.
#[derive(Clone, Debug, Default)]
pub struct SharedBacklog(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    backlog: BTreeMap<String, Backlog>,
    durable: Positions,
}

impl SharedBacklog {
    /// What is left to read, by input; only inputs that can tell.
    pub fn by_input(&self) -> BTreeMap<String, Backlog> {
        self.lock().backlog.clone()
    }

    pub(super) fn show(&self, input: &str, backlog: Backlog) {
        self.lock().backlog.insert(input.to_owned(), backlog);
    }

    pub(super) fn durable(&self) -> Positions {
        self.lock().durable.clone()
    }

    pub(super) fn made_durable(&self, positions: &Positions) {
        self.lock().durable = positions.clone();
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // What a thread that died left behind is still what was last shown.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
