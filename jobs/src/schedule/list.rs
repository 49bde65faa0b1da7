//! `centinel schedule --list`.

use centinel_model::Timestamp;
use chrono::{DateTime, SecondsFormat};

use super::due::Timing;
use super::history::{History, Run};
use super::scheduled::Scheduled;
use crate::config::Config;
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::printer::{Printer, complain};

/// Prints each audit and drill with its next run and its last result.
pub fn list(config: &Config) -> Result<Status, Status> {
    let now = wall_clock();
    let mut printer = Printer::stdout();
    let mut status = Status::Clean;
    for scheduled in Scheduled::all(config) {
        let (name, timing) = (scheduled.name(), scheduled.timing());
        let next = timing.cron.next_after(now, timing.zone);
        let next = next.map_or("never".to_owned(), |next| local(next, timing));
        let mark = match scheduled {
            Scheduled::Audit(_) => "",
            Scheduled::Drill(_) => "drill ",
        };
        printer.line(format_args!(
            "{mark}{name}: next {next} ({}, {})",
            timing.cron, timing.zone
        ));
        match History::read(&scheduled.folder()) {
            Ok(history) => printer.line(format_args!("  {}", last(&history))),
            Err(error) => {
                complain(format_args!(
                    "error: the history of `{name}` cannot be read: {error}"
                ));
                status = Status::CouldNotJudge;
            }
        }
    }
    Ok(printer.finish(status))
}

/// As clocks in the zone show it.
fn local(time: Timestamp, timing: &Timing) -> String {
    match DateTime::from_timestamp_micros(time.0) {
        Some(at) => at
            .with_timezone(&timing.zone)
            .to_rfc3339_opts(SecondsFormat::Secs, false),
        None => time.to_string(),
    }
}

fn last(history: &History) -> String {
    match history.runs.last() {
        None => "never run".to_owned(),
        Some(run) => format!("last {}: {}", run.at, told(run)),
    }
}

/// What became of a run, in one line.
pub fn told(run: &Run) -> String {
    let Some(ended) = &run.ended else {
        return "under way, or cut off".to_owned();
    };
    let mut told = format!("{}, exit {}", ended.outcome.told(), ended.exit_status);
    if let Some(result) = &ended.result {
        told.push_str(&format!(": {} findings", result.findings));
        if let Some(compared) = &result.compared {
            told.push_str(&format!(" ({} new, {} gone)", compared.new, compared.gone));
        }
        if !result.at_risk.0.is_empty() {
            told.push_str(&format!(", {} at risk", result.at_risk.shown()));
        }
        if result.could_not_judge > 0 {
            told.push_str(&format!(", {} could not be judged", result.could_not_judge));
        }
    }
    if let Some(drill) = &ended.drill {
        told.push_str(&format!(": {}", drill.told));
    }
    if let Some(problem) = &ended.problem {
        told.push_str(&format!(": {problem}"));
    }
    told
}
