//! The thread that brings whole segments into the object store, however long that takes.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use centinel_catalog::Catalog;
use centinel_model::TableId;
use tokio::runtime::Runtime;

use super::form::{IDENTITY_OBJECT, IDENTITY_SCHEMA, Identity, Manifest};
use super::location::Location;
use super::parquet_files::write_files;
use super::spool::{sealed_manifest, spool_file};

/// Between attempts: at first, doubled with each failure, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How soon a pause or an upload notices that the run ends.
const NOTICED_WITHIN: Duration = Duration::from_millis(50);

/// What stands in the way of the archive now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store refuses; it is asked again.
    Store(String),
    /// No attempt will help.
    Lasting(String),
}

impl Trouble {
    /// What it is, for people.
    pub fn text(self) -> String {
        match self {
            Trouble::Store(why) | Trouble::Lasting(why) => why,
        }
    }
}

/// What is to be done in the store.
#[derive(Clone, Copy)]
enum Task {
    /// To show whose archive it is, before it has a segment.
    Begin,
    /// To bring a whole segment there.
    Bring(u64),
}

/// What the thread and the run know of each other.
pub(super) struct Shared {
    waiting: Mutex<VecDeque<Task>>,
    came: Condvar,
    begun: AtomicBool,
    archived: AtomicU64,
    objects: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
    stop: AtomicBool,
}

