//! The tables of a query, and those that are not there, with the reason.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use centinel_catalog::{Catalog, Column, Currency, MoneyUnit, TableKind};
use centinel_outlet::archive::{
    ACCOUNT, CHANGE, COMMITTED_AT, EPOCH, Location, OPERATION, ORDINAL, SEQUENCE, STATEMENT,
    THREAD, TRANSACTION, archive_schema, before,
};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;

use super::archive::ArchiveTable;
use super::error::QueryError;
use super::feed::{Feed, FeedTable};
use super::masked;
use super::state::{StateFeed, StateTables};

/// The type of amounts in major units that come as text: 20 digits before the point and 8 behind it, so that sums of
/// any number of them are exact.
pub const MONEY: DataType = DataType::Decimal128(28, 8);

/// Opens the archive when a query names it.
pub type OpenArchive = Arc<dyn Fn() -> Result<Location, String> + Send + Sync>;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedColumn {
    /// Its name.
    pub name: String,
    /// Its type; times are in UTC.
    pub kind: DataType,
    /// What it holds, in a few words.
    pub told: String,
}

impl AskedColumn {
    /// A column with its type and what it holds.
    pub fn new(name: &str, kind: DataType, told: impl Into<String>) -> AskedColumn {
        AskedColumn {
            name: name.to_owned(),
            kind,
            told: told.into(),
        }
    }
}

/// A table that can be asked.
pub struct AskedTable {
    /// `state` or `archive` for the platform's tables.
    pub schema: Option<&'static str>,
    /// Its name.
    pub name: String,
    /// What one row is.
    pub told: String,
    /// Its columns, in order.
    pub columns: Vec<AskedColumn>,
    pub(super) provider: Arc<dyn TableProvider>,
}

impl fmt::Display for AskedTable {
    /// As it is written in a query.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schema {
            Some(schema) => write!(out, "{schema}.{}", self.name),
            None => out.write_str(&self.name),
        }
    }
}

/// All tables of a query.
#[derive(Default)]
pub struct Tables {
    all: Vec<AskedTable>,
    /// Tables and schemas that are not there, and why.
    lacking: Vec<(&'static str, String)>,
}

impl Tables {
    /// The tables, in order.
    pub fn all(&self) -> &[AskedTable] {
        &self.all
    }

