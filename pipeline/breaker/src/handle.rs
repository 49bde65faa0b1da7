//! Inputs → changes.

mod release;
mod report;
mod tick;
mod trip;

use std::sync::Arc;

use crate::{
    Change, Checked, Hold, HoldState, Input, Limits, Now, Numbers, Outcome, Policies, Refusal,
    Reply, Request, State,
};

/// One input being worked on: what it changes is in the state at once and kept for the outcome.
struct Step<'a> {
    state: &'a mut State,
    now: Now,
    policies: &'a Policies,
    limits: &'a Limits,
    changes: Vec<Change>,
}

impl State {
    /// Takes one input. A refusal changes nothing but the clock.
    pub fn handle(
        &mut self,
        now: Now,
        input: Input,
        policies: &Policies,
        limits: &Limits,
    ) -> Result<Outcome, Refusal> {
        self.advance(now.clock);
        let now = Now {
            clock: self.clock,
            ..now
        };
        let numbers = self.numbers;
        let mut step = Step {
            state: self,
            now,
            policies,
            limits,
            changes: Vec::new(),
        };
        let reply = match input {
            Input::Check(request) => step.check(request),
            Input::Set { by, draft } => step.set(by, draft),
            Input::ConfirmTrip { by, trip } => step.confirm_trip(by, trip),
            Input::DeclineTrip { by, trip } => step.decline_trip(by, trip),
            Input::Report { report, would_hold } => step.report(report, &would_hold),
            Input::Release { by, alone, ask } => step.release(by, alone, ask),
            Input::ConfirmRelease { by, release } => step.confirm_release(by, release),
            Input::DeclineRelease {
                by,
                release,
                reason,
            } => step.decline_release(by, release, reason),
            Input::Fresh { lag } => step.fresh(lag),
            Input::Tick => Ok(step.tick()),
        }?;
        if step.state.numbers != numbers {
            let numbers = step.state.numbers;
            step.changes.push(Change::Numbers(numbers));
        }
        Ok(Outcome {
            reply,
            changes: step.changes,
        })
    }
}

impl Step<'_> {
    fn put(&mut self, change: Change) {
        self.state.put(&change);
        self.changes.push(change);
    }

    /// The next number of one kind.
    fn number(&mut self, of: fn(&mut Numbers) -> &mut u64) -> u64 {
        let number = of(&mut self.state.numbers);
        *number += 1;
        *number
    }

    fn check(&mut self, request: Request) -> Result<Reply, Refusal> {
        let checked = self.state.check(self.now.clock, &request, self.policies);
        let Checked::MustHold(cause) = checked else {
            return Ok(Reply::Checked(checked));
        };
        let before = self.state.holds.get(&request.request_id).cloned();
        if before.is_none() && self.state.holds.len() >= self.limits.most_holds {
            let most = self.limits.most_holds;
            return Err(Refusal::Full(format!(
                "{most} holds are kept already, decided ones included: release what is held, or raise `most_holds`"
            )));
        }
        let hold = Arc::new(Hold {
            request,
            cause,
            claim: self.number(|numbers| &mut numbers.claims),
            state: HoldState::Held,
            round: before
                .as_ref()
                .map_or(1, |hold| hold.round.saturating_add(1)),
            held_at: self.now.wall,
            passed: before.map_or_else(Vec::new, |hold| hold.passed.clone()),
            decided: None,
        });
        self.put(Change::Hold(hold.clone()));
        Ok(Reply::Checked(Checked::Held(hold)))
    }
}
