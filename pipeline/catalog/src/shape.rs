//! What of a catalog shapes stored rows, kept beside the rows: how those of an earlier catalog are read under a
//! later one.

use centinel_model::{EntityId, SourceId, TableId};
use serde::{Deserialize, Serialize};

use crate::{Catalog, ColumnType, EntityPath, Table, TableKind};

/// Everything that shapes stored rows, by name. Persisted in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// By [`SourceId`].
    pub sources: Vec<String>,
    /// By [`EntityId`].
    pub entities: Vec<EntityShape>,
    /// By [`TableId`].
    pub tables: Vec<TableShape>,
}

/// What of an entity shapes the keys of stored documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityShape {
    /// Its name.
    pub name: String,
    /// Names of the key's columns.
    pub key: Vec<String>,
    /// How key values are brought to one form.
    pub normalise: Vec<String>,
}

/// What of a table shapes its stored rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// Its name.
    pub name: String,
    /// Whether it is an event.
    pub event: bool,
    /// The source that orders it.
    pub source: String,
    /// In order.
    pub columns: Vec<ColumnShape>,
    /// Names of the primary key's columns.
    pub primary_key: Vec<String>,
    /// The column that names the physical table.
    pub shard: Option<String>,
    /// How far times without a zone run ahead of UTC, in seconds.
    pub zone_seconds: i32,
    /// How its rows reach their entities.
    pub entities: Vec<PathShape>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnShape {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether stored rows may have null there.
    pub nullable: bool,
}

/// How rows reach one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathShape {
    /// The entity.
    pub entity: String,
    /// The table that knows the entity; none when the row's own columns are its key.
    pub through: Option<String>,
    /// Names of the columns that lead there.
    pub by: Vec<String>,
}

impl Catalog {
    /// What of it shapes stored rows.
    pub fn shape(&self) -> Shape {
        let entities = self.entities.iter().map(|entity| EntityShape {
            name: entity.name.clone(),
            key: entity.key.clone(),
            normalise: entity
                .normalise
                .iter()
                .map(|step| step.name().to_owned())
                .collect(),
        });
        Shape {
            sources: self.sources.clone(),
            entities: entities.collect(),
            tables: self
                .tables
                .iter()
                .map(|table| self.table_shape(table))
                .collect(),
        }
    }

    fn table_shape(&self, table: &Table) -> TableShape {
        let name = |column: usize| table.columns[column].name.clone();
        let columns = table.columns.iter().map(|column| ColumnShape {
            name: column.name.clone(),
            kind: column.kind,
            nullable: column.nullable,
        });
        let entities = table.entities.iter().map(|path| PathShape {
            entity: self.entity(path.entity()).name.clone(),
            through: match path {
                EntityPath::Direct { .. } => None,
                EntityPath::Through { target, .. } => Some(self.table(*target).name.clone()),
            },
            by: path.columns().iter().map(|column| name(*column)).collect(),
        });
        TableShape {
            name: table.name.clone(),
            event: table.kind == TableKind::Events,
            source: self.source(table.source).to_owned(),
            columns: columns.collect(),
            primary_key: table
                .primary_key
                .iter()
                .map(|column| name(*column))
                .collect(),
            shard: table.shard.map(name),
            zone_seconds: table.zone_seconds.unwrap_or(0),
            entities: entities.collect(),
        }
    }
}

impl Shape {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&TableShape> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Why rows that were written under an `earlier` shape cannot be read under this one; empty when they can.
    /// `kept` names the entities whose rows are kept.
    ///
    /// Columns may come (nullable: earlier rows have null there), go, or stand in another order; tables, events and
    /// sources may come; tables and events may go unless a link leads through them.
    pub fn refuses(&self, earlier: &Shape, kept: &[String]) -> Vec<String> {
        let mut why = self.refuses_entities(earlier, kept);
        for table in &earlier.tables {
            if let Some(later) = self.table(&table.name) {
                later.refuses(table, kept, &mut why);
            }
        }
        why.extend(earlier.refuses_without(self, kept));
        why
    }

