use std::sync::Arc;

use super::Step;
use crate::{Change, Draft, Name, Origin, Refusal, Reply, Trip, TripId, TripState};

impl Step<'_> {
    pub(super) fn set(&mut self, by: Name, draft: Draft) -> Result<Reply, Refusal> {
        if let Some(id) = self.state.trips_by_request.get(&draft.request_id) {
            let trip = self.known_trip(*id)?;
            return match is_of(&trip, &by, &draft) {
                true => Ok(Reply::Trip(trip)),
                false => Err(Refusal::Conflict(format!(
                    "the request id `{}` set another trip, {id}: use a new one for each trip",
                    draft.request_id
                ))),
            };
        }
        if draft.lasts > self.limits.longest_trip || draft.lasts.0 == 0 {
            return Err(Refusal::Invalid(format!(
                "a trip lasts more than nothing and at most {}, not {}: set it again when it is still needed then",
                self.limits.longest_trip, draft.lasts
            )));
        }
        self.room_for_a_trip()?;
        let (clock, wall) = (self.now.clock, self.now.wall);
        let lasts = match draft.propose {
            true => self.limits.proposals_last,
            false => draft.lasts,
        };
        let trip = Arc::new(Trip {
            id: TripId(self.number(|numbers| &mut numbers.trips)),
            scope: draft.scope,
            points: draft.points,
            reason: draft.reason,
            owner: draft.owner,
            origin: Origin::Person { name: by },
            request_id: Some(draft.request_id),
            lasts: draft.lasts,
            state: if draft.propose {
                TripState::Proposed
            } else {
                TripState::InForce
            },
            proposed_because: None,
            decided_by: None,
            set_at: wall,
            ended_at: None,
            recovered_at: None,
            set: clock,
            since: clock,
            expires: clock.plus(lasts),
            automatic: false,
        });
        self.put(Change::Trip(trip.clone()));
        Ok(Reply::Trip(trip))
    }

    pub(super) fn room_for_a_trip(&self) -> Result<(), Refusal> {
        let most = self.limits.most_trips;
        if self.state.trips.len() < most {
            return Ok(());
        }
        Err(Refusal::Full(format!(
            "{most} trips are kept already, ended ones included: trip a wider scope, or raise `most_trips`"
        )))
    }

    pub(super) fn confirm_trip(&mut self, by: Name, id: TripId) -> Result<Reply, Refusal> {
        let trip = self.proposed_trip(id)?;
        let Some(trip) = trip else {
            return self.known_trip(id).map(Reply::Trip);
        };
        if matches!(&trip.origin, Origin::Person { name } if *name == by) {
            return Err(Refusal::Forbidden(format!(
                "{by} proposed trip {id} and cannot confirm it: ask another person, or set it without proposing"
            )));
        }
        let clock = self.now.clock;
        let trip = Arc::new(Trip {
            state: TripState::InForce,
            decided_by: Some(by),
            since: clock,
            expires: clock.plus(trip.lasts),
            ..Trip::clone(&trip)
        });
        self.put(Change::Trip(trip.clone()));
        Ok(Reply::Trip(trip))
    }

    pub(super) fn decline_trip(&mut self, by: Name, id: TripId) -> Result<Reply, Refusal> {
        match self.proposed_trip(id)? {
            Some(trip) => {
                let trip = self.end_trip(&trip, TripState::Declined, by);
                Ok(Reply::Trip(trip))
            }
            None => Err(Refusal::Conflict(format!(
                "trip {id} is in force: release it instead"
            ))),
        }
    }

    /// A trip that waits for a person; `None` when it is in force already.
    fn proposed_trip(&self, id: TripId) -> Result<Option<Arc<Trip>>, Refusal> {
        let trip = self.known_trip(id)?;
        match trip.state {
            TripState::Proposed if self.now.clock < trip.expires => Ok(Some(trip)),
            TripState::InForce if self.now.clock < trip.expires => Ok(None),
            _ => Err(Refusal::Conflict(format!(
                "trip {id} is over: set a new one if it is still needed"
            ))),
        }
    }

    pub(super) fn known_trip(&self, id: TripId) -> Result<Arc<Trip>, Refusal> {
        let unknown = || Refusal::Unknown(format!("there is no trip {id}: see the list of trips"));
        self.state.trips.get(&id).cloned().ok_or_else(unknown)
    }

    pub(super) fn end_trip(&mut self, trip: &Trip, state: TripState, by: Name) -> Arc<Trip> {
        let ended = Arc::new(Trip {
            state,
            decided_by: Some(by),
            since: self.now.clock,
            ended_at: Some(self.now.wall),
            ..trip.clone()
        });
        self.put(Change::Trip(ended.clone()));
        ended
    }
}

fn is_of(trip: &Trip, by: &Name, draft: &Draft) -> bool {
    matches!(&trip.origin, Origin::Person { name } if name == by)
        && trip.scope == draft.scope
        && trip.points == draft.points
        && trip.reason == draft.reason
        && trip.owner == draft.owner
        && trip.lasts == draft.lasts
}
