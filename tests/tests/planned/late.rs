//! Plans that come late, among everything else, in any order that keeps each source's own: no finding is ever told that
//! a plan explains, and none is missed.

use std::collections::BTreeSet;

use centinel_tests::{Detection, History, all_rules, seeds, write_log};
use data_fixtures::{Draw, SECOND, trouble};

use crate::support::{
    PLANS, Plan, Told, by_hand, catalog, ever_told, heartbeat, manual, planned, platform, untouched,
};

const ORDERS: u64 = 80;
const BY_HAND: usize = 6;
/// Of the draws of an order of lines.
const LINES: u64 = 31;

/// Of each change by hand something else is announced, beside a plan that is never carried out; and what must be told.
fn announced(history: &History, seed: u64) -> (Vec<Plan>, Told) {
    let (mut plans, mut expected) = (Vec::new(), Told::new());
    let mut add = |plan: Plan, kept: bool| {
        if !kept {
            expected.insert(planned(plans.len()));
        }
        plans.push(plan);
    };
    let mut unexplained = Vec::new();
    for (number, (change, row, after)) in by_hand(history).into_iter().enumerate() {
        let exact = Plan {
            row,
            sets: ",amount,",
            amount: after.amount,
            approved_at: change.committed_at - 100 * SECOND,
        };
        match (number as u64 + seed) % 6 {
            0 | 1 => add(exact, true),
            2 => {
                let amount = exact.amount + 1;
                add(Plan { amount, ..exact }, false);
                unexplained.push(change);
            }
            3 => {
                let approved_at = change.committed_at + SECOND;
                let late = Plan {
                    approved_at,
                    ..exact
                };
                add(late, false);
                unexplained.push(change);
            }
            4 => {
                // Its time was over.
                let approved_at = change.committed_at - 700 * SECOND;
                let early = Plan {
                    approved_at,
                    ..exact
                };
                add(early, false);
                unexplained.push(change);
            }
            _ => unexplained.push(change),
        }
    }
    let never = Plan {
        row: untouched(history),
        sets: ",amount,",
        amount: 1,
        approved_at: history.records[0].record.committed_at(),
    };
    add(never, false);
    expected.extend(unexplained.iter().map(manual));
    (plans, expected)
}

/// What the source of plans says, in its order: each plan, before it the word that none came before, and at the end
/// the word that these were all.
fn spoken(plans: &[Plan], end: i64) -> Vec<String> {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|number| plans[*number].approved_at);
    let mut lines = Vec::new();
    for number in order {
        lines.push(heartbeat(plans[number].approved_at - 1));
        lines.push(plans[number].line(number));
    }
    lines.push(heartbeat(end));
    lines
}

/// The platform's own lines, in some order that keeps each source's and its transactions whole.
fn platform_lines(history: &History, seed: u64, mixed: bool) -> Vec<String> {
    let records = match mixed {
        true => trouble::interleave(history.records.clone(), seed),
        false => history.records.clone(),
    };
    let own = tempfile::tempdir().unwrap();
    let log = own.path().join("log.jsonl");
    write_log(&log, &records);
    let text = std::fs::read_to_string(&log).unwrap();
    text.lines().map(|line| format!("{line}\n")).collect()
}

/// Two streams as one, in an order drawn line by line.
fn riffled(platform: &[String], plans: &[String], draw: &mut Draw) -> String {
    let (mut own, mut others) = (platform.iter(), plans.iter());
    let mut text = String::new();
    while own.len() + others.len() > 0 {
        let chosen = draw.below((own.len() + others.len()) as u64);
        let next = match (chosen as usize) < own.len() {
            true => own.next(),
            false => others.next(),
        };
        text.extend(next.map(String::as_str));
    }
    text
}

/// Everything that detection over this log ever tells, row by row or in small micro-batches.
fn told(log: &str, batch_rows: usize) -> Told {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("log.jsonl");
    std::fs::write(&path, log).unwrap();
    let catalog = catalog(own.path());
    let mut detection = Detection::over(&path, own.path());
    detection.batch_rows = batch_rows;
    ever_told(&detection.run(&catalog, &all_rules(&catalog)))
}

/// Of each source the last word only: those between change nothing but the number of places.
fn without_repetition(lines: Vec<String>) -> Vec<String> {
    let speaker = |line: &String| {
        let speaker = line.split("\"committed_at\"").next();
        speaker
            .filter(|speaker| speaker.starts_with("{\"heartbeat\""))
            .map(str::to_owned)
    };
    let mut heard = BTreeSet::new();
    let mut kept: Vec<String> = lines
        .into_iter()
        .rev()
        .filter(|line| speaker(line).is_none_or(|speaker| heard.insert(speaker)))
        .collect();
    kept.reverse();
    kept
}

#[test]
fn plans_that_come_late_make_no_false_finding() {
    let mut changes = 0;
    for seed in seeds(40, 6) {
        let history = platform(seed, ORDERS, BY_HAND);
        let (plans, expected) = announced(&history, seed);
        changes += by_hand(&history).len();
        let end = history.end;
        let plans = spoken(&plans, end);
        let own = platform_lines(&history, seed, seed % 2 == 1);
        let mut draw = Draw::new(seed, LINES);
        let somewhere = draw.below(own.len() as u64) as usize;
        for (what, log) in [
            ("plans first", plans.concat() + &own.concat()),
            ("plans last", own.concat() + &plans.concat()),
            (
                "plans at once",
                own[..somewhere].concat() + &plans.concat() + &own[somewhere..].concat(),
            ),
            ("riffled", riffled(&own, &plans, &mut draw)),
            ("riffled again", riffled(&own, &plans, &mut draw)),
        ] {
            assert_eq!(told(&log, 10), expected, "seed {seed}, {what}");
        }
    }
    assert!(changes >= 20, "{changes}");
}

/// A change that was planned and one that was not, with the plans in every place of the log.
#[test]
fn a_plan_may_stand_in_every_place() {
    let history = platform(3, 2, 2);
    let changes = by_hand(&history);
    let (change, row, after) = changes[0];
    let plan = Plan {
        row,
        sets: ",amount,",
        amount: after.amount,
        approved_at: change.committed_at - SECOND,
    };
    let expected: Told = changes[1..]
        .iter()
        .map(|(change, ..)| manual(change))
        .collect();
    let own = without_repetition(platform_lines(&history, 3, false));
    assert!((15..120).contains(&own.len()), "{}", own.len());
    let word = heartbeat(history.end);
    for place in 0..=own.len() {
        let (before, behind) = own.split_at(place);
        for log in [
            before.concat() + &plan.line(0) + &word + &behind.concat(),
            before.concat() + &plan.line(0) + &behind.concat() + &word,
        ] {
            assert_eq!(told(&log, 1), expected, "at {place} of {}", own.len());
        }
    }
    assert!(!own.concat().contains(PLANS));
}
