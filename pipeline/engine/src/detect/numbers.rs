//! Keys in a state hold numbers of entities, tables and sources that stay for ever; a catalog numbers its own in order
//! of name. Where these are others, this stands between.

use std::collections::HashMap;
use std::sync::Arc;

use centinel_catalog::Shape;
use centinel_model::{EntityId, TableId, Timestamp};
use centinel_state::{Commit, DocumentWrite, Entry, Kept, StateError, Store, Wake};

use super::keys::{DocumentKind, document_key};
use crate::EngineError;

/// Bits of a set of sources.
const MOST_SOURCES: usize = 64;

/// Numbers in the state of what a catalog numbers from 0.
#[derive(Default)]
struct Numbers {
    /// By the catalog's number.
    stored: Vec<u16>,
    own: HashMap<u16, u16>,
}

impl Numbers {
    /// Of what the last shape names. A name keeps its number from shape to shape; one that comes, or comes again,
    /// gets a new one.
    fn of<'s>(shapes: &'s [Shape], names: impl Fn(&'s Shape) -> Vec<&'s str>) -> Numbers {
        let (mut known, mut next) = (HashMap::new(), 0);
        let mut stored = Vec::new();
        for shape in shapes {
            let names = names(shape);
            stored.clear();
            for name in &names {
                stored.push(known.get(name).copied().unwrap_or_else(|| {
                    next += 1;
                    next - 1
                }));
            }
            known = names.into_iter().zip(stored.iter().copied()).collect();
        }
        let own = stored.iter().enumerate();
        let own = own.map(|(own, stored)| (*stored, own as u16)).collect();
        Numbers { stored, own }
    }

    fn is_identity(&self) -> bool {
        let mut places = self.stored.iter().enumerate();
        places.all(|(own, stored)| usize::from(*stored) == own)
    }
}

/// A state whose numbers are others than the catalog's.
pub(super) struct Renumbered {
    store: Arc<dyn Store>,
    entities: Numbers,
    tables: Numbers,
    sources: Numbers,
}

impl Renumbered {
    /// The store under the numbers of the last shape: itself, when these are its own.
    pub fn over(store: Arc<dyn Store>, shapes: &[Shape]) -> Result<Arc<dyn Store>, EngineError> {
        let entities = Numbers::of(shapes, |shape| {
            shape
                .entities
                .iter()
                .map(|entity| entity.name.as_str())
                .collect()
        });
        let tables = Numbers::of(shapes, |shape| {
            shape
                .tables
                .iter()
                .map(|table| table.name.as_str())
                .collect()
        });
        let sources = Numbers::of(shapes, |shape| {
            shape.sources.iter().map(String::as_str).collect()
        });
        if sources
            .stored
            .iter()
            .any(|number| usize::from(*number) >= MOST_SOURCES)
        {
            return Err(EngineError::Unsupported(format!(
                "this state has known more than {MOST_SOURCES} sources: use another state folder and read the sources \
                 again"
            )));
        }
        let renumbered = Renumbered {
            store,
            entities,
            tables,
            sources,
        };
        let numbers = [
            &renumbered.entities,
            &renumbered.tables,
            &renumbered.sources,
        ];
        let identity = numbers.into_iter().all(Numbers::is_identity);
        Ok(match identity {
            true => renumbered.store,
            false => Arc::new(renumbered),
        })
    }

    fn stored_key(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        let number = |numbers: &Numbers, own: u16| numbers.stored.get(usize::from(own)).copied();
        self.key(key, &number)
    }

    fn own_key(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        self.key(key, &|numbers: &Numbers, stored: u16| {
            numbers.own.get(&stored).copied()
        })
    }

