//! What is in doubt, and what is not.

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
        oldest: Timestamp(time),
        newest: Timestamp(time),
    };
    let concern = |doubts: &Doubts, document: &[u8], tables: u128, time: i64| {
        doubts.concern(document, tables, at(time), patience)
    };
    assert!(!concern(&doubts, b"a", u128::MAX, 100));
    doubts.name(TableId(2), vec![b"a".to_vec()]);
    assert!(concern(&doubts, b"a", 1 << 2, 1_000));
    assert!(!concern(&doubts, b"a", 1 << 3, 1_000));
    assert!(!concern(&doubts, b"b", 1 << 2, 1_000));
    doubts.span(
        &hole(Some(3), Some(0)),
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
        &hole(None, None),
        Timestamp(700),
        Timestamp(700),
        Whose::Anyone,
    );
    assert!(concern(&doubts, b"b", 1, 705));
    doubts.progress(&[Timestamp(750)]);
    doubts.span(
        &hole(Some(4), None),
        Timestamp(900),
        Timestamp(900),
        Whose::Waiting,
    );
    assert!(!concern(&doubts, b"b", 1 << 4, 900));
    assert!(doubts.concern_waiting(TableId(4), at(900), patience));
    assert!(!doubts.concern_waiting(TableId(4), at(100), patience));
}

#[test]
fn a_gap_concerns_all_that_lived_through_it() {
    let mut lost = hole(None, Some(0));
    let concern = |doubts: &Doubts, oldest: i64, newest: i64| {
        let (oldest, newest) = (Timestamp(oldest), Timestamp(newest));
        doubts.concern(b"a", 1, Life { oldest, newest }, Duration(10))
    };
    for (reason, expected) in [(HoleReason::Malformed, false), (HoleReason::Gap, true)] {
        let mut doubts = Doubts::default();
        lost.reason = reason;
        doubts.span(&lost, Timestamp(100), Timestamp(100), Whose::Anyone);
        doubts.progress(&[Timestamp(200)]);
        assert!(!concern(&doubts, 50, 89), "at rest before");
        assert!(concern(&doubts, 50, 90) && concern(&doubts, 150, 210));
        assert!(!concern(&doubts, 211, 300), "began behind it");
        assert_eq!(concern(&doubts, 50, 300), expected, "{reason:?}");
    }
}

#[test]
fn many_holes_before_their_source_speaks_are_one_span() {
    let mut doubts = Doubts::default();
    for newest in 100..10_000 {
        let hole = hole(Some(1), Some(0));
        doubts.span(&hole, Timestamp(100), Timestamp(newest), Whose::Anyone);
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
            doubts.span(&hole(Some(1), Some(0)), time, time, Whose::Anyone);
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
                oldest: at,
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
            &hole(Some(1), Some(0)),
            Timestamp(time),
            Timestamp(time),
            Whose::Anyone,
        );
        doubts.progress(&[Timestamp(time + 1)]);
    }
    assert_eq!((doubts.spans.len(), doubts.running.len()), (1, 0));
}
