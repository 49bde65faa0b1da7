//! Follows the schedule: begins each run as a process of its own when it is due, until interrupted.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::{Duration as StdDuration, Instant};

use centinel_model::Timestamp;

use super::begun::end_cut_off;
use super::due::due;
use super::history::{Event, History, Outcome, add};
use super::list;
use super::scheduled::Scheduled;
use crate::config::Config;
use crate::detect::{stop_when_asked, wall_clock};
use crate::exit::Status;
use crate::log;
use crate::printer::complain;

/// How often it is looked whether something is due or has ended.
const LOOK: StdDuration = StdDuration::from_millis(200);
/// A run that was told to stop is given so long.
const PATIENCE: StdDuration = StdDuration::from_secs(10);

/// Runs what is due, until interrupted. A run that is cut off thereby makes the status 3.
pub fn serve(config: &Config, parallel: usize) -> Result<Status, Status> {
    let stop = stop_when_asked()?;
    let all = Scheduled::all(config).into_iter();
    let begun: io::Result<Vec<Followed>> = all.map(Followed::begin).collect();
    let mut followed = begun.map_err(|error| {
        complain(format_args!("error: {error}"));
        Status::CouldNotJudge
    })?;
    for one in &followed {
        let next = one.next.map_or("never".to_owned(), |next| next.to_string());
        complain(format_args!("{}: next run at {next}", one.scheduled.name()));
    }
    while !stop.load(Ordering::Relaxed) {
        for one in &mut followed {
            one.reap();
        }
        let mut running = followed.iter().filter(|one| one.child.is_some()).count();
        let now = wall_clock();
        for one in &mut followed {
            let free = running < parallel;
            match one.look(config, now, free) {
                Ok(begun) => running += usize::from(begun),
                Err(error) => {
                    complain(format_args!("error: {}: {error}", one.scheduled.name()));
                    one.retry_at = Some(Instant::now() + PATIENCE);
                }
            }
        }
        std::thread::sleep(LOOK);
    }
    Ok(end(&mut followed))
}

/// Stops what is under way.
fn end(followed: &mut [Followed<'_>]) -> Status {
    let mut status = Status::Clean;
    for one in followed.iter_mut() {
        one.reap();
        if let Some(child) = &one.child {
            complain(format_args!("{}: stopping the run", one.scheduled.name()));
            tell_to_stop(child);
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while followed.iter().any(|one| one.child.is_some()) {
        if Instant::now() > deadline {
            for child in followed.iter_mut().filter_map(|one| one.child.as_mut()) {
                let _ = child.kill();
            }
        }
        for outcome in followed.iter_mut().filter_map(Followed::reap) {
            if outcome != Outcome::Finished {
                status = Status::CouldNotJudge;
            }
        }
        std::thread::sleep(LOOK / 4);
    }
    status
}

fn tell_to_stop(child: &Child) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // One that has ended meanwhile is reaped in a moment.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// An audit or a drill that is followed.
struct Followed<'a> {
    scheduled: Scheduled<'a>,
    folder: PathBuf,
    /// Keeps a second schedule from running the same one.
    _alone: File,
    /// The last time that was run for or passed over.
    last: Timestamp,
    /// When it is due next.
    next: Option<Timestamp>,
    child: Option<Child>,
    /// After trouble it is left alone for a moment.
    retry_at: Option<Instant>,
}

impl<'a> Followed<'a> {
    fn begin(scheduled: Scheduled<'a>) -> io::Result<Followed<'a>> {
        let (folder, what) = (scheduled.folder(), scheduled.what());
        let said = |what: &str, error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("{}: {what}: {error}", folder.display()),
            )
        };
        fs::create_dir_all(&folder).map_err(|error| said("the folder cannot be made", error))?;
        let alone = File::create(folder.join("schedule.lock"))
            .map_err(|error| said("it cannot be locked", error))?;
        alone.try_lock().map_err(|_| {
            io::Error::other(format!(
                "{}: another `centinel schedule` runs this {what}; stop it, or give each its own `reports`",
                folder.display()
            ))
        })?;
        let history =
            History::read(&folder).map_err(|error| said("the history cannot be read", error))?;
        let last = match history.followed_to() {
            Some(last) => last,
            None => {
                let now = wall_clock();
                add(&folder, now, Event::Declared)
                    .map_err(|error| said("the history cannot be kept", error))?;
                now
            }
        };
        let timing = scheduled.timing();
        let next = timing.cron.next_after(last, timing.zone);
        let mut followed = Followed {
            scheduled,
            folder,
            _alone: alone,
            last,
            next,
            child: None,
            retry_at: None,
        };
        followed.tell_cut_off();
        Ok(followed)
    }

    /// Begins a run if one is due and there is room; whether it did.
    fn look(&mut self, config: &Config, now: Timestamp, free: bool) -> io::Result<bool> {
        let waits = self
            .retry_at
            .is_some_and(|retry_at| Instant::now() < retry_at);
        if waits || self.child.is_some() || self.next.is_none_or(|next| next > now) {
            return Ok(false);
        }
        let timing = self.scheduled.timing();
        let found = due(timing, self.last, now);
        if let (Some(first), Some(last)) = (found.skipped.first(), found.skipped.last()) {
            let skipped = Event::Skipped {
                first: first.to_string(),
                last: last.to_string(),
                count: found.skipped.len() as u64,
            };
            add(&self.folder, now, skipped)?;
            let (name, count) = (self.scheduled.name(), found.skipped.len());
            complain(format_args!(
                "{name}: {count} runs from {first} to {last} were missed and are skipped"
            ));
            self.moved(*last);
        }
        let Some(first) = found.run.first().filter(|_| free) else {
            return Ok(false);
        };
        let child = Command::new(std::env::current_exe()?)
            .arg("schedule")
            .arg("--config")
            .arg(&config.file)
            .args([
                "--once",
                self.scheduled.name(),
                "--for",
                &first.to_string(),
                "--by-schedule",
            ])
            .env(log::VARIABLE, log::chosen())
            .spawn()?;
        self.child = Some(child);
        self.retry_at = None;
        self.moved(*first);
        Ok(true)
    }

    fn moved(&mut self, last: Timestamp) {
        self.last = last;
        let timing = self.scheduled.timing();
        self.next = timing.cron.next_after(last, timing.zone);
    }

    /// Looks whether the run has ended, says what became of it and returns how it ended.
    fn reap(&mut self) -> Option<Outcome> {
        let ended = match self.child.as_mut()?.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.child = None;
        self.tell_cut_off();
        let history = History::read(&self.folder).ok();
        let last = history.and_then(|mut history| history.runs.pop());
        let told = last.as_ref().map_or(ended, list::told);
        complain(format_args!("{}: {told}", self.scheduled.name()));
        let outcome = last.and_then(|run| Some(run.ended?.outcome));
        Some(outcome.unwrap_or(Outcome::CutOff))
    }

    /// Says in the history of runs that ended without a word that they were cut off.
    fn tell_cut_off(&mut self) {
        // While a person runs it, that run is under way.
        let Ok(lock) = File::create(self.folder.join("run.lock")) else {
            return;
        };
        if lock.try_lock().is_err() {
            return;
        }
        if let Err(error) = end_cut_off(&self.folder) {
            complain(format_args!(
                "error: {}: the history cannot be kept: {error}",
                self.scheduled.name()
            ));
        }
    }
}
