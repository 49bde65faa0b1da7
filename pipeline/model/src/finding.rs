//! What a rule found, in the documented form `centinel/finding/1`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Positions, Severity};

/// The schema id of [`Finding`] in JSON. Fields may be added within a version, never changed or removed.
pub const FINDING_SCHEMA: &str = "centinel/finding/1";

/// The schema id of a [`Finding`] that is suspected, or was and passed; told only where somebody holds in doubt. Its
/// `sequence` is that of the last message of it under [`FINDING_SCHEMA`], 0 before the first.
pub const SUSPICION_SCHEMA: &str = "centinel/suspicion/1";

/// The rule by which Centinel checks itself: synthetic orders with a planted loss go through the whole chain. What it
/// finds is no business: whoever counts, sums or tells findings leaves it out by [`is_self_check`].
pub const SELF_CHECK_RULE: &str = "centinel-self-check";

/// Whether findings of this rule are of synthetic orders.
pub fn is_self_check(rule: &str) -> bool {
    rule == SELF_CHECK_RULE
}

/// Names one finding for ever: a hash of rule id and key, without the rule's version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FindingId(pub String);

impl FindingId {
    /// SHA-256 over the rule id and each key value, each ended by a zero byte, as 32 hexadecimal digits.
    pub fn new<'a>(rule: &'a str, key: impl IntoIterator<Item = &'a str>) -> FindingId {
        let mut hash = Sha256::new();
        for part in std::iter::once(rule).chain(key) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        FindingId(
            hash.finalize()[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is known of a broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Broken now, but rows may still be on their way.
    Suspected,
    /// Broken, and everything that could mend it has been read.
    Confirmed,
    /// Was suspected or undetermined, and passes.
    Cleared,
    /// Was confirmed, and passes again.
    Recovered,
    /// Could not be judged: a source is behind, a record could not be read, the entity is too large.
    Undetermined,
    /// Was confirmed by a version of the rule that is no longer loaded.
    RuleChanged,
}

/// Rows that show the finding, masked where the schema says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule's output rows for this key: column → value as text, `null` where there is none.
    pub rows: Vec<BTreeMap<String, Option<String>>>,
    /// How many rows there were; `rows` holds the first of them.
    pub total: u64,
}

/// One broken rule for one key. One JSON object of a findings file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// [`FINDING_SCHEMA`].
    pub schema: String,
    /// Hash of rule id and key.
    pub finding_id: FindingId,
    /// Counts what was written of this finding, from 1: with `finding_id` it is unique.
    pub sequence: u64,
    /// The rule's id.
    pub rule: String,
    /// First 16 hexadecimal digits of the SHA-256 of the rule file.
    pub rule_version: String,
    /// The rule's title.
    pub title: String,
    /// Name of the entity, such as `order`.
    pub entity: String,
    /// Key of the entity.
    pub entity_key: String,
    /// The finding's key columns and their values as text, in the rule's order.
    pub key: Vec<(String, String)>,
    /// What is known now.
    pub verdict: Verdict,
    /// 1 for the first time it was confirmed, 2 when it broke again after it had recovered, …
    pub occurrence: u32,
    /// The rule's severity.
    pub severity: Severity,
    /// The rule's owner.
    pub owner: String,
    /// Money at risk in major units, never negative, as text; absent where the rule names no amount.
    pub amount: Option<String>,
    /// ISO 4217 code of `amount`.
    pub currency: Option<String>,
    /// A remark that helps, such as that two amounts differ by exactly a factor of 100.
    pub hint: Option<String>,
    /// The rows that show it.
    pub evidence: Evidence,
    /// Where the inputs stood.
    pub positions: Positions,
    /// The time from which patience counts, RFC 3339.
    pub anchor: String,
    /// The rule's clock when it was judged, RFC 3339.
    pub judged_at: String,
    /// Of a change by hand: what its checkpoint says of the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointAnswer>,
    /// How far the rule is trusted: `draft`, `shadow` or `stable`. Absent where no rule file stands behind the finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the circuit breaker is to hold while it stands; of stable rules that say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip: Option<FindingTrip>,
}

/// What a rule wants held while it is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingTrip {
    /// Where: `refund`, `settlement`, `cash_out`.
    pub points: Vec<String>,
    /// How wide: `order`, `merchant` or `business_code`.
    pub by: String,
    /// Which one; absent where no row shows it.
    pub key: Option<String>,
}

/// What a checkpoint says of the entity whose row was changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointAnswer {
    /// Its name.
    pub name: String,
    /// Of all its rules: violated where one is, else undetermined where one is.
    pub verdict: CheckpointVerdict,
    /// What each of its rules says, in its order.
    pub rules: Vec<CheckpointRule>,
}

/// What one rule of a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRule {
    /// The rule's id.
    pub rule: String,
    /// What it says.
    pub verdict: CheckpointVerdict,
    /// Money at risk by it, added up, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

/// What is known when the patience of a checkpoint has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointVerdict {
    /// The entity is as it should be.
    Passed,
    /// It could not be judged: a source is behind, or a record could not be read.
    Undetermined,
    /// It is not.
    Violated,
}
