//! What must be found against what was found. Pure.

use std::collections::BTreeSet;

use centinel_model::{Amount, Timestamp, Verdict as Told};
use data_fixtures::timeline::{Course, Due};

use super::acts::{Ask, Point};
use super::breaker::{Answered, SetTrip};
use super::outcome::{
    BreakerOutcome, FaultOutcome, Moved, RuleOutcome, TripOutcome, Verdict, yuan,
};
use super::watched::{Findings, Known};

/// What a drill saw.
pub struct Seen<'a> {
    /// What its detection knows at the end.
    pub findings: &'a Findings,
    /// The rules that were asked; of each whether it trips.
    pub rules: &'a [(String, bool)],
    /// What its breaker did; none without one.
    pub breaker: Option<&'a BreakerSeen>,
}

/// What a drill's breaker was asked and told.
#[derive(Clone, Debug, Default)]
pub struct BreakerSeen {
    /// Every question of the platform.
    pub asks: Vec<Ask>,
    /// The answers, in the order of the questions.
    pub answers: Vec<Answered>,
    /// The trips, in the order in which they were set.
    pub trips: Vec<SetTrip>,
}

/// What became of one fault.
pub fn judge(course: &Course, seen: &Seen<'_>) -> FaultOutcome {
    let fault = course.planted.fault;
    let entity_key = course.planted.key.text();
    let entity = match fault.is_on_cash_out() {
        true => "cash_out",
        false => "order",
    };
    let mut outcome = FaultOutcome {
        kind: fault.name().into(),
        loss_class: fault.loss_class().name().into(),
        entity: entity.into(),
        entity_key: entity_key.clone(),
        verdict: Verdict::CouldNotJudge,
        rule: None,
        broken_at: None,
        confirmed_at: None,
        took_ms: None,
        due_ms: None,
        at_risk: None,
        currency: None,
        problems: Vec::new(),
        rules: Vec::new(),
        also: also(course, seen.findings),
        breaker: None,
    };
    let mut first: Option<(Timestamp, &Due)> = None;
    let mut unsure = course.expected.is_empty();
    if unsure {
        outcome
            .problems
            .push("the fault broke no rule: give the drill more orders".into());
    }
    for due in &course.expected {
        let (rule, known) = rule(due, seen.findings);
        unsure |= note(&rule, known, seen, &mut outcome.problems);
        if let Some(at) = known.and_then(confirmed_at) {
            first = match first {
                Some((earlier, by)) if earlier <= at => Some((earlier, by)),
                _ => Some((at, due)),
            };
        }
        outcome.rules.push(rule);
    }
    if let Some((at, due)) = first {
        outcome.rule = Some(due.violation.rule.into());
        outcome.broken_at = Some(Timestamp(due.broken_at).to_string());
        outcome.confirmed_at = Some(at.to_string());
        outcome.took_ms = Some(milliseconds(due.broken_at, at.0));
        outcome.due_ms = Some(milliseconds(due.broken_at, due.due));
        outcome.at_risk = most(&outcome.rules);
        outcome.currency = outcome.at_risk.is_some().then(|| "CNY".into());
    }
    if let Some(breaker) = seen.breaker {
        let (did, silent) = holds(course, breaker, seen, &mut outcome.problems);
        outcome.breaker = Some(did);
        unsure |= silent;
    }
    outcome.verdict = match first {
        _ if unsure => Verdict::CouldNotJudge,
        None => Verdict::Unnoticed,
        Some(_) if outcome.problems.is_empty() => Verdict::Detected,
        Some(_) => Verdict::Incomplete,
    };
    outcome
}

/// What one rule said of what it must find.
fn rule<'a>(due: &Due, findings: &'a Findings) -> (RuleOutcome, Option<&'a Known>) {
    let violation = &due.violation;
    let known = findings.get(&(violation.rule.to_owned(), violation.key.clone()));
    let confirmed = known.is_some_and(|known| known.verdict == Told::Confirmed);
    let at = known.filter(|_| confirmed).and_then(confirmed_at);
    // Had every source been read up to then with the micro-batch before, that one had to tell it.
    let in_time = at.is_some() && known.is_some_and(|known| known.read_before.0 < due.due);
    let outcome = RuleOutcome {
        rule: violation.rule.into(),
        key: violation.key.clone(),
        confirmed,
        in_time,
        took_ms: at.map(|at| milliseconds(due.broken_at, at.0)),
        due_ms: milliseconds(due.broken_at, due.due),
        must_tell: yuan(violation.amount.saturating_abs()),
        told: known
            .filter(|_| confirmed)
            .and_then(|known| known.amount.clone()),
    };
    (outcome, known)
}

