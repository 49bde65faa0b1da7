//! `centinel detect`: reads change and event logs, and says what is broken as soon as it is sure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use centinel_batch::Limits;
use centinel_engine::EngineError;
use centinel_engine::detect::{
    BootstrapOptions, Detector, DetectorLimits, InputFile, Open, RunOptions, RunReport, Until,
};
use centinel_model::{Duration, Severity, Timestamp, is_self_check};
use centinel_outlet::archive::ArchiveOptions;
use centinel_outlet::{
    CouldNotJudge, LineFile, LineWriter, Outlet, Report, exit_status, write_junit,
};
use centinel_rules::{Locality, Rule};
use clap::{Args, ValueEnum};

use crate::audit::{bytes, environment, severity, wanted};
use crate::beside::{self, Beside};
use crate::catch_up::CatchUp;
use crate::check::refuse;
use crate::config::{Config, check_against};
use crate::detection::Detection;
use crate::exit::Status;
use crate::findings_report::FindingsReport;
use crate::folders::Folders;
use crate::plan;
use crate::printer::{complain, counted, explain};
use crate::reload::Watched;
use crate::self_check::{BuiltIn, Log};

/// The exit status of a process that was interrupted twice, as shells count.
const INTERRUPTED: i32 = 130;

/// What is read, judged and told.
#[derive(Args, Clone, Debug)]
pub struct DetectArguments {
    #[command(flatten)]
    folders: Folders,
    /// The configuration file: sources, schemas, rules, state, archive and where findings go. Its databases and
    /// topics are followed until interrupted, unless --until-now or --until-quiet says otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schemas", "rules", "state", "input", "out", "archive", "follow", "until_end", "silent_after"])]
    config: Option<PathBuf>,
    /// Folder of the state, made when it is not there; a second run goes on where the first stopped
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    state: Option<PathBuf>,
    /// Change and event logs, each line a JSON object; the path names the input in state
    #[arg(long, required_unless_present = "config", num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// With --config: stop at what there is now; the next run goes on there
    #[arg(long, requires = "config", conflicts_with = "until_quiet")]
    until_now: bool,
    /// Keep reading as the inputs grow, until interrupted
    #[arg(long, conflicts_with = "until_end")]
    follow: bool,
    /// Keep reading until nothing has changed for so long, and every database and topic has said since that it was
    /// read; then what has not come is taken not to come. For test environments: the exit status and `--junit` say
    /// what the tests broke. One that says nothing for `silent_after` could not be judged
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, conflicts_with_all = ["follow", "until_end"])]
    until_quiet: Option<Duration>,
    /// Write what is open at the end as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The inputs are complete: what has not come by their end will not come, and every verdict comes to
    /// rest. Otherwise reading ends at the last line there is, and what is in flight waits for the next run
    #[arg(long)]
    until_end: bool,
    /// Judge by this rule only; may be given several times. Drafts are judged only when named
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// What to write
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Where to write; each message stands there once, whatever happens. Standard output by default, where a
    /// message may come again after a crash
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The least severity that makes the exit status other than 0
    #[arg(long, value_name = "SEVERITY", value_parser = severity, default_value = "error")]
    fail_on: Severity,
    /// While following: a source that does not move for so long is told to be behind
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "60s")]
    silent_after: Duration,
    /// Let entities leave state that are at rest for longer than the `lookback` of their tables; what comes back of
    /// one is undetermined
    #[arg(long, conflicts_with = "config")]
    forget: bool,
    #[command(flatten)]
    archive: ArchiveArguments,
    #[command(flatten)]
    bootstrap: BootstrapArguments,
}

/// Where every change is kept, for audits of the past.
#[derive(Args, Clone, Debug)]
struct ArchiveArguments {
    /// Folder or URL (s3://, gs://, az://, file://) to which every change is written as Parquet, from the state's
    /// first run on; credentials and endpoints are read from the environment (AWS_ENDPOINT, AWS_ALLOW_HTTP, …)
    #[arg(long, value_name = "DIR-or-URL")]
    archive: Option<String>,
    /// Changes reach the archive after so long at the latest
    #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "5m")]
    archive_after: Duration,
    /// Changes reach the archive when so much has come
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "64MiB")]
    archive_segment: usize,
    /// So much may wait in the state's folder for an archive that is away; then detection stops
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "20GiB")]
    archive_spool: usize,
}

impl ArchiveArguments {
    fn options(&self, state: &Path) -> Option<ArchiveOptions> {
        let location = self.archive.clone()?;
        Some(ArchiveOptions {
            store_options: environment(),
            segment_bytes: self.archive_segment as u64,
            segment_age: self.archive_after,
            spool_limit: self.archive_spool as u64,
            ..ArchiveOptions::new(location, state.join("archive"))
        })
    }
}

