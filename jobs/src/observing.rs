//! A run of detection, as those see it who watch over it: its metrics and its health. It is told after each commit, which
//! costs detection some microseconds, and asks everything else where it stands when somebody looks.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use centinel_alert::{ChannelStatus, Progress};
use centinel_engine::detect::{Backlog, Detector, SharedBacklog, Unit};
use centinel_interface::Health;
use centinel_metrics::{
    ArchiveSeen, Bounds, Channel, Live, Metrics, Phase, Quarantined, RuleSeen, Seen, SelfCheck,
    SourceSeen,
};
use centinel_model::{Duration, Timestamp, is_self_check};
use centinel_outlet::Message;
use tokio::sync::watch;

use crate::detect::wall_clock;
use crate::detection::Detection;
use crate::printer::complain;
use crate::self_check::Standing;

/// The loop of detection turns several times a second. The largest micro-batch over the slowest disk takes some seconds.
const TURN: Duration = Duration::seconds(120);
/// Files of the state's folder that are looked at.
const MOST_FILES: usize = 10_000;

/// What stands beside detection and may fail.
type Trouble = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// A run, for those who watch over it.
pub struct Observing {
    metrics: Metrics,
    backlog: SharedBacklog,
    /// The state's folder.
    state: PathBuf,
    /// The file that detection writes, for what was told before this run.
    findings: Option<PathBuf>,
    past: Once,
    asked: Mutex<Asked>,
}

