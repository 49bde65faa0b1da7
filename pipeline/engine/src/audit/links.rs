//! Links resolved: which entity each row of a link's target table belongs to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::key::{ByHash, slice_of};

/// Parts of the map, so that threads seldom wait for each other.
const PARTS: u32 = 64;
/// Bytes that one link takes, the map's spare room included.
const LINK_BYTES: usize = 50;

/// Entities by primary key of a target table, as its rows are read.
pub(crate) struct LinkBuilder {
    parts: Vec<Mutex<ByHash<u128>>>,
    ambiguous: AtomicU64,
}

/// Entities by the primary key of a link's target.
pub(crate) struct Links {
    parts: Vec<ByHash<u128>>,
    /// Rows that repeat another row's primary key with another entity.
    pub ambiguous: u64,
}

impl LinkBuilder {
    /// For so many rows.
    pub fn new(rows: u64) -> LinkBuilder {
        let rows = rows as usize / PARTS as usize;
        let part = || {
            Mutex::new(ByHash::with_capacity_and_hasher(
                rows + rows / 32,
                Default::default(),
            ))
        };
        LinkBuilder {
            parts: (0..PARTS).map(|_| part()).collect(),
            ambiguous: AtomicU64::new(0),
        }
    }

    /// Takes in pairs of primary key and entity; 0 is null.
    pub fn push(&self, mut pairs: Vec<(u128, u128)>) {
        pairs.retain(|(key, entity)| *key != 0 && *entity != 0);
        pairs.sort_unstable_by_key(|(key, _)| slice_of(*key, PARTS));
        for pairs in
            pairs.chunk_by(|left, right| slice_of(left.0, PARTS) == slice_of(right.0, PARTS))
        {
            let part = &self.parts[slice_of(pairs[0].0, PARTS) as usize];
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, entity) in pairs {
                if *part.entry(*key).or_insert(*entity) != *entity {
                    self.ambiguous.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// All that was read.
    pub fn finish(self) -> Links {
        let parts = self.parts.into_iter();
        Links {
            parts: parts
                .map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner))
                .collect(),
            ambiguous: self.ambiguous.into_inner(),
        }
    }
}

impl Links {
    /// The entity of a row with this primary key; 0 where there is none.
    pub fn get(&self, key: u128) -> u128 {
        self.parts[slice_of(key, PARTS) as usize]
            .get(&key)
            .copied()
            .unwrap_or(0)
    }

    /// An estimate of the bytes that so many links take.
    pub fn bytes(rows: u64) -> usize {
        rows as usize * LINK_BYTES
    }
}
