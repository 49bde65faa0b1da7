//! One pass over a table: which rows the statements touch, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use centinel_catalog::{ColumnType, Table};
use centinel_model::TableId;

use super::super::change::{MOST_CHANGES, Mistake, Planned, RowChange, shown_key};
use super::super::reader::Reader;
use super::super::value::Value;
use super::ScriptError;
use super::expression::{
    Columns, Comparison, Condition, Doubt, Expression, What, fold_into, folded,
};
use super::parse::{Change, Statement};
use super::values::assigned;

type Row = Vec<Value>;

/// Changes of one table by its statements, in order.
pub fn scan(
    reader: &Reader<'_>,
    id: TableId,
    statements: Vec<&Statement>,
) -> Result<Vec<RowChange>, ScriptError> {
    let table = reader.catalog.table(id);
    let script = TableScript::new(table, statements)
        .map_err(|mistake| ScriptError::Refused(vec![mistake]))?;
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let probe: Vec<usize> = script.probe.iter().copied().collect();
    let found = reader
        .pick(id, &all, &probe, &|rows| Ok(script.wanted(rows, &probe)))
        .map_err(ScriptError::Unreadable)?;
    let mut changes = Vec::new();
    let mut met: BTreeSet<String> = BTreeSet::new();
    let mut refused = Vec::new();
    for rows in &found {
        for row in 0..rows.num_rows() {
            let values: Row = all
                .iter()
                .map(|column| Value::of(rows.column(*column).as_ref(), row))
                .collect();
            let name = script.insert_of(&values);
            if let Some(name) = &name {
                met.insert(name.clone());
            }
            match script.live(id, Some(values), name.as_deref()) {
                Ok(change) => changes.extend(change),
                Err(mistake) => refused.push(mistake),
            }
            if refused.len() >= 10 || changes.len() > MOST_CHANGES {
                break;
            }
        }
    }
    for name in script.inserts.keys().filter(|name| !met.contains(*name)) {
        match script.live(id, None, Some(name)) {
            Ok(change) => changes.extend(change),
            Err(mistake) => refused.push(mistake),
        }
    }
    match refused.is_empty() {
        true => Ok(changes),
        false => Err(ScriptError::Refused(refused)),
    }
}

/// The statements of one table, ready for many rows.
struct TableScript<'a> {
    table: &'a Table,
    statements: Vec<&'a Statement>,
    /// By the folded key: statement and row of each insert.
    inserts: BTreeMap<String, Vec<(usize, Row)>>,
    /// By column and folded text, or number: the statements that want rows with it.
    pinned: BTreeMap<usize, HashMap<String, Vec<usize>>>,
    /// Statements that may want any row.
    open: Vec<usize>,
    /// Whether a statement sets a column by which others tell rows.
    sets_pinned: bool,
    /// Columns by which rows are told.
    probe: BTreeSet<usize>,
}

