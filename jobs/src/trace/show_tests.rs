use super::*;
use centinel_trace::{Change, Completeness, HISTORY_SCHEMA, History, Origin, Parts, compose};

fn change(sequence: u64, operation: &str, amount: &str, status: &str) -> Change {
    Change {
        system: "refund".into(),
        table: "refund".into(),
        event: false,
        operation: operation.into(),
        primary_key: "R1".into(),
        committed_at: format!("2026-11-22T08:00:0{sequence}Z"),
        version: (1, sequence, 0),
        origin: Origin::default(),
        after: vec![
            ("amount".into(), Some(amount.into())),
            ("status".into(), Some(status.into())),
            ("reason".into(), None),
        ],
        before: Vec::new(),
        changed: Vec::new(),
        money: vec![("amount".into(), Some(amount.into()), "CNY".into())],
        money_before: Vec::new(),
        by_hand: operation == "update",
    }
}

fn shown(key: &str, changes: Vec<Change>, width: usize) -> Vec<String> {
    let history = History {
        schema: HISTORY_SCHEMA.into(),
        entity: "order".into(),
        key: key.into(),
        changes,
        rules: Vec::new(),
        completeness: Completeness {
            until: Some("2026-11-22T09:00:00Z".into()),
            ..Completeness::default()
        },
    };
    let parts = Parts {
        histories: vec![history],
        ..Parts::default()
    };
    let mut shown = Vec::new();
    let trace = compose("order", key, parts);
    lines(&trace, width, &mut |line| shown.push(line.to_owned()));
    shown
}

#[test]
fn each_step_is_told_with_what_changed() {
    let changes = vec![
        change(1, "insert", "7.00", "CREATED"),
        change(2, "update", "9.00", "CREATED"),
    ];
    assert_eq!(
        shown("O1", changes, 100),
        [
            "order O1: 2 steps in refund",
            "  all sources were read up to 2026-11-22T09:00:00Z",
            "1 2026-11-22T08:00:01Z refund: refund R1 insert",
            "    amount 7.00 CNY; status CREATED",
            "2 2026-11-22T08:00:02Z refund: refund R1 update, BY HAND",
            "    amount 7.00 → 9.00 CNY",
            "the money in its rows now:",
            "  refund: refund.amount 9.00 CNY in 1 row",
        ]
    );
}

#[test]
fn nothing_steers_the_terminal_or_leaves_its_width() {
    let hostile = "x\u{1b}[2J\u{9b}1m\u{202e}\r\nEND OF TRACE\u{7}\u{1b}]0;title\u{7}";
    let long = "退款".repeat(60);
    let changes = vec![
        change(1, "insert", "7.00", hostile),
        change(2, "update", "7.00", &long),
    ];
    let shown = shown(hostile, changes, 44);
    assert!(shown.len() > 8);
    for line in shown {
        assert!(measure_text_width(&line) <= 44, "{line:?}");
        assert_eq!(one_line(&line), line);
        assert!(!line.starts_with("END"));
    }
}

#[test]
fn nothing_known_is_said_so() {
    let shown = shown("O1", Vec::new(), 100);
    assert_eq!(shown[0], "order O1: nothing is known of it");
}
