//! Messages and schemas that are wrong: one hole each, with the message's bytes, and no neighbour with it.

use centinel_model::HoleReason;

use super::{decode_bytes, reader};
use crate::encoder::{amount, counted, datum, long, message, row, schema};
use crate::support::{assert_hole, told};
use crate::test_registry::TestRegistry;

/// A registry that has the schema of simple rows as number 7, and a message of that.
fn plain() -> (TestRegistry, Vec<u8>) {
    let registry = TestRegistry::start();
    let columns = row(1, amount("1.00"));
    registry.register(7, &schema(&columns));
    let good = message(7, &datum("u", Some(&columns), Some(&columns), 5));
    (registry, good)
}

#[test]
fn a_bad_message_takes_nothing_else_with_it() {
    let (registry, good) = plain();
    registry.put(
        "/schemas/ids/8",
        200,
        r#"{"schema":"message M {}","schemaType":"PROTOBUF"}"#,
    );
    registry.register(9, "not json");
    registry.register(10, r#""string""#);
    let later = |number: u32| [&[0], number.to_be_bytes().as_slice(), &good[5..]].concat();
    let wrong = [
        (
            b"{}".to_vec(),
            HoleReason::UnknownForm,
            "a zero byte and the 4 bytes",
        ),
        (Vec::new(), HoleReason::UnknownForm, "a zero byte"),
        (vec![0, 0, 0, 0], HoleReason::UnknownForm, "a zero byte"),
        (
            [&[1], &good[1..]].concat(),
            HoleReason::UnknownForm,
            "correct the topic's format",
        ),
        (
            later(u32::MAX),
            HoleReason::UnknownForm,
            "no registry gives",
        ),
        (
            later(6),
            HoleReason::UnknownForm,
            "schema 6: the registry does not know it",
        ),
        (
            later(8),
            HoleReason::UnknownForm,
            "schema 8: it is PROTOBUF, not Avro",
        ),
        (
            later(9),
            HoleReason::UnknownForm,
            "schema 9: it is not JSON",
        ),
        (
            message(10, &counted("x")),
            HoleReason::UnknownForm,
            "no change of Debezium",
        ),
        (
            [good.as_slice(), &[0]].concat(),
            HoleReason::Malformed,
            "longer than its schema says",
        ),
        (
            good[..20].to_vec(),
            HoleReason::Malformed,
            "ends before its schema does",
        ),
        (
            good[..5].to_vec(),
            HoleReason::Malformed,
            "ends before its schema does",
        ),
    ];
    let mut decoder = reader(&registry);
    for (value, reason, says) in wrong {
        let chunk = decode_bytes(&mut decoder, &[good.clone(), value.clone(), good.clone()]);
        assert_hole(&chunk, reason, &[says]);
        assert_eq!(chunk.holes[0].bytes, value);
        assert_eq!(chunk.holes[0].position.place(), (102, 0));
        let told = told(&chunk);
        assert!(
            told[0].starts_with("payment Update") && told[0] == told[2],
            "{told:#?}"
        );
    }
}

#[test]
fn a_message_that_is_cut_off_anywhere_is_a_hole() {
    let (registry, good) = plain();
    let cut: Vec<Vec<u8>> = (0..good.len())
        .map(|length| good[..length].to_vec())
        .collect();
    let chunk = decode_bytes(&mut reader(&registry), &cut);
    assert_eq!(chunk.holes.len(), good.len(), "{:#?}", told(&chunk));
    assert!(chunk.tables.iter().all(|table| table.is_empty()));
}

#[test]
fn values_that_their_type_does_not_have_are_holes() {
    let registry = TestRegistry::start();
    let mut id = 0;
    let mut hole = |kind: &str, value: &[u8]| {
        id += 1;
        let schema =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{kind}}}]}}"#);
        registry.register(id, &schema);
        let chunk = decode_bytes(&mut reader(&registry), &[message(id, value)]);
        assert_eq!(chunk.holes.len(), 1);
        (chunk.holes[0].reason, chunk.holes[0].message.clone())
    };
    let malformed: [(&str, &[u8], &str); 12] = [
        (r#""boolean""#, &[2], "neither 0 nor 1"),
        (r#""int""#, &long(1 << 31), "more than 32 bits"),
        (r#""long""#, &[0xff; 11], "more than 64 bits"),
        (
            r#""long""#,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            "more than 64 bits",
        ),
        (r#""bytes""#, &long(-1), "negative length"),
        (r#""bytes""#, &long(i64::MAX), "ends before"),
        (r#"["null","long"]"#, &long(2), "no such type"),
        (r#"["null","long"]"#, &long(-1), "no such type"),
        (
            r#"{"type":"enum","name":"E","symbols":["a"]}"#,
            &long(1),
            "no such symbol",
        ),
        (
            r#"{"type":"fixed","name":"F","size":3}"#,
            &[0, 0],
            "ends before",
        ),
        (
            r#"{"type":"array","items":"long"}"#,
            &long(i64::MAX),
            "ends before",
        ),
        // A record that holds itself has no end.
        (
            r#"{"type":"record","name":"S","fields":[{"name":"s","type":"S"}]}"#,
            &[],
            "nested too deep",
        ),
    ];
    for (kind, value, says) in malformed {
        let (reason, message) = hole(kind, value);
        assert_eq!(reason, HoleReason::Malformed, "{kind}");
        assert!(message.contains(says), "{kind}: {message}");
    }
    let (reason, _) = hole(r#""string""#, &counted([0xff]));
    assert_eq!(reason, HoleReason::InvalidUtf8);
    // A few bytes that stand for more values than there is memory for.
    let (reason, _) = hole(r#"{"type":"array","items":"null"}"#, &long(i64::MAX));
    assert_eq!(reason, HoleReason::TooLong);
}

#[test]
fn schemas_that_are_not_read_say_why() {
    let registry = TestRegistry::start();
    let many: Vec<String> = (0..20_001)
        .map(|index| format!(r#"{{"name":"f{index}","type":"long"}}"#))
        .collect();
    let many = format!(
        r#"{{"type":"record","name":"R","fields":[{}]}}"#,
        many.join(",")
    );
    // Few types, and a description that would not end: each record has ten of the next.
    let members = |of: &str| {
        (0..900)
            .map(|index| format!(r#"{{"name":"{of}{index}","type":"{of}"}}"#))
            .collect::<Vec<_>>()
            .join(",")
    };
    let wide = format!(
        r#"[{{"type":"record","name":"A","fields":[{}]}}]"#,
        [
            r#"{"name":"b","type":{"type":"record","name":"B","fields":[{"name":"c","type":{"type":"record","name":"C","fields":[]}},"#.to_owned() + &members("C") + "]}}",
            members("B"),
        ].join(",")
    );
    let table = [
        (
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":["null","long","string"]}]}"#,
            "union of several types",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":[["null"],"long"]}]}"#,
            "union of several types",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":"Other"}]}"#,
            "a type that it does not define",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":"long"},{"name":"x","type":"long"}]}"#,
            "two fields of one name",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"x","type":{"type":"fixed","name":"R","size":1}}]}"#,
            "defines a type twice",
        ),
        (r#"{"type":"record","name":"R"}"#, "has no fields"),
        (r#"{"type":"record","fields":[]}"#, "has no name"),
        (r#"{"type":"enum","name":"E","symbols":[]}"#, "no symbols"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "no size"),
        (r#"{"type":"array"}"#, "has no type"),
        (r#"{"name":"x"}"#, "no `type`"),
        ("17", "neither a name, a list nor an object"),
        (&many, "more than 20000 types"),
        (&wide, "too large"),
        (&"[".repeat(500), "nested too deep"),
    ];
    for (index, (text, says)) in table.into_iter().enumerate() {
        let id = index as u32;
        registry.register(id, text);
        let chunk = decode_bytes(&mut reader(&registry), &[message(id, &[0])]);
        assert_hole(
            &chunk,
            HoleReason::UnknownForm,
            &[&format!("schema {id}: "), says],
        );
    }
}

#[test]
fn names_are_found_in_their_namespaces() {
    let registry = TestRegistry::start();
    let columns = row(1, amount("1.00"));
    let plain = schema(&columns);
    let elsewhere = plain
        .replace(
            r#""name":"Value","fields""#,
            r#""name":"Value","namespace":"other.place","fields""#,
        )
        .replace(r#"["null","Value"]"#, r#"["null","other.place.Value"]"#);
    let full = plain
        .replace(
            r#""name":"Envelope","namespace":"shop.payment""#,
            r#""name":"shop.payment.Envelope""#,
        )
        .replace(
            r#"["null","Value"]"#,
            r#"["null",{"type":"shop.payment.Value"}]"#,
        );
    let none = plain.replace(r#","namespace":"shop.payment""#, "");
    let value = |id: u32| message(id, &datum("u", Some(&columns), Some(&columns), 5));
    for (id, schema) in [(1, plain), (2, elsewhere), (3, full), (4, none)] {
        registry.register(id, &schema);
        let told = told(&decode_bytes(&mut reader(&registry), &[value(id)]));
        assert!(told[0].starts_with("payment Update"), "{told:#?}");
    }
    registry.register(
        5,
        &schema(&columns).replace(r#"["null","Value"]"#, r#"["null","x.Value"]"#),
    );
    let chunk = decode_bytes(&mut reader(&registry), &[value(5)]);
    assert_hole(&chunk, HoleReason::UnknownForm, &["does not define"]);
}
