//! What detection says and what people say, together.

use centinel_findings::{Act, Filter, FindingsError, Handling, Order, What};
use serde_json::json;

use crate::support::{Desk, at, id, keys, money, now, told};

fn resolve() -> Act {
    Act::Resolve {
        reason: "paid back by hand".into(),
    }
}

fn acknowledge() -> Act {
    Act::Acknowledge { note: None }
}

#[test]
fn a_finding_that_recovers_and_breaks_again_is_open_again() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", money("5.00", "CNY"))]);
    desk.store
        .act(&id("r", "E1"), &resolve(), "Li Wei", None, now())
        .unwrap();
    let row = desk.get("r", "E1");
    assert!(!row.open && row.handling == Handling::Resolved);
    let handled = row.handled.unwrap();
    assert_eq!(
        (handled.by.as_str(), handled.reason.as_deref()),
        ("Li Wei", Some("paid back by hand"))
    );
    assert_eq!(
        (handled.at.as_str(), handled.amount.as_deref()),
        ("2026-11-23T09:00:00Z", Some("5.00"))
    );

    desk.tell(&[told("r", "E1", 2, "recovered", json!({}))]);
    assert_eq!(desk.get("r", "E1").handling, Handling::Resolved);
    let again = json!({ "occurrence": 2, "anchor": "2026-11-24T08:00:00Z", "amount": "1", "currency": "CNY" });
    desk.tell(&[told("r", "E1", 3, "confirmed", again)]);
    let row = desk.get("r", "E1");
    assert!(row.open && row.handling == Handling::New && row.handled.is_none());
    assert_eq!(row.since, "2026-11-24T08:00:00Z");
    assert_eq!(
        desk.history("r", "E1"),
        ["told", "resolved", "told", "told", "reopened"]
    );
    let last = desk
        .store
        .history(&id("r", "E1"), 0, 500)
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(last.by, "detection");
    let What::Reopened { reason } = last.what else {
        panic!("{last:?}")
    };
    assert_eq!(reason, "it broke again, after it was resolved by Li Wei");
}

#[test]
fn an_acknowledged_one_that_gets_larger_says_so_and_a_resolved_one_is_open_again() {
    let mut desk = Desk::new();
    for order in ["E1", "E2", "E3"] {
        desk.tell(&[told("r", order, 1, "confirmed", money("5.00", "CNY"))]);
    }
    let alarm = Act::FalseAlarm {
        reason: "a test order".into(),
    };
    for (order, act) in [("E1", acknowledge()), ("E2", resolve()), ("E3", alarm)] {
        desk.store
            .act(&id("r", order), &act, "Li Wei", None, now())
            .unwrap();
        desk.tell(&[told("r", order, 2, "confirmed", money("4.00", "CNY"))]);
        desk.tell(&[told(
            "r",
            order,
            3,
            "undetermined",
            json!({ "amount": "4.00" }),
        )]);
    }
    // Smaller, or not judged for a while, is nothing new for those who know of it.
    assert!(
        desk.list(
            &Filter {
                worse: Some(true),
                ..Filter::default()
            },
            Order::Time,
            9
        )
        .is_empty()
    );
    assert_eq!(
        keys(&desk.list(
            &Filter {
                open: Some(true),
                ..Filter::default()
            },
            Order::Time,
            9
        )),
        ["E1"]
    );

    for order in ["E1", "E2", "E3"] {
        desk.tell(&[told("r", order, 4, "confirmed", money("5.01", "CNY"))]);
    }
    let row = desk.get("r", "E1");
    assert!(row.worse && row.open && row.handling == Handling::Acknowledged);
    let said = desk
        .store
        .history(&id("r", "E1"), 0, 500)
        .unwrap()
        .pop()
        .unwrap();
    let What::Worse { reason } = said.what else {
        panic!("{said:?}")
    };
    assert_eq!(reason, "5.01 CNY are at risk, and were 5.00 CNY");
    for order in ["E2", "E3"] {
        let row = desk.get("r", order);
        assert!(
            row.open && row.handling == Handling::New && !row.worse,
            "{order}"
        );
        assert_eq!(desk.history("r", order).last().unwrap(), "reopened");
    }
    // It is said again when it has grown further, and not when it has not.
    desk.tell(&[told("r", "E1", 5, "confirmed", money("5.005", "CNY"))]);
    desk.tell(&[told("r", "E1", 6, "confirmed", money("7", "CNY"))]);
    let history = desk.history("r", "E1");
    assert_eq!(
        history[history.len() - 4..],
        ["worse", "told", "told", "worse"]
    );
    // Whoever acknowledges it anew knows of that.
    desk.store
        .act(&id("r", "E1"), &acknowledge(), "Li Wei", None, now())
        .unwrap();
    assert!(!desk.get("r", "E1").worse);
}

