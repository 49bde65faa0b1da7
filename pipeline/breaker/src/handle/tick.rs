use super::Step;
use super::release::MOST_AT_ONCE;
use crate::{Cause, Change, Instant, Name, Release, ReleaseState, Reply, TripState};
use std::sync::Arc;

/// Most records of each kind that one tick ends or forgets.
const MOST: usize = 1_000;

impl Step<'_> {
    pub(super) fn tick(&mut self) -> Reply {
        let mut more = self.end_trips();
        more |= self.lapse_releases();
        let mut budget = MOST_AT_ONCE;
        while budget > 0
            && let Some(id) = self.state.under_way.first().copied()
            && let Some(release) = self.state.releases.get(&id).cloned()
        {
            self.go_on(Release::clone(&release), &mut budget);
        }
        more |= !self.state.under_way.is_empty();
        more |= self.forget();
        if more { Reply::More } else { Reply::Done }
    }

    fn end_trips(&mut self) -> bool {
        let clock = self.now.clock;
        let due = self
            .state
            .trip_ends
            .iter()
            .take_while(|(end, _)| *end <= clock);
        let due: Vec<_> = due.take(MOST).map(|(_, id)| *id).collect();
        for id in &due {
            let Some(trip) = self.state.trips.get(id).cloned() else {
                continue;
            };
            let state = match trip.state {
                TripState::Proposed => TripState::Lapsed,
                _ => TripState::Expired,
            };
            self.end_trip(&trip, state, Name::itself());
        }
        due.len() == MOST
    }

    fn lapse_releases(&mut self) -> bool {
        let before = self.ago(self.limits.proposals_last);
        let due = self.state.proposed_releases.iter();
        let due = due.take_while(|(since, _)| *since <= before);
        let due: Vec<_> = due.take(MOST).map(|(_, id)| *id).collect();
        for id in &due {
            if let Some(release) = self.state.releases.get(id).cloned() {
                self.put(Change::Release(Arc::new(Release {
                    state: ReleaseState::Lapsed,
                    decided_by: Some(Name::itself()),
                    since: self.now.clock,
                    ..Release::clone(&release)
                })));
            }
        }
        due.len() == MOST
    }

    /// Forgets what ended long ago. A trip whose requests are still held is not forgotten.
    fn forget(&mut self) -> bool {
        let before = self.ago(self.limits.keep_ended);
        let holds = self
            .state
            .decided_holds
            .iter()
            .take_while(|(since, _)| *since < before);
        let holds: Vec<_> = holds.take(MOST).map(|(_, name)| name.clone()).collect();
        let trips = self
            .state
            .ended_trips
            .iter()
            .take_while(|(since, _)| *since < before);
        let trips = trips.map(|(_, id)| *id);
        let unclaimed = trips.filter(|id| !self.state.claims(&Cause::Trip(*id)));
        let trips: Vec<_> = unclaimed.take(MOST).collect();
        let releases = self
            .state
            .ended_releases
            .iter()
            .take_while(|(since, _)| *since < before);
        let releases: Vec<_> = releases.take(MOST).map(|(_, id)| *id).collect();
        let more = [holds.len(), trips.len(), releases.len()].contains(&MOST);
        let holds = holds.into_iter().map(Change::ForgetHold);
        let trips = trips.into_iter().map(Change::ForgetTrip);
        let releases = releases.into_iter().map(Change::ForgetRelease);
        for change in holds.chain(trips).chain(releases) {
            self.put(change);
        }
        more
    }

    /// The instant that lies so far back; before all others when the breaker is younger.
    fn ago(&self, span: centinel_model::Duration) -> Instant {
        Instant(self.now.clock.0.saturating_sub(span.0))
    }
}
