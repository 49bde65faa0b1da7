//! Detection tells the circuit breaker what it finds, and how far behind it is.
//!
//! A thread of its own follows the file of findings, which detection writes once and durably, and remembers how far the breaker
//! has been told. Detection waits for nothing here: while the breaker is away, findings wait in the file.

mod lines;
mod place;
mod translate;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use centinel_breaker::{Report, Trip};
use centinel_breaker_client::{ClientError, ReportError, Reporter};
use centinel_engine::detect::Detector;
use centinel_model::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::detect::wall_clock;
use crate::printer::complain;
use lines::{Lines, MOST_AT_ONCE, Wave};
use place::Place;

/// How often the file is looked at when nobody says that it has grown.
const LOOK: Duration = Duration::from_millis(100);
/// How often the breaker hears how far behind detection is.
const PROGRESS: Duration = Duration::from_secs(1);
/// How often the place is kept, at most.
const KEEP: Duration = Duration::from_secs(1);
/// What is not taken is sent again after this, and later less often.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// At the end of detection the rest may take so long.
const LAST: Duration = Duration::from_secs(5);

/// What is told, and to whom.
pub struct Telling {
    /// Where the breaker is.
    pub url: String,
    /// The key, read anew when the breaker refuses it: it may have been rotated.
    pub key: Box<dyn Fn() -> Result<String, String> + Send + Sync>,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<Vec<u8>>,
    /// How long one call may take.
    pub deadline: Duration,
    /// The file that detection writes; it exists.
    pub findings: PathBuf,
    /// Where it is kept how far the breaker has been told.
    pub place: PathBuf,
    /// Told of trips that findings have set or proposed.
    pub trip: Box<dyn Fn(&Trip) + Send + Sync>,
}

/// The thread that tells. It ends with [`Reporting::end`], or when this is dropped.
pub struct Reporting {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    telling: Telling,
    reporter: Mutex<Arc<Reporter>>,
    /// Up to when everything was judged and stands in the file.
    judged: AtomicI64,
    /// Bytes of the file that were told; less than none while an earlier file is.
    told: AtomicI64,
    written: Notify,
    ending: watch::Sender<bool>,
    findings: Said,
    progress: Said,
}

/// What the breaker is told of, and whether it was said that it does not take it.
struct Said {
    away: AtomicBool,
    lost: &'static str,
    again: &'static str,
}

impl Said {
    const fn new(lost: &'static str, again: &'static str) -> Said {
        Said {
            away: AtomicBool::new(false),
            lost,
            again,
        }
    }

    fn taken(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            complain(self.again);
        }
    }

    fn refused(&self, error: &ReportError) {
        if !self.away.swap(true, Ordering::Relaxed) {
            complain(format_args!("error: {error}; {}", self.lost));
        }
    }
}

impl Reporting {
    /// Begins to tell, where it stopped. Without a place, the breaker is told what is open; what has ended before would only
    /// trip anew.
    ///
    /// # Errors
    /// When the key or the certificates cannot be used, or the place cannot be read.
    pub fn begin(telling: Telling) -> Result<Reporting, String> {
        let reporter = reporter(&telling)?;
        let findings = canonical(&telling.findings)?;
        let place = Place::load(&telling.place)?;
        if let Some(before) = place.as_ref().filter(|place| place.findings != findings)
            && let Err(error) = Lines::open(&before.findings, before.offset)
        {
            return Err(format!(
                "the breaker was not told all of {}: {error}: put it back, or remove {}, and it is told what is open \
                 in {}",
                before.findings.display(),
                telling.place.display(),
                findings.display()
            ));
        }
        let shared = Arc::new(Shared {
            telling,
            reporter: Mutex::new(Arc::new(reporter)),
            judged: AtomicI64::new(Timestamp::MIN.0),
            told: AtomicI64::new(-1),
            written: Notify::new(),
            ending: watch::channel(false).0,
            findings: Said::new(
                "findings wait in their file, and the breaker is told when it takes them",
                "the breaker takes findings again",
            ),
            progress: Said::new(
                "the breaker does not hear how far detection is",
                "the breaker hears again how far detection is",
            ),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no thread that tells the breaker: {error}"))?;
        let inside = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("breaker-report".into())
            .spawn(move || runtime.block_on(tell(&inside, &findings, place)))
            .map_err(|error| format!("no thread that tells the breaker: {error}"))?;
        Ok(Reporting {
            shared,
            thread: Some(thread),
        })
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(&self, detector: &Detector) {
        let judged = detector.judged_up_to().0;
        self.shared.judged.store(judged, Ordering::Release);
        self.shared.written.notify_one();
    }

    /// Why the breaker is not told at present, if it is not.
    pub fn trouble(&self) -> impl Fn() -> Option<String> + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.trouble()
    }

    /// Tells the rest, for some seconds at most, and says what is left.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.ending.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            complain(
                "error: the thread that tells the breaker died; the next start goes on where it was",
            );
        }
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.finish();
    }
}

