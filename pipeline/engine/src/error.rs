use centinel_state::StateError;

/// Why a run had to stop. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// State could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// An input could not be read.
    #[error("{0}")]
    Input(String),
    /// Findings could not be written. They are kept, and written when the run is started again.
    #[error("cannot write findings: {0}; they are kept in state and written at the next start")]
    Outlet(String),
    /// The archive could not be written or read; it says what to do.
    #[error("{0}")]
    Archive(String),
    /// Bytes in state that no version of this program wrote.
    #[error("state is damaged: {0}; move the state folder away and read the sources again")]
    Damaged(String),
    /// Rules or schemas ask for what this version cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// A rule could not be compiled or evaluated.
    #[error("rules: {0}")]
    Rules(String),
    /// A snapshot could not be judged; every problem is listed.
    #[error("the snapshot cannot be judged:\n{}", .0.join("\n"))]
    Snapshot(Vec<String>),
}