impl<'a> TableScript<'a> {
    fn new(table: &'a Table, statements: Vec<&'a Statement>) -> Result<TableScript<'a>, Mistake> {
        let mut script = TableScript {
            table,
            statements,
            inserts: BTreeMap::new(),
            pinned: BTreeMap::new(),
            open: Vec::new(),
            sets_pinned: false,
            probe: table
                .primary_key
                .iter()
                .copied()
                .chain(table.shard)
                .collect(),
        };
        for index in 0..script.statements.len() {
            let statement = script.statements[index];
            match &statement.what {
                Change::Insert(rows) => script.take_in(index, statement, rows)?,
                Change::Update(_, condition) | Change::Delete(condition) => {
                    let mut columns = Vec::new();
                    condition.columns(&mut columns);
                    script.probe.extend(columns);
                    match pin(table, condition) {
                        None => script.open.push(index),
                        Some((column, values)) => {
                            let by_value = script.pinned.entry(column).or_default();
                            for value in values {
                                by_value.entry(value).or_default().push(index);
                            }
                        }
                    }
                }
            }
        }
        script.sets_pinned = script.statements.iter().any(|statement| {
            let Change::Update(sets, _) = &statement.what else {
                return false;
            };
            sets.iter()
                .any(|(column, _)| script.pinned.contains_key(column))
        });
        Ok(script)
    }

    fn take_in(
        &mut self,
        index: usize,
        statement: &Statement,
        rows: &[Vec<Expression>],
    ) -> Result<(), Mistake> {
        let none: Columns<'_> = &|_| Value::Null;
        for row in rows {
            let mut values = Row::with_capacity(row.len());
            for (column, value) in row.iter().enumerate() {
                let declared = &self.table.columns[column];
                let known = value.value(none).map_err(|doubt| told(doubt, ""))?;
                let known = assigned(declared.kind, known).map_err(|reason| {
                    Mistake::new(
                        value.place.to_string(),
                        format!("`{}`: {reason}", declared.name),
                        "write a value that the column holds exactly",
                    )
                })?;
                values.push(known);
            }
            let Some(name) = self.name_of(&values) else {
                return Err(Mistake::new(
                    statement.place.to_string(),
                    "a key that is null, or has letters beyond printable ASCII: by its collation another row may have it",
                    "plan this row as JSON Lines, CSV or Parquet",
                ));
            };
            self.inserts.entry(name).or_default().push((index, values));
        }
        Ok(())
    }

    /// The folded key of a row; none where a collation may take it for another.
    fn name_of(&self, row: &Row) -> Option<String> {
        let mut name = String::new();
        for column in &self.table.primary_key {
            match &row[*column] {
                Value::Null => return None,
                Value::Text(text) => name.push_str(&folded(text)?),
                other => name.push_str(&other.to_string()),
            }
            name.push('\u{1f}');
        }
        Some(name)
    }

    /// The insert with which a row of the snapshot shares its key, or may share it.
    fn insert_of(&self, row: &Row) -> Option<String> {
        if self.inserts.is_empty() {
            return None;
        }
        match self.name_of(row) {
            Some(name) => self.inserts.contains_key(&name).then_some(name),
            // By its collation it may have the key of any.
            None => self.inserts.keys().next().cloned(),
        }
    }

    /// Which of some rows any statement may touch.
    fn wanted(&self, rows: &RecordBatch, probe: &[usize]) -> BooleanBuffer {
        let place = |column: usize| probe.iter().position(|known| *known == column);
        let candidates = self.candidates(rows, &place);
        BooleanBuffer::collect_bool(rows.num_rows(), |row| {
            let value = |column: usize| match place(column) {
                Some(place) => Value::of(rows.column(place).as_ref(), row),
                None => Value::Null,
            };
            candidates.value(row) && self.is_wanted(&value)
        })
    }

    /// The rows that need a closer look. Where every statement names its rows by texts, those are told from millions of
    /// others without making values of them.
    fn candidates(
        &self,
        rows: &RecordBatch,
        place: &dyn Fn(usize) -> Option<usize>,
    ) -> BooleanBuffer {
        let count = rows.num_rows();
        if !self.inserts.is_empty() || !self.open.is_empty() {
            return BooleanBuffer::new_set(count);
        }
        let mut all = BooleanBuffer::new_unset(count);
        let mut name = String::new();
        for (column, by_value) in &self.pinned {
            let values = place(*column).map(|place| rows.column(place));
            let texts = values.and_then(|values| values.as_string_opt::<i32>());
            let Some(texts) = texts else {
                return BooleanBuffer::new_set(count);
            };
            let found = BooleanBuffer::collect_bool(count, |row| {
                let is_known = |name: &String| by_value.contains_key(name);
                texts.is_valid(row) && (!fold_into(texts.value(row), &mut name) || is_known(&name))
            });
            all = &all | &found;
        }
        all
    }

    fn is_wanted(&self, value: Columns<'_>) -> bool {
        if !self.inserts.is_empty() {
            let columns = self.table.columns.len();
            let mut key = vec![Value::Null; columns];
            for column in &self.table.primary_key {
                key[*column] = value(*column);
            }
            if self.insert_of(&key).is_some() {
                return true;
            }
        }
        let matches = |index: &usize| {
            let statement = self.statements[*index];
            let (Change::Update(_, condition) | Change::Delete(condition)) = &statement.what else {
                return false;
            };
            // A doubt is told when the row is looked at again.
            self.is_of(statement, value)
                && !matches!(condition.holds(value), Ok(Some(false) | None))
        };
        if self.open.iter().any(matches) {
            return true;
        }
        self.pinned.iter().any(|(column, by_value)| {
            let name = match value(*column) {
                Value::Null => return false,
                Value::Text(text) => folded(&text),
                Value::Integer(number) => Some(number.to_string()),
                _ => None,
            };
            match name {
                Some(name) => by_value.get(&name).into_iter().flatten().any(matches),
                None => by_value.values().flatten().any(matches),
            }
        })
    }

    /// Whether a row is of the physical table that a statement names.
    fn is_of(&self, statement: &Statement, value: Columns<'_>) -> bool {
        match (self.table.shard, &statement.shard) {
            (Some(column), Some(shard)) => value(column).text() == Some(shard),
            _ => true,
        }
    }

    /// The statements that may touch a row, in order: all of them where one sets a column by which others tell rows.
    fn concerning(&self, row: Option<&Row>, inserts: Option<&Vec<(usize, Row)>>) -> Vec<usize> {
        let Some(row) = row.filter(|_| !self.sets_pinned && inserts.is_none()) else {
            return (0..self.statements.len()).collect();
        };
        let mut found: BTreeSet<usize> = self.open.iter().copied().collect();
        for (column, by_value) in &self.pinned {
            let name = match &row[*column] {
                Value::Text(text) => folded(text),
                Value::Integer(number) => Some(number.to_string()),
                _ => None,
            };
            match name {
                Some(name) => found.extend(by_value.get(&name).into_iter().flatten()),
                None => found.extend(by_value.values().flatten()),
            }
        }
        found.into_iter().collect()
    }

    /// What becomes of a row through all statements.
    fn live(
        &self,
        id: TableId,
        before: Option<Row>,
        name: Option<&str>,
    ) -> Result<Option<RowChange>, Mistake> {
        let mut now = before.clone();
        let mut place = None;
        let inserts = name.and_then(|name| self.inserts.get(name));
        let about = |row: &Row| {
            let key: Vec<Value> = self
                .table
                .primary_key
                .iter()
                .map(|column| row[*column].clone())
                .collect();
            format!("{} {}", self.table.name, shown_key(self.table, &key))
        };
        for index in self.concerning(before.as_ref(), inserts) {
            let statement = self.statements[index];
            match &statement.what {
                Change::Insert(_) => {
                    let own = inserts.into_iter().flatten();
                    for (_, row) in own.filter(|(of, _)| *of == index) {
                        if let Some(known) = &now {
                            return Err(Mistake::new(
                                statement.place.to_string(),
                                format!(
                                    "{} is there already, or may be by its collation",
                                    about(known)
                                ),
                                "write an UPDATE, or another key",
                            ));
                        }
                        let key = |row: &Row| {
                            let columns = self.table.primary_key.iter();
                            columns
                                .map(|column| row[*column].clone())
                                .collect::<Vec<_>>()
                        };
                        if before
                            .as_ref()
                            .is_some_and(|before| key(before) != key(row))
                        {
                            return Err(Mistake::new(
                                statement.place.to_string(),
                                format!(
                                    "{} had a key that its collation may take for another",
                                    about(row)
                                ),
                                "write the key exactly as the row had it",
                            ));
                        }
                        now = Some(row.clone());
                        place = Some(statement.place);
                    }
                }
                Change::Update(sets, condition) => {
                    let Some(row) = &mut now else { continue };
                    if !self.holds(statement, condition, row, &about)? {
                        continue;
                    }
                    let old = row.clone();
                    for (column, value) in sets {
                        let declared = &self.table.columns[*column];
                        let known = value
                            .value(&|column| old[column].clone())
                            .map_err(|doubt| told(doubt, &about(&old)))?;
                        row[*column] = assigned(declared.kind, known).map_err(|reason| {
                            let reason = match declared.sensitive {
                                true => "the value does not fit exactly".to_owned(),
                                false => reason,
                            };
                            Mistake::new(
                                value.place.to_string(),
                                format!("{}: `{}`: {reason}", about(&old), declared.name),
                                "write a value that the column holds exactly",
                            )
                        })?;
                    }
                    place = Some(statement.place);
                }
                Change::Delete(condition) => {
                    let Some(row) = &now else { continue };
                    if self.holds(statement, condition, row, &about)? {
                        now = None;
                        place = Some(statement.place);
                    }
                }
            }
        }
        let place = place.map(|place| place.to_string()).unwrap_or_default();
        Ok(self.net(id, before, now, place))
    }

    fn holds(
        &self,
        statement: &Statement,
        condition: &Condition,
        row: &Row,
        about: &dyn Fn(&Row) -> String,
    ) -> Result<bool, Mistake> {
        let value = |column: usize| row[column].clone();
        if !self.is_of(statement, &value) {
            return Ok(false);
        }
        let held = condition
            .holds(&value)
            .map_err(|doubt| told(doubt, &about(row)))?;
        Ok(held == Some(true))
    }

    /// The difference between what was and what is; none where there is none.
    fn net(
        &self,
        id: TableId,
        before: Option<Row>,
        now: Option<Row>,
        place: String,
    ) -> Option<RowChange> {
        let row = before.as_ref().or(now.as_ref())?;
        let key = self
            .table
            .primary_key
            .iter()
            .map(|column| row[*column].clone())
            .collect();
        let whole = |row: Row| row.into_iter().enumerate().collect::<BTreeMap<_, _>>();
        let (planned, old, new) = match (before, now) {
            (None, None) => return None,
            (None, Some(now)) => (Planned::Insert, BTreeMap::new(), whole(now)),
            (Some(before), None) => (Planned::Delete, whole(before), BTreeMap::new()),
            (Some(before), Some(now)) => {
                let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
                for (column, (was, is)) in before.into_iter().zip(now).enumerate() {
                    if was != is {
                        old.insert(column, was);
                        new.insert(column, is);
                    }
                }
                if new.is_empty() {
                    return None;
                }
                (Planned::Update, old, new)
            }
        };
        Some(RowChange {
            table: id,
            planned,
            key,
            old,
            new,
            place,
        })
    }
}

