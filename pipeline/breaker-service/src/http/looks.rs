//! What only looks. Lists come in pages, so that no look keeps checks waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use centinel_breaker::{Cause, Hold, Instant, Name, ReleaseId, Trip, TripId, TripState};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE as METRICS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Answered, Problem, json_of};
use crate::metrics;
use crate::shared::Shared;
use crate::store::Way;

const MOST: usize = 1_000;
/// Most records that one page looks at.
const MOST_LOOKED_AT: usize = 5_000;

fn page(limit: Option<usize>) -> usize {
    limit.unwrap_or(100).clamp(1, MOST)
}

pub async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let store = if shared.failing() {
        "failing"
    } else {
        "working"
    };
    json_of(&json!({"status": "up", "store": store}))
}

pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], super::OPENAPI).into_response()
}

pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, METRICS)], metrics::text(&shared)).into_response()
}

pub async fn status(State(shared): State<Arc<Shared>>) -> Response {
    let clock = shared.clock.now();
    let (counts, staleness) = {
        let state = shared.shown();
        (state.counts(), state.staleness(clock))
    };
    let [trips, holds, held, findings] = counts;
    json_of(&json!({
        "trips": trips,
        "holds": holds,
        "held": held,
        "open_findings": findings,
        "staleness_ms": staleness.map(|age| age.0 / 1_000),
        "store": if shared.failing() { "failing" } else { "working" },
        "holds_stored_too_late": shared.late_holds(),
        "webhook_delivered": shared.delivered(Way::Webhook).load(Ordering::Relaxed),
        "kafka_delivered": shared.delivered(Way::Kafka).load(Ordering::Relaxed),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripsWanted {
    before: Option<TripId>,
    limit: Option<usize>,
    state: Option<TripState>,
}

#[derive(Serialize)]
struct TripSeen<'a> {
    #[serde(flatten)]
    trip: &'a Trip,
    /// What is left, in milliseconds.
    ends_in_ms: Option<i64>,
    held: usize,
}

impl TripSeen<'_> {
    fn new(trip: &Trip, held: usize, clock: Instant) -> TripSeen<'_> {
        let waits = matches!(trip.state, TripState::Proposed | TripState::InForce);
        let left = trip.expires.since(clock).0 / 1_000;
        TripSeen {
            trip,
            ends_in_ms: waits.then_some(left),
            held,
        }
    }
}

pub async fn trips(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<TripsWanted>,
) -> Response {
    let clock = shared.clock.now();
    let (mut found, mut next) = (Vec::new(), None);
    {
        let state = shared.shown();
        let before = wanted.before.unwrap_or(TripId(u64::MAX));
        for (looked_at, trip) in state.trips_before(before).enumerate() {
            if found.len() == page(wanted.limit) || looked_at == MOST_LOOKED_AT {
                next = Some(TripId(trip.id.0 + 1));
                break;
            }
            if wanted.state.is_none_or(|state| state == trip.state) {
                found.push((trip.clone(), state.count_held_by(&Cause::Trip(trip.id))));
            }
        }
    }
    let trips: Vec<_> = found
        .iter()
        .map(|(trip, held)| TripSeen::new(trip, *held, clock))
        .collect();
    json_of(&json!({"trips": trips, "next": next}))
}

pub async fn trip(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answered {
    let id = TripId::try_from(id).map_err(Problem::unknown)?;
    let (trip, held) = {
        let state = shared.shown();
        (
            state.trip(id).cloned(),
            state.count_held_by(&Cause::Trip(id)),
        )
    };
    let trip =
        trip.ok_or_else(|| Problem::unknown(format!("there is no trip {id}, or it is forgotten")))?;
    Ok(json_of(&TripSeen::new(&trip, held, shared.clock.now())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldsWanted {
    cause: Option<String>,
    order_no: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// What a cause holds, in the order of their claims, or what was held of an order; without either, which causes hold
/// how much.
pub async fn holds(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<HoldsWanted>,
) -> Answered {
    let (after, limit) = (wanted.after.unwrap_or(0), page(wanted.limit));
    if let Some(order_no) = wanted.order_no {
        if wanted.cause.is_some() {
            return Err(Problem::invalid("ask by cause or by order_no, not by both"));
        }
        let mut holds: Vec<Arc<Hold>> = {
            let state = shared.shown();
            let of_order = state.holds_of_order(&order_no);
            of_order
                .filter(|hold| hold.claim > after)
                .cloned()
                .collect()
        };
        holds.sort_by_key(|hold| hold.claim);
        holds.truncate(limit);
        return Ok(page_of_holds(&holds, limit));
    }
    let Some(cause) = wanted.cause else {
        let state = shared.shown();
        let count = |cause: &Cause| json!({"cause": cause, "held": state.count_held_by(cause)});
        let causes: Vec<Value> = state.causes().take(MOST).map(count).collect();
        drop(state);
        return Ok(json_of(&json!({"causes": causes})));
    };
    let cause = cause_of(&cause)?;
    let holds: Vec<Arc<Hold>> = {
        let state = shared.shown();
        let held = state.held_by(&cause, after);
        held.take(limit).cloned().collect()
    };
    Ok(page_of_holds(&holds, limit))
}

fn page_of_holds(holds: &[Arc<Hold>], limit: usize) -> Response {
    let next = holds
        .last()
        .filter(|_| holds.len() == limit)
        .map(|hold| hold.claim);
    let holds: Vec<&Hold> = holds.iter().map(|hold| &**hold).collect();
    json_of(&json!({"holds": holds, "next": next}))
}

fn cause_of(text: &str) -> Result<Cause, Problem> {
    let wrong = || Problem::invalid("write a cause as T1, finding:ID or stale");
    match text.split_once(':') {
        Some(("finding", id)) => Name::new(id).map(Cause::Finding).map_err(|_| wrong()),
        None if text == "stale" => Ok(Cause::Stale),
        None => TripId::try_from(text.to_owned())
            .map(Cause::Trip)
            .map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

pub async fn hold(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answered {
    let hold = shared.shown().hold(&id).cloned();
    let unknown = || Problem::unknown("this request was never held, or is forgotten");
    hold.map(|hold| json_of(&*hold)).ok_or_else(unknown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasesWanted {
    before: Option<ReleaseId>,
    limit: Option<usize>,
}

pub async fn releases(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<ReleasesWanted>,
) -> Response {
    let found: Vec<_> = {
        let state = shared.shown();
        let before = wanted.before.unwrap_or(ReleaseId(u64::MAX));
        state
            .releases_before(before)
            .take(page(wanted.limit))
            .cloned()
            .collect()
    };
    let next = found
        .last()
        .filter(|_| found.len() == page(wanted.limit))
        .map(|release| release.id);
    let releases: Vec<_> = found.iter().map(|release| &**release).collect();
    json_of(&json!({"releases": releases, "next": next}))
}

pub async fn release(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answered {
    let id = ReleaseId::try_from(id).map_err(Problem::unknown)?;
    let release = shared.shown().release(id).cloned();
    let unknown = || Problem::unknown(format!("there is no release {id}, or it is forgotten"));
    release
        .map(|release| json_of(&*release))
        .ok_or_else(unknown)
}

pub async fn findings(State(shared): State<Arc<Shared>>) -> Response {
    let found: Vec<_> = shared.shown().findings().take(MOST).cloned().collect();
    let findings: Vec<_> = found.iter().map(|report| &**report).collect();
    json_of(&json!({"findings": findings}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: Option<u64>,
    limit: Option<usize>,
    wait_ms: Option<u64>,
}

/// What became of held requests, behind `after`; waits for some when there are none yet, as long as it is told to.
pub async fn dispositions(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<After>,
) -> Answered {
    let (after, limit) = (wanted.after.unwrap_or(0), page(wanted.limit));
    let until = tokio::time::Instant::now()
        + Duration::from_millis(wanted.wait_ms.unwrap_or(0).min(30_000));
    let (mut news, mut ending) = (shared.told.subscribe(), shared.ending.clone());
    loop {
        let found = shared.read(move |store| store.told(after, limit)).await?;
        if !found.is_empty() || tokio::time::Instant::now() >= until || *ending.borrow() {
            let next = found.last().map_or(after, |told| told.sequence);
            return Ok(json_of(&json!({"dispositions": found, "next": next})));
        }
        tokio::select! {
            _ = news.changed() => {}
            _ = ending.changed() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditWanted {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// The audit log behind `after`; with `before` the entries that end there, which one reads backwards by.
pub async fn audit(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<AuditWanted>,
) -> Answered {
    let limit = page(wanted.limit);
    let after = wanted.after.unwrap_or(0);
    let read = shared.read(move |store| {
        let Some(before) = wanted.before else {
            return store.entries(after, limit);
        };
        // Sequences have no gaps.
        let last = store.head()?.sequence.min(before.saturating_sub(1));
        let from = last.saturating_sub(limit as u64).max(after);
        match last.saturating_sub(from) {
            0 => Ok(vec![]),
            some => store.entries(from, usize::try_from(some).unwrap_or(limit)),
        }
    });
    let entries = read.await?;
    let next = entries.last().map_or(after, |entry| entry.sequence);
    Ok(json_of(&json!({"entries": entries, "next": next})))
}
