//! One line of time out of what several places know.
#![allow(clippy::unwrap_used, clippy::panic)]

use centinel_model::{Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Verdict};
use centinel_trace::{
    BREAKER_LANE, BreakerAct, BreakerEntry, BreakerStep, Change, Completeness, FindingEntry,
    HISTORY_SCHEMA, History, MOST_CHANGES, Origin, PEOPLE_LANE, Parts, PersonStep, RULES_LANE,
    RowStep, Step, Trace, What, compose,
};

fn at(second: u32) -> String {
    format!("2026-11-22T08:{:02}:{:02}Z", second / 60, second % 60)
}

/// A change of a refund: its amount and status after it; none for a deletion.
fn refund(key: &str, sequence: u64, after: Option<(&str, &str)>) -> Change {
    let operation = match (after, sequence) {
        (None, _) => "delete",
        (_, 1) => "insert",
        _ => "update",
    };
    let row = after.map_or(Vec::new(), |(amount, status)| {
        vec![
            ("amount".to_owned(), Some(amount.to_owned())),
            ("status".to_owned(), Some(status.to_owned())),
        ]
    });
    let money = after.map(|(amount, _)| ("amount".into(), Some(amount.into()), "CNY".into()));
    Change {
        system: "refund".into(),
        table: "refund".into(),
        event: false,
        operation: operation.into(),
        primary_key: key.into(),
        committed_at: at(sequence as u32),
        version: (1, sequence, 0),
        origin: Origin::default(),
        after: row,
        before: Vec::new(),
        changed: Vec::new(),
        money: money.into_iter().collect(),
        money_before: Vec::new(),
        by_hand: false,
    }
}

fn payment(sequence: u64, amount: &str) -> Change {
    Change {
        system: "payment".into(),
        table: "payment".into(),
        operation: "insert".into(),
        ..refund("P1", sequence, Some((amount, "SUCCESS")))
    }
}

fn history(changes: Vec<Change>) -> History {
    History {
        schema: HISTORY_SCHEMA.into(),
        entity: "order".into(),
        key: "O1".into(),
        changes,
        rules: Vec::new(),
        completeness: Completeness::default(),
    }
}

fn trace(histories: Vec<History>) -> Trace {
    let parts = Parts {
        histories,
        ..Parts::default()
    };
    compose("order", "O1", parts)
}

fn row(step: &Step) -> &RowStep {
    match &step.what {
        What::Row(row) => row,
        other => panic!("{other:?} is no row"),
    }
}

/// By step: its lane, and the columns that changed with their values before and after.
fn changes(trace: &Trace) -> Vec<String> {
    let told = |step: &Step| {
        let columns = row(step).columns.iter().filter(|column| column.changed);
        let columns = columns.map(|column| {
            let shown = |value: &Option<String>| value.clone().unwrap_or("-".into());
            format!(
                "{} {}>{}",
                column.column,
                shown(&column.before),
                shown(&column.after)
            )
        });
        format!("{} {}", step.lane, columns.collect::<Vec<_>>().join(" "))
    };
    trace.steps.iter().map(told).collect()
}

#[test]
fn each_step_says_what_changed() {
    let trace = trace(vec![history(vec![
        refund("R1", 3, Some(("7.00", "SUCCESS"))),
        payment(1, "10.00"),
        refund("R1", 4, None),
        refund("R1", 1, Some(("7.00", "CREATED"))),
    ])]);
    assert_eq!(
        changes(&trace),
        [
            "payment amount ->10.00 status ->SUCCESS",
            "refund amount ->7.00 status ->CREATED",
            "refund status CREATED>SUCCESS",
            "refund amount 7.00>- status SUCCESS>-",
        ]
    );
    assert_eq!(trace.systems, ["payment", "refund"]);
    let stages: Vec<u32> = trace.steps.iter().map(|step| step.stage).collect();
    assert_eq!(stages, [1, 2, 3, 4]);
}

