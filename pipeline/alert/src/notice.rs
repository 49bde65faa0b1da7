use serde::{Deserialize, Serialize};

/// What is known of a rule beyond its findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleNote {
    /// The rule's tags.
    pub tags: Vec<String>,
    /// What to do about a finding: a sentence, or an address; may be empty.
    pub runbook: String,
    /// Whether the rule is run without alerts: its status is `shadow`.
    pub silent: bool,
}
