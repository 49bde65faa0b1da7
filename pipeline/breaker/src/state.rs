use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use centinel_model::{Duration, Verdict};

use crate::index::Index;
use crate::{
    Cause, Decision, Hold, HoldState, Instant, Knowledge, Name, Numbers, Policies, Release,
    ReleaseId, Report, Request, Trip, TripId,
};

/// What is known of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// It may go.
    Allow {
        /// Whether it was held before, and a person let it go.
        resumed: bool,
    },
    /// It waits.
    Held(Arc<Hold>),
    /// It must never go.
    Rejected(Arc<Hold>),
    /// It is not held yet, and must be: [`Input::Check`](crate::Input::Check) does it.
    MustHold(Cause),
    /// Another request was held under this request id.
    Conflict(Arc<Hold>),
}

/// Everything that a breaker knows. Records are shared between copies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The latest instant seen.
    pub(crate) clock: Instant,
    pub(crate) numbers: Numbers,
    pub(crate) knowledge: Knowledge,

    pub(crate) trips: BTreeMap<TripId, Arc<Trip>>,
    /// When each trip in force expires.
    pub(crate) in_force: Index<TripId, Instant>,
    pub(crate) trips_by_request: HashMap<Name, TripId>,
    pub(crate) trips_by_finding: HashMap<Name, BTreeSet<TripId>>,
    /// When proposed trips lapse and those in force expire.
    pub(crate) trip_ends: BTreeSet<(Instant, TripId)>,
    pub(crate) ended_trips: BTreeSet<(Instant, TripId)>,
    /// When each automatic trip was set.
    pub(crate) automatic: BTreeSet<(Instant, TripId)>,

    pub(crate) holds: HashMap<Name, Arc<Hold>>,
    /// Held requests by what claims them, in the order of their claims.
    pub(crate) held_by: BTreeMap<Cause, BTreeMap<u64, Name>>,
    pub(crate) decided_holds: BTreeSet<(Instant, Name)>,
    pub(crate) holds_by_order: HashMap<Name, BTreeSet<Name>>,

    pub(crate) releases: BTreeMap<ReleaseId, Arc<Release>>,
    pub(crate) releases_by_request: HashMap<Name, ReleaseId>,
    pub(crate) proposed_releases: BTreeSet<(Instant, ReleaseId)>,
    pub(crate) under_way: BTreeSet<ReleaseId>,
    pub(crate) ended_releases: BTreeSet<(Instant, ReleaseId)>,

    pub(crate) findings: HashMap<Name, Arc<Report>>,
    /// Findings that are suspected or undetermined.
    pub(crate) doubts: Index<Name, Verdict>,
}

impl State {
    /// What is to be answered to a request. Only looks; its cost does not depend on how many trips there are.
    pub fn check(&self, clock: Instant, request: &Request, policies: &Policies) -> Checked {
        let before = self.holds.get(&request.request_id);
        let passed: &[Cause] = match before {
            Some(hold) if hold.request != *request => return Checked::Conflict(hold.clone()),
            Some(hold) => match hold.state {
                HoldState::Held => return Checked::Held(hold.clone()),
                HoldState::Rejected => return Checked::Rejected(hold.clone()),
                HoldState::Resumed => &hold.passed,
            },
            None => &[],
        };
        match self.cause(clock, request, policies, passed) {
            Some(cause) => Checked::MustHold(cause),
            None => Checked::Allow {
                resumed: before.is_some(),
            },
        }
    }

    /// What holds a request that was released from some causes already.
    pub(crate) fn cause(
        &self,
        clock: Instant,
        request: &Request,
        policies: &Policies,
        passed: &[Cause],
    ) -> Option<Cause> {
        let clock = clock.max(self.clock);
        let held_by = |cause: &Cause| !passed.contains(cause);
        let trips = self.in_force.covering(request);
        let trip = trips
            .filter(|(_, expires)| clock < *expires)
            .map(|(trip, _)| Cause::Trip(*trip))
            .find(held_by);
        if trip.is_some() {
            return trip;
        }
        let policy = policies.of(request.point);
        let holds = |verdict| match verdict {
            Verdict::Suspected => policy.on_suspected == Decision::Hold,
            _ => policy.on_undetermined == Decision::Hold,
        };
        let doubts = self.doubts.covering(request);
        let doubt = doubts
            .filter(|(_, verdict)| holds(*verdict))
            .map(|(finding, _)| Cause::Finding(finding.clone()))
            .find(held_by);
        if doubt.is_some() || policy.beyond_max_staleness == Decision::Allow {
            return doubt;
        }
        let fresh = |age: Duration| age <= policy.max_staleness;
        match self.knowledge.age(clock).is_some_and(fresh) {
            true => None,
            false => Some(Cause::Stale).filter(held_by),
        }
    }

