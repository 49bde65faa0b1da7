//! Where state lies on disk: a narrow trait, and the embedded store behind it.

use std::path::Path;
use std::sync::Arc;

use centinel_model::Timestamp;
use redb::{
    Database, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};

use crate::StateError;
use crate::access::Access;
use crate::cache::Kept;
use crate::document::Wake;
use crate::numbers::{self, NextMove, NumberWriter, Numbers};

/// The newest form of the whole state this program reads and writes; a state of an earlier form is given it when it is
/// opened. In form 1 nothing is forgotten, all documents of forms 1 and 2 are of one shape, and those of forms 1 to 3
/// lie by their keys and are given numbers; in form 4 all numbers are settled ones.
pub const STATE_FORM: u32 = 5;
/// The first form whose documents have numbers.
const FIRST_NUMBERED_FORM: u32 = 4;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A document to be written in the place of what it was.
#[derive(Clone, Debug)]
pub struct DocumentWrite {
    /// The number under which it is kept.
    pub number: u64,
    /// Whether it comes with this commit. Numbers of those that come follow the ones that are there, without a gap.
    pub is_new: bool,
    /// Its key.
    pub key: Arc<[u8]>,
    /// The whole document.
    pub bytes: Arc<[u8]>,
}

/// Everything one micro-batch changes. It is written as a whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Documents, replaced whole.
    pub documents: Vec<DocumentWrite>,
    /// Wakes that are no longer wanted.
    pub wakes_removed: Vec<(Wake, Vec<u8>)>,
    /// Wakes that are wanted now; removed ones go first.
    pub wakes_added: Vec<(Wake, Vec<u8>)>,
    /// Small named values, replaced whole: positions, progress, counters.
    pub facts: Vec<(String, Vec<u8>)>,
    /// Messages to deliver after the commit, by ascending sequence.
    pub outbox: Vec<(u64, Vec<u8>)>,
    /// Messages up to and including this sequence have been delivered and are forgotten.
    pub delivered: u64,
    /// Records that could not be read, by ascending number.
    pub holes: Vec<(u64, Vec<u8>)>,
}

