//! What platforms put into their rows reaches the store: it is kept as it is, and does nothing.

use centinel_findings::{Act, By, Filter, Order};
use serde_json::json;

use crate::support::{Desk, id, now, told};

const HOSTILE: [&str; 10] = [
    "'; DROP TABLE findings; --",
    "\" OR 1=1 --",
    "<script>alert(1)</script>",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "=HYPERLINK(\"http://x\")",
    "a\u{0}b",
    "\u{202e}gnp.exe",
    "%' OR '1'='1",
    "line one\nline two\r",
    "NEAR(\"a\" *) AND NOT {words}: ^x",
];

#[test]
fn hostile_values_are_data_in_every_field() {
    let mut desk = Desk::new();
    for (at, text) in HOSTILE.iter().enumerate() {
        let fields = json!({
            "title": text, "owner": text, "entity": text, "hint": text, "rule_version": text,
            "currency": text, "amount": "5", "evidence": { "rows": [{ *text: text }], "total": 1 },
        });
        let caught = desk.tell(&[told(text, text, 1, "confirmed", fields)]);
        assert_eq!(caught.taken.told, 1, "{text:?}");
        let act = Act::Note {
            text: (*text).to_owned(),
        };
        desk.store
            .act(&id(text, text), &act, "Li Wei", None, now())
            .unwrap();
        let act = Act::FalseAlarm {
            reason: (*text).to_owned(),
        };
        desk.store
            .act(&id(text, text), &act, "Li Wei", None, now())
            .unwrap();
        assert_eq!(desk.list(&Filter::default(), Order::Money, 3).len(), at + 1);
    }
    for text in HOSTILE {
        let row = desk.get(text, text);
        assert_eq!(row.finding.entity_key, text);
        assert_eq!(row.finding.evidence.rows[0][text].as_deref(), Some(text));
        assert_eq!(row.handled.unwrap().reason.as_deref(), Some(text));
        let one = [
            Filter {
                rules: vec![text.into()],
                ..Filter::default()
            },
            Filter {
                owners: vec![text.into()],
                ..Filter::default()
            },
            Filter {
                entity_key: Some(text.into()),
                ..Filter::default()
            },
        ];
        for filter in one {
            let rows = desk.list(&filter, Order::Time, 3);
            assert_eq!(rows.len(), 1, "{text:?}");
            assert_eq!(rows[0].finding.rule, text);
        }
        let filter = Filter {
            text: Some(text.into()),
            ..Filter::default()
        };
        let found = desk.list(&filter, Order::Time, 3);
        assert!(found.iter().any(|row| row.finding.rule == text), "{text:?}");
        assert!(desk.store.id_that_begins(text).is_err());
        assert!(desk.store.get(text).unwrap().is_none());
    }
    // Nothing of it is a currency, so it is in no sum, and said to be in none.
    let all = desk.store.figures(&Filter::default(), By::All).unwrap();
    assert_eq!(
        (all[0].findings, all[0].unsummed, all[0].at_risk.len()),
        (10, 10, 0)
    );
    let mut names: Vec<String> = desk
        .store
        .figures(&Filter::default(), By::Rule)
        .unwrap()
        .into_iter()
        .map(|figure| figure.name)
        .collect();
    let mut rules: Vec<String> = HOSTILE.map(str::to_owned).to_vec();
    names.sort();
    rules.sort();
    assert_eq!(names, rules);
}

#[test]
fn searches_are_words_and_never_a_language() {
    let mut desk = Desk::new();
    let evidence =
        json!({ "evidence": { "rows": [{ "merchant": "M-0017", "state": "PAID" }], "total": 1 } });
    desk.tell(&[told("r", "2026112208000001", 1, "confirmed", evidence)]);
    let found = |text: &str| {
        let filter = Filter {
            text: Some(text.into()),
            ..Filter::default()
        };
        desk.store
            .page(&filter, Order::Time, None, 9)
            .map(|page| page.rows.len())
            .map_err(|error| error.to_string())
    };
    for (text, rows) in [
        ("2026112208", 1),
        ("M-0017", 1),
        ("m-00", 1),
        ("paid 2026", 1),
        ("paid OR nothing", 0),
        ("NOT paid", 0),
        ("words:paid", 0),
        ("0017", 1),
    ] {
        assert_eq!(found(text), Ok(rows), "{text}");
    }
    for text in [
        "",
        "  ",
        "\"*",
        "'",
        "a b c d e f g h i j k",
        &"x".repeat(201),
    ] {
        assert!(
            found(text).unwrap_err().contains("cannot be searched for"),
            "{text}"
        );
    }
}
