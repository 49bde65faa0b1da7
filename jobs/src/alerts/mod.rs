//! Alerts: detection's findings → people, by the channels of `[alerts.<name>]`; and `centinel alerts`, which shows how
//! the channels do and sends a test through one.

mod feed;
mod status;
mod telling;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use centinel_alert::Outlets;
use clap::{Args, Subcommand};

pub use telling::{Alerting, Telling};

use crate::check::refuse;
use crate::config::{AlertsConfig, Config, Problem};
use crate::exit::Status;

/// The state of all channels, below detection's own.
pub const STATE: &str = "alerts.json";

/// The command line of `centinel alerts`.
#[derive(Args, Debug)]
pub struct AlertsArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Shows what each channel was sent, what waits for it, and since when it fails
    ///
    /// Exit status: 0 all channels take messages, 2 one fails, 3 the state cannot be read, 64 wrong usage.
    Status(status::StatusArguments),
    /// Sends a message that is marked as a test through channels
    ///
    /// Exit status: 0 all took it, 3 one did not, 64 wrong usage.
    Test(test::TestArguments),
}

/// Runs `centinel alerts`.
pub fn run(arguments: &AlertsArguments) -> ExitCode {
    let done = match &arguments.task {
        Task::Status(arguments) => arguments.run(),
        Task::Test(arguments) => arguments.run(),
    };
    match done {
        Ok(status) | Err(status) => status.into(),
    }
}

/// The configuration and its channels.
fn configured(path: &Path) -> Result<(Config, AlertsConfig), Status> {
    let config = Config::load(path).map_err(|problems| refuse(&problems))?;
    let Some(alerts) = config.alerts.clone() else {
        let remedy =
            "add a table [alerts.<name>] for each channel, as pipeline/alert/README.md shows";
        let problem = Problem::new(&config.file, 0, "it names no channel for alerts", remedy);
        return Err(refuse(&[problem]));
    };
    Ok((config, alerts))
}

/// What sends, with its secrets. Relative paths begin at the configuration file.
///
/// # Errors
/// Every secret that cannot be read, and every address that cannot be.
pub fn outlets(config: &Config, alerts: &AlertsConfig) -> Result<Outlets, Vec<Problem>> {
    let folder: PathBuf = config.file.parent().map(Path::to_owned).unwrap_or_default();
    let variable = |name: &str| std::env::var_os(name);
    let made = alerts.channels.outlets(&variable, &folder);
    made.map_err(|problems| {
        let placed = |problem: centinel_alert::Problem| {
            let what = format!("[alerts.{}]: {}", problem.channel, problem.what);
            let remedy = "see pipeline/alert/README.md for what the channel needs";
            Problem::new(&config.file, alerts.line, what, remedy)
        };
        problems.into_iter().map(placed).collect()
    })
}
