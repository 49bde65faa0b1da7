//! Random inputs, beside a model that is as plain as possible: lists, searched from end to end, that know nothing of
//! how the breaker works.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use centinel_breaker::*;
use centinel_model::{Duration, Timestamp, Verdict};
use proptest::prelude::*;

const REQUESTS: usize = 10;
const SECOND: i64 = 1_000_000;

#[derive(Clone, Debug)]
enum Op {
    Check(usize),
    Set {
        scope: usize,
        points: u8,
        seconds: i64,
    },
    ReleaseTrip {
        trip: usize,
        resume: bool,
        alone: bool,
    },
    ReleaseHold {
        request: usize,
        resume: bool,
    },
    Confirm(usize),
    Suspect {
        finding: usize,
        merchant: usize,
    },
    Clear {
        finding: usize,
    },
    ReleaseFinding {
        finding: usize,
        resume: bool,
    },
    Wait(i64),
    Tick,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..REQUESTS).prop_map(Op::Check),
        4 => (0..SCOPES, 1..8u8, 1..60i64).prop_map(|(scope, points, seconds)| Op::Set { scope, points, seconds }),
        2 => (0..12usize, any::<bool>(), any::<bool>())
            .prop_map(|(trip, resume, alone)| Op::ReleaseTrip { trip, resume, alone }),
        2 => (0..REQUESTS, any::<bool>()).prop_map(|(request, resume)| Op::ReleaseHold { request, resume }),
        2 => (0..4usize).prop_map(Op::Confirm),
        2 => (0..3usize, 0..3usize).prop_map(|(finding, merchant)| Op::Suspect { finding, merchant }),
        1 => (0..3usize).prop_map(|finding| Op::Clear { finding }),
        1 => (0..3usize, any::<bool>()).prop_map(|(finding, resume)| Op::ReleaseFinding { finding, resume }),
        1 => (1..40i64).prop_map(Op::Wait),
        1 => Just(Op::Tick),
    ];
    prop::collection::vec(op, 1..80)
}

fn name(text: String) -> Name {
    Name::new(&text).unwrap()
}

fn request(number: usize) -> Request {
    Request {
        request_id: name(format!("r{number}")),
        point: Point::ALL[number % 3],
        business_code: name(format!("B{}", number % 2)),
        merchant_no: name(format!("M{}", number % 3)),
        order_no: name(format!("O{}", number / 2)),
        amount: read_amount("1.00").unwrap(),
        currency: Currency::new("CNY").unwrap(),
    }
}

const SCOPES: usize = 11;

/// Of each scope its width and whether a request lies in it: 5 orders, 3 merchants, 2 business codes, all.
fn model_scope(scope: usize, request: usize) -> (usize, bool) {
    match scope {
        0..5 => (0, request / 2 == scope),
        5..8 => (1, request % 3 == scope - 5),
        8..10 => (2, request % 2 == scope - 8),
        _ => (3, true),
    }
}

