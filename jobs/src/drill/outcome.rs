//! What became of each fault, as it stands in outputs and in the history.

use centinel_model::Amount;
use serde::{Deserialize, Serialize};

/// Whether a fault was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// By every rule that must see it, in time and with the right money at risk, and the breaker did what it had to.
    Detected,
    /// Noticed, but not as it had to be: `problems` says what is missing.
    Incomplete,
    /// No rule saw it.
    Unnoticed,
    /// Nobody can say.
    CouldNotJudge,
}

impl Verdict {
    /// For a person.
    pub fn told(self) -> &'static str {
        match self {
            Verdict::Detected => "detected",
            Verdict::Incomplete => "incomplete",
            Verdict::Unnoticed => "UNNOTICED",
            Verdict::CouldNotJudge => "could not judge",
        }
    }
}

/// One fault of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultOutcome {
    /// The fault, by its name.
    pub kind: String,
    /// The loss that it makes.
    pub loss_class: String,
    /// `order` or `cash_out`.
    pub entity: String,
    /// Which; always with a drill's mark.
    pub entity_key: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The rule that was sure first.
    pub rule: Option<String>,
    /// The fault's commit, in source time, RFC 3339.
    pub broken_at: Option<String>,
    /// When that rule was sure, in source time, RFC 3339.
    pub confirmed_at: Option<String>,
    /// From the one to the other.
    pub took_ms: Option<i64>,
    /// From the fault's commit to the end of that rule's patience: when it had to be sure, but for one micro-batch.
    pub due_ms: Option<i64>,
    /// The most money at risk that a rule told, in major units.
    pub at_risk: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// What is not as it has to be, for a person.
    pub problems: Vec<String>,
    /// Every rule that must see it.
    pub rules: Vec<RuleOutcome>,
    /// Rules that told it beside those.
    pub also: Vec<String>,
    /// What the breaker did; absent without one.
    pub breaker: Option<BreakerOutcome>,
}

/// One rule that must see a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The rule.
    pub rule: String,
    /// The finding's key.
    pub key: Vec<String>,
    /// Whether it was sure at the end of the drill.
    pub confirmed: bool,
    /// Whether it was sure in the first micro-batch with which it could be.
    pub in_time: bool,
    /// From the commit that broke it until it was sure.
    pub took_ms: Option<i64>,
    /// From the commit that broke it to the end of its patience.
    pub due_ms: i64,
    /// The money at risk that it must tell.
    pub must_tell: String,
    /// The money at risk that it told.
    pub told: Option<String>,
}

/// What the drill's breaker did about one fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerOutcome {
    /// The trips that its findings set; none where no rule that saw it trips.
    pub trips: Vec<TripOutcome>,
    /// Money in the tripped scopes that was held.
    pub held: Moved,
    /// Money that had moved there between the fault's commit and the trip; without a trip, all money of the order or
    /// cash-out since the fault's commit.
    pub leaked: Moved,
}

/// A trip that a finding of a drill set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TripOutcome {
    /// The rule that tripped.
    pub rule: String,
    /// `order`, `merchant` or `business_code`.
    pub by: String,
    /// Which.
    pub scope: String,
    /// Where it holds.
    pub points: Vec<String>,
    /// When it was set, in source time, RFC 3339.
    pub set_at: String,
}

/// Requests, and the money in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// How many.
    pub requests: u64,
    /// Their money in major units.
    pub amount: String,
    /// Its currency.
    pub currency: String,
}

impl Moved {
    /// So many requests of so many fen together.
    pub fn of(requests: u64, fen: i64) -> Moved {
        Moved {
            requests,
            amount: yuan(fen),
            currency: "CNY".into(),
        }
    }
}

/// Fen as yuan.
pub fn yuan(fen: i64) -> String {
    let units = i128::from(fen);
    Amount { units, scale: 2 }.to_string()
}
