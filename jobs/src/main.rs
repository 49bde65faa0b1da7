//! `centinel`: stands beside a payment platform, reads what its systems did, and says where money is lost.

mod audit;
mod baseline;
mod beside;
mod breaker;
mod breaker_report;
mod catch_up;
mod changes;
mod check;
mod config;
mod console;
mod detect;
mod detection;
mod drill;
mod exit;
mod findings;
mod findings_file;
mod findings_report;
mod folders;
mod heartbeats;
mod interface;
mod lines;
mod plan;
mod printer;
mod reload;
mod repair;
mod rules;
mod run;
mod schedule;
mod sweep_told;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Status;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds money losses in a payment platform, by rules written in SQL.
#[derive(Parser, Debug)]
#[command(name = "centinel", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand, Debug)]
enum Job {
    /// Runs detection over a simulated payment platform and shows what it finds
    Run(run::RunArguments),
    /// Reads change and event logs and tells what is broken, as soon as it is sure
    Detect(detect::DetectArguments),
    /// Reads the configuration file, connects to everything that it names, and says each problem with its remedy
    Check(check::CheckArguments),
    /// Prints what the platform must write at an interval, so that silence can be told from standing still
    Heartbeats(heartbeats::HeartbeatsArguments),
    /// Judges a snapshot of Parquet files
    Audit(audit::AuditArguments),
    /// Lists the changes made by hand that detection told: who, when, what, and what their checkpoints say
    Changes(changes::ChangesArguments),
    /// Plants faults where nothing is real and says of each whether it was noticed, how soon, and what was held
    Drill(drill::DrillArguments),
    /// Keeps what detection told and what people say of it: lists, shows, acknowledges, resolves, exports findings
    Findings(findings::FindingsArguments),
    /// Runs the audits and drills that the configuration file declares when they are due, and keeps their reports and
    /// history
    Schedule(schedule::ScheduleArguments),
    /// Serves the fund circuit breaker, makes its first admin, verifies its audit log
    Breaker(breaker::BreakerArguments),
    /// Serves pages for the people who act on findings
    Console(console::ConsoleArguments),
    /// Tries a repair on a snapshot before it touches money, and records who approved it
    Repair(repair::RepairArguments),
    /// Checks, tests and explains rules
    Rules(rules::RulesArguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) => return refuse(&refusal),
    };
    match arguments.job {
        Job::Run(arguments) => run::run(&arguments),
        Job::Detect(arguments) => detect::run(&arguments),
        Job::Check(arguments) => check::run(&arguments),
        Job::Heartbeats(arguments) => heartbeats::run(&arguments),
        Job::Audit(arguments) => audit::run(&arguments),
        Job::Changes(arguments) => changes::run(&arguments),
        Job::Drill(arguments) => drill::run(&arguments),
        Job::Findings(arguments) => findings::run(&arguments),
        Job::Schedule(arguments) => schedule::run(&arguments),
        Job::Breaker(arguments) => breaker::run(&arguments),
        Job::Console(arguments) => console::run(&arguments),
        Job::Repair(arguments) => repair::run(&arguments),
        Job::Rules(arguments) => rules::run(&arguments),
    }
}

/// Shows help, the version or what is wrong with the command line. Nobody may be there to read it.
fn refuse(refusal: &clap::Error) -> ExitCode {
    let _ = refusal.print();
    match refusal.use_stderr() {
        true => Status::WrongUsage.into(),
        false => Status::Clean.into(),
    }
}
