//! Detection's file, taken in by position: nothing lost, nothing twice.

use centinel_findings::{
    By, Filter, FindingsError, LineKind, Store, Stretch, follow, read_stretch,
};
use serde_json::{Value, json};

use crate::support::{Desk, money, now, told};

fn hole(number: u64, message: &str) -> Value {
    json!({ "schema": "centinel/hole/1", "number": number, "input": "log", "message": message })
}

fn source(state: &str) -> Value {
    json!({ "schema": "centinel/source/1", "source": "refund-db", "state": state, "undetermined": 3 })
}

#[test]
fn each_line_is_taken_in_once_whatever_it_is() {
    let mut desk = Desk::new();
    let note =
        json!({ "schema": "centinel/note/1", "table": "refund", "message": "a column more" });
    let caught = desk.tell(&[
        told("r", "E1", 1, "confirmed", money("5", "CNY")),
        hole(1, "not JSON"),
        note.clone(),
        source("behind"),
        source("moving"),
        source("behind"),
    ]);
    assert_eq!(
        (caught.taken.lines, caught.taken.told, caught.taken.findings),
        (6, 1, 1)
    );
    assert_eq!(
        (
            caught.taken.repeated,
            caught.taken.unread,
            caught.unfinished
        ),
        (0, 0, 0)
    );
    // Nothing new: nothing is taken in.
    assert_eq!(desk.follow().taken.lines, 0);
    desk.restart();
    assert_eq!(desk.follow().taken.lines, 0);
    // The same messages once more, and what follows them.
    let caught = desk.tell(&[
        told("r", "E1", 1, "confirmed", money("5", "CNY")),
        hole(1, "not JSON"),
        note,
        hole(2, "too long"),
    ]);
    assert_eq!(
        (caught.taken.lines, caught.taken.told, caught.taken.repeated),
        (4, 0, 3)
    );
    let count = |kind| desk.store.count_of_lines(kind).unwrap();
    assert_eq!(
        [LineKind::Hole, LineKind::Note, LineKind::Source].map(count),
        [2, 1, 3]
    );
    assert_eq!(desk.history("r", "E1"), ["told"]);
    let sources = desk.store.sources().unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(
        serde_json::from_slice::<Value>(&sources[0].body).unwrap()["state"],
        "behind"
    );
    let holes = desk.store.lines(LineKind::Hole, 0, 1).unwrap();
    assert_eq!(
        desk.store
            .lines(LineKind::Hole, holes[0].number, 9)
            .unwrap()
            .len(),
        1
    );
}

/// What the breaker is told while it is not sure, and what Centinel's check of itself finds, is in no page and no figure.
#[test]
fn suspicions_and_the_self_check_are_passed_over_and_plans_are_kept() {
    let mut desk = Desk::new();
    let mut suspicion = told("r", "E1", 1, "suspected", money("5", "CNY"));
    suspicion["schema"] = json!("centinel/suspicion/1");
    let plan =
        json!({ "schema": "centinel/plan/1", "plan": "p-1", "until": "2026-11-22T09:00:00Z" });
    let caught = desk.tell(&[
        suspicion,
        plan,
        told(
            "centinel-self-check",
            "SELF-CHECK-1",
            1,
            "confirmed",
            money("1.01", "CNY"),
        ),
        told("r", "E2", 1, "confirmed", money("7", "CNY")),
    ]);
    assert_eq!(
        (
            caught.taken.lines,
            caught.taken.findings,
            caught.taken.unread
        ),
        (4, 1, 0)
    );
    assert_eq!(desk.store.count_of_lines(LineKind::Plan).unwrap(), 1);
    assert_eq!(
        desk.store
            .figures(&Filter::default(), By::Rule)
            .unwrap()
            .len(),
        1
    );
    // The mark stands behind all of it.
    assert_eq!(desk.follow().taken.lines, 0);
}

/// A thread beside detection and people at a terminal take in the same file at once.
#[test]
fn two_who_take_in_the_same_file_hinder_nobody() {
    const EACH: u64 = 3_000;
    let mut desk = Desk::new();
    let folder = desk.folder.path().to_owned();
    let (store, file) = (folder.join("findings.db"), desk.file());
    desk.write(&[]);
    let other = std::thread::spawn(move || {
        let mut store = Store::open(&store).unwrap();
        let mut taken = 0;
        while taken < EACH && store.mark().unwrap().lines < EACH {
            taken += follow(&mut store, &file, &now).unwrap().taken.told;
        }
        taken
    });
    let mut taken = 0;
    for hundred in 0..EACH / 100 {
        let lines: Vec<Value> = (0..100)
            .map(|number| {
                told(
                    "r",
                    &format!("E{hundred}-{number}"),
                    1,
                    "confirmed",
                    json!({}),
                )
            })
            .collect();
        taken += desk.tell(&lines).taken.told;
    }
    assert_eq!(taken + other.join().unwrap(), EACH);
    assert_eq!(desk.store.mark().unwrap().lines, EACH);
}

