//! The rows of the watched tables as they stood at one place of the log.
//!
//! `START TRANSACTION WITH CONSISTENT SNAPSHOT` gives the rows, and nothing is locked. MariaDB says exactly where
//! in the log they stand. MySQL does not, so two marks are taken there: what it had before the snapshot began,
//! which the snapshot holds for certain (a GTID counts as executed only once its rows can be seen), and what it
//! has when all rows were read, in which all that the snapshot holds is. The log is read from the first mark on:
//! rows that come again have higher versions and replace those of the snapshot. Until it was read up to the
//! second, no progress is told. This needs no right beyond reading, waits for nobody and never has to be tried
//! again, which a read lock or comparing marks until they agree would.
//!
//! A snapshot takes the number of a transaction, which is the version of its rows: what the log says later
//! replaces them. A snapshot that was broken off is taken anew with the next number, and then the log is read from
//! where the first one stood, so that rows which went meanwhile are seen to go; until it was read up to where the
//! last one stood, no progress is told.

use std::sync::Arc;
use std::time::Duration;

use centinel_model::{Operation, Timestamp, Version};
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::binding::clock;
use super::failure::Failure;
use super::gtid::{Flavour, GtidSet};
use super::kind::{Clock, Kind, day, hexadecimal, moment, time_of_day, zero_date};
use super::server::{Facts, Server, gtids};
use super::tables::{WatchedTable, full_name, quoted};
use super::transaction::Assembler;
use crate::column::Cell;
use crate::rows::Layout;
use crate::shape::Lost;
use crate::value::Refusal;
use centinel_model::HoleReason;

/// A snapshot that began.
pub(super) struct Snapshot {
    /// From where the log is to be read: everything up to there is in the snapshot.
    pub(super) at: GtidSet,
    /// The server's clock before it began.
    pub(super) time: i64,
    /// Whether more than what is at `at` may be in it.
    vague: bool,
}

/// Begins a snapshot on this connection.
pub(super) async fn begin(server: &mut Server, facts: &Facts) -> Result<Snapshot, Failure> {
    let flavour = facts.flavour();
    let unlimited = match flavour {
        Flavour::MariaDb => "SET max_statement_time = 0",
        Flavour::MySql => "SET max_execution_time = 0",
    };
    for statement in [
        unlimited,
        "SET time_zone = '+00:00', net_write_timeout = 28800, wait_timeout = 28800",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ] {
        server.run(statement).await?;
    }
    let time = facts.clock();
    let start = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    match flavour {
        Flavour::MariaDb => {
            server.run(start).await?;
            let at = exact_place(server).await?;
            Ok(Snapshot {
                at,
                time,
                vague: false,
            })
        }
        Flavour::MySql => {
            let at = server.end_of_log(flavour).await?;
            server.run(start).await?;
            Ok(Snapshot {
                at,
                time,
                vague: true,
            })
        }
    }
}

impl Snapshot {
    /// Up to where the log must be read before the rows can be judged, once all were read.
    pub(super) async fn end(&self, server: &mut Server) -> Result<GtidSet, Failure> {
        if !self.vague {
            return Ok(self.at.clone());
        }
        // Transactions that could be seen when the snapshot began, and did not count as executed then, do now.
        tokio::time::sleep(COMMITTING).await;
        server.end_of_log(Flavour::MySql).await
    }
}

/// Longer than a server takes from letting rows be seen to counting their GTID as executed, which is two steps of
/// one commit.
const COMMITTING: Duration = Duration::from_secs(1);

/// Where in MariaDB's log this connection's snapshot stands.
async fn exact_place(server: &mut Server) -> Result<GtidSet, Failure> {
    let status = server.rows("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
    let of = |name: &str| {
        let row = status.iter().find(|row| row[0].eq_ignore_ascii_case(name));
        row.map_or("", |row| row[1].as_str())
    };
    let (file, position) = (of("binlog_snapshot_file"), of("binlog_snapshot_position"));
    if file.is_empty() || position.parse::<u64>().is_err() {
        return Err(Failure::lasting(
            "the server does not say where in its log a snapshot stands",
            "give the user BINLOG MONITOR, and keep the watched tables in InnoDB",
        ));
    }
    let query = format!(
        "SELECT BINLOG_GTID_POS({}, {position})",
        super::tables::text(file)
    );
    gtids(&server.value(&query).await?)
}

/// The query for all rows of one table, in the order of its own key.
pub(super) fn query(table: &WatchedTable, layout: &Layout) -> String {
    let columns: Vec<String> = table
        .wanted(layout, &table.lost(layout))
        .into_iter()
        .map(|(_, column)| quoted(&column.name))
        .collect();
    let key: Vec<String> = table.primary_key.iter().map(|name| quoted(name)).collect();
    let order = match key.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", key.join(", ")),
    };
    let name = full_name(&table.database, &table.table);
    format!("SELECT {} FROM {name}{order}", columns.join(", "))
}

