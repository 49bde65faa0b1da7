//! Where something is known of an entity: a running detection, its state, its archive, the store of findings, the breaker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::archive::{ArchivePlace, history_in_archive};
use centinel_engine::detect::HistoryReader;
use centinel_findings::Store as Findings;
use centinel_interface::ClientError;
use centinel_rules::{Rule, Status as Trust};
use centinel_state::{FileStore, StateError, Store};
use centinel_trace::{BreakerEntry, FindingEntry, History};

use super::breaker;
use crate::audit::environment;
use crate::check::refuse;
use crate::config::{Config, InterfaceConfig};
use crate::exit::Status;
use crate::folders::Folders;
use crate::plan;

/// A running detection has so long to answer.
const DEADLINE: Duration = Duration::from_secs(20);
const CACHE_BYTES: usize = 64 << 20;
/// Threads that look through an archive.
const THREADS: usize = 2;

/// Where to look.
pub struct Places<'a> {
    pub config: Option<&'a Config>,
    pub folders: Folders,
    pub catalog: Arc<Catalog>,
    pub state: Option<PathBuf>,
    pub archive: Option<String>,
    pub findings_store: Option<PathBuf>,
    pub breaker_store: Option<PathBuf>,
}

/// What is to be said beside the trace.
#[derive(Default)]
pub struct Told {
    /// What a reader should know, each a sentence.
    pub notes: Vec<String>,
    /// Places that should know something and could not be read.
    pub problems: Vec<String>,
}

/// What came of asking a running detection.
enum Asked {
    Answered(Option<History>),
    /// Nobody answers: its state may be free.
    Away(String),
    Refused(String),
}

