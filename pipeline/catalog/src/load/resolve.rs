//! Declarations → the catalog: names become ids and indexes, and everything fits together or is a mistake.

use centinel_model::{EntityId, SourceId, TableId};

use super::declare::{ColumnDeclaration, Declared, PathDeclaration, TableDeclaration};
use super::mistakes::{Mistakes, SourceFile, shorten, suggest};
use super::yaml::{Place, Placed};
use crate::{Catalog, Column, ColumnType, Currency, Entity, EntityPath, StateColumn, Table};

/// The most sources: a set of them fits a `u64`.
const MAX_SOURCES: usize = 64;

/// The catalog of these declarations; of use only if no mistake was found. With `all_read` false some
/// file could not be read at all, so a name that nothing declares may stand there.
pub(super) fn resolve(declared: &Declared, all_read: bool, mistakes: &mut Mistakes) -> Catalog {
    let mut order: Vec<&TableDeclaration> = declared.tables.iter().collect();
    order
        .sort_by(|left, right| (&left.name.value, left.file).cmp(&(&right.name.value, right.file)));
    let all = All {
        files: &declared.files,
        tables: &order,
        entities: &declared.entities,
        all_read,
    };
    refuse_duplicates(&all, mistakes);
    let sources = sources(&all, mistakes);
    let mut tables: Vec<Table> = order
        .iter()
        .map(|table| all.table(table, &sources, mistakes))
        .collect();
    for (declaration, table) in order.iter().zip(&mut tables) {
        table.entities = all.paths(declaration, mistakes);
    }
    refuse_key_types(&all, &tables, mistakes);
    refuse_cycles(&all, &tables, mistakes);
    Catalog {
        tables,
        entities: declared.entities.clone(),
        sources,
    }
}

/// All declarations, by name.
struct All<'a> {
    files: &'a [SourceFile],
    tables: &'a [&'a TableDeclaration],
    entities: &'a [Entity],
    all_read: bool,
}

fn refuse_duplicates(all: &All, mistakes: &mut Mistakes) {
    for pair in all.tables.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if !first.name.value.is_empty() && first.name.value == second.name.value {
            let problem = format!("`{}` is declared twice", first.name.value);
            let remedy = format!(
                "rename or remove one; the other is {}",
                all.files[first.file].path
            );
            mistakes.at(&all.files[second.file], second.name.place, problem, remedy);
        }
    }
}

fn sources(all: &All, mistakes: &mut Mistakes) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for table in all.tables {
        let Some(source) = &table.source else {
            continue;
        };
        if names.contains(&source.value) {
            continue;
        }
        if names.len() == MAX_SOURCES {
            let remedy = format!("name at most {MAX_SOURCES} different sources in all files");
            mistakes.at(
                &all.files[table.file],
                source.place,
                "too many sources",
                remedy,
            );
            break;
        }
        names.push(source.value.clone());
    }
    names.sort();
    names
}