    /// Why keys of these entities that were written under an `earlier` shape are not those of this one.
    pub fn refuses_entities(&self, earlier: &Shape, kept: &[String]) -> Vec<String> {
        let mut why = Vec::new();
        for entity in earlier
            .entities
            .iter()
            .filter(|entity| kept.contains(&entity.name))
        {
            let name = &entity.name;
            match self.entities.iter().find(|other| other.name == *name) {
                None => why.push(format!(
                    "the entity `{name}`, by which rows are kept, is gone"
                )),
                Some(other) if other != entity => {
                    why.push(format!(
                        "the key of the entity `{name}` or its normal form is another"
                    ));
                }
                Some(_) => {}
            }
        }
        why
    }

    /// Why a later shape must have tables that this one, written long before, led links through; of all else only
    /// the shape just before it decides.
    pub fn refuses_without(&self, later: &Shape, kept: &[String]) -> Vec<String> {
        let gone = self
            .tables
            .iter()
            .filter(|table| later.table(&table.name).is_none());
        let led = gone.filter(|table| self.leads_through(&table.name, kept));
        led.map(|table| led_through(&table.name)).collect()
    }

    /// Whether rows of another table reach a kept entity through this one.
    fn leads_through(&self, table: &str, kept: &[String]) -> bool {
        let paths = self.tables.iter().flat_map(|table| &table.entities);
        let mut kept = paths.filter(|path| kept.contains(&path.entity));
        kept.any(|path| path.through.as_deref() == Some(table))
    }
}

fn led_through(table: &str) -> String {
    format!("table `{table}` is gone, and rows of others reached their entity through it")
}

impl TableShape {
    /// Adds why rows of this table that were written under an `earlier` shape cannot be read under this one.
    pub fn refuses(&self, earlier: &TableShape, kept: &[String], why: &mut Vec<String>) {
        let name = &self.name;
        let mut differs = |what: &str| why.push(format!("table `{name}`: {what} is another"));
        if self.event != earlier.event {
            differs("whether it is an event");
        }
        if self.source != earlier.source {
            differs("its source");
        }
        if self.primary_key != earlier.primary_key {
            differs("its primary key");
        }
        if self.shard != earlier.shard {
            differs("its shard column");
        }
        if self.zone_seconds != earlier.zone_seconds {
            differs("the zone of its times");
        }
        let of_kept = |table: &TableShape| -> Vec<PathShape> {
            let paths = table.entities.iter();
            let mut paths: Vec<_> = paths
                .filter(|path| kept.contains(&path.entity))
                .cloned()
                .collect();
            paths.sort_by(|left, right| left.entity.cmp(&right.entity));
            paths
        };
        if of_kept(self) != of_kept(earlier) {
            differs("how its rows reach their entities");
        }
        for column in &self.columns {
            let known = earlier
                .columns
                .iter()
                .find(|known| known.name == column.name);
            if let Some(reason) = column.refuses(known) {
                why.push(format!("table `{name}`: column `{}` {reason}", column.name));
            }
        }
    }
}

impl ColumnShape {
    fn refuses(&self, earlier: Option<&ColumnShape>) -> Option<String> {
        match earlier {
            None if !self.nullable => Some(
                "is new and not nullable: earlier rows have null there, so declare it `nullable: true`".into(),
            ),
            Some(known) if known.kind != self.kind => {
                Some(format!("was {} and is {}", known.kind, self.kind))
            }
            Some(known) if known.nullable && !self.nullable => {
                Some("may be null in earlier rows: declare it `nullable: true`".into())
            }
            _ => None,
        }
    }
}