fn real_scope(scope: usize) -> Scope {
    match scope {
        0..5 => Scope::Order(name(format!("O{scope}"))),
        5..8 => Scope::Merchant(name(format!("M{}", scope - 5))),
        8..10 => Scope::BusinessCode(name(format!("B{}", scope - 8))),
        _ => Scope::All,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Allow,
    Held(String),
    Rejected,
}

#[derive(Clone, Debug)]
struct ModelHold {
    request: usize,
    state: Answer,
    passed: Vec<String>,
    claimed: usize,
}

#[derive(Clone, Debug)]
struct Proposal {
    trip: usize,
    resume: bool,
    at: usize,
    open: bool,
}

#[derive(Default)]
struct Model {
    /// Scope, points, end, released.
    trips: Vec<(usize, u8, i64, bool)>,
    holds: Vec<ModelHold>,
    suspected: BTreeMap<usize, usize>,
    proposals: Vec<Proposal>,
    told: Vec<(usize, bool)>,
    now: i64,
    claims: usize,
}

impl Model {
    fn cause(&self, number: usize, passed: &[String]) -> Option<String> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (trip, (scope, points, end, released)) in self.trips.iter().enumerate() {
            let (width, covers) = model_scope(*scope, number);
            let here = points & (1 << (number % 3)) != 0;
            if covers
                && here
                && !released
                && self.now < *end
                && !passed.contains(&format!("T{}", trip + 1))
            {
                found.push((width, trip));
            }
        }
        if let Some((_, trip)) = found.iter().min() {
            return Some(format!("T{}", trip + 1));
        }
        // Suspicions hold at cash-out alone.
        let mut doubts = self.suspected.iter().filter(|_| number % 3 == 2);
        let doubt = doubts.find(|(finding, merchant)| {
            **merchant == number % 3 && !passed.contains(&format!("F{finding}"))
        });
        doubt.map(|(finding, _)| format!("F{finding}"))
    }

    fn look(&self, number: usize) -> Answer {
        let hold = self.holds.iter().find(|hold| hold.request == number);
        match hold.map(|hold| (&hold.state, &hold.passed)) {
            Some((Answer::Allow, passed)) => self
                .cause(number, passed)
                .map_or(Answer::Allow, Answer::Held),
            Some((state, _)) => state.clone(),
            None => self.cause(number, &[]).map_or(Answer::Allow, Answer::Held),
        }
    }

    fn check(&mut self, number: usize) {
        let Answer::Held(cause) = self.look(number) else {
            return;
        };
        let known = self.holds.iter_mut().find(|hold| hold.request == number);
        match known {
            Some(hold) if matches!(hold.state, Answer::Held(_)) => {}
            known => {
                self.claims += 1;
                let state = Answer::Held(cause);
                match known {
                    Some(hold) => (hold.state, hold.claimed) = (state, self.claims),
                    None => self.holds.push(ModelHold {
                        request: number,
                        state,
                        passed: vec![],
                        claimed: self.claims,
                    }),
                }
            }
        }
    }

    fn let_go(&mut self, cause: &str, only: Option<usize>, until: usize, resume: bool) {
        let mut held: Vec<(usize, usize)> = (0..self.holds.len())
            .filter(|at| self.holds[*at].state == Answer::Held(cause.to_owned()))
            .filter(|at| only.is_none_or(|only| self.holds[*at].request == only))
            .filter(|at| self.holds[*at].claimed <= until)
            .map(|at| (self.holds[at].claimed, at))
            .collect();
        held.sort();
        for (_, at) in held {
            self.holds[at].passed.push(cause.to_owned());
            let number = self.holds[at].request;
            let next = self
                .cause(number, &self.holds[at].passed)
                .filter(|_| resume);
            match next {
                Some(next) => {
                    self.claims += 1;
                    self.holds[at].state = Answer::Held(next);
                    self.holds[at].claimed = self.claims;
                }
                None => {
                    self.holds[at].state = if resume {
                        Answer::Allow
                    } else {
                        Answer::Rejected
                    };
                    self.told.push((number, resume));
                }
            }
        }
    }
}

struct Real {
    state: State,
    stored: BTreeMap<String, Change>,
    told: Vec<(usize, bool)>,
    clock: i64,
    wall: i64,
    asked: u64,
    policies: Policies,
    limits: Limits,
}

fn record(change: &Change) -> String {
    match change {
        Change::Trip(trip) => format!("trip {}", trip.id),
        Change::ForgetTrip(id) => format!("trip {id}"),
        Change::Hold(hold) => format!("hold {}", hold.request.request_id),
        Change::ForgetHold(name) => format!("hold {name}"),
        Change::Release(release) => format!("release {}", release.id),
        Change::ForgetRelease(id) => format!("release {id}"),
        Change::Told(told) => format!("told {}", told.sequence),
        Change::Finding(report) => format!("finding {}", report.finding_id),
        Change::FindingGone(id) => format!("finding {id}"),
        Change::Knowledge(_) => "knowledge".into(),
        Change::Numbers(_) => "numbers".into(),
    }
}

impl Real {
    fn new() -> Real {
        let policy = PointPolicy {
            on_suspected: Decision::Allow,
            on_undetermined: Decision::Allow,
            max_staleness: Duration::ZERO,
            beyond_max_staleness: Decision::Allow,
        };
        let span = Duration::seconds(1_000_000);
        Real {
            state: State::default(),
            stored: BTreeMap::new(),
            told: vec![],
            clock: 0,
            wall: 1_700_000_000 * SECOND,
            asked: 0,
            policies: Policies {
                refund: policy,
                settlement: policy,
                cash_out: PointPolicy {
                    on_suspected: Decision::Hold,
                    ..policy
                },
            },
            limits: Limits {
                automatic: AutomaticLimits {
                    least_at_risk: Money::default(),
                    most_held: Money::default(),
                    most_in_an_hour: 0,
                    lasts: span,
                },
                longest_trip: span,
                proposals_last: span,
                second_person_above: Money::of(
                    read_amount("1000000").unwrap(),
                    Currency::new("CNY").unwrap(),
                ),
                keep_ended: span,
                most_trips: 1_000,
                most_holds: 1_000,
                most_findings: 1_000,
            },
        }
    }

