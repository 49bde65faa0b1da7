//! Small scripts of inputs and the answers that are expected, one file for each subject, in `tests/ledgers`.
//!
//! `at 90s` moves the breaker's clock, `wall +5h` and `wall -5h` step the wall clock. Every other line is
//! `input => answer`; `told` lists what the platform was told since the last time.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use centinel_breaker::*;
use centinel_model::{Duration, Timestamp, Verdict};

struct Ledger {
    state: State,
    policies: Policies,
    limits: Limits,
    clock: Instant,
    wall: Timestamp,
    told: Vec<String>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn money(text: &str) -> Money {
    let parts = text.split(',').filter(|part| *part != "-");
    parts.fold(Money::default(), |mut sum, part| {
        let (amount, currency) = part.split_at(part.len() - 3);
        sum.add(
            read_amount(amount).unwrap(),
            Currency::new(currency).unwrap(),
        );
        sum
    })
}

fn points(text: &str) -> Points {
    let find = |word: &str| {
        *Point::ALL
            .iter()
            .find(|point| point.as_str() == word)
            .unwrap()
    };
    Points::new(&text.split(',').map(find).collect::<Vec<_>>()).unwrap()
}

fn scope(text: &str) -> Scope {
    match text.split_once(':') {
        None => Scope::All,
        Some(("order", key)) => Scope::Order(name(key)),
        Some(("merchant", key)) => Scope::Merchant(name(key)),
        Some(("business_code", key)) => Scope::BusinessCode(name(key)),
        Some(_) => panic!("{text}"),
    }
}

fn kind(text: &str) -> ScopeKind {
    serde_json::from_value(text.into()).unwrap()
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

fn cause(text: &str) -> Cause {
    match text.split_once(':') {
        Some(("finding", id)) => Cause::Finding(name(id)),
        None if text == "stale" => Cause::Stale,
        None => Cause::Trip(trip(text)),
        Some(_) => panic!("{text}"),
    }
}

fn trip(text: &str) -> TripId {
    TripId(text.strip_prefix('T').unwrap().parse().unwrap())
}

fn tell_cause(cause: &Cause) -> String {
    match cause {
        Cause::Trip(trip) => trip.to_string(),
        Cause::Finding(finding) => format!("finding:{finding}"),
        Cause::Stale => "stale".into(),
    }
}

fn tell_trip(trip: &Trip) -> String {
    let because = trip.proposed_because.as_ref();
    let because = because.filter(|_| trip.state == TripState::Proposed);
    let because = because.map_or(String::new(), |why| format!(": {why}"));
    let recovered = if trip.recovered_at.is_some() {
        " recovered"
    } else {
        ""
    };
    format!("{} {}{recovered}{because}", trip.id, word(trip.state))
}

fn tell(reply: &Reply) -> String {
    match reply {
        Reply::Checked(Checked::Allow { resumed: false }) => "allow".into(),
        Reply::Checked(Checked::Allow { resumed: true }) => "allow resumed".into(),
        Reply::Checked(Checked::Held(hold)) => format!("hold {}", tell_cause(&hold.cause)),
        Reply::Checked(Checked::Rejected(_)) => "hold rejected".into(),
        Reply::Checked(Checked::Conflict(_)) => "conflict".into(),
        Reply::Checked(Checked::MustHold(_)) => panic!("it must be held by now"),
        Reply::Trip(trip) => tell_trip(trip),
        Reply::Reported(trip) => trip
            .as_ref()
            .map_or("no trip".into(), |trip| tell_trip(trip)),
        Reply::Release(release) => {
            let (id, state) = (release.id, word(release.state));
            format!(
                "{id} {state} {} of {}, {}",
                release.decided, release.count, release.money
            )
        }
        Reply::Done => "done".into(),
        Reply::More => "more".into(),
    }
}

impl Ledger {
    fn new() -> Ledger {
        let policy = PointPolicy {
            on_suspected: Decision::Allow,
            on_undetermined: Decision::Allow,
            max_staleness: Duration::seconds(60),
            beyond_max_staleness: Decision::Allow,
        };
        let (hour, day) = (Duration::seconds(3_600), Duration::seconds(86_400));
        Ledger {
            state: State::default(),
            policies: Policies {
                refund: policy,
                settlement: policy,
                // Where money leaves for good, doubt holds.
                cash_out: PointPolicy {
                    on_suspected: Decision::Hold,
                    on_undetermined: Decision::Hold,
                    beyond_max_staleness: Decision::Hold,
                    ..policy
                },
            },
            limits: Limits {
                automatic: AutomaticLimits {
                    least_at_risk: money("10.00CNY"),
                    most_held: money("1000.00CNY"),
                    most_in_an_hour: 2,
                    lasts: hour.times(4),
                },
                longest_trip: day.times(30),
                proposals_last: day,
                second_person_above: money("100.00CNY"),
                keep_ended: day.times(90),
                most_trips: 10,
                most_holds: 10,
                most_findings: 10,
            },
            clock: Instant(0),
            wall: Timestamp::parse("2026-11-22T08:00:00Z").unwrap(),
            told: Vec::new(),
        }
    }

    fn handle(&mut self, input: Input) -> String {
        let now = Now {
            wall: self.wall,
            clock: self.clock,
        };
        let before = self.state.clone();
        match self.state.handle(now, input, &self.policies, &self.limits) {
            Ok(outcome) => {
                for change in &outcome.changes {
                    if let Change::Told(told) = change {
                        let disposition = word(told.disposition);
                        self.told.push(format!(
                            "{} {} {disposition}",
                            told.sequence, told.request_id
                        ));
                    }
                }
                tell(&outcome.reply)
            }
            Err(refusal) => {
                let kind = format!("{refusal:?}");
                let kind = kind.split('(').next().unwrap().to_lowercase();
                let mut after = self.state.clone();
                assert_eq!(after.clock(), self.clock.max(before.clock()));
                after = {
                    let mut same = before.clone();
                    same.advance(after.clock());
                    assert_eq!(same, after);
                    after
                };
                drop(after);
                format!("{kind}: {refusal}")
            }
        }
    }

    fn act(&mut self, words: &[&str], rest: &str) -> String {
        let reason = || Text::new(rest).unwrap();
        match words {
            [
                "check",
                request,
                point,
                code,
                merchant,
                order,
                amount,
                currency,
            ] => {
                let request = Request {
                    request_id: name(request),
                    point: points(point).iter().next().unwrap(),
                    business_code: name(code),
                    merchant_no: name(merchant),
                    order_no: name(order),
                    amount: read_amount(amount).unwrap(),
                    currency: Currency::new(currency).unwrap(),
                };
                match self.state.check(self.clock, &request, &self.policies) {
                    Checked::MustHold(_) => self.handle(Input::Check(request)),
                    checked => tell(&Reply::Checked(checked)),
                }
            }
            [how @ ("set" | "propose"), id, by, wide, at, lasts] => self.handle(Input::Set {
                by: name(by),
                draft: Draft {
                    request_id: name(id),
                    scope: scope(wide),
                    points: points(at),
                    reason: reason(),
                    owner: name("owner"),
                    lasts: Duration::parse(lasts).unwrap(),
                    propose: *how == "propose",
                },
            }),
            ["confirm", by, id] if id.starts_with('T') => self.handle(Input::ConfirmTrip {
                by: name(by),
                trip: trip(id),
            }),
            ["confirm", by, id] => self.handle(Input::ConfirmRelease {
                by: name(by),
                release: ReleaseId(id[1..].parse().unwrap()),
            }),
            ["decline", by, id] if id.starts_with('T') => self.handle(Input::DeclineTrip {
                by: name(by),
                trip: trip(id),
            }),
            ["decline", by, id] => self.handle(Input::DeclineRelease {
                by: name(by),
                release: ReleaseId(id[1..].parse().unwrap()),
                reason: reason(),
            }),
            [
                "report",
                finding,
                sequence,
                occurrence,
                verdict,
                wide,
                rule @ ..,
            ] => {
                let stable = rule.contains(&"stable");
                let after = |word: &str| {
                    let at = rule.iter().position(|found| *found == word)?;
                    rule.get(at + 1).copied()
                };
                let verdict: Verdict = serde_json::from_value((*verdict).into()).unwrap();
                let amount = after("risk").map(|text| money(text).iter().next().unwrap());
                self.handle(Input::Report {
                    report: Report {
                        finding_id: name(finding),
                        sequence: sequence.parse().unwrap(),
                        occurrence: occurrence.parse().unwrap(),
                        rule: name("a-rule"),
                        stable,
                        owner: name("owner"),
                        verdict,
                        scope: scope(wide),
                        points: points("refund,settlement,cash_out"),
                        declared: after("by").map(|by| Declared {
                            points: points(after("trips").unwrap()),
                            by: kind(by),
                        }),
                        amount: amount.map(|(_, amount)| amount),
                        currency: amount.map(|(currency, _)| currency),
                    },
                    would_hold: money(after("would").unwrap_or("-")),
                })
            }
            [how @ ("release" | "ask"), id, by, from, which, disposition] => {
                let holds = (*which != "all").then(|| which.split(',').map(name).collect());
                self.handle(Input::Release {
                    by: name(by),
                    alone: *how == "release",
                    ask: Ask {
                        request_id: name(id),
                        cause: cause(from),
                        holds,
                        disposition: serde_json::from_value((*disposition).into()).unwrap(),
                        reason: reason(),
                    },
                })
            }
            ["fresh", lag] => self.handle(Input::Fresh {
                lag: Duration::parse(lag).unwrap(),
            }),
            ["tick"] => self.handle(Input::Tick),
            ["trip", id] => tell_trip(self.state.trip(trip(id)).unwrap()),
            ["told"] => match std::mem::take(&mut self.told) {
                told if told.is_empty() => "nothing".into(),
                told => told.join(", "),
            },
            other => panic!("no such input: {other:?}"),
        }
    }
}

fn run(path: &Path) {
    let mut ledger = Ledger::new();
    for (number, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        let line = line.trim();
        let here = format!("{}:{}: {line}", path.display(), number + 1);
        let (input, expected) = line.split_once("=>").unwrap_or((line, ""));
        let (input, rest) = input.split_once(" -- ").unwrap_or((input, "because"));
        let words: Vec<&str> = input.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [word, ..] if word.starts_with('#') => {}
            ["at", span] => ledger.clock = Instant(Duration::parse(span).unwrap().0),
            ["wall", step] => {
                let span = Duration::parse(&step[1..]).unwrap().0;
                ledger.wall.0 += if step.starts_with('-') { -span } else { span };
            }
            words => {
                let answer = ledger.act(words, rest);
                let expected = expected.trim();
                let fits = match expected.strip_suffix("...") {
                    Some(beginning) => answer.starts_with(beginning),
                    None => answer == expected,
                };
                assert!(fits, "{here}\n  answered: {answer}");
            }
        }
    }
}

#[test]
fn every_ledger_comes_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledgers");
    let mut ledgers: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    ledgers.sort();
    assert!(ledgers.len() >= 5, "the ledgers are elsewhere");
    ledgers.iter().for_each(|ledger| run(ledger));
}
