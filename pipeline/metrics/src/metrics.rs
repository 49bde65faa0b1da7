//! What is told and asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use centinel_model::{Severity, Timestamp, Verdict};
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::at_risk::{AtRisk, each_line, read};
use crate::exposition::Exposition;
use crate::health::{Bounds, Facts, Phase, Truth, truth};
use crate::labels::{Labels, Values};
use crate::seen::{Channel, Live, Seen, SelfCheck};

/// Rules that have series of their own.
const MOST_RULES: usize = 500;
const MOST_SOURCES: usize = 100;
const MOST_REASONS: usize = 40;
const MOST_CHANNELS: usize = 50;
const MOST_PARTS: usize = 20;

type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// All that is shown of one run of detection. Its methods keep nobody waiting for longer than it takes to write the text.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    batches: Histogram,
    stages: Histograms,
    bounds: Bounds,
    shown: Arc<Shown>,
}

/// Shared with what writes the text.
#[derive(Debug)]
pub(crate) struct Shown(Mutex<State>);

impl Shown {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // What somebody who died left behind is still what was last seen.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told.
#[derive(Debug)]
pub(crate) struct State {
    pub phase: Phase,
    pub begun: Timestamp,
    pub committed: Option<Timestamp>,
    pub batches: u64,
    pub seen: Seen,
    /// Messages on findings, by rule, severity and verdict.
    pub told: BTreeMap<(Arc<str>, &'static str, &'static str), u64>,
    pub at_risk: AtRisk,
    pub channels: Vec<Channel>,
    pub unrouted: BTreeMap<Severity, u64>,
    pub self_check: Option<SelfCheck>,
    pub troubles: BTreeMap<&'static str, String>,
    /// Parts that have said how they do.
    pub parts: BTreeSet<&'static str>,
    pub values: AllValues,
    /// As somebody asked last.
    pub live: Live,
    pub now: Timestamp,
    pub truth: Truth,
}

/// The values of each label with a limit.
#[derive(Debug)]
pub(crate) struct AllValues {
    pub rules: Values,
    pub sources: Values,
    pub reasons: Values,
    pub channels: Values,
}

impl Metrics {
    /// Of a program of this version, whose run begins now.
    pub fn new(version: &str, begun: Timestamp, bounds: Bounds) -> Metrics {
        let shown = Arc::new(Shown(Mutex::new(State {
            phase: Phase::Starting,
            begun,
            committed: None,
            batches: 0,
            seen: Seen::default(),
            told: BTreeMap::new(),
            at_risk: AtRisk::default(),
            channels: Vec::new(),
            unrouted: BTreeMap::new(),
            self_check: None,
            troubles: BTreeMap::new(),
            parts: BTreeSet::new(),
            values: AllValues {
                rules: Values::new(MOST_RULES),
                sources: Values::new(MOST_SOURCES),
                reasons: Values::new(MOST_REASONS),
                channels: Values::new(MOST_CHANNELS),
            },
            live: Live::default(),
            now: begun,
            truth: Truth::default(),
        })));
        let mut registry = Registry::with_prefix("centinel");
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The version of this program", build);
        // 1 to 262,144; a micro-batch may have 250,000.
        let batches = Histogram::new(exponential_buckets(1.0, 4.0, 10));
        registry.register("batch_changes", "Changes in a micro-batch", batches.clone());
        let stages: Histograms = Family::new_with_constructor(of_time as fn() -> Histogram);
        registry.register_with_unit(
            "batch_stage",
            "Processor time of a micro-batch in each stage, on the thread that does it",
            Unit::Seconds,
            stages.clone(),
        );
        registry.register_collector(Box::new(Exposition(Arc::clone(&shown))));
        Metrics {
            registry,
            batches,
            stages,
            bounds,
            shown,
        }
    }

    /// Where the run is.
    pub fn phase(&self, phase: Phase) {
        self.shown.lock().phase = phase;
    }

