//! A catalog from schema texts, inputs on test servers, and the state that their chunks add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_catalog::Catalog;
use centinel_model::{
    DecodedChunk, Hole, HoleReason, Images, LineContent, Operation, Origin, Position, Positions,
    Timestamp, Version,
};
use centinel_source::{BinlogInput, BinlogOptions, Input, InputError, Password, Reading, Until};
use test_servers::MariaDb;

/// What any wait ends with at the latest.
pub const LONG: Duration = Duration::from_secs(60);

pub const PAYMENT: &str = "\
centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: decimal(18,2)
  fen: { type: integer, nullable: true }
  updated_at: { type: timestamp, nullable: true }
";

pub const CREATE_PAYMENT: &str = "\
CREATE DATABASE IF NOT EXISTS pay;
CREATE TABLE pay.payment (
  payment_no VARCHAR(40) PRIMARY KEY, order_no VARCHAR(40) NOT NULL, amount DECIMAL(18,2) NOT NULL,
  fen BIGINT NULL, updated_at DATETIME(6) NULL
);";

const ENTITIES: &str = "\
centinel: entities/1
entities:
  order: { key: [order_no], normalise: [trim, upper] }
";

pub fn catalog(schemas: &[&str]) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("entities.yaml"), ENTITIES).unwrap();
    for (index, schema) in schemas.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{index}.yaml")), schema).unwrap();
    }
    centinel_catalog::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

pub fn options(server: &MariaDb, port: u16) -> BinlogOptions {
    let password = Password::new(server.password());
    let mut options = BinlogOptions::new("payment-db", "127.0.0.1", port, server.user(), password);
    options.server_id = 9_001;
    options.timeouts.heartbeat = Duration::from_millis(300);
    options.timeouts.back_off = Duration::from_millis(500);
    options
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap().as_micros() as i64)
}

/// One row as text by column; nothing for null.
pub type Cells = Vec<Option<String>>;

/// What was read, folded.
#[derive(Default)]
pub struct Folded {
    /// Rows by table and primary key (its first column), with their version; none for a deleted row.
    pub rows: BTreeMap<(u16, String), (Version, Option<Cells>)>,
    pub holes: Vec<Hole>,
    pub progress: i64,
    /// What was committed before may be missing.
    pub horizon: Option<i64>,
    pub after: Option<Position>,
    /// Every version of a stream row that came, to see doubles.
    pub versions: BTreeSet<(u64, u32)>,
    pub doubles: usize,
    /// Rows that came after the end of their transaction, or before the end of another.
    pub torn: usize,
    open: Option<u64>,
    pub changes: usize,
    pub snapshots: usize,
    pub chunks: usize,
    pub largest_chunk: usize,
    /// Names of operations in order, for small tests.
    pub operations: Vec<Operation>,
    pub befores: Vec<Option<Cells>>,
    pub committed: Vec<i64>,
    /// What each table lacked each time that this changed: the table's name and the columns' indexes.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// What was said of lost columns last.
    pub drift: String,
    /// Columns that were noted.
    pub noted: BTreeSet<String>,
    /// Changes whose row after lacks columns.
    pub lacking: usize,
    /// Who made each change, table by table.
    pub origins: Vec<Option<Origin>>,
}

impl Folded {
    pub fn take(&mut self, chunk: DecodedChunk) {
        self.chunks += 1;
        self.largest_chunk = self.largest_chunk.max(chunk.lines.len());
        let first = chunk.lines.first().map_or(chunk.end, |line| line.offset);
        assert!(first <= chunk.end, "a chunk ends before it begins");
        let mut offset = 0;
        for line in &chunk.lines {
            assert!(line.offset >= offset, "lines go back");
            offset = line.offset;
            let transaction = match line.content {
                LineContent::Change { transaction, .. } => Some(transaction),
                LineContent::Hole { transaction, .. } => transaction,
                _ => None,
            };
            if let Some(transaction) = transaction {
                self.torn +=
                    usize::from(self.open.is_some_and(|open| open != transaction.sequence));
                self.open = (!transaction.last).then_some(transaction.sequence);
            }
            let LineContent::Change { table, row, .. } = line.content else {
                continue;
            };
            let changes = &chunk.tables[usize::from(table)];
            let row = row as usize;
            let (version, operation) = (changes.versions[row], changes.operations[row]);
            let before = cells(&changes.before, row);
            let after = cells(&changes.after, row);
            self.changes += 1;
            self.committed.push(changes.committed_at[row].0);
            if operation == Operation::Snapshot {
                self.snapshots += 1;
            } else if !self.versions.insert((version.sequence, version.ordinal)) {
                self.doubles += 1;
            }
            if self.operations.len() < 1000 {
                self.operations.push(operation);
                self.befores.push(before.clone());
            }
            if let Some(before) = &before {
                self.set(changes.table.0, before, version, None);
            }
            if let Some(after) = after {
                self.set(changes.table.0, &after.clone(), version, Some(after));
            }
        }
        for changes in &chunk.tables {
            self.origins
                .extend(changes.origins().map(|origin| origin.cloned()));
        }
        let lacking = chunk.tables.iter().map(|changes| changes.lost.len());
        self.lacking += lacking.sum::<usize>();
        let columns = chunk.notes.into_iter().filter_map(|note| note.column);
        self.noted.extend(columns);
        for shape in chunk.shapes {
            let lost = shape.drifts.iter().map(|drift| drift.column).collect();
            let seen = (shape.physical.to_string(), lost);
            if let Some(drift) = shape.drifts.first() {
                self.drift.clone_from(&drift.what);
            }
            if self.shapes.last() != Some(&seen) {
                self.shapes.push(seen);
            }
        }
        self.holes.extend(chunk.holes);
        for (_, time) in chunk.horizons {
            self.horizon = Some(time.0);
        }
        for (_, time) in chunk.progress {
            assert!(time.0 >= self.progress, "progress goes back");
            self.progress = time.0;
        }
        self.after = Some(chunk.after);
    }

