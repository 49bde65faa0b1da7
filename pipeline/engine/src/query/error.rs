use std::time::Duration;

use datafusion::error::DataFusionError;

/// Why a question has no answer. Texts of the SQL engine may hold values of rows: escape them before they are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The question cannot be asked so.
    #[error("{0}")]
    Wrong(String),
    /// What it asks for could not be read, or the SQL engine failed over it.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error(
        "the query was ended: it took longer than {0:?}: ask for fewer rows or a shorter time, or allow more (--timeout)"
    )]
    Time(Duration),
    /// It wanted too much memory.
    #[error(
        "the query was ended: it needs more than {} MiB of memory ({why}): ask for fewer rows or columns, or allow more \
         (--memory)",
        bytes >> 20
    )]
    Memory {
        /// What it may use.
        bytes: usize,
        /// What wanted more.
        why: String,
    },
    /// It wanted to put too much aside in temporary files.
    #[error(
        "the query was ended: it needs more than {} MiB of temporary files: ask for fewer rows or columns, or allow more \
         memory (--memory)",
        bytes >> 20
    )]
    Disk {
        /// What it may use.
        bytes: u64,
    },
}

/// The SQL engine's words for a mistake, without what stands around them.
pub(super) fn said(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::Execution(text) | DataFusionError::Plan(text) => text.clone(),
        DataFusionError::External(inner) => inner.to_string(),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => said(first),
            None => error.strip_backtrace(),
        },
        other => other.strip_backtrace(),
    }
}

pub(super) fn wrong(error: &DataFusionError) -> QueryError {
    QueryError::Wrong(said(error))
}
