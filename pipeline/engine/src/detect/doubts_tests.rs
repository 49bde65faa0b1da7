//! What is in doubt, and what is not.

use centinel_model::{HoleReason, Position, SourceId};

use super::*;

fn hole(table: Option<u16>, source: Option<u16>) -> Hole {
    let first_line = String::new();
    Hole {
        input: "log".into(),
        position: Position::File {
            offset: 0,
            first_line,
        },
        reason: HoleReason::Malformed,
        message: String::new(),
        bytes: Vec::new(),
        bytes_total: 0,
        table: table.map(TableId),
        source: source.map(SourceId),
        since: None,
        entities: Vec::new(),
    }
}

#[test]
fn a_hole_concerns_its_entity_its_table_and_its_time() {
    let mut doubts = Doubts::default();
    let patience = Duration(10);
    let at = |time: i64| Life {
        since: Timestamp(time),
        newest: Timestamp(time),
    };
    let concern = |doubts: &Doubts, document: &[u8], tables: u128, time: i64| {
        doubts.concern(document, tables, at(time), patience)
    };
    assert!(!concern(&doubts, b"a", u128::MAX, 100));
    doubts.name(1, TableId(2), vec![b"a".to_vec()]);
    assert!(concern(&doubts, b"a", 1 << 2, 1_000));
    assert!(!concern(&doubts, b"a", 1 << 3, 1_000));
    assert!(!concern(&doubts, b"b", 1 << 2, 1_000));
    doubts.span(
        (2, &hole(Some(3), Some(0))),
        Timestamp(100),
        Timestamp(105),
        Whose::Anyone,
    );
    // The source has not spoken; then it says that it stands at 120.
    doubts.progress(&[Timestamp(100)]);
    doubts.progress(&[Timestamp(120)]);
    doubts.progress(&[Timestamp(500)]);
    for (time, expected) in [(89, false), (90, true), (130, true), (131, false)] {
        assert_eq!(concern(&doubts, b"b", 1 << 3, time), expected, "{time}");
    }
    doubts.span(
        (3, &hole(None, None)),
        Timestamp(700),
        Timestamp(700),
        Whose::Anyone,
    );
    assert!(concern(&doubts, b"b", 1, 705));
    doubts.progress(&[Timestamp(750)]);
    doubts.span(
        (4, &hole(Some(4), None)),
        Timestamp(900),
        Timestamp(900),
        Whose::Waiting,
    );
    assert!(!concern(&doubts, b"b", 1 << 4, 900));
    assert!(doubts.concern_waiting(TableId(4), at(900), patience));
    assert!(!doubts.concern_waiting(TableId(4), at(100), patience));
}

#[test]
fn a_lost_record_concerns_all_that_lived_through_it() {
    let mut lost = hole(None, Some(0));
    let concern = |doubts: &Doubts, since: i64, newest: i64| {
        let (since, newest) = (Timestamp(since), Timestamp(newest));
        doubts.concern(b"a", 1, Life { since, newest }, Duration(10))
    };
    for reason in [HoleReason::Malformed, HoleReason::Gap] {
        let mut doubts = Doubts::default();
        lost.reason = reason;
        doubts.span((1, &lost), Timestamp(100), Timestamp(100), Whose::Anyone);
        doubts.progress(&[Timestamp(200)]);
        assert!(!concern(&doubts, 50, 89), "at rest before");
        assert!(concern(&doubts, 50, 90) && concern(&doubts, 150, 210));
        assert!(!concern(&doubts, 211, 300), "began behind it");
        assert!(concern(&doubts, 50, 300), "that it went on says nothing");
    }
}

#[test]
fn many_holes_before_their_source_speaks_are_one_span() {
    let mut doubts = Doubts::default();
    for newest in 100..10_000 {
        let hole = hole(Some(1), Some(0));
        doubts.span(
            (newest as u64, &hole),
            Timestamp(100),
            Timestamp(newest),
            Whose::Anyone,
        );
    }
    assert_eq!(doubts.running.len(), 1);
    doubts.progress(&[Timestamp(20_000)]);
    assert_eq!((doubts.spans.len(), doubts.running.len()), (1, 0));
    assert_eq!(doubts.spans[0].until, 20_000);
}

