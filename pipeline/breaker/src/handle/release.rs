use std::collections::BTreeSet;
use std::sync::Arc;

use centinel_model::Duration;

use super::Step;
use crate::{
    Ask, Cause, Change, Decided, Disposition, Hold, HoldState, Instant, Money, Name, Refusal,
    Release, ReleaseId, ReleaseState, Reply, Text, Told, TripState,
};

/// The span in which what one person releases alone is added up.
const ALONE_WITHIN: Duration = Duration::seconds(86_400);
/// Most holds that one release may name.
const MOST_CHOSEN: usize = 1_000;
/// Most holds that one step decides.
pub(super) const MOST_AT_ONCE: usize = 1_000;

impl Step<'_> {
    pub(super) fn release(&mut self, by: Name, alone: bool, ask: Ask) -> Result<Reply, Refusal> {
        if let Some(id) = self.state.releases_by_request.get(&ask.request_id) {
            let release = self.known_release(*id)?;
            return match release.ask == ask && release.asked_by == by {
                true => Ok(Reply::Release(release)),
                false => Err(Refusal::Conflict(format!(
                    "the request id `{}` asked for another release, {id}: use a new one for each release",
                    ask.request_id
                ))),
            };
        }
        self.check_cause(&ask)?;
        let chosen = self.chosen(&ask)?;
        let (count, money) = self.sum(&ask.cause, chosen.as_deref());
        let why = self.second_person_because(&by, alone, &money);
        let proposed = why.is_some();
        let release = Release {
            id: ReleaseId(self.number(|numbers| &mut numbers.releases)),
            ask,
            asked_by: by,
            decided_by: None,
            proposed_because: why.as_deref().map(Text::own),
            state: if proposed {
                ReleaseState::Proposed
            } else {
                ReleaseState::UnderWay
            },
            up_to: self.state.numbers.claims,
            count,
            money,
            decided: 0,
            asked_at: self.now.wall,
            since: self.now.clock,
        };
        Ok(Reply::Release(match proposed {
            true => self.put_release(release),
            false => self.carry_out(release),
        }))
    }

    /// What a suspicion held goes on when it is cleared.
    pub(super) fn release_by_itself(
        &mut self,
        cause: Cause,
        disposition: Disposition,
        reason: Text,
    ) {
        let (count, money) = self.sum(&cause, None);
        let release = Release {
            id: ReleaseId(self.number(|numbers| &mut numbers.releases)),
            ask: Ask {
                request_id: Name::itself(),
                cause,
                holds: None,
                disposition,
                reason,
            },
            asked_by: Name::itself(),
            decided_by: None,
            proposed_because: None,
            state: ReleaseState::UnderWay,
            up_to: self.state.numbers.claims,
            count,
            money,
            decided: 0,
            asked_at: self.now.wall,
            since: self.now.clock,
        };
        self.carry_out(release);
    }

    pub(super) fn confirm_release(&mut self, by: Name, id: ReleaseId) -> Result<Reply, Refusal> {
        let release = self.known_release(id)?;
        if release.decided_by.as_ref() == Some(&by) && release.state != ReleaseState::Declined {
            return Ok(Reply::Release(release));
        }
        self.still_proposed(&release)?;
        if release.asked_by == by {
            return Err(Refusal::Forbidden(format!(
                "{by} asked for release {id} and cannot confirm it: a second person is needed"
            )));
        }
        let release = Release {
            decided_by: Some(by),
            state: ReleaseState::UnderWay,
            since: self.now.clock,
            ..Release::clone(&release)
        };
        Ok(Reply::Release(self.carry_out(release)))
    }

    pub(super) fn decline_release(
        &mut self,
        by: Name,
        id: ReleaseId,
        reason: Text,
    ) -> Result<Reply, Refusal> {
        let release = self.known_release(id)?;
        self.still_proposed(&release)?;
        let release = Release {
            decided_by: Some(by),
            proposed_because: Some(reason),
            state: ReleaseState::Declined,
            since: self.now.clock,
            ..Release::clone(&release)
        };
        Ok(Reply::Release(self.put_release(release)))
    }

    fn still_proposed(&self, release: &Release) -> Result<(), Refusal> {
        let id = release.id;
        let lapses = release.since.plus(self.limits.proposals_last);
        match release.state {
            ReleaseState::Proposed if self.now.clock < lapses => Ok(()),
            ReleaseState::Proposed | ReleaseState::Lapsed => Err(Refusal::Conflict(format!(
                "release {id} was not confirmed in time: ask for it again"
            ))),
            _ => Err(Refusal::Conflict(format!(
                "release {id} is decided already"
            ))),
        }
    }

    fn known_release(&self, id: ReleaseId) -> Result<Arc<Release>, Refusal> {
        let unknown = || {
            Refusal::Unknown(format!(
                "there is no release {id}: see the list of releases"
            ))
        };
        self.state.releases.get(&id).cloned().ok_or_else(unknown)
    }

    fn check_cause(&self, ask: &Ask) -> Result<(), Refusal> {
        if let Cause::Trip(id) = ask.cause {
            let trip = self.known_trip(id)?;
            if matches!(
                trip.state,
                TripState::Proposed | TripState::Declined | TripState::Lapsed
            ) {
                return Err(Refusal::Conflict(format!(
                    "trip {id} never was in force and holds nothing: decline it if it waits for a person"
                )));
            }
        } else if ask.holds.is_none() && !self.state.claims(&ask.cause) {
            return Err(Refusal::Unknown(format!("{} holds nothing", ask.cause)));
        }
        let same = |id: &ReleaseId| {
            let open = self.state.releases.get(id)?;
            (open.ask.cause == ask.cause && open.ask.holds.is_none()).then_some(open.id)
        };
        let proposed = self.state.proposed_releases.iter().map(|(_, id)| id);
        match proposed.chain(&self.state.under_way).find_map(same) {
            Some(open) if ask.holds.is_none() => Err(Refusal::Conflict(format!(
                "release {open} of all that {} holds is open: confirm or decline it first",
                ask.cause
            ))),
            _ => Ok(()),
        }
    }

    /// The chosen holds, each of which the cause must hold now.
    fn chosen(&self, ask: &Ask) -> Result<Option<Vec<Arc<Hold>>>, Refusal> {
        let Some(names) = &ask.holds else {
            return Ok(None);
        };
        let different: BTreeSet<&Name> = names.iter().collect();
        if names.is_empty() || names.len() > MOST_CHOSEN || different.len() != names.len() {
            return Err(Refusal::Invalid(format!(
                "`holds` names 1 to {MOST_CHOSEN} different request ids; leave it out to release all"
            )));
        }
        let find = |name: &Name| {
            let hold = self.state.holds.get(name).ok_or_else(|| {
                Refusal::Unknown(format!(
                    "the request `{name}` was never held, or is forgotten"
                ))
            })?;
            match hold.state == HoldState::Held && hold.cause == ask.cause {
                true => Ok(hold.clone()),
                false if hold.state == HoldState::Held => Err(Refusal::Conflict(format!(
                    "the request `{name}` is held by {}, not by {}: release it from what holds it",
                    hold.cause, ask.cause
                ))),
                false => Err(Refusal::Conflict(format!(
                    "the request `{name}` is decided already"
                ))),
            }
        };
        names.iter().map(find).collect::<Result<_, _>>().map(Some)
    }

    fn sum(&self, cause: &Cause, chosen: Option<&[Arc<Hold>]>) -> (u64, Money) {
        let (mut count, mut money) = (0, Money::default());
        let mut add = |hold: &Arc<Hold>| {
            count += 1;
            money.add(hold.request.amount, hold.request.currency);
        };
        match chosen {
            Some(chosen) => chosen.iter().for_each(&mut add),
            None => self.state.held_by(cause, 0).for_each(&mut add),
        }
        (count, money)
    }

    /// Why this release needs another person; `None` when it does not. What the person released alone lately counts,
    /// so that a large release is not made of small ones.
    fn second_person_because(&self, by: &Name, alone: bool, money: &Money) -> Option<String> {
        if !alone {
            return Some(format!("{by} may propose releases, not decide them"));
        }
        let since = Instant(self.now.clock.0.saturating_sub(ALONE_WITHIN.0));
        let ended = self.state.ended_releases.range((since, ReleaseId(0))..);
        let lately = ended.map(|(_, id)| id).chain(&self.state.under_way);
        let mut sum = money.clone();
        for release in lately.filter_map(|id| self.state.releases.get(id)) {
            if release.alone() && release.asked_by == *by {
                sum.add_all(&release.money);
            }
        }
        let above: BTreeSet<_> = sum
            .above(&self.limits.second_person_above)
            .into_iter()
            .collect();
        let concerned = money.iter().any(|(currency, _)| above.contains(&currency));
        concerned.then(|| {
            format!("with this, {by} would have released {sum} alone within 24 hours, more than `second_person_above` allows")
        })
    }

    fn put_release(&mut self, release: Release) -> Arc<Release> {
        let release = Arc::new(release);
        self.put(Change::Release(release.clone()));
        release
    }

    /// Ends the trip that is released whole, and begins to let go what it held.
    fn carry_out(&mut self, release: Release) -> Arc<Release> {
        if let (Cause::Trip(id), None) = (&release.ask.cause, &release.ask.holds)
            && let Some(trip) = self.state.trips.get(id).cloned()
        {
            let by = release.decided_by.as_ref().unwrap_or(&release.asked_by);
            self.end_trip(&trip, TripState::Released, by.clone());
        }
        let mut budget = MOST_AT_ONCE;
        self.go_on(release, &mut budget)
    }

    /// Lets go as many holds as the budget allows.
    pub(super) fn go_on(&mut self, mut release: Release, budget: &mut usize) -> Arc<Release> {
        let cause = release.ask.cause.clone();
        let names: Vec<Name> = match &release.ask.holds {
            Some(chosen) => chosen.clone(),
            None => {
                let claims = self.state.held_by.get(&cause).into_iter();
                let claims = claims.flat_map(|claims| claims.range(..=release.up_to));
                claims.take(*budget).map(|(_, name)| name.clone()).collect()
            }
        };
        *budget = budget.saturating_sub(names.len());
        for name in names {
            if let Some(hold) = self.state.holds.get(&name).cloned()
                && hold.state == HoldState::Held
                && hold.cause == cause
                && hold.claim <= release.up_to
                && self.let_go(&hold, &release)
            {
                release.decided += 1;
            }
        }
        let first = self.state.held_by(&cause, 0).next().map(|hold| hold.claim);
        let more = release.ask.holds.is_none() && first.is_some_and(|claim| claim <= release.up_to);
        release.state = if more {
            ReleaseState::UnderWay
        } else {
            ReleaseState::Done
        };
        self.put_release(release)
    }

    /// Whether the hold is decided: to resume, only when nothing else holds the request.
    fn let_go(&mut self, hold: &Hold, release: &Release) -> bool {
        let mut hold = hold.clone();
        hold.passed.push(hold.cause.clone());
        let disposition = release.ask.disposition;
        if disposition == Disposition::Resume {
            let (clock, policies) = (self.now.clock, self.policies);
            let next = self
                .state
                .cause(clock, &hold.request, policies, &hold.passed);
            if let Some(next) = next {
                hold.cause = next;
                hold.claim = self.number(|numbers| &mut numbers.claims);
                self.put(Change::Hold(Arc::new(hold)));
                return false;
            }
        }
        let sequence = self.number(|numbers| &mut numbers.told);
        let by = release.decided_by.as_ref().unwrap_or(&release.asked_by);
        let reason = release.ask.reason.clone();
        let told = Told {
            sequence,
            request_id: hold.request.request_id.clone(),
            point: hold.request.point,
            order_no: hold.request.order_no.clone(),
            disposition,
            reason: reason.clone(),
            by: by.clone(),
            release: release.id,
            round: hold.round,
            at: self.now.wall,
        };
        hold.state = Hold::state_after(disposition);
        hold.decided = Some(Decided {
            release: release.id,
            by: by.clone(),
            reason,
            at: self.now.wall,
            since: self.now.clock,
            sequence,
        });
        self.put(Change::Hold(Arc::new(hold)));
        self.put(Change::Told(Arc::new(told)));
        true
    }
}
