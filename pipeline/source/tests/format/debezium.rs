use centinel_model::{HoleReason, LineContent};
use centinel_source::{DebeziumOptions, Decimals, Format};

use crate::support::{MILLIS, Sent, assert_hole, decode, decode_sent, decoder, told};

pub fn string_decimals() -> Format {
    Format::Debezium(DebeziumOptions {
        decimals: Some(Decimals::String),
        ..DebeziumOptions::default()
    })
}

pub fn row(number: u64, amount: &str) -> String {
    format!(
        r#"{{"payment_no":"P{number}","order_no":" o{number}","amount":"{amount}","fen":null,"live":null,"day":null,"paid_at":null,"extra":null}}"#
    )
}

/// An envelope as the connector for MySQL writes it.
pub fn envelope(op: &str, before: &str, after: &str, pos: u64) -> String {
    format!(
        r#"{{"before":{before},"after":{after},"source":{{"version":"3.6.0.Final","connector":"mysql","name":"shop","ts_ms":{MILLIS},"snapshot":"false","db":"shop","sequence":null,"ts_us":{MILLIS}123,"ts_ns":{MILLIS}123456,"table":"payment","server_id":7,"gtid":null,"file":"binlog.000003","pos":{pos},"row":2,"thread":9,"query":null}},"transaction":{{"id":"x","total_order":"1","data_collection_order":1}},"op":"{op}","ts_ms":{MILLIS},"ts_us":{MILLIS}500}}"#
    )
}

pub fn create(number: u64, amount: &str) -> String {
    envelope("c", "null", &row(number, amount), number)
}

const FILE: u64 = 3 << 40;

