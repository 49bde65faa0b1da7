//! `centinel heartbeats`: what a platform must write at an interval, so that silence can be told from standing still.
//!
//! It only prints: Centinel writes to no database and to no topic of the platform.

use std::path::PathBuf;
use std::process::ExitCode;

use centinel_catalog::{Catalog, ColumnType, Table, TableKind};
use clap::Args;

use crate::check::refuse;
use crate::config::{BinlogProgress, Config, KafkaProgress, Source, SourceConfig, check_against};
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::Printer;

/// The command line of `centinel heartbeats`.
#[derive(Args, Debug)]
pub struct HeartbeatsArguments {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Prints what is to be set up for each source.
pub fn run(arguments: &HeartbeatsArguments) -> ExitCode {
    match arguments.print() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl HeartbeatsArguments {
    fn print(&self) -> Result<Status, Status> {
        let config = Config::load(&self.config).map_err(|problems| refuse(&problems))?;
        let catalog = Folders::catalog_of(&config.schemas)?;
        let names: Vec<&str> = catalog.sources.iter().map(String::as_str).collect();
        let problems = check_against(&config, &names);
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        let mut printer = Printer::stdout();
        for source in &config.sources {
            printer.line(format_args!("-- {}", source.name));
            printer.line(needed(source, &catalog));
        }
        Ok(printer.finish(Status::Clean))
    }
}

fn needed(source: &Source, catalog: &Catalog) -> String {
    match &source.config {
        SourceConfig::File(_) if announces_plans(source, catalog) => {
            "-- nothing: the end of the file says it\n".to_owned()
        }
        SourceConfig::File(_) => {
            let name = serde_json::Value::from(source.name.as_str());
            format!("-- its lines say it: {{\"heartbeat\":{name},\"committed_at\":\"…\"}}\n")
        }
        SourceConfig::Binlog(binlog) => match &binlog.progress {
            BinlogProgress::Server => "-- nothing: the server's own heartbeats say it\n".to_owned(),
            BinlogProgress::HeartbeatTable { database, table } => sql(database, table),
        },
        SourceConfig::Kafka(kafka) => match &kafka.progress {
            KafkaProgress::Broker { .. } => {
                "-- nothing: the ends of the partitions say it\n".to_owned()
            }
            KafkaProgress::Heartbeat { table } => match catalog.table_id(table) {
                Some(id) => in_topic(catalog.table(id)),
                None => format!("-- no schema describes `{table}`: describe it first\n"),
            },
        },
    }
}

fn announces_plans(source: &Source, catalog: &Catalog) -> bool {
    let id = catalog.source_id(&source.name);
    id.is_some_and(|id| catalog.announces_plans(id))
}

/// A table that the server's own scheduler writes to.
fn sql(database: &str, table: &str) -> String {
    let name = format!("`{database}`.`{table}`");
    format!(
        "-- by an administrator of the server that the platform writes to; replicas follow\n\
         CREATE TABLE IF NOT EXISTS {name} (id INT PRIMARY KEY, beat_at DATETIME(6) NOT NULL);\n\
         CREATE EVENT IF NOT EXISTS {name} ON SCHEDULE EVERY 1 SECOND\n\
         \x20   DO REPLACE INTO {name} VALUES (1, UTC_TIMESTAMP(6));\n\
         SET GLOBAL event_scheduler = ON; -- and event_scheduler = ON in the server's configuration\n"
    )
}

fn in_topic(table: &Table) -> String {
    match table.kind {
        TableKind::Rows | TableKind::History(_) => {
            let pattern = table.from.first().map(ToString::to_string);
            let (database, name) = pattern
                .as_deref()
                .and_then(|pattern| pattern.split_once('.'))
                .unwrap_or(("*", &table.name));
            match is_plain(table) && !database.contains('*') && !name.contains('*') {
                true => format!("{}-- and let the tool publish it\n", sql(database, name)),
                false => format!(
                    "-- in the database that the tool reads: write to a row of `{}` every second\n",
                    table.name
                ),
            }
        }
        TableKind::Events => format!(
            "-- by whatever publishes the events: an event `{}` every second, to one of the source's topics,\n\
             -- after all events that were due before it\n",
            table.name
        ),
    }
}

/// Whether it has the columns of the table that is printed here.
fn is_plain(table: &Table) -> bool {
    let columns: Vec<(&str, ColumnType)> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind))
        .collect();
    columns
        == [
            ("id", ColumnType::Integer),
            ("beat_at", ColumnType::Timestamp),
        ]
}
