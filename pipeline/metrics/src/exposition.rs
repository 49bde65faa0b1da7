//! What is known → samples. This is the very edge: the one place where money becomes a float.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;

use centinel_model::{Duration, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::labels::Labels;
use crate::metrics::{Shown, State};

/// Writes what was told.
#[derive(Debug)]
pub(crate) struct Exposition(pub Arc<Shown>);

/// The samples of one metric. Those of one series are added up: beyond a limit several names are one.
#[derive(Default)]
struct Samples(BTreeMap<Labels, f64>);

impl Samples {
    fn one(value: f64) -> Samples {
        Samples(BTreeMap::from([(Labels::new(), value)]))
    }

    fn add(&mut self, labels: Labels, value: f64) {
        *self.0.entry(labels).or_default() += value;
    }

    /// Of those of one series the largest.
    fn largest(&mut self, labels: Labels, value: f64) {
        let known = self.0.entry(labels).or_insert(value);
        *known = known.max(value);
    }
}

impl FromIterator<(Labels, f64)> for Samples {
    fn from_iter<I: IntoIterator<Item = (Labels, f64)>>(all: I) -> Samples {
        let mut samples = Samples::default();
        all.into_iter()
            .for_each(|(labels, value)| samples.add(labels, value));
        samples
    }
}

struct Writing<'a>(DescriptorEncoder<'a>);

