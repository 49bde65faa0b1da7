//! What the breaker did about one entity, for its trace.

use std::collections::BTreeSet;

use centinel_trace::{BreakerAct, BreakerEntry, BreakerStep};

use super::forms::{
    Cause, Disposition, Hold, HoldState, Origin, Release, ReleaseState, Scope, Trip, TripState,
};
use super::{Breaker, BreakerProblem};

/// The newest trips and releases that are looked through.
const MOST_LOOKED_AT: usize = 1_000;
/// Older trips and releases that holds name, each asked for by itself.
const MOST_ASKED: usize = 20;

/// What it did, and what may be missing.
pub struct About {
    /// In no order.
    pub entries: Vec<BreakerEntry>,
    /// Whether older trips or releases were not looked at.
    pub cut: bool,
}

impl Breaker {
    /// Trips over the entity or by its findings, what was held of an order, and what became of it.
    pub async fn about(
        &self,
        token: &str,
        entity: &str,
        key: &str,
        findings: &BTreeSet<String>,
    ) -> Result<About, BreakerProblem> {
        let scope = match entity {
            "order" => Some(Scope::Order(key.to_owned())),
            "merchant" => Some(Scope::Merchant(key.to_owned())),
            "business_code" => Some(Scope::BusinessCode(key.to_owned())),
            _ => None,
        };
        let (holds, mut cut) = match entity {
            "order" => self.holds_of_order(token, key).await?,
            _ => (Vec::new(), false),
        };
        let causes: BTreeSet<String> = holds.iter().filter_map(trip_of).collect();
        let (mut trips, older) = self.trips(token, None, MOST_LOOKED_AT, None).await?;
        cut |= older.is_some();
        trips.retain(|trip| concerns(trip, scope.as_ref(), findings, &causes));
        for id in causes.iter().take(MOST_ASKED) {
            if !trips.iter().any(|trip| trip.id == *id) {
                trips.extend(known(self.trip(token, id).await)?);
            }
        }
        let decided: BTreeSet<&str> = holds
            .iter()
            .filter_map(|hold| Some(hold.decided.as_ref()?.release.as_str()))
            .collect();
        let (mut releases, _) = self.releases(token, None, MOST_LOOKED_AT).await?;
        releases.retain(|release| {
            decided.contains(release.id.as_str())
                || release.state == ReleaseState::Proposed
                    && holds.iter().any(|hold| waits_for(hold, release))
        });
        for id in decided.iter().take(MOST_ASKED) {
            if !releases.iter().any(|release| release.id == *id) {
                releases.extend(known(self.release(token, id).await)?);
            }
        }
        Ok(About {
            entries: entries(&trips, &holds, &releases),
            cut,
        })
    }
}

/// What is forgotten by now is not there, and that is no mistake.
fn known<T>(answer: Result<T, BreakerProblem>) -> Result<Option<T>, BreakerProblem> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(BreakerProblem::Refused(404, ..)) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn trip_of(hold: &Hold) -> Option<String> {
    match &hold.cause {
        Cause::Trip(id) => Some(id.clone()),
        Cause::Finding(_) | Cause::Stale => None,
    }
}

fn concerns(
    trip: &Trip,
    scope: Option<&Scope>,
    findings: &BTreeSet<String>,
    causes: &BTreeSet<String>,
) -> bool {
    let by_finding = match &trip.origin {
        Origin::Finding { finding_id, .. } => findings.contains(finding_id),
        Origin::Person { .. } => false,
    };
    by_finding || scope == Some(&trip.scope) || causes.contains(&trip.id)
}

fn waits_for(hold: &Hold, release: &Release) -> bool {
    let chosen = release.ask.holds.as_ref();
    hold.state == HoldState::Held
        && hold.cause == release.ask.cause
        && chosen.is_none_or(|chosen| chosen.contains(&hold.request.request_id))
}

