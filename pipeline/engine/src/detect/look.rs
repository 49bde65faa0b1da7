//! A state that is only looked at, while nobody writes it: the documents as of now.

use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{EntityId, TableId};
use centinel_state::{FileStore, Store};

use super::detector::{RULES_FACT, read_fact};
use super::forget::{FORGETTING_FACT, Forgetting};
use super::shapes::Shapes;
use crate::EngineError;
use crate::rule_facts::RuleRegister;

/// Documents that are read at once.
const AT_ONCE: usize = 500;

/// A state, opened so that nothing of it changes.
pub(crate) struct Look {
    store: Arc<dyn Store>,
    shapes: Shapes,
    kept: Vec<EntityId>,
    has_forgotten: bool,
}

impl Look {
    /// Opens the state in a folder under the schemas of today. `cache_bytes` bounds what is kept of its pages.
    pub fn open(catalog: &Catalog, folder: &Path, cache_bytes: usize) -> Result<Look, EngineError> {
        let store: Arc<dyn Store> = Arc::new(FileStore::open_read_only(folder, cache_bytes)?);
        let register: RuleRegister = read_fact(store.as_ref(), RULES_FACT)?.unwrap_or_default();
        let shapes = Shapes::take_up(store.as_ref(), catalog, register.entities())?;
        let store = shapes.numbered(store)?;
        let kept = register.entities().iter();
        let forgetting: Option<Forgetting> = read_fact(store.as_ref(), FORGETTING_FACT)?;
        Ok(Look {
            kept: kept.filter_map(|name| catalog.entity_id(name)).collect(),
            has_forgotten: forgetting.is_some_and(|forgetting| forgetting.count > 0),
            store,
            shapes,
        })
    }

    /// By how many entities rows of a table are kept; by none, they are not in state.
    fn paths(&self, catalog: &Catalog, table: TableId) -> usize {
        let paths = catalog.table(table).entities.iter();
        paths
            .filter(|path| self.kept.contains(&path.entity()))
            .count()
    }

    /// Whether rows of this table are kept at all.
    pub fn keeps(&self, catalog: &Catalog, table: TableId) -> bool {
        self.paths(catalog, table) > 0
    }

    /// Whether one row of this table may stand in several documents: by several entities; or as an old version in one
    /// that was forgotten, and came back.
    pub fn may_repeat(&self, catalog: &Catalog, table: TableId) -> bool {
        self.has_forgotten || self.paths(catalog, table) > 1
    }

    /// The next documents behind a place, as of now, and the place of the last; none at the end.
    pub fn next(&self, after: Option<&[u8]>) -> Result<Option<Documents>, EngineError> {
        let found = self.store.documents_after(after, AT_ONCE)?;
        let Some((last, _)) = found.last() else {
            return Ok(None);
        };
        let place = self.store.place_of(last)?;
        let documents = found.into_iter();
        let documents = documents.map(|(_, bytes)| self.shapes.as_of_now(bytes));
        Ok(Some(Documents {
            place,
            documents: documents.collect::<Result<_, _>>()?,
        }))
    }
}

/// Some documents.
pub(crate) struct Documents {
    /// Where the next ones begin.
    pub place: Vec<u8>,
    /// In the state's form.
    pub documents: Vec<Vec<u8>>,
}