    /// What is not there, and why.
    pub fn lacking(&self) -> &[(&'static str, String)] {
        &self.lacking
    }

    /// Says why a table, or a whole schema, is not there.
    pub fn lack(&mut self, name: &'static str, why: impl Into<String>) {
        self.lacking.push((name, why.into()));
    }

    /// Adds a table whose rows come from a feed.
    pub fn add(
        &mut self,
        name: &'static str,
        told: &'static str,
        columns: Vec<AskedColumn>,
        feed: Arc<dyn Feed>,
    ) {
        let provider = FeedTable {
            name: name.to_owned(),
            schema: schema_of(&columns),
            feed,
        };
        self.all.push(AskedTable {
            schema: None,
            name: name.to_owned(),
            told: told.to_owned(),
            columns,
            provider: Arc::new(provider),
        });
    }

    /// Adds the current rows of each table of the catalog, as they stand in the state of this folder. It is opened when a
    /// query names one of them.
    ///
    /// # Errors
    /// Where a table cannot be shown.
    pub fn add_state(&mut self, catalog: &Arc<Catalog>, folder: &Path) -> Result<(), QueryError> {
        let state = Arc::new(StateTables::new(Arc::clone(catalog), folder));
        for id in catalog.table_ids() {
            let table = catalog.table(id);
            let columns: Vec<AskedColumn> = table.columns.iter().map(stored).collect();
            let provider = FeedTable {
                name: format!("state.{}", table.name),
                schema: table.storage_schema(),
                feed: Arc::new(StateFeed::new(Arc::clone(&state), id)),
            };
            let sensitive: Vec<_> = table.columns.iter().map(masked::seen).collect();
            self.put(
                "state",
                &table.name,
                "a row as it is now".into(),
                columns,
                (Arc::new(provider), &sensitive),
            )?;
        }
        Ok(())
    }

    /// Adds every archived change of each table of the catalog.
    ///
    /// # Errors
    /// Where a table cannot be shown.
    pub fn add_archive(
        &mut self,
        catalog: &Arc<Catalog>,
        open: &OpenArchive,
    ) -> Result<(), QueryError> {
        for id in catalog.table_ids() {
            let table = catalog.table(id);
            if matches!(table.kind, TableKind::History(_)) {
                continue;
            }
            let schema = archive_schema(table).map_err(QueryError::Wrong)?;
            let old = |column: &Column| {
                let mut column = stored(column);
                column.told = format!("before the change; {}", column.told);
                column.name = before(&column.name);
                column
            };
            let mut columns: Vec<AskedColumn> = Vec::new();
            let own = |names: &[(&str, &str)]| -> Vec<AskedColumn> {
                let of = |(name, told): &(&str, &str)| {
                    let field = schema.field_with_name(name).ok()?;
                    Some(AskedColumn::new(name, field.data_type().clone(), *told))
                };
                names.iter().filter_map(of).collect()
            };
            columns.extend(own(&[
                (CHANGE, "its number in the archive, from 1"),
                (OPERATION, "insert, update, delete or snapshot"),
                (EPOCH, "the version: its epoch,"),
                (SEQUENCE, "the transaction's place in its source,"),
                (ORDINAL, "and the row's place in the transaction"),
                (COMMITTED_AT, "when it was committed"),
            ]));
            columns.extend(table.columns.iter().map(stored));
            columns.extend(table.columns.iter().map(old));
            columns.extend(own(&[
                (TRANSACTION, "who made it, where the source says it"),
                (THREAD, "the server's thread"),
                (ACCOUNT, "the account"),
                (STATEMENT, "the statement; masked"),
            ]));
            let sensitive = |field: &Field| {
                let name = field.name();
                let of = |column: &&Column| column.name == *name || before(&column.name) == *name;
                match table.columns.iter().find(of) {
                    Some(column) => masked::seen(column),
                    None => (name == STATEMENT).then_some(DataType::Utf8),
                }
            };
            let sensitive: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| sensitive(field))
                .collect();
            let provider = ArchiveTable {
                catalog: Arc::clone(catalog),
                table: id,
                schema,
                open: Arc::clone(open),
            };
            self.put(
                "archive",
                &table.name,
                "a change, as often as it was delivered".into(),
                columns,
                (Arc::new(provider), &sensitive),
            )?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        schema: &'static str,
        name: &str,
        told: String,
        mut columns: Vec<AskedColumn>,
        (provider, sensitive): (Arc<dyn TableProvider>, &[Option<DataType>]),
    ) -> Result<(), QueryError> {
        let shown = masked::over(&format!("{schema}_{name}"), provider, sensitive);
        let provider = shown.map_err(|error| QueryError::Failed(error.to_string()))?;
        for (column, sensitive) in columns.iter_mut().zip(sensitive) {
            if sensitive.is_some() {
                column.kind = DataType::Utf8;
            }
        }
        self.all.push(AskedTable {
            schema: Some(schema),
            name: name.to_owned(),
            told,
            columns,
            provider,
        });
        Ok(())
    }

    /// Refuses a name that stands for no table, with what would be right.
    pub(super) fn check(&self, asked: &TableReference) -> Result<(), QueryError> {
        let (schema, name) = (asked.schema(), asked.table());
        if schema == Some("information_schema") {
            return Ok(());
        }
        let fits = |table: &AskedTable| {
            table.name == name && table.schema == schema.filter(|schema| *schema != "public")
        };
        if self.all.iter().any(fits) {
            return Ok(());
        }
        let lacking = self
            .lacking
            .iter()
            .find(|(lacking, _)| schema.unwrap_or(name) == *lacking);
        let told = match lacking {
            Some((_, why)) => format!("there is no table `{asked}`: {why}"),
            None => format!(
                "there is no table `{asked}`: `centinel query --tables` lists those that there are{}",
                match self.all.iter().find(|table| table.name == name) {
                    Some(table) => format!(", `{table}` is one"),
                    None => String::new(),
                }
            ),
        };
        Err(QueryError::Wrong(told))
    }
}

fn schema_of(columns: &[AskedColumn]) -> SchemaRef {
    let field = |column: &AskedColumn| Field::new(&column.name, column.kind.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A column of the platform's as it is stored.
fn stored(column: &Column) -> AskedColumn {
    let mut told = column.kind.to_string();
    if let Some(money) = &column.money {
        let unit = match money.unit {
            MoneyUnit::Major => "major",
            MoneyUnit::Minor => "minor",
        };
        let currency = match &money.currency {
            Currency::Fixed(code) => code.clone(),
            Currency::Column(name) => format!("the currency in `{name}`"),
        };
        told = format!("{told}; money in {unit} units of {currency}");
    }
    if column.sensitive {
        told.push_str("; masked");
    }
    AskedColumn::new(&column.name, column.storage_type(), told)
}

/// The name of a type in SQL.
pub fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt64 => "BIGINT UNSIGNED".into(),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            format!("DECIMAL({digits},{scale})")
        }
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Timestamp(..) => "TIMESTAMP".into(),
        DataType::Date32 => "DATE".into(),
        other => other.to_string(),
    }
}
