//! `<id>.test.yaml`: given rows, expected violations.
//!
//! Columns that a row leaves out are null; where the schema forbids that, they are: the row's number in its
//! table (`row 1`) for text of a primary key, empty text otherwise, 0, false, `{}`, and for times and days
//! the first moment of 2026.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use centinel_catalog::{Catalog, Column, ColumnType, Diagnostic, EntityPath, Table, read_file};
use centinel_model::{Amount, EntityId, TableId, Timestamp};
use hashbrown::HashMap;
use serde::Deserialize;

use crate::evaluate::{Evaluator, RuleOutcome};
use crate::mistakes::{Mistakes, SourceFile, suggest};
use crate::rule::Rule;
use crate::session::Session;
use crate::slice::{Slice, SliceLayout, rule_column};
use crate::violations::{Violations, text};

/// 2026-01-01T00:00:00Z in microseconds: times that a row leaves out.
const DEFAULT_TIME: i64 = 1_767_225_600_000_000;
/// 2026-01-01 in days since 1970.
const DEFAULT_DAY: i32 = 20_454;
/// Microseconds of a day: by default a test is as of the day after [`DEFAULT_TIME`].
const DAY: i64 = 86_400_000_000;
/// The most bytes of a test file.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Memory and rows for a test over whole tables.
const TEST_MEMORY: usize = 256 << 20;
const TEST_ROWS: usize = 100_000;

/// One test of a rule.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// What `as_of()` is; the start of 2026-01-02 unless given. All rows are at rest.
    pub as_of: Timestamp,
    /// The rows of each table that has some, in storage types.
    pub given: Vec<(TableId, RecordBatch)>,
    /// What the rule returns: for each row some of its columns as text.
    pub expect: Vec<BTreeMap<String, Option<String>>>,
}

type Row = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    as_of: Option<String>,
    given: BTreeMap<String, Vec<Row>>,
    expect: Vec<Row>,
}

/// The tests in the file beside the rule's; an absent file holds none.
pub fn load_tests(rule: &Rule, catalog: &Catalog) -> Result<Vec<RuleTest>, Vec<Diagnostic>> {
    let path = Path::new(&rule.path).with_extension("test.yaml");
    let mut file = SourceFile {
        path: path.display().to_string(),
        text: String::new(),
    };
    let read = read_file(&path, MAX_FILE_BYTES as u64 + 1);
    match read.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other)) {
        Ok(text) if text.len() <= MAX_FILE_BYTES => file.text = text,
        Ok(_) => return Err(refuse(&file, "the file is larger than 1 MiB".into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refuse(&file, format!("the file cannot be read: {error}"))),
    }
    parse_tests(&file, rule, catalog)
}

fn refuse(file: &SourceFile, problem: String) -> Vec<Diagnostic> {
    let mut mistakes = Mistakes::new(file);
    mistakes.add(
        None,
        problem,
        "write `tests:`, each with name, given and expect",
    );
    mistakes.list
}

fn parse_tests(
    file: &SourceFile,
    rule: &Rule,
    catalog: &Catalog,
) -> Result<Vec<RuleTest>, Vec<Diagnostic>> {
    let parsed: File = serde_saphyr::from_str(&file.text).map_err(|error| {
        let mut mistakes = Mistakes::new(file);
        let place = error
            .location()
            .and_then(|at| mistakes.range((at.line(), at.column()), (at.line(), at.column() + 1)));
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default().to_owned();
        mistakes.add(
            place,
            said,
            "write `tests:`, each with name, given, expect and perhaps as_of",
        );
        mistakes.list
    })?;
    let mut mistakes = Mistakes::new(file);
    let mut tests = Vec::new();
    for case in parsed.tests {
        match read_case(&case, rule, catalog) {
            Ok(test) => tests.push(test),
            Err((problem, remedy)) => {
                let start = file.text.find(&case.name);
                let place = start.map(|start| start..start + case.name.len());
                mistakes.add(place, format!("in `{}`: {problem}", case.name), remedy);
            }
        }
    }
    if mistakes.is_empty() {
        Ok(tests)
    } else {
        Err(mistakes.list)
    }
}

