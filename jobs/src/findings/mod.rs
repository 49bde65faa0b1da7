//! `centinel findings`: what detection told, with its life and with what people said of it.

mod act;
mod export;
mod list;
mod open;
mod selection;
mod show;
mod shown;

use std::process::ExitCode;

use centinel_findings::FindingsError;
use clap::{Args, Subcommand};

pub use open::systems_of;
pub use shown::{lines, one_line};

use crate::exit::Status;
use crate::printer::complain;

/// The command line of `centinel findings`.
#[derive(Args, Debug)]
pub struct FindingsArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Lists findings, the newest or the largest first
    ///
    /// Exit status: 0 none of them is open, 2 some are, 3 something of detection's file could not be taken in, 64 wrong
    /// usage.
    List(Box<list::ListArguments>),
    /// Shows one finding with its evidence and everything that happened to it
    Show(show::ShowArguments),
    /// Says that somebody knows of a finding
    Ack(act::AckArguments),
    /// Says that somebody did what there was to do
    Resolve(act::ReasonArguments),
    /// Says that nothing is wrong, and why
    FalseAlarm(act::ReasonArguments),
    /// Takes back what was said before
    Reopen(act::ReasonArguments),
    /// Gives a finding to somebody, or back to its rule's owner
    Assign(act::AssignArguments),
    /// Adds a note to a finding
    Note(act::NoteArguments),
    /// Writes findings as CSV or JSON Lines
    Export(Box<export::ExportArguments>),
    /// Says that detection began with a new state: its new file is taken in from its beginning
    Anew(act::AnewArguments),
}

/// Runs `centinel findings`.
pub fn run(arguments: &FindingsArguments) -> ExitCode {
    let done = match &arguments.task {
        Task::List(arguments) => arguments.run(),
        Task::Show(arguments) => arguments.run(),
        Task::Ack(arguments) => arguments.run(),
        Task::Resolve(arguments) => arguments.run(act::resolved),
        Task::FalseAlarm(arguments) => arguments.run(act::false_alarm),
        Task::Reopen(arguments) => arguments.run(act::reopened),
        Task::Assign(arguments) => arguments.run(),
        Task::Note(arguments) => arguments.run(),
        Task::Export(arguments) => arguments.run(),
        Task::Anew(arguments) => arguments.run(),
    };
    match done {
        Ok(status) | Err(status) => status.into(),
    }
}

/// Says why the store did not do it.
fn refuse(error: &FindingsError) -> Status {
    complain(format_args!(
        "error: {}",
        shown::one_line(&error.to_string())
    ));
    match error {
        FindingsError::Refused { .. } => Status::WrongUsage,
        _ => Status::CouldNotJudge,
    }
}
