//! `centinel quarantine`: records that could not be read, and what becomes of them.

mod list;
mod place;
mod records;
mod selection;
mod settle;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::exit::Status;
use crate::printer::complain;

pub use records::{bytes, problem, record};

/// The command line of `centinel quarantine`.
#[derive(Args, Debug)]
pub struct QuarantineArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Lists records that could not be read, the newest first
    ///
    /// Exit status: 0 none of those listed waits, 3 some do, 64 wrong usage.
    List(list::ListArguments),
    /// Shows one record with the bytes that were kept of it
    Show(show::ShowArguments),
    /// Says that records may be left out: what they put in doubt is judged without them
    ///
    /// Exit status: 0 all are accepted, 3 some could not be, 64 wrong usage.
    Accept(settle::SettleArguments),
    /// Reads records again, under the schemas and in the form that are configured now: what they say is judged as if it
    /// had come just now
    ///
    /// Exit status: 0 all were read, 3 some still cannot be, 64 wrong usage.
    Redrive(settle::SettleArguments),
}

/// Runs `centinel quarantine`.
pub fn run(arguments: &QuarantineArguments) -> ExitCode {
    let done = match &arguments.task {
        Task::List(arguments) => arguments.run(),
        Task::Show(arguments) => arguments.run(),
        Task::Accept(arguments) => arguments.run(centinel_interface::Standing::Accepted),
        Task::Redrive(arguments) => arguments.run(centinel_interface::Standing::Redriven),
    };
    match done {
        Ok(status) | Err(status) => status.into(),
    }
}

/// Says why it is not done.
fn refuse(problem: &centinel_interface::Problem) -> Status {
    use centinel_interface::Problem;
    complain(format_args!(
        "error: {}",
        crate::findings::one_line(&problem.to_string())
    ));
    match problem {
        Problem::NotFound(_) | Problem::Refused(_) => Status::WrongUsage,
        Problem::Unavailable(_) => Status::CouldNotJudge,
    }
}