fn entries(trips: &[Trip], holds: &[Hold], releases: &[Release]) -> Vec<BreakerEntry> {
    let mut entries = Vec::new();
    for trip in trips {
        entries.extend(of_trip(trip));
    }
    for hold in holds {
        entries.extend(of_hold(hold));
    }
    for release in releases {
        // One that a single person decided is told by what became of its holds.
        let two_persons = release.state == ReleaseState::Proposed || release.decided_by.is_some();
        if two_persons {
            entries.push(of_release(release));
        }
    }
    entries
}

fn of_trip(trip: &Trip) -> Vec<BreakerEntry> {
    let never_in_force = matches!(
        trip.state,
        TripState::Proposed | TripState::Declined | TripState::Lapsed
    );
    let step = BreakerStep {
        act: match never_in_force {
            true => BreakerAct::Proposed,
            false => BreakerAct::Tripped,
        },
        trip: Some(trip.id.clone()),
        release: None,
        request_id: None,
        points: trip
            .points
            .iter()
            .map(|point| point.as_str().into())
            .collect(),
        scope: Some(scope_text(&trip.scope)),
        amount: None,
        reason: Some(trip.reason.clone()),
        finding_id: match &trip.origin {
            Origin::Finding { finding_id, .. } => Some(finding_id.clone()),
            Origin::Person { .. } => None,
        },
    };
    let begun = BreakerEntry {
        at: trip.set_at.clone(),
        by: trip.asked_by().map(str::to_owned),
        step: step.clone(),
    };
    let ended = trip.ended_at.as_ref().map(|at| BreakerEntry {
        at: at.clone(),
        by: trip.decided_by.clone(),
        step: BreakerStep {
            act: BreakerAct::Ended,
            reason: None,
            ..step
        },
    });
    std::iter::once(begun).chain(ended).collect()
}

fn of_hold(hold: &Hold) -> Vec<BreakerEntry> {
    let request = &hold.request;
    let step = BreakerStep {
        act: BreakerAct::Held,
        trip: trip_of(hold),
        release: None,
        request_id: Some(request.request_id.clone()),
        points: vec![request.point.as_str().into()],
        scope: None,
        amount: Some((request.amount.clone(), request.currency.clone())),
        reason: None,
        finding_id: match &hold.cause {
            Cause::Finding(id) => Some(id.clone()),
            Cause::Trip(_) | Cause::Stale => None,
        },
    };
    let held = BreakerEntry {
        at: hold.held_at.clone(),
        by: None,
        step: step.clone(),
    };
    let decided = hold.decided.as_ref().map(|decided| BreakerEntry {
        at: decided.at.clone(),
        by: Some(decided.by.clone()),
        step: BreakerStep {
            act: match hold.state {
                HoldState::Rejected => BreakerAct::Rejected,
                HoldState::Held | HoldState::Resumed => BreakerAct::Resumed,
            },
            release: Some(decided.release.clone()),
            reason: Some(decided.reason.clone()),
            ..step
        },
    });
    std::iter::once(held).chain(decided).collect()
}

fn of_release(release: &Release) -> BreakerEntry {
    let disposition = match release.ask.disposition {
        Disposition::Resume => "resume",
        Disposition::Reject => "reject",
    };
    BreakerEntry {
        at: release.asked_at.clone(),
        by: Some(release.asked_by.clone()),
        step: BreakerStep {
            act: BreakerAct::ReleaseProposed,
            trip: match &release.ask.cause {
                Cause::Trip(id) => Some(id.clone()),
                Cause::Finding(_) | Cause::Stale => None,
            },
            release: Some(release.id.clone()),
            request_id: None,
            points: Vec::new(),
            scope: None,
            amount: None,
            reason: Some(format!("{disposition}: {}", release.ask.reason)),
            finding_id: None,
        },
    }
}

/// Such as `merchant M1`.
fn scope_text(scope: &Scope) -> String {
    let kind = scope.kind().replace('_', " ");
    match scope.name() {
        "" => kind,
        name => format!("{kind} {name}"),
    }
}