fn confirmed_at(known: &Known) -> Option<Timestamp> {
    known
        .confirmed_at
        .filter(|_| known.verdict == Told::Confirmed)
}

/// Notes what is wrong with it; whether it could not be judged.
fn note(
    rule: &RuleOutcome,
    known: Option<&Known>,
    seen: &Seen<'_>,
    problems: &mut Vec<String>,
) -> bool {
    let name = &rule.rule;
    if !rule.confirmed {
        let asked = seen.rules.iter().any(|(asked, _)| asked == name);
        let undetermined = known.filter(|known| known.verdict == Told::Undetermined);
        problems.push(match undetermined {
            Some(known) => {
                let why = known.hint.as_deref().unwrap_or("undetermined");
                format!("{name} could not judge it: {why}")
            }
            None if asked => format!("{name} must find it and did not"),
            None => format!("{name} must find it and is not among the rules"),
        });
        return undetermined.is_some();
    }
    if !rule.in_time {
        let took = seconds(rule.took_ms.unwrap_or_default());
        problems.push(format!(
            "{name} was sure {took} after the fault, and had to be after {}",
            seconds(rule.due_ms)
        ));
    }
    if !same_amount(rule) {
        let told = rule.told.as_deref().unwrap_or("no amount");
        problems.push(format!(
            "{name} tells {told} at risk where it is {}",
            rule.must_tell
        ));
    }
    false
}

fn same_amount(rule: &RuleOutcome) -> bool {
    let told = rule
        .told
        .as_deref()
        .and_then(|told| Amount::exact(told).ok());
    told == Amount::exact(&rule.must_tell).ok()
}

fn most(rules: &[RuleOutcome]) -> Option<String> {
    let told = rules.iter().filter_map(|rule| rule.told.clone());
    told.max_by(|left, right| {
        let of = |text: &str| Amount::exact(text).unwrap_or_default();
        let order = of(left).partial_cmp(&of(right));
        order.unwrap_or(std::cmp::Ordering::Equal)
    })
}

/// Rules that told something of the same order or cash-out beside those that must, such as those of guarded tables.
fn also(course: &Course, findings: &Findings) -> Vec<String> {
    let key = course.planted.key.text();
    let must: BTreeSet<(&str, &[String])> = course
        .expected
        .iter()
        .map(|due| (due.violation.rule, due.violation.key.as_slice()))
        .collect();
    let of_entity = |found: &Vec<String>| found.contains(&key);
    let beside: BTreeSet<&String> = findings
        .iter()
        .filter(|((rule, found), known)| {
            known.verdict == Told::Confirmed
                && of_entity(found)
                && !must.contains(&(rule.as_str(), found.as_slice()))
        })
        .map(|((rule, _), _)| rule)
        .collect();
    beside.into_iter().cloned().collect()
}

