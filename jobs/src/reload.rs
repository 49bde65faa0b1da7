//! Rules and schemas that change while detection runs: a folder that is whole again takes over between two
//! micro-batches, a broken one leaves the old in force and says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use centinel_catalog::Catalog;
use centinel_rules::Rule;

use crate::audit::wanted;
use crate::detect::runnable;
use crate::folders::Folders;
use crate::printer::complain;

/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files looked at in one folder; loading refuses more by itself.
const MOST_FILES: usize = 10_000;

/// Schemas, and the rules that detection can run.
pub type Loaded = (Arc<Catalog>, Vec<Arc<Rule>>);

/// Looks at the folders of schemas and rules on a thread of its own.
#[derive(Debug)]
pub struct Reload {
    ready: Arc<Mutex<Option<Loaded>>>,
    changed: Arc<AtomicBool>,
}

impl Reload {
    /// Begins to look. `only` names the rules to run, all when it is empty.
    pub fn watch(folders: Folders, only: Vec<String>, in_force: &[Arc<Rule>]) -> Reload {
        let ready = Arc::new(Mutex::new(None));
        let changed = Arc::new(AtomicBool::new(false));
        let reload = Reload {
            ready: Arc::clone(&ready),
            changed: Arc::clone(&changed),
        };
        let before = (files(&folders), versions(in_force));
        std::thread::spawn(move || look(&folders, &only, before, &ready, &changed));
        reload
    }

    /// Whether something is ready to take over.
    pub fn is_ready(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// What is to take over.
    pub fn take(&self) -> Option<Loaded> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.store(false, Ordering::Relaxed);
        ready.take()
    }
}

type Files = BTreeMap<PathBuf, (u64, SystemTime)>;
type Versions = BTreeMap<String, String>;

fn look(
    folders: &Folders,
    only: &[String],
    before: (Files, Versions),
    ready: &Mutex<Option<Loaded>>,
    changed: &AtomicBool,
) {
    let (mut loaded_from, mut in_force) = before;
    let mut last = loaded_from.clone();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = files(folders);
        // A file that is still being written changes until the next look.
        let settled = now == last;
        last.clone_from(&now);
        if !settled || now == loaded_from {
            continue;
        }
        loaded_from = now;
        let Ok((catalog, rules)) = load(folders, only) else {
            complain("the rules in force stay in force until this is mended");
            continue;
        };
        let versions = versions(&rules);
        if versions != in_force {
            let names = |from: &Versions, other: &Versions| -> Vec<String> {
                let new = from
                    .iter()
                    .filter(|(id, version)| other.get(*id) != Some(version));
                new.map(|(id, _)| id.clone()).collect()
            };
            let gone: Vec<&String> = in_force
                .keys()
                .filter(|id| !versions.contains_key(*id))
                .collect();
            complain(format_args!(
                "rules changed: {:?} new or changed, {gone:?} gone",
                names(&versions, &in_force)
            ));
        }
        in_force = versions;
        *ready.lock().unwrap_or_else(PoisonError::into_inner) = Some((catalog, rules));
        changed.store(true, Ordering::Relaxed);
    }
}

fn load(folders: &Folders, only: &[String]) -> Result<Loaded, crate::exit::Status> {
    let (catalog, rules) = folders.load()?;
    let rules = runnable(wanted(&rules.rules, only), !only.is_empty())?;
    Ok((catalog, rules))
}

fn versions(rules: &[Arc<Rule>]) -> Versions {
    rules
        .iter()
        .map(|rule| (rule.id.clone(), rule.version.clone()))
        .collect()
}

/// Length and time of each file; files that cannot be looked at are as good as absent.
fn files(folders: &Folders) -> Files {
    let in_folder = |folder: &Path| -> Vec<(PathBuf, (u64, SystemTime))> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let file = |entry: std::fs::DirEntry| {
            let about = entry.metadata().ok()?;
            Some((entry.path(), (about.len(), about.modified().ok()?)))
        };
        entries.take(MOST_FILES).filter_map(file).collect()
    };
    let both = [&folders.schemas, &folders.rules];
    both.into_iter()
        .flat_map(|folder| in_folder(folder))
        .collect()
}
