//! `centinel schedule`: runs the audits and the drills that the configuration declares, when they are due.

mod begun;
mod cron;
mod drill;
mod due;
pub mod history;
mod list;
mod place;
mod run;
mod scheduled;
mod selection;
mod serve;
mod sudden;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use centinel_model::Timestamp;
use clap::Args;

pub use cron::Cron;
pub use due::{Missed, Timing};
pub use place::{PATTERN, Place};
pub use selection::{Unfit, rules_of, version_of};

use crate::check::refuse;
use crate::config::{Config, suggest};
use crate::exit::Status;
use crate::printer::complain;
use history::StartedBy;
use scheduled::Scheduled;

/// The command line of `centinel schedule`.
#[derive(Args, Debug)]
pub struct ScheduleArguments {
    /// The configuration file, which declares audits as [audits.NAME] and drills as [drills.NAME]
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
    /// Show each audit and drill with its next run and its last result, and end
    #[arg(long, conflicts_with = "once")]
    list: bool,
    /// Run one audit or drill now and end with its exit status, as cron, Airflow or Kubernetes want it
    #[arg(long, value_name = "NAME")]
    once: Option<String>,
    /// The time to run it for, such as 2026-11-22T08:00:00Z: it fills in the date in the snapshot's place, and is the
    /// moment of an archive, each less `lag`; now by default
    #[arg(long = "for", value_name = "TIME", value_parser = Timestamp::parse, requires = "once")]
    run_for: Option<Timestamp>,
    /// Audits and drills that run side by side; each audit alone uses up to its `memory`
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Set where the schedule itself begins the run
    #[arg(long, hide = true, requires = "once")]
    by_schedule: bool,
}

/// Runs, lists, or follows the schedule until interrupted.
pub fn run(arguments: &ScheduleArguments) -> ExitCode {
    match arguments.schedule() {
        Ok(code) => code,
        Err(status) => status.into(),
    }
}

impl ScheduleArguments {
    fn schedule(&self) -> Result<ExitCode, Status> {
        let config = Config::load(&self.config).map_err(|problems| refuse(&problems))?;
        if Scheduled::all(&config).is_empty() {
            complain(format_args!(
                "error: {} declares no audit and no drill; add [audits.<name>] with `snapshot` and `cron`, or \
                 [drills.<name>] with `cron`",
                self.config.display()
            ));
            return Err(Status::WrongUsage);
        }
        if let Some(name) = &self.once {
            let scheduled = named(&config, name)?;
            let started_by = match self.by_schedule {
                true => StartedBy::Schedule,
                false => StartedBy::Command,
            };
            let status = match scheduled {
                Scheduled::Audit(audit) => run::run(&config, audit, self.run_for, started_by)?,
                Scheduled::Drill(drill) => drill::run(&config, drill, self.run_for, started_by)?,
            };
            return Ok(ExitCode::from(status));
        }
        if self.list {
            return list::list(&config).map(Into::into);
        }
        serve::serve(&config, usize::from(self.parallel)).map(Into::into)
    }
}

fn named<'a>(config: &'a Config, name: &str) -> Result<Scheduled<'a>, Status> {
    let all = Scheduled::all(config);
    let found = all.iter().find(|scheduled| scheduled.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|scheduled| scheduled.name()).collect();
        complain(format_args!(
            "error: there is no audit or drill `{name}`; {}",
            suggest(name, &names)
        ));
        Status::WrongUsage
    })
}
