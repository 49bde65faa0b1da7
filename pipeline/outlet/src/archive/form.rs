//! The persisted forms of an archive, each with its version. Fields may be added within a version, never
//! changed or removed.

use std::collections::BTreeMap;

use centinel_catalog::Shape;
use centinel_model::{Positions, Timestamp, TimestampError};
use serde::{Deserialize, Serialize};

/// The schema id of [`Manifest`].
pub const ARCHIVE_SCHEMA: &str = "centinel/archive/1";
/// The schema id of [`Identity`].
pub const IDENTITY_SCHEMA: &str = "centinel/archive-identity/1";
/// The object that says whose archive it is.
pub const IDENTITY_OBJECT: &str = "archive.json";
/// Where the manifests lie.
pub const MANIFEST_FOLDER: &str = "segments";
/// The newest form of [`Standing`] this program reads and writes.
const STANDING_FORM: u32 = 1;
/// What is left when a state no longer fits what it kept for its archive.
pub(super) const BEGIN_ANEW: &str = "begin with a new state folder and a new archive";

/// One segment of the archive: written last, so that everything it names is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`ARCHIVE_SCHEMA`].
    pub schema: String,
    /// The archive's id, as in [`Identity`].
    pub archive: String,
    /// Counts the segments from 1, without a gap.
    pub number: u64,
    /// The fingerprint of the schemas under which it was written.
    pub schemas: String,
    /// What of these schemas shapes its rows; none in segments of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// The number of its first change; changes are counted from 1 over the whole archive.
    pub first_change: u64,
    /// How many changes it holds.
    pub changes: u64,
    /// Its Parquet files, in order of table and hour.
    pub files: Vec<ManifestFile>,
    /// Where each input had been read to when the segment ended.
    pub positions: Positions,
    /// By source, RFC 3339: everything that it committed up to then stands in this segment or an earlier one.
    pub progress: BTreeMap<String, String>,
    /// By source, RFC 3339: what it committed before may be missing, because it was not read from its beginning.
    #[serde(default)]
    pub horizons: BTreeMap<String, String>,
    /// By table: the same of single tables.
    #[serde(default)]
    pub table_horizons: BTreeMap<String, TableHorizon>,
    /// Records that came in this stretch and could not be read: they are not in the archive, or lack columns there.
    pub unread: Vec<Unread>,
}

/// Where what is known of a table begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHorizon {
    /// RFC 3339: what was committed before may be missing.
    pub time: String,
    /// Whether the table's rows as of then stand in the archive, as a snapshot had them.
    pub rows_read: bool,
}

/// The changes of one table in one hour of commit time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Below the archive's root.
    pub path: String,
    /// Name of the table or event.
    pub table: String,
    /// The hour's beginning, RFC 3339.
    pub hour: String,
    /// How many changes.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Records of one table that could not be read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The table, if that much could be read.
    pub table: Option<String>,
    /// How many.
    pub count: u64,
    /// They were committed after this time, RFC 3339; absent when nobody knows.
    pub after: Option<String>,
    /// The columns that they lack, where they are in the archive without these alone: as nulls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// Whose archive it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// [`IDENTITY_SCHEMA`].
    pub schema: String,
    /// 32 hexadecimal digits, the same in the state that writes it.
    pub archive: String,
}

/// How far the archive of a state is: the state's fact `archive`, in JSON. What stands in the spool beyond it
/// was never committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub form: u32,
    pub archive: String,
    /// The fingerprint of the schemas under which that segment is written; empty in states of earlier programs, which
    /// know of none but the ones that they are read under.
    #[serde(default)]
    pub schemas: String,
    /// The segment that changes go to now, from 1.
    pub segment: u64,
    /// Bytes of its file.
    pub length: u64,
    /// The number of its first change.
    pub first_change: u64,
    /// The number of the next change.
    pub next_change: u64,
    /// Segments up to this one lie in the object store.
    pub archived: u64,
    /// When, by the wall clock, something first came that is not in a sealed segment; microseconds since 1970.
    pub since: Option<i64>,
    pub unread: Vec<Unread>,
}

impl Manifest {
    /// Name of the manifest of a segment, below the archive's root.
    pub fn name(number: u64) -> String {
        format!("{MANIFEST_FOLDER}/{number:012}.json")
    }

    /// How far a source had been read, none when it had never said so.
    pub fn progress_of(&self, source: &str) -> Result<Option<Timestamp>, TimestampError> {
        let told = self.progress.get(source);
        told.map(|text| Timestamp::parse(text)).transpose()
    }
}

impl Standing {
    pub fn begin(archive: String, schemas: String) -> Standing {
        Standing {
            form: STANDING_FORM,
            archive,
            schemas,
            segment: 1,
            length: 0,
            first_change: 1,
            next_change: 1,
            archived: 0,
            since: None,
            unread: Vec::new(),
        }
    }

    pub fn read(bytes: &[u8]) -> Result<Standing, String> {
        let standing: Standing = serde_json::from_slice(bytes).map_err(|error| {
            format!("what state says of the archive cannot be read: {error}; {BEGIN_ANEW}")
        })?;
        match standing.form <= STANDING_FORM {
            true => Ok(standing),
            false => Err(format!(
                "what state says of the archive is of form {}, this program knows up to {STANDING_FORM}: use a \
                 newer program",
                standing.form
            )),
        }
    }

    /// Adds records that could not be read, one entry for each table and set of columns.
    pub fn lose(&mut self, lost: Unread) {
        let known = self
            .unread
            .iter_mut()
            .find(|known| (&known.table, &known.columns) == (&lost.table, &lost.columns));
        let Some(known) = known else {
            self.unread.push(lost);
            return;
        };
        known.count += lost.count;
        // RFC 3339 texts of one form and offset, but of different precision: compared as times.
        let time = |text: &Option<String>| text.as_deref().and_then(|t| Timestamp::parse(t).ok());
        if time(&lost.after) < time(&known.after) {
            known.after = lost.after;
        }
    }
}
