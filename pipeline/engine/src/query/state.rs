//! Current rows from keyed state. A row stands in the document of each entity that it belongs to; here it stands once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::error::ArrowError;
use centinel_catalog::Catalog;
use centinel_model::{TableId, Version};
use centinel_state::{Record, RowDecoder, StateError, StoredDocument, current_rows};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::feed::{Feed, Room};
use crate::EngineError;
use crate::detect::Look;

/// Rows of a batch, or some more: a document is not split.
const BATCH_ROWS: usize = 8_192;
/// What is kept of the state's pages.
const CACHE_BYTES: usize = 64 << 20;
/// Rows for which room is taken at once.
const ROOM_ROWS: usize = 1 << 16;
/// What the newest version of one row takes, the table's empty places included.
const ROW_BYTES: usize = 96;

/// The state of one folder, opened once for a query.
pub(super) struct StateTables {
    catalog: Arc<Catalog>,
    folder: PathBuf,
    opened: OnceLock<Result<Arc<Look>, String>>,
}

impl StateTables {
    pub fn new(catalog: Arc<Catalog>, folder: &Path) -> StateTables {
        StateTables {
            catalog,
            folder: folder.to_owned(),
            opened: OnceLock::new(),
        }
    }

    fn look(&self) -> Result<Arc<Look>, String> {
        self.opened.get_or_init(|| self.open()).clone()
    }

    fn open(&self) -> Result<Arc<Look>, String> {
        if !self.folder.join("state.redb").exists() {
            return Err(format!(
                "{} holds no state: start detection first, or name the folder in which its state is",
                self.folder.display()
            ));
        }
        let opened = Look::open(&self.catalog, &self.folder, CACHE_BYTES);
        opened.map(Arc::new).map_err(|error| match error {
            EngineError::State(StateError::InUse { path }) => format!(
                "the state in {path} is in use, as by a running detection: stop that one while you ask, or ask the \
                 archive.* tables, which can be read beside it"
            ),
            other => other.to_string(),
        })
    }
}

/// The current rows of one table.
pub(super) struct StateFeed {
    state: Arc<StateTables>,
    table: TableId,
}

impl StateFeed {
    pub fn new(state: Arc<StateTables>, table: TableId) -> StateFeed {
        StateFeed { state, table }
    }
}

impl Feed for StateFeed {
    fn read(
        &self,
        wanted: &[usize],
        room: &Room,
        out: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), String> {
        let look = self.state.look()?;
        let catalog = &self.state.catalog;
        if !look.keeps(catalog, self.table) {
            return Err(
                "its rows are not in state, because no loaded rule judges an entity that they belong to: ask the \
                 archive.* table"
                    .into(),
            );
        }
        let read = match look.may_repeat(catalog, self.table) {
            true => newest(&look, self.table, room).map(Some),
            false => Ok(None),
        };
        let read = read.and_then(|newest| self.rows(&look, wanted, newest, out));
        read.map_err(|error| match error {
            Reading::Room(problem) => problem,
            Reading::State(error) => error.to_string(),
        })
    }
}

/// Of each row, by a hash of its primary key, the newest version.
type Newest = HashMap<[u8; 16], Version>;

enum Reading {
    Room(String),
    State(EngineError),
}

impl From<EngineError> for Reading {
    fn from(error: EngineError) -> Reading {
        Reading::State(error)
    }
}

impl From<StateError> for Reading {
    fn from(error: StateError) -> Reading {
        Reading::State(error.into())
    }
}

fn newest(look: &Look, table: TableId, room: &Room) -> Result<Newest, Reading> {
    let (mut newest, mut after, mut has_room) = (Newest::new(), None::<Vec<u8>>, 0);
    while let Some(found) = look.next(after.as_deref())? {
        for document in &found.documents {
            let stored = StoredDocument::read(document)?;
            // A row's leaving counts as well: what is older than that is gone.
            let rows = stored.records.chunk_by(|left, right| left.same_row(right));
            let last = rows.filter_map(<[Record<'_>]>::last);
            for record in last.filter(|record| record.table == table) {
                if newest.len() == has_room {
                    has_room += ROOM_ROWS;
                    room.take(ROOM_ROWS * ROW_BYTES).map_err(Reading::Room)?;
                }
                let known = newest.entry(name_of(record)).or_insert(record.version);
                *known = (*known).max(record.version);
            }
        }
        after = Some(found.place);
    }
    Ok(newest)
}

fn name_of(record: &Record<'_>) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(record.primary_key).into();
    std::array::from_fn(|at| hash[at])
}

impl StateFeed {
    /// Gives rows to `out`; where one may stand in several documents, those of `newest`, each once.
    fn rows(
        &self,
        look: &Look,
        wanted: &[usize],
        mut newest: Option<Newest>,
        out: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), Reading> {
        let table = self.state.catalog.table(self.table);
        let schema = table.storage_schema().project(wanted).map_err(damaged)?;
        let schema = Arc::new(schema);
        let mut decoder = RowDecoder::stored(table, wanted);
        let mut after = None::<Vec<u8>>;
        loop {
            let found = look.next(after.as_deref())?;
            let documents = found.iter().flat_map(|found| &found.documents);
            for document in documents {
                let stored = StoredDocument::read(document)?;
                for record in current_rows(&stored.records) {
                    if record.table == self.table && is_to_come(&mut newest, record) {
                        decoder.decode(record.image)?;
                    }
                }
            }
            if decoder.len() >= BATCH_ROWS || found.is_none() {
                let rows = RecordBatchOptions::new().with_row_count(Some(decoder.len()));
                let columns = decoder.finish();
                let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &rows);
                if !out(batch.map_err(damaged)?) {
                    return Ok(());
                }
            }
            match found {
                Some(found) => after = Some(found.place),
                None => return Ok(()),
            }
        }
    }
}

fn damaged(error: ArrowError) -> EngineError {
    EngineError::Damaged(error.to_string())
}

/// Whether this is the one record that stands for its row, and comes for the first time.
fn is_to_come(newest: &mut Option<Newest>, record: &Record<'_>) -> bool {
    let Some(newest) = newest else {
        return true;
    };
    let name = name_of(record);
    let fits = newest.get(&name) == Some(&record.version);
    if fits {
        newest.remove(&name);
    }
    fits
}