/// What a new state begins with.
#[derive(Args, Clone, Debug)]
struct BootstrapArguments {
    /// A snapshot of Parquet files (a folder or a URL, as for `audit --snapshot`) whose rows a new state begins
    /// with, on a platform that already runs: start the inputs at or before the moment at which it was taken. Passed
    /// over once the state has it
    #[arg(long, value_name = "DIR-or-URL", conflicts_with = "config")]
    bootstrap: Option<String>,
    /// When the snapshot was taken, where its manifest.json does not say it
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "bootstrap")]
    bootstrap_as_of: Option<Timestamp>,
}

impl BootstrapArguments {
    fn options(&self) -> Option<BootstrapOptions> {
        Some(BootstrapOptions {
            location: self.bootstrap.clone()?,
            store_options: environment(),
            as_of: self.bootstrap_as_of,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object in each line: findings, holes, sources that are behind
    Jsonl,
}

/// Reads, judges and tells.
pub fn run(arguments: &DetectArguments) -> ExitCode {
    let Format::Jsonl = arguments.format;
    match arguments.detect() {
        Ok(code) => code,
        Err(status) => status.into(),
    }
}

impl DetectArguments {
    fn detect(&self) -> Result<ExitCode, Status> {
        let mut plan: Plan = match &self.config {
            Some(path) => self.configured(path)?,
            None => self.given()?,
        };
        let config = plan.config.clone();
        let built_in = BuiltIn::of(config.as_ref(), &plan.state);
        let watched = Watched::begin(&plan.folders, &self.rule, plan.config).with(built_in);
        let (catalog, rules) = plan.folders.load_with(built_in)?;
        let rules = runnable(wanted(&rules.rules, &self.rule), !self.rule.is_empty())?;
        let synthetic = built_in
            .map(|_| synthetic_orders(&plan.state))
            .transpose()?;
        let inputs = synthetic.iter().map(|log| log.input().into());
        plan.options.inputs.extend(inputs);
        let detection = Detection {
            catalog,
            rules,
            rules_may_retire: self.rule.is_empty(),
            forget: plan.forget,
            suspicions: beside::wants_suspicions(config.as_ref()),
            cache_bytes: plan.cache_bytes,
            state: plan.state,
            options: plan.options,
            reload: (self.until() == Until::Stopped).then_some(watched),
            in_force: Default::default(),
            quarantine: Default::default(),
        };
        let mut outlet: Box<dyn Outlet> = match &plan.out {
            Some(path) => Box::new(LineFile::open(path).map_err(|error| {
                complain(format_args!(
                    "error: cannot write {}: {error}",
                    path.display()
                ));
                Status::WrongUsage
            })?),
            None => Box::new(LineWriter(std::io::stdout())),
        };
        let mut beside = Beside::begin(config.as_ref(), &detection, plan.out.as_deref())?;
        if let Some(log) = synthetic {
            let rounds = self.until() == Until::Stopped
                && self.until_quiet.is_none()
                && self.rule.is_empty();
            beside.check_itself(log, config.as_ref(), plan.out.as_deref(), rounds)?;
        }
        let stop = stop_when_asked()?;
        let mut told = FindingsReport::default();
        let mut catch_up = CatchUp::default();
        let backlog = detection.options.backlog.clone();
        let done = detection.run(outlet.as_mut(), &stop, &mut |detector, messages| {
            beside.observe(detector, messages);
            if let Some(line) = catch_up.look(wall_clock(), backlog.by_input()) {
                complain(line);
            }
            if self.junit.is_some() {
                told.take_in(messages);
            }
        });
        beside.ended(done.as_ref().err());
        beside.end();
        match done {
            Ok(ended) => {
                summarise(&ended.detector, &ended.report);
                let mut report = told.report(&ended.detector, &ended.rules);
                // A run that would have ended by itself was to read more.
                let ends = self.until() != Until::Stopped || self.until_quiet.is_some();
                let cut_off = ends && stop.load(Ordering::Relaxed);
                if cut_off {
                    let reason = "stopped before its end: what was not read was not judged";
                    complain(format_args!(
                        "error: {reason}; run it again, it goes on there"
                    ));
                    report.could_not_judge.push(CouldNotJudge {
                        rule: None,
                        entity_key: None,
                        reason: reason.into(),
                    });
                }
                let unheard = &ended.report.unheard;
                if !unheard.is_empty() {
                    let reason = format!(
                        "nothing has changed for a while, but {} did not say that it was read to its end: what it \
                         holds was not judged",
                        unheard.join(", ")
                    );
                    complain(format_args!(
                        "error: {reason}; see whether its server runs and its heartbeats are written"
                    ));
                    report.could_not_judge.push(CouldNotJudge {
                        rule: None,
                        entity_key: None,
                        reason,
                    });
                }
                let cut_off = cut_off || !unheard.is_empty();
                self.write_junit(report)?;
                match cut_off {
                    true => Err(Status::CouldNotJudge),
                    false => Ok(status(&ended.detector, &ended.rules, self.fail_on)),
                }
            }
            Err(error) => {
                complain(format_args!("error: {error}"));
                Err(match error {
                    EngineError::Unsupported(_) | EngineError::Rules(_) => Status::WrongUsage,
                    _ => Status::CouldNotJudge,
                })
            }
        }
    }
}

/// What is to be done, by the command line or the configuration file.
struct Plan {
    /// Where there is a file.
    config: Option<Config>,
    folders: Folders,
    state: PathBuf,
    out: Option<PathBuf>,
    forget: bool,
    cache_bytes: usize,
    options: RunOptions,
}

impl DetectArguments {
    /// By the command line.
    fn given(&self) -> Result<Plan, Status> {
        let mut inputs: Vec<InputFile> = Vec::new();
        for path in &self.input {
            let name = path.display().to_string();
            if inputs.iter().any(|input| input.name == name) {
                complain(format_args!("error: `{name}` is given twice"));
                return Err(Status::WrongUsage);
            }
            inputs.push(InputFile {
                name,
                path: path.clone(),
                sources: Vec::new(),
            });
        }
        let state = self.state.clone().unwrap_or_default();
        Ok(Plan {
            config: None,
            folders: self.folders.clone(),
            options: RunOptions {
                inputs: inputs.into_iter().map(Into::into).collect(),
                until: self.until(),
                limits: limits(),
                silent_after: self.silent_after,
                archive: self.archive.options(&state),
                bootstrap: self.bootstrap.options(),
                quiet_after: self.until_quiet.map(std_duration),
                backlog: Default::default(),
            },
            out: self.out.clone(),
            forget: self.forget,
            cache_bytes: DetectorLimits::default().cache_bytes,
            state,
        })
    }

    /// By the configuration file.
    fn configured(&self, path: &Path) -> Result<Plan, Status> {
        let config = Config::load(path).map_err(|problems| refuse(&problems))?;
        let catalog = Folders::catalog_of(&config.schemas)?;
        let names: Vec<&str> = catalog.sources.iter().map(String::as_str).collect();
        let problems = check_against(&config, &names);
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        let archive = plan::archive(&config).map_err(|problem| refuse(&[problem]))?;
        Ok(Plan {
            folders: Folders {
                schemas: config.schemas.clone(),
                rules: config.rules.clone(),
            },
            options: RunOptions {
                inputs: plan::inputs(&config).map_err(|problems| refuse(&problems))?,
                until: self.until(),
                limits: plan::batch_limits(&config),
                silent_after: config.detection.silent_after,
                archive,
                bootstrap: plan::bootstrap(&config),
                quiet_after: self.until_quiet.map(std_duration),
                backlog: Default::default(),
            },
            out: config.findings.clone(),
            forget: config.detection.forget,
            cache_bytes: config.detection.cache_mib << 20,
            state: config.state.clone(),
            config: Some(config),
        })
    }

    fn until(&self) -> Until {
        let configured = self.config.is_some() && !self.until_now;
        let followed = self.follow || self.until_quiet.is_some() || configured;
        match (followed, self.until_end) {
            (true, _) => Until::Stopped,
            (_, true) => Until::End,
            _ => Until::Now,
        }
    }

    fn write_junit(&self, report: Report) -> Result<(), Status> {
        let Some(path) = &self.junit else {
            return Ok(());
        };
        let written = std::fs::File::create(path)
            .and_then(|file| write_junit(&report, &mut std::io::BufWriter::new(file)));
        written.map_err(|error| {
            complain(format_args!(
                "error: cannot write {}: {error}",
                path.display()
            ));
            Status::CouldNotJudge
        })
    }
}

/// The log of synthetic orders of a state that checks itself.
///
/// # Errors
/// When it cannot be written; the reason was told.
pub fn synthetic_orders(state: &Path) -> Result<Log, Status> {
    Log::begin(state, wall_clock()).map_err(|error| {
        complain(format_args!("error: the self-check cannot begin: {error}"));
        Status::CouldNotJudge
    })
}

/// A span as the standard library has it.
pub fn std_duration(span: Duration) -> std::time::Duration {
    std::time::Duration::from_micros(span.0.max(0).unsigned_abs())
}

/// Large enough that a backlog is read quickly, waiting no longer than a person would notice.
pub fn limits() -> Limits {
    Limits {
        max_rows: 250_000,
        max_bytes: 160 << 20,
        ..Limits::default()
    }
}

/// The time of the machine.
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The rules that can run in detection. Those that cannot are named; that is an error where they were
/// asked for.
pub fn runnable(
    rules: Result<Vec<Arc<Rule>>, Vec<String>>,
    asked_for: bool,
) -> Result<Vec<Arc<Rule>>, Status> {
    let rules = rules.map_err(|problems| {
        problems.iter().for_each(explain);
        Status::WrongUsage
    })?;
    let (runnable, others): (Vec<_>, Vec<_>) =
        rules.into_iter().partition(|rule| rule.detection().is_ok());
    for rule in &others {
        let line = match &rule.locality {
            Locality::NotLocal {
                line: Some(line), ..
            } => format!(":{line}"),
            _ => String::new(),
        };
        let reason = rule.detection().err().unwrap_or_default();
        complain(format_args!(
            "{}{line}: `{}` runs in audits only: {reason}",
            rule.path, rule.id
        ));
    }
    match runnable.is_empty() || (asked_for && !others.is_empty()) {
        true => Err(Status::WrongUsage),
        false => Ok(runnable),
    }
}

/// Set when the process is asked to end (interrupt or termination): it finishes the micro-batch at hand.
/// Asked twice, it ends at once; state is as of the last commit, which is all it needs.
pub fn stop_when_asked() -> Result<Arc<AtomicBool>, Status> {
    let failed = |error: std::io::Error| {
        complain(format_args!(
            "error: the process cannot be told how to stop: {error}"
        ));
        Status::CouldNotJudge
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let (mut interrupt, mut terminate) = {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        (interrupt, signal(SignalKind::terminate()).map_err(failed)?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            for asked in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                set.store(true, Ordering::Relaxed);
                if !asked {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
    });
    Ok(stop)
}

/// What was read and what is open, for a person.
fn summarise(detector: &Detector, report: &RunReport) {
    let counters = detector.counters;
    complain(format_args!(
        "{} in {:.1} s ({} delivered again), {} told, {} that could not be read",
        counted(counters.changes, "change", "changes"),
        report.elapsed.as_secs_f64(),
        counters.repeated,
        counted(counters.messages, "message", "messages"),
        counted(detector.holes(), "record", "records"),
    ));
    let waiting = detector.waiting_holes();
    if waiting > 0 {
        complain(format_args!(
            "  {} in quarantine: see `centinel quarantine list`, then accept or redrive",
            counted(waiting, "record waits", "records wait")
        ));
    }
    for (rule, open) in real(detector) {
        if open.confirmed + open.undetermined > 0 {
            complain(format_args!(
                "  {rule}: {} confirmed, {} undetermined",
                open.confirmed, open.undetermined
            ));
        }
    }
    if detector.unreached() > 0 {
        complain(format_args!(
            "  rows under {} links have waited too long for the row that leads to their entity",
            detector.unreached()
        ));
    }
    if let Some(archive) = report
        .archive
        .as_ref()
        .filter(|archive| archive.waiting > 0)
    {
        let why = archive
            .trouble
            .as_deref()
            .unwrap_or("it was not their turn");
        complain(format_args!(
            "  {} segments ({} bytes) are not in the archive yet: {why}; they wait for the next run",
            archive.waiting, archive.waiting_bytes
        ));
    }
    if detector.forgotten() > 0 {
        complain(format_args!(
            "  {} entities at rest have left state, ever",
            detector.forgotten()
        ));
    }
    let silent = detector.silent_sources();
    if !silent.is_empty() {
        complain(format_args!(
            "  no heartbeat yet from {}: what depends on it cannot be judged before, unless the inputs are \
             complete (--until-end)",
            silent.join(", ")
        ));
    }
    let waiting: i64 = real(detector).values().map(|open| open.suspected).sum();
    if waiting > 0 {
        complain(format_args!(
            "  {waiting} suspected and not sure yet: in flight"
        ));
    }
}

/// What is open, without what the self-check planted.
fn real(detector: &Detector) -> BTreeMap<String, Open> {
    let mut open = detector.open();
    open.retain(|rule, _| !is_self_check(rule));
    open
}

/// What the exit status says: what could not be judged weighs more than what was found.
fn status(detector: &Detector, rules: &[Arc<Rule>], fail_on: Severity) -> ExitCode {
    let open = real(detector);
    let unsure = open
        .values()
        .any(|open| open.undetermined > 0 || (detector.at_the_end() && open.suspected > 0));
    // What depends on a source that has never said how far it stands could not be judged.
    let silent = !detector.silent_sources().is_empty();
    let could_not_judge = detector.waiting_holes() > 0 || unsure || silent;
    let broken = rules
        .iter()
        .filter(|rule| open.get(&rule.id).is_some_and(|open| open.confirmed > 0));
    let unreached = (detector.unreached() > 0).then_some(Severity::Error);
    let drifted = (detector.drifts() > 0).then_some(Severity::Error);
    let own = unreached.into_iter().chain(drifted);
    let worst = broken.map(|rule| rule.severity).chain(own).max();
    ExitCode::from(exit_status(could_not_judge, worst, fail_on))
}
