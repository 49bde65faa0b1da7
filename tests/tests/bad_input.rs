//! Lines that cannot be read are set aside, counted and shown; they stop nothing, and nothing false comes of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use centinel_engine::detect::{HoleMessage, read_hole};
use centinel_model::{HoleReason, Verdict};
use centinel_state::{FileStore, Store};
use centinel_tests::{Detected, Detection, History, rules, schemas, write_log};
use data_fixtures::{SimulationParameters, Source};

/// Detects over a log of these lines; also every hole as state keeps it.
fn detect(lines: &[Vec<u8>]) -> (Detected, Vec<(HoleMessage, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let mut bytes = lines.join(&b'\n');
    bytes.push(b'\n');
    std::fs::write(&log, bytes).unwrap();
    let catalog = schemas();
    let detected = Detection::over(&log, folder.path()).run(&catalog, &rules(&catalog));
    let store = FileStore::open(&folder.path().join("state"), 1 << 20).unwrap();
    let holes = store.holes(0, 1_000).unwrap();
    let read = |(_, bytes): &(u64, Vec<u8>)| {
        let (message, record) = read_hole(bytes).unwrap();
        (message, record.to_vec())
    };
    (detected, holes.iter().map(read).collect())
}

fn lines_of(history: &History) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let bytes = std::fs::read(&log).unwrap();
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn history(seed: u64, fault_share: u32) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders: 1_500,
        fault_share,
        ..SimulationParameters::default()
    })
}

