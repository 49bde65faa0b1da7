//! Tokens → statements over the tables of the schemas.

use std::collections::BTreeSet;

use centinel_catalog::{Catalog, ColumnType, Table};
use centinel_model::TableId;

use super::super::change::{Mistake, find_column, find_table};
use super::super::value::Value;
use super::expression::{Comparison, Condition, Expression, Sort};
use super::token::{Kind, Place, Token};

/// Conditions and expressions nested deeper are refused.
const MOST_NESTED: usize = 50;

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
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    /// Parentheses that are known to hold a value, so that each is tried once.
    values_at: BTreeSet<usize>,
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
            if let Kind::Word(word) = self.peek() {
                let word = word.to_uppercase();
                if word == "LIMIT" || word == "ORDER" {
                    return self.refuse(
                        format!("{word}: which rows come first is not certain"),
                        "name the rows by their keys",
                    );
                }
                return self.refuse_here("behind the table");
            }
            return self.refuse(
                format!("this {statement} has no WHERE and would change every row"),
                "write WHERE, and WHERE 1 = 1 if every row is meant",
            );
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

    pub(super) fn condition(&mut self) -> Result<Condition, Mistake> {
        let mut any = vec![self.conjunction()?];
        while self.word("OR") {
            any.push(self.conjunction()?);
        }
        Ok(match any.len() {
            1 => any.swap_remove(0),
            _ => Condition::Or(any),
        })
    }

    fn conjunction(&mut self) -> Result<Condition, Mistake> {
        let mut all = vec![self.negation()?];
        while self.word("AND") {
            all.push(self.negation()?);
        }
        Ok(match all.len() {
            1 => all.swap_remove(0),
            _ => Condition::And(all),
        })
    }

    fn negation(&mut self) -> Result<Condition, Mistake> {
        self.deeper(|parser| match parser.word("NOT") {
            true => Ok(Condition::Not(Box::new(parser.negation()?))),
            false => parser.predicate(),
        })
    }

    /// Counts how deep this is.
    pub(super) fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        if self.depth >= MOST_NESTED {
            return self.refuse(
                "an expression nested too deeply",
                "write it in several statements",
            );
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn predicate(&mut self) -> Result<Condition, Mistake> {
        // A parenthesis may hold a condition or a value: what is behind it tells.
        let begin = self.at;
        if self.peek() == &Kind::Sign("(") && !self.values_at.contains(&begin) {
            self.at += 1;
            let inner = self.condition();
            if let Ok(condition) = inner
                && self.eat(")")
                && !self.continues()
            {
                return Ok(condition);
            }
            self.at = begin;
            self.values_at.insert(begin);
        }
        let left = self.expression()?;
        let negated = self.word("NOT");
        if self.word("IN") {
            let list = self.list(&left)?;
            return Ok(not_if(negated, list));
        }
        if self.word("BETWEEN") {
            let low = self.expression()?;
            self.keyword("AND")?;
            let high = self.expression()?;
            let from = self.compared(Comparison::GreaterOrEqual, left.clone(), low)?;
            let to = self.compared(Comparison::LessOrEqual, left, high)?;
            return Ok(not_if(negated, Condition::And(vec![from, to])));
        }
        if negated {
            return self.refuse_here("behind NOT");
        }
        if self.word("IS") {
            let negated = self.word("NOT");
            self.keyword("NULL")?;
            return Ok(not_if(negated, Condition::IsNull(left)));
        }
        let signs = [
            ("=", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=>", Comparison::NullSafe),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, how) in signs {
            if self.eat(sign) {
                let right = self.expression()?;
                return self.compared(how, left, right);
            }
        }
        self.refuse_here("where a comparison should stand")
    }

    /// Whether an expression goes on here, so that a parenthesis before was a value.
    fn continues(&self) -> bool {
        match self.peek() {
            Kind::Sign(sign) => !matches!(*sign, ")" | "," | ";"),
            Kind::Word(word) => ["IN", "BETWEEN", "IS", "NOT"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known)),
            _ => false,
        }
    }

    fn list(&mut self, left: &Expression) -> Result<Condition, Mistake> {
        if !self.eat("(") {
            return self.refuse_here("behind IN");
        }
        let mut list = Vec::new();
        let mut first = left.clone();
        loop {
            let value = self.expression()?;
            let Condition::Compare(_, converted, value) =
                self.compared(Comparison::Equal, first, value)?
            else {
                return self.refuse_here("in a list");
            };
            first = converted;
            list.push(value);
            if self.eat(")") {
                return Ok(Condition::In(first, list));
            }
            if !self.eat(",") {
                return self.refuse_here("in a list");
            }
        }
    }

    /// A comparison of two values of one sort.
    fn compared(
        &self,
        how: Comparison,
        left: Expression,
        right: Expression,
    ) -> Result<Condition, Mistake> {
        let table = self.current();
        let (left_sort, right_sort) = (left.sort, right.sort);
        let left = self.converted(left, right_sort, table);
        let right = self.converted(right, left_sort, table);
        let sort = match (left.sort, right.sort) {
            (Sort::Null, other) | (other, Sort::Null) => other,
            (one, other) if one == other => one,
            (one, other) => {
                return Err(mixed(
                    right.place,
                    format!("{} is compared with {}", one.said(), other.said()),
                    one,
                ));
            }
        };
        let by_order = !matches!(
            how,
            Comparison::Equal | Comparison::NotEqual | Comparison::NullSafe
        );
        if sort == Sort::Json || (sort == Sort::Text && by_order) {
            return Err(Mistake::new(
                right.place.to_string(),
                "texts are compared by their order, which depends on the column's collation",
                "compare them with =, or name the rows by their keys",
            ));
        }
        Ok(Condition::Compare(how, left, right))
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

    pub(super) fn any_name(&mut self, what: &str) -> Result<String, Mistake> {
        let name = match self.peek() {
            Kind::Word(word) => word.clone(),
            Kind::Name(name) => name.clone(),
            _ => return self.refuse_here(&format!("where the name of {what} should stand")),
        };
        self.at += 1;
        Ok(name)
    }

    pub(super) fn peek(&self) -> &'a Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn peek_second(&self) -> &'a Kind {
        self.tokens
            .get(self.at + 1)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn next(&mut self) {
        self.at += 1;
    }

    pub(super) fn place(&self) -> Place {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map(|token| token.place).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(found) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn keyword(&mut self, word: &str) -> Result<(), Mistake> {
        match self.word(word) {
            true => Ok(()),
            false => self.refuse_here(&format!("where {word} should stand")),
        }
    }

    pub(super) fn refuse<T>(&self, problem: impl Into<String>, remedy: &str) -> Result<T, Mistake> {
        Err(Mistake::new(self.place().to_string(), problem, remedy))
    }

    /// Refuses what stands here, with a remedy for what is often tried.
    pub(super) fn refuse_here<T>(&self, where_it_is: &str) -> Result<T, Mistake> {
        let (what, remedy) = match self.peek() {
            Kind::Word(word) => {
                let upper = word.to_uppercase();
                let remedy = match upper.as_str() {
                    "LIKE" | "RLIKE" | "REGEXP" | "COLLATE" | "BINARY" => {
                        "write = and whole texts: patterns and collations are not evaluated here"
                    }
                    "DIV" | "MOD" | "XOR" => "it is not evaluated here: write the values",
                    "SELECT" | "EXISTS" => {
                        "queries are not evaluated here: name the rows by their keys"
                    }
                    "LIMIT" | "ORDER" => "name the rows by their keys",
                    "RETURNING" | "AS" | "IGNORE" | "LOW_PRIORITY" | "PARTITION" => {
                        "leave it out: it is not evaluated here"
                    }
                    _ => "write a simple statement on one table",
                };
                (format!("`{word}`"), remedy)
            }
            Kind::Name(name) => (format!("`{name}`"), "write a simple statement on one table"),
            Kind::Text(_) => ("a text".into(), "write one text: put it together yourself"),
            Kind::Number(number) => (format!("`{number}`"), "write a simple statement"),
            Kind::Sign(sign) => (format!("`{sign}`"), "write a simple statement on one table"),
            Kind::End => (
                "the end of the file".into(),
                "write the rest of the statement",
            ),
        };
        self.refuse(format!("{what} stands {where_it_is}"), remedy)
    }
}

fn not_if(negated: bool, condition: Condition) -> Condition {
    match negated {
        true => Condition::Not(Box::new(condition)),
        false => condition,
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
