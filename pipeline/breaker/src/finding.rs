use centinel_model::{Amount, Duration, Finding, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Currency, Instant, Name, NameError, Points, Scope, ScopeKind, read_amount, trip};

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

impl Report {
    /// The report of a finding as detection writes it. `scope` and `points` say what it concerns, `declared` what its
    /// rule says of trips. A name that the breaker cannot keep is an error; an amount that it cannot is left out, and
    /// then a person decides where limits depend on it.
    pub fn of(
        finding: &Finding,
        stable: bool,
        scope: Scope,
        points: Points,
        declared: Option<Declared>,
    ) -> Result<Report, NameError> {
        let rule = Name::new(&finding.rule)?;
        let amount = finding
            .amount
            .as_deref()
            .and_then(|text| read_amount(text).ok());
        let currency = finding
            .currency
            .as_deref()
            .and_then(|code| Currency::new(code).ok());
        let money = amount.zip(currency);
        Ok(Report {
            finding_id: Name::new(&finding.finding_id.0)?,
            sequence: finding.sequence,
            occurrence: finding.occurrence,
            // A rule may have no owner; somebody must see to the trip.
            owner: Name::new(&finding.owner).unwrap_or_else(|_| rule.clone()),
            rule,
            stable,
            verdict: finding.verdict,
            scope,
            points,
            declared,
            amount: money.map(|(amount, _)| amount),
            currency: money.map(|(_, currency)| currency),
        })
    }
}