fn read_case(case: &Case, rule: &Rule, catalog: &Catalog) -> Result<RuleTest, (String, String)> {
    let as_of = match &case.as_of {
        None => Timestamp(DEFAULT_TIME + DAY),
        Some(text) => Timestamp::parse(text)
            .map_err(|error| (error.to_string(), "write it in RFC 3339".to_owned()))?,
    };
    let mut given = Vec::new();
    for (name, rows) in &case.given {
        let Some(id) = catalog.table_id(name) else {
            let remedy = suggest(name, catalog.tables.iter().map(|table| table.name.as_str()));
            return Err((format!("there is no table or event `{name}`"), remedy));
        };
        given.push((id, batch_of(catalog.table(id), rows)?));
    }
    for row in &case.expect {
        if let Some(wrong) = row.keys().find(|name| rule.output_index(name).is_none()) {
            let columns = rule
                .output
                .fields()
                .iter()
                .map(|field| field.name().as_str());
            return Err((
                format!("the rule returns no column `{wrong}`"),
                suggest(wrong, columns),
            ));
        }
    }
    Ok(RuleTest {
        name: case.name.clone(),
        as_of,
        given,
        expect: case.expect.clone(),
    })
}

fn batch_of(table: &Table, rows: &[Row]) -> Result<RecordBatch, (String, String)> {
    for wrong in rows.iter().flat_map(Row::keys) {
        if table.column_index(wrong).is_none() {
            let remedy = suggest(
                wrong,
                table.columns.iter().map(|column| column.name.as_str()),
            );
            return Err((format!("{} has no column `{wrong}`", table.name), remedy));
        }
    }
    let columns: Result<Vec<ArrayRef>, _> = (0..table.columns.len())
        .map(|index| {
            let column = &table.columns[index];
            column_of(table, index, rows).map_err(|value| {
                let problem = format!("`{value}` does not fit {}.{}", table.name, column.name);
                (
                    problem,
                    "write it as the schema says, decimals in quotes".to_owned(),
                )
            })
        })
        .collect();
    RecordBatch::try_new(table.storage_schema(), columns?).map_err(|error| {
        (
            error.to_string(),
            "write the rows as the schema says".to_owned(),
        )
    })
}

/// One column of the given rows in storage type, or the value that does not fit.
fn column_of(table: &Table, index: usize, rows: &[Row]) -> Result<ArrayRef, String> {
    let column = &table.columns[index];
    let values: Vec<Option<&str>> = rows
        .iter()
        .map(|row| row.get(&column.name).and_then(|value| value.as_deref()))
        .collect();
    let missing = |row: usize| values[row].is_none() && !column.nullable;
    Ok(match column.kind {
        ColumnType::Text | ColumnType::Json => {
            let default = |row: usize| match (table.primary_key.contains(&index), column.kind) {
                (true, _) => format!("row {}", row + 1),
                (false, ColumnType::Json) => "{}".to_owned(),
                (false, _) => String::new(),
            };
            let texts = (0..rows.len()).map(|row| match missing(row) {
                true => Some(default(row)),
                false => values[row].map(str::to_owned),
            });
            Arc::new(texts.collect::<StringArray>())
        }
        ColumnType::Integer => Arc::new(Int64Array::from(each(column, &values, 0, |text| {
            text.parse().ok()
        })?)),
        ColumnType::Boolean => {
            Arc::new(BooleanArray::from(each(column, &values, false, |text| {
                text.parse().ok()
            })?))
        }
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(each(
            column,
            &values,
            DEFAULT_TIME,
            |text| Timestamp::parse(text).ok().map(|time| time.0),
        )?)),
        ColumnType::Date => Arc::new(Date32Array::from(each(
            column,
            &values,
            DEFAULT_DAY,
            |text| {
                let day: chrono::NaiveDate = text.parse().ok()?;
                i32::try_from(
                    day.signed_duration_since(chrono::NaiveDate::default())
                        .num_days(),
                )
                .ok()
            },
        )?)),
        ColumnType::Decimal { precision, scale } => {
            let read = |text: &str| {
                Amount::parse(text, precision, scale)
                    .ok()
                    .map(|amount| amount.units)
            };
            let units = Decimal128Array::from(each(column, &values, 0, read)?);
            Arc::new(units.with_data_type(column.storage_type()))
        }
    })
}

