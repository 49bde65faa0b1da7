//! Whatever comes, in whatever order, however often, over whatever restarts, and whatever people do meanwhile: the store says what
//! the model says.

use std::collections::BTreeMap;

use centinel_findings::{Act, By, Filter, FindingsError, Handling, LineKind, Order, read_stretch};
use centinel_model::{Severity, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::{Model, Seen};
use crate::support::{Desk, at, id, now, told};

const RULES: [&str; 3] = ["paid-is-settled", "refunds-fit", "never-twice"];
const ORDERS: [&str; 3] = ["E1", "E10", "F2"];
const VERDICTS: [&str; 6] = [
    "confirmed",
    "undetermined",
    "suspected",
    "recovered",
    "cleared",
    "rule_changed",
];
const AMOUNTS: [Option<&str>; 6] = [
    None,
    Some("0"),
    Some("1.5"),
    Some("2"),
    Some("10.01"),
    Some("123456789012345678901234567890.12"),
];
const CURRENCIES: [Option<&str>; 4] = [Some("CNY"), Some("CNY"), Some("USD"), None];
const PEOPLE: [&str; 2] = ["Li Wei", "Chen"];

#[derive(Clone, Debug)]
enum Step {
    /// Detection writes on a finding; how many sequences it leaves out, and whether it broke anew.
    Tell {
        rule: usize,
        order: usize,
        verdict: usize,
        money: (usize, usize),
        skip: u64,
        again: bool,
        day: u32,
    },
    /// A line comes once more; or one that says otherwise under its name.
    Repeat {
        line: usize,
        otherwise: bool,
    },
    /// A message that was left out comes late.
    Late {
        rule: usize,
        order: usize,
    },
    Other(u64),
    /// The store takes in a stretch of at most so many bytes.
    Follow(u64),
    /// The file is cut back by so many lines, and grows again the next time that something is written.
    CutBack(usize),
    Restart,
    Act {
        rule: usize,
        order: usize,
        act: usize,
        by: usize,
    },
    /// Detection begins with a new state and file.
    Anew,
}

fn step() -> impl Strategy<Value = Step> {
    let finding = || (0..RULES.len(), 0..ORDERS.len());
    prop_oneof![
        10 => (finding(), 0..6_usize, (0..6_usize, 0..4_usize), 0..8_u64, any::<bool>(), 0..4_u32).prop_map(
            |((rule, order), verdict, money, skip, again, day)| Step::Tell {
                rule, order, verdict, money, skip: u64::from(skip == 7), again: again && verdict == 0, day,
            }
        ),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(line, otherwise)| Step::Repeat { line: line.index(1_000), otherwise }),
        1 => finding().prop_map(|(rule, order)| Step::Late { rule, order }),
        1 => (0..5_u64).prop_map(Step::Other),
        6 => prop_oneof![Just(1), Just(1_500), Just(1 << 20)].prop_map(Step::Follow),
        1 => (0..5_usize).prop_map(Step::CutBack),
        1 => Just(Step::Restart),
        8 => (finding(), 0..8_usize, 0..2_usize).prop_map(|((rule, order), act, by)| Step::Act { rule, order, act, by }),
        1 => Just(Step::Anew),
    ]
}

/// The store beside its model, and detection.
struct Beside {
    desk: Desk,
    model: Model,
    generation: u64,
    /// The lines of detection's file, of which the last ones may be cut off for now.
    lines: Vec<String>,
    cut: usize,
    /// How many of them were taken in.
    taken: usize,
    /// Of each finding its last sequence and occurrence, and the sequences that were left out.
    told: BTreeMap<(usize, usize), (u64, u64, Vec<u64>)>,
}

impl Beside {
    fn new() -> Beside {
        let mut desk = Desk::new();
        desk.store.name_systems(&systems()).unwrap();
        Beside {
            desk,
            model: Model::default(),
            generation: 1,
            lines: Vec::new(),
            cut: 0,
            taken: 0,
            told: BTreeMap::new(),
        }
    }

    fn write(&mut self, line: String) {
        self.lines.push(line);
        self.cut = 0;
        self.put();
    }

    fn put(&self) {
        let lines = &self.lines[..self.lines.len() - self.cut];
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(self.desk.file(), text).unwrap();
    }

