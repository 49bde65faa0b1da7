//! What counts as done as planned.

use centinel_tests::{Detection, History, all_rules, log_file, plan_file, write_log};
use data_fixtures::SECOND;

use crate::support::{
    PLANS, Plan, Told, by_hand, catalog, ever_told, manual, planned, platform, untouched,
};

/// What is told when the platform's log is read beside a file of plans.
fn told(history: &History, plans: &[Plan]) -> Told {
    let own = tempfile::tempdir().unwrap();
    let (log, announced) = (own.path().join("log.jsonl"), own.path().join("plans.jsonl"));
    write_log(&log, &history.records);
    let lines = plans.iter().enumerate();
    let lines = lines.map(|(number, plan)| plan.line(number));
    std::fs::write(&announced, lines.collect::<String>()).unwrap();
    let catalog = catalog(own.path());
    let mut detection = Detection::over(&log, own.path());
    detection.inputs.push(plan_file(&announced, PLANS));
    let detected = detection.run(&catalog, &all_rules(&catalog));
    ever_told(&detected)
}

#[test]
fn a_repair_done_as_planned_is_explained_and_any_other_is_told() {
    let history = platform(1, 200, 1);
    let [(change, row, after)] = by_hand(&history)[..] else {
        panic!("one change by hand")
    };
    let plan = |sets, amount, approved_at| Plan {
        row,
        sets,
        amount,
        approved_at,
    };
    let at = change.committed_at - 60 * SECOND;
    let manual = manual(&change);
    assert_eq!(
        told(&history, &[]),
        [manual.clone()].into(),
        "nothing is announced"
    );
    let exact = plan(",amount,", after.amount, at);
    assert_eq!(told(&history, &[exact]), Told::new(), "as planned");
    assert_eq!(
        told(&history, &[plan(",amount,", after.amount + 1, at)]),
        [manual.clone(), planned(0)].into(),
        "another amount"
    );
    assert_eq!(
        told(&history, &[plan(",status,", after.amount, at)]),
        [manual.clone(), planned(0)].into(),
        "another column"
    );
    assert_eq!(
        told(
            &history,
            &[plan(",amount,", after.amount, change.committed_at + SECOND)]
        ),
        [manual, planned(0)].into(),
        "approved after it was done"
    );
    // Another row of the plan was never touched.
    let untouched = Plan {
        row: untouched(&history),
        ..plan(",amount,", 1, at)
    };
    assert_eq!(
        told(&history, &[exact, untouched]),
        [planned(1)].into(),
        "half of it"
    );
}

/// A file that nobody says to be the source's tells nothing by its end, so what depends on it waits.
#[test]
fn nothing_is_told_while_nobody_says_that_all_plans_were_read() {
    let history = platform(1, 200, 1);
    let own = tempfile::tempdir().unwrap();
    let log = own.path().join("log.jsonl");
    write_log(&log, &history.records);
    let catalog = catalog(own.path());
    let mut detection = Detection::over(&log, own.path());
    let detected = detection.run(&catalog, &all_rules(&catalog));
    assert_eq!(ever_told(&detected), Told::new());
    // The same state, once there is a file that is empty to its end.
    let announced = own.path().join("plans.jsonl");
    std::fs::write(&announced, "").unwrap();
    detection.inputs = vec![log_file(&log), plan_file(&announced, PLANS)];
    let detected = detection.run(&catalog, &all_rules(&catalog));
    let (change, ..) = by_hand(&history)[0];
    assert_eq!(ever_told(&detected), [manual(&change)].into());
}
