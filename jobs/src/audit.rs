//! `centinel audit`: judges a snapshot, or the archive as of a moment.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::{AuditOptions, Cut, Progress, Snapshot, Stage, audit};
use centinel_model::{Severity, Timestamp};
use centinel_outlet::{Report, Surroundings, write_html, write_jsonl, write_junit, write_table};
use centinel_rules::{Rule, Status as Trust};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::baseline::Baseline;
use crate::check::refuse;
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{complain, explain};

/// How alike a rule's name must be to be suggested, of 1.
const ALIKE: f64 = 0.6;

/// Which snapshot is judged, by what, and how it is told.
#[derive(Args, Clone, Debug)]
pub struct AuditArguments {
    #[command(flatten)]
    folders: Folders,
    /// Folder or URL (s3://, gs://, az://, http://, https://, file://) that holds <table>.parquet or
    /// <table>/**/*.parquet; credentials are read from the environment
    #[arg(long, value_name = "DIR-or-URL", required_unless_present = "archive")]
    snapshot: Option<String>,
    /// Folder or URL of an archive that detection writes (detect --archive): the tables are rebuilt as they were
    /// at the moment --at, in temporary files
    #[arg(long, value_name = "DIR-or-URL", requires = "at", conflicts_with_all = ["snapshot", "as_of", "at_rest"])]
    archive: Option<String>,
    /// The moment to audit the archive at, such as 2026-11-22T08:00:00Z; every source must have been archived so far
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "archive", conflicts_with = "snapshot")]
    at: Option<Timestamp>,
    /// Judge by this rule only; may be given several times. Drafts are judged only when named
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Where to write; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the report as one HTML file, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Known findings that a person accepted: shown, but not in the exit status
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The moment as of which to judge, such as 2026-11-22T08:00:00Z; by default the earliest cut of the
    /// tables in the snapshot's manifest.json
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, conflicts_with = "at_rest")]
    as_of: Option<Timestamp>,
    /// Nothing is on its way any more: every violation is a finding
    #[arg(long)]
    at_rest: bool,
    /// The least severity that makes the exit status other than 0
    #[arg(long, value_name = "SEVERITY", value_parser = severity, default_value = "error")]
    fail_on: Severity,
    /// Memory that may be used, such as 2GB or 512MiB; rows beyond it wait in temporary files
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "4GiB")]
    memory: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object in each line: findings, violations in flight, and last a summary
    Jsonl,
    /// For build servers
    Junit,
}

/// Judges a snapshot and tells what was found.
pub fn run(arguments: &AuditArguments) -> ExitCode {
    let (catalog, rules) = match arguments.folders.load() {
        Ok(loaded) => loaded,
        Err(status) => return status.into(),
    };
    let rules = match wanted_in_audits(&rules.rules, &arguments.rule) {
        Ok(rules) => rules,
        Err(problems) => {
            problems.iter().for_each(explain);
            return Status::WrongUsage.into();
        }
    };
    let baseline = match arguments.baseline.as_deref().map(Baseline::load) {
        Some(Err(problems)) => return refuse(&problems).into(),
        Some(Ok(baseline)) => Some(baseline),
        None => None,
    };
    let began = Instant::now();
    let bar = ProgressBar::new(0);
    let report = arguments.judge(&catalog, &rules, &|progress| show(&bar, progress));
    bar.finish_and_clear();
    let mut report = match report {
        Ok(report) => report,
        Err(error) => {
            explain(format_args!("error: {error}"));
            return Status::CouldNotJudge.into();
        }
    };
    if let Some(baseline) = baseline {
        baseline.apply(&mut report, wall_clock());
    }
    let written = arguments.write_page(&report, rules.len(), began.elapsed());
    match written.and_then(|()| arguments.write(&report)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("error: the report cannot be written: {error}"));
            Status::CouldNotJudge.into()
        }
        _ => ExitCode::from(report.exit_status(arguments.fail_on)),
    }
}

