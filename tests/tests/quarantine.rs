//! Records that could not be read are settled: afterwards everything is as if they had been read, or never been there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_batch::Limits;
use centinel_catalog::Catalog;
use centinel_engine::detect::{
    Detector, DetectorLimits, HoleMessage, Quarantine, QuarantineError, RunOptions, Settle,
    SettledTo, Surroundings, Until, quarantine, quarantined, run, settle_at_rest,
};
use centinel_model::{Duration, HoleReason, Timestamp, Verdict};
use centinel_outlet::{LineFile, Outlet};
use centinel_state::{FileStore, Store};
use centinel_tests::failing::FailingStore;
use centinel_tests::{
    Detected, Detection, Found, History, absolute, log_file, rules, schemas, seeds, write_log,
};
use data_fixtures::SimulationParameters;

/// Far enough that no simulated time lies in its future.
const NOW: Timestamp = Timestamp(1_900_000_000_000_000);

/// Numbers that look like none in particular.
struct Mixed(u64);

impl Mixed {
    fn of(seed: u64) -> Mixed {
        Mixed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn history(seed: u64) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders: 600,
        fault_share: 150,
        ..SimulationParameters::default()
    })
}

fn lines_of(history: &History) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let bytes = std::fs::read(&log).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
}

/// A folder with a log and the state of a detection over it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(lines: &[Vec<u8>]) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let mut bytes = lines.join(&b'\n');
        bytes.push(b'\n');
        std::fs::write(desk.log(), bytes).unwrap();
        desk
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("log.jsonl")
    }

    fn detect(&self, catalog: &Arc<Catalog>) -> Detected {
        Detection::over(&self.log(), self.0.path()).run(catalog, &rules(catalog))
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(FileStore::open(&self.0.path().join("state"), 16 << 20).unwrap())
    }

    fn holes(&self) -> Vec<HoleMessage> {
        quarantine(self.store().as_ref(), None, usize::MAX).unwrap()
    }

    /// Settles holes while nobody else has the state open.
    fn settle(
        &self,
        catalog: &Arc<Catalog>,
        to: SettledTo,
        numbers: &[u64],
    ) -> Result<Vec<HoleMessage>, QuarantineError> {
        settle_in(self.store(), catalog, to, numbers)
    }
}

fn settle_in(
    store: Arc<dyn Store>,
    catalog: &Arc<Catalog>,
    to: SettledTo,
    numbers: &[u64],
) -> Result<Vec<HoleMessage>, QuarantineError> {
    let limits = DetectorLimits::default();
    let mut detector = Detector::new(Arc::clone(catalog), &rules(catalog), store, limits)?;
    let settle = asked(to, numbers);
    settle_at_rest(&mut detector, &[], None, &settle, NOW)
}

fn asked(to: SettledTo, numbers: &[u64]) -> Settle {
    Settle {
        numbers: numbers.to_vec(),
        to,
        by: "ada".into(),
        reason: "the schema was mended".into(),
    }
}