/// A durable store of documents and what is committed with them.
pub trait Store: Send + Sync {
    /// The documents with these keys, `None` where there is none; quickest when sorted by key.
    fn documents(&self, keys: &[&[u8]]) -> Result<Vec<Option<Kept>>, StateError>;
    /// The number of the next document that comes. One alone commits, and counts on from here for what it commits, in
    /// that order and without leaving a commit out.
    fn next_number(&self) -> Result<u64, StateError>;
    /// Up to `limit` documents in the order of their places, after the given place.
    fn documents_after(&self, place: Option<&[u8]>, limit: usize)
    -> Result<Vec<Entry>, StateError>;
    /// The place of a document in their order, which stays for ever; behind all others for one that is not there yet.
    fn place_of(&self, key: &[u8]) -> Result<Vec<u8>, StateError>;
    /// How many documents there are.
    fn count(&self) -> Result<u64, StateError>;
    /// Up to `limit` keys whose wake of this set of sources is at or before `until`, earliest first.
    fn due(
        &self,
        sources: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Wake, Vec<u8>)>, StateError>;
    /// The sets of sources that have wakes.
    fn wake_sets(&self) -> Result<Vec<u64>, StateError>;
    /// A small named value.
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// Messages that were committed and not yet known as delivered, by ascending sequence.
    fn undelivered(&self) -> Result<Vec<(u64, Vec<u8>)>, StateError>;
    /// Records that could not be read, by ascending number, from `first`, at most `limit`.
    fn holes(&self, first: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StateError>;
    /// Makes all of it durable at once.
    fn commit(&self, commit: &Commit) -> Result<(), StateError>;
}

/// Documents lie in the order in which they first came, by number: what is touched together mostly came together, so
/// that a commit writes neighbours, whatever the keys are. A value is the length of the key in 4 bytes, little-endian,
/// the key, and the document.
const DOCUMENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("numbered_documents");
/// Where documents lay before form 4.
const DOCUMENTS_BY_KEY: TableDefinition<&[u8], &[u8]> = TableDefinition::new("documents");
const WAKES: TableDefinition<&[u8], ()> = TableDefinition::new("wakes");
const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");
const OUTBOX: TableDefinition<u64, &[u8]> = TableDefinition::new("outbox");
const HOLES: TableDefinition<u64, &[u8]> = TableDefinition::new("holes");
const FORM_FACT: &str = "form";

/// Begins each place. Places of before form 4 are keys, which begin with a letter.
const PLACE: u8 = 0xff;

fn place(number: u64) -> Vec<u8> {
    let mut place = vec![PLACE];
    place.extend_from_slice(&number.to_be_bytes());
    place
}

/// The number that a place stands for; none for one of before form 4.
fn read_place(place: &[u8]) -> Option<u64> {
    let number = place.strip_prefix(&[PLACE])?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// The key and the document of a value.
fn split(value: &[u8]) -> Result<(&[u8], &[u8]), StateError> {
    let parts = value
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
    parts.ok_or_else(|| StateError::corrupt("a document is cut short"))
}

/// A store in one file of one folder, by redb: copy-on-write B-trees, one fsync for each commit.
pub struct FileStore {
    database: Access,
    next_move: NextMove,
}

impl FileStore {
    /// Opens a state that is there, only to look at it: nothing of it changes, and a commit fails.
    ///
    /// # Errors
    /// As [`FileStore::open`]; also for a state of an earlier form, and for one that was not closed in order: who starts
    /// detection once brings both up to now.
    pub fn open_read_only(folder: &Path, cache_bytes: usize) -> Result<FileStore, StateError> {
        let store = FileStore {
            database: Access::read_only(folder, cache_bytes)?,
            next_move: NextMove::default(),
        };
        match store.form()? {
            Some(STATE_FORM) => Ok(store),
            Some(found) if found > STATE_FORM => Err(StateError::TooNew {
                path: folder.display().to_string(),
                found,
                known: STATE_FORM,
            }),
            _ => Err(StateError::TooOld {
                path: folder.display().to_string(),
            }),
        }
    }

    /// Opens or creates the state in `folder`. `cache_bytes` bounds the store's own page cache. Under which shapes
    /// its rows were written stands in its facts: who reads them minds it.
    pub fn open(folder: &Path, cache_bytes: usize) -> Result<FileStore, StateError> {
        let store = FileStore {
            database: Access::whole(folder, cache_bytes)?,
            next_move: NextMove::default(),
        };
        store.create_tables()?;
        store.check_form(folder)?;
        Ok(store)
    }

    /// A state that is gone with the process, for tests of rules.
    pub fn in_memory(cache_bytes: usize) -> Result<FileStore, StateError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let database = builder.create_with_backend(redb::backends::InMemoryBackend::new());
        let store = FileStore {
            database: Access::Whole(database.map_err(StateError::store)?),
            next_move: NextMove::default(),
        };
        store.create_tables()?;
        Ok(store)
    }

    fn create_tables(&self) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        numbers::create_tables(&transaction)?;
        transaction.open_table(WAKES).map_err(StateError::store)?;
        transaction.open_table(FACTS).map_err(StateError::store)?;
        transaction.open_table(OUTBOX).map_err(StateError::store)?;
        transaction.open_table(HOLES).map_err(StateError::store)?;
        transaction.commit().map_err(StateError::store)
    }

    fn check_form(&self, folder: &Path) -> Result<(), StateError> {
        let set = || {
            self.commit(&Commit {
                facts: vec![(FORM_FACT.into(), STATE_FORM.to_string().into_bytes())],
                ..Commit::default()
            })
        };
        match self.form()? {
            None => set(),
            Some(STATE_FORM) => Ok(()),
            // Forms since then differ in where numbers lie, and are read alike.
            Some(FIRST_NUMBERED_FORM..STATE_FORM) => set(),
            Some(found) if found < STATE_FORM => self.number_documents(),
            Some(found) => Err(StateError::TooNew {
                path: folder.display().to_string(),
                found,
                known: STATE_FORM,
            }),
        }
    }

    fn form(&self) -> Result<Option<u32>, StateError> {
        let Some(bytes) = self.fact(FORM_FACT)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).ok();
        let form = text.and_then(|text| text.parse().ok());
        form.map(Some)
            .ok_or_else(|| StateError::corrupt("its form is not a number"))
    }
}

impl FileStore {
    /// Gives the documents of an earlier form their numbers, in the order of their keys: all of them or none.
    fn number_documents(&self) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        {
            let by_key = transaction
                .open_table(DOCUMENTS_BY_KEY)
                .map_err(StateError::store)?;
            let mut writer = DocumentWriter::open(&transaction)?;
            for entry in by_key.iter().map_err(StateError::store)? {
                let (key, document) = entry.map_err(StateError::store)?;
                let number = writer.next;
                writer.add(number, key.value())?;
                writer.put(number, key.value(), document.value())?;
            }
            let mut facts = transaction.open_table(FACTS).map_err(StateError::store)?;
            let form = STATE_FORM.to_string().into_bytes();
            facts
                .insert(FORM_FACT, form.as_slice())
                .map_err(StateError::store)?;
        }
        transaction
            .delete_table(DOCUMENTS_BY_KEY)
            .map_err(StateError::store)?;
        transaction.commit().map_err(StateError::store)
    }
}