/// A line of every kind of mistake; none belongs to a table that a rule reads by a key that could be read.
fn bad_lines() -> Vec<(HoleReason, Vec<u8>)> {
    let text = |reason, text: &str| (reason, text.as_bytes().to_vec());
    let mut long = br#"{"table":"payment","op":"insert","note":""#.to_vec();
    long.resize(50 << 20, b'x');
    vec![
        text(
            HoleReason::Malformed,
            r#"{"table":"payment","op":"insert","epoch":1,"sequ"#,
        ),
        text(HoleReason::Malformed, "complete nonsense"),
        text(
            HoleReason::UnknownTable,
            r#"{"table":"no_such_table","op":"insert","epoch":1,"sequence":1,"ordinal":0,"last":true,"committed_at":"2026-11-22T08:00:00Z","after":{}}"#,
        ),
        text(HoleReason::UnknownForm, r#"{"hello":"world"}"#),
        (
            HoleReason::InvalidUtf8,
            b"{\"table\":\"payment\",\"op\":\"\xff\xfe\"}".to_vec(),
        ),
        (HoleReason::TooLong, long),
    ]
}

#[test]
fn each_bad_line_is_kept_with_its_bytes_and_stops_nothing() {
    let history = history(1, 200);
    let mut lines = lines_of(&history);
    let (clean, none) = detect(&lines);
    assert!(none.is_empty() && clean.holes == 0);
    let bad = bad_lines();
    // At the end, where everything else has come to rest.
    let place = lines.len() - 1;
    for (_, line) in bad.iter().rev() {
        lines.insert(place, line.clone());
    }
    let (detected, holes) = detect(&lines);
    assert_eq!(detected.holes, bad.len() as u64);
    assert_eq!(holes.len(), bad.len());
    for ((reason, line), (message, bytes)) in bad.iter().zip(&holes) {
        assert_eq!(message.reason, *reason, "{message:?}");
        assert_eq!(
            message.bytes_total,
            line.len() as u64 + u64::from(*reason == HoleReason::TooLong)
        );
        assert_eq!(bytes[..], line[..bytes.len()]);
        assert!(bytes.len() == line.len() || bytes.len() == 1 << 20);
    }
    let told = detected
        .messages
        .iter()
        .filter(|message| message["schema"] == "centinel/hole/1");
    assert_eq!(told.count(), bad.len());
    let rules = rules(&schemas());
    assert_eq!(
        detected.certain(&rules, history.end),
        history.truth(history.end)
    );
}

/// One value of one row is spoilt; its order can still be read.
#[test]
fn a_row_that_cannot_be_read_makes_its_order_undetermined_and_no_other() {
    let history = history(2, 0);
    for (spoilt, replacement) in [
        (r#""status":"SETTLED""#, r#""status":17"#),
        (
            r#""status":"SETTLED""#,
            r#""status":"SETTLED","surprise":1"#,
        ),
    ] {
        let mut lines = lines_of(&history);
        let begins = |line: &[u8]| {
            String::from_utf8_lossy(line).starts_with(r#"{"table":"settlement","op":"update""#)
        };
        let place = lines.iter().position(|line| begins(line)).unwrap();
        let line = String::from_utf8(lines[place].clone()).unwrap();
        assert!(line.contains(spoilt));
        let order = line
            .split(r#""order_no":""#)
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        lines[place] = line.replace(spoilt, replacement).into_bytes();
        let (detected, holes) = detect(&lines);
        assert_eq!(holes.len(), 1, "{holes:?}");
        assert!(
            holes[0]
                .0
                .entities
                .contains(&("order".into(), order.clone()))
        );
        assert!(
            detected.told(Verdict::Confirmed).is_empty(),
            "{:#?}",
            detected.told(Verdict::Confirmed)[0]
        );
        let undetermined = detected.told(Verdict::Undetermined);
        assert!(
            !undetermined.is_empty(),
            "a settlement that was never seen settled is no clean order"
        );
        for finding in undetermined {
            assert!(
                finding.entity_key == order || finding.entity == "cash_out",
                "{finding:#?}"
            );
        }
    }
}

/// Half of a line is lost: nobody knows whose it was, so what it could explain is not confirmed.
#[test]
fn a_torn_line_makes_what_it_could_explain_undetermined() {
    let history = history(3, 0);
    let mut lines = lines_of(&history);
    let begins = |line: &[u8]| {
        String::from_utf8_lossy(line).starts_with(r#"{"table":"settlement","op":"update""#)
    };
    let place = lines.len() / 2
        + lines[lines.len() / 2..]
            .iter()
            .position(|line| begins(line))
            .unwrap();
    let half = lines[place].len() / 2;
    lines[place].truncate(half);
    let (detected, holes) = detect(&lines);
    assert_eq!((holes.len(), holes[0].0.reason), (1, HoleReason::Malformed));
    assert!(
        detected.told(Verdict::Confirmed).is_empty(),
        "{:#?}",
        detected.told(Verdict::Confirmed)[0]
    );
    assert!(!detected.told(Verdict::Undetermined).is_empty());
}

/// Before any source has said how far it stands.
#[test]
fn a_line_torn_at_the_very_beginning_is_doubted_from_the_beginning() {
    let history = history(5, 0);
    let mut lines = lines_of(&history);
    let begins = |line: &[u8]| {
        String::from_utf8_lossy(line).starts_with(r#"{"table":"payment","op":"update""#)
    };
    let place = lines.iter().position(|line| begins(line)).unwrap();
    lines[place].truncate(60);
    // Only the last word of each source is left.
    let last = lines.split_off(lines.len() - Source::ALL.len());
    lines.retain(|line| !line.starts_with(b"{\"heartbeat\""));
    lines.extend(last);
    let (detected, holes) = detect(&lines);
    assert_eq!(holes.len(), 1);
    assert!(
        detected.told(Verdict::Confirmed).is_empty(),
        "{:#?}",
        detected.told(Verdict::Confirmed)
    );
    assert!(!detected.told(Verdict::Undetermined).is_empty());
}

/// Some keys of a row can be read and others not: those that cannot are doubted by their time.
#[test]
fn a_row_with_one_readable_key_is_doubted_for_the_others() {
    let history = history(6, 0);
    let mut lines = lines_of(&history);
    let begins = |line: &[u8]| {
        String::from_utf8_lossy(line).starts_with(r#"{"table":"settlement","op":"update""#)
    };
    let half = lines.len() / 2;
    let place = half + lines[half..].iter().position(|line| begins(line)).unwrap();
    let line = String::from_utf8(lines[place].clone()).unwrap();
    let order = line
        .split(r#""order_no":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    lines[place] = line
        .replace(&format!(r#""order_no":"{order}""#), r#""order_no":5"#)
        .into_bytes();
    let (detected, holes) = detect(&lines);
    assert_eq!(holes.len(), 1);
    assert!(
        detected.told(Verdict::Confirmed).is_empty(),
        "{:#?}",
        detected.told(Verdict::Confirmed)
    );
    assert!(
        detected
            .told(Verdict::Undetermined)
            .iter()
            .any(|finding| finding.entity_key == *order)
    );
}

/// A source that numbers anew without a new epoch: which content is true nobody can say.
#[test]
fn a_version_that_comes_again_with_other_content_is_told() {
    let history = history(7, 0);
    let mut lines = lines_of(&history);
    let begins = |line: &[u8]| {
        String::from_utf8_lossy(line).starts_with(r#"{"table":"refund","op":"insert""#)
    };
    let place = lines.iter().position(|line| begins(line)).unwrap();
    let line = String::from_utf8(lines[place].clone()).unwrap();
    let amount = line
        .split(r#""amount":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let other = line.replace(&format!(r#""amount":"{amount}""#), r#""amount":"77777.77""#);
    assert_ne!(other, line);
    for (first, second) in [(&line, &other), (&other, &line)] {
        lines[place] = first.clone().into_bytes();
        let mut twice = lines.clone();
        twice.insert(place + 1, second.clone().into_bytes());
        let (detected, holes) = detect(&twice);
        assert_eq!(holes.len(), 1, "{holes:?}");
        assert_eq!(holes[0].0.reason, HoleReason::Contradiction);
        assert!(
            detected.told(Verdict::Confirmed).is_empty(),
            "{:#?}",
            detected.told(Verdict::Confirmed)
        );
    }
}

/// Findings go to an empty file or to the one that this state wrote.
#[test]
fn a_file_that_this_state_did_not_write_is_left_alone() {
    let history = history(8, 200);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let detection = Detection::over(&log, folder.path());
    std::fs::write(detection.findings(), "precious\n").unwrap();
    let catalog = schemas();
    let refused = detection
        .try_run(&catalog, &rules(&catalog), &|_| {})
        .err()
        .unwrap();
    assert!(
        refused
            .to_string()
            .contains("was not written from this state"),
        "{refused}"
    );
    assert_eq!(
        std::fs::read_to_string(detection.findings()).unwrap(),
        "precious\n"
    );
}

#[test]
fn a_newer_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(FileStore::open(folder.path(), 1 << 20).unwrap());
    let newer = centinel_state::Commit {
        facts: vec![("form".into(), b"999".to_vec())],
        ..Default::default()
    };
    store.commit(&newer).unwrap();
    drop(store);
    let refused = FileStore::open(folder.path(), 1 << 20).err().unwrap();
    assert!(refused.to_string().contains("form 999"), "{refused}");
}