#[test]
fn every_operation_is_a_change_of_its_kind() {
    let mut decoder = decoder(string_decimals());
    let values = [
        create(1, "12.50"),
        envelope("u", &row(1, "12.50"), &row(1, "13.00"), 2),
        envelope("d", &row(1, "13.00"), "null", 3),
        envelope("r", "null", &row(2, "0.01"), 4),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    let at = "2026-11-22T07:59:00.000123Z";
    let (old, new) = (
        "payment_no=P1 order_no=O1 amount=12.50",
        "payment_no=P1 order_no=O1 amount=13.00",
    );
    assert_eq!(
        told(&chunk),
        [
            format!("payment Insert 0/{}/2 {at} after {old}", FILE + 1),
            format!(
                "payment Update 0/{}/2 {at} before {old} after {new}",
                FILE + 2
            ),
            format!("payment Delete 0/{}/2 {at} before {new}", FILE + 3),
            format!(
                "payment Snapshot 0/{}/2 {at} after payment_no=P2 order_no=O2 amount=0.01",
                FILE + 4
            ),
        ]
    );
    for (index, line) in chunk.lines.iter().enumerate() {
        assert_eq!(line.offset, 100 + 2 * index as u64);
        let text = &chunk.bytes[line.start as usize..line.start as usize + line.length as usize];
        assert_eq!(text, values[index].as_bytes());
        let LineContent::Change { transaction, .. } = line.content else {
            panic!("{line:?}")
        };
        assert!(transaction.last);
        assert_eq!(transaction.sequence, FILE + 1 + index as u64);
    }
}

#[test]
fn a_schema_beside_the_message_changes_nothing_else() {
    let field = |name: &str| format!(r#"{{"type":"string","optional":true,"field":"{name}"}}"#);
    let image = |name: &str| {
        let fields = ["payment_no", "order_no", "amount"].map(field).join(",");
        format!(
            r#"{{"type":"struct","fields":[{fields}],"optional":true,"name":"shop.payment.Value","field":"{name}"}}"#
        )
    };
    let schema = format!(
        r#"{{"type":"struct","fields":[{},{},{{"type":"string","optional":false,"field":"op"}}],"optional":false,"name":"shop.payment.Envelope"}}"#,
        image("before"),
        image("after")
    );
    let mut plain = decoder(string_decimals());
    let expected = told(&decode(
        &mut plain,
        &[&create(1, "12.50"), &create(2, "1.00")],
    ));
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    let wrapped = |space: &str, payload: String| {
        format!(r#"{{"schema":{space}{schema},"payload":{payload}}}"#)
    };
    // The schema is known after the first, and found again behind blanks.
    let values = [
        wrapped("", create(1, "12.50")),
        wrapped(" ", create(2, "1.00")),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    assert_eq!(told(&chunk), expected);
    // The other way round, as some transforms write it.
    let turned = format!(r#"{{"payload":{},"schema":{schema}}}"#, create(1, "12.50"));
    assert_eq!(told(&decode(&mut decoder, &[&turned])), expected[..1]);
    let null = format!(r#"{{"schema":null,"payload":{}}}"#, create(1, "12.50"));
    assert_eq!(told(&decode(&mut plain, &[&null])), expected[..1]);
}

#[test]
fn what_is_no_change_says_nothing() {
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    let message = envelope("m", "null", "null", 5).replace(r#""table":"payment","#, "");
    let values = [
        "null",
        r#"{"schema":null,"payload":null}"#,
        r#"{"ts_ms":1795334340000}"#,
        r#"{"status":"BEGIN","id":"7:1","ts_ms":1795334340000,"event_count":null,"data_collections":null}"#,
        r#"{"schema":{"type":"struct"},"payload":{"status":"END","id":"7:1","event_count":1,"data_collections":[{"data_collection":"shop.payment","event_count":1}]}}"#,
        &message,
        // A table that no schema reads.
        &create(1, "1.00").replace(r#""table":"payment""#, r#""table":"other""#),
    ];
    let chunk = decode(&mut decoder, &values);
    assert_eq!(told(&chunk), ["nothing"; 7]);
    // The null that follows a deletion so that the broker forgets the key.
    let tombstone = Sent {
        key: Some(r#"{"payment_no":"P1"}"#.into()),
        ..Sent::default()
    };
    let chunk = decode_sent(&mut decoder, &[tombstone]);
    assert_eq!(told(&chunk), ["nothing"]);
    assert_eq!((chunk.lines[0].offset, chunk.lines[0].length), (100, 0));
}

#[test]
fn rows_without_envelope_are_not_taken_for_something_that_says_nothing() {
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    for value in [
        r#"{"payment_no":"P1","order_no":"O1"}"#,
        r#"{"id":1,"status":"BEGIN","payment_no":"P1"}"#,
        r#"{"id":1,"status":"PAID"}"#,
        r#"{"id":1,"ts_ms":1795334340000}"#,
        r#"{"ddl":"drop table x","id":1}"#,
        r#"{"schema":{},"payload":{}}"#,
        r#"{}"#,
    ] {
        let chunk = decode(&mut decoder, &[value]);
        assert_hole(
            &chunk,
            HoleReason::UnknownForm,
            &["no change of Debezium", "flattened"],
        );
    }
}

#[test]
fn a_bad_message_takes_nothing_else_with_it() {
    let mut decoder = decoder(string_decimals());
    let wrong = [
        (
            create(2, "12.505"),
            HoleReason::OutOfRange,
            "O2",
            "`amount` has more than the 2 digits",
        ),
        (
            create(2, "many"),
            HoleReason::WrongType,
            "O2",
            "`amount` is neither a plain decimal number",
        ),
        (
            create(2, "1.00").replace(r#""after":{"#, r#""after":{"fen":1,"#),
            HoleReason::Malformed,
            "",
            "`fen` names a column twice",
        ),
        (
            create(2, "1.00").replace(r#""order_no":" o2","#, ""),
            HoleReason::Drift,
            "",
            "`order_no` (text) is missing",
        ),
        (
            create(2, "1.00").replace(r#""amount":"1.00""#, r#""amount":null"#),
            HoleReason::MissingColumn,
            "O2",
            "`amount` (decimal) is missing or null, in a row of `payment`; if the platform changed its table, mend the schema",
        ),
        (
            create(2, "1.00").replace(r#""fen":null"#, r#""fen":1.5"#),
            HoleReason::WrongType,
            "O2",
            "mend the schema",
        ),
        (
            create(2, "1.00").replace(r#""connector":"mysql""#, r#""connector":"oracle""#),
            HoleReason::UnknownForm,
            "",
            "other than MySQL, MariaDB and PostgreSQL",
        ),
        (
            create(2, "1.00").replace(r#""op":"c""#, r#""op":"x""#),
            HoleReason::UnknownForm,
            "",
            "`op` is none of",
        ),
        (
            create(2, "1.00").replace(r#""op":"c""#, r#""op":"u""#),
            HoleReason::MissingColumn,
            "",
            "binlog_row_image=FULL",
        ),
        (
            create(2, "1.00").replace(r#""op":"c""#, r#""op":"c","op":"d""#),
            HoleReason::Malformed,
            "",
            "`op` stands twice",
        ),
        (
            create(2, "1.00").replace("binlog.000003", "binlog"),
            HoleReason::WrongType,
            "O2",
            "`file` does not end in the number",
        ),
        (
            create(2, "1.00").replace(r#""pos":2,"#, ""),
            HoleReason::MissingColumn,
            "O2",
            "`pos` is missing",
        ),
        (
            create(2, "1.00").replace(&MILLIS.to_string(), "4102444800000"),
            HoleReason::AbsurdTime,
            "O2",
            "future",
        ),
        (
            create(2, "1.00") + "}",
            HoleReason::Malformed,
            "",
            "not one whole JSON object",
        ),
        (
            create(2, "1.00")[..300].to_owned(),
            HoleReason::Malformed,
            "",
            "not one whole JSON object",
        ),
        (
            r#"["x"]"#.to_owned(),
            HoleReason::Malformed,
            "",
            "not one whole JSON object",
        ),
    ];
    for (value, reason, entities, says) in &wrong {
        let chunk = decode(
            &mut decoder,
            &[&create(1, "1.00"), value, &create(3, "1.00")],
        );
        assert_hole(&chunk, *reason, &[says]);
        let lines = told(&chunk);
        assert!(
            lines[0].contains("P1") && lines[2].contains("P3"),
            "{lines:#?}"
        );
        assert!(lines[1].contains(&format!("[{entities}]")), "{lines:#?}");
        assert_eq!(chunk.holes[0].bytes, value.as_bytes());
        assert_eq!(chunk.holes[0].position.place(), (102, 0));
        assert_eq!(chunk.tables[0].len(), 2);
        assert_eq!(chunk.tables[0].after.rows.num_rows(), 2);
    }
}

#[test]
fn a_hole_names_the_entities_of_both_images() {
    let mut decoder = decoder(string_decimals());
    let value = envelope("u", &row(1, "1.00"), &row(2, "x"), 2);
    let lines = told(&decode(&mut decoder, &[&value]));
    assert!(lines[0].contains("payment [O1 O2]"), "{lines:#?}");
    // Of one image nothing is known: so nothing is.
    let value = value.replace(r#""order_no":" o1""#, r#""order_no":7"#);
    let lines = told(&decode(&mut decoder, &[&value]));
    assert!(lines[0].contains("payment []"), "{lines:#?}");
}

#[test]
fn a_truncate_cannot_be_seen_row_by_row() {
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    let chunk = decode(&mut decoder, &[&envelope("t", "null", "null", 5)]);
    assert_hole(
        &chunk,
        HoleReason::Unobservable,
        &["TRUNCATE took rows of `payment` away"],
    );
    let other =
        envelope("t", "null", "null", 5).replace(r#""table":"payment""#, r#""table":"other""#);
    assert_eq!(told(&decode(&mut decoder, &[&other])), ["nothing"]);
}

#[test]
fn schema_changes_are_noted_and_drops_told() {
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    let change = |ddl: &str| {
        format!(
            r#"{{"source":{{"connector":"mysql","ts_ms":{MILLIS},"db":"shop","table":"payment","server_id":7,"file":"binlog.000003","pos":9}},"ts_ms":{MILLIS},"databaseName":"shop","schemaName":null,"ddl":"{ddl}","tableChanges":[]}}"#
        )
    };
    let altered = change("ALTER TABLE payment ADD x int");
    let values = [
        change("CREATE TABLE payment (x int)"),
        altered.clone(),
        altered,
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    assert_eq!(told(&chunk), ["nothing"; 3]);
    assert_eq!(chunk.notes.len(), 1);
    assert!(
        chunk.notes[0]
            .message
            .contains("altered or renamed a table of `payment`")
    );
    let chunk = decode(&mut decoder, &[&change("drop table payment")]);
    assert_hole(
        &chunk,
        HoleReason::Unobservable,
        &["took rows of `payment` away"],
    );
}

#[test]
fn positions_of_two_servers_are_not_compared() {
    let other = create(2, "1.00").replace(r#""server_id":7"#, r#""server_id":8"#);
    let mut strict = decoder(string_decimals());
    let chunk = decode(
        &mut strict,
        &[&create(1, "1.00"), &other, &create(3, "1.00")],
    );
    assert_hole(
        &chunk,
        HoleReason::Contradiction,
        &["name the servers in order in `servers`"],
    );
    assert!(told(&chunk)[1].contains("[O2]"));
    let format = Format::Debezium(DebeziumOptions {
        decimals: Some(Decimals::String),
        servers: vec![7, 8],
        ..DebeziumOptions::default()
    });
    let mut ordered = decoder(format);
    // A first snapshot does not say its server.
    let read = create(3, "1.00")
        .replace(r#""op":"c""#, r#""op":"r""#)
        .replace(r#""server_id":7"#, r#""server_id":0"#);
    let chunk = decode(&mut ordered, &[&read, &create(1, "1.00"), &other]);
    let epochs: Vec<u32> = chunk.tables[0]
        .versions
        .iter()
        .map(|version| version.epoch)
        .collect();
    assert_eq!(epochs, [0, 0, 1]);
    let third = create(2, "1.00").replace(r#""server_id":7"#, r#""server_id":9"#);
    let chunk = decode(&mut ordered, &[&third]);
    assert_hole(
        &chunk,
        HoleReason::Contradiction,
        &["`servers` does not name; add its id at the end"],
    );
    let twice = DebeziumOptions {
        servers: vec![7, 8, 7],
        ..DebeziumOptions::default()
    };
    let refused =
        centinel_source::MessageDecoder::new(crate::support::catalog(), Format::Debezium(twice));
    assert!(refused.unwrap_err().contains("server 7 stands twice"));
}

#[test]
fn columns_that_came_are_noted_once() {
    let mut decoder = decoder(string_decimals());
    let extra = create(1, "1.00").replace(r#""fen":null"#, r#""fen":null,"PROMO":{"a":1}"#);
    let capitals = create(2, "1.00").replace(r#""order_no""#, r#""ORDER_NO""#);
    let without = create(3, "1.00").replace(r#""extra":null"#, r#""odd \"name\"":1"#);
    let chunk = decode(
        &mut decoder,
        &[&extra, &extra, &capitals, &without, &without],
    );
    assert!(chunk.holes.is_empty(), "{:#?}", told(&chunk));
    assert!(told(&chunk)[2].contains("order_no=O2"));
    let notes: Vec<&str> = chunk
        .notes
        .iter()
        .map(|note| note.message.as_str())
        .collect();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("column `PROMO` of `payment` is not in its schema"));
    assert!(notes[1].contains("a column of `payment` is not in its schema"));
}

#[test]
fn shards_fill_their_column_and_strangers_are_refused() {
    let mut decoder = decoder(Format::Debezium(DebeziumOptions::default()));
    let split = |database: &str, table: &str| {
        create(1, "1.00")
            .replace(&row(1, "1.00"), r#"{"id":5,"at":null}"#)
            .replace(r#""db":"shop""#, &format!(r#""db":"{database}""#))
            .replace(r#""table":"payment""#, &format!(r#""table":"{table}""#))
    };
    let chunk = decode(
        &mut decoder,
        &[&split("pay_1", "split_01"), &split("pay_2", "split_01")],
    );
    let lines = told(&chunk);
    assert!(
        lines[0].ends_with("after shard=pay_1.split_01 id=5"),
        "{lines:#?}"
    );
    assert!(
        lines[1].ends_with("after shard=pay_2.split_01 id=5"),
        "{lines:#?}"
    );
    let second = create(2, "AGQ=").replace(r#""db":"shop""#, r#""db":"copy""#);
    let chunk = decode(&mut decoder, &[&create(1, "AGQ="), &second]);
    assert_hole(
        &chunk,
        HoleReason::UnknownTable,
        &[
            "`copy.payment` come for `payment`, which is read from `shop.payment`",
            "`shard`",
        ],
    );
    assert!(told(&chunk)[1].contains("[O2]"));
}

#[test]
fn postgresql_is_ordered_by_its_log() {
    let mut decoder = decoder(string_decimals());
    let source = format!(
        r#"{{"version":"3.6.0.Final","connector":"postgresql","name":"shop","ts_ms":{MILLIS},"snapshot":"false","db":"shop","sequence":"[\"24023119\",\"24023128\"]","schema":"public","table":"payment","txId":555,"lsn":24023128,"xmin":null}}"#
    );
    let create = format!(
        r#"{{"before":null,"after":{},"source":{source},"op":"c","ts_ms":{MILLIS}}}"#,
        row(1, "1.00")
    );
    let lines = told(&decode(&mut decoder, &[&create]));
    assert!(
        lines[0].starts_with("payment Insert 0/24023128/0 2026-11-22T07:59:00Z"),
        "{lines:#?}"
    );
    // Of the default replica identity.
    let update = create.replace(r#""op":"c""#, r#""op":"u""#);
    let chunk = decode(&mut decoder, &[&update]);
    assert_hole(
        &chunk,
        HoleReason::MissingColumn,
        &["`before` is missing", "REPLICA IDENTITY FULL"],
    );
    let toast = create.replace(
        r#""extra":null"#,
        r#""extra":"__debezium_unavailable_value""#,
    );
    let chunk = decode(&mut decoder, &[&toast]);
    assert_hole(
        &chunk,
        HoleReason::MissingColumn,
        &[
            "`extra` was left out by PostgreSQL",
            "REPLICA IDENTITY FULL",
        ],
    );
    // Another schema of the same database is another table.
    let other = create.replace(r#""schema":"public""#, r#""schema":"old""#);
    let chunk = decode(&mut decoder, &[&other]);
    assert_hole(
        &chunk,
        HoleReason::UnknownTable,
        &["`shop.old.payment`", "`shop.public.payment`"],
    );
}

#[test]
fn commit_times_come_from_the_source_and_only_else_from_the_connector() {
    let mut decoder = decoder(string_decimals());
    let old = create(1, "1.00").replace(
        &format!(r#","ts_us":{MILLIS}123,"ts_ns":{MILLIS}123456"#),
        "",
    );
    let lines = told(&decode(&mut decoder, &[&old]));
    assert!(lines[0].contains("2026-11-22T07:59:00Z"), "{lines:#?}");
    let zero = old.replacen(&format!(r#""ts_ms":{MILLIS}"#), r#""ts_ms":0"#, 1);
    let lines = told(&decode(&mut decoder, &[&zero]));
    assert!(lines[0].contains("2026-11-22T07:59:00Z"), "{lines:#?}");
    let none = zero.replace(&format!(r#""ts_ms":{MILLIS}"#), r#""ts_ms":null"#);
    assert_hole(
        &decode(&mut decoder, &[&none]),
        HoleReason::MissingColumn,
        &["`ts_ms` is missing"],
    );
}
