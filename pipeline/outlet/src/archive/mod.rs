//! The archive: every committed change, as Parquet in a folder or an object store.
//!
//! Changes go to a local spool before the commit that they belong to, and each commit says how long the spool
//! is ([`Archive::fact`]): at the next start it is cut back to that length, so each committed change stands in
//! it exactly once. Now and then a segment of the spool is sealed; a thread of its own makes Parquet files of
//! it, and the manifest last. Only when a commit says that they are there does the segment leave the spool.
//! An object store that is away never stops detection, until the spool is full.
//!
//! | file | holds |
//! |---|---|
//! | `form` | the persisted forms |
//! | `columns` | a change as a row |
//! | `location` | the folder or object store |
//! | `failure` | what an object store's error means |
//! | `probe` | whether an archive could be kept at a place |
//! | `spool` | local files of changes on their way |
//! | `parquet_files` | a segment → Parquet by table and hour |
//! | `upload` | the thread that brings segments into the store |

mod columns;
mod failure;
mod form;
mod location;
mod parquet_files;
mod probe;
mod spool;
mod upload;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration as WallDuration, Instant};

use arrow::datatypes::SchemaRef;
use centinel_catalog::{Catalog, Shape, Table, TableKind};
use centinel_model::{Duration, MicroBatch, Positions, Timestamp};
use sha2::{Digest, Sha256};

pub use columns::{
    ACCOUNT, CHANGE, COMMITTED_AT, DELETE, EPOCH, OPERATION, ORDINAL, SEQUENCE, STATEMENT, THREAD,
    TRANSACTION, archive_schema, before,
};
pub use failure::Obstacle;
pub use form::{
    ARCHIVE_SCHEMA, IDENTITY_OBJECT, IDENTITY_SCHEMA, Identity, MANIFEST_FOLDER, Manifest,
    ManifestFile, TableHorizon, Unread,
};
pub use location::Location;
pub use probe::{Probed, Unusable, probe};

use form::Standing;
use spool::Spool;
use upload::{Trouble, Uploader, Work};

/// The name of the fact in which state keeps how far its archive is.
pub const ARCHIVE_FACT: &str = "archive";
/// How often a wait looks again.
const LOOK_AGAIN: WallDuration = WallDuration::from_millis(20);

/// How an archive is written.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// A folder, made when it is not there, or a URL ([`Location::open`]).
    pub location: String,
    /// Options of the object store, such as the environment's variables.
    pub store_options: Vec<(String, String)>,
    /// Folder of the spool, made when it is not there.
    pub spool: PathBuf,
    /// Bytes of the spool after which a segment is sealed.
    pub segment_bytes: u64,
    /// Time after which a segment is sealed, by the wall clock.
    pub segment_age: Duration,
    /// Bytes that may wait in the spool.
    pub spool_limit: u64,
    /// How long a full spool and the end of a run wait for a store that takes nothing.
    pub patience: WallDuration,
}

impl ArchiveOptions {
    /// The usual limits: segments of 64 MiB or 5 minutes, a spool of 20 GiB.
    pub fn new(location: String, spool: PathBuf) -> ArchiveOptions {
        ArchiveOptions {
            location,
            store_options: Vec::new(),
            spool,
            segment_bytes: 64 << 20,
            segment_age: Duration::seconds(300),
            spool_limit: 20 << 30,
            patience: WallDuration::from_secs(60),
        }
    }
}

/// Why there can be no archive, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It was asked for in a way that cannot be done; nothing was begun.
    #[error("the archive cannot be written: {0}")]
    Refused(String),
    /// It cannot go on. Nothing is lost: what it holds is what was committed.
    #[error("the archive cannot be written: {0}")]
    Failed(String),
}

/// What a commit reaches, for the manifest of the segment that ends with it.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// Where each input has been read to.
    pub positions: Positions,
    /// How far each source has been read, by name; only those that ever said so.
    pub progress: BTreeMap<String, Timestamp>,
    /// By source: what it committed before may be missing, because it was not read from its beginning.
    pub horizons: BTreeMap<String, Timestamp>,
    /// By table: the same of single tables, and whether its rows as of then were read from a snapshot.
    pub table_horizons: BTreeMap<String, (Timestamp, bool)>,
    /// Records that could not be read, since the last commit.
    pub unread: Vec<Unread>,
    /// Whether anything came at all, were it a heartbeat.
    pub moved: bool,
}

/// How far an archive is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveStatus {
    /// Whole segments that wait in the spool.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Why they wait, where it is not for their turn.
    pub trouble: Option<String>,
}

/// The archive of one state, as detection writes it.
///
/// For each micro-batch: [`append`](Archive::append), then [`fact`](Archive::fact) into its commit, then
/// [`committed`](Archive::committed) once that is durable and before the next `fact`. The next `append` may
/// come before.
pub struct Archive {
    fingerprint: String,
    shape: Shape,
    schemas: Vec<SchemaRef>,
    options: ArchiveOptions,
    spool: Spool,
    standing: Standing,
    /// Sealed by the commit that is under way.
    sealed: Vec<u64>,
    /// Whether the store may show already whose archive it is.
    begun: bool,
    uploader: Uploader,
}

