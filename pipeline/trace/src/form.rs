//! What a trace is, in JSON: `centinel/trace/1`. Fields may be added within a version, never changed or removed. All times
//! are RFC 3339 in UTC, all amounts decimal text in major units.

use centinel_model::{CheckpointAnswer, Verdict};
use serde::{Deserialize, Serialize};

use crate::history::{Completeness, Origin, RuleNow, VersionOf};

/// The schema id of [`Trace`] in JSON.
pub const TRACE_SCHEMA: &str = "centinel/trace/1";

/// Everything that is known of one entity, in one line of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// [`TRACE_SCHEMA`].
    pub schema: String,
    /// The entity's name, such as `order`.
    pub entity: String,
    /// Its key.
    pub key: String,
    /// The systems that have rows of it, in the order in which they first did.
    pub systems: Vec<String>,
    /// What happened, the oldest first.
    pub steps: Vec<Step>,
    /// What the rules in force say now; empty where nobody knows.
    pub rules: Vec<RuleNow>,
    /// The money in its rows as they are after the last step.
    pub totals: Vec<Total>,
    /// What may be missing.
    pub completeness: Completeness,
    /// So many changes were too many: the oldest ones, which are not among the steps.
    pub changes_left_out: u64,
    /// So many entries of findings and of the breaker were too many: the oldest ones.
    pub entries_left_out: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counts them, from 1.
    pub stage: u32,
    /// When: of rows on their source's clock, of verdicts on their rule's clock, else by the wall clock.
    pub at: String,
    /// Where: a system, or [`RULES_LANE`](crate::RULES_LANE), [`PEOPLE_LANE`](crate::PEOPLE_LANE) or
    /// [`BREAKER_LANE`](crate::BREAKER_LANE).
    pub lane: String,
    /// Who did it, where that is known: an account, a person.
    pub by: Option<String>,
    /// Whether it is a change that nothing explains: one by hand.
    pub by_hand: bool,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A row changed, or a message came.
    Row(RowStep),
    /// Detection told a verdict.
    Finding(FindingStep),
    /// A person did something with a finding.
    Person(PersonStep),
    /// The breaker did something.
    Breaker(BreakerStep),
}

/// A row changed, or a message came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowStep {
    /// The table or event.
    pub table: String,
    /// Whether it is an event.
    pub event: bool,
    /// `insert`, `update`, `delete` or `snapshot`.
    pub operation: String,
    /// The primary key's value or values, joined by a comma.
    pub primary_key: String,
    /// Its place in its source's order.
    pub version: VersionOf,
    /// Who made it, as far as the source says.
    pub origin: Origin,
    /// All columns, in their order. Sensitive values are masked.
    pub columns: Vec<ColumnStep>,
    /// Whether the row before is known: what changed can be said only then.
    pub before_known: bool,
    /// Findings that say that this change was made by hand.
    pub found_by_hand: Vec<String>,
}

/// One column of a row that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStep {
    /// Its name.
    pub column: String,
    /// The value before; none for null, and where it is not known.
    pub before: Option<String>,
    /// The value after; none for null, and after a deletion.
    pub after: Option<String>,
    /// Whether they differ. All columns of a row that came or went.
    pub changed: bool,
    /// Set for money: both values are in major units of this currency.
    pub currency: Option<String>,
}

/// Detection told a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingStep {
    /// The finding.
    pub finding_id: String,
    /// The rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Its severity.
    pub severity: String,
    /// What is known now.
    pub verdict: Verdict,
    /// Which message of the finding this is, from 1.
    pub sequence: u64,
    /// Which time it broke, from 1.
    pub occurrence: u32,
    /// Money at risk in major units, and its currency.
    pub amount: Option<(String, String)>,
    /// A remark that helps.
    pub hint: Option<String>,
    /// Of a change by hand: what its checkpoint says.
    pub checkpoint: Option<CheckpointAnswer>,
    /// When the store took it in, by the wall clock.
    pub told_at: String,
}

/// A person did something with a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonStep {
    /// The finding.
    pub finding_id: String,
    /// Its rule.
    pub rule: String,
    /// `acknowledged`, `resolved`, `false_alarm`, `reopened`, `worse`, `assigned` (`text` is to whom; none for the rule's
    /// owner) or `note`.
    pub act: String,
    /// What they said to it.
    pub text: Option<String>,
}

/// The breaker did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerStep {
    /// What.
    pub act: BreakerAct,
    /// The trip, such as `T1`.
    pub trip: Option<String>,
    /// The release, such as `R1`.
    pub release: Option<String>,
    /// The held request.
    pub request_id: Option<String>,
    /// Where: `refund`, `settlement`, `cash_out`.
    pub points: Vec<String>,
    /// What the trip covers, such as `merchant M1`.
    pub scope: Option<String>,
    /// Money of the request in major units, and its currency.
    pub amount: Option<(String, String)>,
    /// Why.
    pub reason: Option<String>,
    /// The finding that stands behind it.
    pub finding_id: Option<String>,
}

/// What the breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerAct {
    /// A trip is proposed.
    Proposed,
    /// A trip is set.
    Tripped,
    /// A request is held.
    Held,
    /// A release is asked for and waits for a second person.
    ReleaseProposed,
    /// A held request goes on.
    Resumed,
    /// A held request is given up.
    Rejected,
    /// A trip was declined, lapsed, expired or was released.
    Ended,
}

/// Money of one column over all rows that are there after the last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// The system.
    pub system: String,
    /// The table or event.
    pub table: String,
    /// The column.
    pub column: String,
    /// The currency.
    pub currency: String,
    /// The sum in major units; none where it has more than 38 digits.
    pub amount: Option<String>,
    /// Over so many rows.
    pub rows: u64,
}