#[test]
fn of_many_spans_far_apart_the_nearest_become_one() {
    let patience = Duration(10);
    let hour = 3_600_000_000;
    for told in [true, false] {
        let mut doubts = Doubts::default();
        for number in 1..3_000 {
            let time = Timestamp(number * hour);
            doubts.span(
                (number as u64, &hole(Some(1), Some(0))),
                time,
                time,
                Whose::Anyone,
            );
            if told {
                doubts.progress(&[time.plus(Duration(1))]);
            }
        }
        let (over, running) = (doubts.spans.len(), doubts.running.len());
        assert_eq!(
            (over.max(1), running.max(1)),
            if told { (1_000, 1) } else { (1, 1_000) }
        );
        for number in 1..3_000 {
            let at = Timestamp(number * hour);
            let life = Life {
                since: at,
                newest: at,
            };
            assert!(doubts.concern(b"a", 1 << 1, life, patience), "{number}");
            assert!(
                !doubts.concern(b"a", 1 << 2, life, patience),
                "another table"
            );
        }
    }
}

#[test]
fn many_holes_near_each_other_are_one_span() {
    let mut doubts = Doubts::default();
    for time in 1..10_000 {
        doubts.span(
            (time as u64, &hole(Some(1), Some(0))),
            Timestamp(time),
            Timestamp(time),
            Whose::Anyone,
        );
        doubts.progress(&[Timestamp(time + 1)]);
    }
    assert_eq!((doubts.spans.len(), doubts.running.len()), (1, 0));
}

#[test]
fn a_doubt_ends_with_the_last_hole_that_brought_it() {
    let life = Life {
        since: Timestamp(100),
        newest: Timestamp(100),
    };
    let mut doubts = Doubts::default();
    for number in 1..=3 {
        let lost = hole(Some(1), Some(0));
        doubts.span((number, &lost), Timestamp(90), Timestamp(95), Whose::Anyone);
    }
    doubts.name(3, TableId(2), vec![b"a".to_vec(), b"b".to_vec()]);
    doubts.name(4, TableId(2), vec![b"b".to_vec()]);
    doubts.progress(&[Timestamp(110)]);
    let concern = |doubts: &Doubts, document: &[u8], table: u128| {
        doubts.concern(document, 1 << table, life, Duration(1))
    };
    let mut settled = Stretches::default();
    for (number, spans, a, b) in [
        (1, true, true, true),
        (2, true, true, true),
        (3, false, false, true),
        (4, false, false, false),
    ] {
        settled.insert(number);
        let ended = doubts.end(&settled);
        assert_eq!(ended.others, number == 3);
        assert_eq!(concern(&doubts, b"z", 1), spans, "{number}");
        assert_eq!(concern(&doubts, b"a", 2), a, "{number}");
        assert_eq!(concern(&doubts, b"b", 2), b, "{number}");
        assert_eq!(ended.documents.len(), usize::from(number >= 3));
    }
}

#[test]
fn what_an_earlier_program_kept_ends_when_all_that_there_was_is_settled() {
    let kept = r#"{"count":3,"spans":[{"table":1,"from":90,"until":110,"whose":"Anyone","gap":false}],
        "running":[{"span":{"table":null,"from":90,"until":95,"whose":{"Entity":0},"gap":true},"source":null}],
        "named":[[[97],2]],"recent":{},"shape":0}"#;
    let mut doubts: Doubts = serde_json::from_str(kept).unwrap();
    doubts.follow(None, 0);
    let mut settled = Stretches::up_to(2);
    assert_eq!(doubts.end(&settled), Ended::default());
    assert_eq!(
        (doubts.spans.len(), doubts.running.len(), doubts.names.len()),
        (1, 1, 1)
    );
    let again = serde_json::to_vec(&doubts).unwrap();
    assert_eq!(serde_json::from_slice::<Doubts>(&again).unwrap(), doubts);
    settled.insert(3);
    let ended = doubts.end(&settled);
    assert_eq!(ended.documents, [b"a".to_vec()]);
    assert!(ended.others);
    assert_eq!(
        (doubts.spans.len(), doubts.running.len(), doubts.names.len()),
        (0, 0, 0)
    );
}

#[path = "doubts_model_tests.rs"]
mod model;
