//! `centinel query`: questions in SQL about what Centinel knows. `jobs/QUERY.md` says which tables there are.

mod audits;
mod breaker;
mod findings;
mod list;
mod rows;
mod tables;
mod write;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration as WallDuration;

use centinel_engine::query::{QueryError, QueryLimits, ask};
use centinel_model::Duration;
use clap::Args;

use crate::audit::bytes;
use crate::check::refuse as refuse_config;
use crate::config::Config;
use crate::detect::{std_duration, stop_when_asked};
use crate::exit::Status;
use crate::findings::one_line;
use crate::printer::{complain, counted};
use write::Format;

/// What a query may put aside in temporary files.
const FILE_BYTES: u64 = 4 << 30;
/// Rows of a table for people.
const MOST_SHOWN: usize = 10_000;
const MOST_ROWS: u64 = 1_000_000;
/// How long a query may be allowed to take.
const LONGEST: Duration = Duration::seconds(86_400);
/// How often it is looked whether somebody asks the program to end.
const LOOK: WallDuration = WallDuration::from_millis(50);

/// The command line of `centinel query`.
#[derive(Args, Debug)]
pub struct QueryArguments {
    /// One SELECT, WITH … SELECT, EXPLAIN, DESCRIBE or SHOW TABLES, in the SQL of rules
    #[arg(required_unless_present = "tables")]
    sql: Option<String>,
    /// The configuration file, which names the stores, the state and the archive
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
    /// List the tables with their columns, and end
    #[arg(long, conflicts_with = "sql")]
    tables: bool,
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// How long it may take, such as 30s or 5m; a query that takes longer is ended
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "30s")]
    timeout: Duration,
    /// Memory that it may use, such as 2GB or 512MiB; sorts and groups beyond it wait in temporary files
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "512MiB")]
    memory: usize,
    /// At most so many rows, 1 to 1000000; that there are more is said
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=MOST_ROWS), default_value_t = 10_000)]
    rows: u64,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Duration::parse(text).map_err(|error| error.to_string())?;
    match span > Duration::ZERO && span <= LONGEST {
        true => Ok(span),
        false => Err("from 1ms to 1d".into()),
    }
}

/// Asks, and writes the answer.
pub fn run(arguments: &QueryArguments) -> ExitCode {
    match arguments.ask() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl QueryArguments {
    fn ask(&self) -> Result<Status, Status> {
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        if self.format == Format::Table && rows > MOST_SHOWN {
            complain(format_args!(
                "error: a table shows at most {MOST_SHOWN} rows: add --format jsonl or --format csv for more"
            ));
            return Err(Status::WrongUsage);
        }
        let config = Config::load(&self.config).map_err(|problems| refuse_config(&problems))?;
        let tables = tables::tables(&config)?.map_err(|error| refuse(&error))?;
        let Some(sql) = &self.sql else {
            return Ok(list::list(&tables, self.format));
        };
        let stop = stop_when_asked()?;
        let folder = tempfile::Builder::new().prefix("centinel-query-").tempdir();
        let folder = folder.map_err(|error| {
            complain(format_args!(
                "error: no temporary folder can be made: {error}"
            ));
            Status::CouldNotJudge
        })?;
        let limits = QueryLimits {
            time: std_duration(self.timeout),
            memory_bytes: self.memory,
            folder: folder.path().to_owned(),
            file_bytes: FILE_BYTES,
            rows,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let (sql, format) = (sql.clone(), self.format);
        let on_terminal = std::io::stdout().is_terminal();
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let answer = ask(tables, &sql, &limits);
            let written = answer.map(|answer| {
                let written = write::write(&answer, format, on_terminal);
                (answer.is_cut, written)
            });
            let _ = send.send(written);
        });
        let answered = wait(&receive, &stop);
        // Threads that are still at work do not hold up the end of the process; their files go now.
        drop(folder);
        let (is_cut, written) = answered?.map_err(|error| refuse(&error))?;
        let written = written.map_err(|problem| {
            complain(format_args!("error: {}", one_line(&problem)));
            Status::CouldNotJudge
        })?;
        print(&written.text)?;
        let mut status = Status::Clean;
        if written.is_cut {
            complain(format_args!(
                "error: only the first {} are shown, the answer would be too long: ask for fewer rows or columns",
                counted(written.rows as u64, "row", "rows")
            ));
            status = Status::CouldNotJudge;
        } else if is_cut {
            complain(format_args!(
                "error: there are more rows, only the first {} are shown: ask for fewer, or allow more (--rows)",
                written.rows
            ));
            status = Status::CouldNotJudge;
        }
        Ok(status)
    }
}

type Asked = Result<(bool, Result<write::Written, String>), QueryError>;

/// Waits for the answer, until somebody asks the program to end.
fn wait(receive: &std::sync::mpsc::Receiver<Asked>, stop: &AtomicBool) -> Result<Asked, Status> {
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(answered) => return Ok(answered),
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                complain("error: the query was stopped before its end");
                return Err(Status::CouldNotJudge);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                complain("error: the query failed within the program: write it more simply");
                return Err(Status::CouldNotJudge);
            }
        }
    }
}

/// Writes the whole text; a reader who had enough changes nothing.
fn print(text: &str) -> Result<(), Status> {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(format_args!("error: the output cannot be written: {error}"));
            Err(Status::CouldNotJudge)
        }
        _ => Ok(()),
    }
}

/// Says why there is no answer. The words may hold values of rows.
fn refuse(error: &QueryError) -> Status {
    let told = error.to_string();
    let told: Vec<String> = told.lines().map(one_line).collect();
    complain(format_args!("error: {}", told.join("\n  ")));
    match error {
        QueryError::Wrong(_) => Status::WrongUsage,
        _ => Status::CouldNotJudge,
    }
}