impl All<'_> {
    fn file(&self, table: &TableDeclaration) -> &SourceFile {
        &self.files[table.file]
    }

    /// Index of this column, or a mistake.
    fn column(
        &self,
        table: &TableDeclaration,
        name: &Placed<String>,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        let index = table
            .columns
            .iter()
            .position(|column| column.name.value == name.value);
        if index.is_none() && !table.columns.is_empty() {
            let remedy = suggest(
                &name.value,
                table
                    .columns
                    .iter()
                    .map(|column| column.name.value.as_str()),
            );
            mistakes.at(
                self.file(table),
                name.place,
                format!("unknown column `{}`", shorten(&name.value)),
                remedy,
            );
        }
        index
    }

    fn columns(
        &self,
        table: &TableDeclaration,
        names: &[Placed<String>],
        mistakes: &mut Mistakes,
    ) -> Option<Vec<usize>> {
        let found: Vec<_> = names
            .iter()
            .filter_map(|name| self.column(table, name, mistakes))
            .collect();
        (found.len() == names.len()).then_some(found)
    }

    /// The table without its entities.
    fn table(
        &self,
        table: &TableDeclaration,
        sources: &[String],
        mistakes: &mut Mistakes,
    ) -> Table {
        let source = table
            .source
            .as_ref()
            .and_then(|source| sources.iter().position(|name| *name == source.value));
        for column in &table.columns {
            self.check_currency(table, column, mistakes);
        }
        Table {
            name: table.name.value.clone(),
            kind: table.kind,
            system: table.system.clone(),
            source: SourceId(source.unwrap_or(0) as u16),
            columns: table.columns.iter().map(column).collect(),
            primary_key: self.primary_key(table, mistakes),
            entities: Vec::new(),
            state: self.state(table, mistakes),
            changed_at: self.changed_at(table, mistakes),
            lookback: table.lookback,
            link_patience: table.link_patience,
        }
    }

    fn check_currency(
        &self,
        table: &TableDeclaration,
        column: &ColumnDeclaration,
        mistakes: &mut Mistakes,
    ) {
        let Some(Currency::Column(name)) = column.money.as_ref().map(|money| &money.currency)
        else {
            return;
        };
        let name = Placed {
            value: name.clone(),
            place: column.money_place,
        };
        let Some(index) = self.column(table, &name, mistakes) else {
            return;
        };
        if table.columns[index]
            .kind
            .is_some_and(|kind| kind != ColumnType::Text)
        {
            let problem = format!(
                "currency column `{}` is {}",
                name.value,
                said(&table.columns[index])
            );
            mistakes.at(
                self.file(table),
                name.place,
                problem,
                "name a text column that holds ISO 4217 codes",
            );
        }
    }

    fn primary_key(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Vec<usize> {
        for name in &table.primary_key {
            let Some(column) = table
                .columns
                .iter()
                .find(|column| column.name.value == name.value)
            else {
                continue;
            };
            if column.nullable {
                let remedy = format!("remove `nullable` from column `{}`", column.name.value);
                mistakes.at(
                    self.file(table),
                    name.place,
                    format!("primary-key column `{}` is nullable", name.value),
                    remedy,
                );
            }
            if column.kind == Some(ColumnType::Json) {
                let problem = format!("primary-key column `{}` is json", name.value);
                mistakes.at(
                    self.file(table),
                    name.place,
                    problem,
                    "name columns whose equal values are written alike",
                );
            }
        }
        self.columns(table, &table.primary_key, mistakes)
            .unwrap_or_default()
    }

    fn state(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Option<StateColumn> {
        let state = table.state.as_ref()?;
        let column = self.column(table, &state.column, mistakes)?;
        if table.columns[column]
            .kind
            .is_some_and(|kind| kind != ColumnType::Text)
        {
            let problem = format!(
                "state column `{}` is {}",
                state.column.value,
                said(&table.columns[column])
            );
            mistakes.at(
                self.file(table),
                state.column.place,
                problem,
                "name a text column",
            );
        }
        let texts =
            |values: &[Placed<String>]| values.iter().map(|value| value.value.clone()).collect();
        Some(StateColumn {
            column,
            values: texts(&state.values),
            final_values: texts(&state.final_values),
        })
    }

    fn changed_at(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Option<usize> {
        let name = table.changed_at.as_ref()?;
        let column = self.column(table, name, mistakes)?;
        if table.columns[column]
            .kind
            .is_some_and(|kind| kind != ColumnType::Timestamp)
        {
            let problem = format!(
                "changed_at column `{}` is {}",
                name.value,
                said(&table.columns[column])
            );
            mistakes.at(
                self.file(table),
                name.place,
                problem,
                "name a timestamp column",
            );
        }
        Some(column)
    }

    fn paths(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Vec<EntityPath> {
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
        if entity.is_none() && self.all_read {
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
            if self.all_read {
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
        if !target
            .paths
            .iter()
            .any(|path| path.entity.value == self.entities[entity].name)
        {
            let name = &self.entities[entity].name;
            let problem = format!("`{}` does not lead to entity `{name}`", through.value);
            let reaching = self
                .tables
                .iter()
                .filter(|table| table.paths.iter().any(|path| path.entity.value == *name));
            let others: Vec<_> = reaching
                .map(|other| other.name.value.as_str())
                .filter(|other| *other != table.name.value)
                .collect();
            let remedy = format!(
                "add `{name}` to the entities of `{}`, or link through a table that has it: {}",
                through.value,
                suggest("", others)
            );
            mistakes.at(file, through.place, problem, remedy);
        }
        self.check_link(table, path, target, &columns, mistakes);
        Some(EntityPath::Through {
            entity: EntityId(entity as u16),
            columns,
            target: TableId(index as u16),
        })
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
fn refuse_key_types(all: &All, tables: &[Table], mistakes: &mut Mistakes) {
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

fn refuse_cycles(all: &All, tables: &[Table], mistakes: &mut Mistakes) {
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

fn column(column: &ColumnDeclaration) -> Column {
    Column {
        name: column.name.value.clone(),
        // Without a type there was a mistake, and the catalog is not given out.
        kind: column.kind.unwrap_or(ColumnType::Text),
        nullable: column.nullable,
        sensitive: column.sensitive,
        money: column.money.clone(),
    }
}

/// The column's type as schema files write it.
fn said(column: &ColumnDeclaration) -> String {
    column
        .kind
        .map_or_else(|| "without a type".to_owned(), |kind| kind.to_string())
}

fn counted(columns: usize) -> String {
    format!("{columns} column{}", if columns == 1 { "" } else { "s" })
}
