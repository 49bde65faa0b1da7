//! What an audit is asked for, and what it tells on the way.

use centinel_model::Timestamp;

/// How an audit is run.
#[derive(Clone, Copy, Debug)]
pub struct AuditOptions {
    /// As of when the data is judged.
    pub cut: Cut,
    /// Bytes that the whole audit may use. Rows beyond it wait in temporary files.
    pub memory_bytes: usize,
    /// Threads that read and judge; at least 1.
    pub threads: usize,
    /// Rows of a slice, all tables together, that are aimed at; at least 1.
    pub slice_rows: u64,
    /// Whether the money columns of the tables are added up for the report, which reads them once more.
    pub totals: bool,
}

/// As of when the data of a snapshot is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As the snapshot's manifest says: the earliest cut of its tables.
    Manifest,
    /// As of this moment.
    AsOf(Timestamp),
    /// Nothing is on its way any more: every violation is a finding. Rules with deadlines are asked as of the
    /// manifest's cut, or where there is none as of the end of time.
    AtRest,
}

impl Default for AuditOptions {
    fn default() -> AuditOptions {
        AuditOptions {
            cut: Cut::Manifest,
            memory_bytes: 4 << 30,
            threads: 2,
            slice_rows: 100_000,
            totals: false,
        }
    }
}

/// How far an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now.
    pub stage: Stage,
    /// Rows read, or slices judged.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// The two halves of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Tables are read and split into slices; counted in rows.
    Reading,
    /// Slices are judged; counted in slices.
    Judging,
}