    fn set(&mut self, table: u16, cells: &Cells, version: Version, row: Option<Cells>) {
        let key = (table, cells[0].clone().unwrap_or_default());
        let known = self.rows.get(&key);
        if known.is_none_or(|(older, _)| *older <= version) {
            self.rows.insert(key, (version, row));
        }
    }

    /// The rows that are there, by table.
    pub fn current(&self, table: u16) -> Vec<Cells> {
        let rows = self.rows.iter().filter(|((own, _), _)| *own == table);
        rows.filter_map(|(_, (_, row))| row.clone()).collect()
    }

    pub fn reasons(&self) -> Vec<HoleReason> {
        self.holes.iter().map(|hole| hole.reason).collect()
    }

    pub fn positions(&self) -> Positions {
        let after = self.after.clone().into_iter();
        Positions(
            after
                .map(|position| ("payment-db".to_owned(), position))
                .collect(),
        )
    }
}

fn cells(images: &Images, change: usize) -> Option<Cells> {
    images.row[change].map(|row| texts(&images.rows, row as usize))
}

/// Times as microseconds since 1970, everything else as it shows.
fn texts(rows: &RecordBatch, row: usize) -> Cells {
    let options = FormatOptions::default();
    let columns = rows.columns().iter().map(|column| {
        if !column.is_valid(row) {
            return None;
        }
        if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            return Some(times.value(row).to_string());
        }
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
        Some(formatter.value(row).to_string())
    });
    columns.collect()
}

/// An input and what came out of it.
pub struct Running {
    pub input: BinlogInput,
    pub folded: Folded,
}

impl Running {
    pub fn open(catalog: &Catalog, options: BinlogOptions) -> Running {
        Running::resume(catalog, options, &Positions::default(), Until::Stopped)
    }

    pub fn resume(
        catalog: &Catalog,
        options: BinlogOptions,
        positions: &Positions,
        until: Until,
    ) -> Running {
        Running {
            input: BinlogInput::open(catalog, options, positions, until).unwrap(),
            folded: Folded::default(),
        }
    }

    /// Reads until this holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Folded) -> bool) {
        let since = Instant::now();
        while !holds(&self.folded) {
            assert!(
                since.elapsed() < LONG,
                "{what} did not come: {} ({} changes, holes {:?})",
                self.input.state(),
                self.folded.changes,
                self.folded.reasons()
            );
            match self
                .input
                .read(now())
                .unwrap_or_else(|error| panic!("{what}: {error}"))
            {
                Reading::Chunk(chunk) => self.folded.take(*chunk),
                Reading::Nothing => {}
                Reading::End => panic!("{what}: the input ended"),
            }
        }
    }

    /// Reads until everything that is committed now was read.
    pub fn catch_up(&mut self) {
        // The server's clock is known to some milliseconds.
        let reached = now().0 + 100_000;
        self.until("the present", |folded| folded.progress > reached);
    }

    /// Reads to the end.
    pub fn into_end(mut self) -> Folded {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < LONG, "no end: {}", self.input.state());
            match self.input.read(now()).unwrap() {
                Reading::Chunk(chunk) => self.folded.take(*chunk),
                Reading::Nothing => {}
                Reading::End => return self.folded,
            }
        }
    }

    /// Reads until it fails for good.
    pub fn error(mut self) -> InputError {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < LONG, "no error: {}", self.input.state());
            match self.input.read(now()) {
                Ok(Reading::Chunk(chunk)) => self.folded.take(*chunk),
                Ok(Reading::Nothing) => {}
                Ok(Reading::End) => panic!("the input ended"),
                Err(error) => return error,
            }
        }
    }
}

/// The rows of a query as cells.
pub fn select(server: &MariaDb, sql: &str) -> Vec<Cells> {
    server.query(sql)
}

/// All payments as they are folded: the order's number in its normal form.
pub const SELECT_PAYMENT: &str = "SELECT payment_no, UPPER(order_no), amount, fen, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', updated_at) FROM pay.payment ORDER BY BINARY payment_no";
