use std::sync::Arc;

use centinel_model::{Duration, Verdict};

use super::Step;
use crate::finding::Lag;
use crate::{
    Cause, Change, Declared, Disposition, Knowledge, Money, Name, Origin, Refusal, Reply, Report,
    Scope, Text, Trip, TripId, TripState,
};

const HOUR: Duration = Duration::seconds(3_600);

impl Step<'_> {
    pub(super) fn report(&mut self, report: Report, would_hold: &Money) -> Result<Reply, Refusal> {
        let id = report.finding_id.clone();
        let trip = self.trip_of(&id);
        if let Some(known) = self.state.findings.get(&id)
            && known.sequence >= report.sequence
        {
            return Ok(Reply::Reported(trip));
        }
        check_declaration(&report)?;
        match report.verdict {
            Verdict::Suspected | Verdict::Undetermined | Verdict::Confirmed => {
                let most = self.limits.most_findings;
                if !self.state.findings.contains_key(&id) && self.state.findings.len() >= most {
                    return Err(Refusal::Full(format!(
                        "{most} open findings are kept already: mend their cause, or raise `most_findings`"
                    )));
                }
                let trip = match (&report.declared, report.verdict) {
                    (Some(declared), Verdict::Confirmed) if report.stable => {
                        Some(self.trip_for(&report, declared, trip, would_hold)?)
                    }
                    _ => trip,
                };
                self.put(Change::Finding(Arc::new(report)));
                Ok(Reply::Reported(trip))
            }
            Verdict::Cleared | Verdict::Recovered | Verdict::RuleChanged => {
                if self.state.findings.contains_key(&id) {
                    self.put(Change::FindingGone(id.clone()));
                }
                let trip = trip.map(|trip| self.recovered(trip));
                if self.state.claims(&Cause::Finding(id.clone())) {
                    let reason = format!("finding {id} is open no more");
                    let cause = Cause::Finding(id);
                    self.release_by_itself(cause, Disposition::Resume, Text::own(&reason));
                }
                Ok(Reply::Reported(trip))
            }
        }
    }

    pub(super) fn fresh(&mut self, lag: Duration) -> Result<Reply, Refusal> {
        self.put(Change::Knowledge(Knowledge {
            heard: Some(self.now.clock),
            lag: Lag(lag.0),
        }));
        Ok(Reply::Done)
    }

    fn trip_of(&self, finding: &Name) -> Option<Arc<Trip>> {
        let newest = self.state.trips_by_finding.get(finding)?.last()?;
        self.state.trips.get(newest).cloned()
    }

    /// The trip that a confirmed finding sets or proposes, or the one that stands for it already.
    fn trip_for(
        &mut self,
        report: &Report,
        declared: &Declared,
        known: Option<Arc<Trip>>,
        would_hold: &Money,
    ) -> Result<Arc<Trip>, Refusal> {
        let clock = self.now.clock;
        if let Some(trip) = known {
            let waits = matches!(trip.state, TripState::Proposed | TripState::InForce);
            if waits && clock < trip.expires {
                return Ok(self.broken_again(trip));
            }
            // A person released it, or its time is over: the same occurrence does not trip twice.
            if matches!(&trip.origin, Origin::Finding { occurrence, .. } if *occurrence >= report.occurrence)
            {
                return Ok(trip);
            }
        }
        self.room_for_a_trip()?;
        let why = self.beyond_limits(report, would_hold);
        let proposed = !why.is_empty();
        let limits = &self.limits.automatic;
        let lasts = if proposed {
            self.limits.proposals_last
        } else {
            limits.lasts
        };
        let (most, wall) = (limits.lasts, self.now.wall);
        let id = TripId(self.number(|numbers| &mut numbers.trips));
        let reason = format!("rule {} is broken for {}", report.rule, report.scope);
        let trip = Arc::new(Trip {
            id,
            scope: report.scope.clone(),
            points: declared.points,
            reason: Text::own(&reason),
            owner: report.owner.clone(),
            origin: Origin::Finding {
                finding_id: report.finding_id.clone(),
                occurrence: report.occurrence,
                rule: report.rule.clone(),
                amount: report.amount,
                currency: report.currency,
            },
            request_id: None,
            lasts: most,
            state: if proposed {
                TripState::Proposed
            } else {
                TripState::InForce
            },
            proposed_because: proposed.then(|| Text::own(&why.join("; "))),
            decided_by: None,
            set_at: wall,
            ended_at: None,
            recovered_at: None,
            set: clock,
            since: clock,
            expires: clock.plus(lasts),
            automatic: !proposed,
        });
        self.put(Change::Trip(trip.clone()));
        Ok(trip)
    }

    /// Why a finding may not trip without a person; empty when it may.
    fn beyond_limits(&self, report: &Report, would_hold: &Money) -> Vec<String> {
        let limits = &self.limits.automatic;
        let mut why = Vec::new();
        if report.scope == Scope::All {
            why.push("only a person trips everything".to_owned());
        }
        let least = &limits.least_at_risk;
        match report.amount.zip(report.currency) {
            Some((amount, currency)) if amount < least.get(currency) => why.push(format!(
                "the money at risk is less than {} {currency}",
                crate::write_amount(least.get(currency))
            )),
            None if least.iter().next().is_some() => {
                why.push("the finding does not say how much money is at risk".to_owned());
            }
            _ => {}
        }
        if !would_hold.above(&limits.most_held).is_empty() {
            why.push(format!(
                "it would have held {would_hold} of the recent traffic, more than `most_held` allows"
            ));
        }
        let hour_ago = crate::Instant(self.now.clock.0.saturating_sub(HOUR.0));
        let lately = self
            .state
            .automatic
            .range((hour_ago, TripId(u64::MAX))..)
            .count();
        if lately >= limits.most_in_an_hour as usize {
            why.push(format!("{lately} automatic trips within the last hour"));
        }
        why
    }

    fn recovered(&mut self, trip: Arc<Trip>) -> Arc<Trip> {
        let over = !matches!(trip.state, TripState::Proposed | TripState::InForce);
        if over || trip.recovered_at.is_some() {
            return trip;
        }
        self.mark_recovered(&trip, true)
    }

    fn broken_again(&mut self, trip: Arc<Trip>) -> Arc<Trip> {
        match trip.recovered_at {
            Some(_) => self.mark_recovered(&trip, false),
            None => trip,
        }
    }

    fn mark_recovered(&mut self, trip: &Trip, recovered: bool) -> Arc<Trip> {
        let trip = Arc::new(Trip {
            recovered_at: recovered.then_some(self.now.wall),
            ..trip.clone()
        });
        self.put(Change::Trip(trip.clone()));
        trip
    }
}

fn check_declaration(report: &Report) -> Result<(), Refusal> {
    let Some(declared) = report.declared else {
        return Ok(());
    };
    if report.scope.kind() > declared.by {
        return Err(Refusal::Invalid(format!(
            "rule {} declares trips by {} and reports the wider scope `{}`: report the scope that it declares",
            report.rule, declared.by, report.scope
        )));
    }
    Ok(())
}
