//! A run that has begun, of whatever is scheduled: alone, in the history whatever becomes of it, and ended when it is
//! stopped or takes too long.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration as StdDuration, Instant};

use centinel_model::{Duration, Timestamp};
use tempfile::TempDir;

use super::history::{Began, Ended, Event, History, Outcome, StartedBy, add};
use super::scheduled::Scheduled;
use crate::detect::{stop_when_asked, wall_clock};
use crate::exit::Status;
use crate::printer::complain;

/// How often somebody looks whether the run is to be cut off.
const LOOK: StdDuration = StdDuration::from_millis(50);

/// A run between its first line in the history and its last.
pub struct Begun {
    /// Where its history and reports are.
    pub folder: PathBuf,
    /// The runs before, and this one.
    pub history: History,
    /// Names it.
    pub id: String,
    /// The time that it is run for.
    pub run_for: Timestamp,
    /// When it began, by the wall clock, and
    pub began_at: Timestamp,
    /// by the clock that never steps.
    pub began: Instant,
    /// What it is about, as shown.
    pub input: String,
    ending: Arc<AtomicBool>,
    /// Nobody else runs the same.
    _alone: File,
    /// For everything that waits in files.
    temporary: TempDir,
}

impl Begun {
    /// Begins one, or says on standard error why that could not be. `input` says what a run for a time is about.
    pub fn begin(
        scheduled: Scheduled<'_>,
        run_for: Option<Timestamp>,
        started_by: StartedBy,
        input: &dyn Fn(Timestamp) -> String,
    ) -> Result<Begun, Status> {
        let stop = stop_when_asked()?;
        let folder = scheduled.folder();
        let failed = |what: &str, error: io::Error| said(&folder, what, &error);
        fs::create_dir_all(&folder).map_err(|error| failed("the folder cannot be made", error))?;
        let alone = lock(&folder, scheduled.what(), started_by, &stop)?;
        let history =
            end_cut_off(&folder).map_err(|error| failed("the history cannot be kept", error))?;
        let began_at = wall_clock();
        let run_for = run_for.unwrap_or(began_at);
        let id = began_at.to_string().replace(['-', ':'], "");
        let input = input(run_for);
        let line = Event::Began(Began {
            run: id.clone(),
            run_for: run_for.to_string(),
            started_by,
            input: input.clone(),
            drill: matches!(scheduled, Scheduled::Drill(_)),
        });
        add(&folder, began_at, line)
            .map_err(|error| failed("the history cannot be kept", error))?;
        let temporary =
            temporary_folder().map_err(|error| failed("no temporary folder can be made", error))?;
        let begun = Begun {
            folder,
            history,
            id,
            run_for,
            began_at,
            began: Instant::now(),
            input,
            ending: Arc::new(AtomicBool::new(false)),
            _alone: alone,
            temporary,
        };
        begun.watch(&stop, scheduled.timeout());
        Ok(begun)
    }

    /// How long it has taken so far.
    pub fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// From here on the run is brought to its end, whatever is asked.
    pub fn comes_to_its_end(&self) {
        while self.ending.swap(true, Ordering::AcqRel) {
            std::thread::park();
        }
    }

    /// Adds its last line, which makes it count.
    pub fn end(&self, ended: Ended) -> io::Result<()> {
        add(&self.folder, wall_clock(), Event::Ended(Box::new(ended)))
    }

    /// Says that something of it could not be written.
    pub fn failed(&self, what: &str, error: &io::Error) -> Status {
        said(&self.folder, what, error)
    }

    /// Ends the process when the run is stopped or takes too long: what judges cannot be interrupted.
    fn watch(&self, stop: &Arc<AtomicBool>, timeout: Duration) {
        let (stop, ending) = (Arc::clone(stop), Arc::clone(&self.ending));
        let (folder, temporary) = (self.folder.clone(), self.temporary.path().to_owned());
        let (id, began) = (self.id.clone(), self.began);
        let limit = StdDuration::from_micros(timeout.0.max(0).unsigned_abs());
        std::thread::spawn(move || {
            let outcome = loop {
                if stop.load(Ordering::Relaxed) {
                    break Outcome::Stopped;
                }
                if began.elapsed() > limit {
                    break Outcome::TimedOut;
                }
                std::thread::sleep(LOOK);
            };
            if ending.swap(true, Ordering::AcqRel) {
                return;
            }
            let problem = match outcome {
                Outcome::TimedOut => format!("it took longer than {timeout}"),
                _ => "it was stopped before its end".to_owned(),
            };
            complain(format_args!("error: {problem}: nothing was judged"));
            let ended = Ended {
                run: id,
                outcome,
                exit_status: Status::CouldNotJudge as u8,
                duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                problem: Some(problem),
                result: None,
                drill: None,
            };
            if let Err(error) = add(&folder, wall_clock(), Event::Ended(Box::new(ended))) {
                complain(format_args!("error: the history cannot be kept: {error}"));
            }
            let _ = fs::remove_dir_all(temporary);
            std::process::exit(i32::from(Status::CouldNotJudge as u8));
        });
    }
}

fn said(folder: &Path, what: &str, error: &io::Error) -> Status {
    complain(format_args!("error: {}: {what}: {error}", folder.display()));
    Status::CouldNotJudge
}

/// Only one run at a time. A run that is due waits for one that a person began.
fn lock(
    folder: &Path,
    what: &str,
    started_by: StartedBy,
    stop: &AtomicBool,
) -> Result<File, Status> {
    let path = folder.join("run.lock");
    let refuse = |problem: &dyn std::fmt::Display| {
        complain(format_args!("error: {}: {problem}", path.display()));
        Status::CouldNotJudge
    };
    let file = File::create(&path).map_err(|error| refuse(&error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if started_by == StartedBy::Command || stop.load(Ordering::Relaxed) {
                    return Err(refuse(&format_args!(
                        "another run of this {what} is under way; nothing was begun"
                    )));
                }
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::Error(error)) => return Err(refuse(&error)),
        }
    }
}

/// Says of each run that began and never ended that it was cut off. Only while no run of it is under way.
pub fn end_cut_off(folder: &Path) -> io::Result<History> {
    let history = History::read(folder)?;
    if history.unreadable > 0 {
        complain(format_args!(
            "warning: {}: {} lines of the history cannot be read and are passed over",
            folder.display(),
            history.unreadable
        ));
    }
    let mut ended = false;
    for run in history.open() {
        let cut_off = Ended {
            run: run.began.run.clone(),
            outcome: Outcome::CutOff,
            exit_status: Status::CouldNotJudge as u8,
            duration_ms: 0,
            problem: Some("its process ended without a word".into()),
            result: None,
            drill: None,
        };
        add(folder, wall_clock(), Event::Ended(Box::new(cut_off)))?;
        ended = true;
    }
    match ended {
        true => History::read(folder),
        false => Ok(history),
    }
}

/// A folder for everything that waits in files, so that a run that is cut off leaves nothing behind.
fn temporary_folder() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("centinel-run-").tempdir()?;
    let _ = tempfile::env::override_temp_dir(folder.path());
    Ok(folder)
}