/// How stored rows of one shape are read under a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// By the earlier table's id; none when the table is gone.
    pub tables: Vec<Option<TableConversion>>,
    /// By the earlier entity's id.
    pub entities: Vec<Option<EntityId>>,
    /// By the earlier source's id.
    pub sources: Vec<Option<SourceId>>,
}

/// How rows of one table are read later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConversion {
    /// The later table.
    pub to: TableId,
    /// The earlier row's columns.
    pub earlier: Vec<ColumnType>,
    /// For each column of the later row its place in the earlier one; none: null.
    pub columns: Vec<Option<usize>>,
}

impl Conversion {
    /// From one shape to the next, by name.
    pub fn between(earlier: &Shape, later: &Shape) -> Conversion {
        let tables = earlier.tables.iter().map(|table| {
            let place = later
                .tables
                .iter()
                .position(|other| other.name == table.name)?;
            let known = |name: &str| table.columns.iter().position(|column| column.name == name);
            let columns = later.tables[place].columns.iter();
            Some(TableConversion {
                to: TableId(place as u16),
                earlier: table.columns.iter().map(|column| column.kind).collect(),
                columns: columns.map(|column| known(&column.name)).collect(),
            })
        });
        let entities = earlier.entities.iter().map(|entity| {
            let place = later
                .entities
                .iter()
                .position(|other| other.name == entity.name);
            place.map(|place| EntityId(place as u16))
        });
        let sources = earlier.sources.iter().map(|source| {
            let place = later.sources.iter().position(|other| other == source);
            place.map(|place| SourceId(place as u16))
        });
        Conversion {
            tables: tables.collect(),
            entities: entities.collect(),
            sources: sources.collect(),
        }
    }

    /// This one, then the next: what was gone between stays gone.
    pub fn then(&self, next: &Conversion) -> Conversion {
        let tables = self.tables.iter().map(|first| {
            let first = first.as_ref()?;
            let second = next.tables[usize::from(first.to.0)].as_ref()?;
            let columns = second.columns.iter().map(|place| first.columns[(*place)?]);
            Some(TableConversion {
                to: second.to,
                earlier: first.earlier.clone(),
                columns: columns.collect(),
            })
        });
        let entities = self.entities.iter();
        let sources = self.sources.iter();
        Conversion {
            tables: tables.collect(),
            entities: entities
                .map(|entity| next.entities[usize::from((*entity)?.0)])
                .collect(),
            sources: sources
                .map(|source| next.sources[usize::from((*source)?.0)])
                .collect(),
        }
    }

    /// Whether rows are read as they stand.
    pub fn is_identity(&self) -> bool {
        let same = |(place, table): (usize, &Option<TableConversion>)| {
            table
                .as_ref()
                .is_some_and(|table| usize::from(table.to.0) == place && table.is_identity())
        };
        let mut entities = self.entities.iter().enumerate();
        let mut sources = self.sources.iter().enumerate();
        self.tables.iter().enumerate().all(same)
            && entities.all(|(place, to)| *to == Some(EntityId(place as u16)))
            && sources.all(|(place, to)| *to == Some(SourceId(place as u16)))
    }

    /// What a set of sources is later; none when one of them is gone.
    pub fn source_set(&self, sources: u64) -> Option<u64> {
        let all = (0..64).filter(|place| sources & (1 << place) != 0);
        all.map(|place| self.sources.get(place).copied().flatten())
            .try_fold(0, |set, source| Some(set | 1 << source?.0))
    }
}

impl TableConversion {
    /// Whether rows are read as they stand.
    pub fn is_identity(&self) -> bool {
        let mut columns = self.columns.iter().enumerate();
        self.columns.len() == self.earlier.len()
            && columns.all(|(place, from)| *from == Some(place))
    }

    /// Whether columns came and others went: those may be these under another name.
    pub fn may_rename(&self) -> bool {
        let gone = |place: usize| !self.columns.contains(&Some(place));
        self.columns.contains(&None) && (0..self.earlier.len()).any(gone)
    }
}
