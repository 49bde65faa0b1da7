//! What the platform's tables and events look like: `schemas/*.yaml` read, checked and resolved.
//!
//! Everything downstream speaks of tables, entities and sources by the small ids given here.

mod column;
mod currency;
mod entity;
mod fingerprint;
mod flow;
mod guard;
mod load;
mod mask;
mod origin;
mod read_file;
mod shape;
mod table;

pub use column::{Column, ColumnType, Currency, Money, MoneyUnit};
pub use entity::{Entity, Normalisation};
pub use flow::{Direction, Flow};
pub use guard::{
    ExplainingEvent, Explanation, Guard, HISTORY_COLUMNS, PLANNED_COLUMNS, history_name,
    planned_name,
};
pub use load::{Diagnostic, load, load_with};
pub use mask::mask;
pub use origin::{MessageField, MessageMapping, TablePattern, TimeForm, parse_zone};
pub use read_file::{open_file, read_file};
pub use shape::{
    ColumnShape, Conversion, EntityShape, PathShape, Shape, TableConversion, TableShape,
};
pub use table::{EntityPath, StateColumn, Table, TableKind};

use centinel_model::{EntityId, SourceId, TableId};

/// All system tables, events, entities and sources, resolved against each other.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By [`TableId`], in order of name; behind them the histories of guarded tables, and
    /// the events that announce their repairs.
    pub tables: Vec<Table>,
    /// By [`EntityId`], in order of name.
    pub entities: Vec<Entity>,
    /// Names by [`SourceId`], in order of name; at most 64.
    pub sources: Vec<String>,
}

impl Catalog {
    /// The table or event with this exact name.
    pub fn table_id(&self, name: &str) -> Option<TableId> {
        self.tables
            .iter()
            .position(|table| table.name == name)
            .map(|index| TableId(index as u16))
    }

    /// The table or event with this id.
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[usize::from(id.0)]
    }

    /// The entity with this exact name.
    pub fn entity_id(&self, name: &str) -> Option<EntityId> {
        self.entities
            .iter()
            .position(|entity| entity.name == name)
            .map(|index| EntityId(index as u16))
    }

    /// The entity with this id.
    pub fn entity(&self, id: EntityId) -> &Entity {
        &self.entities[usize::from(id.0)]
    }

    /// The source with this exact name.
    pub fn source_id(&self, name: &str) -> Option<SourceId> {
        self.sources
            .iter()
            .position(|source| source == name)
            .map(|index| SourceId(index as u16))
    }

    /// The name of the source with this id.
    pub fn source(&self, id: SourceId) -> &str {
        &self.sources[usize::from(id.0)]
    }

    /// All table ids in order.
    pub fn table_ids(&self) -> impl Iterator<Item = TableId> + use<> {
        (0..self.tables.len() as u16).map(TableId)
    }
}