    fn handle(&mut self, input: Input) -> Result<Reply, Refusal> {
        let now = Now {
            wall: Timestamp(self.wall),
            clock: Instant(self.clock),
        };
        let outcome = self
            .state
            .handle(now, input, &self.policies, &self.limits)?;
        for change in &outcome.changes {
            // As a store would: it goes through JSON, and the newest record under a name stays.
            let json = serde_json::to_string(change).unwrap();
            let change: Change = serde_json::from_str(&json).unwrap();
            if let Change::Told(told) = &change {
                let number = told.request_id.as_str()[1..].parse().unwrap();
                self.told
                    .push((number, told.disposition == Disposition::Resume));
                assert_eq!(told.sequence, self.told.len() as u64);
            }
            self.stored.insert(record(&change), change);
        }
        Ok(outcome.reply)
    }

    fn look(&self, number: usize) -> Answer {
        let clock = Instant(self.clock);
        let checked = self.state.check(clock, &request(number), &self.policies);
        let tell = |cause: &Cause| match cause {
            Cause::Trip(trip) => trip.to_string(),
            Cause::Finding(finding) => finding.to_string(),
            Cause::Stale => "stale".into(),
        };
        match checked {
            Checked::Allow { .. } => Answer::Allow,
            Checked::Held(hold) => Answer::Held(tell(&hold.cause)),
            Checked::MustHold(cause) => Answer::Held(tell(&cause)),
            Checked::Rejected(_) => Answer::Rejected,
            Checked::Conflict(_) => panic!("the same request is no conflict"),
        }
    }

    fn release(
        &mut self,
        by: &str,
        alone: bool,
        cause: Cause,
        holds: Option<usize>,
        resume: bool,
    ) -> bool {
        self.asked += 1;
        let input = Input::Release {
            by: name(by.into()),
            alone,
            ask: Ask {
                request_id: name(format!("a{}", self.asked)),
                cause,
                holds: holds.map(|number| vec![name(format!("r{number}"))]),
                disposition: if resume {
                    Disposition::Resume
                } else {
                    Disposition::Reject
                },
                reason: Text::new("because").unwrap(),
            },
        };
        let first = self.handle(input.clone());
        // Sent again, it is applied once.
        assert_eq!(first.is_ok(), self.handle(input).is_ok());
        first.is_ok()
    }

    fn report(&mut self, finding: usize, merchant: usize, verdict: Verdict) {
        self.asked += 1;
        let report = Report {
            finding_id: name(format!("F{finding}")),
            sequence: self.asked,
            occurrence: 1,
            rule: name("a-rule".into()),
            stable: false,
            owner: name("owner".into()),
            verdict,
            scope: Scope::Merchant(name(format!("M{merchant}"))),
            points: Points::new(&Point::ALL).unwrap(),
            declared: None,
            amount: None,
            currency: None,
        };
        let would_hold = Money::default();
        self.handle(Input::Report { report, would_hold }).unwrap();
    }
}

fn finding(number: usize) -> Cause {
    Cause::Finding(name(format!("F{number}")))
}