    /// To be called after each commit with the run as it stands, and what was told with it.
    pub fn committed<'a>(&self, seen: Seen, told: impl Iterator<Item = &'a [u8]>, now: Timestamp) {
        let mut state = self.shown.lock();
        if state.phase == Phase::Starting {
            state.phase = Phase::Running;
        }
        state.committed = Some(now);
        state.batches += 1;
        // After rules or schemas were taken over, stages count from nothing.
        let changes = seen.changes.saturating_sub(state.seen.changes);
        self.batches.observe(changes as f64);
        for (stage, time) in &seen.stages {
            let before = state.seen.stages.iter().find(|(name, _)| name == stage);
            let before = before.map_or(Duration::ZERO, |(_, time)| *time);
            let spent = time.checked_sub(before).unwrap_or(*time);
            let labels = vec![("stage", Arc::from(*stage))];
            self.stages
                .get_or_create(&labels)
                .observe(spent.as_secs_f64());
        }
        // Those in force have series before those that were told only.
        for rule in &seen.rules {
            state.values.rules.of(&rule.id);
        }
        state.seen = seen;
        for line in told {
            state.take(line);
        }
    }

    /// To be called before the first commit is told here, when [`Metrics::past`] will be.
    pub fn past_comes(&self) {
        self.shown.lock().at_risk.read_past();
    }

    /// What was told before this run began, as it stands in detection's file; may come while commits are told.
    ///
    /// # Errors
    /// When it cannot be read to its end; what was read counts.
    pub fn past(&self, lines: impl BufRead) -> std::io::Result<()> {
        let done = each_line(lines, |line| {
            if let Some(finding) = read(line) {
                self.shown.lock().at_risk.take(&finding);
            }
        });
        self.shown.lock().at_risk.past_is_read();
        done
    }

    /// How the channels of alerts do, and findings that none of them takes, by severity.
    pub fn alerts(&self, channels: Vec<Channel>, unrouted: BTreeMap<Severity, u64>) {
        let mut state = self.shown.lock();
        state.channels = channels;
        state.unrouted = unrouted;
    }

    /// How the self-check does.
    pub fn self_check(&self, check: SelfCheck) {
        self.shown.lock().self_check = Some(check);
    }

    /// How something that stands beside detection does, such as the store of findings; a trouble makes it not ready.
    pub fn part(&self, part: &'static str, trouble: Option<String>) {
        let mut state = self.shown.lock();
        if state.parts.len() < MOST_PARTS || state.parts.contains(part) {
            state.parts.insert(part);
            match trouble {
                Some(trouble) => state.troubles.insert(part, trouble),
                None => state.troubles.remove(part),
            };
        }
    }

    /// Whether it does what it is there for.
    pub fn truth(&self, live: Live, now: Timestamp) -> Truth {
        let mut state = self.shown.lock();
        state.look(live, now, self.bounds);
        state.truth.clone()
    }

    /// Everything, in the text form of Prometheus ([`CONTENT_TYPE`](crate::CONTENT_TYPE)).
    pub fn text(&self, live: Live, now: Timestamp) -> String {
        self.shown.lock().look(live, now, self.bounds);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// From a quarter of a millisecond to a minute.
fn of_time() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 4.0, 10))
}

impl State {
    fn take(&mut self, line: &[u8]) {
        let Some(finding) = read(line) else {
            return;
        };
        let rule = self.values.rules.of(&finding.rule);
        let kind = (rule, finding.severity.as_str(), word(finding.verdict));
        *self.told.entry(kind).or_default() += 1;
        self.at_risk.take(&finding);
    }

    fn look(&mut self, live: Live, now: Timestamp, bounds: Bounds) {
        let truth = truth(
            &Facts {
                phase: &self.phase,
                begun: self.begun,
                sources: &self.seen.sources,
                troubles: &self.troubles,
                self_check: self.self_check.as_ref(),
                live: &live,
            },
            bounds,
            now,
        );
        (self.truth, self.live, self.now) = (truth, live, now);
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suspected => "suspected",
        Verdict::Confirmed => "confirmed",
        Verdict::Cleared => "cleared",
        Verdict::Recovered => "recovered",
        Verdict::Undetermined => "undetermined",
        Verdict::RuleChanged => "rule_changed",
    }
}