impl Places<'_> {
    /// What state knows, and the archive where that may know more.
    pub fn histories(
        &self,
        entity: &str,
        key: &str,
        told: &mut Told,
    ) -> Result<Vec<History>, Status> {
        let from_state = self.from_state(entity, key, told)?;
        let whole = from_state.as_ref().is_some_and(|history| {
            let known = &history.completeness;
            !known.replaced_missing && known.since.is_none() && known.left_out == 0
        });
        let archive = match (&self.archive, self.config) {
            (Some(location), _) => Some(ArchivePlace {
                location: location.clone(),
                store_options: environment(),
            }),
            (None, Some(config)) if !whole => plan::archive(config)
                .map_err(|problem| refuse(&[problem]))?
                .map(|options| ArchivePlace {
                    location: options.location,
                    store_options: options.store_options,
                }),
            _ => None,
        };
        let archived = match archive {
            None => None,
            Some(archive) => {
                let found = history_in_archive(&self.catalog, &archive, entity, key, THREADS);
                found.unwrap_or_else(|error| {
                    told.problems.push(error.to_string());
                    None
                })
            }
        };
        Ok(from_state.into_iter().chain(archived).collect())
    }

    fn from_state(
        &self,
        entity: &str,
        key: &str,
        told: &mut Told,
    ) -> Result<Option<History>, Status> {
        let state = match (&self.state, self.config) {
            (Some(state), _) => state.clone(),
            // Who only audits or serves the breaker has no state.
            (None, Some(config)) if !config.sources.is_empty() => config.state.clone(),
            _ => return Ok(None),
        };
        let interface = self.config.and_then(|config| config.interface.as_ref());
        let interface = interface.filter(|_| self.state.is_none());
        let away = match interface.map(|interface| asked(interface, entity, key)) {
            Some(Asked::Answered(history)) => return Ok(history),
            Some(Asked::Refused(why)) => {
                told.problems.push(why);
                return Ok(None);
            }
            Some(Asked::Away(why)) => Some(why),
            None => None,
        };
        match self.opened(&state)? {
            Opened::Free(store) => match self.read(store, entity, key)? {
                Ok(history) => return Ok(history),
                Err(EngineError::Unsupported(why)) => told.notes.push(why),
                Err(error) => told.problems.push(error.to_string()),
            },
            Opened::InUse => told.problems.push(match away {
                Some(why) => format!("{} is in use, and {why}", state.display()),
                None => format!(
                    "{} is in use by a detection that cannot be asked: add [interface] to its configuration and name that \
                     with --config, or stop it",
                    state.display()
                ),
            }),
            Opened::Nothing if self.state.is_some() => {
                told.problems.push(format!("there is no state in {}", state.display()));
            }
            Opened::Nothing => {
                let note = format!("detection has not run yet: there is no state in {}", state.display());
                told.notes.push(note);
            }
            Opened::Failed(why) => told.problems.push(why),
        }
        Ok(None)
    }

    fn opened(&self, state: &Path) -> Result<Opened, Status> {
        // Opening makes what is not there.
        if !state.join("state.redb").exists() {
            return Ok(Opened::Nothing);
        }
        Ok(match FileStore::open(state, CACHE_BYTES) {
            Ok(store) => Opened::Free(Arc::new(store)),
            Err(StateError::InUse { .. }) => Opened::InUse,
            Err(error) => Opened::Failed(error.to_string()),
        })
    }

    fn read(
        &self,
        store: Arc<dyn Store>,
        entity: &str,
        key: &str,
    ) -> Result<Result<Option<History>, EngineError>, Status> {
        let rules = centinel_rules::load(&self.folders.rules, &self.catalog)
            .map_err(|mistakes| crate::folders::refuse(&mistakes))?;
        let judged = |rule: &&Arc<Rule>| rule.status != Trust::Draft && rule.detection().is_ok();
        let rules: Vec<Arc<Rule>> = rules.rules.iter().filter(judged).cloned().collect();
        let reader = HistoryReader::open(Arc::clone(&self.catalog), &rules, store);
        Ok(reader.and_then(|reader| reader.read(entity, key)))
    }

    /// What was told of its findings, and what people did with them.
    pub fn findings(&self, entity: &str, key: &str, told: &mut Told) -> Vec<FindingEntry> {
        let configured = self
            .config
            .and_then(|config| config.findings_store.as_ref());
        let Some(path) = self.findings_store.as_ref().or(configured) else {
            return Vec::new();
        };
        if !path.exists() && self.findings_store.is_none() {
            let note = format!("there is no store of findings yet: {}", path.display());
            told.notes.push(note);
            return Vec::new();
        }
        let entries = Findings::open_read_only(path).and_then(|store| store.traced(entity, key));
        entries.unwrap_or_else(|error| {
            told.problems.push(error.to_string());
            Vec::new()
        })
    }

    /// What the breaker did.
    pub fn breaker(
        &self,
        entity: &str,
        key: &str,
        findings: &[FindingEntry],
        told: &mut Told,
    ) -> Vec<BreakerEntry> {
        let served = self.config.and_then(|config| config.breaker.as_ref());
        let served = served.map(|breaker| &breaker.service.store);
        let path = match (self.breaker_store.as_ref(), served) {
            (Some(path), _) => path,
            (None, Some(path)) if path.exists() => path,
            (None, Some(path)) => {
                let note = format!("there is no store of the breaker yet: {}", path.display());
                told.notes.push(note);
                return Vec::new();
            }
            (None, None) => {
                let report = self
                    .config
                    .and_then(|config| config.breaker_report.as_ref());
                told.notes.extend(report.map(|report| {
                    format!(
                        "what the breaker at {} did is not among these: name its store with --breaker-store where that is \
                         on this machine, or look in the console",
                        report.url
                    )
                }));
                return Vec::new();
            }
        };
        breaker::about(path, entity, key, findings).unwrap_or_else(|error| {
            told.problems.push(error.to_string());
            Vec::new()
        })
    }
}

enum Opened {
    Free(Arc<dyn Store>),
    InUse,
    Nothing,
    Failed(String),
}

fn asked(interface: &InterfaceConfig, entity: &str, key: &str) -> Asked {
    let client = match crate::interface::client(interface, DEADLINE) {
        Ok(client) => client,
        Err(problem) => return Asked::Refused(problem),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Asked::Refused(error.to_string()),
    };
    match runtime.block_on(client.history(entity, key)) {
        Ok(history) => Asked::Answered(history),
        Err(error @ ClientError::Unreachable(_)) => Asked::Away(error.to_string()),
        Err(error) => Asked::Refused(error.to_string()),
    }
}
