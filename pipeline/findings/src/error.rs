use std::path::Path;

/// Why the store did not do it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FindingsError {
    /// It could not be reached, is busy or full. It may work again by itself; nothing of the act was done.
    #[error(
        "the store of findings failed: {0}: see that its folder is writable and has room, and try again"
    )]
    Failed(String),
    /// What it holds cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// What was asked cannot be done as it was asked.
    #[error("{problem}: {remedy}")]
    Refused {
        /// What is wrong.
        problem: String,
        /// What would be right.
        remedy: String,
    },
    /// Somebody else was quicker: nothing was done.
    #[error("{0}: look at it again")]
    Changed(String),
    /// The file of findings is not the one that was taken in so far.
    #[error(
        "{file} is not the file that was taken in so far ({what}): name that one; or, if detection began with a new \
         state, say so, and the new file is taken in from its beginning beside what is known"
    )]
    Replaced {
        /// The file.
        file: String,
        /// How it is known.
        what: String,
    },
    /// The file of findings cannot be read.
    #[error("{file}: {problem}: name the file that detection writes its findings to")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// What was exported could not be written.
    #[error("the export cannot be written: {0}")]
    Export(std::io::Error),
}

impl FindingsError {
    pub(crate) fn refused(problem: impl Into<String>, remedy: impl Into<String>) -> FindingsError {
        FindingsError::Refused {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn file(path: &Path, problem: impl ToString) -> FindingsError {
        FindingsError::File {
            file: path.display().to_string(),
            problem: problem.to_string(),
        }
    }

    /// What the store holds does not fit together.
    pub(crate) fn damaged(what: impl std::fmt::Display) -> FindingsError {
        FindingsError::Unusable(format!(
            "the store of findings is damaged: {what}: restore a backup, or take the file of findings into a new one"
        ))
    }
}

impl From<rusqlite::Error> for FindingsError {
    fn from(error: rusqlite::Error) -> FindingsError {
        FindingsError::Failed(error.to_string())
    }
}