fn failed(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Failed(error.to_string())
}

impl Archive {
    /// Takes up the archive where state left it: `standing` is the fact [`ARCHIVE_FACT`], none for a state that
    /// has read nothing yet. Then the object store must answer, and must not hold an archive. Where the catalog takes
    /// the state over from another, `earlier` is its shape and what the state had reached under it: the segment that
    /// was begun under it ends with it.
    pub fn open(
        catalog: &Arc<Catalog>,
        options: &ArchiveOptions,
        standing: Option<&[u8]>,
        earlier: Option<(Shape, Reached)>,
        now: Timestamp,
    ) -> Result<Archive, ArchiveError> {
        // Histories stand last, and are not archived: they follow from the changes.
        let is_kept = |table: &&Table| !matches!(table.kind, TableKind::History(_));
        let tables = catalog.tables.iter().filter(is_kept).map(archive_schema);
        let schemas = tables
            .collect::<Result<Vec<_>, _>>()
            .map_err(ArchiveError::Refused)?;
        if !options.location.contains("://") {
            std::fs::create_dir_all(&options.location)
                .map_err(|error| ArchiveError::Refused(format!("{}: {error}", options.location)))?;
        }
        let location = Location::open_to_write(&options.location, &options.store_options)
            .map_err(ArchiveError::Refused)?;
        let fingerprint = catalog.fingerprint();
        let mut standing = match standing {
            Some(bytes) => Standing::read(bytes).map_err(ArchiveError::Refused)?,
            None => {
                refuse_foreign(&location)?;
                Standing::begin(new_id(options, now), fingerprint.clone())
            }
        };
        let spool = Spool::open(
            &options.spool,
            standing.archived,
            standing.segment,
            standing.length,
        );
        let spool = spool
            .map_err(|error| failed(format!("the spool {}: {error}", options.spool.display())))?;
        let work = Work {
            catalog: Arc::clone(catalog),
            location,
            folder: options.spool.clone(),
            archive: standing.archive.clone(),
        };
        let uploader = Uploader::start(work, standing.archived).map_err(failed)?;
        for segment in standing.archived + 1..standing.segment {
            uploader.send(segment);
        }
        let begun = standing.archived > 0;
        let before = std::mem::replace(&mut standing.schemas, fingerprint.clone());
        let mut archive = Archive {
            fingerprint,
            shape: catalog.shape(),
            schemas,
            options: options.clone(),
            spool,
            standing,
            sealed: Vec::new(),
            begun,
            uploader,
        };
        if let Some((shape, reached)) = earlier
            && !before.is_empty()
            && before != archive.fingerprint
            && archive.standing.since.is_some()
        {
            archive.seal(reached, before, shape)?;
        }
        Ok(archive)
    }

    /// Puts the changes into the spool, durably. Waits where the spool is full and the store takes from it;
    /// an error when it does not.
    pub fn append(&mut self, batch: &MicroBatch) -> Result<(), ArchiveError> {
        if let Some(Trouble::Lasting(why)) = self.uploader.trouble() {
            return Err(ArchiveError::Failed(why));
        }
        if batch.tables.iter().all(|changes| changes.is_empty()) {
            return Ok(());
        }
        self.wait_for_room()?;
        let Archive {
            schemas,
            spool,
            standing,
            ..
        } = self;
        let next = &mut standing.next_change;
        let changes = batch.tables.iter().filter(|changes| !changes.is_empty());
        let frames = changes.map(|changes| {
            let schema = &schemas[usize::from(changes.table.0)];
            let rows = columns::rows_of(schema, changes, *next).map_err(io::Error::other)?;
            *next += rows.num_rows() as u64;
            Ok((changes.table, rows))
        });
        let length = spool.append(standing.segment, standing.length, frames);
        standing.length = length.map_err(|error| {
            failed(format!(
                "the spool {}: {error}",
                self.options.spool.display()
            ))
        })?;
        Ok(())
    }

    /// What is not archived may grow up to the limit.
    fn wait_for_room(&self) -> Result<(), ArchiveError> {
        let limit = self.options.spool_limit;
        let used = |archived: u64| self.spool.bytes_after(archived) + self.standing.length;
        // The segment that the commit under way seals cannot go before that is durable.
        let last = self
            .sealed
            .first()
            .copied()
            .unwrap_or(self.standing.segment)
            - 1;
        let room = |archived: u64| archived >= last || used(archived) <= limit;
        if self.wait_until(&|| false, room) {
            return Ok(());
        }
        Err(failed(format!(
            "{} bytes wait in the spool {}, its limit is {limit}, and the store takes none of them: {}; mend that \
             and start again",
            used(self.uploader.archived()),
            self.options.spool.display(),
            self.status()
                .trouble
                .unwrap_or_else(|| "it does not answer".into()),
        )))
    }

