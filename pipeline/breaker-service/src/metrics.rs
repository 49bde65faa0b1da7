//! What is counted, in the text form of Prometheus. A check adds to some numbers, without a lock and without a name that
//! data could choose; everything else is looked at when somebody asks.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use centinel_breaker::{Answer, Decision, Point, TripId, TripState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::shared::Shared;
use crate::store::Way;

/// Upper bounds of the time that a check takes, in microseconds.
const BOUNDS: [u64; 14] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
];
/// Trips that are looked at before the state is let go of.
const MOST_LOOKED_AT: usize = 5_000;
const DECISIONS: [Decision; 2] = [Decision::Allow, Decision::Hold];

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// By point, decision, and whether it was the default.
    checks: [[[AtomicU64; 2]; 2]; 3],
    latency: [Latency; 3],
    store_failures: AtomicU64,
}

/// How long checks took.
#[derive(Debug, Default)]
struct Latency {
    /// One more for what took longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

fn decided(decision: Decision) -> usize {
    match decision {
        Decision::Allow => 0,
        Decision::Hold => 1,
    }
}

fn placed(point: Point) -> usize {
    match point {
        Point::Refund => 0,
        Point::Settlement => 1,
        Point::CashOut => 2,
    }
}

impl Counts {
    /// A check was answered after so long.
    pub fn answered(&self, point: Point, answer: &Answer, took: Duration) {
        let place = placed(point);
        let count = &self.checks[place][decided(answer.decision)][usize::from(answer.default)];
        count.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let latency = &self.latency[place];
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        latency.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        latency.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    /// The store failed.
    pub fn store_failed(&self) {
        self.store_failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything as text.
pub fn text(shared: &Arc<Shared>) -> String {
    let mut registry = Registry::with_prefix("centinel_breaker");
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "The version of this program", Info::new(version));
    registry.register_collector(Box::new(Seen(Arc::clone(shared))));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

struct Seen(Arc<Shared>);

impl std::fmt::Debug for Seen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Seen")
    }
}

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let shared = &self.0;
        checks(&shared.counts, &mut encoder)?;
        let clock = shared.clock.now();
        let ([_, _, held, findings], staleness) = {
            let state = shared.shown();
            (state.counts(), state.staleness(clock))
        };
        let [proposed, in_force] = trips(shared);
        let failing = f64::from(u8::from(shared.failing()));
        for (name, help, value) in [
            (
                "trips_in_force",
                "Trips that hold what they cover",
                in_force as f64,
            ),
            (
                "trips_proposed",
                "Trips that wait for a person",
                proposed as f64,
            ),
            (
                "holds_waiting",
                "Requests that are held and not decided",
                held as f64,
            ),
            (
                "open_findings",
                "Findings that it was told of and that are open",
                findings as f64,
            ),
            ("store_failing", "Whether the store fails", failing),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        if let Some(age) = staleness {
            let help = "How old its knowledge of findings is; absent before detection spoke";
            gauge(&mut encoder, "staleness_seconds", help, age.0 as f64 / 1e6)?;
        }
        let failures = shared.counts.store_failures.load(Ordering::Relaxed);
        for (name, help, total) in [
            ("store_failures", "Commits that failed", failures),
            (
                "late_holds",
                "Holds that were stored when their callers had been answered by default",
                shared.late_holds(),
            ),
        ] {
            let metric =
                encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?;
            ConstCounter::new(total).encode(metric)?;
        }
        delivered(shared, &mut encoder)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: f64,
) -> Result<(), Error> {
    let metric = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn checks(counts: &Counts, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let help = "Checks by their answer; default says that the breaker could not decide.";
    let mut metric = encoder.encode_descriptor("checks", help, None, MetricType::Counter)?;
    for point in Point::ALL {
        for decision in DECISIONS {
            for (by_default, word) in [(0, "false"), (1, "true")] {
                let count = &counts.checks[placed(point)][decided(decision)][by_default];
                let labels = [
                    ("point", point.as_str()),
                    ("decision", word_of(decision)),
                    ("default", word),
                ];
                let series = metric.encode_family(&labels)?;
                ConstCounter::new(count.load(Ordering::Relaxed)).encode(series)?;
            }
        }
    }
    let help = "From the check's coming in until its answer.";
    let name = "check_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for point in Point::ALL {
        let latency = &counts.latency[placed(point)];
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .zip(
                latency
                    .buckets
                    .iter()
                    .map(|count| count.load(Ordering::Relaxed)),
            )
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = latency.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        let labels = [("point", point.as_str())];
        let mut series = metric.encode_family(&labels)?;
        series.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

fn word_of(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Hold => "hold",
    }
}

/// How many are proposed and in force. Looks at some at a time, so that no change waits for it.
fn trips(shared: &Shared) -> [usize; 2] {
    let (mut before, mut counts) = (TripId(u64::MAX), [0, 0]);
    loop {
        let state = shared.shown();
        let mut seen = 0;
        for trip in state.trips_before(before).take(MOST_LOOKED_AT) {
            match trip.state {
                TripState::Proposed => counts[0] += 1,
                TripState::InForce => counts[1] += 1,
                _ => {}
            }
            (before, seen) = (trip.id, seen + 1);
        }
        if seen < MOST_LOOKED_AT {
            return counts;
        }
    }
}

/// Up to which sequence what was decided is known to the platform.
fn delivered(shared: &Shared, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let ways = [
        (Way::Webhook, "webhook", shared.config.webhook.is_some()),
        (Way::Kafka, "kafka", shared.config.kafka.is_some()),
    ];
    if ways.iter().all(|(_, _, configured)| !configured) {
        return Ok(());
    }
    let help = "The last disposition that was delivered, by its sequence.";
    let name = "delivered_sequence";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (way, word, _) in ways.into_iter().filter(|(_, _, configured)| *configured) {
        let reached = shared.delivered(way).load(Ordering::Relaxed);
        let labels = [("way", word)];
        let series = metric.encode_family(&labels)?;
        ConstGauge::new(reached).encode(series)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_holds_it() {
        let counts = Counts::default();
        let name =
            centinel_breaker::Name::new("r1").unwrap_or_else(|error| unreachable!("{error}"));
        let answer = Answer::by_default(name, Decision::Hold, "why".into());
        for took in [25, 26, 500_000, 500_001] {
            counts.answered(Point::CashOut, &answer, Duration::from_micros(took));
        }
        let buckets = &counts.latency[2].buckets;
        let counted = buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let mut wanted = [0; BOUNDS.len() + 1];
        (wanted[0], wanted[1], wanted[13], wanted[14]) = (1, 1, 1, 1);
        assert!(counted.eq(wanted));
        assert_eq!(counts.checks[2][1][1].load(Ordering::Relaxed), 4);
    }
}
