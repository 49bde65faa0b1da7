//! Tokens → statements over the tables of the schemas.

use std::collections::BTreeSet;

use centinel_catalog::{Catalog, ColumnType, Table};
use centinel_model::TableId;

use super::super::change::{Mistake, find_column, find_table};
use super::super::value::Value;
use super::expression::{Condition, Expression, Sort};
use super::token::{Kind, Place, Token};

/// One statement.
#[derive(Clone, Debug)]
pub struct Statement {
    pub place: Place,
    pub table: TableId,
    /// The physical table, where rows of several are told apart by a column.
    pub shard: Option<String>,
    pub what: Change,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// Columns and their new values, and which rows.
    Update(Vec<(usize, Expression)>, Condition),
    /// Whole rows, by index of the column.
    Insert(Vec<Vec<Expression>>),
    Delete(Condition),
}

pub struct Parser<'a> {
    pub catalog: &'a Catalog,
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) depth: usize,
    /// Parentheses that are known to hold a value, so that each is tried once.
    pub(super) values_at: BTreeSet<usize>,
    /// The table of the statement.
    table: Option<(TableId, String)>,
}

impl<'a> Parser<'a> {
    pub fn new(catalog: &'a Catalog, tokens: &'a [Token]) -> Parser<'a> {
        Parser {
            catalog,
            tokens,
            at: 0,
            depth: 0,
            values_at: BTreeSet::new(),
            table: None,
        }
    }

    /// All statements.
    pub fn statements(&mut self) -> Result<Vec<Statement>, Mistake> {
        let mut statements = Vec::new();
        while self.eat(";") {}
        let begun = self.begins()?;
        let mut committed = false;
        while self.peek() != &Kind::End {
            if committed {
                return self.refuse(
                    "something stands behind COMMIT",
                    "plan each transaction by itself",
                );
            }
            if begun && self.word("COMMIT") {
                committed = true;
            } else {
                statements.push(self.statement()?);
            }
            if self.peek() != &Kind::End && !self.eat(";") {
                return self.refuse_here("where the statement should end");
            }
            while self.eat(";") {}
        }
        match begun == committed {
            true => Ok(statements),
            false => self.refuse(
                "a transaction is begun and never committed: it would change nothing",
                "write COMMIT at the end, or leave out its beginning",
            ),
        }
    }

    fn begins(&mut self) -> Result<bool, Mistake> {
        let begun = match self.word("START") {
            true => {
                self.keyword("TRANSACTION")?;
                true
            }
            false => self.word("BEGIN"),
        };
        if begun && !self.eat(";") {
            return self.refuse_here("behind the beginning of a transaction");
        }
        Ok(begun)
    }

    fn statement(&mut self) -> Result<Statement, Mistake> {
        let place = self.place();
        if self.word("UPDATE") {
            let (table, shard) = self.table_name()?;
            self.keyword("SET")?;
            let sets = self.assignments(table)?;
            let condition = self.where_clause("UPDATE")?;
            return Ok(Statement {
                place,
                table,
                shard,
                what: Change::Update(sets, condition),
            });
        }
        if self.word("DELETE") {
            self.keyword("FROM")?;
            let (table, shard) = self.table_name()?;
            let condition = self.where_clause("DELETE")?;
            return Ok(Statement {
                place,
                table,
                shard,
                what: Change::Delete(condition),
            });
        }
        if self.word("INSERT") {
            self.word("INTO");
            let (table, shard) = self.table_name()?;
            let rows = self.values(table, shard.as_deref())?;
            return Ok(Statement {
                place,
                table,
                shard,
                what: Change::Insert(rows),
            });
        }
        let what = match self.peek() {
            Kind::Word(word) => format!("`{}`, which is not evaluated here", word.to_uppercase()),
            _ => "no statement".into(),
        };
        self.refuse(
            what,
            "write UPDATE … SET … WHERE, INSERT INTO … VALUES or DELETE FROM … WHERE, each on one table",
        )
    }

    /// `payment`, `shop.payment`, and no alias.
    fn table_name(&mut self) -> Result<(TableId, Option<String>), Mistake> {
        let place = self.place();
        let mut name = self.any_name("a table")?;
        while self.eat(".") {
            name = format!("{name}.{}", self.any_name("a table")?);
        }
        let id = find_table(self.catalog, &name)
            .map_err(|(problem, remedy)| Mistake::new(place.to_string(), problem, remedy))?;
        let table = self.catalog.table(id);
        let shard = match (table.shard, name.contains('.')) {
            (None, _) => None,
            (Some(_), true) => Some(name.clone()),
            (Some(_), false) => {
                return Err(Mistake::new(
                    place.to_string(),
                    format!("{} is several physical tables", table.name),
                    "write `database.table` of the one that is meant",
                ));
            }
        };
        if let Kind::Sign(",") = self.peek() {
            return self.refuse(
                "several tables in one statement",
                "write a statement for each table",
            );
        }
        if let Kind::Word(word) = self.peek() {
            let upper = word.to_uppercase();
            if [
                "JOIN",
                "INNER",
                "LEFT",
                "RIGHT",
                "CROSS",
                "NATURAL",
                "STRAIGHT_JOIN",
            ]
            .contains(&upper.as_str())
            {
                return self.refuse(
                    "a join, which is not evaluated here",
                    "name the rows of one table by their keys",
                );
            }
        }
        self.table = Some((id, name));
        Ok((id, shard))
    }

    fn assignments(&mut self, id: TableId) -> Result<Vec<(usize, Expression)>, Mistake> {
        let table = self.catalog.table(id);
        let mut sets: Vec<(usize, Expression)> = Vec::new();
        loop {
            let place = self.place();
            let column = self.column_name()?;
            let refuse = |problem: String, remedy: &str| {
                Err(Mistake::new(place.to_string(), problem, remedy))
            };
            let name = &table.columns[column].name;
            if table.primary_key.contains(&column) {
                return refuse(
                    format!("`{name}` is part of the primary key"),
                    "write a DELETE and an INSERT",
                );
            }
            if sets.iter().any(|(known, _)| *known == column) {
                return refuse(format!("`{name}` is set twice"), "keep one of them");
            }
            if !self.eat("=") {
                return self.refuse_here("where `=` should stand");
            }
            let value = self.expression()?;
            let value = self.fit(value, table, column)?;
            let mut read = Vec::new();
            value.columns(&mut read);
            if let Some((earlier, _)) = sets.iter().find(|(known, _)| read.contains(known)) {
                return refuse(
                    format!(
                        "`{name}` is computed from `{}`, which is set before it in the same statement: MariaDB takes \
                         its new value, other databases the old one",
                        table.columns[*earlier].name
                    ),
                    "set it first, or write two statements",
                );
            }
            sets.push((column, value));
            if !self.eat(",") {
                return Ok(sets);
            }
        }
    }

    fn where_clause(&mut self, statement: &str) -> Result<Condition, Mistake> {
        if !self.word("WHERE") {
            return match self.peek() {
                Kind::End | Kind::Sign(";") => self.refuse(
                    format!("this {statement} has no WHERE and would change every row"),
                    "write WHERE, and WHERE 1 = 1 if every row is meant",
                ),
                _ => self.refuse_here("where WHERE should stand"),
            };
        }
        let condition = self.condition()?;
        if let Kind::Word(word) = self.peek() {
            let word = word.to_uppercase();
            if word == "LIMIT" || word == "ORDER" {
                return self.refuse(
                    format!("{word}: which rows come first is not certain"),
                    "name the rows by their keys",
                );
            }
        }
        Ok(condition)
    }

    fn values(
        &mut self,
        id: TableId,
        shard: Option<&str>,
    ) -> Result<Vec<Vec<Expression>>, Mistake> {
        let table = self.catalog.table(id);
        let place = self.place();
        if !self.eat("(") {
            return self.refuse(
                "an INSERT without names of columns, whose order only the database knows",
                "write INSERT INTO table (column, …) VALUES (…)",
            );
        }
        let mut columns = Vec::new();
        loop {
            let place = self.place();
            let column = self.column_name()?;
            if columns.contains(&column) {
                let name = &table.columns[column].name;
                return Err(Mistake::new(
                    place.to_string(),
                    format!("`{name}` is named twice"),
                    "keep one of them",
                ));
            }
            columns.push(column);
            if self.eat(")") {
                break;
            }
            if !self.eat(",") {
                return self.refuse_here("between names of columns");
            }
        }
        let missing: Vec<&str> = (0..table.columns.len())
            .filter(|column| !columns.contains(column) && table.shard != Some(*column))
            .map(|column| table.columns[column].name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Mistake::new(
                place.to_string(),
                format!(
                    "{} are left to the defaults of the database",
                    missing.join(", ")
                ),
                "name every column: defaults are not known here",
            ));
        }
        if !self.word("VALUES") && !self.word("VALUE") {
            return self.refuse(
                "an INSERT without VALUES",
                "write the rows themselves: queries are not evaluated here",
            );
        }
        let mut rows = Vec::new();
        loop {
            let place = self.place();
            if !self.eat("(") {
                return self.refuse_here("where a row should begin");
            }
            let mut row: Vec<Option<Expression>> = vec![None; table.columns.len()];
            if let Some((column, shard)) = table.shard.zip(shard) {
                row[column] = Some(constant(
                    Value::Text(shard.to_owned()),
                    Sort::Text,
                    self.place(),
                ));
            }
            for (index, column) in columns.iter().enumerate() {
                if index > 0 && !self.eat(",") {
                    return self.refuse_here("between the values of a row");
                }
                let value = self.expression()?;
                let mut read = Vec::new();
                value.columns(&mut read);
                if !read.is_empty() {
                    return Err(Mistake::new(
                        value.place.to_string(),
                        "a value of an INSERT that names a column",
                        "write the value itself",
                    ));
                }
                row[*column] = Some(self.fit(value, table, *column)?);
            }
            if !self.eat(")") {
                return Err(Mistake::new(
                    place.to_string(),
                    format!("a row that has not {} values", columns.len()),
                    "write one value for each named column",
                ));
            }
            let null = || constant(Value::Null, Sort::Null, place);
            rows.push(
                row.into_iter()
                    .map(|value| value.unwrap_or_else(null))
                    .collect(),
            );
            if !self.eat(",") {
                break;
            }
        }
        if self.word("ON") {
            return self.refuse(
                "ON DUPLICATE KEY, which is not evaluated here",
                "write an UPDATE for the rows that are there",
            );
        }
        Ok(rows)
    }

    /// The value as the column takes it.
    fn fit(&self, value: Expression, table: &Table, column: usize) -> Result<Expression, Mistake> {
        let declared = &table.columns[column];
        let wanted = sort_of(declared.kind);
        let value = self.converted(value, wanted, table);
        let fits = value.sort == wanted
            || value.sort == Sort::Null
            || (wanted == Sort::Json && value.sort == Sort::Text);
        match fits {
            true => Ok(value),
            false => Err(mixed(
                value.place,
                format!(
                    "`{}` is {} and is given {}",
                    declared.name,
                    wanted.said(),
                    value.sort.said()
                ),
                wanted,
            )),
        }
    }

    pub(super) fn current(&self) -> &'a Table {
        let id = self.table.as_ref().map_or(TableId(0), |(id, _)| *id);
        self.catalog.table(id)
    }

    /// A column of the statement's table, with the table's name before it or without.
    pub(super) fn column_name(&mut self) -> Result<usize, Mistake> {
        let place = self.place();
        let mut names = vec![self.any_name("a column")?];
        while self.eat(".") {
            names.push(self.any_name("a column")?);
        }
        let column = names.pop().unwrap_or_default();
        let table = self.current();
        let named = names.join(".");
        let own = self.table.as_ref().map_or("", |(_, name)| name.as_str());
        let last = own.rsplit('.').next().unwrap_or(own);
        if !named.is_empty() && named != own && named != last {
            return Err(Mistake::new(
                place.to_string(),
                format!("`{named}` is not the table of this statement"),
                "write columns of one table only",
            ));
        }
        find_column(table, &column.to_lowercase())
            .map_err(|(problem, remedy)| Mistake::new(place.to_string(), problem, remedy))
    }
}

pub(super) fn constant(value: Value, sort: Sort, place: Place) -> Expression {
    Expression {
        what: super::expression::What::Constant(value),
        sort,
        place,
    }
}

pub(super) fn sort_of(kind: ColumnType) -> Sort {
    match kind {
        ColumnType::Text => Sort::Text,
        ColumnType::Json => Sort::Json,
        ColumnType::Integer | ColumnType::Decimal { .. } => Sort::Number,
        ColumnType::Boolean => Sort::Boolean,
        ColumnType::Timestamp => Sort::Timestamp,
        ColumnType::Date => Sort::Date,
    }
}

pub(super) fn mixed(place: Place, problem: String, wanted: Sort) -> Mistake {
    let remedy = match wanted {
        Sort::Number => "write the number without quotes: conversions are not evaluated here",
        Sort::Text => "write the text in quotes: conversions are not evaluated here",
        Sort::Timestamp => "write the time as '2026-11-22 08:00:00'",
        Sort::Date => "write the day as '2026-11-22'",
        Sort::Boolean => "write TRUE or FALSE",
        _ => "write a value of the same sort",
    };
    Mistake::new(place.to_string(), problem, remedy)
}
