//! `centinel check`: whether detection could begin: the configuration, schemas, rules, secrets, every source, what a
//! new state begins with, and the archive.

mod alerts;
mod archive;
mod audits;
mod bootstrap;
mod breaker;
mod interface;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use centinel_catalog::{Catalog, open_file};
use centinel_source::{check_binlog, check_kafka};
use clap::Args;

use alerts::AlertsProbe;
use archive::ArchiveProbe;
use audits::{AuditProbe, DrillProbe};
use bootstrap::BootstrapProbe;
use breaker::{BreakerProbe, ReportProbe};
use interface::InterfaceProbe;

use crate::config::{
    BinlogConfig, Config, FileConfig, KafkaConfig, Problem, Source, SourceConfig, check_against,
};
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::folders::Folders;
use crate::plan;
use crate::printer::{Printer, complain, counted, explain};
use crate::self_check::{BuiltIn, SOURCE};

/// The command line of `centinel check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Tries one place without leaving anything behind there.
pub trait Probe {
    /// What keeps the place from being used, each with its remedy; nothing if it can be.
    fn probe(&self) -> Vec<Problem>;
}

/// Checks, and says every problem on standard error.
pub fn run(arguments: &CheckArguments) -> ExitCode {
    match arguments.check() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl CheckArguments {
    fn check(&self) -> Result<Status, Status> {
        let config = Config::load(&self.config).map_err(|problems| refuse(&problems))?;
        let folders = Folders {
            schemas: config.schemas.clone(),
            rules: config.rules.clone(),
        };
        // Who only serves the breaker has neither schemas nor rules.
        let alone = config.sources.is_empty() && config.audits.is_empty();
        let (catalog, rules) = match alone {
            true => Default::default(),
            false => folders.load_with(BuiltIn::of(Some(&config), &config.state))?,
        };
        let names = catalog.sources.iter().map(String::as_str);
        let names: Vec<&str> = names.filter(|name| *name != SOURCE).collect();
        // What is only run by the clock reads no source.
        let mut problems = match config.sources.is_empty() {
            true => Vec::new(),
            false => check_against(&config, &names),
        };
        problems.extend(breaker::wrong(&config));
        for audit in &config.audits {
            problems.extend(audits::wrong(&config, audit, &catalog));
        }
        for secret in config.secrets() {
            problems.extend(secret.read().err());
            secret
                .remark()
                .iter()
                .for_each(|remark| complain(format_args!("note: {remark}")));
        }
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        let mut printer = Printer::stdout();
        printer.line(format_args!(
            "{}: {}, {}, {}",
            config.file.display(),
            counted(config.sources.len() as u64, "source", "sources"),
            counted(
                catalog.tables.len() as u64,
                "table or event",
                "tables and events"
            ),
            counted(rules.rules.len() as u64, "rule", "rules"),
        ));
        let mut status = Status::Clean;
        for source in &config.sources {
            let found = probe_of(&config, source, &catalog).probe();
            status = status.max(tell(&mut printer, &source.name, "be read", &found));
        }
        if let Some(bootstrap) = &config.detection.bootstrap {
            let found = BootstrapProbe(&config, bootstrap, &catalog).probe();
            status = status.max(tell(&mut printer, "bootstrap", "be begun with", &found));
        }
        if let Some(archive) = &config.archive {
            let found = ArchiveProbe(&config, archive).probe();
            status = status.max(tell(&mut printer, "archive", "be kept", &found));
        }
        if let Some(breaker) = &config.breaker {
            let found = BreakerProbe(&config, breaker).probe();
            status = status.max(tell(&mut printer, "breaker", "be served", &found));
        }
        if let Some(report) = &config.breaker_report {
            let found = ReportProbe(&config, report).probe();
            status = status.max(tell(&mut printer, "breaker_report", "be told", &found));
        }
        if let Some(alerts) = &config.alerts {
            let found = AlertsProbe(&config, alerts).probe();
            status = status.max(tell(&mut printer, "alerts", "be told", &found));
        }
        if let Some(interface) = &config.interface {
            let found = InterfaceProbe(&config, interface).probe();
            status = status.max(tell(&mut printer, "interface", "be served", &found));
        }
        for audit in &config.audits {
            let found = AuditProbe(&config, audit).probe();
            let name = format!("audit {}", audit.name);
            status = status.max(tell(&mut printer, &name, "be run", &found));
        }
        for drill in &config.drills {
            let found = DrillProbe(&config, drill).probe();
            let name = format!("drill {}", drill.name);
            status = status.max(tell(&mut printer, &name, "be run", &found));
        }
        Ok(printer.finish(status))
    }
}

/// Says whether a place can be used, and if not why.
fn tell<W: Write>(printer: &mut Printer<W>, place: &str, used: &str, found: &[Problem]) -> Status {
    if found.is_empty() {
        printer.line(format_args!("{place}: can {used}"));
        return Status::Clean;
    }
    printer.line(format_args!("{place}: cannot {used}"));
    found.iter().for_each(explain);
    Status::CouldNotJudge
}

/// How a source is tried. The one place that knows the kinds.
fn probe_of<'a>(
    config: &'a Config,
    source: &'a Source,
    catalog: &'a Arc<Catalog>,
) -> Box<dyn Probe + 'a> {
    match &source.config {
        SourceConfig::File(file) => Box::new(FileProbe(config, source, file)),
        SourceConfig::Binlog(binlog) => Box::new(BinlogProbe(config, source, binlog, catalog)),
        SourceConfig::Kafka(kafka) => Box::new(KafkaProbe(config, source, kafka, catalog)),
    }
}

struct FileProbe<'a>(&'a Config, &'a Source, &'a FileConfig);

impl Probe for FileProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let FileProbe(config, source, file) = self;
        let opened = open_file(&file.path).map_err(|error| {
            let problem = format!("{} cannot be opened: {error}", file.path.display());
            let remedy = "correct `path`, or create the file, empty at first";
            Problem::new(&config.file, source.line, problem, remedy)
        });
        opened.err().into_iter().collect()
    }
}

struct BinlogProbe<'a>(&'a Config, &'a Source, &'a BinlogConfig, &'a Catalog);

impl Probe for BinlogProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let BinlogProbe(config, source, binlog, catalog) = self;
        match plan::binlog_options(source, binlog) {
            Ok(options) => of_source(config, source, check_binlog(catalog, &options)),
            Err(problem) => vec![problem],
        }
    }
}

struct KafkaProbe<'a>(&'a Config, &'a Source, &'a KafkaConfig, &'a Catalog);

impl Probe for KafkaProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let KafkaProbe(config, source, kafka, catalog) = self;
        match plan::kafka_options(config, source, kafka) {
            Ok(options) => {
                let checked = check_kafka(catalog, &options, wall_clock());
                for note in &checked.notes {
                    complain(format_args!("note: {note}"));
                }
                of_source(config, source, checked.problems)
            }
            Err(problems) => problems,
        }
    }
}

/// Each with the place of the source's entry.
fn of_source(
    config: &Config,
    source: &Source,
    problems: Vec<centinel_source::Problem>,
) -> Vec<Problem> {
    let placed = |problem: centinel_source::Problem| {
        Problem::new(&config.file, source.line, problem.what, problem.remedy)
    };
    problems.into_iter().map(placed).collect()
}

/// Shows every problem.
pub fn refuse(problems: &[Problem]) -> Status {
    problems.iter().for_each(explain);
    complain(counted(problems.len() as u64, "problem", "problems"));
    Status::WrongUsage
}