    fn key(
        &self,
        key: &[u8],
        number: &dyn Fn(&Numbers, u16) -> Option<u16>,
    ) -> Result<Vec<u8>, StateError> {
        let renumbered = DocumentKind::read(key).and_then(|(kind, text)| {
            let kind = match kind {
                DocumentKind::Entity(entity) => {
                    DocumentKind::Entity(EntityId(number(&self.entities, entity.0)?))
                }
                DocumentKind::Link { target, entity } => DocumentKind::Link {
                    target: TableId(number(&self.tables, target.0)?),
                    entity: EntityId(number(&self.entities, entity.0)?),
                },
            };
            Some(document_key(kind, text))
        });
        renumbered
            .ok_or_else(|| StateError::Corrupt("a document has an unknown kind of key".into()))
    }

    fn stored_set(&self, sources: u64) -> u64 {
        let own = self.sources.stored.iter().enumerate();
        own.filter(|(own, _)| sources & (1 << own) != 0)
            .fold(0, |set, (_, stored)| set | 1 << stored)
    }

    /// None when a source of the set is gone: nobody waits for it any more.
    fn own_set(&self, stored: u64) -> Option<u64> {
        let all = (0..MOST_SOURCES as u16).filter(|number| stored & (1 << number) != 0);
        all.map(|number| self.sources.own.get(&number))
            .try_fold(0, |set, own| Some(set | 1 << own?))
    }

    fn writes(&self, documents: &[DocumentWrite]) -> Result<Vec<DocumentWrite>, StateError> {
        let stored = |document: &DocumentWrite| {
            let key = Arc::from(self.stored_key(&document.key)?);
            let document = document.clone();
            Ok(DocumentWrite { key, ..document })
        };
        documents.iter().map(stored).collect()
    }

    fn wakes(&self, wakes: &[(Wake, Vec<u8>)]) -> Result<Vec<(Wake, Vec<u8>)>, StateError> {
        let stored = |(wake, key): &(Wake, Vec<u8>)| {
            let sources = self.stored_set(wake.sources);
            Ok((Wake { sources, ..*wake }, self.stored_key(key)?))
        };
        wakes.iter().map(stored).collect()
    }
}

impl Store for Renumbered {
    fn documents(&self, keys: &[&[u8]]) -> Result<Vec<Option<Kept>>, StateError> {
        let keys = keys.iter().map(|key| self.stored_key(key));
        let keys: Vec<Vec<u8>> = keys.collect::<Result<_, _>>()?;
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        self.store.documents(&keys)
    }

    fn next_number(&self) -> Result<u64, StateError> {
        self.store.next_number()
    }

    fn documents_after(
        &self,
        place: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StateError> {
        let found = self.store.documents_after(place, limit)?;
        let own = |(key, value): Entry| Ok((self.own_key(&key)?, value));
        found.into_iter().map(own).collect()
    }

    fn place_of(&self, key: &[u8]) -> Result<Vec<u8>, StateError> {
        self.store.place_of(&self.stored_key(key)?)
    }

    fn count(&self) -> Result<u64, StateError> {
        self.store.count()
    }

    fn due(
        &self,
        sources: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Wake, Vec<u8>)>, StateError> {
        let due = self.store.due(self.stored_set(sources), until, limit)?;
        let own =
            |(wake, key): (Wake, Vec<u8>)| Ok((Wake { sources, ..wake }, self.own_key(&key)?));
        due.into_iter().map(own).collect()
    }

    fn wake_sets(&self) -> Result<Vec<u64>, StateError> {
        let sets = self.store.wake_sets()?;
        Ok(sets
            .into_iter()
            .filter_map(|set| self.own_set(set))
            .collect())
    }

    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store.fact(name)
    }

    fn undelivered(&self) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        self.store.undelivered()
    }

    fn holes(&self, first: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        self.store.holes(first, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<(), StateError> {
        self.store.commit(&Commit {
            documents: self.writes(&commit.documents)?,
            wakes_removed: self.wakes(&commit.wakes_removed)?,
            wakes_added: self.wakes(&commit.wakes_added)?,
            facts: commit.facts.clone(),
            outbox: commit.outbox.clone(),
            delivered: commit.delivered,
            holes: commit.holes.clone(),
        })
    }
}
