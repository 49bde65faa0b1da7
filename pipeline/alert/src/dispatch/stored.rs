//! The state as it is kept: `centinel/alert-state/1`.

use serde::{Deserialize, Serialize};

use super::{Alerts, Rules, State};

/// The schema id of the stored state.
pub const STATE_SCHEMA: &str = "centinel/alert-state/1";

/// Why a stored state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is of another version.
    #[error(
        "the alerts' state has the form `{0}`, this version reads `{STATE_SCHEMA}`: start the version that wrote it, or move it away; what it had not delivered is then told only if its findings are read again"
    )]
    Version(String),
    /// It is not what was written.
    #[error(
        "the alerts' state cannot be read: {0}. Put back a copy, or move it away; what it had not delivered is then told only if its findings are read again"
    )]
    Damaged(String),
}

#[derive(Serialize)]
struct Stored<'a> {
    schema: &'static str,
    state: &'a State,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Deserialize)]
struct Whole {
    state: State,
}

impl Alerts {
    /// The state as JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a mistake of this program.
    pub fn store(&self) -> Result<Vec<u8>, StateError> {
        let stored = Stored {
            schema: STATE_SCHEMA,
            state: &self.state,
        };
        serde_json::to_vec(&stored).map_err(|error| StateError::Damaged(error.to_string()))
    }

    /// The state that was stored, under these rules. What waits for a channel that they have not stays.
    ///
    /// # Errors
    /// When the bytes are of another version, or damaged.
    pub fn restore(rules: Rules, bytes: &[u8]) -> Result<Alerts, StateError> {
        let damaged = |error: serde_json::Error| StateError::Damaged(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.schema != STATE_SCHEMA {
            let shown = head.schema.chars().take(60).collect();
            return Err(StateError::Version(shown));
        }
        let whole: Whole = serde_json::from_slice(bytes).map_err(damaged)?;
        Ok(Alerts::with(rules, whole.state))
    }
}