fn told(doubt: Doubt, about: &str) -> Mistake {
    let problem = match about.is_empty() {
        true => doubt.problem,
        false => format!("for {about}, {}", doubt.problem),
    };
    Mistake::new(doubt.place.to_string(), problem, doubt.remedy)
}

/// A column and the values that a row must have there for the condition to hold, folded as in
/// [`TableScript::pinned`].
fn pin(table: &Table, condition: &Condition) -> Option<(usize, Vec<String>)> {
    let pins = |column: &usize| {
        let kind = table.columns[*column].kind;
        matches!(kind, ColumnType::Text | ColumnType::Integer).then_some(*column)
    };
    let value = |expression: &Expression| match &expression.what {
        What::Constant(Value::Text(text)) => folded(text),
        What::Constant(Value::Decimal(amount)) => {
            let whole = amount.normalised();
            (whole.scale == 0).then(|| whole.units.to_string())
        }
        _ => None,
    };
    match condition {
        Condition::And(all) => {
            let pinned = || all.iter().filter_map(|one| pin(table, one));
            let by_key = pinned().find(|(column, _)| table.primary_key.contains(column));
            by_key.or_else(|| pinned().next())
        }
        Condition::Compare(Comparison::Equal, left, right) => match (&left.what, &right.what) {
            (What::Column(column), _) => Some((pins(column)?, vec![value(right)?])),
            (_, What::Column(column)) => Some((pins(column)?, vec![value(left)?])),
            _ => None,
        },
        Condition::In(one, list) => match &one.what {
            What::Column(column) => {
                let values: Option<Vec<String>> = list.iter().map(value).collect();
                Some((pins(column)?, values?))
            }
            _ => None,
        },
        _ => None,
    }
}