#[test]
fn what_is_confirmed_now_is_worse_than_what_could_not_be_judged() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "undetermined", json!({}))]);
    desk.store
        .act(&id("r", "E1"), &resolve(), "Li Wei", None, now())
        .unwrap();
    desk.tell(&[told("r", "E1", 2, "confirmed", json!({}))]);
    assert!(desk.get("r", "E1").open);
    // Another currency cannot be compared, so it is told.
    desk.tell(&[told("r", "E2", 1, "confirmed", money("5", "USD"))]);
    desk.store
        .act(&id("r", "E2"), &acknowledge(), "Li Wei", None, now())
        .unwrap();
    desk.tell(&[told("r", "E2", 2, "confirmed", money("4", "CNY"))]);
    assert!(desk.get("r", "E2").worse);
}

#[test]
fn every_verdict_is_kept_and_the_broken_ones_are_open() {
    let mut desk = Desk::new();
    let verdicts = [
        "suspected",
        "confirmed",
        "cleared",
        "recovered",
        "undetermined",
        "rule_changed",
    ];
    for verdict in verdicts {
        desk.tell(&[told("r", verdict, 1, verdict, json!({}))]);
    }
    let open = desk.list(
        &Filter {
            open: Some(true),
            ..Filter::default()
        },
        Order::Time,
        2,
    );
    let mut open = keys(&open);
    open.sort();
    assert_eq!(open, ["confirmed", "suspected", "undetermined"]);
}

#[test]
fn evidence_is_kept_as_it_was_told_under_each_sequence() {
    let mut desk = Desk::new();
    for (sequence, settled) in [(1, "10.00"), (2, "20.00")] {
        let evidence =
            json!({ "evidence": { "rows": [{ "settled": settled, "paid": null }], "total": 1 } });
        desk.tell(&[told("r", "E1", sequence, "confirmed", evidence)]);
    }
    for (sequence, settled) in [(1, "10.00"), (2, "20.00")] {
        let finding = desk.store.told(&id("r", "E1"), sequence).unwrap().unwrap();
        assert_eq!(
            finding.evidence.rows[0]["settled"].as_deref(),
            Some(settled)
        );
    }
    assert_eq!(desk.store.told(&id("r", "E1"), 3).unwrap(), None);
    assert_eq!(desk.store.told("nothing", 1).unwrap(), None);
    // A history is read in pages too.
    let first = desk.store.history(&id("r", "E1"), 0, 1).unwrap();
    let second = desk
        .store
        .history(&id("r", "E1"), first[0].number, 1)
        .unwrap();
    assert!(
        matches!((&first[0].what, &second[0].what), (What::Told { finding: one }, What::Told { finding: two }) if one.sequence == 1 && two.sequence == 2)
    );
}

#[test]
fn owners_notes_and_other_acts_are_entries_with_who_and_when() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", json!({}))]);
    let finding = id("r", "E1");
    let acts = [
        Act::Assign {
            owner: Some("Chen".into()),
        },
        Act::Note {
            text: "退款系统 has it in\ntwo batches".into(),
        },
        acknowledge(),
        Act::Reopen {
            reason: "not mine".into(),
        },
        Act::Assign { owner: None },
    ];
    for act in &acts {
        desk.store
            .act(&finding, act, "Li Wei", None, now())
            .unwrap();
        if *act == acts[0] {
            assert_eq!(desk.get("r", "E1").owner, "Chen");
            let of = |owner: &str| Filter {
                owners: vec![owner.into()],
                ..Filter::default()
            };
            assert_eq!(desk.list(&of("Chen"), Order::Time, 9).len(), 1);
            assert!(desk.list(&of("settlement"), Order::Time, 9).is_empty());
        }
    }
    let row = desk.get("r", "E1");
    assert_eq!(
        (row.owner.as_str(), row.handling, row.acts),
        ("settlement", Handling::New, 5)
    );
    assert_eq!(
        desk.history("r", "E1"),
        [
            "told",
            "assigned",
            "note",
            "acknowledged",
            "reopened",
            "assigned"
        ]
    );
    let entries = desk.store.history(&finding, 0, 500).unwrap();
    assert!(
        entries[1..]
            .iter()
            .all(|entry| entry.by == "Li Wei" && entry.at == "2026-11-23T09:00:00Z")
    );
    assert_eq!(
        entries[2].what,
        What::Note {
            text: "退款系统 has it in\ntwo batches".into()
        }
    );
    // Notes are found by their words.
    let found = |text: &str| {
        let filter = Filter {
            text: Some(text.into()),
            ..Filter::default()
        };
        desk.list(&filter, Order::Time, 9).len()
    };
    assert_eq!(
        [
            found("款系"),
            found("batch"),
            found("two 退款"),
            found("three")
        ],
        [1, 1, 1, 0]
    );
}

