//! `centinel schedule --list`.

use centinel_model::Timestamp;
use chrono::{DateTime, SecondsFormat};

use super::history::{History, Run};
use super::run::folder_of;
use crate::config::{AuditConfig, Config};
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::printer::{Printer, complain};

/// Prints each audit with its next run and its last result.
pub fn list(config: &Config) -> Result<Status, Status> {
    let now = wall_clock();
    let mut printer = Printer::stdout();
    let mut status = Status::Clean;
    for audit in &config.audits {
        let timing = &audit.timing;
        let next = timing.cron.next_after(now, timing.zone);
        let next = next.map_or("never".to_owned(), |next| local(next, audit));
        printer.line(format_args!(
            "{}: next {next} ({}, {})",
            audit.name, timing.cron, timing.zone
        ));
        match History::read(&folder_of(audit)) {
            Ok(history) => printer.line(format_args!("  {}", last(&history))),
            Err(error) => {
                complain(format_args!(
                    "error: the history of `{}` cannot be read: {error}",
                    audit.name
                ));
                status = Status::CouldNotJudge;
            }
        }
    }
    Ok(printer.finish(status))
}

/// As clocks in the audit's zone show it.
fn local(time: Timestamp, audit: &AuditConfig) -> String {
    match DateTime::from_timestamp_micros(time.0) {
        Some(at) => at
            .with_timezone(&audit.timing.zone)
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
    if let Some(problem) = &ended.problem {
        told.push_str(&format!(": {problem}"));
    }
    told
}