    fn go(&mut self, step: &Step) {
        match step {
            Step::Tell {
                rule,
                order,
                verdict,
                money,
                skip,
                again,
                day,
            } => {
                let told_before = self.told.entry((*rule, *order)).or_default();
                told_before
                    .2
                    .extend((1..=*skip).map(|skipped| told_before.0 + skipped));
                told_before.0 += 1 + skip;
                told_before.1 = (told_before.1 + u64::from(*again)).max(1);
                let (sequence, occurrence) = (told_before.0, told_before.1);
                let message = message(
                    *rule,
                    *order,
                    sequence,
                    VERDICTS[*verdict],
                    *money,
                    *day,
                    occurrence,
                );
                self.write(message.to_string());
            }
            Step::Late { rule, order } => {
                let left_out = self
                    .told
                    .get_mut(&(*rule, *order))
                    .and_then(|told| told.2.pop());
                if let Some(sequence) = left_out {
                    let message = message(*rule, *order, sequence, "confirmed", (3, 0), 1, 1);
                    self.write(message.to_string());
                }
            }
            Step::Repeat { line, otherwise } => {
                if self.lines.is_empty() {
                    return;
                }
                let mut line = self.lines[line % self.lines.len()].clone();
                if *otherwise {
                    line = line.replace("\"title\":\"The", "\"title\":\"Another");
                }
                self.write(line);
            }
            Step::Other(0) => self.write("{\"schema\": half".into()),
            Step::Other(1) => {
                self.write(
                    json!({ "schema": "centinel/source/1", "source": "s", "state": "behind" })
                        .to_string(),
                );
            }
            Step::Other(number) => {
                self.write(json!({ "schema": "centinel/hole/1", "number": number }).to_string());
            }
            Step::Follow(most) => self.follow(*most),
            Step::CutBack(lines) => {
                self.cut = (*lines).min(self.lines.len());
                self.put();
            }
            Step::Restart => self.desk.restart(),
            Step::Act {
                rule,
                order,
                act,
                by,
            } => self.act(&id(RULES[*rule], ORDERS[*order]), *act, PEOPLE[*by]),
            Step::Anew => {
                self.generation += 1;
                (self.cut, self.taken) = (0, 0);
                self.lines.clear();
                self.told.clear();
                self.put();
                self.desk.store.begin_anew("Li Wei", now()).unwrap();
            }
        }
    }

    fn follow(&mut self, most: u64) {
        if !self.desk.file().exists() {
            return;
        }
        let mark = self.desk.store.mark().unwrap();
        assert_eq!(
            (mark.generation, mark.lines),
            (self.generation, self.taken as u64)
        );
        let (stretch, at_the_end) = read_stretch(&self.desk.file(), &mark, most).unwrap();
        let there = self.lines.len() - self.cut;
        assert_eq!(at_the_end.cut_back > 0, there < self.taken);
        self.desk.store.take_in(&stretch, now()).unwrap();
        let mut bytes = 0;
        while bytes < most && self.taken < there {
            let line = &self.lines[self.taken];
            self.model.line(self.generation, line);
            bytes += line.len() as u64 + 1;
            self.taken += 1;
        }
    }

    fn act(&mut self, id: &str, act: usize, by: &str) {
        let reason = || "a reason".to_owned();
        let act = match act {
            0 | 1 => Act::Acknowledge { note: None },
            2 => Act::Resolve { reason: reason() },
            3 => Act::FalseAlarm { reason: reason() },
            4 => Act::Reopen { reason: reason() },
            5 => Act::Assign {
                owner: Some("Zhang".into()),
            },
            6 => Act::Assign { owner: None },
            _ => Act::Note { text: reason() },
        };
        let known = self.model.did(id, &act, by);
        match self.desk.store.act(id, &act, by, None, now()) {
            Ok(_) => assert!(known),
            Err(FindingsError::Refused { .. }) => assert!(!known),
            Err(error) => panic!("{error}"),
        }
    }

    fn compare(&mut self) {
        // Once by looking through stretches of time, once by looking at the largest.
        self.compare_all();
        self.desk.store.look_through(0);
        self.compare_all();
        self.desk.store.look_through(u64::MAX);
    }