#[test]
fn a_line_without_an_end_waits_for_it() {
    let mut desk = Desk::new();
    let line = told("r", "E1", 1, "confirmed", json!({})).to_string();
    let (begin, end) = line.split_at(100);
    desk.write_bytes(begin.as_bytes());
    let caught = desk.follow();
    assert_eq!((caught.taken.lines, caught.unfinished), (0, 100));
    desk.write_bytes(format!("{end}\n").as_bytes());
    let caught = desk.follow();
    assert_eq!((caught.taken.told, caught.unfinished), (1, 0));
}

#[test]
fn lines_that_are_none_of_detections_are_kept_and_told() {
    let mut desk = Desk::new();
    let good = told("r", "E1", 1, "confirmed", money("5", "CNY"));
    let bad = |name: &str, value: Value| told("r", "E2", 1, "confirmed", json!({ name: value }));
    desk.write(std::slice::from_ref(&good));
    desk.write_bytes(b"half a li\nno \xff text\n\n");
    desk.write(&[
        json!({ "schema": "centinel/other/1" }),
        json!({ "schema": 7 }),
        json!([]),
        bad("amount", json!("1e3")),
        bad("amount", json!("-5")),
        bad("sequence", json!(0)),
        bad("sequence", json!(u64::MAX)),
        bad("anchor", json!("yesterday")),
        bad("verdict", json!("perhaps")),
        bad("entity_key", json!("x".repeat(1_001))),
        // The same name, and something else.
        told("r", "E1", 1, "confirmed", money("6", "CNY")),
        hole(1, "one"),
        hole(1, "other"),
        told("r", "E3", 1, "confirmed", json!({})),
    ]);
    let caught = desk.follow();
    assert_eq!(
        (caught.taken.told, caught.taken.unread, caught.taken.lines),
        (2, 15, 18)
    );
    let unread = desk.store.lines(LineKind::Unread, 0, 100).unwrap();
    let reasons: Vec<&str> = unread
        .iter()
        .map(|line| line.reason.as_deref().unwrap())
        .collect();
    for (at, said) in [
        (0, "it is not a message"),
        (1, "it is not UTF-8"),
        (3, "its schema is not one that this program reads"),
        (6, "its amount is no plain decimal number"),
        (8, "its sequence is not one that counts from 1"),
        (10, "its anchor is no time"),
        (11, "it is not a finding"),
        (12, "its entity_key is longer"),
        (
            13,
            "an earlier message of the same finding and sequence says something else",
        ),
        (14, "an earlier line of the same name says something else"),
    ] {
        assert!(reasons[at].contains(said), "{at}: {reasons:#?}");
    }
    assert_eq!(unread[1].body, b"no \xff text");
    // What was told first stays.
    assert_eq!(desk.get("r", "E1").finding.amount.as_deref(), Some("5"));
    // What a reason says holds no value.
    assert!(
        !reasons
            .iter()
            .any(|reason| reason.contains("perhaps") || reason.contains("xxxx"))
    );
}

