use centinel_model::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

/// Where the case of one rule and one key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseState {
    /// Violated now; not believed yet.
    Suspected,
    /// Believed and written.
    Confirmed,
    /// Could not be judged, and that was written.
    Undetermined,
    /// Passes again after something was written of it; kept so that numbering goes on.
    Closed,
}

/// One rule that an entity broke, by key. Persisted inside the entity's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Number of the rule's id in the state's own register.
    pub rule: u16,
    /// The finding's key values, joined by U+001F; empty when it is the entity's key alone.
    pub key: String,
    /// Where it stands.
    pub state: CaseState,
    anchor: i64,
    first_anchor: i64,
    /// How often it was confirmed.
    pub occurrence: u32,
    /// How many messages were written of it.
    pub sequence: u64,
    amount: Option<(i128, u8)>,
    wake: Option<i64>,
}

/// Bytes that are not cases of this version.
#[derive(Debug, thiserror::Error)]
#[error("verdicts cannot be read: {0}")]
pub struct CasesError(String);

impl Case {
    /// A case that has just been suspected.
    pub(crate) fn new(rule: u16, key: String, anchor: Timestamp) -> Case {
        Case {
            rule,
            key,
            state: CaseState::Suspected,
            anchor: anchor.0,
            first_anchor: anchor.0,
            occurrence: 0,
            sequence: 0,
            amount: None,
            wake: None,
        }
    }

    /// The time from which patience counts.
    pub fn anchor(&self) -> Timestamp {
        Timestamp(self.anchor)
    }

    /// The anchor that it had when it was first suspected.
    pub fn first_anchor(&self) -> Timestamp {
        Timestamp(self.first_anchor)
    }

    /// The money at risk as last written.
    pub fn amount(&self) -> Option<Amount> {
        self.amount.map(|(units, scale)| Amount { units, scale })
    }

    /// When to look again, on the rule's clock.
    pub fn wake(&self) -> Option<Timestamp> {
        self.wake.map(Timestamp)
    }

    /// Closes it because its rule is gone; it is kept so that numbering goes on.
    pub fn retire(&mut self) {
        self.state = CaseState::Closed;
        self.wake = None;
        self.sequence += 1;
    }

    pub(crate) fn suspect_again(&mut self, anchor: Timestamp) {
        self.state = CaseState::Suspected;
        self.first_anchor = anchor.0;
    }

    pub(crate) fn set_anchor(&mut self, anchor: Timestamp) {
        self.anchor = anchor.0;
    }

    pub(crate) fn set_amount(&mut self, amount: Option<Amount>) {
        self.amount = amount.map(|amount| (amount.units, amount.scale));
    }

    pub(crate) fn set_wake(&mut self, wake: Option<Timestamp>) {
        self.wake = wake.map(|time| time.0);
    }
}

/// The persisted form: postcard of the list, empty for none.
pub fn write_cases(cases: &[Case]) -> Result<Vec<u8>, CasesError> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    postcard::to_allocvec(cases).map_err(|error| CasesError(error.to_string()))
}

/// Reads what [`write_cases`] wrote.
pub fn read_cases(bytes: &[u8]) -> Result<Vec<Case>, CasesError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    postcard::from_bytes(bytes).map_err(|error| CasesError(error.to_string()))
}