    /// How old the knowledge of findings is; `None` when detection never spoke.
    pub fn staleness(&self, clock: Instant) -> Option<Duration> {
        self.knowledge.age(clock.max(self.clock))
    }

    /// The latest instant that it saw. What it is told of later times is never before it.
    pub fn clock(&self) -> Instant {
        self.clock
    }

    /// Goes on to an instant, never back.
    pub fn advance(&mut self, clock: Instant) {
        self.clock = self.clock.max(clock);
    }

    /// A trip.
    pub fn trip(&self, id: TripId) -> Option<&Arc<Trip>> {
        self.trips.get(&id)
    }

    /// Trips with numbers below `before`, newest first.
    pub fn trips_before(&self, before: TripId) -> impl Iterator<Item = &Arc<Trip>> {
        self.trips.range(..before).rev().map(|(_, trip)| trip)
    }

    /// Trips with numbers above `after`, oldest first.
    pub fn trips_after(&self, after: TripId) -> impl Iterator<Item = &Arc<Trip>> {
        self.trips
            .range(TripId(after.0 + 1)..)
            .map(|(_, trip)| trip)
    }

    /// A hold.
    pub fn hold(&self, request_id: &str) -> Option<&Arc<Hold>> {
        self.holds.get(request_id)
    }

    /// All holds, in no order.
    pub fn holds(&self) -> impl Iterator<Item = &Arc<Hold>> {
        self.holds.values()
    }

    /// The holds of an order, ended ones too, by request id.
    pub fn holds_of_order(&self, order_no: &str) -> impl Iterator<Item = &Arc<Hold>> {
        let names = self.holds_by_order.get(order_no).into_iter().flatten();
        names.filter_map(|name| self.holds.get(name))
    }

    /// What a cause claims, with claims above `after`, in their order.
    pub fn held_by(&self, cause: &Cause, after: u64) -> impl Iterator<Item = &Arc<Hold>> {
        let claims = self.held_by.get(cause).into_iter();
        let claims = claims.flat_map(move |claims| claims.range(after + 1..));
        claims.filter_map(|(_, name)| self.holds.get(name))
    }

    /// What is held, by cause and claim, behind this place; from the beginning without one.
    pub fn held_after<'a>(
        &'a self,
        place: Option<&'a (Cause, u64)>,
    ) -> impl Iterator<Item = &'a Arc<Hold>> {
        use std::ops::Bound;
        let from = place.map_or(Bound::Unbounded, |(cause, _)| Bound::Included(cause));
        let causes = self.held_by.range((from, Bound::Unbounded));
        let names = causes.flat_map(move |(cause, claims)| {
            let after = place
                .filter(|(at, _)| at == cause)
                .map_or(0, |(_, claim)| *claim);
            claims.range(after + 1..)
        });
        names.filter_map(|(_, name)| self.holds.get(name))
    }

    /// What was decided, by time and request id, behind this place; from the beginning without one.
    pub fn decided_after(
        &self,
        place: Option<&(Instant, Name)>,
    ) -> impl Iterator<Item = &Arc<Hold>> {
        use std::ops::Bound;
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        let decided = self.decided_holds.range((from, Bound::Unbounded));
        decided.filter_map(|(_, name)| self.holds.get(name))
    }

    /// How many requests a cause claims.
    pub fn count_held_by(&self, cause: &Cause) -> usize {
        self.held_by.get(cause).map_or(0, BTreeMap::len)
    }

    /// What claims requests now.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.held_by.keys()
    }

    /// A release.
    pub fn release(&self, id: ReleaseId) -> Option<&Arc<Release>> {
        self.releases.get(&id)
    }

    /// Releases with numbers below `before`, newest first.
    pub fn releases_before(&self, before: ReleaseId) -> impl Iterator<Item = &Arc<Release>> {
        self.releases
            .range(..before)
            .rev()
            .map(|(_, release)| release)
    }

    /// Open findings, in no order.
    pub fn findings(&self) -> impl Iterator<Item = &Arc<Report>> {
        self.findings.values()
    }

    /// An open finding.
    pub fn finding(&self, id: &str) -> Option<&Arc<Report>> {
        self.findings.get(id)
    }

    /// Whether a tick has something to do at this instant.
    pub fn has_work(&self, clock: Instant) -> bool {
        let due = |first: Option<&(Instant, TripId)>| first.is_some_and(|(at, _)| *at <= clock);
        !self.under_way.is_empty() || due(self.trip_ends.first())
    }

    /// How many of each kind there are: trips, holds, held requests, open findings.
    pub fn counts(&self) -> [usize; 4] {
        let held = self.held_by.values().map(BTreeMap::len).sum();
        [
            self.trips.len(),
            self.holds.len(),
            held,
            self.findings.len(),
        ]
    }
}
