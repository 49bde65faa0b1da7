//! One run of an audit: judged, and written down.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use centinel_engine::EngineError;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::{AuditOptions, Cut, Snapshot, audit};
use centinel_model::Timestamp;
use centinel_outlet::{
    AtRisk, Comparison, CouldNotJudge, PastRun, Report, Surroundings, TableFigures, read_findings,
    write_html, write_jsonl, write_junit,
};

use super::begun::Begun;
use super::history::{Compared, Ended, History, Outcome, RunResult, StartedBy};
use super::scheduled::Scheduled;
use super::selection::{Unfit, catalog_of, rules_of, version_of};
use super::{list, sudden};
use crate::audit::environment;
use crate::baseline::Baseline;
use crate::config::{AuditConfig, AuditCut, AuditInput, Config};
use crate::exit::Status;
use crate::printer::{Printer, complain, explain};

/// The findings of a run, in its folder.
const FINDINGS: &str = "findings.jsonl";

/// Runs an audit now. The exit status is the report's; [`Status`] says why nothing was begun.
pub fn run(
    config: &Config,
    audit: &AuditConfig,
    run_for: Option<Timestamp>,
    started_by: StartedBy,
) -> Result<u8, Status> {
    let input = |run_for| {
        let (AuditInput::Snapshot(place) | AuditInput::Archive(place)) = &audit.input;
        place.at(moment(audit, run_for), audit.timing.zone)
    };
    let begun = Begun::begin(Scheduled::Audit(audit), run_for, started_by, &input)?;
    let this = ThisRun {
        config,
        audit,
        begun: &begun,
    };
    let (outcome, report, around) = this.judge();
    begun.comes_to_its_end();
    this.end(outcome, &report, &around)
        .map_err(|error| begun.failed("the report or the history cannot be written", &error))
}

/// The moment that the data of a run for this time is of.
fn moment(audit: &AuditConfig, run_for: Timestamp) -> Timestamp {
    Timestamp(run_for.0.saturating_sub(audit.lag.0).max(0))
}

struct ThisRun<'a> {
    config: &'a Config,
    audit: &'a AuditConfig,
    begun: &'a Begun,
}

impl ThisRun<'_> {
    /// The moment that the data is of.
    fn moment(&self) -> Timestamp {
        moment(self.audit, self.begun.run_for)
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
            ("Audited", self.begun.input.clone()),
            ("Rules", rules),
            ("Run for", self.begun.run_for.to_string()),
            ("Run at", self.begun.began_at.to_string()),
            ("Took", format!("{} ms", self.begun.duration_ms())),
        ];
        around.facts = facts.map(|(name, value)| (name.to_owned(), value)).into();
        (outcome, report, around)
    }

    fn report(&self) -> Result<(Report, usize, String), Failure> {
        let baseline = match &self.audit.baseline {
            None => None,
            Some(path) => Some(Baseline::load(path).map_err(|problems| {
                problems.iter().for_each(explain);
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
                Snapshot::open(&self.begun.input, &environment()).and_then(|snapshot| {
                    audit(&catalog, &rules, &Arc::new(snapshot), &options, &quiet)
                })
            }
            AuditInput::Archive(_) => {
                let cut = ArchiveCut {
                    location: self.begun.input.clone(),
                    store_options: environment(),
                    at: self.moment(),
                };
                audit_archive(&catalog, &rules, &cut, &options, &quiet)
            }
        };
        let mut report = report.map_err(Failure::engine)?;
        if let Some(limits) = limits {
            let past: Vec<&[TableFigures]> = self
                .begun
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
            baseline.apply(&mut report, self.begun.began_at);
        }
        Ok((report, rules.len(), version_of(&rules)))
    }

    /// The report beside the run before; where that cannot be read, the report says so.
    fn compare(&self, report: &mut Report) -> Option<Comparison> {
        let (before, _) = self.begun.history.last_finished()?;
        let path = self.begun.folder.join(&before.began.run).join(FINDINGS);
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
        let runs = self.begun.history.runs.iter();
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
        let own = self.begun.folder.join(&self.begun.id);
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
            run: self.begun.id.clone(),
            outcome,
            exit_status: around.exit_status,
            duration_ms: self.begun.duration_ms(),
            problem,
            result,
            drill: None,
        };
        self.begun.end(ended)?;
        self.remove_old();
        let mut printer = Printer::stdout();
        if let Some(run) = History::read(&self.begun.folder)?.runs.pop() {
            printer.line(format_args!("{}: {}", self.audit.name, list::told(&run)));
        }
        printer.line(format_args!("{}", own.join("report.html").display()));
        // Output that is lost changes nothing: the report is written.
        let _ = printer.finish(Status::Clean);
        Ok(around.exit_status)
    }

    /// Removes the reports of runs that are too long ago, but for the one to compare the next with.
    fn remove_old(&self) {
        let last = self
            .begun
            .history
            .last_finished()
            .map(|(run, _)| &run.began.run);
        let runs = &self.begun.history.runs;
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
            let folder = self.begun.folder.join(&run.began.run);
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
        unfit.lines().iter().for_each(explain);
        Failure::wrong(unfit.told())
    }

    fn engine(error: EngineError) -> Failure {
        explain(format_args!("error: {error}"));
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