/// What the breaker did about this fault, and whether it left a question without an answer.
fn holds(
    course: &Course,
    breaker: &BreakerSeen,
    seen: &Seen<'_>,
    problems: &mut Vec<String>,
) -> (BreakerOutcome, bool) {
    let must = |trip: &&SetTrip| {
        course
            .expected
            .iter()
            .any(|due| due.violation.rule == trip.rule && due.violation.key == trip.key)
    };
    let trips: Vec<&SetTrip> = breaker.trips.iter().filter(must).collect();
    for due in &course.expected {
        let rule = due.violation.rule;
        let declares = seen
            .rules
            .iter()
            .any(|(known, trips)| known == rule && *trips);
        let found = seen
            .findings
            .get(&(rule.to_owned(), due.violation.key.clone()));
        let found = found.is_some_and(|known| known.confirmed_at.is_some());
        if declares && found && !trips.iter().any(|trip| trip.rule == rule) {
            problems.push(format!("{rule} trips, and the breaker was not tripped"));
        }
    }
    let said = trips.iter().filter_map(|trip| {
        let problem = trip.problem.as_ref()?;
        Some(format!(
            "{} trips {} {}, but: {problem}",
            trip.rule, trip.by, trip.scope
        ))
    });
    problems.extend(said);
    let since = course.expected.iter().map(|due| due.broken_at).min();
    let since = since.unwrap_or(i64::MAX);
    let entity_key = course.planted.key.text();
    let concerns = |ask: &Ask| match trips.as_slice() {
        [] => ask.order_no == entity_key || ask.cash_out_no.as_ref() == Some(&entity_key),
        trips => trips.iter().any(|trip| trip.covers(ask)),
    };
    let (mut held, mut leaked, mut silent, mut wrong) = ((0, 0), (0, 0), false, 0);
    for answer in &breaker.answers {
        let Some(ask) = breaker.asks.get(answer.ask).filter(|ask| concerns(ask)) else {
            continue;
        };
        // By any trip that had been set by then, of another fault of the same merchant, too.
        let set = breaker.trips.iter().take(answer.trips);
        let expected = set
            .filter(|trip| trip.problem.is_none())
            .any(|trip| trip.covers(ask));
        match answer.held {
            None => silent = true,
            Some(is) if is != expected => wrong += 1,
            Some(true) => held = (held.0 + 1, held.1 + ask.fen),
            Some(false) if ask.at >= since => leaked = (leaked.0 + 1, leaked.1 + ask.fen),
            Some(false) => {}
        }
    }
    if wrong > 0 {
        problems.push(format!(
            "the breaker decided {wrong} questions otherwise than its trips say"
        ));
    }
    if silent {
        problems.push("the breaker left questions without an answer".into());
    }
    let did = BreakerOutcome {
        trips: trips.into_iter().map(told).collect(),
        held: Moved::of(held.0, held.1),
        leaked: Moved::of(leaked.0, leaked.1),
    };
    (did, silent)
}

fn told(trip: &SetTrip) -> TripOutcome {
    let word = |point: &Point| point.word().to_owned();
    TripOutcome {
        rule: trip.rule.clone(),
        by: trip.by.clone(),
        scope: trip.scope.clone(),
        points: trip.points.iter().map(word).collect(),
        set_at: Timestamp(trip.at).to_string(),
    }
}

/// Never less than nothing: a deadline of its own may pass while the clock stands before it.
fn milliseconds(from: i64, to: i64) -> i64 {
    (to - from).max(0) / 1_000
}