/// Rows of one table on their way.
pub(super) struct TableReader<'a> {
    table: &'a WatchedTable,
    layout: Arc<[Layout]>,
    wanted: Vec<(usize, Kind)>,
    lost: Lost,
    clock: Clock,
    sequence: u64,
    time: i64,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(
        table: &'a WatchedTable,
        layouts: &Arc<[Layout]>,
        sequence: u64,
        time: i64,
    ) -> TableReader<'a> {
        let layout = &layouts[table.physical.layout];
        let lost = table.lost(layout);
        let wanted = table.wanted(layout, &lost).into_iter();
        TableReader {
            table,
            wanted: wanted
                .map(|(target, column)| (target, column.kind))
                .collect(),
            lost,
            clock: clock(layout),
            layout: Arc::clone(layouts),
            sequence,
            time,
        }
    }

    /// Adds one row; a row that cannot be read becomes a hole.
    pub(super) fn row(&self, row: Row, assembler: &mut Assembler) -> Result<(), Failure> {
        let layout = &self.layout[self.table.physical.layout];
        let version = Version {
            epoch: 0,
            sequence: self.sequence,
            ordinal: 0,
        };
        let values: Vec<Value> = row.unwrap();
        let length = values.iter().map(size).sum();
        let (table, buffer) = assembler.builder.table(self.table.physical.layout);
        let mut read = || -> Result<u32, Refusal> {
            if let (Some(column), Some(shard)) = (layout.shard, &self.table.physical.shard) {
                buffer
                    .after
                    .set(column, Cell::Text(shard.as_ref().into()), layout)?;
            }
            for ((target, kind), value) in self.wanted.iter().zip(&values) {
                let cell = cell(value, *kind, self.clock)
                    .map_err(|refusal| refusal.of(&layout.columns[*target].name))?;
                buffer.after.set(*target, cell, layout)?;
            }
            buffer.lost.clone_from(&self.lost);
            buffer.complete(layout, Operation::Snapshot, version, Timestamp(self.time))
        };
        match read() {
            Ok(row) => {
                assembler.snapshot_row(table, row, self.sequence, length);
                let physical = &self.table.physical;
                assembler.saw_snapshot(physical, &self.lost, Timestamp(self.time));
            }
            Err(refusal) => {
                buffer.cut_back();
                assembler.snapshot_hole(self.table.physical.layout, refusal, self.sequence);
            }
        }
        Ok(())
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// A value of an answer as the log would give it.
fn cell(value: &Value, kind: Kind, clock: Clock) -> Result<Cell<'_>, Refusal> {
    let wrong = || {
        Refusal::new(
            HoleReason::WrongType,
            "came in another type than the table has",
        )
    };
    let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| wrong());
    Ok(match (value, kind) {
        (Value::NULL, _) => Cell::Null,
        (Value::Int(number), Kind::Integer) => Cell::Integer((*number).into()),
        (Value::UInt(number), Kind::Integer) => Cell::Integer((*number).into()),
        (Value::Bytes(bits), Kind::Integer) if bits.len() <= 8 => {
            Cell::Integer(super::bytes::big_endian(bits).into())
        }
        (Value::Bytes(digits), Kind::Decimal { scale }) => match utf8(digits)? {
            digits if scale == 0 => match digits.parse() {
                Ok(number) => Cell::Integer(number),
                Err(_) => Cell::Number(digits.into()),
            },
            digits => Cell::Number(digits.into()),
        },
        (Value::Float(number), Kind::Float) => Cell::Text(number.to_string().into()),
        (Value::Double(number), Kind::Float) => Cell::Text(number.to_string().into()),
        (Value::Bytes(text), Kind::Text) => Cell::Text(utf8(text)?.into()),
        (Value::Bytes(bytes), Kind::Binary) => Cell::Text(hexadecimal(bytes, 0).into()),
        (Value::Date(year, month, number, ..), Kind::Date) => {
            Cell::Date(day((*year).into(), (*month).into(), (*number).into())?)
        }
        (Value::Date(0, 0, 0, ..), Kind::Timestamp) => return Err(zero_date()),
        (
            Value::Date(year, month, number, hour, minute, second, micros),
            Kind::DateTime | Kind::Timestamp,
        ) => {
            let date = day((*year).into(), (*month).into(), (*number).into())?;
            let seconds = i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
            let clock = match kind {
                Kind::Timestamp => Clock::default(),
                _ => clock,
            };
            moment(date, seconds, (*micros).into(), clock)
        }
        (Value::Time(negative, days, hours, minutes, seconds, micros), Kind::Time) => {
            let hours = i64::from(*days) * 24 + i64::from(*hours);
            let (minutes, seconds) = (i64::from(*minutes), i64::from(*seconds));
            Cell::Text(time_of_day(*negative, hours, minutes, seconds, (*micros).into()).into())
        }
        _ => return Err(wrong()),
    })
}

/// Runs the query of one table; its rows come one by one.
pub(super) async fn open<'a>(
    server: &'a mut Server,
    query: &str,
) -> Result<mysql_async::QueryResult<'a, 'static, mysql_async::BinaryProtocol>, Failure> {
    Ok(server.connection.exec_iter(query.to_owned(), ()).await?)
}
