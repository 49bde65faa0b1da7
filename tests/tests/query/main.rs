//! Questions in SQL. Each answer is held against another reading of the same: the change log, by code of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

mod limits;
mod log;
mod masked;
mod platform;
mod refused;
mod sums;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_engine::query::{
    Answer, AskedColumn, Feed, QueryError, QueryLimits, Room, Tables, ask,
};

/// A value as text; none for null.
pub type Value = Option<String>;

pub fn limits(folder: &Path) -> QueryLimits {
    QueryLimits {
        time: Duration::from_secs(60),
        memory_bytes: 256 << 20,
        folder: folder.into(),
        file_bytes: 1 << 30,
        rows: 100_000,
        threads: 2,
    }
}

/// The answer to a question, within usual limits.
pub fn asked(tables: Tables, sql: &str) -> Result<Answer, QueryError> {
    let folder = tempfile::tempdir().unwrap();
    ask(tables, sql, &limits(folder.path()))
}

/// Rows of texts, in their order. Times are as the change log writes them.
pub fn rows(answer: &Answer) -> Vec<Vec<Value>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in &answer.batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| {
                let time = matches!(column.data_type(), DataType::Timestamp(..));
                (
                    column,
                    ArrayFormatter::try_new(column.as_ref(), &options).unwrap(),
                    time,
                )
            })
            .collect();
        for row in 0..batch.num_rows() {
            let value = |(column, formatter, time): &(
                &Arc<dyn arrow::array::Array>,
                ArrayFormatter<'_>,
                bool,
            )| {
                if column.is_null(row) {
                    return None;
                }
                let text = formatter.value(row).to_string();
                Some(if *time { log::plain_time(&text) } else { text })
            };
            rows.push(columns.iter().map(value).collect());
        }
    }
    rows
}

/// The one value of an answer.
pub fn one(tables: Tables, sql: &str) -> Value {
    let answer = asked(tables, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows = rows(&answer);
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}: {rows:?}");
    rows[0][0].clone()
}

/// Batches that are given as they are, again and again where they are asked for so.
pub struct Given {
    pub batches: Vec<RecordBatch>,
    pub times: usize,
}

impl Feed for Given {
    fn read(
        &self,
        wanted: &[usize],
        _: &Room,
        out: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), String> {
        for _ in 0..self.times {
            for batch in &self.batches {
                if !out(batch.project(wanted).unwrap()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// One table of these rows.
pub fn table_of(batch: RecordBatch, times: usize) -> Tables {
    let mut tables = Tables::default();
    add_table(&mut tables, "t", batch, times);
    tables
}

pub fn add_table(tables: &mut Tables, name: &'static str, batch: RecordBatch, times: usize) {
    let schema = batch.schema();
    let columns = schema.fields().iter();
    let columns =
        columns.map(|field| AskedColumn::new(field.name(), field.data_type().clone(), "a value"));
    let columns = columns.collect();
    let batches = vec![batch];
    tables.add(name, "a row", columns, Arc::new(Given { batches, times }));
}

/// Where the small logs lie.
pub fn small(name: &str) -> PathBuf {
    let place = format!("data-fixtures/small/{name}/jsonl/log.jsonl");
    centinel_tests::folder(&place)
}
