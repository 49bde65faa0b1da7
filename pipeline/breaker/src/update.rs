//! What a cache must know to say "allow" by itself: everything that might hold a request.

use std::collections::{BTreeMap, HashMap, HashSet};

use centinel_model::Verdict;
use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::{
    Change, Decision, Hold, HoldState, Instant, Name, Point, Points, Policies, Report, Request,
    Scope, Trip,
};

/// One step of the stream that caches follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "update")]
pub enum Update {
    /// A stream begins: everything that was known before is void. For each point that holds on stale knowledge, how
    /// old it may be, in milliseconds.
    Begin {
        /// By point.
        max_staleness_ms: BTreeMap<Point, u64>,
    },
    /// Requests in this scope may be held. It replaces what went before under this id.
    Cover {
        /// A trip or a finding.
        id: Name,
        /// What it covers.
        scope: Scope,
        /// Where.
        points: Points,
    },
    /// That is over.
    Uncover {
        /// A trip or a finding.
        id: Name,
    },
    /// This request is held or rejected.
    Hold {
        /// The request.
        request_id: Name,
    },
    /// It is no longer.
    Unhold {
        /// The request.
        request_id: Name,
    },
    /// From here on the cache knows all; sent every second.
    Alive {
        /// How old the knowledge of findings is; `null` when detection never spoke.
        staleness_ms: Option<u64>,
    },
}

impl Update {
    /// What caches are told of a change.
    pub fn of(change: &Change, policies: &Policies, clock: Instant) -> Option<Update> {
        match change {
            Change::Trip(trip) => Some(Update::of_trip(trip, clock)),
            Change::Hold(hold) => Some(Update::of_hold(hold)),
            Change::Finding(report) => Some(Update::of_finding(report, policies)),
            Change::FindingGone(id) => Some(Update::Uncover { id: id.clone() }),
            Change::ForgetHold(name) => Some(Update::Unhold {
                request_id: name.clone(),
            }),
            Change::Release(_)
            | Change::Told(_)
            | Change::Knowledge(_)
            | Change::Numbers(_)
            | Change::ForgetTrip(_)
            | Change::ForgetRelease(_) => None,
        }
    }

    /// What caches are told of a trip. One that has not been ended yet covers, though its time may be over.
    pub fn of_trip(trip: &Trip, clock: Instant) -> Update {
        let id = trip.id.name();
        match trip.in_force(clock) {
            true => Update::Cover {
                id,
                scope: trip.scope.clone(),
                points: trip.points,
            },
            false => Update::Uncover { id },
        }
    }

    /// What caches are told of a hold.
    pub fn of_hold(hold: &Hold) -> Update {
        let request_id = hold.request.request_id.clone();
        match hold.state {
            HoldState::Held | HoldState::Rejected => Update::Hold { request_id },
            HoldState::Resumed => Update::Unhold { request_id },
        }
    }

    /// What caches are told of a finding: it covers the points whose policy holds on it.
    pub fn of_finding(report: &Report, policies: &Policies) -> Update {
        let id = report.finding_id.clone();
        let holds = |point: &Point| match report.verdict {
            Verdict::Suspected => policies.of(*point).on_suspected == Decision::Hold,
            Verdict::Undetermined => policies.of(*point).on_undetermined == Decision::Hold,
            _ => false,
        };
        let points: Vec<Point> = report.points.iter().filter(holds).collect();
        match Points::new(&points) {
            Some(points) => Update::Cover {
                id,
                scope: report.scope.clone(),
                points,
            },
            None => Update::Uncover { id },
        }
    }

    /// How a stream begins under these policies.
    pub fn begin(policies: &Policies) -> Update {
        let hold = |point: &Point| policies.of(*point).beyond_max_staleness == Decision::Hold;
        let most = |point: Point| {
            let span = policies.of(point).max_staleness.0 / 1_000;
            (point, u64::try_from(span).unwrap_or(0))
        };
        Update::Begin {
            max_staleness_ms: Point::ALL.into_iter().filter(hold).map(most).collect(),
        }
    }
}

/// What a cache knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    covers: Index<Name, ()>,
    by_id: HashMap<Name, (Scope, Points)>,
    held: HashSet<Name>,
    max_staleness_ms: BTreeMap<Point, u64>,
    staleness_ms: Option<u64>,
    complete: bool,
}

impl Known {
    /// Takes the next update of a stream.
    pub fn take(&mut self, update: Update) {
        match update {
            Update::Begin { max_staleness_ms } => {
                *self = Known {
                    max_staleness_ms,
                    ..Known::default()
                };
            }
            Update::Cover { id, scope, points } => {
                self.uncover(&id);
                self.covers.insert(&scope, points, &id, ());
                self.by_id.insert(id, (scope, points));
            }
            Update::Uncover { id } => self.uncover(&id),
            Update::Hold { request_id } => {
                self.held.insert(request_id);
            }
            Update::Unhold { request_id } => {
                self.held.remove(&request_id);
            }
            Update::Alive { staleness_ms } => {
                self.staleness_ms = staleness_ms;
                self.complete = true;
            }
        }
    }

    fn uncover(&mut self, id: &Name) {
        if let Some((scope, points)) = self.by_id.remove(id) {
            self.covers.remove(&scope, points, id);
        }
    }

    /// Whether nothing could hold this request, with what was known `age_ms` ago. "No" means: ask the breaker.
    pub fn allows(&self, request: &Request, age_ms: u64) -> bool {
        let fresh = |most: &u64| {
            let age = self
                .staleness_ms
                .map(|staleness| staleness.saturating_add(age_ms));
            age.is_some_and(|age| age <= *most)
        };
        self.complete
            && !self.held.contains(&request.request_id)
            && self.max_staleness_ms.get(&request.point).is_none_or(fresh)
            && self.covers.covering(request).next().is_none()
    }

    /// How old the knowledge of findings was when the breaker last spoke.
    pub fn staleness_ms(&self) -> Option<u64> {
        self.staleness_ms
    }

    /// How many entries it keeps.
    pub fn len(&self) -> usize {
        self.by_id.len() + self.held.len()
    }

    /// Whether nothing holds anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
