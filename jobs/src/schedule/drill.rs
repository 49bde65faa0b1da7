//! One run of a drill: played apart from everything real, and written down.

use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::atomic::AtomicBool;

use centinel_model::Timestamp;

use super::begun::Begun;
use super::history::{DrillFigures, Ended, Outcome, StartedBy};
use super::scheduled::Scheduled;
use crate::config::{Config, DrillConfig};
use crate::drill::{self, Drilled, Failure, Format, Plan};
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{Printer, complain};

/// The faults of the last run, in the drill's folder.
const FAULTS: &str = "faults.jsonl";

/// Runs a drill now. The exit status is the drill's; [`Status`] says why nothing was begun.
pub fn run(
    config: &Config,
    drill: &DrillConfig,
    run_for: Option<Timestamp>,
    started_by: StartedBy,
) -> Result<u8, Status> {
    let input = |_| drill::shown(&drill.input);
    let begun = Begun::begin(Scheduled::Drill(drill), run_for, started_by, &input)?;
    let plan = Plan {
        name: Some(drill.name.clone()),
        folders: Folders {
            schemas: config.schemas.clone(),
            rules: config.rules.clone(),
        },
        input: drill.input.clone(),
        seed: drill.seed,
        orders: drill.orders,
        kinds: drill.kinds.clone(),
        with_breaker: drill.with_breaker,
        folder: begun.folder.clone(),
    };
    // One that is stopped or takes too long is ended with its process.
    let drilled = drill::drill(&plan, &AtomicBool::new(false));
    begun.comes_to_its_end();
    end(&begun, drilled)
        .map_err(|error| begun.failed("the report or the history cannot be written", &error))
}

/// Writes the report and last the line of the history, which makes it count.
fn end(begun: &Begun, drilled: Result<Drilled, Failure>) -> io::Result<u8> {
    let mut ended = Ended {
        run: begun.id.clone(),
        outcome: Outcome::Failed,
        exit_status: Status::CouldNotJudge as u8,
        duration_ms: begun.duration_ms(),
        problem: None,
        result: None,
        drill: None,
    };
    match drilled {
        Ok(drilled) => {
            let file = File::create(begun.folder.join(FAULTS))?;
            let printer = Printer::to(BufWriter::new(file));
            let status = drill::show(&drilled, Format::Jsonl, printer, drilled.status);
            drill::show(&drilled, Format::Table, Printer::stdout(), Status::Clean);
            ended.outcome = Outcome::Finished;
            ended.exit_status = status as u8;
            ended.drill = Some(DrillFigures {
                drill: drilled.line.drill.clone(),
                told: drill::told(&drilled),
            });
        }
        Err(failure) => {
            complain(format_args!("error: {}", failure.problem));
            ended.exit_status = failure.status as u8;
            ended.problem = Some(failure.problem);
        }
    }
    let status = ended.exit_status;
    begun.end(ended)?;
    Ok(status)
}
