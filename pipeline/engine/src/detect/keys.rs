//! Keys of documents: one letter for the kind, then the entity or the link, then the key's text.

use std::hash::BuildHasher;
use std::sync::Arc;

use centinel_model::{EntityId, TableId};
use hashbrown::{DefaultHashBuilder, HashTable};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// One entity.
    Entity(EntityId),
    /// One row of a link's target table: which entity it names, and the rows that wait for it.
    Link {
        /// The table whose primary key is named.
        target: TableId,
        /// The entity that the link leads to.
        entity: EntityId,
    },
}

impl DocumentKind {
    /// Begins a key; the key's text follows.
    pub fn write_prefix(self, out: &mut Vec<u8>) {
        match self {
            DocumentKind::Entity(entity) => {
                out.push(b'e');
                out.extend_from_slice(&entity.0.to_be_bytes());
            }
            DocumentKind::Link { target, entity } => {
                out.push(b'l');
                out.extend_from_slice(&target.0.to_be_bytes());
                out.extend_from_slice(&entity.0.to_be_bytes());
            }
        }
    }

    /// The kind and the text of a key; none for bytes that are no key.
    pub fn read(key: &[u8]) -> Option<(DocumentKind, &str)> {
        let number = |at: usize| Some(u16::from_be_bytes([*key.get(at)?, *key.get(at + 1)?]));
        let (kind, text) = match key.first()? {
            b'e' => (DocumentKind::Entity(EntityId(number(1)?)), key.get(3..)?),
            b'l' => {
                let (target, entity) = (TableId(number(1)?), EntityId(number(3)?));
                (DocumentKind::Link { target, entity }, key.get(5..)?)
            }
            _ => return None,
        };
        Some((kind, std::str::from_utf8(text).ok()?))
    }
}

/// The key of one document.
pub fn document_key(kind: DocumentKind, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(5 + text.len());
    kind.write_prefix(&mut key);
    key.extend_from_slice(text.as_bytes());
    key
}

/// The documents of one micro-batch, numbered as they appear.
#[derive(Default)]
pub struct Documents {
    /// With the hashes of their keys.
    numbers: HashTable<(u64, u32)>,
    hashing: DefaultHashBuilder,
    keys: Vec<Arc<[u8]>>,
    scratch: Vec<u8>,
}

impl Documents {
    /// The number of the document of this kind and key text.
    pub fn number(&mut self, kind: DocumentKind, text: &str) -> u32 {
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        kind.write_prefix(&mut key);
        key.extend_from_slice(text.as_bytes());
        let number = self.number_of_key(&key);
        self.scratch = key;
        number
    }

    /// The number of the document with this key.
    pub fn number_of_key(&mut self, key: &[u8]) -> u32 {
        let hash = self.hashing.hash_one(key);
        let keys = &self.keys;
        let is_it = |(_, number): &(u64, u32)| *keys[*number as usize] == *key;
        if let Some((_, number)) = self.numbers.find(hash, is_it) {
            return *number;
        }
        let number = self.keys.len() as u32;
        self.numbers
            .insert_unique(hash, (hash, number), |(hash, _)| *hash);
        self.keys.push(Arc::from(key));
        number
    }

    /// The key of a document.
    pub fn key(&self, number: u32) -> &Arc<[u8]> {
        &self.keys[number as usize]
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}
