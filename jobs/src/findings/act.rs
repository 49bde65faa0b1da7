//! What people do to findings.

use centinel_findings::Act;
use clap::Args;

use super::open::{Opened, Place};
use super::refuse;
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::printer::Printer;

/// To which finding something is done, and by whom.
#[derive(Args, Clone, Debug)]
pub struct Doing {
    #[command(flatten)]
    place: Place,
    /// The finding's id, or how it begins
    #[arg(value_name = "FINDING")]
    finding: String,
    /// Who does it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Do nothing if more has happened since this entry, which `show` names as the last
    #[arg(long, value_name = "ENTRY")]
    seen: Option<u64>,
}

impl Doing {
    fn run(&self, act: &Act) -> Result<Status, Status> {
        let Opened { mut store, status } = self.place.open()?;
        let fail = |error| refuse(&error);
        let id = store.id_that_begins(&self.finding).map_err(fail)?;
        let entry = store
            .act(&id, act, &self.by, self.seen, wall_clock())
            .map_err(fail)?;
        let mut printer = Printer::stdout();
        printer.line(format_args!(
            "done: entry {entry} of {}",
            super::shown::one_line(&id)
        ));
        Ok(printer.finish(status))
    }
}

/// An act that needs no reason.
#[derive(Args, Debug)]
pub struct AckArguments {
    #[command(flatten)]
    doing: Doing,
    /// What there is to say
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl AckArguments {
    pub fn run(&self) -> Result<Status, Status> {
        self.doing.run(&Act::Acknowledge {
            note: self.note.clone(),
        })
    }
}

/// An act that needs one.
#[derive(Args, Debug)]
pub struct ReasonArguments {
    #[command(flatten)]
    doing: Doing,
    /// Why, or what was done
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl ReasonArguments {
    pub fn run(&self, act: fn(String) -> Act) -> Result<Status, Status> {
        self.doing.run(&act(self.reason.clone()))
    }
}

pub fn resolved(reason: String) -> Act {
    Act::Resolve { reason }
}

pub fn false_alarm(reason: String) -> Act {
    Act::FalseAlarm { reason }
}

pub fn reopened(reason: String) -> Act {
    Act::Reopen { reason }
}

/// To whom a finding is given.
#[derive(Args, Debug)]
pub struct AssignArguments {
    #[command(flatten)]
    doing: Doing,
    /// Who answers for it from now on; without it, its rule's owner does again
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
}

impl AssignArguments {
    pub fn run(&self) -> Result<Status, Status> {
        self.doing.run(&Act::Assign {
            owner: self.to.clone(),
        })
    }
}

/// What is noted.
#[derive(Args, Debug)]
pub struct NoteArguments {
    #[command(flatten)]
    doing: Doing,
    /// The note, at most 8 KiB
    #[arg(long, value_name = "TEXT")]
    text: String,
}

impl NoteArguments {
    pub fn run(&self) -> Result<Status, Status> {
        self.doing.run(&Act::Note {
            text: self.text.clone(),
        })
    }
}

/// Who says that detection began anew.
#[derive(Args, Debug)]
pub struct AnewArguments {
    #[command(flatten)]
    place: Place,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
}

impl AnewArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let mut store = self.place.open_store()?;
        store
            .begin_anew(&self.by, wall_clock())
            .map_err(|error| refuse(&error))?;
        Ok(Status::Clean)
    }
}
