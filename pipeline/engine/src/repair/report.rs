//! What a dry run says.

use std::collections::BTreeMap;

use centinel_model::Severity;
use centinel_outlet::CouldNotJudge;
use serde::{Deserialize, Serialize};

/// What comes of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was judged, and nothing gets worse.
    Safe,
    /// Something gets worse, or the plan does not fit the data.
    Unsafe,
    /// Nothing is known to get worse, and not everything could be judged. Never to be taken for safe.
    CouldNotJudge,
}

impl Verdict {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Safe => "safe",
            Verdict::Unsafe => "unsafe",
            Verdict::CouldNotJudge => "could not judge",
        }
    }
}

/// The result of a dry run. Amounts are text in major units, times RFC 3339, sensitive values masked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DryRun {
    /// What comes of the plan.
    pub verdict: Verdict,
    /// Why it is not safe, the gravest first.
    pub reasons: Vec<String>,
    /// The moment as of which the data was judged; absent where there was none.
    pub as_of: Option<String>,
    /// Whether the data was taken to be at rest.
    pub at_rest: bool,
    /// How old the data was when the plan was tried, such as `2h`; absent without a moment.
    pub age: Option<String>,
    /// By table, when it was cut, where the snapshot's manifest says it.
    pub cuts: BTreeMap<String, String>,
    /// Rows that the plan changes, by table.
    pub rows: BTreeMap<String, RowCounts>,
    /// Entities whose rules were asked, by kind.
    pub entities: BTreeMap<String, u64>,
    /// What is wrong with the data that the plan touches, and with the plan.
    pub quality: Quality,
    /// What the rules say before and after.
    pub violations: Violations,
    /// Whose money changes.
    pub money: Money,
    /// What could not be judged.
    pub could_not_judge: Vec<Unjudged>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

/// Rows of one table that a plan changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that come.
    pub inserted: u64,
    /// Rows that change.
    pub updated: u64,
    /// Rows that go.
    pub deleted: u64,
}

/// What is wrong with the data that a plan touches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Quality {
    /// How many of each kind there are.
    pub counts: BTreeMap<QualityKind, u64>,
    /// At most 1,000 of each kind.
    pub found: Vec<QualityFinding>,
}

/// What may be wrong with a row that a plan touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityKind {
    /// A row that is to change is not there.
    MissingRow,
    /// A value is not what the plan expects.
    OldValueDiffers,
    /// The plan names the row more than once.
    RepeatedChange,
    /// A row that is to come is there already.
    KeyExists,
    /// The snapshot has several rows with the key.
    RepeatedKey,
    /// Part of a key is null.
    NullInKey,
    /// A column that may not be null is null.
    NullInRequired,
    /// The state may not follow the one before.
    ForbiddenTransition,
    /// The state is not among the declared ones.
    UnknownState,
    /// A number that the column cannot hold.
    OutOfRange,
    /// An amount becomes exactly 100 times, or a hundredth, of what it was, and that mends nothing.
    WrongUnit,
    /// A row leads to no entity.
    Orphan,
    /// The row changed so shortly before the moment of judgement that more may be on its way.
    StillChanging,
}

impl QualityKind {
    /// Whether it says that nobody can judge, rather than that something is wrong.
    pub fn is_doubt(self) -> bool {
        matches!(self, QualityKind::RepeatedKey | QualityKind::StillChanging)
    }
}

/// One thing that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityFinding {
    /// What.
    pub kind: QualityKind,
    /// The table's name.
    pub table: String,
    /// The row's key, such as `refund_no=R1`.
    pub key: String,
    /// The column, where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<String>,
    /// For a person.
    pub message: String,
    /// Where the change stands in its file.
    pub place: String,
}

/// What rules say before and after a plan, of the touched entities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Violations {
    /// Broken before, not after.
    pub fixed: Vec<Violation>,
    /// Broken after, not before.
    pub introduced: Vec<Violation>,
    /// Broken before and after, by another amount after.
    pub changed: Vec<ChangedViolation>,
    /// Broken before and after alike.
    pub untouched: Vec<Violation>,
}

/// A rule that is broken for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule's id.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The kind of entity.
    pub entity: String,
    /// The entity's key.
    pub entity_key: String,
    /// The key columns and their values, in the rule's order.
    pub key: Vec<(String, String)>,
    /// Money at risk in major units, never negative.
    pub amount: Option<String>,
    /// ISO 4217 code of `amount`.
    pub currency: Option<String>,
    /// Whether rows on their way could still mend it as of the moment of judgement.
    pub in_flight: bool,
    /// The row that the rule returned; empty for a violation in flight.
    pub evidence: BTreeMap<String, Option<String>>,
    /// What it may come from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// A violation that stays, by another amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedViolation {
    /// As it was.
    pub before: Violation,
    /// As the plan leaves it.
    pub after: Violation,
}

/// Whose money a plan changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Where it is not zero, by table, account, merchant and currency.
    pub moved: Vec<Moved>,
    /// By table and currency, all together.
    pub totals: Vec<MoneyTotal>,
}

/// Money of one account or merchant in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The table's name.
    pub table: String,
    /// The money column.
    pub column: String,
    /// The account, where the schema names one.
    pub account: Option<String>,
    /// The merchant, where the schema names one.
    pub merchant: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// After less before, of the changed rows.
    pub amount: String,
}

/// All money of one table in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyTotal {
    /// The table's name.
    pub table: String,
    /// The money column.
    pub column: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Of the changed rows, before.
    pub before: String,
    /// Of the changed rows, after.
    pub after: String,
    /// Whether both are equal.
    pub conserved: bool,
}

/// Something that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unjudged {
    /// The rule's id; absent where it concerns the data as a whole.
    pub rule: Option<String>,
    /// Key of the entity; absent where no entity could be judged.
    pub entity_key: Option<String>,
    /// Why, and what would help.
    pub reason: String,
}

impl From<CouldNotJudge> for Unjudged {
    fn from(told: CouldNotJudge) -> Unjudged {
        Unjudged {
            rule: told.rule,
            entity_key: told.entity_key,
            reason: told.reason,
        }
    }
}
