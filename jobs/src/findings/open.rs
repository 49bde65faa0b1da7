//! Which store is meant, and what of detection's file is taken in first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_findings::{Store, follow};
use centinel_model::is_self_check;
use centinel_rules::Rule;
use clap::Args;

use super::refuse;
use crate::check::refuse as refuse_config;
use crate::config::Config;
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{complain, counted};

const CONFIG: &str = "centinel.toml";

/// Where findings are kept and where they come from.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The store of findings; it is made where it is not there. By default what the configuration file names
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The file that detection writes its findings to: what is new in it is taken in first. By default what the
    /// configuration file names, unless --store is given
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The configuration file, which names both under [findings]; centinel.toml where it is there
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    config: Option<PathBuf>,
}

/// An open store.
pub struct Opened {
    pub store: Store,
    /// Whether everything that detection wrote is in it.
    pub status: Status,
}

impl Place {
    /// Opens the store and takes in what is new.
    pub fn open(&self) -> Result<Opened, Status> {
        let (mut store, from, config) = self.store()?;
        let mut status = Status::Clean;
        if let Some(from) = from {
            status = take_in(&mut store, &from)?;
            if let Some(config) = config {
                name_systems(&mut store, &config)?;
            }
        }
        Ok(Opened { store, status })
    }

    /// Opens the store alone.
    pub fn open_store(&self) -> Result<Store, Status> {
        Ok(self.store()?.0)
    }

    fn store(&self) -> Result<(Store, Option<PathBuf>, Option<Config>), Status> {
        if let Some(path) = &self.store {
            let store = Store::open(path).map_err(|error| refuse(&error))?;
            return Ok((store, self.from.clone(), None));
        }
        let given = self.config.as_deref();
        let path = given.unwrap_or(Path::new(CONFIG));
        if given.is_none() && !path.exists() {
            complain(
                "error: no store of findings is named: give --store FILE, or --config FILE that names one",
            );
            return Err(Status::WrongUsage);
        }
        let config = Config::load(path).map_err(|problems| refuse_config(&problems))?;
        let Some(kept) = &config.findings_store else {
            complain(format_args!(
                "error: {} names no store of findings: add `store = \"findings.db\"` to [findings]",
                path.display()
            ));
            return Err(Status::WrongUsage);
        };
        let store = Store::open(kept).map_err(|error| refuse(&error))?;
        // Before detection ran for the first time there is no file yet.
        let configured = config.findings.clone().filter(|file| file.exists());
        let from = self.from.clone().or(configured);
        Ok((store, from, Some(config)))
    }
}

fn take_in(store: &mut Store, from: &Path) -> Result<Status, Status> {
    let caught = follow(store, from, &wall_clock).map_err(|error| refuse(&error))?;
    let mut status = Status::Clean;
    if caught.cut_back > 0 {
        complain(format_args!(
            "warning: {} is {} shorter than what was taken in of it; detection writes the same again when it starts",
            from.display(),
            counted(caught.cut_back, "byte", "bytes")
        ));
        status = Status::CouldNotJudge;
    }
    if caught.taken.unread > 0 {
        let lines = counted(caught.taken.unread, "line", "lines");
        complain(format_args!(
            "warning: {lines} of {} could not be read, or contradict an earlier one; they are kept, and in no list",
            from.display(),
        ));
        status = Status::CouldNotJudge;
    }
    Ok(status)
}

/// Says in the store which systems' tables each rule reads, so that it can be asked by system.
fn name_systems(store: &mut Store, config: &Config) -> Result<(), Status> {
    let folders = Folders {
        schemas: config.schemas.clone(),
        rules: config.rules.clone(),
    };
    let (catalog, rules) = folders.load()?;
    let systems = systems_of(&catalog, &rules.rules);
    store.name_systems(&systems).map_err(|error| refuse(&error))
}

/// By rule: the systems whose tables it reads.
pub fn systems_of(catalog: &Catalog, rules: &[Arc<Rule>]) -> BTreeMap<String, Vec<String>> {
    let mut systems: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| !is_self_check(&rule.id)) {
        let reads = rule
            .reads
            .iter()
            .map(|read| catalog.table(read.table).system.clone());
        let of_rule = systems.entry(rule.id.clone()).or_default();
        of_rule.extend(reads);
        of_rule.sort();
        of_rule.dedup();
    }
    systems
}
