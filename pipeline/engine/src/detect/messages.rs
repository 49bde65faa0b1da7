//! What detection tells the world beside findings, one JSON object a line, each form documented and
//! versioned. Sensitive values never stand in them.

use centinel_catalog::Catalog;
use centinel_model::{Hole, HoleReason, Note, Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// The schema id of [`HoleMessage`].
pub const HOLE_SCHEMA: &str = "centinel/hole/1";
/// The schema id of [`SourceMessage`].
pub const SOURCE_SCHEMA: &str = "centinel/source/1";
/// The schema id of [`PlanMessage`].
pub const PLAN_SCHEMA: &str = "centinel/plan/1";
/// The schema id of [`NoteMessage`].
pub const NOTE_SCHEMA: &str = "centinel/note/1";

/// The schema id of [`SettledMessage`].
pub const SETTLED_SCHEMA: &str = "centinel/settled/1";

/// Something about a table's shape that is no mistake, and that a person should know. Told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteMessage {
    /// [`NOTE_SCHEMA`].
    pub schema: String,
    /// The table of the schemas.
    pub table: String,
    /// The column, where the note is about one.
    pub column: Option<String>,
    /// What was noticed, and what to do.
    pub message: String,
    /// Name of the input, where one showed it.
    pub input: Option<String>,
    /// Where it was noticed in that.
    pub position: Option<Position>,
}

/// A record that could not be read, as it is told and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoleMessage {
    /// [`HOLE_SCHEMA`].
    pub schema: String,
    /// Counts the holes of this state, from 1.
    pub number: u64,
    /// Name of the input.
    pub input: String,
    /// Where the record stands in it.
    pub position: Position,
    /// What kind of mistake it is.
    pub reason: HoleReason,
    /// What is wrong, without values of the record.
    pub message: String,
    /// The table, if that much could be read.
    pub table: Option<String>,
    /// The entities it belongs to, if their keys could be read: name and key.
    pub entities: Vec<(String, String)>,
    /// How many bytes the record had. The bytes themselves are kept in state, not told.
    pub bytes_total: u64,
    /// How many like it there were of late, this one included: of one table and reason, in the same input or in
    /// partitions of one topic. Of many, three are told, and then each tenth, hundredth and so on by this number; all
    /// are kept.
    #[serde(default)]
    pub alike: u64,
    /// What became of it, in state; it is told by a [`SettledMessage`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settlement>,
}

/// What became of a record that could not be read: the doubt that it brought has ended. Told once, and kept with the
/// record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledMessage {
    /// [`SETTLED_SCHEMA`].
    pub schema: String,
    /// The number of the hole.
    pub number: u64,
    /// What became of it.
    #[serde(flatten)]
    pub settlement: Settlement,
}

/// How a hole was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// What became of it.
    pub to: SettledTo,
    /// The person who did it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in the person's words.
    pub reason: String,
}

/// What may become of a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledTo {
    /// It was read after all: its change or event is in state.
    Redriven,
    /// A person says that it may be left out.
    Accepted,
}

/// A source that has fallen behind, or moves again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceMessage {
    /// [`SOURCE_SCHEMA`].
    pub schema: String,
    /// Name of the source.
    pub source: String,
    /// `behind` or `moving`.
    pub state: SourceState,
    /// Up to which commit time it has been read, RFC 3339; absent when it was never heard of.
    pub progress: Option<String>,
    /// Entities that cannot be judged before it moves: undetermined. At most 100,000 are counted.
    pub undetermined: u64,
    /// What to do.
    pub remedy: String,
}

/// The time of an announced plan is over, and everything was read and judged that could speak against it: what was not
/// done as planned has been told, and so has what the rules say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMessage {
    /// [`PLAN_SCHEMA`].
    pub schema: String,
    /// The plan's id.
    pub plan: String,
    /// Until when it was to be carried out, RFC 3339.
    pub until: String,
}

/// Whether a source moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Nothing has come from it for too long.
    Behind,
    /// It moves again; what waited for it is judged by itself.
    Moving,
}

impl PlanMessage {
    /// A message on a plan.
    pub fn new(plan: String, until: Timestamp) -> PlanMessage {
        PlanMessage {
            schema: PLAN_SCHEMA.into(),
            plan,
            until: until.to_string(),
        }
    }
}

impl NoteMessage {
    /// How a note is told.
    pub fn new(note: &Note, catalog: &Catalog) -> NoteMessage {
        NoteMessage {
            schema: NOTE_SCHEMA.into(),
            table: catalog.table(note.table).name.clone(),
            column: note.column.clone(),
            message: note.message.clone(),
            input: Some(note.input.clone()),
            position: Some(note.position.clone()),
        }
    }

    /// A column of a table is not as its schema says, and no rule uses it.
    pub fn of_unused((table, column): &(String, String), what: &str) -> NoteMessage {
        NoteMessage {
            schema: NOTE_SCHEMA.into(),
            table: table.clone(),
            column: Some(column.clone()),
            message: format!("{what}; no rule uses it"),
            input: None,
            position: None,
        }
    }
}

impl HoleMessage {
    /// How hole number `number` is told.
    pub fn new(number: u64, hole: &Hole, catalog: &Catalog) -> HoleMessage {
        HoleMessage {
            schema: HOLE_SCHEMA.into(),
            number,
            input: hole.input.clone(),
            position: hole.position.clone(),
            reason: hole.reason,
            message: hole.message.clone(),
            table: hole.table.map(|table| catalog.table(table).name.clone()),
            entities: hole
                .entities
                .iter()
                .map(|(entity, key)| (catalog.entity(*entity).name.clone(), key.to_string()))
                .collect(),
            bytes_total: hole.bytes_total,
            alike: 1,
            settled: None,
        }
    }
}

impl SourceMessage {
    /// A message on a source.
    pub fn new(
        source: &str,
        state: SourceState,
        progress: Timestamp,
        undetermined: u64,
    ) -> SourceMessage {
        let remedy = match state {
            SourceState::Behind => format!(
                "see whether `{source}` still writes changes or heartbeats, and whether its input is still read"
            ),
            SourceState::Moving => "nothing: what waited is judged by itself".into(),
        };
        SourceMessage {
            schema: SOURCE_SCHEMA.into(),
            source: source.into(),
            state,
            progress: (progress > Timestamp::MIN).then(|| progress.to_string()),
            undetermined,
            remedy,
        }
    }
}

/// One line of JSON.
pub fn line_of<T: Serialize>(message: &T) -> Result<Vec<u8>, EngineError> {
    serde_json::to_vec(message).map_err(|error| EngineError::Damaged(error.to_string()))
}

/// A hole as state keeps it: its message in one line, then the record's bytes.
pub fn kept_hole(message: &HoleMessage, record: &[u8]) -> Result<Vec<u8>, EngineError> {
    let mut bytes = line_of(message)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(record);
    Ok(bytes)
}

/// Reads what [`kept_hole`] wrote.
pub fn read_hole(bytes: &[u8]) -> Result<(HoleMessage, &[u8]), EngineError> {
    let damaged = || EngineError::Damaged("a hole cannot be read".into());
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(damaged)?;
    let message = serde_json::from_slice(&bytes[..end]).map_err(|_| damaged())?;
    Ok((message, &bytes[end + 1..]))
}