/// The shipped schemas, and one more column in each.
fn mended() -> Arc<Catalog> {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(centinel_tests::folder("schemas")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace(
            "\ncolumns:\n",
            "\ncolumns:\n  surprise: { type: integer, nullable: true }\n",
        );
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let loaded = centinel_catalog::load(folder.path());
    Arc::new(loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
}

/// The kinds of mistake that lines are given.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    UnknownColumn,
    WrongType,
    Garbage,
}

/// The line with a mistake in it, where that can be.
fn broken(line: &[u8], mistake: Mistake) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).unwrap();
    if text.starts_with(r#"{"heartbeat""#) {
        return None;
    }
    let broken = match mistake {
        Mistake::UnknownColumn => format!(r#"{},"surprise":1}}}}"#, text.strip_suffix("}}")?),
        Mistake::WrongType => {
            let place = text.rfind(r#""status":""#)? + r#""status":"#.len();
            let end = place + 1 + text[place + 1..].find('"')?;
            format!("{}17{}", &text[..place], &text[end + 1..])
        }
        Mistake::Garbage => text[..text.len() / 2].to_owned(),
    };
    Some(broken.into_bytes())
}

/// Breaks some lines by some of these mistakes; gives their places, in order.
fn break_some(lines: &mut [Vec<u8>], seed: u64, count: usize, mistakes: &[Mistake]) -> Vec<usize> {
    let mut mixed = Mixed::of(seed);
    let mut places = BTreeSet::new();
    while places.len() < count {
        let place = mixed.below(lines.len());
        let mistake = mistakes[mixed.below(mistakes.len())];
        if !places.contains(&place)
            && let Some(line) = broken(&lines[place], mistake)
        {
            lines[place] = line;
            places.insert(place);
        }
    }
    places.into_iter().collect()
}

/// The numbers under which the lines at these places are in quarantine.
fn numbers_of(desk: &Desk, lines: &[Vec<u8>], places: &[usize]) -> Vec<u64> {
    let holes = desk.holes();
    let number = |place: &usize| {
        let begins: usize = lines[..*place].iter().map(|line| line.len() + 1).sum();
        let own = holes
            .iter()
            .find(|hole| hole.position.place().0 == begins as u64);
        own.expect("its hole").number
    };
    places.iter().map(number).collect()
}

fn without(lines: &[Vec<u8>], places: &[usize]) -> Vec<Vec<u8>> {
    let numbered = lines.iter().enumerate();
    let kept = numbered.filter(|(place, _)| !places.contains(place));
    kept.map(|(_, line)| line.clone()).collect()
}

/// What is open, and whether it is sure.
fn open(detected: &Detected) -> BTreeSet<(Found, bool)> {
    let found = detected.open.iter().map(|open| {
        let found = Found {
            rule: open.rule.clone(),
            key: open.key.clone(),
            amount: absolute(open.amount.as_deref().unwrap_or("0")),
        };
        (found, open.confirmed)
    });
    found.collect()
}

fn sure(detected: &Detected) -> BTreeSet<Found> {
    let open = open(detected).into_iter();
    open.filter_map(|(found, sure)| sure.then_some(found))
        .collect()
}

/// What was sure at some time: a record that ends a finding and cannot be read leaves what was found before it came.
fn ever_sure(detected: &Detected) -> BTreeSet<Found> {
    detected
        .told(Verdict::Confirmed)
        .iter()
        .map(Found::of)
        .collect()
}

/// Nothing is sure that was not so at some time while everything could be read.
fn assert_nothing_false(detected: &Detected, clean: &Detected, seed: u64) {
    let (found, right) = (sure(detected), ever_sure(clean));
    let wrong: Vec<&Found> = found.difference(&right).collect();
    assert!(wrong.is_empty(), "{seed}: false: {wrong:#?}");
}

fn settled_messages(detected: &Detected) -> Vec<u64> {
    let told = detected.messages.iter();
    let told = told.filter(|message| message["schema"] == "centinel/settled/1");
    told.map(|message| message["number"].as_u64().unwrap())
        .collect()
}

#[test]
fn records_that_are_read_again_are_as_if_they_had_been_read_at_once() {
    let (catalog, mended) = (schemas(), mended());
    for seed in seeds(100, 3) {
        let history = history(seed);
        let mut lines = lines_of(&history);
        let clean = Desk::new(&lines).detect(&catalog);
        assert_eq!(
            clean.certain(&rules(&catalog), history.end),
            history.truth(history.end)
        );
        let places = break_some(&mut lines, seed, 25, &[Mistake::UnknownColumn]);
        let desk = Desk::new(&lines);
        let detected = desk.detect(&catalog);
        assert_eq!(detected.holes, places.len() as u64);
        assert!(detected.told(Verdict::Undetermined).len() > 1, "{seed}");
        assert_nothing_false(&detected, &clean, seed);

        // Under the same schemas they still cannot be read, and nothing changes.
        let refused = desk
            .settle(&catalog, SettledTo::Redriven, &[1])
            .unwrap_err();
        assert!(
            refused.to_string().contains("still cannot be read"),
            "{refused}"
        );
        assert!(desk.holes().iter().all(|hole| hole.settled.is_none()));
        assert_eq!(open(&desk.detect(&catalog)), open(&detected));

        // In any order, some at once, with looks between.
        let mut numbers: Vec<u64> = (1..=places.len() as u64).collect();
        let mut mixed = Mixed::of(seed + 1);
        for place in (1..numbers.len()).rev() {
            numbers.swap(place, mixed.below(place + 1));
        }
        for part in numbers.chunks(4) {
            let settled = desk.settle(&mended, SettledTo::Redriven, part).unwrap();
            assert!(settled.iter().all(|hole| hole.settled.is_some()));
            if mixed.below(2) == 0 {
                assert_nothing_false(&desk.detect(&mended), &clean, seed);
            }
        }
        let detected = desk.detect(&mended);
        assert_eq!(open(&detected), open(&clean), "seed {seed}");
        let mut told = settled_messages(&detected);
        told.sort_unstable();
        assert_eq!(
            told,
            (1..=places.len() as u64).collect::<Vec<_>>(),
            "each once"
        );
        let again = desk.settle(&mended, SettledTo::Accepted, &[3]).unwrap_err();
        assert!(again.to_string().contains("re-driven by ada"), "{again}");
    }
}

#[test]
fn records_that_are_accepted_are_as_if_they_had_never_been() {
    let catalog = schemas();
    let all = [Mistake::UnknownColumn, Mistake::WrongType, Mistake::Garbage];
    for seed in seeds(200, 3) {
        let history = history(seed);
        let mut lines = lines_of(&history);
        let whole = Desk::new(&lines).detect(&catalog);
        let places = break_some(&mut lines, seed, 20, &all);
        let clean = Desk::new(&without(&lines, &places)).detect(&catalog);
        let desk = Desk::new(&lines);
        let detected = desk.detect(&catalog);
        assert_eq!(detected.holes, places.len() as u64);
        assert_nothing_false(&detected, &whole, seed);

        // Some of them: what the others may concern stays in doubt, and nothing else is found.
        let mut mixed = Mixed::of(seed);
        let gone = places.iter().copied().filter(|_| mixed.below(2) == 0);
        let gone: Vec<usize> = gone.collect();
        let numbers = numbers_of(&desk, &lines, &gone);
        desk.settle(&catalog, SettledTo::Accepted, &numbers)
            .unwrap();
        let partly = desk.detect(&catalog);
        let reference = Desk::new(&without(&lines, &gone)).detect(&catalog);
        assert!(sure(&partly).is_subset(&sure(&reference)), "seed {seed}");
        let found = |detected: &Detected| -> BTreeSet<Found> {
            open(detected).into_iter().map(|(found, _)| found).collect()
        };
        assert_eq!(found(&partly), found(&reference), "seed {seed}");

        let rest: Vec<u64> = (1..=places.len() as u64)
            .filter(|number| !numbers.contains(number))
            .collect();
        desk.settle(&catalog, SettledTo::Accepted, &rest).unwrap();
        let detected = desk.detect(&catalog);
        assert_eq!(open(&detected), open(&clean), "seed {seed}");
        assert_eq!(settled_messages(&detected).len(), places.len());
        for hole in desk.holes() {
            let settled = hole.settled.unwrap();
            assert_eq!(
                (settled.by.as_str(), settled.to),
                ("ada", SettledTo::Accepted)
            );
        }
    }
}

/// What failed half way is in no later commit: neither that a record is settled nor the numbers that it took.
#[test]
fn after_a_settlement_that_failed_nothing_of_it_is_durable() {
    let (catalog, mended) = (schemas(), mended());
    let history = history(600);
    let mut lines = lines_of(&history);
    let clean = Desk::new(&lines).detect(&catalog);
    let places = break_some(&mut lines, 600, 40, &[Mistake::UnknownColumn]);
    let desk = Desk::new(&lines);
    desk.detect(&catalog);
    for number in 1..=places.len() as u64 {
        let failing = FailingStore::over(desk.store());
        let limits = DetectorLimits::default();
        let store: Arc<dyn Store> = failing.clone();
        let mut detector =
            Detector::new(Arc::clone(&mended), &rules(&mended), store, limits).unwrap();
        let mut settle = |number| {
            let settle = asked(SettledTo::Redriven, &[number]);
            settle_at_rest(&mut detector, &[], None, &settle, NOW)
        };
        if number < places.len() as u64 {
            settle(number).unwrap_err();
            failing.works_again();
            let refused = settle(number + 1).unwrap_err();
            assert!(refused.to_string().contains("anew"), "{refused}");
            assert_eq!(settled_holes(failing.as_ref()), number - 1);
        }
        drop(detector);
        failing.works_again();
        settle_in(failing, &mended, SettledTo::Redriven, &[number]).unwrap();
    }
    assert_eq!(open(&desk.detect(&mended)), open(&clean));
}

fn settled_holes(store: &dyn Store) -> u64 {
    let holes = quarantine(store, None, 1_000).unwrap();
    holes.iter().filter(|hole| hole.settled.is_some()).count() as u64
}

#[test]
fn a_crash_settles_all_of_it_or_nothing() {
    let (catalog, mended) = (schemas(), mended());
    let history = history(300);
    let mut lines = lines_of(&history);
    let clean = Desk::new(&lines).detect(&catalog);
    let places = break_some(&mut lines, 300, 10, &[Mistake::UnknownColumn]);
    let desk = Desk::new(&lines);
    let doubted = desk.detect(&catalog);
    let numbers: Vec<u64> = (1..=places.len() as u64).collect();
    let failing = FailingStore::over(desk.store());
    let refused = settle_in(failing, &mended, SettledTo::Redriven, &numbers).unwrap_err();
    assert!(refused.to_string().contains("killed"), "{refused}");
    assert!(desk.holes().iter().all(|hole| hole.settled.is_none()));
    let detected = desk.detect(&catalog);
    assert_eq!(open(&detected), open(&doubted));
    assert!(settled_messages(&detected).is_empty());
    desk.settle(&mended, SettledTo::Redriven, &numbers).unwrap();
    // Nothing is told before detection runs, and then once.
    for _ in 0..2 {
        let detected = desk.detect(&mended);
        assert_eq!(settled_messages(&detected), numbers);
        assert_eq!(open(&detected), open(&clean));
    }
}

#[test]
fn what_cannot_be_settled_is_refused_and_changes_nothing() {
    let catalog = schemas();
    let history = history(400);
    let mut lines = lines_of(&history);
    break_some(&mut lines, 400, 3, &[Mistake::Garbage]);
    let mut long = br#"{"table":"payment","op":"insert","note":""#.to_vec();
    long.resize(2 << 20, b'x');
    lines.insert(10, long);
    let desk = Desk::new(&lines);
    let before = desk.detect(&catalog);
    let long = desk
        .holes()
        .iter()
        .find(|hole| hole.bytes_total > 1 << 20)
        .unwrap()
        .number;
    let other = if long == 1 { 2 } else { 1 };
    let accepted = SettledTo::Accepted;
    let mut nameless = asked(accepted, &[1]);
    nameless.by = " ".into();
    let mut unreasoned = asked(accepted, &[1]);
    unreasoned.reason = String::new();
    let mut steering = asked(accepted, &[1]);
    steering.by = "a\u{1b}[2J".into();
    for (asked, why) in [
        (asked(accepted, &[]), "at least one"),
        (asked(accepted, &[1, 1]), "each once"),
        (asked(accepted, &[99]), "no record 99"),
        (asked(accepted, &[0]), "no record 0"),
        (
            asked(accepted, &(1..1_002).collect::<Vec<_>>()),
            "more than 1,000",
        ),
        (nameless, "who settles it"),
        (steering, "who settles it"),
        (unreasoned, "say why"),
        (asked(SettledTo::Redriven, &[long]), "bytes were kept"),
        (asked(SettledTo::Redriven, &[other]), "still cannot be read"),
        // All or none.
        (asked(accepted, &[1, 2, 99]), "no record 99"),
    ] {
        let store = desk.store();
        let limits = DetectorLimits::default();
        let mut detector =
            Detector::new(Arc::clone(&catalog), &rules(&catalog), store, limits).unwrap();
        let refused = settle_at_rest(&mut detector, &[], None, &asked, NOW).unwrap_err();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
        assert_eq!(detector.waiting_holes(), 4);
    }
    assert!(desk.holes().iter().all(|hole| hole.settled.is_none()));
    assert_eq!(open(&desk.detect(&catalog)), open(&before));
    let (hole, bytes) = quarantined(desk.store().as_ref(), long).unwrap();
    assert_eq!((hole.bytes_total, bytes.len()), (2 << 20, 1 << 20));
    // What stands for no record can only be accepted.
    assert_ne!(hole.reason, HoleReason::Gap);
    let numbers: Vec<u64> = desk.holes().iter().map(|hole| hole.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1], "the newest first");
    let below = quarantine(desk.store().as_ref(), Some(3), 1).unwrap();
    assert_eq!(below[0].number, 2);
}

