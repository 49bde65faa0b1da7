//! `centinel`: stands beside a payment platform, reads what its systems did, and says where money is lost.

mod alerts;
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
mod following;
mod heartbeats;
mod in_force;
mod interface;
mod lines;
mod log;
mod observing;
mod plan;
mod printer;
mod quarantine;
mod query;
mod reload;
mod repair;
mod rules;
mod run;
mod schedule;
mod self_check;
mod sweep_told;
mod taking_in;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Status;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds money losses in a payment platform, by rules written in SQL.
#[derive(Parser, Debug)]
#[command(name = "centinel", version, after_help = exit::HELP)]
struct Arguments {
    /// How to write what is said on standard error; the environment variable CENTINEL_LOG says it, too [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    log_format: Option<log::Format>,
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
    /// Shows how the channels do by which people are told of findings, and sends a test through one
    Alerts(alerts::AlertsArguments),
    /// Asks in SQL about findings, trips, audits, the current state and the archive; only reads
    Query(query::QueryArguments),
    /// Lists records that could not be read, and ends what they put in doubt: accepts them, or reads them again
    Quarantine(quarantine::QuarantineArguments),
    /// Runs the audits and drills that the configuration file declares when they are due, and keeps their reports and
    /// history
    Schedule(schedule::ScheduleArguments),
    /// Serves the fund circuit breaker, makes its first admin, verifies its audit log
    Breaker(breaker::BreakerArguments),
    /// Shows everything that happened to an order, or any entity, in every system, in one line of time
    Trace(trace::TraceArguments),
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
    if let Err(wrong) = log::begin(arguments.log_format) {
        printer::complain(format_args!("error: {wrong}"));
        return Status::WrongUsage.into();
    }
    match arguments.job {
        Job::Run(arguments) => run::run(&arguments),
        Job::Detect(arguments) => detect::run(&arguments),
        Job::Check(arguments) => check::run(&arguments),
        Job::Heartbeats(arguments) => heartbeats::run(&arguments),
        Job::Audit(arguments) => audit::run(&arguments),
        Job::Changes(arguments) => changes::run(&arguments),
        Job::Drill(arguments) => drill::run(&arguments),
        Job::Findings(arguments) => findings::run(&arguments),
        Job::Alerts(arguments) => alerts::run(&arguments),
        Job::Query(arguments) => query::run(&arguments),
        Job::Quarantine(arguments) => quarantine::run(&arguments),
        Job::Schedule(arguments) => schedule::run(&arguments),
        Job::Breaker(arguments) => breaker::run(&arguments),
        Job::Trace(arguments) => trace::run(&arguments),
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
