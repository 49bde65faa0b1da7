use centinel_model::{Amount, Duration, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Currency, Instant, Name, Points, Scope, ScopeKind, trip};

/// What a rule's head says of trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Where to hold.
    pub points: Points,
    /// How wide.
    pub by: ScopeKind,
}

/// What detection knows of a finding now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Names the finding.
    pub finding_id: Name,
    /// Counts reports of this finding; one that is not higher than what is known is a repetition.
    pub sequence: u64,
    /// 1 for the first time it broke, 2 when it broke again, …
    pub occurrence: u32,
    /// The rule.
    pub rule: Name,
    /// Whether the rule's status is `stable`.
    pub stable: bool,
    /// Who sees to it.
    pub owner: Name,
    /// What is known.
    pub verdict: Verdict,
    /// What it concerns.
    pub scope: Scope,
    /// Where it concerns it.
    pub points: Points,
    /// What the rule declares of trips; absent where it declares none.
    #[serde(default)]
    pub declared: Option<Declared>,
    /// Money at risk in major units, as text.
    #[serde(default, with = "trip::optional_amount")]
    pub amount: Option<Amount>,
    /// Currency of `amount`.
    #[serde(default)]
    pub currency: Option<Currency>,
}

/// How fresh the knowledge of findings is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// When detection last spoke, on the breaker's clock; `None` when it never did.
    pub heard: Option<Instant>,
    /// How far detection was behind its sources then.
    pub lag: Lag,
}

/// A span in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag(pub i64);

impl Knowledge {
    /// How old the knowledge is: what detection was behind, and the time since; `None` when it never spoke.
    pub fn age(&self, clock: Instant) -> Option<Duration> {
        let heard = self.heard?;
        Some(clock.since(heard).plus(Duration(self.lag.0.max(0))))
    }
}