/// Runs the inputs through both; the wall clock of the real one steps by so many hours before each.
fn run(ops: &[Op], steps: &[i64]) -> (Model, Real) {
    let (mut model, mut real) = (Model::default(), Real::new());
    for (at, op) in ops.iter().enumerate() {
        real.wall += steps[at % steps.len()] * 3_600 * SECOND;
        match op.clone() {
            Op::Check(number) => {
                model.check(number);
                real.handle(Input::Check(request(number))).unwrap();
            }
            Op::Set {
                scope,
                points,
                seconds,
            } => {
                model
                    .trips
                    .push((scope, points, model.now + seconds, false));
                let all = Point::ALL.iter().copied();
                let here: Vec<Point> = all
                    .filter(|point| points & (1 << *point as u8) != 0)
                    .collect();
                let input = Input::Set {
                    by: name("ann".into()),
                    draft: Draft {
                        request_id: name(format!("k{}", model.trips.len())),
                        scope: real_scope(scope),
                        points: Points::new(&here).unwrap(),
                        reason: Text::new("because").unwrap(),
                        owner: name("owner".into()),
                        lasts: Duration::seconds(seconds),
                        propose: false,
                    },
                };
                let first = real.handle(input.clone()).unwrap();
                assert_eq!(real.handle(input).unwrap(), first);
            }
            Op::ReleaseTrip {
                trip,
                resume,
                alone,
            } if trip < model.trips.len() => {
                let open = model
                    .proposals
                    .iter()
                    .any(|open| open.open && open.trip == trip);
                let id = Cause::Trip(TripId(trip as u64 + 1));
                let done = real.release("bob", alone, id, None, resume);
                assert_eq!(done, !open);
                if done && alone {
                    model.trips[trip].3 = true;
                    model.let_go(&format!("T{}", trip + 1), None, usize::MAX, resume);
                } else if done {
                    let at = model.claims;
                    model.proposals.push(Proposal {
                        trip,
                        resume,
                        at,
                        open: true,
                    });
                }
            }
            Op::Confirm(which) => {
                let mut open: Vec<&mut Proposal> = model
                    .proposals
                    .iter_mut()
                    .filter(|open| open.open)
                    .collect();
                let Some(proposal) = open.get_mut(which) else {
                    continue;
                };
                proposal.open = false;
                let proposal = proposal.clone();
                let proposed = real.state.releases_before(ReleaseId(u64::MAX));
                let id = Cause::Trip(TripId(proposal.trip as u64 + 1));
                let release = proposed
                    .filter(|release| release.ask.cause == id && release.ask.holds.is_none())
                    .find(|release| release.state == ReleaseState::Proposed)
                    .unwrap()
                    .id;
                let by = |by: &str| Input::ConfirmRelease {
                    by: name(by.into()),
                    release,
                };
                assert!(matches!(real.handle(by("bob")), Err(Refusal::Forbidden(_))));
                real.handle(by("cid")).unwrap();
                model.trips[proposal.trip].3 = true;
                let cause = format!("T{}", proposal.trip + 1);
                model.let_go(&cause, None, proposal.at, proposal.resume);
            }
            Op::ReleaseHold { request, resume } => {
                let Some(Answer::Held(cause)) = model
                    .holds
                    .iter()
                    .find(|hold| hold.request == request)
                    .map(|hold| hold.state.clone())
                else {
                    continue;
                };
                let from = match cause.split_at(1) {
                    ("T", id) => Cause::Trip(TripId(id.parse().unwrap())),
                    (_, id) => finding(id.parse().unwrap()),
                };
                assert!(real.release("bob", true, from, Some(request), resume));
                model.let_go(&cause, Some(request), usize::MAX, resume);
            }
            Op::Suspect { finding, merchant } => {
                model.suspected.insert(finding, merchant);
                real.report(finding, merchant, Verdict::Suspected);
            }
            Op::Clear { finding } => {
                model.suspected.remove(&finding);
                real.report(finding, 0, Verdict::Cleared);
                model.let_go(&format!("F{finding}"), None, usize::MAX, true);
            }
            Op::ReleaseFinding {
                finding: number,
                resume,
            } => {
                let cause = format!("F{number}");
                let holds = model
                    .holds
                    .iter()
                    .any(|hold| hold.state == Answer::Held(cause.clone()));
                assert_eq!(
                    real.release("bob", true, finding(number), None, resume),
                    holds
                );
                model.let_go(&cause, None, usize::MAX, resume);
            }
            Op::Wait(seconds) => {
                model.now += seconds;
                real.clock += seconds * SECOND;
            }
            Op::Tick => {
                real.handle(Input::Tick).unwrap();
            }
            Op::ReleaseTrip { .. } => {}
        }
        for number in 0..REQUESTS {
            assert_eq!(
                real.look(number),
                model.look(number),
                "r{number} after {at}: {op:?}"
            );
        }
        assert_eq!(real.told, model.told, "after {at}: {op:?}");
    }
    (model, real)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn answers_what_the_plain_model_answers(ops in ops()) {
        let (model, real) = run(&ops, &[0]);
        prop_assert_eq!(model.now * SECOND, real.clock);

        // The records that a store kept make the same state.
        let mut again = State::default();
        real.stored.values().for_each(|change| again.put(change));
        again.advance(real.state.clock());
        prop_assert_eq!(&again, &real.state);
    }

    #[test]
    fn steps_of_the_wall_clock_change_no_decision(
        ops in ops(),
        steps in prop::collection::vec(-30..30i64, 1..8),
    ) {
        let (_, real) = run(&ops, &steps);
        let (_, steady) = run(&ops, &[0]);
        prop_assert_eq!(real.told, steady.told);
        prop_assert_eq!(real.state.counts(), steady.state.counts());
    }
}
