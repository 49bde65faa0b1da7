//! The watched tables as a server describes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use centinel_catalog::{Catalog, TableKind};
use centinel_model::SourceId;

use super::binding::{drifts, target};
use super::failure::Failure;
use super::kind::Kind;
use super::server::Server;
use crate::physical::{Physical, PhysicalTables};
use crate::rows::Layout;
use crate::shape::{Lost, Why};

/// A physical table whose rows are watched.
#[derive(Clone, Debug)]
pub(super) struct WatchedTable {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) physical: Physical,
    pub(super) engine: String,
    pub(super) columns: Vec<WatchedColumn>,
    /// Names of its own primary key's columns.
    pub(super) primary_key: Vec<String>,
}

/// A column of it.
#[derive(Clone, Debug)]
pub(super) struct WatchedColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl WatchedTable {
    /// The columns that its schema wants and that it does not have so.
    pub(super) fn lost(&self, layout: &Layout) -> Lost {
        let there: Vec<(&str, Kind)> = self
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.kind))
            .collect();
        drifts(&there, layout)
    }

    /// What is wrong with such a column, in a sentence.
    pub(super) fn drift(&self, layout: &Layout, (column, why): (usize, &Why)) -> String {
        let what = why.sentence(layout, column);
        format!("{what} (table `{}`.`{}`)", self.database, self.table)
    }

    /// The columns that the schema wants and can take, with its index of each.
    pub(super) fn wanted(&self, layout: &Layout, lost: &Lost) -> Vec<(usize, &WatchedColumn)> {
        let columns = self.columns.iter();
        let columns = columns.filter_map(|column| Some((target(layout, &column.name)?, column)));
        columns.filter(|(target, _)| !lost.has(*target)).collect()
    }
}

const SYSTEM: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// All watched tables that the user may see, in order of their names, without their columns.
pub(super) async fn listed(
    server: &mut Server,
    physical: &mut PhysicalTables,
) -> Result<Vec<WatchedTable>, Failure> {
    let all = server
        .rows(&format!(
            "SELECT table_schema, table_name, IFNULL(engine, '') FROM information_schema.tables \
             WHERE table_type = 'BASE TABLE' AND table_schema NOT IN {SYSTEM} ORDER BY 1, 2"
        ))
        .await?;
    let mut tables = Vec::new();
    for row in all {
        let [database, table, engine] = <[String; 3]>::try_from(row).unwrap_or_default();
        let Some(physical) = physical.find(&database, &table) else {
            continue;
        };
        tables.push(WatchedTable {
            database,
            table,
            physical,
            engine,
            columns: Vec::new(),
            primary_key: Vec::new(),
        });
    }
    Ok(tables)
}

/// The same with their columns.
pub(super) async fn described(
    server: &mut Server,
    physical: &mut PhysicalTables,
) -> Result<Vec<WatchedTable>, Failure> {
    let mut tables = listed(server, physical).await?;
    for table in &mut tables {
        describe(server, table).await?;
    }
    Ok(tables)
}

async fn describe(server: &mut Server, table: &mut WatchedTable) -> Result<(), Failure> {
    let of_table = format!(
        "WHERE table_schema = {} AND table_name = {}",
        text(&table.database),
        text(&table.table)
    );
    let key = server
        .rows(&format!(
            "SELECT column_name FROM information_schema.statistics {of_table} AND index_name = 'PRIMARY' \
             ORDER BY seq_in_index"
        ))
        .await?;
    table.primary_key = key.into_iter().flatten().collect();
    let rows = server
        .rows(&format!(
            "SELECT column_name, data_type, IFNULL(character_set_name, ''), IFNULL(numeric_scale, 0) \
             FROM information_schema.columns {of_table} ORDER BY ordinal_position"
        ))
        .await?;
    for row in rows {
        let [name, kind, charset, scale] = <[String; 4]>::try_from(row).unwrap_or_default();
        table.columns.push(WatchedColumn {
            kind: kind_of(&kind, &charset, scale.parse().unwrap_or(0)),
            name,
        });
    }
    Ok(())
}

/// What the values of a column are, by the name of its type.
pub(crate) fn kind_of(name: &str, charset: &str, scale: u8) -> Kind {
    use super::charset::Charset;
    match name.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => Kind::Integer,
        "decimal" => Kind::Decimal { scale },
        "float" | "double" => Kind::Float,
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "timestamp" => Kind::Timestamp,
        "time" => Kind::Time,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Binary,
        // MySQL's own type, which is always UTF-8; MariaDB's JSON is a text.
        "json" if charset.is_empty() => Kind::Text,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        | "json" => match Charset::of_name(charset) {
            Charset::Unknown => Kind::Unreadable("text in an unsupported character set"),
            _ => Kind::Text,
        },
        "uuid" | "inet4" | "inet6" => Kind::Unreadable(
            "a UUID or INET, which the log holds in another form; make it text or BINARY",
        ),
        _ => Kind::Unreadable("of an unsupported type"),
    }
}

/// Tables of the schemas that the source should have and that no physical table was found for.
pub(super) fn missing(
    catalog: &Catalog,
    source: SourceId,
    found: &[WatchedTable],
) -> Vec<Arc<str>> {
    let found: BTreeSet<usize> = found.iter().map(|table| table.physical.layout).collect();
    let tables = catalog.tables.iter().enumerate();
    let wanted =
        tables.filter(|(_, table)| table.kind == TableKind::Rows && table.source == source);
    let missing = wanted.filter(|(index, _)| !found.contains(index));
    missing
        .map(|(_, table)| table.name.as_str().into())
        .collect()
}

/// A name in backquotes.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in quotes.
pub(super) fn text(content: &str) -> String {
    format!("'{}'", content.replace('\\', "\\\\").replace('\'', "''"))
}

/// The name of a table with its database, in backquotes.
pub(super) fn full_name(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}
