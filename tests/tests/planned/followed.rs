//! A file of plans that is followed: its end says that everything announced so far was read.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use centinel_batch::Limits;
use centinel_engine::detect::{Detector, DetectorLimits, RunOptions, Surroundings, Until, run};
use centinel_model::{Duration, Finding, Timestamp};
use centinel_outlet::{LineFile, Message};
use centinel_state::{FileStore, Store};
use centinel_tests::{History, all_rules, log_file, plan_file, write_log};
use data_fixtures::{Change, SECOND};
use serde_json::Value;

use crate::support::{
    PLANS, Plan, TIME, Told, by_hand, catalog, is_about, manual, planned, platform,
};

/// What passes of the wall clock with each look at it.
const STEP: i64 = SECOND;
/// How long a source may be silent.
const SILENT: Duration = Duration::seconds(300);
/// The guard's window: so long a change waits at least.
const WINDOW: i64 = 120 * SECOND;

/// Something that happens to the file of plans at a moment of the wall clock.
type Happening<'a> = (i64, &'a (dyn Fn(&Path) + Sync));

/// What was told, each with the wall clock of that time.
#[derive(Default)]
struct Heard {
    messages: Vec<(i64, Value)>,
}

impl Heard {
    /// What was told about changes of settlements, verdicts other than confirmed with them.
    fn told(&self) -> Told {
        let about = self.about();
        about
            .map(|(_, finding)| {
                let key = finding.key[1].1.clone();
                match finding.verdict {
                    centinel_model::Verdict::Confirmed => (finding.rule, key),
                    other => (finding.rule, format!("{key}: {other:?}")),
                }
            })
            .collect()
    }

    fn about(&self) -> impl Iterator<Item = (i64, Finding)> + '_ {
        let findings = self.messages.iter().filter_map(|(at, value)| {
            let finding = serde_json::from_value::<Finding>(value.clone()).ok()?;
            Some((*at, finding))
        });
        findings.filter(|(_, finding)| is_about(finding))
    }

    /// What was told of the source of plans.
    fn of_source(&self) -> Vec<&str> {
        let messages = self.messages.iter().map(|(_, value)| value);
        let own = messages
            .filter(|value| value["schema"] == "centinel/source/1" && value["source"] == PLANS);
        own.filter_map(|value| value["state"].as_str()).collect()
    }
}