/// What is asked when somebody looks.
#[derive(Default)]
struct Asked {
    alerts: Option<watch::Receiver<Progress>>,
    self_check: Option<Box<dyn Fn() -> Standing + Send + Sync>>,
    parts: Vec<(&'static str, Trouble)>,
}

impl Observing {
    /// Begins. `findings` is the file that detection writes.
    pub fn begin(detection: &Detection, findings: Option<&Path>) -> Arc<Observing> {
        let bounds = Bounds {
            turn: TURN,
            lag: detection.options.silent_after,
        };
        Arc::new(Observing {
            metrics: Metrics::new(env!("CARGO_PKG_VERSION"), wall_clock(), bounds),
            backlog: detection.options.backlog.clone(),
            state: detection.state.clone(),
            findings: findings.map(Path::to_owned),
            past: Once::new(),
            asked: Mutex::default(),
        })
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(self: &Arc<Self>, detector: &Detector, messages: &[Message]) {
        // By now the file has what state told it before this run.
        self.past.call_once(|| self.read_past());
        let told = messages.iter().map(|(_, message)| message.as_slice());
        self.metrics.committed(seen(detector), told, wall_clock());
    }

    /// The run has come to its end, or could not go on.
    pub fn ended(&self, failed: Option<String>) {
        let phase = failed.map_or(Phase::Ended, Phase::Failed);
        self.metrics.phase(phase);
    }

    /// Alerts are told by this.
    pub fn alerts(&self, shown: watch::Receiver<Progress>) {
        self.asked().alerts = Some(shown);
    }

    /// The self-check stands so.
    pub fn self_check(&self, standing: impl Fn() -> Standing + Send + Sync + 'static) {
        self.asked().self_check = Some(Box::new(standing));
    }

    /// A part that stands beside detection; `trouble` says what is wrong with it.
    pub fn part(
        &self,
        name: &'static str,
        trouble: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) {
        self.asked().parts.push((name, Box::new(trouble)));
    }

    /// In the text form of Prometheus.
    pub fn metrics(&self) -> String {
        let live = self.look();
        self.metrics.text(live, wall_clock())
    }

    /// Whether it does what it is there for.
    pub fn health(&self) -> Health {
        let live = self.look();
        let truth = self.metrics.truth(live, wall_clock());
        Health {
            alive: truth.alive,
            ready: truth.ready,
            reasons: truth.reasons,
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Findings that are open since before this run have their money in the file.
    fn read_past(self: &Arc<Self>) {
        let Some(path) = self.findings.clone() else {
            return;
        };
        self.metrics.past_comes();
        let this = Arc::clone(self);
        let read = move || {
            let file = File::open(&path).map(|file| BufReader::with_capacity(1 << 20, file));
            if let Err(error) = file.and_then(|file| this.metrics.past(file)) {
                complain(format_args!(
                    "error: {}: {error}; metrics lack the money of findings that were told before this start",
                    path.display()
                ));
            }
        };
        if let Err(error) = thread::Builder::new().name("past".into()).spawn(read) {
            complain(format_args!(
                "error: no thread: {error}; metrics lack the money of findings that were told before this start"
            ));
        }
    }

    /// Asks all that stands beside it.
    fn look(&self) -> Live {
        let asked = self.asked();
        for (name, trouble) in &asked.parts {
            self.metrics.part(name, trouble());
        }
        if let Some(shown) = &asked.alerts {
            let progress = shown.borrow();
            self.metrics.part("alerts", progress.not_stored.clone());
            let channels = progress.status.channels.iter();
            let channels = channels.map(|(name, status)| channel(name, status));
            let unrouted = progress.status.unrouted.clone();
            self.metrics.alerts(channels.collect(), unrouted);
        }
        if let Some(standing) = &asked.self_check {
            let standing = standing();
            if standing.on {
                self.metrics.self_check(self_check(&standing));
            }
        }
        drop(asked);
        let mut live = Live {
            turned: self.backlog.turned(),
            state_bytes: bytes_of(&self.state),
            archive: self.backlog.archive().map(|status| ArchiveSeen {
                waiting: status.waiting,
                waiting_bytes: status.waiting_bytes,
                trouble: status.trouble,
            }),
            ..Live::default()
        };
        for standing in self.backlog.by_input().values() {
            match standing.backlog {
                Some(Backlog {
                    left,
                    unit: Unit::Records,
                    ..
                }) => live.backlog_records += left,
                Some(Backlog {
                    left,
                    unit: Unit::Bytes,
                    ..
                }) => live.backlog_bytes += left,
                None => {}
            }
        }
        live
    }
}

fn seen(detector: &Detector) -> Seen {
    let catalog = detector.catalog();
    let sources = catalog.sources.iter().zip(detector.source_facts());
    let sources = sources.zip(detector.every_progress());
    let open = detector.open();
    let counters = detector.counters;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    // What rules that are not in force any more, and Centinel itself, have open is in no figure by rule.
    let rules = detector
        .rules()
        .filter(|(rule, _)| !is_self_check(&rule.id));
    Seen {
        changes: counters.changes,
        repeated: counters.repeated,
        messages: counters.messages,
        documents: counters.documents,
        stages: detector.stages.named().to_vec(),
        sources: sources
            .map(|((name, facts), progress)| SourceSeen {
                name: name.clone(),
                progress: (progress > Timestamp::MIN).then_some(progress),
                behind: facts.behind,
                changes: facts.changes,
            })
            .collect(),
        rules: rules
            .map(|(rule, spent)| {
                let open = open.get(&rule.id).copied().unwrap_or_default();
                RuleSeen {
                    id: rule.id.clone(),
                    severity: rule.severity,
                    evaluations: spent.evaluations,
                    time: spent.time,
                    open: [open.suspected, open.confirmed, open.undetermined].map(count),
                }
            })
            .collect(),
        confirmed: open
            .iter()
            .filter(|(rule, _)| !is_self_check(rule))
            .map(|(_, open)| count(open.confirmed))
            .sum(),
        quarantined: detector
            .unread()
            .map(|(source, reason, count)| Quarantined {
                source: source.map(str::to_owned),
                reason: word(&reason),
                count,
            })
            .collect(),
        unsettled: detector.holes(),
    }
}

/// The word by which it is told.
fn word(reason: &impl serde::Serialize) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".into(),
    }
}

fn channel(name: &str, status: &ChannelStatus) -> Channel {
    let health = &status.health;
    Channel {
        name: name.to_owned(),
        delivered: health.delivered,
        failed: health.failed,
        refused: health.refused,
        given_up: health.given_up,
        pending: status.pending,
        failing_since: health.failing_since.map(Timestamp),
    }
}

fn self_check(standing: &Standing) -> SelfCheck {
    SelfCheck {
        last_found: standing.last_found,
        failing: standing.failing.as_ref().map(|(_, why)| why.clone()),
        failures: standing.failed,
    }
}

/// Bytes on the disk: of state itself, and of what waits for the archive.
fn bytes_of(state: &Path) -> Vec<(&'static str, u64)> {
    let mut bytes = [("state", 0), ("spool", 0)];
    let Ok(files) = std::fs::read_dir(state) else {
        return Vec::new();
    };
    for file in files.flatten().take(MOST_FILES) {
        match file.metadata() {
            Ok(about) if about.is_file() => bytes[0].1 += about.len(),
            _ => {}
        }
    }
    let spool = std::fs::read_dir(state.join("archive"));
    for file in spool.into_iter().flatten().flatten().take(MOST_FILES) {
        if let Ok(about) = file.metadata() {
            bytes[1].1 += about.len();
        }
    }
    bytes.to_vec()
}
