//! Whatever a topic carries: no panic, at least one line for each message, offsets that rise.

use centinel_model::{LineContent, Timestamp};
use centinel_source::{DebeziumOptions, Decimals, Format, IntegerTimes};
use proptest::prelude::*;

use crate::support::{MILLIS, NOW, Sent, decoder, partition};
use crate::{canal, debezium, maxwell};

fn formats() -> Vec<Format> {
    let debezium = |flattened| {
        Format::Debezium(DebeziumOptions {
            flattened,
            decimals: Some(Decimals::String),
            times: Some(IntegerTimes::Millis),
            servers: Vec::new(),
        })
    };
    vec![
        Format::Lines,
        Format::JsonEvent {
            event: "received".into(),
        },
        Format::JsonEvent {
            event: "plain".into(),
        },
        debezium(false),
        debezium(true),
        Format::Debezium(DebeziumOptions::default()),
        Format::Canal,
        Format::Maxwell,
    ]
}

/// Good messages of all formats.
fn good() -> Vec<String> {
    let rows = format!("[{},{}]", canal::row(1, "1.00"), canal::row(2, "2.00"));
    let create = debezium::create(1, "12.50");
    vec![
        format!(r#"{{"schema":{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{{"field":"amount","type":"string"}}]}}]}},"payload":{create}}}"#),
        debezium::envelope("u", &debezium::row(1, "1.00"), &debezium::row(1, "2.00"), 5),
        debezium::envelope("d", &debezium::row(1, "AIA="), "null", 5),
        create,
        canal::message("INSERT", &rows, "null", MILLIS),
        canal::message("UPDATE", &rows, r#"[{"amount":"9.00"},{"order_no":"o7"}]"#, MILLIS),
        maxwell::message("update", r#","position":"a.000001:5""#, &maxwell::row(1, "1.00"), r#","old":{"amount":1e2}"#),
        r#"{"table":"payment","op":"insert","epoch":1,"sequence":9,"ordinal":0,"committed_at":"2026-11-22T07:59:00Z","after":{"payment_no":"P1","order_no":"o1","amount":"1.00"}}"#.to_owned(),
        r#"{"message_id":"m-1","order_no":"o1","committed_at":"2026-11-22T15:59:00+08:00"}"#.to_owned(),
    ]
}

fn check(values: &[Option<Vec<u8>>]) {
    let sent: Vec<Sent> = values
        .iter()
        .map(|value| Sent {
            key: Some("7".into()),
            value: value.clone(),
            headers: vec![("ce_id".into(), b"m".to_vec())],
            written_at: None,
        })
        .collect();
    for format in formats() {
        let mut decoder = decoder(format.clone());
        let messages = partition("t/0", &sent);
        let expected: Vec<(u64, u64)> = messages
            .messages
            .iter()
            .map(|message| {
                (
                    message.offset,
                    message.value.as_ref().map_or(0, |range| range.len() as u64),
                )
            })
            .collect();
        let chunk = decoder
            .decode(messages, Timestamp::parse(NOW).unwrap())
            .unwrap();
        let mut lines = chunk.lines.iter().peekable();
        for (offset, length) in expected {
            let first = lines.next().unwrap();
            assert_eq!((first.offset, first.length), (offset, length), "{format:?}");
            while let Some(line) = lines.next_if(|line| line.offset == offset) {
                assert_eq!(line.length, 0, "{format:?}");
            }
        }
        assert!(lines.next().is_none(), "{format:?}");
        let count = |wanted: fn(&LineContent) -> bool| {
            chunk
                .lines
                .iter()
                .filter(|line| wanted(&line.content))
                .count()
        };
        let rows = count(|content| {
            matches!(
                content,
                LineContent::Change { .. } | LineContent::Event { .. }
            )
        });
        let holes = count(|content| matches!(content, LineContent::Hole { .. }));
        assert_eq!(holes, chunk.holes.len());
        assert_eq!(
            rows,
            chunk.tables.iter().map(|table| table.len()).sum::<usize>()
        );
        for table in &chunk.tables {
            assert_eq!(
                table.before.rows.num_rows(),
                table.before.row.iter().flatten().count()
            );
            assert_eq!(
                table.after.rows.num_rows(),
                table.after.row.iter().flatten().count()
            );
        }
        // At most one hole for each message: they are told apart by their place.
        let mut places: Vec<_> = chunk
            .holes
            .iter()
            .map(|hole| hole.position.place())
            .collect();
        places.dedup();
        assert_eq!(places.len(), chunk.holes.len());
    }
}

#[test]
fn good_messages_of_other_formats_are_no_harm() {
    let values: Vec<_> = good()
        .into_iter()
        .map(|value| Some(value.into_bytes()))
        .collect();
    check(&values);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_lines(values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 0..4)) {
        check(&values);
    }

    #[test]
    fn anything_like_json_is_lines(value in r#"[\[\]{}",:0-9eE.\-a ]{0,40}"#) {
        check(&[Some(value.into_bytes())]);
    }

    #[test]
    fn good_messages_that_were_changed_are_lines(
        which in 0_usize..9,
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        with in prop_oneof![
            Just(String::new()),
            Just("null".to_owned()),
            Just("-1".to_owned()),
            Just("{}".to_owned()),
            Just("[]".to_owned()),
            Just(r#""x""#.to_owned()),
            "[ -~]{1,6}",
        ],
    ) {
        let good = good();
        let value = &good[which];
        let start = at.index(value.len());
        let end = (start + length).min(value.len());
        let changed = format!("{}{with}{}", &value[..start], &value[end..]);
        check(&[Some(changed.into_bytes()), Some(value.clone().into_bytes())]);
    }

    /// The same with a whole value of the message in the place of another.
    #[test]
    fn good_messages_with_other_values_are_lines(
        which in 0_usize..9,
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["null", "true", "0", "-5", "1e400", "1.5", r#""""#, r#""1234""#, r#""\ud800""#, "[]", "[[]]", "{}", r#"{"a":1}"#, "99999999999999999999"]),
    ) {
        let value = good()[which].clone();
        let places: Vec<usize> = value.match_indices(':').map(|(place, _)| place + 1).collect();
        let start = places[at.index(places.len())];
        let rest = &value[start..];
        let length = match serde_json::Deserializer::from_str(rest).into_iter::<&serde_json::value::RawValue>().next() {
            Some(Ok(old)) => old.get().len(),
            _ => 0,
        };
        let changed = format!("{}{with}{}", &value[..start], &rest[length..]);
        check(&[Some(changed.into_bytes()), Some(value.into_bytes())]);
    }
}
