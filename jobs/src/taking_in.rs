//! A thread beside detection, or beside the console, takes what detection tells into the store of findings, as soon as it
//! stands in the file.
//!
//! The store knows how far it is, so nothing is lost and nothing is there twice, whoever else takes in the same file.
//! While the store cannot be written, findings wait in their file.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use centinel_findings::{Caught, FindingsError, Store, follow_while};

use crate::detect::wall_clock;
use crate::findings::systems_of;
use crate::in_force::InForce;
use crate::printer::{complain, counted};
use crate::reload::Loaded;

/// How often the file is looked at when nobody says that it has grown.
const LOOK: Duration = Duration::from_millis(500);
/// After a failure it is tried again after this, and later less often.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// At the end of detection the rest may take so long.
const LAST: Duration = Duration::from_secs(10);

/// The thread. It ends with [`TakingIn::end`], or when this is dropped.
pub struct TakingIn {
    grown: Option<SyncSender<()>>,
    trouble: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl TakingIn {
    /// Begins. A store that cannot be opened is tried again: detection waits for nothing.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn begin(store: &Path, findings: &Path, in_force: InForce) -> std::io::Result<TakingIn> {
        let (grown, news) = sync_channel(1);
        let trouble = Arc::new(Mutex::new(None));
        let mut taking = Taking {
            trouble: Arc::clone(&trouble),
            path: store.to_owned(),
            findings: findings.to_owned(),
            in_force,
            store: None,
            named: None,
            said: None,
        };
        let thread = std::thread::Builder::new()
            .name("findings".into())
            .spawn(move || taking.until(&news))?;
        Ok(TakingIn {
            grown: Some(grown),
            trouble,
            thread: Some(thread),
        })
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(&self) {
        if let Some(grown) = &self.grown {
            // Where it was said already, nothing more is to be said.
            let _ = grown.try_send(());
        }
    }

    /// Why nothing is taken in at present, if nothing is.
    pub fn trouble(&self) -> impl Fn() -> Option<String> + Send + Sync + use<> {
        let trouble = Arc::clone(&self.trouble);
        move || {
            trouble
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        }
    }

    /// Takes in the rest, for some seconds at most, and says what is left.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.grown.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            complain(
                "error: the thread that takes findings in died; the next start goes on where it was",
            );
        }
    }
}

impl Drop for TakingIn {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Taking {
    /// Seen by others.
    trouble: Arc<Mutex<Option<String>>>,
    path: PathBuf,
    findings: PathBuf,
    in_force: InForce,
    store: Option<Store>,
    /// The rules and schemas whose systems the store knows.
    named: Option<Loaded>,
    /// What was said of the last failure.
    said: Option<String>,
}

impl Taking {
    fn until(&mut self, news: &Receiver<()>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let failed = self.take(&|| true);
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = self.said.clone();
            let wait = match failed {
                false => LOOK,
                true => pause,
            };
            pause = match failed {
                false => FIRST_PAUSE,
                true => (pause * 2).min(LONGEST_PAUSE),
            };
            let ends = match news.recv_timeout(wait) {
                Ok(()) if failed => ended_within(news, wait),
                Ok(()) | Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if ends {
                return self.last();
            }
        }
    }

    /// Takes in what there is; returns whether it failed, which is said once.
    fn take(&mut self, go_on: &dyn Fn() -> bool) -> bool {
        match self.try_take(go_on) {
            Ok(caught) => {
                if self.said.take().is_some() {
                    complain("the store of findings takes findings in again");
                }
                if caught.taken.unread > 0 {
                    complain(format_args!(
                        "warning: {} of {} could not be read, or contradict an earlier one; they are kept, and in no list",
                        counted(caught.taken.unread, "line", "lines"),
                        self.findings.display(),
                    ));
                }
                false
            }
            Err(error) => {
                // It may be another file by now, or the same one after its disk was mended.
                self.store = None;
                let text = error.to_string();
                if self.said.as_ref() != Some(&text) {
                    complain(format_args!(
                        "error: {text}; findings wait in {} and are taken in when that is mended",
                        self.findings.display()
                    ));
                    self.said = Some(text);
                }
                true
            }
        }
    }

    fn try_take(&mut self, go_on: &dyn Fn() -> bool) -> Result<Caught, FindingsError> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(&self.path)?),
        };
        // Before detection ran for the first time there is none, which the console sees.
        if !self.findings.exists() {
            return Ok(Caught::default());
        }
        let caught = follow_while(store, &self.findings, &wall_clock, go_on)?;
        let loaded = self.in_force.loaded();
        // Before detection has opened its state there are no rules.
        if !loaded.1.is_empty()
            && !self
                .named
                .as_ref()
                .is_some_and(|named| same(named, &loaded))
        {
            store.name_systems(&systems_of(&loaded.0, &loaded.1))?;
            self.named = Some(loaded);
        }
        Ok(caught)
    }

    fn last(&mut self) {
        let ends = Instant::now() + LAST;
        let cut_off = Cell::new(false);
        let failed = self.take(&|| {
            cut_off.set(Instant::now() >= ends);
            !cut_off.get()
        });
        if failed || cut_off.get() {
            complain(format_args!(
                "  not all of {} is in the store of findings yet; the rest is taken in by the next run, or by `centinel \
                 findings`",
                self.findings.display()
            ));
        }
    }
}

/// Whether it ends before so long, whatever is said of the file meanwhile.
fn ended_within(news: &Receiver<()>, wait: Duration) -> bool {
    let until = Instant::now() + wait;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

fn same(left: &Loaded, right: &Loaded) -> bool {
    let rules = left.1.iter().zip(&right.1);
    std::sync::Arc::ptr_eq(&left.0, &right.0)
        && left.1.len() == right.1.len()
        && rules
            .into_iter()
            .all(|(left, right)| std::sync::Arc::ptr_eq(left, right))
}