/// While detection follows its log, somebody else settles what it could not read.
#[test]
fn while_detection_runs_the_answer_comes_after_the_commit() {
    let (catalog, mended) = (schemas(), mended());
    let history = history(500);
    let mut lines = lines_of(&history);
    let clean = Desk::new(&lines).detect(&catalog);
    let places = break_some(&mut lines, 500, 12, &[Mistake::UnknownColumn]);
    let desk = Desk::new(&lines);
    let doubted = desk.detect(&catalog);
    assert_ne!(open(&doubted), open(&clean));
    let way = Quarantine::default();
    let idle = way
        .settle(&asked(SettledTo::Accepted, &[1]), NOW)
        .unwrap_err();
    assert!(matches!(idle, QuarantineError::Unavailable(_)), "{idle}");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| follow(desk.0.path(), &desk.log(), &mended, &way, &stop));
        let listed = loop {
            match way.list(None, 100) {
                Ok(listed) => break listed,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        };
        assert_eq!(listed.len(), places.len());
        let (first, rest): (Vec<u64>, Vec<u64>) =
            (1..=places.len() as u64).partition(|number| number % 2 == 0);
        // By several people at once.
        std::thread::scope(|people| {
            for number in first {
                let way = &way;
                people.spawn(move || {
                    let settled = way.settle(&asked(SettledTo::Redriven, &[number]), NOW);
                    let settled = settled.unwrap();
                    assert_eq!(settled[0].settled.as_ref().unwrap().by, "ada");
                });
            }
        });
        let settled = way.settle(&asked(SettledTo::Redriven, &rest), NOW).unwrap();
        assert_eq!(settled.len(), rest.len());
        let told = std::fs::read_to_string(desk.0.path().join("findings.jsonl")).unwrap();
        assert_eq!(told.matches("centinel/settled/1").count(), places.len());
        let again = way
            .settle(&asked(SettledTo::Accepted, &[1]), NOW)
            .unwrap_err();
        assert!(matches!(again, QuarantineError::Refused(_)), "{again}");
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap();
    });
    assert!(way.list(None, 1).is_err(), "it does not run any more");
    assert_eq!(open(&desk.detect(&mended)), open(&clean));
}

fn follow(folder: &Path, log: &Path, catalog: &Arc<Catalog>, way: &Quarantine, stop: &AtomicBool) {
    let store: Arc<dyn Store> = Arc::new(FileStore::open(&folder.join("state"), 16 << 20).unwrap());
    let limits = DetectorLimits::default();
    let mut detector = Detector::new(Arc::clone(catalog), &rules(catalog), store, limits).unwrap();
    detector.answer(way);
    let mut outlet = LineFile::open(&folder.join("findings.jsonl")).unwrap();
    let options = RunOptions {
        inputs: vec![log_file(log)],
        until: Until::Stopped,
        limits: Limits::default(),
        silent_after: Duration::seconds(600),
        archive: None,
        bootstrap: None,
        quiet_after: None,
        backlog: Default::default(),
    };
    let surroundings = Surroundings {
        now: &|| NOW,
        stop: &|| stop.load(Ordering::Relaxed),
        observe: &mut |_, _| {},
        at_step: &|_| {},
    };
    run(
        &mut detector,
        &mut outlet as &mut dyn Outlet,
        &options,
        surroundings,
    )
    .unwrap();
}
