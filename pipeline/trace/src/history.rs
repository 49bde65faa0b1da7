//! What one place (state, or the archive) knows of an entity: `centinel/history/1`. Fields may be added within a version, never
//! changed or removed. All times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

/// The schema id of [`History`] in JSON.
pub const HISTORY_SCHEMA: &str = "centinel/history/1";

/// A column and its value as text; none for null. Sensitive values come masked.
pub type Value = (String, Option<String>);
/// A money column, its amount in major units as text, and the currency.
pub type MoneyValue = (String, Option<String>, String);
/// A place in a source's order: epoch, sequence, ordinal.
pub type VersionOf = (u32, u64, u32);

/// What is known of one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// [`HISTORY_SCHEMA`].
    pub schema: String,
    /// The entity's name, such as `order`.
    pub entity: String,
    /// Its key.
    pub key: String,
    /// Every version of every row that is known, by commit time, then by the order of its source.
    pub changes: Vec<Change>,
    /// What the rules in force say now; empty where nobody knows.
    pub rules: Vec<RuleNow>,
    /// What may be missing.
    pub completeness: Completeness,
}

/// What may be missing from a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Versions of rows that were replaced may be missing: state keeps the newest 16 of each row.
    pub replaced_missing: bool,
    /// Rows from before this time may be missing.
    pub since: Option<String>,
    /// Up to when all sources have been read; absent where one has not said so.
    pub until: Option<String>,
    /// So many changes were too many to be told: the oldest ones.
    #[serde(default)]
    pub left_out: u64,
    /// What else a reader should know, each a sentence.
    pub notes: Vec<String>,
}

/// One row as it was after one change, or an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The system that the table belongs to, such as `settlement`.
    pub system: String,
    /// The table or event.
    pub table: String,
    /// Whether it is an event.
    pub event: bool,
    /// `insert`, `update`, `delete` or `snapshot`.
    pub operation: String,
    /// The primary key's value or values, joined by a comma.
    pub primary_key: String,
    /// When it was committed.
    pub committed_at: String,
    /// Its place in its source's order: epoch, sequence, ordinal.
    pub version: VersionOf,
    /// Who made it, as far as the source says.
    #[serde(default)]
    pub origin: Origin,
    /// The row after, in the order of its columns, money in major units; empty after a deletion.
    pub after: Vec<Value>,
    /// The row before, where that is known; empty else.
    pub before: Vec<Value>,
    /// Columns whose values differ from the row before; empty where that is not known.
    pub changed: Vec<String>,
    /// Money columns after the change, in major units.
    pub money: Vec<MoneyValue>,
    /// Money columns before the change, in major units, where that is known.
    #[serde(default)]
    pub money_before: Vec<MoneyValue>,
    /// Whether nothing that was announced or expected explains it: a change by hand.
    #[serde(default)]
    pub by_hand: bool,
}

/// Who made a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The transaction's name.
    pub transaction: Option<String>,
    /// The thread of the server.
    pub thread: Option<u64>,
    /// The account.
    pub account: Option<String>,
    /// The statement.
    pub statement: Option<String>,
}

/// What one rule says of the entity now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleNow {
    /// Its id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The finding's id; absent while it passes.
    pub finding_id: Option<String>,
    /// `passed`, `suspected`, `confirmed` or `undetermined`; `waiting` while a rule that is new or changed has not looked
    /// at the entity yet.
    pub verdict: String,
    /// Money at risk in major units, and its currency.
    pub amount: Option<(String, String)>,
}
