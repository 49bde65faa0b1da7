//! CSV and Parquet: one column of a row in each line, put together to changes of rows.

use std::collections::{BTreeMap, HashMap};

use centinel_catalog::{Catalog, Table};
use centinel_model::TableId;

use super::super::change::{
    Cells, Changes, MOST_MISTAKES, Mistake, Planned, RowChange, find_column, find_table,
};
use super::super::value::Value;
use super::json_lines::finish;

/// The columns that such a file has, in any order.
pub const COLUMNS: [&str; 6] = ["table", "operation", "key", "column", "old", "new"];

/// One line; none is null.
#[derive(Debug, Default)]
pub struct Cell {
    /// Where it stands.
    pub place: String,
    /// The values of [`COLUMNS`], in that order.
    pub values: [Option<String>; 6],
}

/// What is known of one row so far.
struct Row {
    change: RowChange,
    key: BTreeMap<usize, Value>,
    unfit: Vec<(usize, String)>,
}

/// Lines put together.
#[derive(Default)]
pub struct Gathered {
    rows: Vec<Row>,
    by_key: HashMap<(TableId, String), usize>,
    mistakes: Vec<Mistake>,
}

impl Gathered {
    /// Whether no more lines are wanted.
    pub fn is_full(&self) -> bool {
        self.mistakes.len() >= MOST_MISTAKES
    }

    /// Tells a mistake of the file's form.
    pub fn refuse(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Takes in one line.
    pub fn push(&mut self, catalog: &Catalog, cell: Cell) {
        let place = cell.place;
        let [table, operation, key, column, old, new] = cell.values;
        let table = table.unwrap_or_default();
        let id = match find_table(catalog, &table) {
            Ok(id) => id,
            Err((problem, remedy)) => {
                return self.refuse(Mistake::new(place, problem, remedy));
            }
        };
        let operation = operation.unwrap_or_default();
        let Some(planned) = Planned::parse(&operation) else {
            return self.refuse(Mistake::new(
                place,
                format!("`{operation}` is no operation"),
                "write insert, update or delete",
            ));
        };
        let declared = catalog.table(id);
        let Some(key) = key else {
            return self.refuse(Mistake::new(
                place,
                "the key is null",
                "write the value of the table's primary key",
            ));
        };
        let Some(row) = self.row(declared, id, planned, &key, &place) else {
            return;
        };
        let Some(name) = column.filter(|name| !name.is_empty()) else {
            if planned != Planned::Delete {
                self.refuse(Mistake::new(
                    place,
                    "no column is named",
                    "name the column that changes; only a delete may leave it out",
                ));
            }
            return;
        };
        let column = match find_column(declared, &name) {
            Ok(column) => column,
            Err((problem, remedy)) => {
                return self.refuse(Mistake::new(place, problem, remedy));
            }
        };
        let said = [
            (planned != Planned::Insert || old.is_some()).then_some(old),
            (planned != Planned::Delete || new.is_some()).then_some(new),
        ];
        let known = &self.rows[row].change;
        if known.old.contains_key(&column) || known.new.contains_key(&column) {
            return self.refuse(Mistake::new(
                place,
                format!("{name} of this row is said twice"),
                "keep one of the lines",
            ));
        }
        let mut cells = Cells {
            table: declared,
            place,
            mistakes: &mut self.mistakes,
        };
        for (is_new, text) in said.into_iter().enumerate() {
            let Some(text) = text else { continue };
            let row = &mut self.rows[row];
            match cells.read(column, text.as_deref()) {
                Some(Ok(value)) if is_new == 1 => {
                    row.change.new.insert(column, value);
                }
                Some(Ok(value)) => {
                    row.change.old.insert(column, value);
                }
                Some(Err(reason)) => row.unfit.push((column, reason)),
                None => {}
            }
        }
    }

    /// The row that a line belongs to. One with the same key and another operation is a change of its own.
    fn row(
        &mut self,
        table: &Table,
        id: TableId,
        planned: Planned,
        key: &str,
        place: &str,
    ) -> Option<usize> {
        let name = (id, format!("{} {key}", planned.as_str()));
        if let Some(known) = self.by_key.get(&name) {
            return Some(*known);
        }
        let texts = self.key_texts(table, key, place)?;
        let mut values = BTreeMap::new();
        let mut unfit = Vec::new();
        let mut cells = Cells {
            table,
            place: place.to_owned(),
            mistakes: &mut self.mistakes,
        };
        for (column, text) in texts {
            match cells.read(column, text.as_deref())? {
                Ok(value) => {
                    values.insert(column, value);
                }
                Err(reason) => unfit.push((column, reason)),
            }
        }
        self.by_key.insert(name, self.rows.len());
        self.rows.push(Row {
            change: RowChange {
                table: id,
                planned,
                key: Vec::new(),
                old: BTreeMap::new(),
                new: BTreeMap::new(),
                place: place.to_owned(),
            },
            key: values,
            unfit,
        });
        Some(self.rows.len() - 1)
    }

    /// The key's values: as they are for a key of one column, else a JSON object.
    fn key_texts(
        &mut self,
        table: &Table,
        key: &str,
        place: &str,
    ) -> Option<Vec<(usize, Option<String>)>> {
        if let [only] = table.primary_key.as_slice() {
            return Some(vec![(*only, Some(key.to_owned()))]);
        }
        let object: Result<BTreeMap<String, serde_json::Value>, _> = serde_json::from_str(key);
        let Ok(object) = object else {
            self.refuse(Mistake::new(
                place,
                format!("the key of {} has several columns", table.name),
                r#"write it as a JSON object, such as {"shard":"pay_1.payment","payment_no":7}"#,
            ));
            return None;
        };
        let mut texts = Vec::new();
        for (name, value) in object {
            let column = match find_column(table, &name) {
                Ok(column) => column,
                Err((problem, remedy)) => {
                    self.refuse(Mistake::new(place, problem, remedy));
                    return None;
                }
            };
            texts.push((
                column,
                match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text),
                    other => Some(other.to_string()),
                },
            ));
        }
        Some(texts)
    }

    /// All changes, or all mistakes.
    pub fn finish(mut self, catalog: &Catalog) -> Result<Changes, Vec<Mistake>> {
        let mut changes = Changes::default();
        if self.mistakes.is_empty() {
            for row in self.rows {
                let table = catalog.table(row.change.table);
                let mut change = row.change;
                if change.planned == Planned::Insert {
                    for (column, value) in &row.key {
                        change.new.entry(*column).or_insert_with(|| value.clone());
                    }
                }
                finish(
                    table,
                    change,
                    &row.key,
                    &row.unfit,
                    &mut changes,
                    &mut self.mistakes,
                );
            }
        }
        match self.mistakes.is_empty() {
            true => Ok(changes),
            false => Err(self.mistakes),
        }
    }
}
