//! Lists and figures.

use centinel_findings::{By, Cursor, Filter, FindingsError, Order};
use centinel_model::{Severity, Timestamp};
use serde_json::{Value, json};

use crate::support::{Desk, at, keys, money, told};

fn all() -> Filter {
    Filter::default()
}

#[test]
fn the_newest_or_the_largest_stand_first_and_currencies_are_not_mixed() {
    let mut desk = Desk::new();
    let line = |order: &str, hour: u32, amount: Option<&str>, currency: &str| {
        let change = json!({
            "anchor": format!("2026-11-22T{hour:02}:00:00Z"), "amount": amount, "currency": amount.map(|_| currency),
        });
        told(&format!("rule-{}", hour % 2), order, 1, "confirmed", change)
    };
    desk.tell(&[
        line("E1", 8, Some("9.99"), "CNY"),
        line("E2", 9, Some("10"), "CNY"),
        line("E3", 7, Some("1000000"), "JPY"),
        line("E4", 7, None, ""),
        line("E5", 8, Some("9.990"), "CNY"),
        line("E6", 6, Some("0.5"), "yuan"),
    ]);
    for limit in [1, 2, 5, 6, 500] {
        // Of one moment the largest, of one amount the one that came last.
        let rows = desk.list(&all(), Order::Time, limit);
        assert_eq!(keys(&rows), ["E2", "E5", "E1", "E3", "E4", "E6"], "{limit}");
        let rows = desk.list(&all(), Order::Money, limit);
        assert_eq!(keys(&rows), ["E2", "E5", "E1", "E3", "E6", "E4"], "{limit}");
    }
    let figures = desk.store.figures(&all(), By::All).unwrap();
    let sums: Vec<(&str, &str)> = figures[0]
        .at_risk
        .iter()
        .map(|(code, sum)| (code.as_str(), sum.as_str()))
        .collect();
    assert_eq!(sums, [("CNY", "29.98"), ("JPY", "1000000")]);
    assert_eq!((figures[0].findings, figures[0].unsummed), (6, 1));
}

#[test]
fn pages_go_on_where_they_ended_while_findings_come() {
    let mut desk = Desk::new();
    let line = |n: u32| {
        let change = json!({ "anchor": format!("2026-11-22T08:{:02}:00Z", n % 60) });
        told("r", &format!("E{n}"), 1, "confirmed", change)
    };
    desk.tell(&(0..10).map(line).collect::<Vec<_>>());
    let first = desk.store.page(&all(), Order::Time, None, 4).unwrap();
    assert_eq!(keys(&first.rows), ["E9", "E8", "E7", "E6"]);
    desk.tell(&(10..20).map(line).collect::<Vec<_>>());
    // A cursor is text in between, as in a URL.
    let cursor = Cursor::parse(&first.next.unwrap().to_string()).unwrap();
    let second = desk
        .store
        .page(&all(), Order::Time, Some(&cursor), 4)
        .unwrap();
    assert_eq!(keys(&second.rows), ["E5", "E4", "E3", "E2"]);
}