/// Writes documents within a transaction.
struct DocumentWriter<'t> {
    documents: Table<'t, u64, &'static [u8]>,
    numbers: NumberWriter<'t>,
    next: u64,
}

impl<'t> DocumentWriter<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<DocumentWriter<'t>, StateError> {
        let documents = transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        let numbers = NumberWriter::open(transaction)?;
        let next = next_number(&documents)?;
        Ok(DocumentWriter {
            documents,
            numbers,
            next,
        })
    }

    /// Writes documents in the order of their numbers: neighbours share pages.
    fn write(&mut self, documents: &[DocumentWrite]) -> Result<(), StateError> {
        let mut documents: Vec<&DocumentWrite> = documents.iter().collect();
        // Stable: of one that is given twice the later counts.
        documents.sort_by_key(|document| document.number);
        let come = documents.iter().filter(|document| document.is_new);
        let mut come: Vec<&DocumentWrite> = come.copied().collect();
        let mut known = documents.iter().filter(|document| !document.is_new);
        let next = self.next;
        let goes_on = come
            .iter()
            .zip(next..)
            .all(|(document, number)| document.number == number)
            && known.all(|document| document.number < next + come.len() as u64);
        if !goes_on {
            return Err(StateError::Store(
                "a commit numbers its documents as if the state were another".into(),
            ));
        }
        come.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        for document in come {
            self.add(document.number, &document.key)?;
        }
        for document in documents {
            self.put(document.number, &document.key, &document.bytes)?;
        }
        Ok(())
    }

    /// Enters the number of a document that comes.
    fn add(&mut self, number: u64, key: &[u8]) -> Result<(), StateError> {
        self.numbers.add(key, number)?;
        self.next += 1;
        Ok(())
    }

    fn put(&mut self, number: u64, key: &[u8], document: &[u8]) -> Result<(), StateError> {
        let length = u32::try_from(key.len())
            .map_err(|_| StateError::Store("a key is longer than 4 GiB".into()))?;
        let whole = 4 + key.len() + document.len();
        let mut value = self
            .documents
            .insert_reserve(number, whole)
            .map_err(StateError::store)?;
        let (head, rest) = value.as_mut().split_at_mut(4);
        head.copy_from_slice(&length.to_le_bytes());
        rest[..key.len()].copy_from_slice(key);
        rest[key.len()..].copy_from_slice(document);
        Ok(())
    }
}

