//! The ways from tables to entities: keys and links, and whether they fit.

use centinel_model::{EntityId, TableId};

use super::declare::{PathDeclaration, TableDeclaration};
use super::mistakes::{Mistakes, shorten, suggest};
use super::resolve::{All, said};
use super::yaml::{Place, Placed};
use crate::{ColumnType, EntityPath, Table};

impl All<'_> {
    /// The ways from this table to its entities, in order of entity.
    pub fn paths(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Vec<EntityPath> {
        let mut paths: Vec<_> = table
            .paths
            .iter()
            .filter_map(|path| self.path(table, path, mistakes))
            .collect();
        paths.sort_by_key(EntityPath::entity);
        paths
    }

    fn path(
        &self,
        table: &TableDeclaration,
        path: &PathDeclaration,
        mistakes: &mut Mistakes,
    ) -> Option<EntityPath> {
        let entity = self
            .entities
            .iter()
            .position(|entity| entity.name == path.entity.value);
        if entity.is_none() && !self.nameless {
            let problem = format!("unknown entity `{}`", shorten(&path.entity.value));
            let remedy = suggest(
                &path.entity.value,
                self.entities.iter().map(|entity| entity.name.as_str()),
            );
            mistakes.at(self.file(table), path.entity.place, problem, remedy);
        }
        let columns = self.columns(table, &path.columns, mistakes);
        match &path.through {
            None => self.direct(table, path, entity?, columns?, mistakes),
            Some(through) => self.through(table, path, through, entity?, columns?, mistakes),
        }
    }

    fn direct(
        &self,
        table: &TableDeclaration,
        path: &PathDeclaration,
        entity: usize,
        columns: Vec<usize>,
        mistakes: &mut Mistakes,
    ) -> Option<EntityPath> {
        let key = &self.entities[entity].key;
        if !key.is_empty() && key.len() != columns.len() {
            let problem = format!(
                "{} for a key of {}",
                counted(columns.len()),
                counted(key.len())
            );
            let remedy = format!(
                "name the columns that hold [{}], in this order",
                key.join(", ")
            );
            mistakes.at(self.file(table), path.place, problem, remedy);
        }
        for (index, name) in columns.iter().zip(&path.columns) {
            let column = &table.columns[*index];
            if column
                .kind
                .is_some_and(|kind| !matches!(kind, ColumnType::Text | ColumnType::Integer))
            {
                let problem = format!("entity key column `{}` is {}", name.value, said(column));
                mistakes.at(
                    self.file(table),
                    name.place,
                    problem,
                    "name text or integer columns: only they have one written form",
                );
            }
        }
        Some(EntityPath::Direct {
            entity: EntityId(entity as u16),
            columns,
        })
    }

    fn through(
        &self,
        table: &TableDeclaration,
        path: &PathDeclaration,
        through: &Placed<String>,
        entity: usize,
        columns: Vec<usize>,
        mistakes: &mut Mistakes,
    ) -> Option<EntityPath> {
        let file = self.file(table);
        let Some(index) = self
            .tables
            .iter()
            .position(|table| table.name.value == through.value)
        else {
            if !self.nameless {
                let remedy = suggest(
                    &through.value,
                    self.tables.iter().map(|table| table.name.value.as_str()),
                );
                mistakes.at(
                    file,
                    through.place,
                    format!("unknown table `{}`", shorten(&through.value)),
                    remedy,
                );
            }
            return None;
        };
        let target = self.tables[index];
        if !leads_to(target, &self.entities[entity].name) {
            self.refuse_target(table, through, &self.entities[entity].name, mistakes);
        }
        self.check_link(table, path, target, &columns, mistakes);
        Some(EntityPath::Through {
            entity: EntityId(entity as u16),
            columns,
            target: TableId(index as u16),
        })
    }

    /// The target of a link must know the entity; names tables that do.
    fn refuse_target(
        &self,
        table: &TableDeclaration,
        through: &Placed<String>,
        entity: &str,
        mistakes: &mut Mistakes,
    ) {
        const MOST_SHOWN: usize = 5;
        let reaching = self.tables.iter().filter(|other| leads_to(other, entity));
        let others: Vec<_> = reaching
            .filter(|other| other.name.value != table.name.value)
            .map(|other| format!("`{}`", other.name.value))
            .take(MOST_SHOWN)
            .collect();
        let mut remedy = format!("add `{entity}` to the entities of `{}`", through.value);
        if !others.is_empty() {
            remedy += &format!(", or link through {}", others.join(" or "));
        }
        let problem = format!("`{}` does not lead to entity `{entity}`", through.value);
        mistakes.at(self.file(table), through.place, problem, remedy);
    }

    /// `by` must be the target's whole primary key, in number and type.
    fn check_link(
        &self,
        table: &TableDeclaration,
        path: &PathDeclaration,
        target: &TableDeclaration,
        columns: &[usize],
        mistakes: &mut Mistakes,
    ) {
        let file = self.file(table);
        let key: Vec<&str> = target
            .primary_key
            .iter()
            .map(|name| name.value.as_str())
            .collect();
        if key.is_empty() {
            return;
        }
        if key.len() != columns.len() {
            let problem = format!(
                "{} for the primary key of `{}`, which has {}",
                counted(columns.len()),
                target.name.value,
                counted(key.len())
            );
            let remedy = format!(
                "name the columns that hold its [{}], in this order",
                key.join(", ")
            );
            mistakes.at(file, path.place, problem, remedy);
            return;
        }
        for ((index, name), key) in columns.iter().zip(&path.columns).zip(key) {
            let Some(there) = target
                .columns
                .iter()
                .find(|column| column.name.value == key)
            else {
                continue;
            };
            let here = &table.columns[*index];
            if let (Some(left), Some(right)) = (here.kind, there.kind)
                && left != right
            {
                let problem = format!(
                    "column `{}` is {}, but `{}.{key}` is {}",
                    name.value,
                    said(here),
                    target.name.value,
                    said(there)
                );
                mistakes.at(
                    file,
                    name.place,
                    problem,
                    "declare both with the same type: a link compares them",
                );
            }
        }
    }

    /// Where the path of this table to this entity stands.
    fn path_place(&self, table: usize, entity: EntityId) -> Place {
        let name = &self.entities[usize::from(entity.0)].name;
        let path = self.tables[table]
            .paths
            .iter()
            .find(|path| path.entity.value == *name);
        path.map(|path| path.entity.place).unwrap_or_default()
    }
}
/// An entity's key has one type, or '007' and 7 would meet in one table and part in another.
pub(super) fn refuse_key_types(all: &All, tables: &[Table], mistakes: &mut Mistakes) {
    for (index, entity) in all.entities.iter().enumerate() {
        let id = EntityId(index as u16);
        for position in 0..entity.key.len() {
            let mut first: Option<(usize, ColumnType)> = None;
            for (number, table) in tables.iter().enumerate() {
                let Some(EntityPath::Direct { columns, .. }) = table.path_to(id) else {
                    continue;
                };
                let Some(column) = columns
                    .get(position)
                    .map(|column| &all.tables[number].columns[*column])
                else {
                    continue;
                };
                let Some(kind) = column.kind else { continue };
                let (other, expected) = *first.get_or_insert((number, kind));
                if kind != expected {
                    let other = all.tables[other];
                    let problem = format!(
                        "key `{}` of entity `{}` is {} here, but another type in `{}`",
                        entity.key[position],
                        entity.name,
                        said(column),
                        other.name.value
                    );
                    let remedy = format!(
                        "declare it alike in {} and here: an entity's key has one type",
                        all.files[other.file].path
                    );
                    mistakes.at(
                        all.file(all.tables[number]),
                        all.path_place(number, id),
                        problem,
                        remedy,
                    );
                }
            }
        }
    }
}

pub(super) fn refuse_cycles(all: &All, tables: &[Table], mistakes: &mut Mistakes) {
    for (start, table) in tables.iter().enumerate() {
        for path in &table.entities {
            let mut way = vec![table.name.as_str()];
            let mut at = path;
            while let EntityPath::Through { entity, target, .. } = at {
                let target_index = usize::from(target.0);
                way.push(&tables[target_index].name);
                if target_index == start {
                    let problem = format!("the link leads back to itself: {}", way.join(" → "));
                    let remedy =
                        "let one of these tables name its own columns that hold the entity's key";
                    mistakes.at(
                        all.file(all.tables[start]),
                        all.path_place(start, *entity),
                        problem,
                        remedy,
                    );
                    break;
                }
                match tables[target_index].path_to(*entity) {
                    // Longer than all tables: a cycle that this table only leads into.
                    Some(next) if way.len() <= tables.len() => at = next,
                    _ => break,
                }
            }
        }
    }
}
fn leads_to(table: &TableDeclaration, entity: &str) -> bool {
    table.paths.iter().any(|path| path.entity.value == entity)
}

fn counted(columns: usize) -> String {
    format!("{columns} column{}", if columns == 1 { "" } else { "s" })
}
