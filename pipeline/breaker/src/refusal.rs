/// Why an input was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// It makes no sense, or goes beyond what is declared.
    #[error("{0}")]
    Invalid(String),
    /// This person may not.
    #[error("{0}")]
    Forbidden(String),
    /// A limit is reached.
    #[error("{0}")]
    Full(String),
}