/// Follows the platform's whole log, which is there from the beginning, and a file of plans to which things happen as
/// the wall clock goes on from `from` to `to`.
fn follow(history: &History, from: i64, to: i64, happenings: &[Happening<'_>]) -> Heard {
    let own = tempfile::tempdir().unwrap();
    let (log, plans) = (own.path().join("log.jsonl"), own.path().join("plans.jsonl"));
    write_log(&log, &history.records);
    let catalog = catalog(own.path());
    let store = FileStore::open(&own.path().join("state"), 16 << 20).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let rules = all_rules(&catalog);
    let limits = DetectorLimits::default();
    let mut detector = Detector::new(catalog, &rules, store, limits).unwrap();
    let options = RunOptions {
        inputs: vec![log_file(&log), plan_file(&plans, PLANS)],
        until: Until::Stopped,
        limits: Limits {
            max_rows: 50,
            ..Limits::default()
        },
        silent_after: SILENT,
        archive: None,
        bootstrap: None,
        quiet_after: None,
        backlog: Default::default(),
    };
    // Whoever sees a time sees what happened before it.
    let clock = Mutex::new((from, 0));
    let stop = AtomicBool::new(false);
    let now = || {
        let mut clock = clock.lock().unwrap();
        clock.0 += STEP;
        while let Some((_, happen)) = happenings.get(clock.1).filter(|(at, _)| *at <= clock.0) {
            happen(&plans);
            clock.1 += 1;
        }
        if clock.0 > to {
            stop.store(true, Ordering::Relaxed);
        }
        Timestamp(clock.0)
    };
    let mut heard = Heard::default();
    let mut observe = |_: &Detector, messages: &[Message]| {
        let at = clock.lock().unwrap().0;
        for (_, message) in messages {
            let value = serde_json::from_slice(message).unwrap();
            heard.messages.push((at, value));
        }
    };
    let mut outlet = LineFile::open(&own.path().join("findings.jsonl")).unwrap();
    let surroundings = Surroundings {
        now: &now,
        stop: &|| stop.load(Ordering::Relaxed),
        observe: &mut observe,
        at_step: &|_| {},
    };
    run(&mut detector, &mut outlet, &options, surroundings).unwrap();
    assert_eq!(clock.lock().unwrap().1, happenings.len());
    heard
}

fn append(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// A platform with one change by hand, and the plan that explains it.
fn one() -> (History, Change, Plan) {
    let history = platform(1, 100, 1);
    let (change, row, after) = by_hand(&history)[0];
    let plan = Plan {
        row,
        sets: ",amount,",
        amount: after.amount,
        approved_at: change.committed_at - 100 * SECOND,
    };
    (history, change, plan)
}

/// The databases are read far ahead of the announcement: what is announced in time explains all the same.
#[test]
fn a_change_waits_until_all_that_was_announced_before_it_was_read() {
    let (history, change, plan) = one();
    let (from, to) = (
        plan.approved_at - 10 * SECOND,
        plan.approved_at + TIME + 300 * SECOND,
    );
    let empty: Happening = (from, &|path| std::fs::write(path, "").unwrap());
    // Whoever approves reads the snapshot again before it is announced.
    let exact = |path: &Path| append(path, &plan.line(0));
    let heard = follow(
        &history,
        from,
        to,
        &[empty, (plan.approved_at + 60 * SECOND, &exact)],
    );
    assert_eq!(heard.told(), Told::new());
    assert_eq!(heard.of_source(), [""; 0]);
    // Its end is told once, when all rules have had their patience.
    let is_end = |(_, value): &&(i64, Value)| value["schema"] == "centinel/plan/1";
    let ends: Vec<&(i64, Value)> = heard.messages.iter().filter(is_end).collect();
    let [(at, end)] = ends[..] else {
        panic!("{ends:?}")
    };
    let due = plan.approved_at + TIME;
    assert_eq!(
        (&end["plan"], &end["until"]),
        (&"plan".into(), &Timestamp(due).to_string().into())
    );
    assert!(*at > due + WINDOW, "{}", at - due);

    let other = Plan {
        amount: plan.amount + 1,
        ..plan
    };
    let wrong = |path: &Path| append(path, &other.line(0));
    let heard = follow(
        &history,
        from,
        to,
        &[empty, (plan.approved_at + 60 * SECOND, &wrong)],
    );
    assert_eq!(heard.told(), [manual(&change), planned(0)].into());

    let heard = follow(&history, from, to, &[empty]);
    assert_eq!(heard.told(), [manual(&change)].into());
    let (at, _) = heard.about().next().unwrap();
    let due = change.committed_at + WINDOW;
    assert!((due..due + 60 * SECOND).contains(&at), "{}", at - due);
}

/// A file that is not there, or that ends within a line, says nothing; that is told, and what depends on it waits.
#[test]
fn a_file_of_plans_that_is_missing_or_torn_is_told_as_behind() {
    let (history, change, plan) = one();
    let from = plan.approved_at - 10 * SECOND;
    let (mended, to) = (from + 800 * SECOND, from + 1_200 * SECOND);
    let whole = |path: &Path| append(path, &plan.line(0));
    let heard = follow(&history, from, to, &[(mended, &whole)]);
    assert_eq!(heard.told(), Told::new(), "missing");
    assert_eq!(heard.of_source(), ["behind", "moving"]);
    let behind = heard
        .messages
        .iter()
        .find(|(_, value)| value["state"] == "behind" && value["source"] == PLANS);
    let (_, behind) = behind.unwrap();
    assert!(
        behind["remedy"]
            .as_str()
            .unwrap()
            .contains("repair approve --announce"),
        "{behind}"
    );

    let half = plan.line(0).len() / 2;
    let torn = |path: &Path| append(path, &plan.line(0)[..half]);
    let rest = |path: &Path| append(path, &plan.line(0)[half..]);
    let heard = follow(&history, from, to, &[(from, &torn), (mended, &rest)]);
    assert_eq!(heard.told(), Told::new(), "torn");
    assert_eq!(heard.of_source(), ["behind", "moving"]);
    let counted = heard
        .messages
        .iter()
        .find(|(_, value)| value["state"] == "behind" && value["source"] == PLANS);
    assert!(counted.unwrap().1["undetermined"].as_u64() >= Some(1));

    // Nothing was announced in it.
    let empty = |path: &Path| std::fs::write(path, "").unwrap();
    let gone = |path: &Path| std::fs::remove_file(path).unwrap();
    let again: [Happening; 3] = [
        (from, &empty),
        (from + 50 * SECOND, &gone),
        (mended, &empty),
    ];
    let heard = follow(&history, from, to, &again);
    assert_eq!(heard.told(), [manual(&change)].into(), "gone for a while");
    assert_eq!(heard.of_source(), ["behind", "moving"]);
    let (at, _) = heard.about().next().unwrap();
    assert!(at >= mended, "{}", at - mended);
}
