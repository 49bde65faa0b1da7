//! What the service asks of the detection that it stands beside.

use centinel_trace::History;

use crate::forms::{Health, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, SourceStatus};

/// Why an answer cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be, for what it is.
    #[error("{0}")]
    Refused(String),
    /// It cannot be now.
    #[error("{0}")]
    Unavailable(String),
}

/// Detection, as the service sees it. Every method may read from a disk, and none may keep detection waiting.
pub trait Inside: Send + Sync + 'static {
    /// Whether it does what it is there for.
    fn health(&self) -> Health;
    /// In the text form of Prometheus.
    fn metrics(&self) -> String;
    /// All sources, by name.
    fn sources(&self) -> Vec<SourceStatus>;
    /// All rules in force, by id.
    fn rules(&self) -> Vec<RuleStatus>;
    /// What state has of one entity.
    ///
    /// # Errors
    /// No entity of this name; state that cannot be read.
    fn history(&self, entity: &str, key: &str) -> Result<Option<History>, Problem>;
    /// Records that could not be read, the newest first, below a number.
    ///
    /// # Errors
    /// State that cannot be read.
    fn quarantine(
        &self,
        below: Option<u64>,
        most: usize,
    ) -> Result<Vec<QuarantinedRecord>, Problem>;
    /// The bytes of one.
    ///
    /// # Errors
    /// No such record; state that cannot be read.
    fn quarantined(&self, number: u64) -> Result<QuarantinedBytes, Problem>;
    /// Settles one. It is done when this returns.
    ///
    /// # Errors
    /// No such record; it was settled before; it still cannot be read; detection does not run.
    fn settle(&self, number: u64, settle: &Settle) -> Result<QuarantinedRecord, Problem>;
}
