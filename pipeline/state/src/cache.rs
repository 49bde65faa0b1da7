//! Documents that were read or written lately.

use std::sync::Arc;

use hashbrown::HashMap;

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number in the store.
    pub number: u64,
    /// The whole document.
    pub bytes: Arc<[u8]>,
}

/// Documents by key, young and old. When the young ones fill half the budget they become the old ones,
/// and the old ones are forgotten; a document that is asked for becomes young again. So a document that was put
/// outlives one making of room, which is what lets work go on while the commit before is still being written.
pub struct DocumentCache {
    young: HashMap<Arc<[u8]>, Kept>,
    old: HashMap<Arc<[u8]>, Kept>,
    young_bytes: usize,
    half_budget: usize,
}

/// What a key and its place in the map cost beside the bytes.
const OVERHEAD: usize = 96;

impl DocumentCache {
    /// A cache of at most about `budget` bytes.
    pub fn new(budget: usize) -> DocumentCache {
        DocumentCache {
            young: HashMap::new(),
            old: HashMap::new(),
            young_bytes: 0,
            half_budget: budget / 2,
        }
    }

    /// The document, if it is known here.
    pub fn get(&mut self, key: &[u8]) -> Option<Kept> {
        if let Some(document) = self.young.get(key) {
            return Some(document.clone());
        }
        let (key, document) = self.old.remove_entry(key)?;
        self.insert(key, document.clone());
        Some(document)
    }

    /// Keeps a document as the newest.
    pub fn put(&mut self, key: Arc<[u8]>, document: Kept) {
        self.old.remove(&key);
        self.insert(key, document);
    }

    /// Makes room when half the budget is used: what was put before the last call may go. Only to be called when that
    /// has been committed, or a document could be in neither place, and would come a second time.
    pub fn make_room(&mut self) {
        if self.young_bytes >= self.half_budget {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    fn insert(&mut self, key: Arc<[u8]>, document: Kept) {
        let cost = key.len() + document.bytes.len() + OVERHEAD;
        let key_bytes = key.len();
        let replaced = self
            .young
            .insert(key, document)
            .map_or(0, |before| key_bytes + before.bytes.len() + OVERHEAD);
        self.young_bytes = (self.young_bytes + cost).saturating_sub(replaced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let document = Kept {
            number: 0,
            bytes: Arc::from(&b"1234"[..]),
        };
        let mut cache = DocumentCache::new(4 * (1 + 4 + OVERHEAD));
        for key in [b"a", b"b"] {
            cache.put(Arc::from(&key[..]), document.clone());
        }
        cache.make_room();
        assert!(cache.get(b"a").is_some());
        cache.put(Arc::from(&b"c"[..]), document);
        cache.make_room();
        assert!(cache.get(b"a").is_some() && cache.get(b"c").is_some());
        assert!(cache.get(b"b").is_none());
    }
}