fn next_number(documents: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, StateError> {
    let last = documents.last().map_err(StateError::store)?;
    Ok(last.map_or(0, |(number, _)| number.value() + 1))
}

fn wake_key(wake: &Wake, document: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(16 + document.len());
    key.extend_from_slice(&wake.sources.to_be_bytes());
    key.extend_from_slice(&(wake.at.0.max(0) as u64).to_be_bytes());
    key.extend_from_slice(document);
    key
}

fn read_wake_key(key: &[u8]) -> Result<(Wake, Vec<u8>), StateError> {
    let (Some(sources), Some(at)) = (
        key.first_chunk::<8>(),
        key.get(8..).and_then(<[u8]>::first_chunk::<8>),
    ) else {
        return Err(StateError::corrupt("a wake is cut short"));
    };
    let wake = Wake {
        sources: u64::from_be_bytes(*sources),
        at: Timestamp(u64::from_be_bytes(*at) as i64),
    };
    Ok((wake, key[16..].to_vec()))
}

impl Store for FileStore {
    fn documents(&self, keys: &[&[u8]]) -> Result<Vec<Option<Kept>>, StateError> {
        let transaction = self.database.begin_read()?;
        let numbers = Numbers::open(&transaction)?;
        let documents = transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        keys.iter()
            .map(|key| {
                let Some(number) = numbers.of(key)? else {
                    return Ok(None);
                };
                let value = documents.get(number).map_err(StateError::store)?;
                let value =
                    value.ok_or_else(|| StateError::corrupt("a document has only a number"))?;
                let (_, document) = split(value.value())?;
                let bytes = Arc::from(document);
                Ok(Some(Kept { number, bytes }))
            })
            .collect()
    }

    fn next_number(&self) -> Result<u64, StateError> {
        let transaction = self.database.begin_read()?;
        let documents = transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        next_number(&documents)
    }

    fn documents_after(
        &self,
        place: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StateError> {
        use std::ops::Bound;
        let transaction = self.database.begin_read()?;
        let documents = transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        let after = match place {
            None => None,
            Some(place) => match read_place(place) {
                Some(number) => Some(number),
                // A key of before form 4. Its document has a number since; if not, all are given.
                None => Numbers::open(&transaction)?.of(place)?,
            },
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        documents
            .range::<u64>((from, Bound::Unbounded))
            .map_err(StateError::store)?
            .take(limit)
            .map(|entry| {
                let (_, value) = entry.map_err(StateError::store)?;
                let (key, document) = split(value.value())?;
                Ok((key.to_vec(), document.to_vec()))
            })
            .collect()
    }

    fn place_of(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        let transaction = self.database.begin_read()?;
        let number = Numbers::open(&transaction)?.of(key)?;
        Ok(place(number.unwrap_or(u64::MAX)))
    }

    fn count(&self) -> Result<u64, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction
            .open_table(DOCUMENTS)
            .map_err(StateError::store)?;
        table.len().map_err(StateError::store)
    }

    fn due(
        &self,
        sources: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Wake, Vec<u8>)>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(WAKES).map_err(StateError::store)?;
        let first = wake_key(
            &Wake {
                sources,
                at: Timestamp(0),
            },
            &[],
        );
        let end = match until.0 {
            i64::MAX => wake_key(
                &Wake {
                    sources,
                    at: Timestamp(i64::MAX),
                },
                &[0xff; 16],
            ),
            time => wake_key(
                &Wake {
                    sources,
                    at: Timestamp(time.max(-1) + 1),
                },
                &[],
            ),
        };
        table
            .range::<&[u8]>(first.as_slice()..end.as_slice())
            .map_err(StateError::store)?
            .take(limit)
            .map(|entry| read_wake_key(entry.map_err(StateError::store)?.0.value()))
            .collect()
    }

    fn wake_sets(&self) -> Result<Vec<u64>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(WAKES).map_err(StateError::store)?;
        let mut sets = Vec::new();
        let mut from = vec![0u8; 8];
        loop {
            let mut range = table
                .range::<&[u8]>(from.as_slice()..)
                .map_err(StateError::store)?;
            let Some(entry) = range.next() else {
                return Ok(sets);
            };
            let (wake, _) = read_wake_key(entry.map_err(StateError::store)?.0.value())?;
            sets.push(wake.sources);
            let Some(next) = wake.sources.checked_add(1) else {
                return Ok(sets);
            };
            from = next.to_be_bytes().to_vec();
        }
    }

    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(FACTS).map_err(StateError::store)?;
        Ok(table
            .get(name)
            .map_err(StateError::store)?
            .map(|value| value.value().to_vec()))
    }

    fn undelivered(&self) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(OUTBOX).map_err(StateError::store)?;
        collect_numbered(table.iter().map_err(StateError::store)?)
    }

    fn holes(&self, first: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(HOLES).map_err(StateError::store)?;
        collect_numbered(table.range(first..).map_err(StateError::store)?.take(limit))
    }

    fn commit(&self, commit: &Commit) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        {
            let mut writer = DocumentWriter::open(&transaction)?;
            writer.write(&commit.documents)?;
            writer.numbers.settle(&self.next_move)?;
            let mut wakes = transaction.open_table(WAKES).map_err(StateError::store)?;
            for (wake, document) in &commit.wakes_removed {
                wakes
                    .remove(wake_key(wake, document).as_slice())
                    .map_err(StateError::store)?;
            }
            for (wake, document) in &commit.wakes_added {
                wakes
                    .insert(wake_key(wake, document).as_slice(), ())
                    .map_err(StateError::store)?;
            }
            let mut facts = transaction.open_table(FACTS).map_err(StateError::store)?;
            for (name, value) in &commit.facts {
                facts
                    .insert(name.as_str(), value.as_slice())
                    .map_err(StateError::store)?;
            }
            let mut outbox = transaction.open_table(OUTBOX).map_err(StateError::store)?;
            outbox
                .retain_in(..=commit.delivered, |_, _| false)
                .map_err(StateError::store)?;
            for (sequence, message) in &commit.outbox {
                outbox
                    .insert(sequence, message.as_slice())
                    .map_err(StateError::store)?;
            }
            let mut holes = transaction.open_table(HOLES).map_err(StateError::store)?;
            for (number, hole) in &commit.holes {
                holes
                    .insert(number, hole.as_slice())
                    .map_err(StateError::store)?;
            }
        }
        transaction.commit().map_err(StateError::store)
    }
}

type NumberedEntry<'a> = Result<
    (
        redb::AccessGuard<'a, u64>,
        redb::AccessGuard<'a, &'static [u8]>,
    ),
    redb::StorageError,
>;

fn collect_numbered<'a>(
    entries: impl Iterator<Item = NumberedEntry<'a>>,
) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
    entries
        .map(|entry| {
            let (number, bytes) = entry.map_err(StateError::store)?;
            Ok((number.value(), bytes.value().to_vec()))
        })
        .collect()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
