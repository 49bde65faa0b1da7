//! A plan in simple SQL gives the same rows as a real MariaDB that executes it on the same data.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use centinel_engine::audit::AuditOptions;
use centinel_engine::repair::{Changes, Planned, Script, ScriptError, Value, evaluate};
use centinel_tests::{schemas, seeds};
use data_fixtures::write::SqlWriter;
use data_fixtures::write::sql::schema;
use test_servers::MariaDb;

use crate::platform::*;
use crate::reality::Draw;

/// By table and key, the texts of a row's columns; times in microseconds since 1970.
type Rows = BTreeMap<(String, String), Vec<Option<String>>>;

fn database(table: &str) -> &'static str {
    match table {
        "accounting_entry" => "accounting_db",
        "billing" => "billing_db",
        "cash_out" => "cash_out_db",
        "payment" => "payment_db",
        "refund" => "refund_db",
        _ => "settlement_db",
    }
}

/// A query for all rows of all tables, each with its table's name first.
fn query(platform: &Platform) -> String {
    let of_table =
        |table: &&str| {
            let columns = platform.columns(table).into_iter().map(|column| {
                match platform.kind(table, &column) {
                    DataType::Timestamp(..) => {
                        format!("CAST(UNIX_TIMESTAMP({column}) * 1000000 AS SIGNED)")
                    }
                    _ => column,
                }
            });
            let columns: Vec<String> = columns.collect();
            format!(
                "SELECT '{table}', {} FROM {}.{table};",
                columns.join(", "),
                database(table)
            )
        };
    TABLES.iter().map(of_table).collect()
}

fn rows(answer: Vec<Vec<Option<String>>>) -> Rows {
    let mut rows = Rows::new();
    for mut row in answer {
        let table = row.remove(0).unwrap();
        let key = row[0].clone().unwrap();
        assert!(rows.insert((table, key), row).is_none());
    }
    rows
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Timestamp(micros) => Some(micros.to_string()),
        other => Some(other.to_string()),
    }
}

/// The rows as the changes leave them; each change must fit the rows that are there.
fn applied(before: &Rows, changes: &Changes) -> Rows {
    let catalog = schemas();
    let mut rows = before.clone();
    for change in &changes.rows {
        let table = catalog.table(change.table);
        let name = (table.name.clone(), change.key[0].to_string());
        if change.planned != Planned::Insert {
            let row = &rows[&name];
            for (column, old) in &change.old {
                assert_eq!(row[*column], shown(old), "{name:?}");
            }
        }
        match change.planned {
            Planned::Delete => {
                rows.remove(&name).unwrap();
            }
            Planned::Insert => {
                let row = change.new.values().map(shown).collect();
                assert!(rows.insert(name, row).is_none());
            }
            Planned::Update => {
                let row = rows.get_mut(&name).unwrap();
                for (column, new) in &change.new {
                    row[*column] = shown(new);
                }
            }
        }
    }
    rows
}

/// Statements of the accepted grammar, of which a few cannot be evaluated.
struct Writer<'a> {
    platform: &'a Platform,
    draw: Draw,
    number: usize,
}

