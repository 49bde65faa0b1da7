//! Documents between micro-batches: what memory holds of them, how they come from the store, and into a commit.

use std::sync::Arc;

use centinel_model::Timestamp;
use centinel_state::{
    Commit, DocumentCache, DocumentWrite, Kept, Record, Store, Wake, write_document,
};

use super::detector::Detector;
use super::gather::Loaded;
use super::keys::Documents;
use crate::EngineError;

/// A document as it is to be stored.
pub(super) struct Written<'a> {
    pub key: &'a Arc<[u8]>,
    /// Its number in the store; none for one that comes.
    pub stored_as: Option<u64>,
    pub verdicts: &'a [u8],
    pub wakes: &'a [Wake],
    pub records: &'a [Record<'a>],
    /// The newest commit time of records that were forgotten.
    pub forgotten: Option<Timestamp>,
}

/// What memory holds of the store's documents, for one that commits all it prepares, in order. Everything written by
/// commits that were not reported durable yet is in it, so that no document comes twice.
pub(super) struct Memory {
    cache: DocumentCache,
    /// The number in the store of the next document that comes.
    next_number: u64,
    /// Room to write a document in.
    writing: Vec<u8>,
}

impl Memory {
    /// Of at most about so many bytes.
    pub fn over(store: &dyn Store, bytes: usize) -> Result<Memory, EngineError> {
        Ok(Memory {
            cache: DocumentCache::new(bytes),
            next_number: store.next_number()?,
            writing: Vec::new(),
        })
    }

    /// To be called when the oldest commit that was not reported yet is durable.
    pub fn committed(&mut self) {
        self.cache.make_room();
    }
}

impl Detector {
    /// The documents of a micro-batch that are not loaded yet, from memory or from the store.
    pub(super) fn load(
        &mut self,
        documents: &Documents,
        loaded: &mut Loaded,
    ) -> Result<(), EngineError> {
        let mut missing: Vec<u32> = Vec::new();
        for number in loaded.len() as u32..documents.len() as u32 {
            let known = self.memory.cache.get(documents.key(number));
            if known.is_none() {
                missing.push(number);
            }
            loaded.push(known);
        }
        missing.sort_unstable_by(|left, right| documents.key(*left).cmp(documents.key(*right)));
        let keys = missing.iter().map(|number| &**documents.key(*number));
        let keys: Vec<&[u8]> = keys.collect();
        for (number, found) in missing.iter().zip(self.store.documents(&keys)?) {
            let as_of_now = |Kept { number, bytes }| {
                let bytes = self.shapes.as_of_now(bytes)?;
                Ok::<_, EngineError>(Kept { number, bytes })
            };
            loaded.set(*number, found.map(as_of_now).transpose()?);
        }
        Ok(())
    }

    /// Puts a document and what changes among its wakes into the commit.
    pub(super) fn write(&mut self, written: &Written<'_>, old_wakes: &[Wake], commit: &mut Commit) {
        let Written {
            key,
            stored_as,
            verdicts,
            wakes,
            records,
            forgotten,
        } = *written;
        for wake in old_wakes.iter().filter(|wake| !wakes.contains(wake)) {
            commit.wakes_removed.push((*wake, key.to_vec()));
        }
        for wake in wakes.iter().filter(|wake| !old_wakes.contains(wake)) {
            commit.wakes_added.push((*wake, key.to_vec()));
        }
        let memory = &mut self.memory;
        let number = stored_as.unwrap_or(memory.next_number);
        memory.next_number = memory.next_number.max(number + 1);
        memory.writing.clear();
        write_document(
            self.shapes.number(),
            forgotten,
            verdicts,
            wakes,
            records,
            &mut memory.writing,
        );
        let bytes: Arc<[u8]> = Arc::from(memory.writing.as_slice());
        let kept = Kept {
            number,
            bytes: Arc::clone(&bytes),
        };
        memory.cache.put(Arc::clone(key), kept);
        commit.documents.push(DocumentWrite {
            number,
            is_new: stored_as.is_none(),
            key: Arc::clone(key),
            bytes,
        });
    }
}
