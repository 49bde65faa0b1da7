//! Whether an audit or a drill that the configuration declares could be run.

use std::path::Path;

use centinel_catalog::{Catalog, open_file};
use centinel_engine::audit::Snapshot;

use super::Probe;
use crate::audit::environment;
use crate::baseline::Baseline;
use crate::config::{AuditConfig, AuditInput, Config, DrillConfig, Problem};
use crate::schedule::{Unfit, rules_of};

/// What is wrong in the files that an audit names: rules, tags, the baseline.
pub fn wrong(config: &Config, audit: &AuditConfig, catalog: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(unfit) = rules_of(config, audit, catalog) {
        let remedy = match unfit {
            Unfit::Mistakes(_) => "`centinel rules check --rules DIR` shows each",
            Unfit::Names(_) => "correct `rules`, `tags` or `folders`",
        };
        let problem = format!("the rules of audit `{}`: {}", audit.name, unfit.told());
        problems.push(Problem::new(&config.file, audit.line, problem, remedy));
    }
    if let Some(path) = &audit.baseline {
        problems.extend(Baseline::load(path).err().into_iter().flatten());
    }
    problems
}

const WRITABLE: &str = "correct `reports`, or let this account write there";

/// What keeps reports from being written there. Nothing is made: of folders that are not there yet the nearest one above
/// is tried.
fn unwritable(reports: &Path) -> Option<String> {
    let there = reports.ancestors().find(|folder| folder.exists());
    let writable = there.is_none_or(|folder| {
        rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok() && folder.is_dir()
    });
    (!writable).then(|| format!("reports cannot be written to {}", reports.display()))
}

/// Tries where the reports lie, and the logs that are copied.
pub struct DrillProbe<'a>(pub &'a Config, pub &'a DrillConfig);

impl Probe for DrillProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let DrillProbe(config, drill) = self;
        let said = |problem| Problem::new(&config.file, drill.line, problem, WRITABLE);
        let mut problems: Vec<Problem> = unwritable(&drill.reports).map(said).into_iter().collect();
        for path in &drill.input {
            if let Err(error) = open_file(path) {
                let problem = format!("{} cannot be opened: {error}", path.display());
                let remedy = "correct `input`, or let the log be there before the first run";
                problems.push(Problem::new(&config.file, drill.line, problem, remedy));
            }
        }
        problems
    }
}

/// Tries where the reports lie, and the data where it is at one place for all times.
pub struct AuditProbe<'a>(pub &'a Config, pub &'a AuditConfig);

impl Probe for AuditProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let AuditProbe(config, audit) = self;
        let said =
            |problem: String, remedy: &str| Problem::new(&config.file, audit.line, problem, remedy);
        let mut problems = Vec::new();
        problems.extend(unwritable(&audit.reports).map(|problem| said(problem, WRITABLE)));
        if let AuditInput::Snapshot(place) = &audit.input
            && !place.has_time()
        {
            let location = place.at(centinel_model::Timestamp(0), audit.timing.zone);
            if let Err(error) = Snapshot::open(&location, &environment()) {
                problems.push(said(
                    error.to_string(),
                    "correct `snapshot`, or take it before the first run",
                ));
            }
        }
        problems
    }
}
