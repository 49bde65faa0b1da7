//! What changes trips, releases and findings.

use std::sync::{Arc, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use centinel_breaker::{
    Ask, Draft, Input, Money, Name, Points, Preview, ReleaseId, Reply, Report, Scope, Text, TripId,
};
use centinel_model::{Duration, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Problem, json_of, read};
use crate::directory::{Caller, Role};
use crate::shared::Shared;
use crate::writer::Act;

type Answered = Result<Response, Problem>;

fn person(caller: &Caller) -> Result<(Name, Role), Problem> {
    match caller {
        Caller::Person { name, role } => Ok((name.clone(), *role)),
        Caller::Key(_) => Err(Problem::new(
            403,
            "forbidden",
            "only a person may do that: sign in",
        )),
    }
}

fn trip_id(text: String) -> Result<TripId, Problem> {
    TripId::try_from(text).map_err(Problem::unknown)
}

fn release_id(text: String) -> Result<ReleaseId, Problem> {
    ReleaseId::try_from(text).map_err(Problem::unknown)
}

async fn act(
    shared: &Shared,
    caller: &Caller,
    name: &'static str,
    about: Value,
    input: Input,
) -> Answered {
    let reply = shared.act(caller, name, about, Act::Input(input)).await?;
    Ok(match reply {
        Reply::Trip(trip) => json_of(&*trip),
        Reply::Release(release) => json_of(&*release),
        Reply::Reported(trip) => json_of(&json!({"trip": trip.as_deref()})),
        Reply::Checked(_) | Reply::Done | Reply::More => json_of(&json!({})),
    })
}

pub async fn set(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered {
    let draft: Draft = read(&body)?;
    let (by, _) = person(&caller)?;
    let name = if draft.propose {
        "trip.propose"
    } else {
        "trip.set"
    };
    act(
        &shared,
        &caller,
        name,
        json!({"request_id": draft.request_id}),
        Input::Set { by, draft },
    )
    .await
}

pub async fn confirm_trip(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answered {
    let trip = trip_id(id)?;
    let (by, _) = person(&caller)?;
    act(
        &shared,
        &caller,
        "trip.confirm",
        json!({"trip": trip}),
        Input::ConfirmTrip { by, trip },
    )
    .await
}

pub async fn decline_trip(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answered {
    let trip = trip_id(id)?;
    let (by, _) = person(&caller)?;
    act(
        &shared,
        &caller,
        "trip.decline",
        json!({"trip": trip}),
        Input::DeclineTrip { by, trip },
    )
    .await
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

pub async fn preview(State(shared): State<Arc<Shared>>, body: Bytes) -> Answered {
    let wish: Wish = read(&body)?;
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

pub async fn report(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered {
    let report: Report = read(&body)?;
    let would_hold = match &report.declared {
        Some(declared) if report.stable && report.verdict == Verdict::Confirmed => {
            look_at_traffic(&shared, report.scope.clone(), declared.points)
                .await?
                .money
        }
        _ => Money::default(),
    };
    let about = json!({"finding_id": report.finding_id, "would_hold": would_hold});
    act(
        &shared,
        &caller,
        "finding.report",
        about,
        Input::Report { report, would_hold },
    )
    .await
}

/// How far detection is behind its sources.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    lag_ms: u32,
}

pub async fn progress(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered {
    let progress: Progress = read(&body)?;
    let lag = Duration(i64::from(progress.lag_ms) * 1_000);
    shared
        .act(&caller, "progress", Value::Null, Act::Fresh(lag))
        .await?;
    Ok(json_of(&json!({})))
}

pub async fn release(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered {
    let ask: Ask = read(&body)?;
    let (by, role) = person(&caller)?;
    let alone = role.includes(Role::Approver);
    act(
        &shared,
        &caller,
        "release",
        json!({"request_id": ask.request_id}),
        Input::Release { by, alone, ask },
    )
    .await
}

pub async fn confirm_release(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answered {
    let release = release_id(id)?;
    let (by, _) = person(&caller)?;
    let about = json!({"release": release});
    act(
        &shared,
        &caller,
        "release.confirm",
        about,
        Input::ConfirmRelease { by, release },
    )
    .await
}

/// Why something is declined.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    reason: Text,
}

pub async fn decline_release(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered {
    let release = release_id(id)?;
    let why: Why = read(&body)?;
    let (by, _) = person(&caller)?;
    let about = json!({"release": release, "reason": why.reason});
    let input = Input::DeclineRelease {
        by,
        release,
        reason: why.reason,
    };
    act(&shared, &caller, "release.decline", about, input).await
}
