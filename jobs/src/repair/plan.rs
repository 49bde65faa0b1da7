//! `centinel repair plan`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::audit::{AuditOptions, Cut, Snapshot};
use centinel_engine::repair::{
    Changes, Mistake, PlanInput, RepairOptions, RepairPlan, Script, ScriptError, Verdict, evaluate,
    plan, read_changes, read_text,
};
use centinel_model::Timestamp;
use clap::{Args, ValueEnum};

use super::{digest_of_schemas, now, show};
use crate::audit::{bytes, environment, wanted_in_audits};
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{Printer, complain, explain};

/// What is to be changed, on which data it is tried, and how that is told.
#[derive(Args, Clone, Debug)]
pub struct PlanArguments {
    #[command(flatten)]
    folders: Folders,
    /// Folder or URL (s3://, gs://, az://, http://, https://, file://) that holds <table>.parquet or
    /// <table>/**/*.parquet; credentials are read from the environment
    #[arg(long, value_name = "DIR-or-URL")]
    snapshot: String,
    /// Row changes: JSON Lines (.jsonl), CSV (.csv) or Parquet (.parquet); jobs/README.md has the forms
    #[arg(long, value_name = "FILE", required_unless_present = "sql")]
    changes: Option<PathBuf>,
    /// Simple SQL (UPDATE … SET … WHERE, INSERT, DELETE, each on one table), evaluated over the snapshot and never run
    #[arg(long, value_name = "FILE", conflicts_with = "changes")]
    sql: Option<PathBuf>,
    /// Where the plan is written, to be approved
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the report for people here, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Judge by this rule only; may be given several times. Drafts are judged by only when named
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// The moment as of which to judge, such as 2026-11-22T08:00:00Z; by default the earliest cut of the tables in the
    /// snapshot's manifest.json
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, conflicts_with = "at_rest")]
    as_of: Option<Timestamp>,
    /// Nothing is on its way any more
    #[arg(long)]
    at_rest: bool,
    /// Memory that may be used, such as 2GB or 512MiB
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "4GiB")]
    memory: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The plan's file, as `--out` writes it
    Json,
}

/// Tries a plan and tells what comes of it.
pub fn run(arguments: &PlanArguments) -> ExitCode {
    match arguments.run() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl PlanArguments {
    fn run(&self) -> Result<Status, Status> {
        let (catalog, rules) = self.folders.load()?;
        let schemas_digest = digest_of_schemas(&self.folders.schemas)?;
        let rules = wanted_in_audits(&rules.rules, &self.rule).map_err(|problems| {
            problems.iter().for_each(explain);
            Status::WrongUsage
        })?;
        // What is wrong with the file is told before anything is read.
        let script = match &self.sql {
            Some(path) => Some(read_script(&catalog, path)?),
            None => None,
        };
        let changes = match &self.changes {
            Some(path) => read_changes(&catalog, path).map_err(|list| refuse(path, &list))?,
            None => Changes::default(),
        };
        let failed = |problem: &dyn std::fmt::Display| {
            explain(format_args!("error: {problem}"));
            Status::CouldNotJudge
        };
        let snapshot =
            Snapshot::open(&self.snapshot, &environment()).map_err(|error| failed(&error))?;
        let snapshot = Arc::new(snapshot);
        let options = self.options();
        let changes = match (&script, &self.sql) {
            (Some(script), Some(path)) => evaluate(&catalog, &snapshot, script, &options.audit)
                .map_err(|error| match error {
                    ScriptError::Refused(list) => refuse(path, &list),
                    ScriptError::Unreadable(problem) => failed(&problem),
                })?,
            _ => changes,
        };
        let input = PlanInput {
            catalog: &catalog,
            schemas_digest: &schemas_digest,
            rules: &rules,
            only: &self.rule,
            snapshot: &snapshot,
            changes: &changes,
            options: &options,
        };
        let plan = plan(&input).map_err(|error| failed(&error))?;
        self.tell(&plan)
    }

    fn options(&self) -> RepairOptions {
        RepairOptions {
            audit: AuditOptions {
                cut: match self.as_of {
                    _ if self.at_rest => Cut::AtRest,
                    Some(as_of) => Cut::AsOf(as_of),
                    None => Cut::Manifest,
                },
                memory_bytes: self.memory,
                threads: std::thread::available_parallelism().map_or(1, usize::from),
                ..AuditOptions::default()
            },
            now: now(),
        }
    }

    fn tell(&self, plan: &RepairPlan) -> Result<Status, Status> {
        let text = serde_json::to_string_pretty(plan).map_err(|error| {
            complain(format_args!("error: the plan cannot be written: {error}"));
            Status::CouldNotJudge
        })?;
        if let Some(path) = &self.out {
            write(path, &|out| writeln!(out, "{text}"))?;
        }
        if let Some(path) = &self.report {
            write(path, &|out| show::write(plan, out))?;
        }
        let status = match plan.result.verdict {
            Verdict::Safe => Status::Clean,
            Verdict::Unsafe => Status::Findings,
            Verdict::CouldNotJudge => Status::CouldNotJudge,
        };
        let mut printer = Printer::stdout();
        match self.format {
            Format::Json => printer.line(&text),
            Format::Text => {
                let mut shown = Vec::new();
                let _ = show::write(plan, &mut shown);
                printer.line(String::from_utf8_lossy(&shown).trim_end());
            }
        }
        Ok(printer.finish(status))
    }
}

fn read_script(catalog: &Catalog, path: &Path) -> Result<Script, Status> {
    read_text(path)
        .and_then(|text| Script::parse(catalog, &text))
        .map_err(|list| refuse(path, &list))
}

/// Says what cannot be read or evaluated, each with its place.
fn refuse(path: &Path, mistakes: &[Mistake]) -> Status {
    for mistake in mistakes {
        let place = match mistake.place.is_empty() {
            true => String::new(),
            false => format!("{}: ", mistake.place),
        };
        explain(format_args!(
            "error: {}: {place}{}\n  help: {}",
            path.display(),
            mistake.problem,
            mistake.remedy
        ));
    }
    Status::WrongUsage
}

fn write(
    path: &Path,
    content: &dyn Fn(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Status> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()
    });
    written.map_err(|error| {
        complain(format_args!(
            "error: {} cannot be written: {error}",
            path.display()
        ));
        Status::CouldNotJudge
    })
}