fn each<T: Copy>(
    column: &Column,
    values: &[Option<&str>],
    default: T,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<T>>, String> {
    values
        .iter()
        .map(|value| match value {
            Some(text) => read(text).map(Some).ok_or_else(|| (*text).to_owned()),
            None => Ok((!column.nullable).then_some(default)),
        })
        .collect()
}

/// Runs one test over slices, or over whole tables where the rule is not local. `Err` tells the differences.
pub fn run_test(rule: &Arc<Rule>, catalog: &Catalog, test: &RuleTest) -> Result<(), String> {
    let violations = if rule.locality.is_local() {
        let mut evaluator = Evaluator::new(catalog, vec![Arc::clone(rule)], rule.entity)
            .map_err(|error| error.to_string())?;
        let slice = slice_of_rows(catalog, evaluator.layout(), rule.entity, &test.given)?;
        match evaluator.evaluate(&slice, &|_| test.as_of, &|_| true).pop() {
            Some(RuleOutcome::Violations(violations)) => violations,
            Some(RuleOutcome::CouldNotJudge(reason)) => {
                return Err(format!("could not judge: {reason}"));
            }
            Some(RuleOutcome::Skipped) | None => return Err("the rule was not asked".into()),
        }
    } else {
        over_tables(rule, catalog, test)?
    };
    if let Some(unjudged) = violations.unjudged().first() {
        return Err(format!(
            "could not judge {}: {}",
            unjudged.entity_key, unjudged.reason
        ));
    }
    let actual: Vec<Row> = (0..violations.len())
        .map(|row| plain_row(rule, &violations, row))
        .collect();
    compare(&test.expect, &actual).map_or(Ok(()), Err)
}

fn plain_row(rule: &Rule, violations: &Violations, row: usize) -> Row {
    let names = rule.output.fields().iter().map(|field| field.name());
    names
        .map(|name| (name.clone(), violations.text_of(name, row)))
        .collect()
}

fn over_tables(rule: &Arc<Rule>, catalog: &Catalog, test: &RuleTest) -> Result<Violations, String> {
    let session = Session::new(TEST_MEMORY, 1).map_err(|error| error.to_string())?;
    for id in catalog.table_ids() {
        let table = catalog.table(id);
        let stored = match test.given.iter().find(|(given, _)| *given == id) {
            Some((_, batch)) => batch.clone(),
            None => RecordBatch::new_empty(table.storage_schema()),
        };
        let batch = rule_batch(table, &stored).map_err(|error| error.to_string())?;
        session
            .context()
            .register_batch(&table.name, batch)
            .map_err(|error| error.to_string())?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(rule.violations_over(&session, test.as_of, TEST_ROWS))
}

fn rule_batch(
    table: &Table,
    stored: &RecordBatch,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns: Result<Vec<ArrayRef>, _> = table
        .columns
        .iter()
        .zip(stored.columns())
        .map(|(column, stored)| rule_column(column, stored))
        .collect();
    RecordBatch::try_new(table.rule_schema(), columns?)
}

/// A slice of all entities of some rows in storage types, for tests and other small sets: links are searched
/// row by row.
pub fn slice_of_rows(
    catalog: &Catalog,
    layout: &SliceLayout,
    entity: EntityId,
    given: &[(TableId, RecordBatch)],
) -> Result<Slice, String> {
    let mut owners = Owners {
        catalog,
        entity,
        given,
    };
    let mut ids: HashMap<String, u32> = HashMap::new();
    let mut keys: Vec<String> = Vec::new();
    let mut tables = Vec::new();
    for wanted in &layout.tables {
        let Some((_, stored)) = given.iter().find(|(id, _)| *id == wanted.table) else {
            tables.push(None);
            continue;
        };
        let (mut kept, mut dense): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for row in 0..stored.num_rows() {
            if let Some(owner) = owners.of(wanted.table, row) {
                let next = keys.len() as u32;
                dense.push(*ids.entry(owner.clone()).or_insert_with(|| {
                    keys.push(owner);
                    next
                }));
                kept.push(row as u32);
            }
        }
        let table = catalog.table(wanted.table);
        let batch = arrow::compute::take_record_batch(stored, &UInt32Array::from(kept))
            .and_then(|stored| rule_batch(table, &stored))
            .and_then(|all| {
                let columns = wanted.columns.iter().enumerate().map(|(position, index)| {
                    match Some(position) == wanted.key {
                        true => Arc::new(UInt32Array::from(dense.clone())) as ArrayRef,
                        false => Arc::clone(all.column(*index)),
                    }
                });
                RecordBatch::try_new(Arc::clone(&wanted.schema), columns.collect())
            });
        tables.push(Some(batch.map_err(|error| error.to_string())?));
    }
    Ok(Slice {
        entity_count: keys.len() as u32,
        tables,
        keys: Arc::new(keys),
    })
}

/// Finds the entity of given rows.
struct Owners<'a> {
    catalog: &'a Catalog,
    entity: EntityId,
    given: &'a [(TableId, RecordBatch)],
}

impl Owners<'_> {
    /// The normalised key of the entity to which a row belongs. Links have no cycles.
    fn of(&mut self, table: TableId, row: usize) -> Option<String> {
        let stored = self.rows(table)?;
        let path = self.catalog.table(table).path_to(self.entity)?;
        let named: Option<Vec<String>> = path
            .columns()
            .iter()
            .map(|column| text(stored.column(*column), row))
            .collect();
        let named = named?;
        match path {
            EntityPath::Direct { .. } => {
                let entity = self.catalog.entity(self.entity);
                Some(entity.normalise(named.first()?).into_owned())
            }
            EntityPath::Through { target, .. } => {
                let (target, rows) = (*target, self.rows(*target)?);
                let key = &self.catalog.table(target).primary_key;
                let row = (0..rows.num_rows()).find(|row| {
                    key.iter().zip(&named).all(|(column, value)| {
                        text(rows.column(*column), *row).as_ref() == Some(value)
                    })
                })?;
                self.of(target, row)
            }
        }
    }

    fn rows(&self, table: TableId) -> Option<&RecordBatch> {
        self.given
            .iter()
            .find(|(id, _)| *id == table)
            .map(|(_, rows)| rows)
    }
}

