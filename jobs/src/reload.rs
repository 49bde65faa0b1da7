//! Rules and schemas that change while detection runs. The files are looked at on a thread of its own; when they have
//! changed and all of them are right, they are handed over as one set. While any of them is wrong none takes over:
//! what is in force stays so, and that is said once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use centinel_catalog::{Catalog, read_file};
use centinel_rules::{CHECKPOINTS, Rule};

use crate::audit::wanted;
use crate::check;
use crate::config::{Config, check_against};
use crate::detect::runnable;
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::complain;
use crate::self_check::{BuiltIn, SOURCE};

/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files looked at in one folder; loading refuses more by itself.
const MOST_FILES: usize = 10_000;
/// The largest file whose content is looked at; loading refuses larger ones.
const MOST_BYTES: u64 = 1 << 20;

/// Schemas, and the rules that detection can run.
pub type Loaded = (Arc<Catalog>, Vec<Arc<Rule>>);

/// Which files are looked at, and as what they were loaded.
#[derive(Clone, Debug)]
pub struct Watched {
    folders: Folders,
    /// Rules to run; all when it is empty.
    only: Vec<String>,
    /// Says where the sources are read, where a file does; it is read at the start only.
    config: Option<Config>,
    /// What the state has of the self-check.
    built_in: Option<BuiltIn>,
    looks: Looks,
    contents: Contents,
}

impl Watched {
    /// To be called before the files are loaded: what changes from now on is noticed.
    pub fn begin(folders: &Folders, only: &[String], config: Option<Config>) -> Watched {
        let looks = Looks::at(folders);
        Watched {
            folders: folders.clone(),
            only: only.to_vec(),
            config,
            built_in: None,
            contents: Contents::of(&looks),
            looks,
        }
    }

    /// The same with what the state has of the self-check.
    pub fn with(self, built_in: Option<BuiltIn>) -> Watched {
        Watched { built_in, ..self }
    }
}

/// Looks at the files until it is dropped.
#[derive(Debug)]
pub struct Reload {
    shared: Arc<Shared>,
    /// The thread ends when this is gone.
    _end: Sender<()>,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    is_ready: AtomicBool,
}

#[derive(Debug)]
struct Pending {
    /// The schemas in force.
    in_force: Arc<Catalog>,
    /// What is to take over; it has the schemas in force where the files say the same.
    ready: Option<Loaded>,
}

impl Pending {
    /// Whether inputs must be opened anew for what is ready.
    fn reopens(&self) -> bool {
        let ready = self.ready.as_ref();
        ready.is_some_and(|(catalog, _)| !Arc::ptr_eq(catalog, &self.in_force))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reload {
    /// Begins to look. `catalog` is that of the schemas in force.
    pub fn watch(watched: Watched, catalog: &Arc<Catalog>) -> Reload {
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending {
                in_force: Arc::clone(catalog),
                ready: None,
            }),
            is_ready: AtomicBool::new(false),
        });
        let (end, ended) = channel();
        let mut watch = Watch {
            last: watched.looks.clone(),
            watched,
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || watch.until(&ended));
        Reload { shared, _end: end }
    }

    /// Whether something is to take over now; `reopens` says whether inputs may be opened anew for it.
    pub fn is_ready(&self, reopens: bool) -> bool {
        let is_ready = self.shared.is_ready.load(Ordering::Acquire);
        is_ready && (reopens || !self.shared.lock().reopens())
    }

    /// What is to take over.
    pub fn take(&self) -> Option<Loaded> {
        let mut pending = self.shared.lock();
        self.shared.is_ready.store(false, Ordering::Release);
        pending.ready.take()
    }

    /// To be told when schemas have come into force: what the files say is compared with these from now on.
    pub fn took_over(&self, catalog: &Arc<Catalog>) {
        self.shared.lock().in_force = Arc::clone(catalog);
    }
}

/// What can be seen of the files without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Looks {
    schemas: BTreeMap<PathBuf, Look>,
    rules: BTreeMap<PathBuf, Look>,
}

/// The status of a file changes whatever is done to it, even where its length and its own time do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    length: u64,
    node: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Looks {
    /// Files of other kinds, such as the tests of rules, do not count.
    fn at(folders: &Folders) -> Looks {
        Looks {
            schemas: looks(&folders.schemas, |name| name.ends_with(".yaml")),
            rules: looks(&folders.rules, |name| {
                name.ends_with(".sql") || name == CHECKPOINTS
            }),
        }
    }
}

/// Files that cannot be looked at are as good as absent.
fn looks(folder: &Path, counts: impl Fn(&str) -> bool) -> BTreeMap<PathBuf, Look> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let name = path.file_name()?.to_str()?;
        let about = counts(name).then(|| std::fs::metadata(&path).ok())??;
        let look = Look {
            length: about.len(),
            node: about.ino(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        };
        Some((path, look))
    };
    entries.take(MOST_FILES).filter_map(file).collect()
}

/// What is in the files, by hash; none for one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents(BTreeMap<PathBuf, Option<u64>>);

impl Contents {
    fn of(looks: &Looks) -> Contents {
        let hash = |path: &PathBuf| {
            let mut hash = DefaultHasher::new();
            read_file(path, MOST_BYTES).ok()?.hash(&mut hash);
            Some(hash.finish())
        };
        let paths = looks.schemas.keys().chain(looks.rules.keys());
        Contents(paths.map(|path| (path.clone(), hash(path))).collect())
    }
}

struct Watch {
    /// With how the files looked and what was in them when they were loaded last, for good or ill.
    watched: Watched,
    /// As they were looked at last.
    last: Looks,
    shared: Arc<Shared>,
}

impl Watch {
    fn until(&mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = Looks::at(&self.watched.folders);
            // A file that is still being written changes until the next look.
            let settled = now == self.last;
            self.last = now;
            if settled && self.last != self.watched.looks {
                self.watched.looks = self.last.clone();
                let contents = Contents::of(&self.last);
                // Touched, or copied over themselves.
                if contents != self.watched.contents {
                    self.watched.contents = contents;
                    self.load();
                }
            }
        }
    }

    fn load(&self) {
        let Ok(loaded) = self.loaded() else {
            complain("the rules and schemas in force stay in force until this is mended");
            return;
        };
        self.shared.lock().ready = Some(loaded);
        self.shared.is_ready.store(true, Ordering::Release);
    }

    fn loaded(&self) -> Result<Loaded, Status> {
        let Watched {
            folders,
            only,
            config,
            built_in,
            ..
        } = &self.watched;
        let (catalog, rules) = folders.load_with(*built_in)?;
        let catalog = self.known(catalog);
        if let Some(config) = config {
            let names = catalog.sources.iter().map(String::as_str);
            let names: Vec<&str> = names.filter(|name| *name != SOURCE).collect();
            let problems = check_against(config, &names);
            if !problems.is_empty() {
                let status = check::refuse(&problems);
                complain("the configuration is read at the start only: mend it, and start again");
                return Err(status);
            }
        }
        let rules = runnable(wanted(&rules.rules, only), !only.is_empty())?;
        Ok((catalog, rules))
    }

    /// The schemas in force, where these say the same.
    fn known(&self, catalog: Arc<Catalog>) -> Arc<Catalog> {
        let in_force = Arc::clone(&self.shared.lock().in_force);
        match format!("{catalog:?}") == format!("{in_force:?}") {
            true => in_force,
            false => catalog,
        }
    }
}