/// Milliseconds as seconds, for a person.
pub fn seconds(milliseconds: i64) -> String {
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use data_fixtures::FaultKind;

    use super::super::script::Script;
    use super::*;

    const RULE: &str = "order-paid-once";

    /// A payment that was made twice, which several rules see.
    fn course() -> Course {
        let mut script = Script::simulated(1, 60, &[FaultKind::DuplicatePayment]);
        let course = script.courses.remove(0);
        assert!(course.expected.len() > 1);
        course
    }

    /// What must be found, just in time.
    fn found(course: &Course) -> Findings {
        let of = |due: &Due| {
            let violation = &due.violation;
            let known = Known {
                verdict: Told::Confirmed,
                confirmed_at: Some(Timestamp(due.due + 400_000)),
                read_before: Timestamp(due.due - 600_000),
                amount: Some(yuan(violation.amount.abs())),
                hint: None,
            };
            ((violation.rule.to_owned(), violation.key.clone()), known)
        };
        course.expected.iter().map(of).collect()
    }

    /// Of these rules one trips.
    fn rules(course: &Course) -> Vec<(String, bool)> {
        let names = course.expected.iter().map(|due| due.violation.rule);
        names.map(|name| (name.to_owned(), name == RULE)).collect()
    }

    fn judged(course: &Course, findings: &Findings, breaker: Option<&BreakerSeen>) -> FaultOutcome {
        let rules = rules(course);
        let seen = Seen {
            findings,
            rules: &rules,
            breaker,
        };
        judge(course, &seen)
    }

    fn known<'a>(course: &Course, findings: &'a mut Findings) -> &'a mut Known {
        let due = course
            .expected
            .iter()
            .find(|due| due.violation.rule == RULE)
            .unwrap();
        let name = (RULE.to_owned(), due.violation.key.clone());
        findings.get_mut(&name).unwrap()
    }

    #[test]
    fn a_fault_is_detected_when_every_rule_finds_it_in_time_with_its_money() {
        let course = course();
        let whole = found(&course);
        let outcome = judged(&course, &whole, None);
        assert_eq!(
            (outcome.verdict, &outcome.problems),
            (Verdict::Detected, &vec![])
        );
        assert_eq!(outcome.took_ms, outcome.due_ms.map(|due| due + 400));
        type Change = fn(&mut Known);
        let table: [(Change, Verdict, &str); 5] = [
            (
                |known| known.read_before = Timestamp(i64::MAX),
                Verdict::Incomplete,
                "had to be after",
            ),
            (
                |known| known.amount = Some("0.01".into()),
                Verdict::Incomplete,
                "tells 0.01 at risk",
            ),
            (
                |known| known.amount = None,
                Verdict::Incomplete,
                "tells no amount at risk",
            ),
            (
                |known| known.verdict = Told::Recovered,
                Verdict::Incomplete,
                "and did not",
            ),
            (
                |known| known.verdict = Told::Undetermined,
                Verdict::CouldNotJudge,
                "could not judge it",
            ),
        ];
        for (change, verdict, problem) in table {
            let mut findings = whole.clone();
            change(known(&course, &mut findings));
            let outcome = judged(&course, &findings, None);
            assert_eq!(outcome.verdict, verdict, "{problem}");
            assert!(
                matches!(&outcome.problems[..], [told] if told.contains(problem)),
                "{problem}: {:?}",
                outcome.problems
            );
        }
        let nothing = judged(&course, &Findings::new(), None);
        assert_eq!((nothing.verdict, nothing.rule), (Verdict::Unnoticed, None));
    }

    /// The trip of the rule, and two refunds of the order: one before it, one after.
    fn breaker(course: &Course) -> BreakerSeen {
        let due = course
            .expected
            .iter()
            .find(|due| due.violation.rule == RULE)
            .unwrap();
        let ask = |at, id: &str, fen| Ask {
            at,
            point: Point::Refund,
            id: id.into(),
            order_no: course.planted.key.text(),
            merchant_no: "M".into(),
            business_code: "B".into(),
            cash_out_no: None,
            fen,
        };
        let since = course
            .expected
            .iter()
            .map(|due| due.broken_at)
            .min()
            .unwrap();
        let other = Ask {
            order_no: "another".into(),
            ..ask(due.due + 2, "c", 9)
        };
        let answer = |ask, trips, held| Answered {
            ask,
            trips,
            held: Some(held),
        };
        BreakerSeen {
            asks: vec![ask(since, "a", 150), ask(due.due + 1, "b", 275), other],
            answers: vec![answer(0, 0, false), answer(1, 1, true), answer(2, 1, false)],
            trips: vec![SetTrip {
                rule: RULE.into(),
                key: due.violation.key.clone(),
                by: "order".into(),
                scope: course.planted.key.text(),
                points: vec![Point::Refund],
                at: due.due,
                problem: None,
            }],
        }
    }

    #[test]
    fn what_a_trip_covers_is_held_from_then_on_and_nothing_else() {
        let course = course();
        let findings = found(&course);
        let whole = breaker(&course);
        let outcome = judged(&course, &findings, Some(&whole));
        assert_eq!(
            (outcome.verdict, &outcome.problems),
            (Verdict::Detected, &vec![])
        );
        let did = outcome.breaker.unwrap();
        assert_eq!(
            (did.held, did.leaked),
            (Moved::of(1, 275), Moved::of(1, 150))
        );
        type Change = fn(&mut BreakerSeen);
        let table: [(Change, Verdict, &str); 6] = [
            (
                |seen| seen.answers[1].held = Some(false),
                Verdict::Incomplete,
                "decided 1 questions",
            ),
            (
                |seen| seen.answers[0].held = Some(true),
                Verdict::Incomplete,
                "decided 1 questions",
            ),
            (
                |seen| seen.answers[1].held = None,
                Verdict::CouldNotJudge,
                "without an answer",
            ),
            (
                |seen| seen.trips.clear(),
                Verdict::Incomplete,
                "the breaker was not tripped",
            ),
            (
                |seen| seen.trips[0].problem = Some("too much".into()),
                Verdict::Incomplete,
                "but: too much",
            ),
            (
                |seen| seen.trips[0].points = vec![Point::CashOut],
                Verdict::Detected,
                "",
            ),
        ];
        for (change, verdict, problem) in table {
            let mut seen = whole.clone();
            change(&mut seen);
            let outcome = judged(&course, &findings, Some(&seen));
            assert_eq!(
                outcome.verdict, verdict,
                "{problem}: {:?}",
                outcome.problems
            );
            let told = outcome.problems.iter().any(|told| told.contains(problem));
            assert!(
                told || problem.is_empty(),
                "{problem}: {:?}",
                outcome.problems
            );
        }
    }
}
