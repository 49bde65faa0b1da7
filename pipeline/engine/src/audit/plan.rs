//! What is read of which table, and what is kept of it for the slices of each entity.

use std::collections::{BTreeMap, BTreeSet};

use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId};
use centinel_rules::{Rule, SliceLayout};

use crate::EngineError;

/// What the slices of one entity hold.
pub(crate) struct EntityPlan {
    pub entity: EntityId,
    /// What rules are asked over; without tables where only anchors are looked for.
    pub layout: SliceLayout,
    /// The layout's tables in their order, then those that are only needed to name entities or to tell anchors.
    pub held: Vec<Held>,
}

/// What is held of one table.
pub(crate) struct Held {
    pub table: TableId,
    pub path: EntityPath,
    /// Indexes into the table's columns, in the order in which they are held; the entity's key is not among them.
    pub columns: Vec<usize>,
    /// Where among `columns` the time of a row's last change stands.
    pub changed_at: Option<usize>,
}

impl Held {
    /// Whether the key's text is held, behind the columns.
    pub fn has_text(&self) -> bool {
        matches!(self.path, EntityPath::Direct { .. })
    }
}

/// What is read of one table.
pub(crate) struct TablePlan {
    pub table: TableId,
    /// Indexes of columns, rising.
    pub columns: Vec<usize>,
    /// The entities for which other tables link to this one.
    pub target_for: Vec<EntityId>,
}

impl EntityPlan {
    /// Holds a layout's tables, and of `anchors` the times of changes.
    pub fn new(
        catalog: &Catalog,
        entity: EntityId,
        layout: SliceLayout,
        anchors: &BTreeSet<TableId>,
    ) -> Result<EntityPlan, EngineError> {
        let mut held: Vec<Held> = Vec::new();
        for wanted in &layout.tables {
            let key = wanted.key.map(|key| wanted.columns[key]);
            let columns = wanted
                .columns
                .iter()
                .copied()
                .filter(|column| Some(*column) != key);
            held.push(Held::new(catalog, wanted.table, entity, columns.collect())?);
        }
        let links = link_targets(
            catalog,
            entity,
            held.iter()
                .map(|held| held.table)
                .chain(anchors.iter().copied()),
        );
        for table in anchors.iter().chain(&links) {
            if !held.iter().any(|held| held.table == *table)
                && catalog.table(*table).path_to(entity).is_some()
            {
                held.push(Held::new(catalog, *table, entity, Vec::new())?);
            }
        }
        Ok(EntityPlan {
            entity,
            layout,
            held,
        })
    }
}

impl Held {
    fn new(
        catalog: &Catalog,
        id: TableId,
        entity: EntityId,
        mut columns: Vec<usize>,
    ) -> Result<Held, EngineError> {
        let table = catalog.table(id);
        let path = table.path_to(entity).cloned().ok_or_else(|| {
            EngineError::Unsupported(format!(
                "table `{}` does not lead to `{}`",
                table.name,
                catalog.entity(entity).name
            ))
        })?;
        columns.extend(
            table
                .changed_at
                .filter(|changed| !columns.contains(changed)),
        );
        let changed_at = table
            .changed_at
            .and_then(|changed| columns.iter().position(|column| *column == changed));
        Ok(Held {
            table: id,
            path,
            columns,
            changed_at,
        })
    }
}

/// The tables through which these reach the entity, directly or further.
pub(crate) fn link_targets(
    catalog: &Catalog,
    entity: EntityId,
    tables: impl Iterator<Item = TableId>,
) -> BTreeSet<TableId> {
    let mut waiting: Vec<TableId> = tables.collect();
    let mut targets = BTreeSet::new();
    while let Some(table) = waiting.pop() {
        if let Some(EntityPath::Through { target, .. }) = catalog.table(table).path_to(entity)
            && targets.insert(*target)
        {
            waiting.push(*target);
        }
    }
    targets
}

/// What is wanted of one table by all plans together.
#[derive(Default)]
struct Wanted {
    columns: BTreeSet<usize>,
    target_for: Vec<EntityId>,
    links_to: BTreeSet<TableId>,
}

/// What is read for these plans, the targets of links before the tables that link to them.
pub(crate) fn tables_of(
    catalog: &Catalog,
    plans: &[EntityPlan],
) -> Result<Vec<TablePlan>, EngineError> {
    let mut waiting: BTreeMap<TableId, Wanted> = BTreeMap::new();
    for plan in plans {
        for held in &plan.held {
            let wanted = waiting.entry(held.table).or_default();
            wanted.columns.extend(&held.columns);
            wanted.columns.extend(held.path.columns());
            let EntityPath::Through { target, .. } = &held.path else {
                continue;
            };
            wanted.links_to.insert(*target);
            let wanted = waiting.entry(*target).or_default();
            wanted.columns.extend(&catalog.table(*target).primary_key);
            if !wanted.target_for.contains(&plan.entity) {
                wanted.target_for.push(plan.entity);
            }
        }
    }
    let mut ordered: Vec<TablePlan> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |wanted: &Wanted| {
            wanted
                .links_to
                .iter()
                .all(|target| !waiting.contains_key(target))
        };
        let ready = waiting
            .iter()
            .find(|(_, wanted)| is_ready(wanted))
            .map(|(table, _)| *table);
        let Some((table, wanted)) = ready.and_then(|table| waiting.remove_entry(&table)) else {
            return Err(EngineError::Unsupported(
                "tables link to each other in a circle, for different entities; audit their rules one by one".into(),
            ));
        };
        ordered.push(TablePlan {
            table,
            columns: wanted.columns.into_iter().collect(),
            target_for: wanted.target_for,
        });
    }
    Ok(ordered)
}

/// The tables that must be there for a rule: those it reads, and those through which they reach its entity.
pub(crate) fn needed_by(catalog: &Catalog, rule: &Rule) -> BTreeSet<TableId> {
    let read: BTreeSet<TableId> = rule.reads.iter().map(|used| used.table).collect();
    let targets = link_targets(catalog, rule.entity, read.iter().copied());
    read.into_iter().chain(targets).collect()
}
