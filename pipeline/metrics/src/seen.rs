//! What [`Metrics`](crate::Metrics) is told.

use std::time::Duration;

use centinel_model::{Severity, Timestamp};

/// A run as it stands after a commit. Totals are since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Changes that were read, of all sources.
    pub changes: u64,
    /// Among them those that had been read before.
    pub repeated: u64,
    /// Messages told.
    pub messages: u64,
    /// Documents written.
    pub documents: u64,
    /// Processor time by stage, in the order of the data.
    pub stages: Vec<(&'static str, Duration)>,
    /// All sources.
    pub sources: Vec<SourceSeen>,
    /// All rules that are in force.
    pub rules: Vec<RuleSeen>,
    /// Findings that are confirmed and open, of whatever rule.
    pub confirmed: u64,
    /// Records that could not be read, by source and reason.
    pub quarantined: Vec<Quarantined>,
    /// Records that could not be read and are not settled, ever.
    pub unsettled: u64,
}

/// One source.
#[derive(Clone, Debug, Default)]
pub struct SourceSeen {
    /// Its name.
    pub name: String,
    /// Up to when all that it committed has been read; none before it said so, [`Timestamp::MAX`] at its end.
    pub progress: Option<Timestamp>,
    /// Whether it was told to be behind.
    pub behind: bool,
    /// Changes of it that were read.
    pub changes: u64,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleSeen {
    /// Its id.
    pub id: String,
    /// Its severity.
    pub severity: Severity,
    /// Slices that it was asked about.
    pub evaluations: u64,
    /// Time that this took.
    pub time: Duration,
    /// Open now: suspected, confirmed, undetermined.
    pub open: [u64; 3],
}

/// Records that could not be read, of one source for one reason.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The source; none where the record does not say.
    pub source: Option<String>,
    /// What kind of mistake it is.
    pub reason: String,
    /// How many, since the start of the process.
    pub count: u64,
}

/// What is looked at when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// When the loop of detection last turned, by the wall clock.
    pub turned: Option<Timestamp>,
    /// Records that inputs have left to read, where they tell.
    pub backlog_records: u64,
    /// Bytes that inputs have left to read, where they tell.
    pub backlog_bytes: u64,
    /// Bytes on the disk, by what they are.
    pub state_bytes: Vec<(&'static str, u64)>,
    /// The archive, where there is one.
    pub archive: Option<ArchiveSeen>,
}

/// How far the archive is behind.
#[derive(Clone, Debug, Default)]
pub struct ArchiveSeen {
    /// Whole segments that wait.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Why they wait, where it is not for their turn.
    pub trouble: Option<String>,
}

/// One channel of alerts. Totals are since its state began.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Messages that were taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages that were refused for what they are.
    pub refused: u64,
    /// Messages that were tried as often as allowed.
    pub given_up: u64,
    /// Messages that wait.
    pub pending: u64,
    /// Since when every attempt has failed.
    pub failing_since: Option<Timestamp>,
}

/// The self-check: a planted loss that must be found in time.
#[derive(Clone, Debug, Default)]
pub struct SelfCheck {
    /// When one was found last.
    pub last_found: Option<Timestamp>,
    /// What is wrong, while something is.
    pub failing: Option<String>,
    /// How many were not found in time, since the start of the process.
    pub failures: u64,
}