#[test]
fn what_state_and_archive_both_know_is_told_once_with_all_that_they_say() {
    let state = vec![
        refund("R1", 2, Some(("8.00", "CREATED"))),
        refund("R1", 3, Some(("9.00", "CREATED"))),
    ];
    let mut archived = vec![
        refund("R1", 1, Some(("7.00", "CREATED"))),
        refund("R1", 2, Some(("8.00", "CREATED"))),
    ];
    archived[1].origin.account = Some("eve".into());
    archived[1].before = archived[0].after.clone();
    archived[1].money_before = archived[0].money.clone();
    let missing = |missing| Completeness {
        replaced_missing: missing,
        since: missing.then(|| at(2)),
        until: Some(at(if missing { 9 } else { 5 })),
        ..Completeness::default()
    };
    let (mut first, mut second) = (history(state), history(archived));
    first.completeness = missing(true);
    // Alone, it does not know what was before its first change.
    let alone = trace(vec![first.clone()]);
    assert!(!row(&alone.steps[0]).before_known);
    assert_eq!(changes(&alone), ["refund ", "refund amount 8.00>9.00"]);
    assert!(alone.completeness.replaced_missing);
    second.completeness = missing(false);
    let both = trace(vec![first, second]);
    assert_eq!(
        changes(&both),
        [
            "refund amount ->7.00 status ->CREATED",
            "refund amount 7.00>8.00",
            "refund amount 8.00>9.00",
        ]
    );
    assert_eq!(both.steps[1].by.as_deref(), Some("eve"));
    let known = both.completeness;
    assert_eq!((known.replaced_missing, known.since), (false, None));
    assert_eq!(known.until, Some(at(9)));
}

#[test]
fn every_stage_shows_the_rows_as_they_were() {
    let trace = trace(vec![history(vec![
        payment(1, "10.00"),
        refund("R1", 2, Some(("7.00", "CREATED"))),
        refund("R2", 3, Some(("1.50", "CREATED"))),
        refund("R1", 4, None),
    ])]);
    let at_stage = |stage: u32| {
        let systems = trace.state_at(stage).into_iter();
        let rows = systems.flat_map(|system| {
            let of = move |row: centinel_trace::RowAt| {
                let amount = row.cells[0].value.clone().unwrap();
                format!("{}/{} {amount}", system.system, row.primary_key)
            };
            system.rows.into_iter().map(of)
        });
        rows.collect::<Vec<String>>()
    };
    assert_eq!(at_stage(0), [""; 0]);
    assert_eq!(at_stage(1), ["payment/P1 10.00"]);
    assert_eq!(
        at_stage(3),
        ["payment/P1 10.00", "refund/R1 7.00", "refund/R2 1.50"]
    );
    assert_eq!(at_stage(4), ["payment/P1 10.00", "refund/R2 1.50"]);
    // Lanes stay where they are, whether they have rows or not.
    assert_eq!(trace.state_at(1).len(), 2);
    let totals = trace.totals.iter().map(|total| {
        format!(
            "{} {} {}",
            total.system,
            total.amount.clone().unwrap(),
            total.currency
        )
    });
    assert_eq!(
        totals.collect::<Vec<_>>(),
        ["payment 10.00 CNY", "refund 1.50 CNY"]
    );
}

#[test]
fn a_row_gives_way_only_to_a_higher_version_whatever_the_times_say() {
    let mut late = refund("R1", 2, Some(("7.00", "OLD")));
    late.committed_at = at(9);
    let newer = refund("R1", 3, Some(("7.00", "NEW")));
    let trace = trace(vec![history(vec![newer, late])]);
    let refund = &trace.state_at(2)[0].rows[0];
    assert_eq!(refund.cells[1].value.as_deref(), Some("NEW"));
    assert_eq!(refund.stage, 1);
}

fn finding(rule: &str, change: &str, sequence: u64, verdict: Verdict, judged_at: &str) -> Finding {
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(rule, ["O1", change]),
        sequence,
        rule: rule.into(),
        rule_version: "v".into(),
        title: "A title".into(),
        entity: "order".into(),
        entity_key: "O1".into(),
        key: vec![
            ("order_no".into(), "O1".into()),
            ("change_id".into(), change.into()),
        ],
        verdict,
        occurrence: 1,
        severity: Severity::Error,
        owner: "money".into(),
        amount: Some("7.00".into()),
        currency: Some("CNY".into()),
        hint: None,
        evidence: Evidence::default(),
        positions: Positions::default(),
        anchor: at(1),
        judged_at: judged_at.into(),
        checkpoint: None,
        status: None,
        trip: None,
    }
}

fn told(finding: Finding, second: u32) -> FindingEntry {
    FindingEntry::Told {
        at: at(second),
        finding: Box::new(finding),
    }
}

