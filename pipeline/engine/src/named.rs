//! Entities that are one row, and that rows of another entity name: an order's settlements name the cash-out that pays them
//! out. Their rows belong to the other's story.

use std::collections::BTreeSet;

use centinel_catalog::{Catalog, EntityPath, Table, TableKind};
use centinel_model::{EntityId, TableId};
use centinel_trace::Change;

/// So many of them are followed.
pub(crate) const MOST_NAMED: usize = 100;

/// Whether an entity is a row: some table's primary key is its key. A merchant is none, a cash-out is.
fn is_a_row(catalog: &Catalog, entity: EntityId) -> bool {
    catalog.tables.iter().any(|table| {
        let own = table.kind == TableKind::Rows;
        own && direct(table, entity) == Some(&table.primary_key)
    })
}

/// The columns of the table that are the entity's key.
fn direct(table: &Table, entity: EntityId) -> Option<&Vec<usize>> {
    match table.path_to(entity)? {
        EntityPath::Direct { columns, .. } => Some(columns),
        EntityPath::Through { .. } => None,
    }
}

/// The entities that these changes of an entity's rows name, at most [`MOST_NAMED`].
pub(crate) fn named(
    catalog: &Catalog,
    entity: EntityId,
    changes: &[Change],
) -> BTreeSet<(EntityId, String)> {
    let mut named = BTreeSet::new();
    for table in catalog
        .tables
        .iter()
        .filter(|table| table.path_to(entity).is_some())
    {
        let others = table.entities.iter().map(EntityPath::entity);
        for other in others.filter(|other| *other != entity && is_a_row(catalog, *other)) {
            let Some([column]) = direct(table, other).map(Vec::as_slice) else {
                continue;
            };
            let column = &table.columns[*column];
            // A masked value names nothing.
            if column.sensitive {
                continue;
            }
            let own = changes.iter().filter(|change| change.table == table.name);
            let rows = own.flat_map(|change| change.before.iter().chain(&change.after));
            let keys = rows.filter(|(name, _)| *name == column.name);
            let keys = keys.filter_map(|(_, value)| value.clone());
            named.extend(keys.map(|key| (other, key)));
        }
    }
    while named.len() > MOST_NAMED {
        named.pop_last();
    }
    named
}

/// Whether rows of a table are told with those of the entity that they belong to, where another entity names that one: not
/// if they reach the other one by themselves.
pub(crate) fn is_told_with(catalog: &Catalog, table: TableId, asked: EntityId) -> bool {
    let table = catalog.table(table);
    let of_its_own = match table.kind {
        TableKind::History(guarded) => catalog.table(guarded).path_to(asked).is_some(),
        TableKind::Rows | TableKind::Events => false,
    };
    table.path_to(asked).is_none() && !of_its_own
}

/// The tables whose rows may be told with those of an entity, because it may name the one that they belong to.
pub(crate) fn may_be_named(catalog: &Catalog, entity: EntityId) -> BTreeSet<TableId> {
    let naming = catalog
        .tables
        .iter()
        .filter(|table| table.path_to(entity).is_some());
    let others: BTreeSet<EntityId> = naming
        .flat_map(|table| table.entities.iter().map(EntityPath::entity))
        .filter(|other| *other != entity && is_a_row(catalog, *other))
        .collect();
    let belongs = |id: &TableId| {
        let table = catalog.table(*id);
        let derived = matches!(table.kind, TableKind::History(_));
        let mut others = others.iter();
        !derived
            && is_told_with(catalog, *id, entity)
            && others.any(|other| direct(table, *other).is_some())
    };
    catalog.table_ids().filter(belongs).collect()
}
