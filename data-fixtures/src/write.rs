//! Histories as files: the project's JSON Lines, Debezium, Canal, Parquet snapshots, and SQL.

mod canal;
mod debezium;
mod json_lines;
mod log;
mod snapshot;
pub mod sql;

pub use canal::CanalWriter;
pub use debezium::DebeziumWriter;
pub use json_lines::JsonLinesWriter;
pub use log::{LogFiles, LogForm, LogLayout};
pub use snapshot::{SnapshotError, SnapshotWriter};
pub use sql::SqlWriter;