    fn compare_all(&self) {
        let all = self.model.seen();
        for seen in &all {
            let row = self
                .desk
                .store
                .get(seen.text("finding_id"))
                .unwrap()
                .unwrap();
            assert_eq!(
                row.finding.sequence,
                seen.message["sequence"].as_u64().unwrap()
            );
            assert_eq!(
                (row.finding.verdict, row.handling),
                (seen.verdict, seen.handling),
                "{seen:#?}"
            );
            assert_eq!(
                (row.open, row.worse),
                (seen.open(), seen.worse),
                "{seen:#?}"
            );
            assert_eq!((&row.owner, &row.since), (&seen.owner, &seen.since));
            assert_eq!((row.missing, row.acts), (seen.missing, seen.acts));
            assert_eq!(row.handled.map(|handled| handled.by), seen.handled_by);
            let history = self
                .desk
                .history(seen.text("rule"), seen.text("entity_key"));
            assert_eq!(history, seen.history);
        }
        let count = |kind| self.desk.store.count_of_lines(kind).unwrap();
        let lines = [LineKind::Hole, LineKind::Source, LineKind::Unread].map(count);
        assert_eq!(
            lines,
            [self.model.holes, self.model.sources, self.model.unread]
        );
        for filter in filters() {
            let fitting: Vec<&Seen> = all
                .iter()
                .filter(|seen| seen.fits(&filter, &systems()))
                .collect();
            for order in [Order::Time, Order::Money] {
                self.compare_list(&filter, order, fitting.clone());
            }
            let whole_days = filter
                .from
                .is_none_or(|from| from == at("2026-11-21T00:00:00Z"));
            if filter.text.is_none() && filter.entity_key.is_none() && whole_days {
                self.compare_figures(&filter, &fitting);
            }
        }
    }

    fn compare_list(&self, filter: &Filter, order: Order, mut fitting: Vec<&Seen>) {
        fitting.sort_by(|left, right| {
            let currency = |seen: &Seen| (seen.currency.is_empty(), seen.currency.clone());
            let by_money = right.amount.cmp(&left.amount);
            let by_time = right.since.cmp(&left.since);
            let ordered = match order {
                Order::Time => by_time.then(by_money),
                Order::Money => currency(left)
                    .cmp(&currency(right))
                    .then(by_money)
                    .then(by_time),
            };
            ordered.then(right.arrived.cmp(&left.arrived))
        });
        let wanted: Vec<&str> = fitting.iter().map(|seen| seen.text("finding_id")).collect();
        for limit in [1, 3, 500] {
            let rows = self.desk.list(filter, order, limit);
            let found: Vec<&str> = rows
                .iter()
                .map(|row| row.finding.finding_id.0.as_str())
                .collect();
            assert_eq!(found, wanted, "{filter:?} {order:?} {limit}");
        }
    }

    fn compare_figures(&self, filter: &Filter, fitting: &[&Seen]) {
        let one = |name: &str| vec![name.to_owned()];
        type Names<'a> = &'a dyn Fn(&Seen) -> Vec<String>;
        let ways: [(By, Names); 9] = [
            (By::All, &|_| one("all")),
            (By::Currency, &|seen| one(&seen.currency)),
            (By::Severity, &|seen| one(seen.severity().as_str())),
            (By::Rule, &|seen| one(seen.text("rule"))),
            (By::Owner, &|seen| one(&seen.owner)),
            (By::Verdict, &|seen| one(seen.text("verdict"))),
            (By::Handling, &|seen| one(seen.handling.as_str())),
            (By::Day, &|seen| one(&seen.since[..10])),
            (By::System, &|seen| {
                systems()
                    .get(seen.text("rule"))
                    .cloned()
                    .unwrap_or_else(|| one(""))
            }),
        ];
        for (by, names) in ways {
            let mut wanted: BTreeMap<String, (u64, u64, BTreeMap<String, i128>)> = BTreeMap::new();
            for seen in fitting {
                for name in names(seen) {
                    let figure = wanted.entry(name).or_default();
                    figure.0 += 1;
                    match (seen.amount, seen.currency.as_str()) {
                        (None, _) => {}
                        (Some(_), "") => figure.1 += 1,
                        (Some(amount), code) => {
                            *figure.2.entry(code.to_owned()).or_default() += amount
                        }
                    }
                }
            }
            let figures = self.desk.store.figures(filter, by).unwrap();
            let found: BTreeMap<String, (u64, u64, BTreeMap<String, i128>)> = figures
                .into_iter()
                .map(|figure| {
                    let at_risk = figure
                        .at_risk
                        .into_iter()
                        .map(|(code, sum)| (code, hundredths(&sum)));
                    (
                        figure.name,
                        (figure.findings, figure.unsummed, at_risk.collect()),
                    )
                })
                .collect();
            assert_eq!(found, wanted, "{filter:?} {by:?}");
        }
    }
}

