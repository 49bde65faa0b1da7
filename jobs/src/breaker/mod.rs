//! `centinel breaker`: the fund circuit breaker as a process of its own, its first admin, and its audit log verified.

mod first_admin;
mod serve;
mod verify_log;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use centinel_breaker_service::{Head, ServeError};
use clap::{Args, Subcommand};

use crate::check::refuse;
use crate::config::{BreakerConfig, Config};
use crate::exit::Status;
use crate::printer::complain;

pub use serve::{Inside, runtime};

/// The command line of `centinel breaker`.
#[derive(Args, Debug)]
pub struct BreakerArguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand, Debug)]
enum Act {
    /// Serves the breaker until interrupted
    Serve {
        #[command(flatten)]
        file: File,
    },
    /// Makes the first admin of a new store, before the first start. The password is read from the environment
    /// variable BREAKER_PASSWORD, else from the first line of standard input
    FirstAdmin {
        /// The admin's name
        name: String,
        #[command(flatten)]
        file: File,
    },
    /// Verifies the audit log and that the store holds what it says, whether the breaker runs or not. Status 0: it is
    /// whole; 2: it is not; 3: it could not be read
    VerifyLog {
        #[command(flatten)]
        file: File,
        /// A head that an earlier verification printed: the log must go through it, so that nothing was cut off its
        /// end
        #[arg(long, value_name = "SEQUENCE:HASH", value_parser = verify_log::head)]
        noted: Option<Head>,
    },
}

#[derive(Args, Debug)]
struct File {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Does it.
pub fn run(arguments: &BreakerArguments) -> ExitCode {
    let done = match &arguments.act {
        Act::Serve { file } => load(&file.config).and_then(serve::serve),
        Act::FirstAdmin { name, file } => {
            load(&file.config).and_then(|config| first_admin::make(&config, name))
        }
        Act::VerifyLog { file, noted } => {
            load(&file.config).and_then(|config| verify_log::verify(&config, noted.as_ref()))
        }
    };
    match done {
        Ok(status) | Err(status) => status.into(),
    }
}

fn load(path: &Path) -> Result<BreakerConfig, Status> {
    Config::load_breaker(path).map_err(|problems| refuse(&problems))
}

/// Says why the breaker does not do it.
fn failed(error: &ServeError) -> Status {
    complain(format_args!("error: {error}"));
    match error {
        ServeError::Config(_) => Status::WrongUsage,
        ServeError::Store(_) | ServeError::Start(_) => Status::CouldNotJudge,
    }
}