    /// Waits until enough is archived; false when it will not be: the store has taken nothing for the patience
    /// of the options, or `stop` says so.
    fn wait_until(&self, stop: &dyn Fn() -> bool, enough: impl Fn(u64) -> bool) -> bool {
        let (mut since, mut written) = (Instant::now(), self.uploader.objects());
        while !enough(self.uploader.archived()) {
            let now = self.uploader.objects();
            if now != written {
                (since, written) = (Instant::now(), now);
            }
            let lasting = matches!(self.uploader.trouble(), Some(Trouble::Lasting(_)));
            if lasting || stop() || since.elapsed() > self.options.patience {
                return false;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        true
    }

    /// What the commit of the micro-batch that was appended last must say under [`ARCHIVE_FACT`]. Seals the
    /// segment when it is large or old enough, or `at_the_end`.
    pub fn fact(
        &mut self,
        reached: Reached,
        now: Timestamp,
        at_the_end: bool,
    ) -> Result<Vec<u8>, ArchiveError> {
        let standing = &mut self.standing;
        standing.archived = self.uploader.archived();
        if reached.moved || !reached.unread.is_empty() {
            standing.since.get_or_insert(now.0);
        }
        for lost in &reached.unread {
            standing.lose(lost.clone());
        }
        let full = standing.length >= self.options.segment_bytes;
        let whole = standing.since.is_some() && (full || at_the_end);
        if whole || self.is_due(now) {
            self.seal(reached, self.fingerprint.clone(), self.shape.clone())?;
        }
        serde_json::to_vec(&self.standing).map_err(failed)
    }

    /// Whether a commit is wanted though nothing came: the segment has its age.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let since = self.standing.since.map(Timestamp);
        since.is_some_and(|since| now.since(since) >= self.options.segment_age)
    }

    fn seal(
        &mut self,
        reached: Reached,
        schemas: String,
        shape: Shape,
    ) -> Result<(), ArchiveError> {
        let told = |times: BTreeMap<String, Timestamp>| {
            let texts = times.into_iter();
            texts
                .map(|(source, time)| (source, time.to_string()))
                .collect()
        };
        let standing = &mut self.standing;
        let manifest = Manifest {
            schema: ARCHIVE_SCHEMA.into(),
            archive: standing.archive.clone(),
            number: standing.segment,
            schemas,
            shape: Some(shape),
            first_change: standing.first_change,
            changes: standing.next_change - standing.first_change,
            files: Vec::new(),
            positions: reached.positions,
            progress: told(reached.progress),
            horizons: told(reached.horizons),
            table_horizons: table_horizons(reached.table_horizons),
            unread: std::mem::take(&mut standing.unread),
        };
        self.spool
            .seal(&manifest, standing.length)
            .map_err(failed)?;
        self.sealed.push(standing.segment);
        standing.segment += 1;
        standing.length = 0;
        standing.first_change = standing.next_change;
        standing.since = None;
        Ok(())
    }

    /// The commit with the last [`fact`](Archive::fact) is durable: a new archive begins with it, what it sealed may be
    /// archived, and what it knows as archived leaves the spool.
    pub fn committed(&mut self) -> Result<(), ArchiveError> {
        // So that who reads a new archive can tell it from a place that holds none.
        if !std::mem::replace(&mut self.begun, true) {
            self.uploader.begin();
        }
        for segment in self.sealed.drain(..) {
            self.uploader.send(segment);
        }
        self.spool
            .remove_through(self.standing.archived)
            .map_err(failed)
    }

    /// Waits until a new archive has begun and all whole segments are archived, as long as the store takes some and
    /// `stop` does not say that the run ends.
    /// Another commit then tells state of them.
    pub fn wait(&self, stop: &dyn Fn() -> bool) {
        let last = self.standing.segment - 1;
        self.wait_until(stop, |archived| {
            archived >= last && self.uploader.has_begun()
        });
    }

    /// What waits, and why.
    pub fn status(&self) -> ArchiveStatus {
        let trouble = self.uploader.trouble();
        ArchiveStatus {
            waiting: (self.standing.segment - 1).saturating_sub(self.uploader.archived()),
            waiting_bytes: self.spool.bytes_after(self.uploader.archived()),
            trouble: trouble.map(Trouble::text),
        }
    }
}

fn table_horizons(horizons: BTreeMap<String, (Timestamp, bool)>) -> BTreeMap<String, TableHorizon> {
    let told = horizons.into_iter().map(|(table, (time, rows_read))| {
        let time = time.to_string();
        (table, TableHorizon { time, rows_read })
    });
    told.collect()
}

/// A state that begins must not write over the archive of another.
fn refuse_foreign(location: &Location) -> Result<(), ArchiveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let known = runtime.block_on(location.get(IDENTITY_OBJECT));
    match known.map_err(ArchiveError::Refused)? {
        None => Ok(()),
        Some(_) => Err(ArchiveError::Refused(format!(
            "{} holds the archive of another state: name another place",
            location.shown()
        ))),
    }
}

fn new_id(options: &ArchiveOptions, now: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(options.location.as_bytes());
    hash.update([0]);
    hash.update(options.spool.as_os_str().as_encoded_bytes());
    hash.update(now.0.to_le_bytes());
    let digest = hash.finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
