//! One run of an audit: judged, written down, and in the history whatever becomes of it.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration as StdDuration, Instant};

use centinel_engine::EngineError;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::{AuditOptions, Cut, Snapshot, audit};
use centinel_model::Timestamp;
use centinel_outlet::{
    AtRisk, Comparison, CouldNotJudge, PastRun, Report, Surroundings, TableFigures, read_findings,
    write_html, write_jsonl, write_junit,
};
use tempfile::TempDir;

use super::history::{Began, Compared, Ended, Event, History, Outcome, RunResult, StartedBy, add};
use super::selection::{Unfit, catalog_of, rules_of, version_of};
use super::{list, sudden};
use crate::audit::environment;
use crate::baseline::Baseline;
use crate::config::{AuditConfig, AuditCut, AuditInput, Config};
use crate::detect::{stop_when_asked, wall_clock};
use crate::exit::Status;
use crate::printer::{Printer, complain};

/// The findings of a run, in its folder.
const FINDINGS: &str = "findings.jsonl";
/// How often somebody looks whether the run is to be cut off.
const LOOK: StdDuration = StdDuration::from_millis(50);

/// The folder of an audit: its history, and a folder for each run.
pub fn folder_of(audit: &AuditConfig) -> PathBuf {
    audit.reports.join(&audit.name)
}

/// Runs an audit now. The exit status is the report's; [`Status`] says why nothing was begun.
pub fn run(
    config: &Config,
    audit: &AuditConfig,
    run_for: Option<Timestamp>,
    started_by: StartedBy,
) -> Result<u8, Status> {
    let stop = stop_when_asked()?;
    let folder = folder_of(audit);
    let failed = |what: &str, error: io::Error| {
        complain(format_args!("error: {}: {what}: {error}", folder.display()));
        Status::CouldNotJudge
    };
    fs::create_dir_all(&folder).map_err(|error| failed("the folder cannot be made", error))?;
    let _alone = lock(&folder, started_by, &stop)?;
    let history =
        end_cut_off(&folder).map_err(|error| failed("the history cannot be kept", error))?;
    let began_at = wall_clock();
    let run_for = run_for.unwrap_or(began_at);
    let mut this = ThisRun {
        config,
        audit,
        folder: &folder,
        history: &history,
        id: began_at.to_string().replace(['-', ':'], ""),
        run_for,
        began_at,
        began: Instant::now(),
        input: String::new(),
    };
    this.input = this.place();
    let began = Event::Began(Began {
        run: this.id.clone(),
        run_for: run_for.to_string(),
        started_by,
        input: this.input.clone(),
    });
    add(&folder, began_at, began).map_err(|error| failed("the history cannot be kept", error))?;
    let temporary =
        temporary_folder().map_err(|error| failed("no temporary folder can be made", error))?;
    let ending = Arc::new(AtomicBool::new(false));
    this.watch(&stop, &ending, temporary.path());

    let (outcome, report, around) = this.judge();
    // From here on the run is brought to its end, whatever is asked.
    while ending.swap(true, Ordering::AcqRel) {
        std::thread::park();
    }
    this.end(outcome, &report, &around)
        .map_err(|error| failed("the report or the history cannot be written", error))
}

/// Only one run of an audit at a time. A run that is due waits for one that a person began.
fn lock(folder: &Path, started_by: StartedBy, stop: &AtomicBool) -> Result<File, Status> {
    let path = folder.join("run.lock");
    let refuse = |problem: &dyn std::fmt::Display| {
        complain(format_args!("error: {}: {problem}", path.display()));
        Status::CouldNotJudge
    };
    let file = File::create(&path).map_err(|error| refuse(&error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if started_by == StartedBy::Command || stop.load(Ordering::Relaxed) {
                    return Err(refuse(
                        &"another run of this audit is under way; nothing was begun",
                    ));
                }
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::Error(error)) => return Err(refuse(&error)),
        }
    }
}