#[test]
fn an_act_on_what_changed_meanwhile_is_refused() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", money("5", "CNY"))]);
    let seen = desk.get("r", "E1").last_entry;
    desk.tell(&[told("r", "E1", 2, "confirmed", money("5000", "CNY"))]);
    let refused = desk
        .store
        .act(&id("r", "E1"), &resolve(), "Li Wei", Some(seen), now())
        .unwrap_err();
    assert!(matches!(refused, FindingsError::Changed(_)), "{refused}");
    assert!(refused.to_string().contains("look at it again"));
    assert_eq!(desk.history("r", "E1"), ["told", "told"]);
    let seen = desk.get("r", "E1").last_entry;
    desk.store
        .act(&id("r", "E1"), &resolve(), "Li Wei", Some(seen), now())
        .unwrap();
}

#[test]
fn acts_that_cannot_be_are_refused_with_a_remedy_and_leave_nothing() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", json!({}))]);
    let note = |text: &str| Act::Note { text: text.into() };
    let long = "x".repeat(8 * 1024 + 1);
    let cases = [
        ("E1", note(" "), "Li Wei", "the note is empty"),
        (
            "E1",
            note(&long),
            "Li Wei",
            "has 8193 bytes, and may have 8192",
        ),
        (
            "E1",
            Act::FalseAlarm {
                reason: String::new(),
            },
            "Li Wei",
            "the reason is empty",
        ),
        (
            "E1",
            Act::Resolve {
                reason: long.clone(),
            },
            "Li Wei",
            "the reason has 8193 bytes",
        ),
        (
            "E1",
            Act::Assign {
                owner: Some("a\nb".into()),
            },
            "Li Wei",
            "the owner is no name",
        ),
        ("E1", note("n"), "", "who does it is no name"),
        ("E1", note("n"), "\u{1b}[2J", "who does it is no name"),
        ("E9", note("n"), "Li Wei", "there is no finding"),
    ];
    for (order, act, by, said) in cases {
        let refused = desk
            .store
            .act(&id("r", order), &act, by, None, now())
            .unwrap_err();
        assert!(matches!(refused, FindingsError::Refused { .. }));
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert_eq!(desk.history("r", "E1"), ["told"]);
    // The longest note is one.
    desk.store
        .act(&id("r", "E1"), &note(&long[1..]), "Li Wei", None, now())
        .unwrap();
    for _ in 1..centinel_findings::MOST_ACTS {
        desk.store
            .act(&id("r", "E1"), &note("n"), "Li Wei", None, now())
            .unwrap();
    }
    let refused = desk
        .store
        .act(&id("r", "E1"), &note("n"), "Li Wei", None, now())
        .unwrap_err();
    assert!(
        refused.to_string().contains("1000 things were done"),
        "{refused}"
    );
}

#[test]
fn what_people_did_is_told_over_all_findings_the_newest_first() {
    let mut desk = Desk::new();
    let told = |order: &str| told("r", order, 1, "confirmed", json!({}));
    desk.tell(&[told("E1"), told("E2")]);
    assert!(desk.store.acts_of_people(None, 10).unwrap().is_empty());
    let before = desk.store.newest_entry().unwrap();
    let mut act = |order: &str, text: &str, time: &str| {
        let act = Act::Note { text: text.into() };
        let now = at(time);
        desk.store
            .act(&id("r", order), &act, "ann", None, now)
            .unwrap()
    };
    act("E1", "first", "2026-11-23T09:00:00Z");
    act("E2", "second", "2026-11-23T10:00:00Z");
    let last = act("E1", "third", "2026-11-23T10:00:00Z");
    assert!(before < last && desk.store.newest_entry().unwrap() == last);

    let page = |before| {
        let acts = desk.store.acts_of_people(before, 2).unwrap();
        let shown = acts
            .iter()
            .map(|(finding, entry)| (finding.clone(), entry.what.clone()));
        let next = acts.last().map(|(_, entry)| (at(&entry.at), entry.number));
        (shown.collect::<Vec<_>>(), next)
    };
    let note = |order: &str, text: &str| (id("r", order), What::Note { text: text.into() });
    let (first, next) = page(None);
    assert_eq!(first, [note("E1", "third"), note("E2", "second")]);
    let (rest, next) = page(next);
    assert_eq!(rest, [note("E1", "first")]);
    assert!(page(next).0.is_empty());

    // Nobody acts under the name that the store gives to what it concludes itself.
    let note = Act::Note { text: "x".into() };
    let refused = desk
        .store
        .act(&id("r", "E1"), &note, "detection", None, now());
    assert!(matches!(refused, Err(FindingsError::Refused { .. })));
}
