#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Writes a document as MySQL keeps it, with two bytes for each number in it or with four.
fn encode(value: &Value, large: bool) -> Vec<u8> {
    let (kind, bytes) = encode_value(value, large);
    [vec![kind], bytes].concat()
}

fn encode_value(value: &Value, large: bool) -> (u8, Vec<u8>) {
    let small = |kind: u8| kind + u8::from(large);
    match value {
        Value::Null => (kinds::LITERAL, vec![0]),
        Value::Bool(truth) => (kinds::LITERAL, vec![if *truth { 1 } else { 2 }]),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) if i16::try_from(number).is_ok() => {
                (kinds::INT16, (number as i16).to_le_bytes().to_vec())
            }
            (Some(number), _) if i32::try_from(number).is_ok() => {
                (kinds::INT32, (number as i32).to_le_bytes().to_vec())
            }
            (Some(number), _) => (kinds::INT64, number.to_le_bytes().to_vec()),
            (None, Some(number)) => (kinds::UINT64, number.to_le_bytes().to_vec()),
            _ => (
                kinds::DOUBLE,
                number.as_f64().unwrap().to_le_bytes().to_vec(),
            ),
        },
        Value::String(text) => (
            kinds::STRING,
            [length_of(text.len()), text.clone().into_bytes()].concat(),
        ),
        Value::Array(items) => (
            small(kinds::SMALL_ARRAY),
            container(&[], items.iter(), large),
        ),
        Value::Object(map) => {
            let keys: Vec<&String> = map.keys().collect();
            (
                small(kinds::SMALL_OBJECT),
                container(&keys, map.values(), large),
            )
        }
    }
}

