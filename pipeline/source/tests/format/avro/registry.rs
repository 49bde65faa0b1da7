//! The registry: waited for while it is away, asked once, never taken for what it is not.

use std::time::{Duration, Instant};

use centinel_model::{HoleReason, Timestamp};

use centinel_source::{AvroOptions, Format, MessageDecoder, Registry};

use super::{avro, decode_bytes, reader, sent};
use crate::encoder::{amount, datum, message, row, schema};
use crate::support::{NOW, assert_hole, catalog, decoder, partition, told};
use crate::test_registry::TestRegistry;

const LONG: Duration = Duration::from_secs(30);

fn good(id: u32) -> Vec<u8> {
    let columns = row(1, amount("1.00"));
    message(id, &datum("c", None, Some(&columns), 5))
}

fn plain() -> String {
    schema(&row(1, amount("1.00")))
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// While the registry has this trouble nothing is decoded and nothing lost; afterwards everything is read.
#[track_caller]
fn waited_for(trouble: impl Fn(&TestRegistry), mended: impl Fn(&TestRegistry)) {
    let registry = TestRegistry::start();
    registry.register(7, &plain());
    trouble(&registry);
    let mut decoder = reader(&registry);
    let messages = partition("topic/0", &[sent(&good(7)), sent(b"x"), sent(&good(7))]);
    assert!(!decoder.ready(&messages));
    wait_for("three requests", || {
        assert!(!decoder.ready(&messages), "nothing is there yet");
        registry.asked().len() >= 3
    });
    mended(&registry);
    wait_for("the schema", || decoder.ready(&messages));
    let chunk = decoder.decode(messages, Timestamp::parse(NOW).unwrap());
    let told = told(&chunk.unwrap());
    assert_eq!(told[0], told[2]);
    assert!(
        told[0].starts_with("payment Insert") && told[1].starts_with("hole UnknownForm"),
        "{told:#?}"
    );
}

const PATH: &str = "/schemas/ids/7";

#[test]
fn a_registry_that_is_away_is_waited_for() {
    waited_for(
        |registry| registry.away(true),
        |registry| registry.away(false),
    );
}

#[test]
fn a_registry_that_answers_with_something_else_is_waited_for() {
    for (status, body) in [
        (500, r#"{"error_code":50001}"#),
        (503, ""),
        (429, "{}"),
        (403, "{}"),
        (302, ""),
        (200, "<html>please log in</html>"),
        (200, r#"{"schema":7}"#),
        // A path that is no registry's has no number of its own for what it misses.
        (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#),
        (404, "not found"),
    ] {
        waited_for(
            |registry| registry.put(PATH, status, body),
            |registry| registry.register(7, &plain()),
        );
    }
}

#[test]
fn an_account_that_is_not_taken_is_waited_for() {
    waited_for(
        |registry| registry.wants(Some("Basic cmVhZGVyOnNlY3JldA==")),
        |registry| registry.wants(None),
    );
}

#[test]
fn the_account_is_shown_and_nowhere_else() {
    let registry = TestRegistry::start();
    registry.register(7, &plain());
    registry.wants(Some("Basic cmVhZGVyOnNlY3JldA=="));
    let format = Format::DebeziumAvro(AvroOptions {
        registry: Registry::new(registry.options(Some(("reader", "secret")))),
        servers: Vec::new(),
    });
    let mut decoder = decoder(format.clone());
    assert!(decode_bytes(&mut decoder, &[good(7)]).holes.is_empty());
    let shown = format!(
        "{format:?} {decoder:?} {:?}",
        registry.options(Some(("reader", "secret")))
    );
    assert!(
        !shown.contains("secret") && !shown.contains("cmVhZGVy"),
        "{shown}"
    );
}

#[test]
fn a_schema_is_asked_for_once() {
    let registry = TestRegistry::start();
    let client = registry.client();
    for id in [7, 8] {
        registry.register(id, &plain());
    }
    let decoder = || {
        let registry = client.clone();
        let format = Format::DebeziumAvro(AvroOptions {
            registry,
            servers: Vec::new(),
        });
        MessageDecoder::new(catalog(), format).unwrap()
    };
    // Decoders of all topics share what their registry said.
    let (mut first, mut second) = (decoder(), decoder());
    for decoder in [&mut first, &mut second] {
        for _ in 0..3 {
            assert!(
                decode_bytes(decoder, &[good(7), good(8), good(7)])
                    .holes
                    .is_empty()
            );
        }
    }
    let mut asked = registry.asked();
    asked.sort();
    assert_eq!(asked, ["/schemas/ids/7", "/schemas/ids/8"]);
}

#[test]
fn an_id_is_unknown_once_the_registry_said_so_twice() {
    let registry = TestRegistry::start();
    registry.register(8, &plain());
    let unknown = r#"{"error_code":40403,"message":"Schema 8 not found"}"#;
    registry.put_once("/schemas/ids/8", 404, unknown);
    let mut decoder = reader(&registry);
    let chunk = decode_bytes(&mut decoder, &[good(7), good(8), good(7)]);
    assert_eq!(chunk.holes.len(), 2, "{:#?}", told(&chunk));
    for (hole, offset) in chunk.holes.iter().zip([100, 104]) {
        assert_eq!(
            (hole.reason, hole.position.place().0),
            (HoleReason::UnknownForm, offset)
        );
        assert_eq!(hole.bytes, good(7));
        assert_eq!(hole.message, "schema 7: the registry does not know it");
    }
    assert!(told(&chunk)[1].starts_with("payment Insert"));
    assert_eq!(
        registry.asked().iter().filter(|path| *path == PATH).count(),
        2
    );
    // Nor is it asked for by each chunk.
    assert_eq!(decode_bytes(&mut decoder, &[good(7)]).holes.len(), 1);
    assert_eq!(
        registry.asked().iter().filter(|path| *path == PATH).count(),
        2
    );
}

#[test]
fn many_messages_of_unknown_schemas_stop_nothing() {
    let registry = TestRegistry::start();
    registry.register(7, &plain());
    let mut values: Vec<Vec<u8>> = (1_000..3_000).map(good).collect();
    values.push(good(7));
    let chunk = decode_bytes(&mut reader(&registry), &values);
    assert_eq!((chunk.holes.len(), chunk.tables[0].len()), (2_000, 1));
}

#[test]
fn schemas_that_refer_to_others_are_put_together() {
    let registry = TestRegistry::start();
    let columns = row(1, amount("1.00"));
    let whole = schema(&columns);
    let begin = whole.find(r#"{"type":"record","name":"Source""#).unwrap();
    let last = r#""type":"int"}]}"#;
    let end = whole[begin..].find(last).unwrap() + begin + last.len();
    let (source, rest) = (
        &whole[begin..end],
        format!(
            "{}\"io.debezium.connector.mysql.Source\"{}",
            &whole[..begin],
            &whole[end..]
        ),
    );
    let text = r#"{"type":"string","connect.name":"io.debezium.data.Enum"}"#;
    let source = source.replace(text, r#""Snapshot""#);
    let referring = |schema: &str, subjects: &[&str]| {
        let references: Vec<_> = subjects
            .iter()
            .map(|subject| serde_json::json!({ "name": "x", "subject": subject, "version": 3 }))
            .collect();
        serde_json::json!({ "schema": schema, "references": references }).to_string()
    };
    registry.put(PATH, 200, &referring(&rest, &["my/source", "snapshot"]));
    registry.put(
        "/subjects/my%2Fsource/versions/3",
        200,
        &referring(&source, &["snapshot"]),
    );
    let snapshot = r#"{"type":"enum","name":"io.debezium.connector.mysql.Snapshot","symbols":["true","false"]}"#;
    registry.put(
        "/subjects/snapshot/versions/3",
        200,
        &referring(snapshot, &[]),
    );
    // Its snapshot is a symbol now, not a text.
    let plain = good(7);
    let place = plain
        .windows(6)
        .position(|part| part == b"\x0afalse")
        .unwrap();
    let value = [&plain[..place], &[2], &plain[place + 6..]].concat();
    let chunk = decode_bytes(&mut reader(&registry), &[value]);
    assert!(
        told(&chunk)[0].starts_with("payment Insert"),
        "{:#?}",
        told(&chunk)
    );
    // What is not there, or holds itself, is told.
    registry.put("/schemas/ids/8", 200, &referring(&rest, &["other"]));
    registry.put("/schemas/ids/9", 200, &referring(&rest, &["loop"]));
    registry.put(
        "/subjects/loop/versions/3",
        200,
        &referring(&rest, &["loop"]),
    );
    let mut decoder = reader(&registry);
    let chunk = decode_bytes(&mut decoder, &[good(8)]);
    assert_hole(
        &chunk,
        HoleReason::UnknownForm,
        &["schema 8: the registry does not have what it refers to"],
    );
    let chunk = decode_bytes(&mut decoder, &[good(9)]);
    assert_hole(
        &chunk,
        HoleReason::UnknownForm,
        &["schema 9: ", "does not define"],
    );
}

#[test]
fn a_registry_behind_a_path_is_asked_there() {
    let registry = TestRegistry::start();
    let body = serde_json::json!({ "schema": plain() }).to_string();
    registry.put("/apis/ccompat/v7/schemas/ids/7", 200, &body);
    let mut options = registry.options(None);
    options.url += "/apis/ccompat/v7/";
    let registry = Registry::new(options);
    let mut decoder = decoder(Format::DebeziumAvro(AvroOptions {
        registry,
        servers: Vec::new(),
    }));
    assert!(decode_bytes(&mut decoder, &[good(7)]).holes.is_empty());
}

#[test]
fn nothing_is_asked_where_nothing_is_wanted() {
    let registry = TestRegistry::start();
    let mut decoder = decoder(avro(&registry));
    let messages = partition("topic/0", &[sent(b"{}"), sent(b"")]);
    assert!(decoder.ready(&messages));
    decode_bytes(&mut decoder, &[b"{}".to_vec()]);
    assert!(registry.asked().is_empty());
}
