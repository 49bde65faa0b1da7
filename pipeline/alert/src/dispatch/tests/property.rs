//! Whatever comes in whatever order, whatever channels answer, wherever it crashes: no channel gets more than it allows,
//! and each gets every finding that it takes, once but for redelivery.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Something becomes of one of the findings, as far as it can.
    Found { id: u8, what: u8, amount: u16 },
    /// Time goes on, by milliseconds.
    Pass(u32),
    /// Channels are sent to; each answer is drawn from here.
    Send([u8; 4]),
    /// The process ends without a word, and the next one begins with the state that was stored last.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..40_u8, 0..6_u8, 1..5_000_u16).prop_map(|(id, what, amount)| Step::Found { id, what, amount }),
        3 => (0..40_000_u32).prop_map(Step::Pass),
        4 => any::<[u8; 4]>().prop_map(Step::Send),
        1 => Just(Step::Crash),
    ];
    vec(step, 1..120)
}

/// What the test itself knows of a finding.
#[derive(Clone, Copy, Default)]
struct Known {
    /// 0 nothing, 1 confirmed, 2 undetermined.
    open: u8,
    sequence: u64,
    amount: i64,
}

/// By channel and kind: how many, and the money in hundredths.
type Counts = BTreeMap<(&'static str, &'static str), (u64, i64)>;

/// Whether a channel takes the findings of this number.
type Takes = fn(u8) -> bool;

/// The channels: who takes which findings by number, whether it keeps causes, and its limits.
const CHANNELS: [(&str, Takes); 3] = [
    ("all", |_| true),
    ("keeper", |id| id.is_multiple_of(2)),
    ("odd", |id| !id.is_multiple_of(2)),
];

fn world() -> Rules {
    let of = |owners: &[&str], limits: Vec<Limit>, refresh| ChannelRules {
        owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
        limits,
        refresh,
        again: Duration::seconds(60),
        ..channel()
    };
    rules([
        ("all", of(&[], vec![limit(4, 60), limit(1, 2)], None)),
        (
            "keeper",
            of(&["even"], vec![limit(6, 60)], Some(Duration::seconds(50))),
        ),
        ("odd", of(&["odd"], vec![limit(2, 45)], None)),
    ])
}

/// The next message of this finding, and what each channel is to be told by it.
fn made(id: u8, what: u8, amount: u16, known: &mut Known, wanted: &mut Counts) -> Option<Finding> {
    let (verdict, kind, family, open) = match (known.open, what) {
        (0 | 2, 0 | 1) => (Verdict::Confirmed, "confirmed", "confirmed", 1),
        (1, 0 | 1) => (Verdict::Confirmed, "confirmed", "confirmed", 1),
        (1, 2 | 3) => (Verdict::Recovered, "recovered", "confirmed", 0),
        (1, 4) => (Verdict::RuleChanged, "withdrawn", "confirmed", 0),
        (0, 5) => (Verdict::Undetermined, "undetermined", "undetermined", 2),
        (2, 2 | 3) => (Verdict::Cleared, "cleared", "undetermined", 0),
        _ => return None,
    };
    let ends = open == 0;
    let cents = if ends {
        known.amount
    } else {
        i64::from(amount)
    };
    let changed = known.open == 1 && open == 1;
    let difference = if changed { cents - known.amount } else { cents };
    for (channel, takes) in CHANNELS {
        if takes(id) {
            let kind = if channel == "keeper" { family } else { kind };
            let (count, money) = wanted.entry((channel, kind)).or_default();
            *count += 1;
            *money += difference;
        }
    }
    *known = Known {
        open,
        sequence: known.sequence + 1,
        amount: cents,
    };
    let (rule, merchant) = (format!("rule-{}", id % 4), format!("M{}", id % 7));
    let mut finding = finding(&rule, &format!("O{id}"), &merchant, known.sequence, verdict);
    finding.owner = if id.is_multiple_of(2) { "even" } else { "odd" }.into();
    finding.amount = Some(format!("{}.{:02}", cents / 100, cents % 100));
    if ends {
        finding.evidence = Evidence::default();
    }
    Some(finding)
}

/// One run.
struct World {
    alerts: Alerts,
    stored: Vec<u8>,
    log: Vec<Finding>,
    now: Timestamp,
    /// When each channel was sent something.
    sent: BTreeMap<String, Vec<Timestamp>>,
    /// Ids that were taken, with what they said.
    taken: BTreeMap<String, Message>,
    /// Ids whose outcome was lost by a crash: what they said may be said again.
    lost: BTreeSet<String>,
    /// Ids that were taken since the state was stored last.
    unstored: BTreeSet<String>,
}

impl World {
    /// Takes in all findings that were not, as one does who reads a log again.
    fn read(&mut self) {
        let consumed = usize::try_from(self.alerts.consumed("log")).unwrap();
        for (finding, number) in self.log[consumed..].iter().zip(consumed as u64 + 1..) {
            let place = Place {
                input: "log",
                number,
            };
            self.alerts
                .take(place, finding, &RuleNote::default(), self.now);
        }
    }

