//! `centinel drill`: faults on purpose, apart from everything real, to see that each is noticed, how soon, and what the
//! breaker then holds.
//!
//! | file | holds |
//! |---|---|
//! | `script` | what is played, known beforehand: lines, faults, and what must be found of each |
//! | `acts` | when the platform moves money and asks |
//! | `watched` | the drill's own detection, over a state in memory |
//! | `breaker` | the drill's own breaker, on a port of its own |
//! | `play` | both of them through the script, in source time |
//! | `judge` | what must be found against what was found |
//! | `outcome`, `history`, `show` | what became of it |

mod acts;
mod breaker;
mod history;
mod judge;
mod outcome;
mod play;
mod script;
mod show;
mod watched;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use centinel_model::Verdict as Told;
use centinel_rules::Rule;
use clap::{Args, Subcommand};
use data_fixtures::{DRILL_MARK, FaultKind};

pub use history::{DrillLine, all};
pub use outcome::FaultOutcome;
pub use script::shown;
pub use show::{Format, show, told};

use crate::audit::wanted;
use crate::check::refuse;
use crate::config::{Config, suggest};
use crate::detect::{runnable, stop_when_asked, wall_clock};
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{Printer, complain};
use crate::schedule::version_of;
use history::{BreakerTotals, Brief, Compared};
use judge::{BreakerSeen, Seen};
use outcome::{Moved, Verdict};
use play::Played;
use script::Script;

/// Orders of a simulated platform, so that every fault finds one and memory holds them all.
pub const ORDERS: std::ops::RangeInclusive<u64> = 60..=20_000;
/// As many as show holds before and after, and take seconds.
pub const USUAL_ORDERS: u64 = 500;

/// The command line of `centinel drill`.
#[derive(Args, Debug)]
pub struct DrillArguments {
    #[command(subcommand)]
    job: DrillJob,
}

#[derive(Subcommand, Debug)]
enum DrillJob {
    /// Plants faults where nothing is real, and reports of each whether it was detected, by which rule and how soon
    Run(RunArguments),
}

#[derive(Args, Debug)]
struct RunArguments {
    #[command(flatten)]
    folders: Folders,
    /// The configuration file, for its schemas and rules; nothing else of it is used
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schemas", "rules"])]
    config: Option<PathBuf>,
    /// Change logs, each line a JSON object, to copy instead of simulating a platform: copies of real orders with faults
    /// in them, under numbers of a drill, play among the real ones
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with_all = ["seed", "orders"])]
    input: Vec<PathBuf>,
    /// Equal seeds and orders give equal drills
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many orders the simulated platform has
    #[arg(long, value_name = "COUNT", default_value_t = USUAL_ORDERS, value_parser = clap::value_parser!(u64).range(ORDERS))]
    orders: u64,
    /// Plant this fault only; may be given several times
    #[arg(long, num_args = 1.., value_name = "KIND", value_parser = fault)]
    kind: Vec<FaultKind>,
    /// Start a breaker of the drill's own, let findings trip it, and ask it wherever the platform moves money
    #[arg(long)]
    with_breaker: bool,
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Where to write it; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder of the drills' history, with which each is compared
    #[arg(long, value_name = "DIR", default_value = ".centinel/drill")]
    folder: PathBuf,
}

/// The fault of that name.
pub fn fault(name: &str) -> Result<FaultKind, String> {
    FaultKind::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = FaultKind::ALL.iter().map(|fault| fault.name()).collect();
        format!("there is no such fault; {}", suggest(name, &names))
    })
}