fn length_of(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length > 0x7f {
        bytes.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

fn container<'a>(
    keys: &[&String],
    values: impl ExactSizeIterator<Item = &'a Value>,
    large: bool,
) -> Vec<u8> {
    let number = if large { 4 } else { 2 };
    let put =
        |value: usize, into: &mut Vec<u8>| into.extend(&(value as u32).to_le_bytes()[..number]);
    let count = values.len();
    let head = 2 * number + keys.len() * (number + 2) + count * (number + 1);
    let (mut entries, mut tail) = (Vec::new(), Vec::new());
    for key in keys {
        put(head + tail.len(), &mut entries);
        entries.extend((key.len() as u16).to_le_bytes());
        tail.extend(key.as_bytes());
    }
    for value in values {
        let (kind, bytes) = encode_value(value, large);
        entries.push(kind);
        let inlined =
            matches!(kind, kinds::LITERAL | kinds::INT16) || large && kind == kinds::INT32;
        if inlined {
            entries.extend(&[bytes, vec![0; 4]].concat()[..number]);
        } else {
            put(head + tail.len(), &mut entries);
            tail.extend(bytes);
        }
    }
    let mut whole = Vec::new();
    put(count, &mut whole);
    put(head + tail.len(), &mut whole);
    [whole, entries, tail].concat()
}

fn opaque(kind: u8, value: &[u8]) -> String {
    let document = [&[kinds::OPAQUE, kind, value.len() as u8], value].concat();
    text(&document).unwrap()
}

#[test]
fn documents_read_as_the_server_shows_them() {
    let document = json!({"a": [1, -70_000, 5_000_000_000_i64, u64::MAX, true, null], "b": {"c": "付\"款\\\n\u{1}"}});
    let shown = "{\"a\": [1, -70000, 5000000000, 18446744073709551615, true, null], \
                 \"b\": {\"c\": \"付\\\"款\\\\\\n\\u0001\"}}";
    for large in [false, true] {
        assert_eq!(text(&encode(&document, large)).unwrap(), shown);
    }
    assert_eq!(text(&[]).unwrap(), "null");
    assert_eq!(text(&encode(&json!({}), false)).unwrap(), "{}");
    assert_eq!(text(&encode(&json!([[]]), false)).unwrap(), "[[]]");
}

#[test]
fn doubles_are_written_as_the_server_writes_them() {
    let cases = [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e14, "100000000000000.0"),
        (1e15, "1e15"),
        (1.5e300, "1.5e300"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (-0.0, "-0.0"),
    ];
    for (number, shown) in cases {
        let document = [&[kinds::DOUBLE][..], &f64::to_le_bytes(number)].concat();
        assert_eq!(text(&document).unwrap(), shown);
    }
}

/// Amounts in a document keep every digit; 1234567890.1234 as MySQL's manual writes DECIMAL(14,4).
#[test]
fn decimals_in_documents_keep_their_digits() {
    let positive = [14, 4, 0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
    assert_eq!(opaque(246, &positive), "1234567890.1234");
    let mut negative = positive;
    negative[2..].iter_mut().for_each(|byte| *byte = !*byte);
    assert_eq!(opaque(246, &negative), "-1234567890.1234");
    // 1.10, 0.05 and -0.05 as DECIMAL(3,2), 7 as DECIMAL(1,0).
    assert_eq!(opaque(246, &[3, 2, 0x81, 10]), "1.10");
    assert_eq!(opaque(246, &[3, 2, 0x80, 5]), "0.05");
    assert_eq!(opaque(246, &[3, 2, !0x80, !5]), "-0.05");
    assert_eq!(opaque(246, &[1, 0, 0x87]), "7");
}

#[test]
fn times_in_documents_are_texts() {
    let day = (2015 * 13 + 1) << 5 | 15_i64;
    let date_time = |hour: i64, minute: i64, second: i64, micros: i64| {
        ((day << 17 | hour << 12 | minute << 6 | second) << 24 | micros).to_le_bytes()
    };
    assert_eq!(
        opaque(12, &date_time(23, 24, 25, 12)),
        "\"2015-01-15 23:24:25.000012\""
    );
    assert_eq!(opaque(10, &date_time(0, 0, 0, 0)), "\"2015-01-15\"");
    let time = (838_i64 << 12 | 59 << 6 | 1) << 24 | 500_000;
    assert_eq!(opaque(11, &time.to_le_bytes()), "\"838:59:01.500000\"");
    assert_eq!(opaque(11, &(-time).to_le_bytes()), "\"-838:59:01.500000\"");
}

#[test]
fn what_has_no_text_is_refused() {
    let refused = text(&[kinds::OPAQUE, 252, 1, 0xff]).unwrap_err();
    assert!(refused.message.contains("type 252"), "{}", refused.message);
    for document in [
        &[13][..],
        &[0],
        &[kinds::STRING, 5, b'a'],
        &[kinds::STRING, 1, 0xff],
        &[kinds::LITERAL, 3],
    ] {
        assert_eq!(
            text(document).unwrap_err().reason,
            HoleReason::Malformed,
            "{document:?}"
        );
    }
    let infinite = [&[kinds::DOUBLE][..], &f64::INFINITY.to_le_bytes()].concat();
    assert!(text(&infinite).is_err());
}

#[test]
fn nesting_and_growth_have_an_end() {
    let mut deep = json!(1);
    for _ in 0..99 {
        deep = json!([deep]);
    }
    assert!(text(&encode(&deep, true)).is_ok());
    assert!(text(&encode(&json!([[deep]]), true)).is_err());
    // Every array points twice at the next: 2^60 elements in some hundred bytes.
    let mut document = vec![kinds::SMALL_ARRAY];
    for _ in 0..60 {
        document.extend([
            2,
            0,
            0xff,
            0xff,
            kinds::SMALL_ARRAY,
            10,
            0,
            kinds::SMALL_ARRAY,
            10,
            0,
        ]);
    }
    document.resize(0x1_0000, 0);
    let mut fitting = document.clone();
    for level in 0..60 {
        let left = (0x1_0000 - 1 - level * 10) as u16;
        fitting[1 + level * 10 + 2..][..2].copy_from_slice(&left.to_le_bytes());
    }
    assert!(text(&fitting).is_err());
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-40_000..40_000i64).prop_map(Value::from),
        // Halves and quarters, which every reader of JSON reads exactly.
        (-4_000_000..4_000_000i64).prop_map(|number| Value::from(number as f64 / 64.0)),
        ".{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,10}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn documents_come_back(document in any_document(), large in any::<bool>()) {
        let text = text(&encode(&document, large)).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, document);
    }

    #[test]
    fn damaged_documents_are_read_or_refused(
        document in any_document(), large in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        other in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = encode(&document, large);
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = text(&bytes);
        let _ = text(&other);
    }
}
