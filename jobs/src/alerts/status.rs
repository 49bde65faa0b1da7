//! `centinel alerts status`.

use std::path::PathBuf;

use centinel_alert::{Alerts, ChannelStatus, StateFile, Status as Standing};
use centinel_model::Timestamp;
use clap::{Args, ValueEnum};

use super::{STATE, configured};
use crate::exit::Status;
use crate::printer::{Printer, complain, counted};

/// The command line of `centinel alerts status`.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

impl StatusArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let (config, alerts) = configured(&self.config)?;
        let path = config.state.join(STATE);
        let failed = |error: &dyn std::fmt::Display| {
            complain(format_args!("error: {}: {error}", path.display()));
            Status::CouldNotJudge
        };
        let stored = StateFile::new(&path)
            .read()
            .map_err(|error| failed(&error))?;
        let known = match &stored {
            Some(bytes) => Alerts::restore(alerts.channels.rules.clone(), bytes),
            None => Ok(Alerts::new(alerts.channels.rules.clone(), "none")),
        };
        let standing = known.map_err(|error| failed(&error))?.status();
        let mut printer = Printer::stdout();
        match self.format {
            Format::Json => {
                let json = serde_json::to_string(&standing).map_err(|error| failed(&error))?;
                printer.line(json);
            }
            Format::Table => show(&mut printer, &standing, stored.is_some()),
        }
        let fails = |channel: &ChannelStatus| channel.health.failing_since.is_some();
        let status = match standing.channels.values().any(fails) {
            true => Status::Findings,
            false => Status::Clean,
        };
        Ok(printer.finish(status))
    }
}

fn show<W: std::io::Write>(printer: &mut Printer<W>, standing: &Standing, stored: bool) {
    if !stored {
        printer.line("detection has not told anybody anything yet");
    }
    for (name, channel) in &standing.channels {
        let health = &channel.health;
        let removed = match channel.configured {
            true => "",
            false => " (not configured any more)",
        };
        printer.line(format_args!(
            "{name}{removed}: {} delivered, which mentioned {}; {} not delivered yet, with {}",
            counted(health.delivered, "message", "messages"),
            counted(health.mentioned, "finding", "findings"),
            counted(channel.pending, "message", "messages"),
            counted(channel.pending_findings, "finding", "findings"),
        ));
        if let Some(at) = health.last_delivered {
            printer.line(format_args!("  last delivered {}", Timestamp(at)));
        }
        if health.failed > 0 {
            printer.line(format_args!(
                "  {} failed, {} refused for good, {} given up (both were told in a digest)",
                counted(health.failed, "attempt", "attempts"),
                health.refused,
                health.given_up
            ));
        }
        if let Some(since) = health.failing_since {
            let why = health.last_error.as_deref().unwrap_or("nobody knows why");
            printer.line(format_args!("  FAILS since {}: {why}", Timestamp(since)));
        }
    }
    for (severity, count) in &standing.unrouted {
        printer.line(format_args!(
            "{} of severity {severity} went to nobody: no channel takes them",
            counted(*count, "finding", "findings")
        ));
    }
    printer.line(format_args!(
        "{} open",
        counted(standing.open, "finding", "findings")
    ));
}
