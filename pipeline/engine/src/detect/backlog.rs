//! How far behind the inputs are, for those who look on while detection runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use centinel_model::{Positions, Timestamp};
use centinel_outlet::archive::ArchiveStatus;
use centinel_source::Backlog;

/// Shared between the threads of a run and those who look on.
#[derive(Clone, Debug, Default)]
pub struct SharedBacklog(Arc<Mutex<Shown>>);

/// Where reading of one input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is left to read; none for an input that cannot tell.
    pub backlog: Option<Backlog>,
    /// The newest commit time among what was read; [`Timestamp::MIN`] before the first.
    pub newest: Timestamp,
}

#[derive(Debug, Default)]
struct Shown {
    inputs: BTreeMap<String, Standing>,
    durable: Positions,
    turned: Option<Timestamp>,
    archive: Option<ArchiveStatus>,
}

impl SharedBacklog {
    /// Where reading stands, by input.
    pub fn by_input(&self) -> BTreeMap<String, Standing> {
        self.lock().inputs.clone()
    }

    /// When the loop of detection last turned, by the wall clock. It does so several times a second, whether there is
    /// something to read or not.
    pub fn turned(&self) -> Option<Timestamp> {
        self.lock().turned
    }

    /// How far the archive was behind at the last commit, where there is one.
    pub fn archive(&self) -> Option<ArchiveStatus> {
        self.lock().archive.clone()
    }

    pub(super) fn turns(&self, now: Timestamp) {
        self.lock().turned = Some(now);
    }

    pub(super) fn archived(&self, status: ArchiveStatus) {
        self.lock().archive = Some(status);
    }

    pub(super) fn show(&self, input: &str, standing: Standing) {
        self.lock().inputs.insert(input.to_owned(), standing);
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
