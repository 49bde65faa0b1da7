//! What is told, in JSON: `centinel/interface/1`. Fields may be added within a version, never changed or removed. All
//! times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

/// Whether the process does what it is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether detection can go on by itself: false when only a new start could help.
    pub alive: bool,
    /// Whether what it tells is fresh and whole: false while it catches up, a source is behind, an outlet fails, or
    /// the self-check was not found in time.
    pub ready: bool,
    /// Why it is not alive or not ready, each a sentence.
    pub reasons: Vec<String>,
}

/// How far one source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name in the schemas.
    pub name: String,
    /// Up to when everything that it committed has been read; absent before it said so.
    pub progress: Option<String>,
    /// Whether it is told to be behind.
    pub behind: bool,
    /// Tables and events that are read from it.
    pub tables: Vec<String>,
    /// Where its inputs stand, each as a person would write it.
    pub positions: Vec<String>,
    /// Changes that were read since the start.
    pub changes: u64,
    /// Records of it that could not be read and are not settled.
    pub quarantined: u64,
}

/// What one rule in force has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStatus {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// First 16 hexadecimal digits of the SHA-256 of its file.
    pub version: String,
    /// `info`, `warn`, `error` or `critical`.
    pub severity: String,
    /// `draft`, `shadow` or `stable`.
    pub status: String,
    /// Who owns it.
    pub owner: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where the on-call finds what to do, if it says so.
    pub runbook: Option<String>,
    /// The file.
    pub path: String,
    /// Tables and events that it reads.
    pub tables: Vec<String>,
    /// Slices that it was asked about, since the start.
    pub evaluations: u64,
    /// Microseconds that this took, since the start.
    pub microseconds: u64,
    /// Open now: suspected, confirmed, undetermined.
    pub open: [u64; 3],
    /// Why it does not judge at present, if it does not.
    pub suspended: Option<String>,
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRecord {
    /// Counts them, from 1.
    pub number: u64,
    /// The input that it came from.
    pub input: String,
    /// Where it stands there, as a person would write it.
    pub position: String,
    /// What kind of mistake it is, such as `unknown_column`.
    pub reason: String,
    /// What is wrong, in a sentence, without the values of the record.
    pub message: String,
    /// The table, if that much could be read.
    pub table: Option<String>,
    /// Entities that it belongs to, as far as their keys could be read: name and key.
    pub entities: Vec<(String, String)>,
    /// How many bytes it had.
    pub bytes_total: u64,
    /// What became of it.
    pub standing: Standing,
    /// Who settled it, when and why.
    pub settled: Option<Settled>,
}

/// What became of a record that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What it may concern is in doubt.
    Waiting,
    /// It was read after all: its change is in state, and the doubt has ended.
    Redriven,
    /// A person said that it may be left out: the doubt has ended.
    Accepted,
}

/// Who settled it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The person.
    pub by: String,
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// The bytes of a record, for people who may see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedBytes {
    /// The record, as UTF-8; what is none is replaced by U+FFFD.
    pub text: String,
    /// Whether these are all bytes, exactly.
    pub whole: bool,
}

/// What is to become of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// [`Standing::Redriven`] or [`Standing::Accepted`].
    pub to: Standing,
    /// The person.
    pub by: String,
    /// Why.
    pub reason: String,
}