impl Writer<'_> {
    fn table(&mut self) -> &'static str {
        self.draw.of::<&str>(&TABLES)
    }

    /// A value that some row of the table has there, or NULL.
    fn some_value(&mut self, table: &str, column: &str) -> String {
        let rows = &self.platform.rows[table];
        let row = self.draw.of(rows);
        self.literal(table, column, &row[column])
    }

    fn literal(&self, table: &str, column: &str, value: &Option<String>) -> String {
        match (value, self.platform.kind(table, column)) {
            (None, _) => "NULL".into(),
            (Some(value), DataType::Utf8) => format!("'{}'", value.replace('\'', "''")),
            (Some(value), DataType::Timestamp(..)) => {
                format!("'{}'", value.replace('T', " ").trim_end_matches('Z'))
            }
            (Some(value), _) => value.clone(),
        }
    }

    fn column(&mut self, table: &str, wanted: impl Fn(&DataType) -> bool) -> Option<String> {
        let columns: Vec<String> = self
            .platform
            .columns(table)
            .into_iter()
            .filter(|column| wanted(&self.platform.kind(table, column)))
            .collect();
        (!columns.is_empty()).then(|| self.draw.of(&columns).clone())
    }

    fn condition(&mut self, table: &str, depth: usize) -> String {
        let choice = self.draw.below(if depth == 0 { 8 } else { 11 });
        let any = self.column(table, |_| true).unwrap();
        let number = self.column(table, |kind| {
            !matches!(kind, DataType::Utf8 | DataType::Timestamp(..))
        });
        let time = self.column(table, |kind| matches!(kind, DataType::Timestamp(..)));
        match (choice, number, time) {
            (0, ..) => {
                let how = *self.draw.of(&["IS NULL", "IS NOT NULL"]);
                format!("{any} {how}")
            }
            (1, Some(number), _) => {
                let how = *self.draw.of(&["<", "<=", ">", ">=", "=", "<>", "!="]);
                let factor = *self.draw.of(&["", " * 2", " + 1.5", " - 3", " / 2"]);
                format!("{number}{factor} {how} {}", self.some_value(table, &number))
            }
            (2, _, Some(time)) => {
                let (low, high) = (self.some_value(table, &time), self.some_value(table, &time));
                let not = *self.draw.of(&["", "NOT "]);
                format!("{time} {not}BETWEEN {low} AND {high}")
            }
            (3, _, Some(time)) => {
                let how = *self.draw.of(&["<", ">="]);
                format!("{time} {how} {}", self.some_value(table, &time))
            }
            (4, ..) => {
                let list: Vec<String> = (0..1 + self.draw.below(6))
                    .map(|_| self.some_value(table, &any))
                    .collect();
                let not = *self.draw.of(&["", "NOT "]);
                format!("{any} {not}IN ({})", list.join(", "))
            }
            (5, ..) => format!("{any} <=> {}", self.some_value(table, &any)),
            (8, ..) => format!("NOT ({})", self.condition(table, depth - 1)),
            (9, ..) => format!(
                "({} AND {})",
                self.condition(table, depth - 1),
                self.condition(table, depth - 1)
            ),
            (10, ..) => format!(
                "({} OR {})",
                self.condition(table, depth - 1),
                self.condition(table, depth - 1)
            ),
            _ => {
                let how = *self.draw.of(&["=", "<>"]);
                format!("{any} {how} {}", self.some_value(table, &any))
            }
        }
    }

    fn value(&mut self, table: &str, column: &str) -> String {
        let literal = loop {
            let value = self.some_value(table, column);
            // A null where none may be is refused by the server.
            if value != "NULL" {
                break value;
            }
            if self.draw.below(4) == 0 {
                break match self.platform.kind(table, column) {
                    DataType::Utf8 => "'X'".into(),
                    DataType::Timestamp(..) => "'2026-11-22 08:00:00.25'".into(),
                    _ => "1".into(),
                };
            }
        };
        match (self.platform.kind(table, column), self.draw.below(8)) {
            (DataType::Int64, 0) => format!("{column} * 100"),
            (DataType::Int64, 1) => format!("ROUND({column} * 0.15)"),
            (DataType::Int64, 2) => format!("-({column} + 7) * 2 - 1"),
            (DataType::Int64, 3) => format!("{column} * 100 / 100"),
            (DataType::Decimal128(_, scale), 0) => format!("ROUND({column} * 0.006, {scale})"),
            (DataType::Decimal128(_, scale), 1) => {
                format!("ROUND(ABS({column} - 12.345), {scale})")
            }
            (DataType::Decimal128(..), 2) => format!("{column} + 0.01"),
            (DataType::Decimal128(_, scale), 3) => format!("ROUND({column} / 4, {scale})"),
            (DataType::Utf8, 0) => format!("CONCAT({column}, '-x')"),
            (DataType::Utf8, 1) => format!("COALESCE(NULL, {column}, {literal})"),
            (_, 4) => format!("IFNULL({column}, {literal})"),
            (_, 5) => format!("IF({}, {column}, {literal})", self.condition(table, 1)),
            (_, 6) => format!(
                "CASE WHEN {} THEN {literal} WHEN {} THEN {column} ELSE {literal} END",
                self.condition(table, 1),
                self.condition(table, 0)
            ),
            _ => literal,
        }
    }

    fn statement(&mut self) -> String {
        let table = self.table();
        let name = match self.draw.below(3) {
            0 => format!("`{}`.{table}", database(table)),
            _ => format!("{}.{table}", database(table)),
        };
        match self.draw.below(8) {
            0 | 1 => {
                let keyed = self.draw.below(2) == 0;
                let condition = match keyed {
                    true => {
                        let key = self.platform.key(table);
                        format!("{key} = {}", self.some_value(table, &key))
                    }
                    false => self.condition(table, 2),
                };
                format!("DELETE FROM {name} WHERE {condition}")
            }
            2 => {
                let columns = self.platform.columns(table);
                let count = 1 + self.draw.below(2);
                let rows: Vec<String> = (0..count)
                    .map(|_| {
                        self.number += 1;
                        let row = self.draw.of(&self.platform.rows[table]).clone();
                        let values: Vec<String> = columns
                            .iter()
                            .enumerate()
                            .map(|(index, column)| match index {
                                0 => format!("'NEW{}'", self.number),
                                _ => self.literal(table, column, &row[column]),
                            })
                            .collect();
                        format!("({})", values.join(", "))
                    })
                    .collect();
                format!(
                    "INSERT INTO {name} ({}) VALUES {}",
                    columns.join(", "),
                    rows.join(", ")
                )
            }
            _ => {
                let columns = self.platform.columns(table);
                let mut sets: BTreeMap<String, String> = BTreeMap::new();
                for _ in 0..1 + self.draw.below(3) {
                    let column = self.draw.of(&columns[1..]).clone();
                    let value = self.value(table, &column);
                    sets.insert(column, value);
                }
                let sets: Vec<String> = sets
                    .into_iter()
                    .map(|(column, value)| format!("{column} = {value}"))
                    .collect();
                format!(
                    "UPDATE {name} SET {} WHERE {}",
                    sets.join(", "),
                    self.condition(table, 2)
                )
            }
        }
    }
}