#[test]
fn a_message_that_comes_late_is_kept_and_does_not_turn_back_what_is_known() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 3, "recovered", json!({}))]);
    assert_eq!(desk.get("r", "E1").missing, 2);
    let caught = desk.tell(&[told("r", "E1", 1, "confirmed", money("5", "CNY"))]);
    assert_eq!(caught.taken.told, 1);
    let row = desk.get("r", "E1");
    assert_eq!((row.missing, row.open, row.finding.sequence), (1, false, 3));
    assert!(
        desk.store
            .told(&crate::support::id("r", "E1"), 1)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_file_that_was_cut_back_is_noticed_and_waited_for() {
    let mut desk = Desk::new();
    let lines: Vec<Value> = (1..=4)
        .map(|n| told("r", "E1", n, "confirmed", json!({})))
        .collect();
    desk.tell(&lines);
    let whole = std::fs::read(desk.file()).unwrap();
    let third = whole.len() / 4 * 2;
    // To a line's end, into a line, into the first line, to nothing.
    for length in [third, third + 7, 10, 0] {
        std::fs::write(desk.file(), &whole[..length]).unwrap();
        let caught = desk.follow();
        assert_eq!(caught.cut_back, (whole.len() - length) as u64, "{length}");
        assert_eq!(caught.taken.lines, 0);
    }
    // Detection writes the same again, and goes on.
    std::fs::write(desk.file(), &whole).unwrap();
    let caught = desk.tell(&[told("r", "E1", 5, "confirmed", json!({}))]);
    assert_eq!(
        (caught.cut_back, caught.taken.lines, caught.taken.told),
        (0, 1, 1)
    );
    assert_eq!(desk.history("r", "E1").len(), 5);
}

#[test]
fn another_file_in_its_place_is_noticed_and_taken_in_only_when_somebody_says_so() {
    let mut desk = Desk::new();
    desk.tell(&[
        told("r", "E1", 1, "confirmed", money("5", "CNY")),
        told("r", "E1", 2, "confirmed", money("6", "CNY")),
    ]);
    let whole = std::fs::read_to_string(desk.file()).unwrap();
    let first = whole.lines().next().unwrap();
    let other = told("r", "E1", 1, "confirmed", money("7", "CNY")).to_string();
    let replaced = [
        format!("{other}\n"),
        format!("{other}\n{other}\n{other}\n"),
        // The same beginning and length, and another line at the mark.
        whole.replace("\"6\"", "\"8\""),
        // Longer, without a line's end at the mark.
        format!("{first}\n{}\n", "x".repeat(5_000)),
    ];
    for text in &replaced {
        std::fs::write(desk.file(), text).unwrap();
        let refused = desk.try_follow().unwrap_err();
        assert!(
            matches!(refused, FindingsError::Replaced { .. }),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("began with a new state"),
            "{refused}"
        );
    }
    assert_eq!(desk.get("r", "E1").finding.amount.as_deref(), Some("6"));

    // A new state counts from 1 again, and what it tells is newer.
    std::fs::write(desk.file(), &replaced[0]).unwrap();
    desk.store.begin_anew("Li Wei", now()).unwrap();
    let caught = desk.follow();
    assert_eq!((caught.taken.told, caught.taken.unread), (1, 0));
    let row = desk.get("r", "E1");
    assert_eq!(
        (
            row.finding.amount.as_deref(),
            row.finding.sequence,
            row.missing
        ),
        (Some("7"), 1, 0)
    );
    assert_eq!(desk.history("r", "E1"), ["told", "told", "told"]);
    let anew = desk.store.lines(LineKind::Anew, 0, 9).unwrap();
    assert!(String::from_utf8_lossy(&anew[0].body).contains("\"by\":\"Li Wei\""));
}

#[test]
fn a_stretch_is_taken_in_by_one_only() {
    let mut desk = Desk::new();
    desk.write(&[
        told("r", "E1", 1, "confirmed", json!({})),
        told("r", "E2", 1, "confirmed", json!({})),
    ]);
    let mark = desk.store.mark().unwrap();
    let (stretch, _) = read_stretch(&desk.file(), &mark, 1).unwrap();
    assert_eq!(
        stretch.lines.len(),
        1,
        "a stretch ends where it has enough bytes"
    );
    desk.store.take_in(&stretch, now()).unwrap();
    let refused = desk.store.take_in(&stretch, now()).unwrap_err();
    assert!(matches!(refused, FindingsError::Changed(_)), "{refused}");
    let ahead = Stretch {
        from: stretch.from + 9_999,
        ..stretch
    };
    assert!(desk.store.take_in(&ahead, now()).is_err());
    assert_eq!(desk.follow().taken.told, 1);
}

#[test]
fn what_cannot_be_written_is_taken_in_later_and_whole() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E0", 1, "confirmed", money("5", "CNY"))]);
    let mark = desk.store.mark().unwrap();
    let evidence = json!({ "evidence": { "rows": [{ "long": "y".repeat(2_000) }], "total": 1 } });
    let lines: Vec<Value> = (1..500)
        .map(|n| told("r", &format!("E{n}"), 1, "confirmed", evidence.clone()))
        .collect();
    desk.write(&lines);
    desk.store.limit_pages(100).unwrap();
    let refused = desk.try_follow().unwrap_err();
    assert!(matches!(refused, FindingsError::Failed(_)), "{refused}");
    assert!(refused.to_string().contains("has room"));
    assert_eq!(desk.store.mark().unwrap(), mark);
    assert_eq!(
        desk.list(
            &centinel_findings::Filter::default(),
            centinel_findings::Order::Time,
            9
        )
        .len(),
        1
    );
    desk.restart();
    desk.store.limit_pages(1 << 20).unwrap();
    assert_eq!(desk.follow().taken.told, 499);
}

#[test]
fn what_is_no_file_of_findings_is_refused_with_a_remedy() {
    let mut desk = Desk::new();
    let refused = desk.try_follow().unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("name the file that detection writes"),
        "{refused}"
    );
    std::fs::create_dir(desk.file()).unwrap();
    assert!(
        desk.try_follow()
            .unwrap_err()
            .to_string()
            .contains("it is no file")
    );
    std::fs::remove_dir(desk.file()).unwrap();
    // A line that is longer than any stays where it is; what is before it is taken in.
    desk.write(&[told("r", "E1", 1, "confirmed", json!({}))]);
    desk.write_bytes(&vec![b' '; centinel_findings::LONGEST_LINE as usize + 1]);
    let refused = desk.try_follow().unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("longer than any of detection's"),
        "{refused}"
    );
}