impl Writing<'_> {
    fn write(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: &Samples,
    ) -> Result<(), Error> {
        if samples.0.is_empty() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut metric = self.0.encode_descriptor(name, &help, None, kind)?;
        for (labels, value) in &samples.0 {
            let series = metric.encode_family(labels)?;
            match kind {
                MetricType::Counter => ConstCounter::new(*value).encode(series)?,
                _ => ConstGauge::new(*value).encode(series)?,
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, samples: &Samples) -> Result<(), Error> {
        self.write(name, help, MetricType::Counter, samples)
    }

    fn gauge(&mut self, name: &str, help: &str, samples: &Samples) -> Result<(), Error> {
        self.write(name, help, MetricType::Gauge, samples)
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut state = self.0.lock();
        let out = &mut Writing(encoder);
        run(&state, out)?;
        sources(&mut state, out)?;
        rules(&mut state, out)?;
        money(&state, out)?;
        quarantine(&mut state, out)?;
        beside(&mut state, out)
    }
}

fn seconds(span: Duration) -> f64 {
    span.0 as f64 / 1e6
}

/// Seconds since 1970.
fn moment(time: Timestamp) -> f64 {
    time.0 as f64 / 1e6
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn run(state: &State, out: &mut Writing<'_>) -> Result<(), Error> {
    let seen = &state.seen;
    let one = Samples::one;
    out.gauge(
        "alive",
        "Whether detection can go on by itself, as /healthz says",
        &one(flag(state.truth.alive)),
    )?;
    out.gauge(
        "ready",
        "Whether what detection tells is fresh and whole, as /readyz says",
        &one(flag(state.truth.ready)),
    )?;
    let since = state.now.since(state.committed.unwrap_or(state.begun));
    out.gauge(
        "seconds_since_commit",
        "Since the last durable commit; since the start before the first",
        &one(seconds(since)),
    )?;
    for (name, help, total) in [
        ("batches", "Commits, of a micro-batch each", state.batches),
        (
            "changes_repeated",
            "Changes that had been read before",
            seen.repeated,
        ),
        ("messages", "Messages told of any kind", seen.messages),
        (
            "documents_written",
            "Documents of entities that were written to state",
            seen.documents,
        ),
    ] {
        out.counter(name, help, &one(total as f64))?;
    }
    let bytes = state.live.state_bytes.iter();
    out.gauge(
        "state_bytes",
        "Bytes on the disk: of state, and of changes that wait for the archive",
        &bytes
            .map(|(part, bytes)| (vec![("part", Arc::from(*part))], *bytes as f64))
            .collect(),
    )?;
    out.gauge(
        "backlog_records",
        "Records that inputs have left to read, where they tell",
        &one(state.live.backlog_records as f64),
    )?;
    out.gauge(
        "backlog_bytes",
        "Bytes that inputs have left to read, where they tell",
        &one(state.live.backlog_bytes as f64),
    )
}

fn sources(state: &mut State, out: &mut Writing<'_>) -> Result<(), Error> {
    let (mut read, mut lag, mut behind) =
        (Samples::default(), Samples::default(), Samples::default());
    for source in &state.seen.sources {
        let value = state.values.sources.of(&source.name);
        let labels = vec![("source", value)];
        read.add(labels.clone(), source.changes as f64);
        if let Some(progress) = source.progress {
            lag.largest(labels.clone(), seconds(state.now.since(progress)));
        }
        behind.largest(labels, flag(source.behind));
    }
    out.counter("changes_read", "Changes that were read", &read)?;
    out.gauge(
        "source_lag_seconds",
        "From the time up to which a source was read until now; absent before it has said so",
        &lag,
    )?;
    out.gauge(
        "source_behind",
        "Whether a source was told to be behind",
        &behind,
    )
}

fn rules(state: &mut State, out: &mut Writing<'_>) -> Result<(), Error> {
    let (mut evaluations, mut time, mut open) =
        (Samples::default(), Samples::default(), Samples::default());
    for rule in &state.seen.rules {
        let value = state.values.rules.of(&rule.id);
        let labels = vec![("rule", Arc::clone(&value))];
        evaluations.add(labels.clone(), rule.evaluations as f64);
        time.add(labels, rule.time.as_secs_f64());
        for (verdict, count) in ["suspected", "confirmed", "undetermined"]
            .into_iter()
            .zip(rule.open)
        {
            let labels = vec![
                ("rule", Arc::clone(&value)),
                ("severity", rule.severity.as_str().into()),
                ("verdict", verdict.into()),
            ];
            open.add(labels, count as f64);
        }
    }
    out.counter(
        "rule_evaluations",
        "Slices that a rule was asked about",
        &evaluations,
    )?;
    out.counter("rule_seconds", "Time that this took", &time)?;
    out.gauge("open_findings", "Findings that are open in state", &open)?;
    let told = state.told.iter().map(|((rule, severity, verdict), count)| {
        let labels = vec![
            ("rule", Arc::clone(rule)),
            ("severity", (*severity).into()),
            ("verdict", (*verdict).into()),
        ];
        (labels, *count as f64)
    });
    out.counter(
        "findings_told",
        "Messages on findings, by what they turned to",
        &told.collect(),
    )
}

/// Exact sums, and here for the first time floats, which hold 15 digits: enough to look at, not to book.
fn money(state: &State, out: &mut Writing<'_>) -> Result<(), Error> {
    let sums = state.at_risk.sums().iter();
    let sums = sums.map(|(currency, sum)| {
        let shown = sum.to_string().parse().unwrap_or(f64::INFINITY);
        (vec![("currency", Arc::clone(currency))], shown)
    });
    out.gauge(
        "money_at_risk",
        "Money of all confirmed findings that are open, in major units of its currency",
        &sums.collect(),
    )?;
    out.gauge(
        "money_at_risk_missing_findings",
        "Confirmed findings that are open and whose money is not in centinel_money_at_risk",
        &Samples::one(state.at_risk.missing(state.seen.confirmed) as f64),
    )
}

fn quarantine(state: &mut State, out: &mut Writing<'_>) -> Result<(), Error> {
    let mut quarantined = Samples::default();
    for kind in &state.seen.quarantined {
        let source = kind.source.as_deref().unwrap_or("unknown");
        let labels = vec![
            ("source", state.values.sources.of(source)),
            ("reason", state.values.reasons.of(&kind.reason)),
        ];
        quarantined.add(labels, kind.count as f64);
    }
    if quarantined.0.is_empty() {
        // So that the first one is an increase.
        let none = vec![("source", "unknown".into()), ("reason", "none".into())];
        quarantined.add(none, 0.0);
    }
    out.counter(
        "quarantined_records",
        "Records that could not be read",
        &quarantined,
    )?;
    out.gauge(
        "quarantine_unsettled",
        "Records that could not be read and that nobody has settled",
        &Samples::one(state.seen.unsettled as f64),
    )
}

fn beside(state: &mut State, out: &mut Writing<'_>) -> Result<(), Error> {
    let failing = state.parts.iter().map(|part| {
        let failing = state.troubles.contains_key(part);
        (vec![("part", Arc::from(*part))], flag(failing))
    });
    let archive = state.live.archive.as_ref();
    let of_archive = archive.map(|archive| {
        let failing = flag(archive.trouble.is_some());
        (vec![("part", Arc::from("archive"))], failing)
    });
    out.gauge(
        "part_failing",
        "Whether something that stands beside detection fails",
        &failing.chain(of_archive).collect(),
    )?;
    if let Some(archive) = archive {
        out.gauge(
            "archive_waiting_segments",
            "Whole segments that wait for the archive",
            &Samples::one(archive.waiting as f64),
        )?;
        out.gauge(
            "archive_waiting_bytes",
            "Their bytes",
            &Samples::one(archive.waiting_bytes as f64),
        )?;
    }
    let (mut deliveries, mut pending, mut failing) =
        (Samples::default(), Samples::default(), Samples::default());
    for channel in &state.channels {
        let value = state.values.channels.of(&channel.name);
        for (outcome, count) in [
            ("delivered", channel.delivered),
            ("failed", channel.failed),
            ("refused", channel.refused),
            ("given_up", channel.given_up),
        ] {
            let labels = vec![("channel", Arc::clone(&value)), ("outcome", outcome.into())];
            deliveries.add(labels, count as f64);
        }
        let labels = vec![("channel", value)];
        pending.add(labels.clone(), channel.pending as f64);
        let since = channel.failing_since.map(|since| state.now.since(since));
        failing.largest(labels, since.map_or(0.0, seconds));
    }
    out.counter(
        "alert_deliveries",
        "Alerts by channel: messages that were taken, attempts that failed, messages that were refused or given up",
        &deliveries,
    )?;
    out.gauge("alert_pending", "Alerts that wait", &pending)?;
    out.gauge(
        "alert_channel_failing_seconds",
        "Since when every attempt of a channel has failed; 0 while it takes alerts",
        &failing,
    )?;
    let unrouted = state.unrouted.iter();
    out.counter(
        "alert_unrouted_findings",
        "Findings that no channel takes",
        &unrouted
            .map(|(severity, count)| (vec![("severity", severity.as_str().into())], *count as f64))
            .collect(),
    )?;
    let Some(check) = &state.self_check else {
        return Ok(());
    };
    if let Some(found) = check.last_found {
        out.gauge(
            "self_check_last_found_timestamp_seconds",
            "When a planted loss was found last, since 1970",
            &Samples::one(moment(found)),
        )?;
    }
    out.gauge(
        "self_check_failing",
        "Whether the last planted loss was not found in time",
        &Samples::one(flag(check.failing.is_some())),
    )?;
    out.counter(
        "self_check_failures",
        "Planted losses that were not found in time",
        &Samples::one(check.failures as f64),
    )
}