impl AuditArguments {
    fn judge(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, EngineError> {
        let options = self.options();
        if let (Some(location), Some(at)) = (&self.archive, self.at) {
            let cut = ArchiveCut {
                location: location.clone(),
                store_options: environment(),
                at,
            };
            return audit_archive(catalog, rules, &cut, &options, progress);
        }
        let location = self.snapshot.as_deref().unwrap_or_default();
        let snapshot = Snapshot::open(location, &environment())?;
        audit(catalog, rules, &Arc::new(snapshot), &options, progress)
    }

    fn options(&self) -> AuditOptions {
        AuditOptions {
            cut: match self.as_of {
                _ if self.at_rest => Cut::AtRest,
                Some(as_of) => Cut::AsOf(as_of),
                None => Cut::Manifest,
            },
            memory_bytes: self.memory,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ..AuditOptions::default()
        }
    }

    /// The page, if one is asked for.
    fn write_page(&self, report: &Report, rules: usize, took: Duration) -> io::Result<()> {
        let Some(path) = &self.report else {
            return Ok(());
        };
        let audited = self.snapshot.as_ref().or(self.archive.as_ref());
        let facts = [
            ("Audited", audited.cloned().unwrap_or_default()),
            ("Rules", rules.to_string()),
            ("Took", format!("{} ms", took.as_millis())),
        ];
        let around = Surroundings {
            title: "Audit".into(),
            facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
            exit_status: report.exit_status(self.fail_on),
            ..Surroundings::default()
        };
        write_html(report, &around, &mut BufWriter::new(File::create(path)?))
    }

    fn write(&self, report: &Report) -> io::Result<()> {
        match &self.out {
            Some(path) => self.write_to(report, &mut BufWriter::new(File::create(path)?)),
            None => self.write_to(report, &mut BufWriter::new(io::stdout().lock())),
        }
    }

    fn write_to(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Table => write_table(report, out),
            Format::Jsonl => write_jsonl(report, out),
            Format::Junit => write_junit(report, out),
        }
    }
}

/// The environment's variables that are text: object stores take credentials and endpoints from them.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The named rules, or all that are not drafts; or what is wrong with the names.
pub fn wanted(rules: &[Arc<Rule>], named: &[String]) -> Result<Vec<Arc<Rule>>, Vec<String>> {
    if named.is_empty() {
        let trusted = rules.iter().filter(|rule| rule.status != Trust::Draft);
        return match trusted.cloned().collect::<Vec<_>>() {
            rules if rules.is_empty() => Err(vec![
                "error: there is no rule to judge by; drafts must be named".into(),
            ]),
            rules => Ok(rules),
        };
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for id in named {
        match rules.iter().find(|rule| rule.id == *id) {
            Some(rule) => found.push(Arc::clone(rule)),
            None => problems.push(unknown(rules, id)),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// As [`wanted`], but those that read the history of changes, which no snapshot holds; an error where one of those is
/// named.
pub fn wanted_in_audits(
    rules: &[Arc<Rule>],
    named: &[String],
) -> Result<Vec<Arc<Rule>>, Vec<String>> {
    let mut rules = wanted(rules, named)?;
    let of_history = rules.iter().filter(|rule| rule.reads_history);
    let refused: Vec<String> = of_history
        .filter(|rule| named.contains(&rule.id))
        .map(|rule| {
            format!(
                "error: `{}` reads the history of changes, which no snapshot holds: it runs in detection",
                rule.id
            )
        })
        .collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    rules.retain(|rule| !rule.reads_history);
    Ok(rules)
}

fn unknown(rules: &[Arc<Rule>], id: &str) -> String {
    let alike = |rule: &Arc<Rule>| strsim::jaro_winkler(&rule.id, id);
    let best = rules
        .iter()
        .max_by(|left, right| alike(left).total_cmp(&alike(right)));
    match best.filter(|best| alike(best) >= ALIKE) {
        Some(best) => format!(
            "error: there is no rule `{id}`; did you mean `{}`?",
            best.id
        ),
        None => format!("error: there is no rule `{id}`"),
    }
}

/// Shown on a terminal, and nowhere else.
fn show(bar: &ProgressBar, progress: Progress) {
    let (template, total) = match progress.stage {
        Stage::Reading => (
            "reading {bar:40} {human_pos} of {human_len} rows",
            progress.total,
        ),
        Stage::Judging => (
            "judging {bar:40} {human_pos} of {human_len} slices",
            progress.total,
        ),
    };
    if bar.length() != Some(total) {
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }
    bar.set_position(progress.done);
}

pub fn severity(text: &str) -> Result<Severity, String> {
    let all = [
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Critical,
    ];
    all.into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| "write info, warn, error or critical".into())
}

/// Reads a size such as `2GB` (10⁹ bytes each) or `512MiB` (2²⁰ bytes each).
pub fn bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    const LEAST: usize = 64 << 20;
    let lower = text.trim().to_ascii_lowercase();
    let unit = UNITS
        .into_iter()
        .find(|(name, _)| lower.ends_with(&name.to_ascii_lowercase()));
    let (name, factor) = unit.ok_or("write a size such as 2GB or 512MiB")?;
    let number = lower[..lower.len() - name.len()].trim();
    let size = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    match size {
        Some(size) if size >= LEAST => Ok(size),
        Some(_) => Err("at least 64MiB".into()),
        None => Err("write a size such as 2GB or 512MiB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_either_kind_of_unit() {
        assert_eq!(bytes("2GB"), Ok(2_000_000_000));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("512 mib"), Ok(512 << 20));
        for wrong in [
            "",
            "2",
            "GB",
            "-1GB",
            "1.5GB",
            "1MB",
            "99999999999999999999GB",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