fn canonical(path: &Path) -> Result<PathBuf, String> {
    std::fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn reporter(telling: &Telling) -> Result<Reporter, String> {
    let key = (telling.key)()?;
    let made = Reporter::new(&telling.url, &key, telling.deadline, telling.ca.as_deref());
    made.map_err(|error| error.to_string())
}

async fn tell(shared: &Arc<Shared>, findings: &Path, place: Option<Place>) {
    let mut file = Followed {
        shared,
        begins: place.is_none(),
        place: place.unwrap_or_else(|| Place::new(findings, 0)),
        kept: (Instant::now(), None),
        complained: false,
    };
    let mut ending = shared.ending.subscribe();
    let late = async {
        // The sender lives as long as this.
        let _ = ending.wait_for(|ending| *ending).await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        () = file.follow(findings) => {}
        () = late => {}
        () = say_progress(shared, findings) => {}
    }
    file.keep();
    let left = length(findings).unwrap_or(0) - shared.told.load(Ordering::Relaxed).max(0);
    if left > 0 {
        complain(format_args!(
            "  {left} bytes of {} were not told to the breaker yet; they wait for the next run",
            findings.display()
        ));
    }
}

fn length(file: &Path) -> Option<i64> {
    let about = std::fs::metadata(file).ok()?;
    i64::try_from(about.len()).ok()
}

/// Says every second how far the breaker's knowledge is behind the sources: detection's own lag, and what waits to be
/// told. Nothing is said before something is known.
async fn say_progress(shared: &Shared, findings: &Path) {
    let mut covered = Timestamp::MIN;
    let mut every = tokio::time::interval(PROGRESS);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // In this order: all that was judged up to then stands in the file by now.
        let judged = Timestamp(shared.judged.load(Ordering::Acquire));
        let written = length(findings).unwrap_or(i64::MAX);
        if shared.told.load(Ordering::Acquire) >= written {
            covered = covered.max(judged);
        }
        if covered == Timestamp::MIN {
            continue;
        }
        let lag = wall_clock().since(covered).0.unsigned_abs();
        let said = shared.reporter().progress(Duration::from_micros(lag)).await;
        match said {
            Ok(()) => shared.progress.taken(),
            Err(error) => {
                shared.progress.refused(&error);
                shared.read_key_anew(&error);
            }
        }
    }
}

/// The file that is followed.
struct Followed<'a> {
    shared: &'a Arc<Shared>,
    place: Place,
    /// Whether nothing was ever told.
    begins: bool,
    /// When the place was kept last, and which.
    kept: (Instant, Option<u64>),
    complained: bool,
}

