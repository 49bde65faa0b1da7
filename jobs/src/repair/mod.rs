//! `centinel repair`: what someone means to change is tried before it touches money, and approved.

mod approve;
mod plan;
mod show;
mod status;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use centinel_catalog::open_file;
use centinel_model::Timestamp;
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};

use crate::exit::Status;
use crate::printer::complain;

/// The command line of `centinel repair`.
#[derive(Args, Debug)]
pub struct RepairArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Tries row changes or SQL on a snapshot, and says whether they are safe: nothing is written to any database
    ///
    /// Exit status: 0 safe, 2 unsafe, 3 could not judge, 64 wrong usage or a plan that cannot be read.
    Plan(Box<plan::PlanArguments>),
    /// Records who approved a plan, if nothing has changed since it was tried
    ///
    /// Exit status: 0 approved, 2 refused, 3 the snapshot or the file of approvals cannot be read or written, 64 wrong
    /// usage.
    Approve(approve::ApproveArguments),
    /// Says whether an approved plan was carried out as planned, by what detection found
    ///
    /// Exit status: 0 verified, 2 broken, 3 it cannot be said, or not yet, 64 wrong usage.
    Status(status::StatusArguments),
}

/// Runs `centinel repair`.
pub fn run(arguments: &RepairArguments) -> ExitCode {
    match &arguments.task {
        Task::Plan(arguments) => plan::run(arguments),
        Task::Approve(arguments) => approve::run(arguments),
        Task::Status(arguments) => status::run(arguments),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The text of a file that a person names.
fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    open_file(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// SHA-256 of the names and texts of all schema files of a folder.
fn digest_of_schemas(folder: &Path) -> Result<String, Status> {
    let refuse = |error: std::io::Error| {
        complain(format_args!("error: {}: {error}", folder.display()));
        Status::WrongUsage
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".yaml") && !name.starts_with('.') {
            paths.push((name, path));
        }
    }
    paths.sort();
    let mut digest = Sha256::new();
    for (name, path) in paths {
        let text = std::fs::read(&path).map_err(refuse)?;
        digest.update(format!("{name} {}\n", text.len()));
        digest.update(&text);
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