/// Says of each run that began and never ended that it was cut off. Only while no run of the audit is under way.
pub fn end_cut_off(folder: &Path) -> io::Result<History> {
    let history = History::read(folder)?;
    if history.unreadable > 0 {
        complain(format_args!(
            "warning: {}: {} lines of the history cannot be read and are passed over",
            folder.display(),
            history.unreadable
        ));
    }
    let mut ended = false;
    for run in history.open() {
        let cut_off = Ended {
            run: run.began.run.clone(),
            outcome: Outcome::CutOff,
            exit_status: Status::CouldNotJudge as u8,
            duration_ms: 0,
            problem: Some("its process ended without a word".into()),
            result: None,
        };
        add(folder, wall_clock(), Event::Ended(Box::new(cut_off)))?;
        ended = true;
    }
    match ended {
        true => History::read(folder),
        false => Ok(history),
    }
}

/// A folder for everything that waits in files, so that a run that is cut off leaves nothing behind.
fn temporary_folder() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("centinel-run-").tempdir()?;
    let _ = tempfile::env::override_temp_dir(folder.path());
    Ok(folder)
}

struct ThisRun<'a> {
    config: &'a Config,
    audit: &'a AuditConfig,
    folder: &'a Path,
    history: &'a History,
    id: String,
    run_for: Timestamp,
    began_at: Timestamp,
    began: Instant,
    /// What is audited, as shown.
    input: String,
}

