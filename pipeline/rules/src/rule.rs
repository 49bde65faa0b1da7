//! One rule, loaded and checked.

use arrow::datatypes::SchemaRef;
use centinel_model::{Duration, EntityId, Severity, TableId};
use serde::Deserialize;

use crate::checkpoint::Checkpoint;
use crate::locality::Locality;
use crate::wake::TimeBound;

/// One rule: a SELECT that returns the bad rows. No rows is good.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name for ever; the file's name without `.sql`.
    pub id: String,
    /// What must hold, in one sentence.
    pub title: String,
    /// The entity whose slices it is asked over.
    pub entity: EntityId,
    /// How bad it is when broken.
    pub severity: Severity,
    /// Output columns that name a finding, the entity's key among them.
    pub key: Vec<String>,
    /// Output column that holds the money at risk, in major units.
    pub amount: Option<String>,
    /// The currency of `amount`.
    pub currency: Option<RuleCurrency>,
    /// Who answers for it.
    pub owner: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How long to wait for late rows before the first judgement that counts.
    pub settle: Duration,
    /// How often it is judged again after `settle`.
    pub retries: u32,
    /// The time between two such judgements.
    pub retry_interval: Duration,
    /// An entity that never comes to rest is undetermined after this time.
    pub max_wait: Duration,
    /// Output column from which patience counts, instead of the newest change.
    pub since: Option<String>,
    /// Tables and events whose changes ask the rule again: those of `on`, else all it reads.
    pub triggers: Vec<TableId>,
    /// What a confirmed finding trips.
    pub trip: Option<Trip>,
    /// How far it is trusted.
    pub status: Status,
    /// Where to read what to do.
    pub runbook: Option<String>,
    /// First 16 hexadecimal digits of the SHA-256 of the file.
    pub version: String,
    /// Path of the file, as shown.
    pub path: String,
    /// The file's text: SQL with the head as a comment.
    pub text: String,
    /// What it reads, by table.
    pub reads: Vec<TableUse>,
    /// Names and types of its output columns, entity keys as text.
    pub output: SchemaRef,
    /// Index of the output column that is the entity's key, where that is one column.
    pub entity_column: Option<usize>,
    /// For each output column whether it derives from a sensitive one and is masked.
    pub sensitive: Vec<bool>,
    /// Whether it reads a sensitive column: then what the SQL engine says of an error may quote one.
    pub reads_sensitive: bool,
    /// Whether it may be answered slice by slice.
    pub locality: Locality,
    /// Whether it uses `as_of()`.
    pub uses_as_of: bool,
    /// When `as_of()` alone can break the rule for an entity; or why that cannot be told. Empty for rules
    /// without `as_of()`.
    pub time_bounds: Result<Vec<TimeBound>, String>,
    /// Whether it reads the history of a guarded table, which only detection has.
    pub reads_history: bool,
    /// Set for the rule that a guarded table brings.
    pub guards: Option<Guarded>,
}

/// What the rule of a guarded table guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The table.
    pub table: TableId,
    /// How far an event may lie from the change that it explains.
    pub window: Duration,
    /// What is asked about the entity whose row was changed by hand.
    pub checkpoint: Option<Checkpoint>,
}

/// Columns of one table that a rule reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    /// The table or event.
    pub table: TableId,
    /// Indexes of its columns, rising; may be empty where rows are only counted.
    pub columns: Vec<usize>,
}

/// The currency of a rule's amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleCurrency {
    /// Always this ISO 4217 code.
    Fixed(String),
    /// In this output column.
    Column(String),
}

/// How far a rule is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being written: checked and tested, not run unless named.
    #[default]
    Draft,
    /// Runs and is recorded, alerts nobody.
    Shadow,
    /// Runs, alerts, and may trip the breaker.
    Stable,
}

/// What a confirmed finding of the rule stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Where money is stopped.
    pub points: Vec<Point>,
    /// The entity that is the scope; its key is in the rule's output.
    pub by: EntityId,
}

/// A point at which the breaker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Money back to the payer.
    Refund,
    /// Money to the merchant's balance.
    Settlement,
    /// Money out to a bank.
    CashOut,
}

impl Status {
    /// The word used in heads and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Shadow => "shadow",
            Status::Stable => "stable",
        }
    }
}

impl Point {
    /// The word used in heads and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Point::Refund => "refund",
            Point::Settlement => "settlement",
            Point::CashOut => "cash_out",
        }
    }
}

impl Rule {
    /// `settle` and all retries: the time after its anchor at which a violation is confirmed.
    pub fn patience(&self) -> Duration {
        self.settle.plus(self.retry_interval.times(self.retries))
    }

    /// Why the rule cannot run in detection, if it cannot.
    pub fn detection(&self) -> Result<&[TimeBound], &str> {
        match (&self.locality, &self.time_bounds) {
            (Locality::NotLocal { reason, .. }, _) => Err(reason),
            (Locality::Local, Err(reason)) => Err(reason),
            (Locality::Local, Ok(bounds)) => Ok(bounds),
        }
    }

    /// Index of the output column with this name.
    pub(crate) fn output_index(&self, name: &str) -> Option<usize> {
        self.output
            .fields()
            .iter()
            .position(|field| field.name() == name)
    }
}
