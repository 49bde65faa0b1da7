//! What the breaker did about an entity, read from its store beside it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use centinel_breaker::{
    Cause, Disposition, Hold, HoldState, Origin, Release, ReleaseState, Scope, Trip, TripId,
    TripState,
};
use centinel_breaker_service::{Looked, StoreError};
use centinel_trace::{BreakerAct, BreakerEntry, BreakerStep, FindingEntry, MOST_ENTRIES};

/// Trips over the entity or by its findings, what was held of an order, and what became of it.
///
/// # Errors
/// A store that cannot be read.
pub fn about(
    path: &Path,
    entity: &str,
    key: &str,
    findings: &[FindingEntry],
) -> Result<Vec<BreakerEntry>, StoreError> {
    let findings: BTreeSet<&str> = findings
        .iter()
        .map(|entry| match entry {
            FindingEntry::Told { finding, .. } => finding.finding_id.0.as_str(),
            FindingEntry::Person { step, .. } => step.finding_id.as_str(),
        })
        .collect();
    let looked = Looked::open(path)?;
    let mut holds: Vec<Arc<Hold>> = Vec::new();
    looked.holds(&mut |hold| {
        if entity == "order" && hold.request.order_no.as_str() == key {
            holds.push(hold);
        }
        holds.len() <= MOST_ENTRIES
    })?;
    let causes: BTreeSet<TripId> = holds
        .iter()
        .filter_map(|hold| trip_of(&hold.cause))
        .collect();
    let mut entries: Vec<BreakerEntry> = holds.iter().flat_map(|hold| of_hold(hold)).collect();
    looked.trips(&mut |trip| {
        let by_finding = match &trip.origin {
            Origin::Finding { finding_id, .. } => findings.contains(finding_id.as_str()),
            Origin::Person { .. } => false,
        };
        if by_finding || is_over(&trip.scope, entity, key) || causes.contains(&trip.id) {
            entries.extend(of_trip(&trip));
        }
        entries.len() <= 3 * MOST_ENTRIES
    })?;
    looked.releases(&mut |release| {
        let decided = |hold: &Arc<Hold>| {
            let by = hold.decided.as_ref().map(|decided| decided.release);
            by == Some(release.id)
        };
        let proposed = release.state == ReleaseState::Proposed;
        let waits = |hold: &Arc<Hold>| {
            let chosen = release.ask.holds.as_ref();
            proposed
                && hold.state == HoldState::Held
                && hold.cause == release.ask.cause
                && chosen.is_none_or(|chosen| chosen.contains(&hold.request.request_id))
        };
        // One that a single person decided is told by what became of its holds.
        let two_persons = proposed || release.decided_by.is_some();
        if two_persons && holds.iter().any(|hold| decided(hold) || waits(hold)) {
            entries.push(of_release(&release));
        }
        entries.len() <= 3 * MOST_ENTRIES
    })?;
    Ok(entries)
}

fn is_over(scope: &Scope, entity: &str, key: &str) -> bool {
    match scope {
        Scope::Order(name) => entity == "order" && name.as_str() == key,
        Scope::Merchant(name) => entity == "merchant" && name.as_str() == key,
        Scope::BusinessCode(name) => entity == "business_code" && name.as_str() == key,
        Scope::All => false,
    }
}

fn trip_of(cause: &Cause) -> Option<TripId> {
    match cause {
        Cause::Trip(id) => Some(*id),
        Cause::Finding(_) | Cause::Stale => None,
    }
}

fn of_trip(trip: &Trip) -> Vec<BreakerEntry> {
    let never_in_force = matches!(
        trip.state,
        TripState::Proposed | TripState::Declined | TripState::Lapsed
    );
    let (by, finding_id) = match &trip.origin {
        Origin::Person { name } => (Some(name.to_string()), None),
        Origin::Finding { finding_id, .. } => (None, Some(finding_id.to_string())),
    };
    let step = BreakerStep {
        act: match never_in_force {
            true => BreakerAct::Proposed,
            false => BreakerAct::Tripped,
        },
        trip: Some(trip.id.to_string()),
        release: None,
        request_id: None,
        points: trip.points.iter().map(|point| point.to_string()).collect(),
        scope: Some(trip.scope.to_string()),
        amount: None,
        reason: Some(trip.reason.as_str().to_owned()),
        finding_id,
    };
    let ended = trip.ended_at.map(|at| BreakerEntry {
        at: at.to_string(),
        by: trip.decided_by.as_ref().map(ToString::to_string),
        step: BreakerStep {
            act: BreakerAct::Ended,
            reason: None,
            ..step.clone()
        },
    });
    let begun = BreakerEntry {
        at: trip.set_at.to_string(),
        by,
        step,
    };
    std::iter::once(begun).chain(ended).collect()
}

fn of_hold(hold: &Hold) -> Vec<BreakerEntry> {
    let request = &hold.request;
    let step = BreakerStep {
        act: BreakerAct::Held,
        trip: trip_of(&hold.cause).map(|id| id.to_string()),
        release: None,
        request_id: Some(request.request_id.to_string()),
        points: vec![request.point.to_string()],
        scope: None,
        amount: Some((request.amount.to_string(), request.currency.to_string())),
        reason: None,
        finding_id: match &hold.cause {
            Cause::Finding(id) => Some(id.to_string()),
            Cause::Trip(_) | Cause::Stale => None,
        },
    };
    let decided = hold.decided.as_ref().map(|decided| BreakerEntry {
        at: decided.at.to_string(),
        by: Some(decided.by.to_string()),
        step: BreakerStep {
            act: match hold.state {
                HoldState::Rejected => BreakerAct::Rejected,
                HoldState::Held | HoldState::Resumed => BreakerAct::Resumed,
            },
            release: Some(decided.release.to_string()),
            reason: Some(decided.reason.as_str().to_owned()),
            ..step.clone()
        },
    });
    let held = BreakerEntry {
        at: hold.held_at.to_string(),
        by: None,
        step,
    };
    std::iter::once(held).chain(decided).collect()
}

fn of_release(release: &Release) -> BreakerEntry {
    let disposition = match release.ask.disposition {
        Disposition::Resume => "resume",
        Disposition::Reject => "reject",
    };
    BreakerEntry {
        at: release.asked_at.to_string(),
        by: Some(release.asked_by.to_string()),
        step: BreakerStep {
            act: BreakerAct::ReleaseProposed,
            trip: trip_of(&release.ask.cause).map(|id| id.to_string()),
            release: Some(release.id.to_string()),
            request_id: None,
            points: Vec::new(),
            scope: None,
            amount: None,
            reason: Some(format!("{disposition}: {}", release.ask.reason.as_str())),
            finding_id: None,
        },
    }
}