impl ThisRun<'_> {
    /// The moment that the data is of.
    fn moment(&self) -> Timestamp {
        Timestamp(self.run_for.0.saturating_sub(self.audit.lag.0).max(0))
    }

    fn place(&self) -> String {
        let (AuditInput::Snapshot(place) | AuditInput::Archive(place)) = &self.audit.input;
        place.at(self.moment(), self.audit.timing.zone)
    }

    fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the process when the run is stopped or takes too long: what judges cannot be interrupted.
    fn watch(&self, stop: &Arc<AtomicBool>, ending: &Arc<AtomicBool>, temporary: &Path) {
        let (stop, ending) = (Arc::clone(stop), Arc::clone(ending));
        let (folder, temporary) = (self.folder.to_owned(), temporary.to_owned());
        let (id, began, timeout) = (self.id.clone(), self.began, self.audit.timeout);
        let limit = StdDuration::from_micros(timeout.0.max(0).unsigned_abs());
        std::thread::spawn(move || {
            let outcome = loop {
                if stop.load(Ordering::Relaxed) {
                    break Outcome::Stopped;
                }
                if began.elapsed() > limit {
                    break Outcome::TimedOut;
                }
                std::thread::sleep(LOOK);
            };
            if ending.swap(true, Ordering::AcqRel) {
                return;
            }
            let problem = match outcome {
                Outcome::TimedOut => format!("it took longer than {timeout}"),
                _ => "it was stopped before its end".to_owned(),
            };
            complain(format_args!("error: {problem}: nothing was judged"));
            let ended = Ended {
                run: id,
                outcome,
                exit_status: Status::CouldNotJudge as u8,
                duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                problem: Some(problem),
                result: None,
            };
            if let Err(error) = add(&folder, wall_clock(), Event::Ended(Box::new(ended))) {
                complain(format_args!("error: the history cannot be kept: {error}"));
            }
            let _ = fs::remove_dir_all(temporary);
            std::process::exit(i32::from(Status::CouldNotJudge as u8));
        });
    }

    /// Judges, and puts beside it what past runs and people say.
    fn judge(&self) -> (Result<String, Failure>, Report, Surroundings) {
        let mut around = Surroundings {
            title: format!("Audit {}", self.audit.name),
            past: self.past(),
            ..Surroundings::default()
        };
        let judged = self.report();
        let (outcome, mut report, rules) = match judged {
            Ok((report, count, version)) => {
                let rules = format!("{count}, version {version}");
                (Ok(version), report, rules)
            }
            Err(failure) => {
                let report = Report {
                    could_not_judge: vec![CouldNotJudge {
                        rule: None,
                        entity_key: None,
                        reason: failure.problem.clone(),
                    }],
                    ..Report::default()
                };
                (Err(failure), report, "none was asked".to_owned())
            }
        };
        around.exit_status = match &outcome {
            Ok(_) => {
                around.comparison = self.compare(&mut report);
                report.exit_status(self.audit.fail_on)
            }
            Err(failure) => failure.status as u8,
        };
        let facts = [
            ("Audited", self.input.clone()),
            ("Rules", rules),
            ("Run for", self.run_for.to_string()),
            ("Run at", self.began_at.to_string()),
            ("Took", format!("{} ms", self.duration_ms())),
        ];
        around.facts = facts.map(|(name, value)| (name.to_owned(), value)).into();
        (outcome, report, around)
    }

    fn report(&self) -> Result<(Report, usize, String), Failure> {
        let baseline = match &self.audit.baseline {
            None => None,
            Some(path) => Some(Baseline::load(path).map_err(|problems| {
                problems.iter().for_each(complain);
                let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Failure::wrong(told.join("; "))
            })?),
        };
        let catalog = catalog_of(&self.config.schemas).map_err(Failure::unfit)?;
        let rules = rules_of(self.config, self.audit, &catalog).map_err(Failure::unfit)?;
        let limits = self.audit.sudden_change.as_ref();
        let options = AuditOptions {
            cut: match self.audit.cut {
                AuditCut::Manifest => Cut::Manifest,
                AuditCut::Scheduled => Cut::AsOf(self.moment()),
                AuditCut::AtRest => Cut::AtRest,
            },
            memory_bytes: self.audit.memory,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            totals: limits.is_some_and(|limits| limits.totals_percent.is_some()),
            ..AuditOptions::default()
        };
        let quiet = |_| ();
        let report = match &self.audit.input {
            AuditInput::Snapshot(_) => {
                Snapshot::open(&self.input, &environment()).and_then(|snapshot| {
                    audit(&catalog, &rules, &Arc::new(snapshot), &options, &quiet)
                })
            }
            AuditInput::Archive(_) => {
                let cut = ArchiveCut {
                    location: self.input.clone(),
                    store_options: environment(),
                    at: self.moment(),
                };
                audit_archive(&catalog, &rules, &cut, &options, &quiet)
            }
        };
        let mut report = report.map_err(Failure::engine)?;
        if let Some(limits) = limits {
            let past: Vec<&[TableFigures]> = self
                .history
                .finished()
                .map(|(_, result)| result.tables.as_slice())
                .collect();
            let judged_at = report
                .as_of
                .clone()
                .unwrap_or_else(|| self.moment().to_string());
            sudden::judge(limits, &past, &mut report, &judged_at);
        }
        if let Some(baseline) = baseline {
            baseline.apply(&mut report, self.began_at);
        }
        Ok((report, rules.len(), version_of(&rules)))
    }

    /// The report beside the run before; where that cannot be read, the report says so.
    fn compare(&self, report: &mut Report) -> Option<Comparison> {
        let (before, _) = self.history.last_finished()?;
        let path = self.folder.join(&before.began.run).join(FINDINGS);
        let earlier = File::open(&path).and_then(|file| read_findings(BufReader::new(file)));
        match earlier {
            Ok(earlier) => Some(Comparison::of(report, before.at.clone(), earlier)),
            Err(error) => {
                report.notes.push(format!(
                    "not compared with the run before, of {}: {}: {error}",
                    before.at,
                    path.display()
                ));
                None
            }
        }
    }

    fn past(&self) -> Vec<PastRun> {
        let runs = self.history.runs.iter();
        runs.map(|run| {
            let ended = run.ended.as_ref();
            let result = ended.and_then(|ended| ended.result.as_ref());
            PastRun {
                at: run.at.clone(),
                findings: result.map(|result| result.findings),
                at_risk: result
                    .map(|result| result.at_risk.clone())
                    .unwrap_or_default(),
                exit_status: ended.map_or(Status::CouldNotJudge as u8, |ended| ended.exit_status),
            }
        })
        .collect()
    }

    /// Writes the report and last the line of the history, which makes it count.
    fn end(
        &self,
        outcome: Result<String, Failure>,
        report: &Report,
        around: &Surroundings,
    ) -> io::Result<u8> {
        let own = self.folder.join(&self.id);
        fs::create_dir_all(&own)?;
        write_file(&own.join("report.html"), |out| {
            write_html(report, around, out)
        })?;
        write_file(&own.join(FINDINGS), |out| write_jsonl(report, out))?;
        write_file(&own.join("junit.xml"), |out| write_junit(report, out))?;
        let (outcome, problem, result) = match outcome {
            Ok(version) => (
                Outcome::Finished,
                None,
                Some(result(report, around, version)),
            ),
            Err(failure) => (Outcome::Failed, Some(failure.problem), None),
        };
        let ended = Ended {
            run: self.id.clone(),
            outcome,
            exit_status: around.exit_status,
            duration_ms: self.duration_ms(),
            problem,
            result,
        };
        add(self.folder, wall_clock(), Event::Ended(Box::new(ended)))?;
        self.remove_old();
        let mut printer = Printer::stdout();
        if let Some(run) = History::read(self.folder)?.runs.pop() {
            printer.line(format_args!("{}: {}", self.audit.name, list::told(&run)));
        }
        printer.line(format_args!("{}", own.join("report.html").display()));
        // Output that is lost changes nothing: the report is written.
        let _ = printer.finish(Status::Clean);
        Ok(around.exit_status)
    }

    /// Removes the reports of runs that are too long ago, but for the one to compare the next with.
    fn remove_old(&self) {
        let last = self.history.last_finished().map(|(run, _)| &run.began.run);
        let runs = &self.history.runs;
        let old = runs.len().saturating_sub(self.audit.keep - 1);
        let kept: BTreeSet<&String> = runs[old..]
            .iter()
            .map(|run| &run.began.run)
            .chain(last)
            .collect();
        for run in runs[..old]
            .iter()
            .filter(|run| !kept.contains(&run.began.run))
        {
            let folder = self.folder.join(&run.began.run);
            if folder.exists()
                && let Err(error) = fs::remove_dir_all(&folder)
            {
                complain(format_args!(
                    "warning: {} cannot be removed: {error}",
                    folder.display()
                ));
            }
        }
    }
}

