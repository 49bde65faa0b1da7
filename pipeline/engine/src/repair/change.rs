//! What someone means to do: changes of rows, one for each row.

use std::collections::BTreeMap;
use std::fmt;

use centinel_catalog::{Catalog, Table, TableKind};
use centinel_model::TableId;

use super::value::{NotAValue, Value};

/// The most rows that one plan may change.
pub const MOST_CHANGES: usize = 1_000_000;
/// Mistakes that are listed; more are not looked for.
pub const MOST_MISTAKES: usize = 100;

/// What is meant to happen to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planned {
    /// A row comes.
    Insert,
    /// Columns of a row change.
    Update,
    /// A row goes.
    Delete,
}

impl Planned {
    /// As plans write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Planned::Insert => "insert",
            Planned::Update => "update",
            Planned::Delete => "delete",
        }
    }

    /// The reverse of [`Planned::as_str`].
    pub fn parse(text: &str) -> Option<Planned> {
        let all = [Planned::Insert, Planned::Update, Planned::Delete];
        all.into_iter().find(|planned| planned.as_str() == text)
    }
}

/// The change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: TableId,
    /// What is meant to happen.
    pub planned: Planned,
    /// The row's primary key, in the key's order.
    pub key: Vec<Value>,
    /// By index of the column, the value that is expected; of an update, of all columns that change.
    pub old: BTreeMap<usize, Value>,
    /// By index of the column, the value that is to be; of an insert, of the whole row.
    pub new: BTreeMap<usize, Value>,
    /// Where it stands in its file, such as `line 3`.
    pub place: String,
}

/// A number that the column cannot hold: a change with it cannot be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The table's name.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// The column's name.
    pub column: String,
    /// Why, without the value.
    pub reason: String,
    /// Where it stands.
    pub place: String,
}

/// All that a file means to do.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// One for each row, unless the file says the same row twice.
    pub rows: Vec<RowChange>,
    /// What does not fit its column.
    pub unfit: Vec<Unfit>,
}

/// Something in a plan's file that cannot be read or evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands, such as `line 3` or `line 3, column 7`; empty for the whole file.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Mistake {
    /// One mistake.
    pub fn new(
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Mistake {
        Mistake {
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(out, "{}: ", self.place)?;
        }
        write!(out, "{}; {}", self.problem, self.remedy)
    }
}

/// Finds the table that a plan names: by its name in the schemas, by `database.table` of a physical table, or by
/// the table of one where only one system table reads such.
pub fn find_table(catalog: &Catalog, name: &str) -> Result<TableId, (String, String)> {
    let rows = |id: &TableId| catalog.table(*id).kind == TableKind::Rows;
    let id = match catalog.table_id(name) {
        Some(id) => Some(id),
        None => {
            let ids: Vec<TableId> = catalog.table_ids().filter(rows).collect();
            let (database, table) = match name.rsplit_once('.') {
                Some((database, table)) => (Some(database), table),
                None => (None, name),
            };
            let reads = |id: &&TableId| {
                let table_of = catalog.table(**id);
                table_of.from.iter().any(|pattern| match database {
                    Some(database) => pattern.matches(database, table),
                    None => pattern.matches_table(table),
                })
            };
            let declared = |id: &&TableId| catalog.table(**id).from_declared;
            let found: Vec<&TableId> = ids.iter().filter(reads).collect();
            let closest: Vec<&TableId> = match found.iter().any(&declared) {
                true => found.into_iter().filter(|id| declared(id)).collect(),
                false => found,
            };
            match closest.as_slice() {
                [] => None,
                [only] => Some(**only),
                several => {
                    let names: Vec<&str> = several
                        .iter()
                        .map(|id| catalog.table(**id).name.as_str())
                        .collect();
                    return Err((
                        format!("`{name}` may be {}", names.join(" or ")),
                        "write the table's name in the schemas, or `database.table`".into(),
                    ));
                }
            }
        }
    };
    match id {
        Some(id) if rows(&id) => Ok(id),
        Some(_) => Err((
            format!("`{name}` is an event: messages are only ever added"),
            "plan changes of tables only".into(),
        )),
        None => {
            let known: Vec<&str> = catalog
                .table_ids()
                .filter(rows)
                .map(|id| catalog.table(id).name.as_str())
                .collect();
            Err((
                format!("no schema describes `{name}`"),
                format!("name one of {}", known.join(", ")),
            ))
        }
    }
}

/// The column of a table, or what is wrong and what to do.
pub fn find_column(table: &Table, name: &str) -> Result<usize, (String, String)> {
    table.column_index(name).ok_or_else(|| {
        let known: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        (
            format!("{} has no column `{name}`", table.name),
            format!("name one of {}", known.join(", ")),
        )
    })
}

/// A row's key for people: `payment_no=P1`.
pub fn shown_key(table: &Table, key: &[Value]) -> String {
    let parts = table.primary_key.iter().zip(key).map(|(column, value)| {
        let column = &table.columns[*column];
        format!("{}={}", column.name, shown(column, value))
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// A value for people: masked where its column is sensitive.
pub fn shown(column: &centinel_catalog::Column, value: &Value) -> String {
    match (column.sensitive, value) {
        (_, Value::Null) => "null".into(),
        (true, value) => centinel_catalog::mask(&value.to_string()),
        (false, value) => value.to_string(),
    }
}

/// Values of a row as a file gives them: those that fit, and why others do not.
pub(super) struct Cells<'a> {
    pub table: &'a Table,
    pub place: String,
    pub mistakes: &'a mut Vec<Mistake>,
}

impl Cells<'_> {
    /// Reads one value; `None` is null. A number that does not fit is returned as the error of the inner result.
    pub fn read(&mut self, column: usize, text: Option<&str>) -> Option<Result<Value, String>> {
        let declared = &self.table.columns[column];
        let Some(text) = text else {
            return Some(Ok(Value::Null));
        };
        match Value::read(declared, text) {
            Ok(value) => Some(Ok(value)),
            Err(NotAValue::OutOfRange(reason)) => Some(Err(reason)),
            Err(NotAValue::Malformed(reason)) => {
                let shown = match declared.sensitive {
                    true => "the value".to_owned(),
                    false => format!("`{}`", text.chars().take(40).collect::<String>()),
                };
                self.mistakes.push(Mistake::new(
                    self.place.clone(),
                    format!("{shown} of {}.{} {reason}", self.table.name, declared.name),
                    remedy_of(declared),
                ));
                None
            }
        }
    }
}

fn remedy_of(column: &centinel_catalog::Column) -> &'static str {
    use centinel_catalog::ColumnType;
    match column.kind {
        ColumnType::Integer => "write a whole number in the unit that the schema declares",
        ColumnType::Decimal { .. } => {
            "write a plain decimal such as 12.50 in the unit that the schema declares"
        }
        ColumnType::Timestamp => "write a time such as 2026-11-22T08:00:00.5Z",
        ColumnType::Date => "write a day such as 2026-11-22",
        ColumnType::Boolean => "write true or false",
        ColumnType::Json => "write JSON",
        ColumnType::Text => "write text",
    }
}
