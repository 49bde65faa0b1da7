//! Records into a state: the one place that keeps its indexes.

use std::sync::Arc;

use centinel_model::Verdict;

use crate::{
    Cause, Change, Hold, HoldState, ITSELF, Name, Origin, Release, ReleaseId, ReleaseState, Report,
    State, Trip, TripId, TripState,
};

impl State {
    /// Puts one record in the place of the one under its name. Records of a store, put in any order in which each name
    /// comes once, make the state that they were stored from.
    pub fn put(&mut self, change: &Change) {
        match change {
            Change::Trip(trip) => self.put_trip(trip),
            Change::Hold(hold) => self.put_hold(hold),
            Change::Release(release) => self.put_release(release),
            Change::Told(_) => {}
            Change::Finding(report) => self.put_finding(report),
            Change::FindingGone(id) => self.take_finding(id),
            Change::Knowledge(knowledge) => self.knowledge = *knowledge,
            Change::Numbers(numbers) => self.numbers = *numbers,
            Change::ForgetTrip(id) => self.take_trip(*id, true),
            Change::ForgetHold(name) => self.take_hold(name),
            Change::ForgetRelease(id) => self.take_release(*id, true),
        }
    }

    fn put_trip(&mut self, trip: &Arc<Trip>) {
        self.take_trip(trip.id, false);
        match trip.state {
            TripState::InForce => {
                self.in_force
                    .insert(&trip.scope, trip.points, &trip.id, trip.expires);
                self.trip_ends.insert((trip.expires, trip.id));
            }
            TripState::Proposed => {
                self.trip_ends.insert((trip.expires, trip.id));
            }
            TripState::Declined | TripState::Lapsed | TripState::Expired | TripState::Released => {
                self.ended_trips.insert((trip.since, trip.id));
            }
        }
        if trip.automatic {
            self.automatic.insert((trip.set, trip.id));
        }
        if let Some(request) = &trip.request_id {
            self.trips_by_request.insert(request.clone(), trip.id);
        }
        if let Origin::Finding { finding_id, .. } = &trip.origin {
            let trips = self.trips_by_finding.entry(finding_id.clone()).or_default();
            trips.insert(trip.id);
        }
        self.trips.insert(trip.id, trip.clone());
    }

    fn take_trip(&mut self, id: TripId, for_ever: bool) {
        let Some(trip) = self.trips.remove(&id) else {
            return;
        };
        self.in_force.remove(&trip.scope, trip.points, &id);
        self.trip_ends.remove(&(trip.expires, id));
        self.ended_trips.remove(&(trip.since, id));
        if for_ever {
            self.automatic.remove(&(trip.set, id));
            if let Some(request) = &trip.request_id {
                self.trips_by_request.remove(request);
            }
            if let Origin::Finding { finding_id, .. } = &trip.origin
                && let Some(trips) = self.trips_by_finding.get_mut(finding_id)
            {
                trips.remove(&id);
                if trips.is_empty() {
                    self.trips_by_finding.remove(finding_id);
                }
            }
        }
    }

    fn put_hold(&mut self, hold: &Arc<Hold>) {
        let name = &hold.request.request_id;
        self.take_hold(name);
        match (hold.state, &hold.decided) {
            (HoldState::Held, _) => {
                let claims = self.held_by.entry(hold.cause.clone()).or_default();
                claims.insert(hold.claim, name.clone());
            }
            (_, Some(decided)) => {
                self.decided_holds.insert((decided.since, name.clone()));
            }
            (_, None) => {}
        }
        let order = hold.request.order_no.clone();
        let of_order = self.holds_by_order.entry(order).or_default();
        of_order.insert(name.clone());
        self.holds.insert(name.clone(), hold.clone());
    }

    fn take_hold(&mut self, name: &Name) {
        let Some(hold) = self.holds.remove(name) else {
            return;
        };
        let order = &hold.request.order_no;
        if let Some(of_order) = self.holds_by_order.get_mut(order) {
            of_order.remove(name);
            if of_order.is_empty() {
                self.holds_by_order.remove(order);
            }
        }
        if let Some(decided) = &hold.decided {
            self.decided_holds.remove(&(decided.since, name.clone()));
        }
        if hold.state == HoldState::Held
            && let Some(claims) = self.held_by.get_mut(&hold.cause)
        {
            claims.remove(&hold.claim);
            if claims.is_empty() {
                self.held_by.remove(&hold.cause);
            }
        }
    }

    fn put_release(&mut self, release: &Arc<Release>) {
        self.take_release(release.id, false);
        match release.state {
            ReleaseState::Proposed => {
                self.proposed_releases.insert((release.since, release.id));
            }
            ReleaseState::UnderWay => {
                self.under_way.insert(release.id);
            }
            ReleaseState::Done | ReleaseState::Declined | ReleaseState::Lapsed => {
                self.ended_releases.insert((release.since, release.id));
            }
        }
        if release.asked_by.as_str() != ITSELF {
            let request = release.ask.request_id.clone();
            self.releases_by_request.insert(request, release.id);
        }
        self.releases.insert(release.id, release.clone());
    }

    fn take_release(&mut self, id: ReleaseId, for_ever: bool) {
        let Some(release) = self.releases.remove(&id) else {
            return;
        };
        self.proposed_releases.remove(&(release.since, id));
        self.under_way.remove(&id);
        self.ended_releases.remove(&(release.since, id));
        if for_ever && release.asked_by.as_str() != ITSELF {
            self.releases_by_request.remove(&release.ask.request_id);
        }
    }

    fn put_finding(&mut self, report: &Arc<Report>) {
        self.take_finding(&report.finding_id);
        if matches!(report.verdict, Verdict::Suspected | Verdict::Undetermined) {
            self.doubts.insert(
                &report.scope,
                report.points,
                &report.finding_id,
                report.verdict,
            );
        }
        self.findings
            .insert(report.finding_id.clone(), report.clone());
    }

    fn take_finding(&mut self, id: &Name) {
        if let Some(report) = self.findings.remove(id) {
            self.doubts.remove(&report.scope, report.points, id);
        }
    }

    /// Whether a cause claims anything.
    pub(crate) fn claims(&self, cause: &Cause) -> bool {
        self.held_by.contains_key(cause)
    }
}
