//! `centinel rules`: what an analyst does with rules before they run.

mod answer;
mod by_audit;
mod by_detection;
mod check;
mod explain;
mod test;

use std::process::ExitCode;
use std::sync::Arc;

use centinel_rules::{Rule, RuleSet};
use clap::{Args, Subcommand, ValueEnum};

use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::complain;

/// The command line of `centinel rules`.
#[derive(Args, Debug)]
pub struct RulesArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Reads schemas, rules and tests, shows every mistake, and says where each rule runs
    Check {
        #[command(flatten)]
        folders: Folders,
    },
    /// Runs the tests beside the rules, each by every path on which rules are judged
    Test {
        /// Ids of rules; all unless given
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        folders: Folders,
        /// How results are shown
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Shows what rules read, whether they are local and why, and their plans
    Explain {
        /// Ids of rules
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        folders: Folders,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Junit,
}

/// Runs `centinel rules`.
pub fn run(arguments: &RulesArguments) -> ExitCode {
    let done = match &arguments.task {
        Task::Check { folders } => check::run(folders),
        Task::Test {
            ids,
            folders,
            format,
        } => test::run(folders, ids, *format),
        Task::Explain { ids, folders } => explain::run(folders, ids),
    };
    done.unwrap_or_else(|refused| refused).into()
}

/// The rules with these ids, all where none is given.
fn named(rules: &RuleSet, ids: &[String]) -> Result<Vec<Arc<Rule>>, Status> {
    if ids.is_empty() {
        return Ok(rules.rules.clone());
    }
    let found = ids.iter().map(|id| {
        rules.get(id).cloned().ok_or_else(|| {
            complain(format_args!("error: there is no rule `{id}`"));
            Status::WrongUsage
        })
    });
    found.collect()
}
