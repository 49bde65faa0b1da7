//! Rules and schemas that change while detection runs. The files are looked at on a thread of its own; when they have
//! changed and all of them are right, they are handed over as one set. While any of them is wrong none takes over:
//! what is in force stays so, and that is said once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use centinel_catalog::Catalog;
use centinel_rules::Rule;

use crate::audit::wanted;
use crate::detect::runnable;
use crate::exit::Status;
use crate::folders::{Folders, refuse};
use crate::printer::complain;

/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files looked at in one folder; loading refuses more by itself.
const MOST_FILES: usize = 10_000;

/// Schemas, and the rules that detection can run.
pub type Loaded = (Arc<Catalog>, Vec<Arc<Rule>>);

/// Which files are looked at, and as what they were loaded.
#[derive(Clone, Debug)]
pub struct Watched {
    folders: Folders,
    /// Rules to run; all when it is empty.
    only: Vec<String>,
    loaded_from: Looks,
}

impl Watched {
    /// To be called before the files are loaded: what changes from now on is noticed.
    pub fn begin(folders: &Folders, only: &[String]) -> Watched {
        Watched {
            folders: folders.clone(),
            only: only.to_vec(),
            loaded_from: Looks::at(folders),
        }
    }
}

/// Looks at the files until it is dropped.
#[derive(Debug)]
pub struct Reload {
    shared: Arc<Shared>,
    /// The thread ends when this is gone.
    _end: Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    ready: Mutex<Option<Loaded>>,
    is_ready: AtomicBool,
    /// Whether inputs must be opened anew for it.
    reopens: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reload {
    /// Begins to look. `catalog` is that of the schemas in force.
    pub fn watch(watched: Watched, catalog: &Arc<Catalog>) -> Reload {
        let shared = Arc::new(Shared::default());
        let (end, ended) = channel();
        let mut watch = Watch {
            last: watched.loaded_from.clone(),
            schemas: watched.loaded_from.schemas.clone(),
            loaded_from: watched.loaded_from,
            folders: watched.folders,
            only: watched.only,
            catalog: Arc::clone(catalog),
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || watch.until(&ended));
        Reload { shared, _end: end }
    }

    /// Whether something is to take over now; `reopens` says whether inputs may be opened anew for it.
    pub fn is_ready(&self, reopens: bool) -> bool {
        let shared = &self.shared;
        shared.is_ready.load(Ordering::Acquire)
            && (reopens || !shared.reopens.load(Ordering::Relaxed))
    }

    /// What is to take over.
    pub fn take(&self) -> Option<Loaded> {
        let mut ready = self.shared.lock();
        self.shared.is_ready.store(false, Ordering::Release);
        self.shared.reopens.store(false, Ordering::Relaxed);
        ready.take()
    }
}

type Files = BTreeMap<PathBuf, (u64, SystemTime)>;

/// What can be seen of the files without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Looks {
    schemas: Files,
    rules: Files,
}

impl Looks {
    /// Files of other kinds, such as the tests of rules, do not count.
    fn at(folders: &Folders) -> Looks {
        Looks {
            schemas: files(&folders.schemas, "yaml"),
            rules: files(&folders.rules, "sql"),
        }
    }
}

/// Length and time of each file; files that cannot be looked at are as good as absent.
fn files(folder: &Path, kind: &str) -> Files {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let counts = path.extension().is_some_and(|end| end == kind);
        let about = counts.then(|| std::fs::metadata(&path).ok())??;
        Some((path, (about.len(), about.modified().ok()?)))
    };
    entries.take(MOST_FILES).filter_map(file).collect()
}

struct Watch {
    folders: Folders,
    only: Vec<String>,
    /// As it was looked at last.
    last: Looks,
    /// As it was when it was loaded last, for good or ill.
    loaded_from: Looks,
    /// The schemas as they were loaded last, and the files that they were in.
    catalog: Arc<Catalog>,
    schemas: Files,
    shared: Arc<Shared>,
}

impl Watch {
    fn until(&mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = Looks::at(&self.folders);
            // A file that is still being written changes until the next look.
            let settled = now == self.last;
            self.last = now;
            if settled && self.last != self.loaded_from {
                self.loaded_from = self.last.clone();
                self.load();
            }
        }
    }

    fn load(&mut self) {
        let Ok((catalog, rules)) = self.loaded() else {
            complain("the rules and schemas in force stay in force until this is mended");
            return;
        };
        let reopens = !Arc::ptr_eq(&catalog, &self.catalog);
        self.catalog = Arc::clone(&catalog);
        self.schemas = self.last.schemas.clone();
        let mut ready = self.shared.lock();
        self.shared.reopens.fetch_or(reopens, Ordering::Relaxed);
        *ready = Some((catalog, rules));
        self.shared.is_ready.store(true, Ordering::Release);
    }

    fn loaded(&self) -> Result<Loaded, Status> {
        let catalog = self.catalog()?;
        let rules =
            centinel_rules::load(&self.folders.rules, &catalog).map_err(|list| refuse(&list))?;
        let rules = runnable(wanted(&rules.rules, &self.only), !self.only.is_empty())?;
        Ok((catalog, rules))
    }

    /// The schemas of the files: those that are known, where they say the same.
    fn catalog(&self) -> Result<Arc<Catalog>, Status> {
        if self.schemas == self.last.schemas {
            return Ok(Arc::clone(&self.catalog));
        }
        let catalog =
            centinel_catalog::load(&self.folders.schemas).map_err(|list| refuse(&list))?;
        Ok(
            match format!("{catalog:?}") == format!("{:?}", self.catalog) {
                true => Arc::clone(&self.catalog),
                false => Arc::new(catalog),
            },
        )
    }
}