/// Why a run came to no result.
struct Failure {
    problem: String,
    status: Status,
}

impl Failure {
    fn wrong(problem: String) -> Failure {
        let status = Status::WrongUsage;
        Failure { problem, status }
    }

    fn unfit(unfit: Unfit) -> Failure {
        unfit.lines().iter().for_each(complain);
        Failure::wrong(unfit.told())
    }

    fn engine(error: EngineError) -> Failure {
        complain(format_args!("error: {error}"));
        Failure {
            problem: error.to_string(),
            status: Status::CouldNotJudge,
        }
    }
}

fn result(report: &Report, around: &Surroundings, rules_version: String) -> RunResult {
    RunResult {
        as_of: report.as_of.clone(),
        rules: report.rules.len() as u64,
        rules_version,
        rows: report.tables.iter().map(|table| table.rows).sum(),
        tables: report.tables.clone(),
        findings: report.findings.len() as u64,
        accepted: report.accepted.len() as u64,
        in_flight: report.rules.iter().map(|rule| rule.in_flight).sum(),
        could_not_judge: report.could_not_judge.len() as u64,
        at_risk: AtRisk::of(&report.findings),
        compared: around.comparison.as_ref().map(|with| Compared {
            with: with.with.clone(),
            new: with.new.len() as u64,
            still_there: with.still_there.len() as u64,
            gone: with.gone.len() as u64,
            unsure: with.unsure.len() as u64,
        }),
    }
}

/// Writes a file that is whole on the disk when this returns.
fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write(&mut out)?;
    out.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()
}