fn hundredths(sum: &str) -> i128 {
    let (whole, fraction) = sum.split_once('.').unwrap_or((sum, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap()
}

fn systems() -> BTreeMap<String, Vec<String>> {
    let of = |rule: &str, systems: &[&str]| {
        (
            rule.to_owned(),
            systems.iter().map(|name| (*name).to_owned()).collect(),
        )
    };
    BTreeMap::from([
        of(RULES[0], &["payment", "settlement"]),
        of(RULES[1], &["payment"]),
    ])
}

fn message(
    rule: usize,
    order: usize,
    sequence: u64,
    verdict: &str,
    (amount, currency): (usize, usize),
    day: u32,
    occurrence: u64,
) -> Value {
    let severities = ["critical", "error", "warn"];
    let change = json!({
        "occurrence": occurrence,
        "severity": severities[rule],
        "owner": if sequence > 4 { "new-owner" } else { "owner" },
        "amount": AMOUNTS[amount],
        "currency": AMOUNTS[amount].and(CURRENCIES[currency]),
        "anchor": format!("2026-11-2{day}T1{order}:00:00Z"),
    });
    told(RULES[rule], ORDERS[order], sequence, verdict, change)
}

fn filters() -> Vec<Filter> {
    let none = Filter::default;
    vec![
        none(),
        Filter {
            open: Some(true),
            ..none()
        },
        Filter {
            open: Some(false),
            worse: Some(false),
            ..none()
        },
        Filter {
            worse: Some(true),
            ..none()
        },
        Filter {
            verdicts: vec![Verdict::Confirmed, Verdict::Undetermined],
            ..none()
        },
        Filter {
            handlings: vec![Handling::New],
            severities: vec![Severity::Critical, Severity::Warn],
            ..none()
        },
        Filter {
            rules: vec![RULES[0].into(), "none".into()],
            open: Some(true),
            ..none()
        },
        Filter {
            systems: vec!["settlement".into()],
            ..none()
        },
        Filter {
            owners: vec!["Zhang".into(), "new-owner".into()],
            ..none()
        },
        Filter {
            currencies: vec!["CNY".into()],
            open: Some(true),
            ..none()
        },
        Filter {
            currencies: vec![String::new()],
            ..none()
        },
        Filter {
            entity_key: Some("E1".into()),
            ..none()
        },
        Filter {
            entity_key: Some("E1".into()),
            open: Some(true),
            text: Some("E1".into()),
            ..none()
        },
        Filter {
            text: Some("E1".into()),
            ..none()
        },
        Filter {
            from: Some(at("2026-11-21T00:00:00Z")),
            ..none()
        },
        Filter {
            from: Some(at("2026-11-21T00:00:00Z")),
            until: Some(at("2026-11-23T00:00:00Z")),
            ..none()
        },
        Filter {
            from: Some(at("2026-11-21T11:00:00Z")),
            until: Some(at("2026-11-22T12:00:00Z")),
            ..none()
        },
        Filter {
            until: Some(at("2026-11-22T00:00:00Z")),
            open: Some(true),
            ..none()
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_store_says_what_the_model_says(steps in proptest::collection::vec(step(), 1..70)) {
        let mut beside = Beside::new();
        for step in &steps {
            beside.go(step);
        }
        beside.compare();
        // And once everything was taken in.
        beside.cut = 0;
        beside.put();
        beside.follow(u64::MAX);
        beside.desk.restart();
        beside.compare();
    }
}