#[test]
fn verdicts_people_and_the_breaker_stand_in_the_same_line_of_time() {
    let confirmed = finding("refund-too-large", "-", 1, Verdict::Confirmed, &at(20));
    let ended = finding("refund-too-large", "-", 2, Verdict::Recovered, "the end");
    let parts = Parts {
        histories: vec![history(vec![refund("R1", 1, Some(("7.00", "CREATED")))])],
        findings: vec![
            told(confirmed, 50),
            told(ended, 55),
            FindingEntry::Person {
                at: at(52),
                by: "ann".into(),
                step: PersonStep {
                    finding_id: "f".into(),
                    rule: "refund-too-large".into(),
                    act: "acknowledged".into(),
                    text: None,
                },
            },
        ],
        breaker: vec![BreakerEntry {
            at: at(51),
            by: None,
            step: BreakerStep {
                act: BreakerAct::Tripped,
                trip: Some("T1".into()),
                release: None,
                request_id: None,
                points: vec!["refund".into()],
                scope: None,
                amount: None,
                reason: None,
                finding_id: None,
            },
        }],
    };
    let trace = compose("order", "O1", parts);
    let lanes = trace
        .steps
        .iter()
        .map(|step| (step.lane.as_str(), step.at.clone()));
    assert_eq!(
        lanes.collect::<Vec<_>>(),
        [
            ("refund", at(1)),
            (RULES_LANE, at(20)),
            (BREAKER_LANE, at(51)),
            (PEOPLE_LANE, at(52)),
            // A clock that stands at the end says nothing: then it counts when it was told.
            (RULES_LANE, at(55)),
        ]
    );
    assert_eq!(trace.systems, ["refund"]);
}

#[test]
fn a_change_that_a_finding_calls_made_by_hand_is_marked() {
    let rule = "manual-change-refund";
    let changes = vec![
        refund("R1", 1, Some(("7.00", "CREATED"))),
        refund("R1", 2, Some(("9.00", "CREATED"))),
        refund("R1", 3, Some(("9.00", "FAILED"))),
    ];
    let parts = |findings| Parts {
        histories: vec![history(changes.clone())],
        findings,
        ..Parts::default()
    };
    let marked = |findings| {
        let trace = compose("order", "O1", parts(findings));
        let steps = trace.steps.into_iter();
        let marked = steps.filter(|step| step.by_hand).map(|step| step.stage);
        marked.collect::<Vec<u32>>()
    };
    let second = finding(rule, "R1@1.2.0", 1, Verdict::Confirmed, &at(2));
    assert_eq!(marked(vec![told(second.clone(), 2)]), [2]);
    // The last word counts, in whatever order they come.
    let explained = finding(rule, "R1@1.2.0", 2, Verdict::Recovered, &at(2));
    assert_eq!(marked(vec![told(explained, 3), told(second, 2)]), [0; 0]);
    let other_table = finding(
        "manual-change-payment",
        "R1@1.2.0",
        1,
        Verdict::Confirmed,
        &at(2),
    );
    assert_eq!(marked(vec![told(other_table, 2)]), [0; 0]);
}

#[test]
fn of_too_many_changes_the_newest_count_and_the_rest_is_told() {
    let many = (1..=MOST_CHANGES as u64 + 5).map(|sequence| {
        let mut change = refund("R1", sequence, Some((&format!("{sequence}.00"), "CREATED")));
        change.committed_at = at(7);
        change
    });
    let trace = trace(vec![history(many.collect())]);
    assert_eq!(trace.changes_left_out, 5);
    assert_eq!(trace.steps.len(), MOST_CHANGES);
    // What was left out is still what the first one began with.
    assert_eq!(changes(&trace)[0], "refund amount 5.00>6.00");
}

#[test]
fn it_is_read_back_as_it_was_written() {
    let mut change = refund("R1", 2, Some(("7.00", "CREATED")));
    change.by_hand = true;
    let parts = Parts {
        histories: vec![history(vec![change, payment(1, "1.00")])],
        findings: vec![told(finding("r", "-", 1, Verdict::Confirmed, &at(3)), 4)],
        ..Parts::default()
    };
    let trace = compose("order", "O\u{1b}[2J<b>1'; --", parts);
    let text = serde_json::to_string(&trace).unwrap();
    assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn nothing_known_is_nothing() {
    assert!(trace(vec![]).is_empty());
    assert!(!trace(vec![history(vec![payment(1, "1.00")])]).is_empty());
}