    /// Sends what is due as the loop around the core does: stored before it is sent.
    fn send(&mut self, mut answer: impl FnMut() -> u8) {
        for _ in 0..8 {
            let Some(message) = self.alerts.due(self.now) else {
                return;
            };
            self.stored = self.alerts.store().unwrap();
            self.unstored.clear();
            let times = self.sent.entry(message.channel.clone()).or_default();
            times.push(self.now);
            let outcome = match answer() % 8 {
                0 => later("503"),
                1 => Outcome::Later {
                    why: "429".into(),
                    after: Some(Duration::seconds(7)),
                },
                2 => Outcome::Refused { why: "400".into() },
                3 => {
                    // It is taken, and the process ends before it hears so.
                    self.lost.insert(message.id.clone());
                    self.taken.insert(message.id.clone(), message);
                    self.crash();
                    return;
                }
                _ => Outcome::Delivered,
            };
            if outcome == Outcome::Delivered {
                self.taken.insert(message.id.clone(), message.clone());
                self.unstored.insert(message.id.clone());
            }
            assert!(self.alerts.done(&message, &outcome, self.now));
        }
    }

    fn crash(&mut self) {
        self.lost.append(&mut self.unstored);
        self.alerts = Alerts::restore(world(), &self.stored).unwrap();
        self.read();
    }

    /// What was told, each id once.
    fn told(&self) -> Counts {
        let mut counts = Counts::new();
        let mut add = |channel: &str, kind: Kind, count: u64, money: &Money| {
            let channel = CHANNELS
                .iter()
                .find(|(name, _)| *name == channel)
                .unwrap()
                .0;
            let (all, cents) = counts.entry((channel, kind.as_str())).or_default();
            *all += count;
            for (currency, sum) in money.sums() {
                assert_eq!((currency, sum.scale), ("CNY", 2));
                *cents += i64::try_from(sum.units).unwrap();
            }
        };
        for message in self.taken.values() {
            let name = message.channel.as_str();
            match &message.body {
                Body::Alert(one) => add(name, one.kind, one.count + one.changed, &one.money),
                Body::Digest(digest) => {
                    for line in &digest.lines {
                        add(name, line.kind, line.count + line.changed, &line.money);
                    }
                }
                Body::Standing(standing) => {
                    let new = standing.alerts.iter();
                    for one in new.filter(|one| one.count + one.changed > 0) {
                        add(name, one.kind, one.count + one.changed, &one.money);
                    }
                }
            }
        }
        counts
    }
}

fn play(steps: &[Step]) {
    let alerts = Alerts::new(world(), "i");
    let stored = alerts.store().unwrap();
    let mut world_ = World {
        alerts,
        stored,
        log: Vec::new(),
        now: at(0),
        sent: BTreeMap::new(),
        taken: BTreeMap::new(),
        lost: BTreeSet::new(),
        unstored: BTreeSet::new(),
    };
    let (mut known, mut wanted) = (BTreeMap::<u8, Known>::new(), Counts::new());
    for step in steps {
        match *step {
            Step::Found { id, what, amount } => {
                let known = known.entry(id).or_default();
                world_
                    .log
                    .extend(made(id, what, amount, known, &mut wanted));
                world_.read();
            }
            Step::Pass(millis) => world_.now = world_.now.plus(Duration(i64::from(millis) * 1_000)),
            Step::Send(answers) => {
                let mut answers = answers.iter().cycle();
                world_.send(|| *answers.next().unwrap());
            }
            Step::Crash => world_.crash(),
        }
    }
    // Then all channels work.
    let end = world_.now.plus(Duration::seconds(7_200));
    while world_.now < end {
        world_.send(|| 7);
        world_.now = world_.now.plus(Duration::seconds(1));
    }
    for (name, rules) in &world().channels {
        let sent = world_.sent.get(name).cloned().unwrap_or_default();
        for limit in &rules.limits {
            for (first, from) in sent.iter().enumerate() {
                let within = sent[first..]
                    .iter()
                    .filter(|at| at.since(*from) < limit.per);
                assert!(
                    within.count() <= limit.messages as usize,
                    "{name}: {limit:?} at {from}"
                );
            }
        }
    }
    let told = world_.told();
    match world_.lost.is_empty() {
        true => assert_eq!(told, wanted),
        // What was taken without our knowing may be in a digest once more.
        false => {
            for (key, (count, _)) in &wanted {
                let (said, _) = told.get(key).copied().unwrap_or_default();
                assert!(said >= *count, "{key:?}: {said} of {count}");
            }
        }
    }
    let status = world_.alerts.status();
    assert!(status.channels.values().all(|channel| channel.pending == 0));
    let open = known.values().filter(|known| known.open > 0).count();
    assert_eq!(status.open, open as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_told_and_nothing_too_often(steps in steps()) {
        play(&steps);
    }
}
