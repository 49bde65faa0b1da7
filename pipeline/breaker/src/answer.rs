use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    Cause, Checked, Decision, Hold, HoldState, Instant, Name, Origin, Request, State, TripId,
};

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request.
    pub request_id: Name,
    /// Whether it may go.
    pub decision: Decision,
    /// Why; absent where nothing stands against it.
    pub reason: Option<Cow<'static, str>>,
    /// Where the hold of this request stands; absent where it never was held.
    pub state: Option<HoldState>,
    /// The trip that holds it.
    pub trip: Option<TripId>,
    /// The finding that holds it, or that set the trip.
    pub finding_id: Option<Name>,
    /// The rule of that finding.
    pub rule: Option<Name>,
    /// How old the knowledge of findings is, in milliseconds; `null` when detection never spoke.
    pub staleness_ms: Option<u64>,
    /// Whether this is the point's configured default, because the breaker could not decide.
    pub default: bool,
    /// Whether the hold is stored. Without, the request must be asked again.
    pub stored: bool,
}

impl State {
    /// The answer to what [`check`](State::check) said; `None` for a conflict.
    pub fn answer(&self, clock: Instant, request: &Request, checked: &Checked) -> Option<Answer> {
        let staleness = self.staleness(clock);
        let mut answer = Answer {
            request_id: request.request_id.clone(),
            decision: Decision::Allow,
            reason: None,
            state: None,
            trip: None,
            finding_id: None,
            rule: None,
            staleness_ms: staleness.map(|age| u64::try_from(age.0 / 1_000).unwrap_or(0)),
            default: false,
            stored: false,
        };
        match checked {
            Checked::Allow { resumed: false } => {}
            Checked::Allow { resumed: true } => {
                answer.state = Some(HoldState::Resumed);
                answer.stored = true;
                answer.reason = Some("it was held, and released to resume".into());
            }
            Checked::Held(hold) | Checked::Rejected(hold) => self.explain(&mut answer, hold),
            Checked::MustHold(_) | Checked::Conflict(_) => return None,
        }
        Some(answer)
    }

    fn explain(&self, answer: &mut Answer, hold: &Hold) {
        answer.decision = Decision::Hold;
        answer.state = Some(hold.state);
        answer.stored = true;
        let mut reason = match &hold.cause {
            Cause::Stale => "what detection knows is too old".to_owned(),
            Cause::Finding(id) => {
                answer.finding_id = Some(id.clone());
                let report = self.findings.get(id);
                answer.rule = report.map(|report| report.rule.clone());
                "a finding on its scope is not decided yet".to_owned()
            }
            Cause::Trip(id) => {
                answer.trip = Some(*id);
                let trip = self.trips.get(id);
                if let Some(Origin::Finding {
                    finding_id, rule, ..
                }) = trip.map(|trip| &trip.origin)
                {
                    answer.finding_id = Some(finding_id.clone());
                    answer.rule = Some(rule.clone());
                }
                trip.map_or_else(String::new, |trip| trip.reason.as_str().to_owned())
            }
        };
        if let (HoldState::Rejected, Some(decided)) = (hold.state, &hold.decided) {
            reason = decided.reason.as_str().to_owned();
        }
        answer.reason = Some(reason.into());
    }
}

impl Answer {
    /// The default of a point, when the breaker could not decide.
    pub fn by_default(
        request_id: Name,
        decision: Decision,
        why: impl Into<Cow<'static, str>>,
    ) -> Answer {
        Answer {
            request_id,
            decision,
            reason: Some(why.into()),
            state: None,
            trip: None,
            finding_id: None,
            rule: None,
            staleness_ms: None,
            default: true,
            stored: false,
        }
    }
}