#[test]
fn statements_give_the_rows_that_a_mariadb_makes() {
    let catalog = schemas();
    let server = MariaDb::start(&[]);
    let platform = Platform::new(81, 120, 0);
    let mut sql = schema().into_bytes();
    let mut writer = SqlWriter::default();
    for record in &platform.history.records {
        writer.write(&mut sql, record);
    }
    server.execute(&String::from_utf8(sql).unwrap());
    let all = query(&platform);
    let before = rows(server.query(&all));
    let known: usize = platform.rows.values().map(Vec::len).sum();
    assert_eq!(before.len(), known);
    let snapshot = open(platform.folder.path());
    let (mut evaluated, mut refused, mut changed) = (0, BTreeMap::<String, usize>::new(), 0);
    for seed in seeds(0, 120) {
        let mut writer = Writer {
            platform: &platform,
            draw: Draw(seed * 7_919 + 13),
            number: 0,
        };
        let statements: Vec<String> = (0..1 + writer.draw.below(5))
            .map(|_| writer.statement())
            .collect();
        let text = statements.join(";\n") + ";\n";
        let read = Script::parse(&catalog, &text).map_err(ScriptError::Refused);
        let changes = read
            .and_then(|script| evaluate(&catalog, &snapshot, &script, &AuditOptions::default()));
        let changes = match changes {
            Ok(changes) => changes,
            Err(ScriptError::Refused(mistakes)) => {
                let why = mistakes[0].problem.clone();
                let why = why
                    .rsplit_once(", ")
                    .map_or(why.as_str(), |(_, why)| why)
                    .to_owned();
                if why.contains("change no row") {
                    let after =
                        rows(server.query(&format!("START TRANSACTION;\n{text}{all}ROLLBACK;")));
                    assert_eq!(before, after, "seed {seed}\n{text}");
                }
                *refused.entry(why).or_default() += 1;
                continue;
            }
            Err(ScriptError::Unreadable(problem)) => panic!("{problem}"),
        };
        let after = rows(server.query(&format!("START TRANSACTION;\n{text}{all}ROLLBACK;")));
        let mine = applied(&before, &changes);
        for (name, row) in &after {
            assert_eq!(mine.get(name), Some(row), "seed {seed}, {name:?}\n{text}");
        }
        assert_eq!(mine.len(), after.len(), "seed {seed}\n{text}");
        evaluated += 1;
        changed += changes.rows.len();
    }
    let all: usize = refused.values().sum();
    assert!(
        evaluated > all,
        "{evaluated} evaluated, refused: {refused:?}"
    );
    assert!(changed > 1_000, "{changed}");
    assert_eq!(
        rows(server.query(&query(&platform))),
        before,
        "nothing was left behind"
    );
}