#[test]
fn times_at_the_edges_are_times_as_well() {
    let mut desk = Desk::new();
    for (order, anchor) in [
        ("E1", "the end"),
        ("E2", "before everything"),
        ("E3", "2026-11-22T08:00:00Z"),
    ] {
        desk.tell(&[told(
            "r",
            order,
            1,
            "confirmed",
            json!({ "anchor": anchor, "judged_at": "the end", "amount": "1", "currency": "CNY" }),
        )]);
    }
    assert_eq!(keys(&desk.list(&all(), Order::Time, 1)), ["E1", "E3", "E2"]);
    let from = Filter {
        from: Some(at("2026-11-22T00:00:00Z")),
        ..all()
    };
    let until = Filter {
        until: Some(at("2026-11-22T00:00:00Z")),
        ..all()
    };
    for (filter, wanted) in [(from, vec!["E1", "E3"]), (until, vec!["E2"])] {
        for order in [Order::Time, Order::Money] {
            for look_through in [0, 100] {
                desk.store.look_through(look_through);
                assert_eq!(keys(&desk.list(&filter, order, 1)), wanted);
            }
        }
    }
    let days = desk.store.figures(&all(), By::Day).unwrap();
    let days: Vec<&str> = days.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(days, ["before everything", "2026-11-22", "the end"]);
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_remedy() {
    let mut desk = Desk::new();
    desk.tell(&[
        told("r", "E1", 1, "confirmed", json!({})),
        told("r", "E2", 1, "confirmed", json!({})),
    ]);
    let refused = |result: Result<_, FindingsError>| {
        let error = result.map(drop).unwrap_err();
        assert!(matches!(error, FindingsError::Refused { .. }), "{error}");
        error.to_string()
    };
    for limit in [0, 501] {
        let said = refused(desk.store.page(&all(), Order::Time, None, limit));
        assert!(said.contains("ask for 1 to 500"), "{said}");
    }
    let next = desk
        .store
        .page(&all(), Order::Time, None, 1)
        .unwrap()
        .next
        .unwrap();
    let said = refused(desk.store.page(&all(), Order::Money, Some(&next), 1));
    assert!(said.contains("begin with the first page"), "{said}");
    for text in [
        "",
        "t",
        "t_CNY_1_zz_1",
        "t_CNY_1_0_1",
        "x__1__1",
        "t__1__1_2",
        "m_LONG_1_00_1",
        "t__9999999999999999999__1",
    ] {
        let said = refused(
            Cursor::parse(text).map(|_| desk.store.page(&all(), Order::Time, None, 1).unwrap()),
        );
        assert!(said.contains("no place in a list"), "{text}: {said}");
    }
    let many = Filter {
        rules: vec!["r".into(); 1_001],
        ..all()
    };
    assert!(refused(desk.store.page(&many, Order::Time, None, 1)).contains("ask for fewer"));
    let part_of_a_day = Filter {
        from: Some(at("2026-11-22T08:00:00Z")),
        ..all()
    };
    let figures = desk
        .store
        .figures(&part_of_a_day, By::All)
        .unwrap_err()
        .to_string();
    assert!(figures.contains("begin at 00:00 UTC"), "{figures}");
    let said = desk.store.id_that_begins("").unwrap_err().to_string();
    assert!(said.contains("no finding begins"), "{said}");
    let id = crate::support::id("r", "E1");
    assert_eq!(desk.store.id_that_begins(&id[..8]).unwrap(), id);
    assert_eq!(desk.store.id_that_begins(&id).unwrap(), id);
}

#[test]
fn a_search_that_fits_too_much_is_refused_and_never_cut() {
    let mut desk = Desk::new();
    let line = |n: usize| {
        let evidence = json!({ "evidence": { "rows": [{ "state": "PAID" }], "total": 1 } });
        told(
            if n.is_multiple_of(2) { "even" } else { "odd" },
            &format!("E{n}"),
            1,
            "confirmed",
            evidence,
        )
    };
    desk.tell(
        &(0..=centinel_findings::MOST_FITTING)
            .map(line)
            .collect::<Vec<Value>>(),
    );
    let search = |text: &str, entity: Option<&str>| {
        let filter = Filter {
            text: Some(text.into()),
            entity_key: entity.map(str::to_owned),
            ..all()
        };
        desk.store
            .page(&filter, Order::Time, None, 500)
            .map(|page| page.rows.len())
    };
    let refused = search("paid", None).unwrap_err().to_string();
    assert!(
        refused.contains("more than 20000 findings have these words"),
        "{refused}"
    );
    assert_eq!(search("paid E1799", None).unwrap(), 11);
    assert_eq!(search("paid", Some("E17")).unwrap(), 1);
}

#[test]
fn figures_follow_what_happens() {
    let mut desk = Desk::new();
    desk.tell(&[
        told("r", "E1", 1, "confirmed", money("0.10", "CNY")),
        told("r", "E2", 1, "confirmed", money("0.20", "CNY")),
        told(
            "s",
            "E1",
            1,
            "undetermined",
            json!({ "severity": "critical" }),
        ),
    ]);
    let open = Filter {
        open: Some(true),
        ..all()
    };
    let sum = |desk: &Desk| {
        let figures = desk.store.figures(&open, By::All).unwrap();
        figures
            .first()
            .map(|figure| (figure.findings, figure.at_risk.get("CNY").cloned()))
    };
    assert_eq!(sum(&desk), Some((3, Some("0.3".into()))));
    desk.tell(&[told("r", "E2", 2, "recovered", money("0.20", "CNY"))]);
    assert_eq!(sum(&desk), Some((2, Some("0.1".into()))));
    let severities = desk.store.figures(&open, By::Severity).unwrap();
    let named: Vec<(&str, u64)> = severities
        .iter()
        .map(|figure| (figure.name.as_str(), figure.findings))
        .collect();
    assert_eq!(named, [("critical", 1), ("error", 1)]);
    let critical = Filter {
        severities: vec![Severity::Critical],
        from: Some(Timestamp(0)),
        ..open.clone()
    };
    assert_eq!(
        desk.store.figures(&critical, By::Day).unwrap()[0].name,
        "2026-11-22"
    );
}