impl Followed<'_> {
    /// Tells what is written until the end. A file that was written before under another name is told to its end first.
    async fn follow(&mut self, findings: &Path) {
        if self.place.findings != findings {
            self.follow_to_end(&self.place.findings.clone(), true).await;
            self.place = Place::new(findings, 0);
        }
        if !self.begins {
            self.told();
        }
        self.follow_to_end(findings, false).await;
    }

    async fn follow_to_end(&mut self, findings: &Path, earlier: bool) {
        let mut lines = loop {
            match Lines::open(findings, self.place.offset) {
                Ok(lines) => break lines,
                Err(error) => self.fails(findings, &error),
            }
            tokio::time::sleep(LONGEST_PAUSE).await;
        };
        loop {
            // Looked at first: what is written before the end is told.
            let ending = *self.shared.ending.borrow();
            let read = match self.begins {
                true => lines.open_at_end(),
                false => lines.wave(),
            };
            match read {
                Ok(wave) if wave.end.is_some() => {
                    self.send(wave).await;
                    self.begins = false;
                    if !earlier {
                        self.told();
                    }
                    self.keep_sometimes();
                    continue;
                }
                Ok(_) if earlier || ending => return,
                Ok(_) => {}
                Err(error) => self.fails(findings, &error),
            }
            self.keep_sometimes();
            let _ = tokio::time::timeout(LOOK, self.shared.written.notified()).await;
        }
    }

    fn told(&self) {
        let told = i64::try_from(self.place.offset).unwrap_or(i64::MAX);
        self.shared.told.store(told, Ordering::Release);
    }

    /// Sends reports until each is taken, those of a wave side by side.
    async fn send(&mut self, wave: Wave) {
        for problem in &wave.problems {
            complain(format_args!("error: the breaker cannot be told: {problem}"));
        }
        let mut reports = wave.reports.into_iter();
        loop {
            let mut sent = JoinSet::new();
            for report in reports.by_ref().take(MOST_AT_ONCE) {
                sent.spawn(deliver(Arc::clone(self.shared), report));
            }
            if sent.is_empty() {
                break;
            }
            sent.join_all().await;
        }
        self.place.offset = wave.end.unwrap_or(self.place.offset);
    }

    fn keep_sometimes(&mut self) {
        if self.kept.0.elapsed() >= KEEP {
            self.keep();
        }
    }

    /// Keeps the place; there is none while what is open is being told for the first time.
    fn keep(&mut self) {
        let place = Some(self.place.offset).filter(|_| !self.begins);
        if place.is_none() || place == self.kept.1 {
            return;
        }
        self.kept = (Instant::now(), place);
        if let Err(error) = self.place.save(&self.shared.telling.place) {
            self.fails(&self.shared.telling.place.clone(), &error);
        }
    }

    fn fails(&mut self, path: &Path, error: &std::io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            complain(format_args!(
                "error: {}: {error}; the breaker is told the same again until this is mended",
                path.display()
            ));
        }
    }
}

/// Sends one report until it is taken, or refused for good.
async fn deliver(shared: Arc<Shared>, report: Report) {
    let mut pause = FIRST_PAUSE;
    loop {
        match shared.reporter().report(&report).await {
            Ok(trip) => {
                shared.findings.taken();
                trip.iter().for_each(|trip| (shared.telling.trip)(trip));
                return;
            }
            Err(ReportError::Refused(ClientError::Refused {
                status: 400 | 409 | 413 | 422,
                text,
            })) => {
                tracing::error!(
                    rule = %report.rule,
                    finding = %report.finding_id,
                    "error: the breaker refuses finding {} of rule {}: {text}",
                    report.finding_id,
                    report.rule
                );
                return;
            }
            Err(error) => {
                shared.findings.refused(&error);
                shared.read_key_anew(&error);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Shared {
    fn trouble(&self) -> Option<String> {
        let mut said = [&self.findings, &self.progress].into_iter();
        let away = said.find(|said| said.away.load(Ordering::Relaxed));
        away.map(|said| said.lost.to_owned())
    }

    fn reporter(&self) -> Arc<Reporter> {
        let reporter = self.reporter.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&reporter)
    }

    /// A key that the breaker does not know may have been rotated since it was read.
    fn read_key_anew(&self, error: &ReportError) {
        if let ReportError::Refused(ClientError::Refused {
            status: 401 | 403, ..
        }) = error
            && let Ok(reporter) = reporter(&self.telling)
        {
            let mut kept = self.reporter.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Arc::new(reporter);
        }
    }
}