/// Runs the drill and shows what came of it.
pub fn run(arguments: &DrillArguments) -> ExitCode {
    let DrillJob::Run(arguments) = &arguments.job;
    match arguments.run() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl RunArguments {
    fn run(&self) -> Result<Status, Status> {
        let stop = stop_when_asked()?;
        let plan = Plan {
            name: None,
            folders: self.folders()?,
            input: self.input.clone(),
            seed: self.seed,
            orders: self.orders,
            kinds: self.kind.clone(),
            with_breaker: self.with_breaker,
            folder: self.folder.clone(),
        };
        let drilled = drill(&plan, &stop).map_err(|failure| {
            complain(format_args!("error: {}", failure.problem));
            failure.status
        })?;
        let status = drilled.status;
        Ok(match &self.out {
            None => show(&drilled, self.format, Printer::stdout(), status),
            Some(path) => {
                let file = File::create(path).map_err(|error| {
                    complain(format_args!(
                        "error: cannot write {}: {error}",
                        path.display()
                    ));
                    Status::CouldNotJudge
                })?;
                let printer = Printer::to(BufWriter::new(file));
                show(&drilled, self.format, printer, status)
            }
        })
    }

    fn folders(&self) -> Result<Folders, Status> {
        let Some(path) = &self.config else {
            return Ok(self.folders.clone());
        };
        let config = Config::load(path).map_err(|problems| refuse(&problems))?;
        Ok(Folders {
            schemas: config.schemas,
            rules: config.rules,
        })
    }
}

/// What is to be drilled.
pub struct Plan {
    /// Its name in the configuration, where it has one.
    pub name: Option<String>,
    /// Whose rules are tried.
    pub folders: Folders,
    /// Change logs to copy; without any a platform is simulated.
    pub input: Vec<PathBuf>,
    /// By what draws are made.
    pub seed: u64,
    /// Orders of the simulated platform.
    pub orders: u64,
    /// The faults; all where none is named.
    pub kinds: Vec<FaultKind>,
    /// Whether a breaker of its own is tried, too.
    pub with_breaker: bool,
    /// Where its history is.
    pub folder: PathBuf,
}

/// A drill that came to its end.
pub struct Drilled {
    /// As it stands in the history.
    pub line: DrillLine,
    /// Each fault.
    pub faults: Vec<FaultOutcome>,
    /// Its exit status.
    pub status: Status,
}

/// Why a drill did not come to its end.
pub struct Failure {
    /// For a person.
    pub problem: String,
    /// What that makes of the job.
    pub status: Status,
}

impl Failure {
    fn of(problem: impl Into<String>) -> Failure {
        Failure {
            problem: problem.into(),
            status: Status::CouldNotJudge,
        }
    }

    fn folder(folder: &Path, error: &io::Error) -> Failure {
        Failure::of(format!("{}: {error}", folder.display()))
    }
}

/// Runs a drill, puts it beside the one before and adds it to the history.
pub fn drill(plan: &Plan, stop: &AtomicBool) -> Result<Drilled, Failure> {
    let began = (wall_clock(), Instant::now());
    let of_files = |status| Failure {
        problem: "the schemas or rules cannot be used: see above".into(),
        status,
    };
    let (catalog, rules) = plan.folders.load().map_err(of_files)?;
    let rules = runnable(wanted(&rules.rules, &[]), false).map_err(of_files)?;
    std::fs::create_dir_all(&plan.folder).map_err(|error| Failure::folder(&plan.folder, &error))?;
    let kinds = match plan.kinds.as_slice() {
        [] => FaultKind::ALL,
        named => named,
    };
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let script = match plan.input.as_slice() {
        [] => Script::simulated(plan.seed, plan.orders, &kinds),
        files => Script::copied(files, &kinds).map_err(Failure::of)?,
    };
    let played = play::play(&script, &catalog, &rules, plan.with_breaker, stop);
    let played = played.map_err(Failure::of)?;
    let mut drilled = conclude(plan, &script, &played, &rules);
    drilled.line.drill = began.0.to_string().replace(['-', ':'], "");
    drilled.line.at = began.0.to_string();
    drilled.line.duration_ms = u64::try_from(began.1.elapsed().as_millis()).unwrap_or(u64::MAX);
    remember(plan, &mut drilled.line).map_err(|error| Failure::folder(&plan.folder, &error))?;
    Ok(drilled)
}

/// Beside the drill before, and into the history.
fn remember(plan: &Plan, line: &mut DrillLine) -> io::Result<()> {
    let (before, unreadable) = history::last(&plan.folder)?;
    if unreadable > 0 {
        let folder = plan.folder.display();
        complain(format_args!(
            "warning: {folder}: {unreadable} lines of the history cannot be read and are passed over"
        ));
    }
    line.compared = before.map(|before| Compared::of(line, &before));
    history::add(&plan.folder, line)
}

/// What became of every fault, and of the drill.
fn conclude(plan: &Plan, script: &Script, played: &Played, rules: &[Arc<Rule>]) -> Drilled {
    let asked: Vec<(String, bool)> = rules
        .iter()
        .map(|rule| (rule.id.clone(), breaker::trips(rule)))
        .collect();
    let seen = Seen {
        findings: &played.findings,
        rules: &asked,
        breaker: played.breaker.as_ref(),
    };
    let courses = script.courses.iter();
    let faults: Vec<FaultOutcome> = courses.map(|course| judge::judge(course, &seen)).collect();
    let count = |verdict| {
        faults
            .iter()
            .filter(|fault| fault.verdict == verdict)
            .count() as u64
    };
    let mut problems = Vec::new();
    let unplanted = script.unplanted.iter().filter(|kind| {
        let planted = script.courses.iter();
        !planted.clone().any(|course| course.planted.fault == **kind)
    });
    problems.extend(unplanted.map(|kind| {
        format!(
            "{}: there was no order to plant it in: give the drill more of them",
            kind.name()
        )
    }));
    if played.holes > 0 {
        problems.push(format!("{} records could not be read", played.holes));
    }
    if !played.lacks.is_empty() {
        problems.push(format!(
            "the schemas lack {}, of which the platform of drills writes",
            played.lacks.join(", ")
        ));
    }
    let false_alarms = false_alarms(script, played);
    let unsure = count(Verdict::CouldNotJudge) > 0 || !problems.is_empty();
    let wrong = count(Verdict::Detected) < faults.len() as u64 || false_alarms > 0;
    let status = match (unsure, wrong) {
        (true, _) => Status::CouldNotJudge,
        (_, true) => Status::Findings,
        _ => Status::Clean,
    };
    let line = DrillLine {
        schema: history::SCHEMA.into(),
        name: plan.name.clone(),
        input: shown(&plan.input),
        seed: plan.seed,
        orders: match plan.input.as_slice() {
            [] => plan.orders,
            _ => faults.len() as u64,
        },
        lines: script.len() as u64,
        rules: rules.len() as u64,
        rules_version: version_of(rules),
        exit_status: status as u8,
        detected: count(Verdict::Detected),
        incomplete: count(Verdict::Incomplete),
        unnoticed: count(Verdict::Unnoticed),
        could_not_judge: count(Verdict::CouldNotJudge),
        false_alarms,
        problems,
        breaker: played.breaker.as_ref().map(totals),
        faults: faults.iter().map(Brief::of).collect(),
        ..DrillLine::default()
    };
    Drilled {
        line,
        faults,
        status,
    }
}

/// What rules that must find faults tell of orders and cash-outs without one.
fn false_alarms(script: &Script, played: &Played) -> u64 {
    let must = |rule: &String| {
        let mut faults = FaultKind::ALL.iter();
        faults.any(|fault| fault.rules().contains(&rule.as_str()))
    };
    let planted = |rule: &String, key: &Vec<String>| {
        let due = script.courses.iter().flat_map(|course| &course.expected);
        let mut due = due.map(|due| &due.violation);
        due.any(|violation| violation.rule == rule && violation.key == *key)
    };
    let of_drill = |key: &Vec<String>| key.iter().any(|part| part.starts_with(DRILL_MARK));
    let told = played.findings.iter();
    let confirmed = told.filter(|(_, known)| known.verdict == Told::Confirmed);
    confirmed
        .filter(|((rule, key), _)| must(rule) && of_drill(key) && !planted(rule, key))
        .count() as u64
}

fn totals(breaker: &BreakerSeen) -> BreakerTotals {
    let held = breaker
        .answers
        .iter()
        .filter(|answer| answer.held == Some(true));
    let (mut requests, mut fen) = (0, 0);
    for ask in held.filter_map(|answer| breaker.asks.get(answer.ask)) {
        requests += 1;
        fen += ask.fen;
    }
    BreakerTotals {
        asked: breaker.answers.len() as u64,
        trips: breaker.trips.len() as u64,
        held: Moved::of(requests, fen),
    }
}
