//! Server-sent events for caches: first all that may hold a request, then each change, and every second a sign of life.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use centinel_breaker::{Cause, Hold, HoldState, Instant, Name, TripId, Update};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::reply::Problem;
use crate::shared::Shared;

/// Records in one piece: the state is locked for one piece at a time.
const PIECE: usize = 1_000;

pub async fn changes(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(permit) = shared.streams.clone().try_acquire_owned() else {
        return Problem::new(
            503,
            "busy",
            "too many streams at once: share a cache, or raise `streams`",
        )
        .into_response();
    };
    let (out, pieces) = mpsc::channel(4);
    tokio::spawn(async move {
        // Ends when the reader is gone, cannot keep up, or the service ends; the reader begins anew.
        let _ = follow(&shared, &out).await;
        drop(permit);
    });
    let pieces = futures::stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(piece), pieces))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

struct Gone;

async fn tell(out: &mpsc::Sender<Bytes>, updates: &[Update]) -> Result<(), Gone> {
    let mut piece = String::new();
    for update in updates {
        let json = serde_json::to_string(update).map_err(|_| Gone)?;
        piece.push_str("data: ");
        piece.push_str(&json);
        piece.push_str("\n\n");
    }
    match piece.is_empty() {
        true => Ok(()),
        false => out.send(piece.into()).await.map_err(|_| Gone),
    }
}

async fn follow(shared: &Shared, out: &mpsc::Sender<Bytes>) -> Result<(), Gone> {
    // Changes from here on are kept; told again over what is read below, they end in the same.
    let mut news = shared.updates.subscribe();
    let mut ending = shared.ending.clone();
    tell(out, &[Update::begin(&shared.policies)]).await?;
    tell_all(shared, out).await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    // What came meanwhile goes before the first sign of life.
    while let Ok(updates) = news.try_recv() {
        tell(out, &updates).await?;
    }
    loop {
        tokio::select! {
            biased;
            updates = news.recv() => match updates {
                Ok(updates) if !updates.is_empty() => tell(out, &updates).await?,
                Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return Err(Gone),
            },
            _ = ending.changed() => return Err(Gone),
            _ = second.tick() => {
                let staleness = shared.shown().staleness(shared.clock.now());
                let staleness_ms = staleness.map(|age| u64::try_from(age.0 / 1_000).unwrap_or(0));
                tell(out, &[Update::Alive { staleness_ms }]).await?;
            }
        }
    }
}

async fn tell_all(shared: &Shared, out: &mpsc::Sender<Bytes>) -> Result<(), Gone> {
    let clock = shared.clock.now();
    let mut after = TripId(0);
    loop {
        let trips: Vec<_> = shared
            .shown()
            .trips_after(after)
            .take(PIECE)
            .cloned()
            .collect();
        let Some(last) = trips.last() else { break };
        after = last.id;
        let in_force = trips.iter().filter(|trip| trip.in_force(clock));
        let updates: Vec<_> = in_force.map(|trip| Update::of_trip(trip, clock)).collect();
        tell(out, &updates).await?;
    }
    let findings: Vec<_> = shared.shown().findings().cloned().collect();
    for some in findings.chunks(PIECE) {
        let updates: Vec<_> = some
            .iter()
            .map(|report| Update::of_finding(report, &shared.policies))
            .collect();
        tell(out, &updates).await?;
    }
    let mut held: Option<(Cause, u64)> = None;
    loop {
        let holds: Vec<Arc<Hold>> = shared
            .shown()
            .held_after(held.as_ref())
            .take(PIECE)
            .cloned()
            .collect();
        let Some(last) = holds.last() else { break };
        held = Some((last.cause.clone(), last.claim));
        let updates: Vec<_> = holds.iter().map(|hold| Update::of_hold(hold)).collect();
        tell(out, &updates).await?;
    }
    let mut decided: Option<(Instant, Name)> = None;
    loop {
        let holds: Vec<Arc<Hold>> = shared
            .shown()
            .decided_after(decided.as_ref())
            .take(PIECE)
            .cloned()
            .collect();
        let Some(last) = holds.last() else { break };
        let since = last
            .decided
            .as_ref()
            .map_or(Instant(i64::MAX), |decided| decided.since);
        decided = Some((since, last.request.request_id.clone()));
        let rejected = holds
            .iter()
            .filter(|hold| hold.state == HoldState::Rejected);
        let updates: Vec<_> = rejected.map(|hold| Update::of_hold(hold)).collect();
        tell(out, &updates).await?;
    }
    Ok(())
}
