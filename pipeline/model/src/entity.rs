use std::fmt;

/// Index of a table in the catalog. Stable within one catalog, not across catalogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

/// Index of an entity (order, merchant, …) in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u16);

/// Index of a source in the catalog; below 64, so that a set of sources fits a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u16);

/// The normalised key of one entity, as text: what ties its rows together across systems.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(pub Box<str>);

impl EntityKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EntityKey {
    fn from(text: &str) -> EntityKey {
        EntityKey(text.into())
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
