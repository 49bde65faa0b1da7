/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk or the store's file failed. Nothing of the last micro-batch was committed: mend the disk
    /// and start again, reading resumes at the last commit.
    #[error(
        "the state cannot be kept: {0}; mend the disk or the folder and start again, reading goes on at the last commit"
    )]
    Store(String),
    /// Bytes that this version did not write. Move the state folder away and read the sources again.
    #[error("state is damaged: {0}; move the state folder away and read the sources again")]
    Corrupt(String),
    /// The state was written by a newer program. Use that program, or a new state folder.
    #[error(
        "the state in {path} has form {found}, this program knows up to {known}: use the newer program, or another state folder"
    )]
    TooNew {
        /// The state folder.
        path: String,
        /// The form found.
        found: u32,
        /// The newest form known.
        known: u32,
    },
    /// The state was written by an earlier program, and is opened only to be looked at.
    #[error(
        "the state in {path} has an earlier form: start detection once, it brings it up to now"
    )]
    TooOld {
        /// The state folder.
        path: String,
    },
    /// The process that wrote the state was cut off, and it is opened only to be looked at.
    #[error(
        "the state in {path} was not closed in order: start detection once and stop it, it mends that"
    )]
    NotClosed {
        /// The state folder.
        path: String,
    },
    /// Another process has the state open.
    #[error("the state in {path} is in use by another process: stop it first")]
    InUse {
        /// The state folder.
        path: String,
    },
}

impl StateError {
    pub(crate) fn corrupt(message: impl Into<String>) -> StateError {
        StateError::Corrupt(message.into())
    }

    pub(crate) fn store(error: impl std::fmt::Display) -> StateError {
        StateError::Store(error.to_string())
    }
}