/// The thread; it ends when this is dropped, after the object at hand at the latest.
pub(super) struct Uploader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread needs.
pub(super) struct Work {
    pub catalog: Arc<Catalog>,
    pub location: Location,
    pub folder: PathBuf,
    pub archive: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploader {
    /// Starts the thread; segments up to `archived` are in the store.
    pub fn start(work: Work, archived: u64) -> io::Result<Uploader> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            came: Condvar::new(),
            begun: AtomicBool::new(archived > 0),
            archived: AtomicU64::new(archived),
            objects: AtomicU64::new(0),
            trouble: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let known = Arc::clone(&shared);
        let run = move || {
            let uploads = Uploads {
                work,
                runtime,
                shared: known,
            };
            uploads.run();
            // A file system that hangs must not keep the run from ending.
            uploads.runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("archive".into());
        let thread = Some(thread.spawn(run)?);
        Ok(Uploader { shared, thread })
    }

    /// State knows whose archive it is: whoever reads the store may know it, too.
    pub fn begin(&self) {
        self.hand_over(Task::Begin);
    }

    /// A whole segment, with its manifest beside it, that state knows to be whole.
    pub fn send(&self, segment: u64) {
        self.hand_over(Task::Bring(segment));
    }

    fn hand_over(&self, task: Task) {
        lock(&self.shared.waiting).push_back(task);
        self.shared.came.notify_one();
    }

    /// Whether the store shows whose archive it is.
    pub fn has_begun(&self) -> bool {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// The last segment that lies in the store with all before it.
    pub fn archived(&self) -> u64 {
        self.shared.archived.load(Ordering::Acquire)
    }

    /// How many objects the store has taken since the start.
    pub fn objects(&self) -> u64 {
        self.shared.objects.load(Ordering::Relaxed)
    }

    /// Why nothing moves, if so.
    pub fn trouble(&self) -> Option<Trouble> {
        let known = lock(&self.shared.trouble).clone();
        let ended = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        match known {
            Some(Trouble::Lasting(_)) => known,
            // It does not end by itself: it has said why by its panic.
            _ if ended => Some(Trouble::Lasting("the archive's thread died".into())),
            _ => known,
        }
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.came.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that died has said so by its panic; the spool keeps what it had.
            let _ = thread.join();
        }
    }
}

struct Uploads {
    work: Work,
    runtime: Runtime,
    shared: Arc<Shared>,
}

/// Why something was left.
enum Left {
    /// The run ends.
    Stopped,
    /// No attempt will help.
    Lasting(String),
}

impl From<io::Error> for Left {
    fn from(error: io::Error) -> Left {
        Left::Lasting(error.to_string())
    }
}

impl Uploads {
    fn run(&self) {
        let mut claimed = false;
        while let Some(task) = self.next() {
            let claim = if claimed { Ok(()) } else { self.claim() };
            let done = claim.and_then(|()| {
                claimed = true;
                self.shared.begun.store(true, Ordering::Release);
                match task {
                    Task::Begin => Ok(()),
                    Task::Bring(segment) => self.archive(segment),
                }
            });
            match (done, task) {
                (Ok(()), Task::Begin) => {}
                (Ok(()), Task::Bring(segment)) => {
                    self.shared.archived.store(segment, Ordering::Release);
                }
                (Err(Left::Stopped), _) => return,
                (Err(Left::Lasting(why)), _) => {
                    *lock(&self.shared.trouble) = Some(Trouble::Lasting(why));
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<Task> {
        let mut waiting = lock(&self.shared.waiting);
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(task) = waiting.pop_front() {
                return Some(task);
            }
            waiting = self
                .shared
                .came
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes sure that the archive is this state's.
    fn claim(&self) -> Result<(), Left> {
        let location = &self.work.location;
        let begun = self.shared.archived.load(Ordering::Relaxed) > 0;
        self.insist(|| claim(location, &self.work.archive, begun))?
            .map_err(Left::Lasting)
    }

    fn archive(&self, segment: u64) -> Result<(), Left> {
        let Work {
            catalog, folder, ..
        } = &self.work;
        let path = sealed_manifest(folder, segment);
        let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path)?)
            .map_err(|error| Left::Lasting(format!("{}: {error}", path.display())))?;
        // Numbers of tables are those of the schemas under which the segment was written.
        let shape = match &manifest.shape {
            Some(shape) => shape.clone(),
            None if manifest.schemas == catalog.fingerprint() => catalog.shape(),
            None => {
                return Err(Left::Lasting(format!(
                    "segment {segment} waits since other schemas were in force: start once with those"
                )));
            }
        };
        let name = |table: TableId| {
            let table = shape.tables.get(usize::from(table.0));
            table.map_or_else(String::new, |table| table.name.clone())
        };
        let mut stopped = false;
        let mut each = |path: &str, bytes: Bytes| {
            self.put(path, bytes).map_err(|left| match left {
                Left::Stopped => {
                    stopped = true;
                    io::Error::other("stopped")
                }
                Left::Lasting(why) => io::Error::other(why),
            })
        };
        let files = write_files(&spool_file(folder, segment), segment, &name, &mut each);
        manifest.files = match files {
            Err(_) if stopped => return Err(Left::Stopped),
            files => files?,
        };
        let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
        if rows != manifest.changes {
            return Err(Left::Lasting(format!(
                "segment {segment} has {rows} changes in the spool, and {} were committed",
                manifest.changes
            )));
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?;
        self.put(&Manifest::name(segment), text.into())
    }

    fn put(&self, name: &str, bytes: Bytes) -> Result<(), Left> {
        self.insist(|| self.work.location.put(name, bytes.clone()))?;
        self.shared.objects.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Asks the store until it does as asked, or the run ends.
    fn insist<T, A: Future<Output = Result<T, String>>>(
        &self,
        ask: impl Fn() -> A,
    ) -> Result<T, Left> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = self.runtime.block_on(async {
                tokio::select! {
                    answer = ask() => Some(answer),
                    () = self.stopped() => None,
                }
            });
            match asked {
                None => return Err(Left::Stopped),
                Some(Ok(answer)) => {
                    *lock(&self.shared.trouble) = None;
                    return Ok(answer);
                }
                Some(Err(error)) => *lock(&self.shared.trouble) = Some(Trouble::Store(error)),
            }
            let stopped = self.runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => false,
                    () = self.stopped() => true,
                }
            });
            if stopped {
                return Err(Left::Stopped);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn stopped(&self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            tokio::time::sleep(NOTICED_WITHIN).await;
        }
    }
}

/// Looks whose archive lies there, and makes it this one's where there is none. The outer error is the
/// store's, the inner one is for good.
async fn claim(
    location: &Location,
    archive: &str,
    begun: bool,
) -> Result<Result<(), String>, String> {
    if let Some(bytes) = location.get(IDENTITY_OBJECT).await? {
        return Ok(check(location, archive, &bytes));
    }
    if begun {
        return Ok(Err(format!(
            "{} holds no archive, and this state has written one: name its place, or copy it there",
            location.shown()
        )));
    }
    let identity = Identity {
        schema: IDENTITY_SCHEMA.into(),
        archive: archive.into(),
    };
    let text = serde_json::to_vec_pretty(&identity).map_err(|error| error.to_string())?;
    match location.create(IDENTITY_OBJECT, text.into()).await? {
        true => Ok(Ok(())),
        // Another was quicker, or an attempt of this one was told as failed.
        false => match location.get(IDENTITY_OBJECT).await? {
            Some(bytes) => Ok(check(location, archive, &bytes)),
            None => Err(format!(
                "{}: {IDENTITY_OBJECT} comes and goes",
                location.shown()
            )),
        },
    }
}

fn check(location: &Location, archive: &str, bytes: &[u8]) -> Result<(), String> {
    let shown = location.shown();
    let known: Identity = serde_json::from_slice(bytes)
        .map_err(|error| format!("{shown}/{IDENTITY_OBJECT}: {error}"))?;
    if known.schema != IDENTITY_SCHEMA {
        return Err(format!(
            "{shown}/{IDENTITY_OBJECT} is of form `{}`: use a program that knows it",
            known.schema
        ));
    }
    match known.archive == archive {
        true => Ok(()),
        false => Err(format!(
            "{shown} holds the archive of another state: name another place"
        )),
    }
}
