//! What changes trips, releases and findings.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use centinel_breaker::{
    Ask, Draft, Input, Money, Name, Points, Preview, ReleaseId, Report, Scope, Text, TripId,
};
use centinel_model::{Duration, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Answered, Problem, json_of};
use super::take::{Body, Call, Id, Person, done};
use crate::directory::Role;
use crate::shared::Shared;
use crate::writer::Act;

pub async fn set(Person { call, name: by, .. }: Person, Body(draft): Body<Draft>) -> Answered {
    let act = if draft.propose {
        "trip.propose"
    } else {
        "trip.set"
    };
    let about = json!({"request_id": draft.request_id});
    call.act(act, about, Input::Set { by, draft }).await
}

pub async fn confirm_trip(Person { call, name: by, .. }: Person, Id(trip): Id<TripId>) -> Answered {
    let input = Input::ConfirmTrip { by, trip };
    call.act("trip.confirm", json!({"trip": trip}), input).await
}

pub async fn decline_trip(Person { call, name: by, .. }: Person, Id(trip): Id<TripId>) -> Answered {
    let input = Input::DeclineTrip { by, trip };
    call.act("trip.decline", json!({"trip": trip}), input).await
}

pub async fn release(person: Person, Body(ask): Body<Ask>) -> Answered {
    let alone = person.role.includes(Role::Approver);
    let about = json!({"request_id": ask.request_id});
    let by = person.name;
    let input = Input::Release { by, alone, ask };
    person.call.act("release", about, input).await
}

pub async fn confirm_release(
    Person { call, name: by, .. }: Person,
    Id(release): Id<ReleaseId>,
) -> Answered {
    let input = Input::ConfirmRelease { by, release };
    let about = json!({"release": release});
    call.act("release.confirm", about, input).await
}

/// Why something is declined.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    reason: Text,
}

pub async fn decline_release(
    Person { call, name: by, .. }: Person,
    Id(release): Id<ReleaseId>,
    Body(Why { reason }): Body<Why>,
) -> Answered {
    let about = json!({"release": release, "reason": reason});
    let input = Input::DeclineRelease {
        by,
        release,
        reason,
    };
    call.act("release.decline", about, input).await
}

/// What a trip would cover.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    scope: Scope,
    points: Points,
}

#[derive(Serialize)]
struct Seen {
    #[serde(flatten)]
    traffic: Preview,
    open_findings: Findings,
}

#[derive(Default, Serialize)]
struct Findings {
    count: u64,
    money: Money,
    first: Vec<Name>,
}

pub async fn preview(State(shared): State<Arc<Shared>>, Body(wish): Body<Wish>) -> Answered {
    let traffic = look_at_traffic(&shared, wish.scope.clone(), wish.points).await?;
    let mut open_findings = Findings::default();
    let findings: Vec<_> = shared.shown().findings().cloned().collect();
    for report in findings
        .iter()
        .filter(|report| wish.scope == Scope::All || wish.scope == report.scope)
    {
        open_findings.count += 1;
        if let Some((amount, currency)) = report.amount.zip(report.currency) {
            open_findings.money.add(amount, currency);
        }
        if open_findings.first.len() < 10 {
            open_findings.first.push(report.finding_id.clone());
        }
    }
    Ok(json_of(&Seen {
        traffic,
        open_findings,
    }))
}

async fn look_at_traffic(
    shared: &Shared,
    scope: Scope,
    points: Points,
) -> Result<Preview, Problem> {
    let _turn = shared.previews.acquire().await;
    let traffic = shared
        .traffic
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .now();
    let clock = shared.clock.now();
    let look = tokio::task::spawn_blocking(move || traffic.preview(clock, &scope, points));
    look.await
        .map_err(|error| Problem::new(500, "internal", error.to_string()))
}

pub async fn report(call: Call, Body(report): Body<Report>) -> Answered {
    let would_hold = match &report.declared {
        Some(declared) if report.stable && report.verdict == Verdict::Confirmed => {
            let scope = report.scope.clone();
            let seen = look_at_traffic(&call.shared, scope, declared.points).await?;
            seen.money
        }
        _ => Money::default(),
    };
    let about = json!({"finding_id": report.finding_id, "would_hold": would_hold});
    let input = Input::Report { report, would_hold };
    call.act("finding.report", about, input).await
}

/// How far detection is behind its sources.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    lag_ms: u32,
}

pub async fn progress(call: Call, Body(progress): Body<Progress>) -> Answered {
    let lag = Duration(i64::from(progress.lag_ms) * 1_000);
    call.store("progress", Value::Null, Act::Fresh(lag)).await?;
    Ok(done())
}