/// What is missing and what was not expected, or nothing where both agree. An expected row names some of the
/// columns; each needs an actual row of its own. Decimals are compared by value.
pub fn compare(expect: &[Row], actual: &[Row]) -> Option<String> {
    let mut left: Vec<&Row> = actual.iter().collect();
    let mut missing: Vec<&Row> = Vec::new();
    for wanted in expect {
        match left.iter().position(|row| matches(wanted, row)) {
            Some(found) => {
                left.remove(found);
            }
            None => missing.push(wanted),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        missing
            .iter()
            .map(|row| format!("expected, not found: {}", shown(row))),
    );
    lines.extend(
        left.iter()
            .map(|row| format!("found, not expected: {}", shown(row))),
    );
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn matches(wanted: &Row, actual: &Row) -> bool {
    wanted
        .iter()
        .all(|(name, value)| match (value, actual.get(name)) {
            (None, Some(None)) => true,
            (Some(wanted), Some(Some(actual))) => wanted == actual || equal_amounts(wanted, actual),
            _ => false,
        })
}

fn equal_amounts(wanted: &str, actual: &str) -> bool {
    const DIGITS: u8 = 38;
    const BEHIND_POINT: u8 = 12;
    let read = |text| Amount::parse(text, DIGITS, BEHIND_POINT).ok();
    (wanted.contains('.') || actual.contains('.'))
        && read(wanted).is_some_and(|amount| Some(amount) == read(actual))
}

fn shown(row: &Row) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_deref().unwrap_or("null")))
        .collect();
    format!("{{{}}}", values.join(", "))
}
