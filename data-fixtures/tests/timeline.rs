//! When faults break their rules, and when that must be known.
#![allow(clippy::unwrap_used, clippy::panic)]

use data_fixtures::auditor::Violation;
use data_fixtures::timeline::{Course, Timeline};
use data_fixtures::truth::{PlantedTruth, Truth};
use data_fixtures::{DRILL_MARK, FaultKind, KeyStyle, SECOND, Simulation, SimulationParameters};

fn follow(parameters: SimulationParameters) -> (Vec<Course>, Vec<PlantedTruth>) {
    let mut simulation = Simulation::new(parameters);
    let (mut timeline, mut truth) = (Timeline::default(), Truth::default());
    while let Some(delivered) = simulation.next() {
        let planted = simulation.take_planted();
        timeline.plant(planted.clone());
        truth.plant(planted);
        timeline.observe(&delivered.record);
        truth.observe(&delivered.record);
    }
    let end = simulation.end().unwrap();
    (timeline.courses(end), truth.judge(end))
}

/// Step by step, the same violations stand at the end as are found there at once.
#[test]
fn courses_end_where_the_truth_does() {
    for seed in 1..4 {
        let (courses, truth) = follow(SimulationParameters {
            seed,
            orders: 500,
            key_style: KeyStyle::Drill,
            faults: FaultKind::ALL.to_vec(),
            ..SimulationParameters::default()
        });
        assert_eq!(courses.len(), FaultKind::ALL.len());
        for (course, truth) in courses.iter().zip(&truth) {
            assert_eq!(course.planted, truth.planted);
            let mut expected: Vec<Violation> = course
                .expected
                .iter()
                .map(|due| due.violation.clone())
                .collect();
            let mut of_truth = truth.expected.clone();
            expected.sort();
            of_truth.sort();
            assert_eq!(expected, of_truth, "{}", course.planted.fault.name());
            for due in &course.expected {
                let (violation, name) = (&due.violation, course.planted.fault.name());
                assert!(
                    due.broken_at + violation.patience <= due.due
                        || violation.anchor == due.broken_at,
                    "{name}: {due:?}"
                );
                assert!(
                    due.due <= violation.anchor + violation.patience,
                    "{name}: {due:?}"
                );
            }
        }
    }
}

/// A stuck payment breaks its rule at a time of its own, and nothing moves that.
#[test]
fn a_deadline_breaks_its_rule_when_it_passes() {
    let (courses, _) = follow(SimulationParameters {
        orders: 20,
        faults: vec![FaultKind::StuckPayment],
        ..SimulationParameters::default()
    });
    let [due] = &courses[0].expected[..] else {
        unreachable!("one rule sees it: {courses:?}")
    };
    assert_eq!(due.broken_at, due.violation.anchor);
    assert_eq!(due.due, due.broken_at + 30 * SECOND);
}

/// Every number of a drill, of merchants and accounts too, bears its mark.
#[test]
fn nothing_of_a_drill_lacks_its_mark() {
    let simulation = Simulation::new(SimulationParameters {
        orders: 60,
        key_style: KeyStyle::Drill,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    let named = ["_no", "message_id", "business_code"];
    let mut seen = 0;
    for row in simulation.filter_map(|delivered| delivered.record.row().copied()) {
        let columns = row.table().columns().iter().map(|column| column.name);
        let of_names = |column: &&str| named.iter().any(|end| column.ends_with(end));
        for column in columns
            .filter(of_names)
            .filter(|column| *column != "card_no")
        {
            let Some(text) = row.text(column) else {
                continue;
            };
            let marked = text.contains(DRILL_MARK) || text.starts_with("CLR-");
            assert!(marked, "{column}: {text}");
            seen += 1;
        }
    }
    assert!(seen > 1_000, "{seen}");
}
