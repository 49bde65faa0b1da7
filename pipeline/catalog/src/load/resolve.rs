//! Declarations → the catalog: names become ids and indexes, and everything fits together or is a mistake.

use centinel_model::{SourceId, TableId};

use super::declare::{ColumnDeclaration, Declared, TableDeclaration};
use super::links::{refuse_cycles, refuse_key_types};
use super::mistakes::{Mistakes, SourceFile, shorten, suggest};
use super::yaml::Placed;
use crate::{Catalog, Column, ColumnType, Currency, Entity, StateColumn, Table};

/// The most sources: a set of them fits a `u64`.
const MAX_SOURCES: usize = 64;

/// The catalog of these declarations; of use only if no mistake was found.
pub(super) fn resolve(declared: &Declared, mistakes: &mut Mistakes) -> Catalog {
    let mut order: Vec<&TableDeclaration> = declared.tables.iter().collect();
    order
        .sort_by(|left, right| (&left.name.value, left.file).cmp(&(&right.name.value, right.file)));
    let all = All {
        files: &declared.files,
        tables: &order,
        entities: &declared.entities,
        nameless: declared.nameless,
    };
    refuse_duplicates(&all, mistakes);
    let sources = sources(&all, mistakes);
    let mut tables: Vec<Table> = order
        .iter()
        .map(|table| all.table(table, &sources, mistakes))
        .collect();
    for (declaration, table) in order.iter().zip(&mut tables) {
        table.entities = all.paths(declaration, mistakes);
        table.guard = all.guard(declaration, table, mistakes);
    }
    refuse_key_types(&all, &tables, mistakes);
    refuse_cycles(&all, &tables, mistakes);
    let entities = all.entities_with_beginnings(&tables, mistakes);
    let guarded = |(index, table): (usize, &Table)| {
        let id = TableId(index as u16);
        table.guard.is_some().then(|| table.history(id, &tables))
    };
    let histories: Vec<Table> = tables.iter().enumerate().filter_map(guarded).collect();
    let planned = |(index, table): (usize, &Table)| {
        let plans = table.guard.as_ref()?.plans.as_ref()?;
        let source = sources.iter().position(|source| source == plans)?;
        Some(table.planned(TableId(index as u16), SourceId(source as u16), &tables))
    };
    let planned: Vec<Table> = tables.iter().enumerate().filter_map(planned).collect();
    tables.extend(histories);
    tables.extend(planned);
    Catalog {
        tables,
        entities,
        sources,
    }
}

/// All declarations, by name.
pub(super) struct All<'a> {
    pub files: &'a [SourceFile],
    pub tables: &'a [&'a TableDeclaration],
    pub entities: &'a [Entity],
    /// As in [`Declared`].
    pub nameless: bool,
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
    let plans =
        |table: &TableDeclaration| table.guard.as_ref().and_then(|guard| guard.plans.clone());
    let named = all.tables.iter().flat_map(|table| {
        let both = table.source.clone().into_iter().chain(plans(table));
        both.map(|source| (*table, source))
    });
    for (table, source) in named {
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
    pub fn file(&self, table: &TableDeclaration) -> &SourceFile {
        &self.files[table.file]
    }

    /// The entities, each with the table that begins it.
    fn entities_with_beginnings(&self, tables: &[Table], mistakes: &mut Mistakes) -> Vec<Entity> {
        let mut entities = self.entities.to_vec();
        for (id, declaration) in self.tables.iter().enumerate() {
            for begun in &declaration.begins {
                let entity = entities
                    .iter()
                    .position(|entity| entity.name == begun.value)
                    .filter(|index| {
                        tables[id]
                            .path_to(centinel_model::EntityId(*index as u16))
                            .is_some()
                    });
                let Some(entity) = entity else {
                    let problem = format!(
                        "begins names `{}`, to which no row of this table belongs",
                        shorten(&begun.value)
                    );
                    let own = declaration
                        .paths
                        .iter()
                        .map(|path| path.entity.value.as_str());
                    let remedy = suggest(&begun.value, own);
                    mistakes.at(self.file(declaration), begun.place, problem, remedy);
                    continue;
                };
                if let Some(other) = entities[entity].begins_with {
                    let problem = format!(
                        "`{}` begins with `{}` already",
                        begun.value,
                        tables[usize::from(other.0)].name
                    );
                    let remedy = "keep `begins` in the one table whose row comes first";
                    mistakes.at(self.file(declaration), begun.place, problem, remedy);
                }
                entities[entity].begins_with = Some(centinel_model::TableId(id as u16));
            }
        }
        entities
    }

    /// Index of this column, or a mistake.
    pub fn column(
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

    pub fn columns(
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
            flow: self.flow(table, mistakes),
            changed_at: self.changed_at(table, mistakes),
            lookback: table.lookback,
            link_patience: table.link_patience,
            from: self.from(table),
            from_declared: !table.origin.from.is_empty(),
            shard: self.shard(table, mistakes),
            zone_seconds: table.origin.zone_seconds,
            message: self.message(table, mistakes),
            guard: None,
            plans_for: None,
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
            transitions: state.transitions.clone(),
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
pub(super) fn said(column: &ColumnDeclaration) -> String {
    column
        .kind
        .map_or_else(|| "without a type".to_owned(), |kind| kind.to_string())
}
