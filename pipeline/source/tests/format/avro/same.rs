//! One change as JSON and as Avro.

use centinel_model::LineContent;
use centinel_source::{DebeziumOptions, Format};
use serde_json::Value;

use super::{assert_same, decode_bytes, reader};
use crate::encoder::{Column, amount, counted, datum, json, long, message, row, schema};
use crate::support::{decode, decoder, told};
use crate::test_registry::TestRegistry;

const VECTORS: &str = include_str!("../vectors/debezium-avro.json");
const DECIMAL: &str = r#"{"type":"bytes","scale":2,"precision":18,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"18"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#;
const CONNECT_DECIMAL: &str =
    r#""type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}"#;

fn bytes_of(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

#[test]
fn what_another_encoder_wrote_is_what_its_json_says() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let registry = TestRegistry::start();
    registry.register(513, &vectors["schema"].to_string());
    let messages = vectors["messages"].as_array().unwrap();
    let avro: Vec<Vec<u8>> = messages
        .iter()
        .map(|of| message(513, &bytes_of(of["avro"].as_str().unwrap())))
        .collect();
    let json: Vec<String> = messages
        .iter()
        .map(|of| {
            format!(
                r#"{{"schema":{},"payload":{}}}"#,
                vectors["connect"], of["json"]
            )
        })
        .collect();
    let json: Vec<&str> = json.iter().map(String::as_str).collect();
    let from_avro = decode_bytes(&mut reader(&registry), &avro);
    let from_json = decode(
        &mut decoder(Format::Debezium(DebeziumOptions::default())),
        &json,
    );
    assert_same(&from_avro, &from_json);
    let file = 3_u64 << 40;
    let at = "2026-11-22T07:59:00.000123Z";
    let rich = "payment_no=P2 order_no=O\"2\\ 你好🙂 amount=9999999999999999.99 fen=-9007199254740993 live=true \
                day=2026-11-22 paid_at=2026-11-22T07:59:00.000001 extra={\"a\": [1, \"\\u00e9\"]}";
    assert_eq!(
        told(&from_avro),
        [
            format!(
                "payment Insert 0/{}/2 {at} after payment_no=P1 order_no=O1 amount=12.50",
                file + 1
            ),
            format!(
                "payment Update 0/{}/2 {at} before payment_no=P1 order_no=O1 amount=12.50 after payment_no=P1 \
                 order_no=O1 amount=-0.01 fen=0 live=false day=1969-12-31 paid_at=1970-01-01T00:00:00 extra=null",
                file + 300
            ),
            format!("payment Delete 0/{}/2 {at} before {rich}", file + 70_000),
            format!(
                "payment Snapshot 0/{}/2 {at} after {rich}",
                file + (1 << 33)
            ),
        ]
    );
    // Lines are of the message as it came.
    for (line, value) in from_avro.lines.iter().zip(&avro) {
        let (start, length) = (line.start as usize, line.length as usize);
        assert_eq!(from_avro.bytes[start..start + length], value[..]);
    }
}

/// Every column in both forms, in an insert of its own and an update of both kinds.
#[track_caller]
fn same(columns: &[Column]) -> Vec<String> {
    let registry = TestRegistry::start();
    registry.register(7, &schema(columns));
    let (before, after) = (Some(columns), Some(columns));
    let avro = [
        message(7, &datum("c", None, after, 5)),
        message(7, &datum("u", before, after, 6)),
    ];
    let texts = [json("c", None, after, 5), json("u", before, after, 6)];
    let texts = texts.each_ref().map(String::as_str);
    let from_avro = decode_bytes(&mut reader(&registry), &avro);
    let from_json = decode(
        &mut decoder(Format::Debezium(DebeziumOptions::default())),
        &texts,
    );
    assert_same(&from_avro, &from_json);
    told(&from_avro)
}

/// What becomes of a row with this column; its amount unless it is that.
#[track_caller]
fn value(column: Column) -> String {
    let name = column.name;
    let mut columns = match name {
        "amount" => row(1, column),
        _ => [row(1, amount("1.00")), vec![column]].concat(),
    };
    // Columns may come in any order.
    columns.reverse();
    let told = same(&columns);
    let told = told[0].clone();
    match told.split_once(&format!(" {name}=")) {
        Some((_, value)) => value.split(' ').next().unwrap_or_default().to_owned(),
        None => told,
    }
}

#[test]
fn decimals_are_exact() {
    let table: [(&[u8], &str, &str); 7] = [
        (&[0], "AA==", "0.00"),
        (&[1], "AQ==", "0.01"),
        (&[0xff], "/w==", "-0.01"),
        (&[0x00, 0x80], "AIA=", "1.28"),
        (&[0x80], "gA==", "-1.28"),
        (&[0x4d, 0xee], "Te4=", "199.50"),
        (
            &[0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x63, 0xff, 0xff],
            "DeC2s6dj//8=",
            "9999999999999999.99",
        ),
    ];
    for (bytes, base64, shown) in table {
        let json = format!("\"{base64}\"");
        let connect = Column::new("amount", DECIMAL, CONNECT_DECIMAL, counted(bytes), &json);
        assert_eq!(value(connect.clone().optional()), shown);
        assert_eq!(value(connect), shown);
        // Avro's own notes alone, and bytes without a count.
        let logical = r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#;
        let logical = Column::new("amount", logical, CONNECT_DECIMAL, counted(bytes), &json);
        assert_eq!(value(logical), shown);
        let fixed = format!(
            r#"{{"type":"fixed","name":"F","size":{},"logicalType":"decimal","precision":18,"scale":2}}"#,
            bytes.len()
        );
        let fixed = Column::new("amount", &fixed, CONNECT_DECIMAL, bytes.to_vec(), &json);
        assert_eq!(value(fixed), shown);
    }
    for digits in ["12.50", "-0.01", "0E-8"] {
        let shown = digits.replace("0E-8", "0.00");
        assert_eq!(value(amount(digits)), shown);
    }
}

#[test]
fn a_scale_is_that_of_the_message() {
    let avro = DECIMAL.replace(r#""scale":2"#, r#""scale":4"#);
    let avro = avro.replace(r#""scale":"2""#, r#""scale":"4""#);
    let connect = CONNECT_DECIMAL.replace('2', "4");
    let wide = Column::new(
        "amount",
        &avro,
        &connect,
        counted([0x4d, 0xee, 0x00]),
        r#""Te4A""#,
    );
    assert_eq!(value(wide), "510.72");
    // Digits that the column does not have are never cut.
    let finer = Column::new(
        "amount",
        &avro,
        &connect,
        counted([0x4d, 0xef]),
        r#""Te8=""#,
    );
    assert!(value(finer).starts_with("hole OutOfRange payment [O1]"));
    let variable = r#"{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}],"connect.name":"io.debezium.data.VariableScaleDecimal"}"#;
    let connect = r#""type":"struct","name":"io.debezium.data.VariableScaleDecimal","fields":[]"#;
    let binary = [long(1), counted([0x7d])].concat();
    let variable = Column::new(
        "amount",
        variable,
        connect,
        binary,
        r#"{"scale":1,"value":"fQ=="}"#,
    );
    assert_eq!(value(variable), "12.50");
}

#[test]
fn what_may_not_be_exact_is_refused_as_in_json() {
    let double = 12.5_f64.to_le_bytes().to_vec();
    let float = 12.5_f32.to_le_bytes().to_vec();
    let refused = [
        Column::new(
            "amount",
            r#""double""#,
            r#""type":"double""#,
            double.clone(),
            "12.5",
        ),
        Column::new("amount", r#""float""#, r#""type":"float""#, float, "12.5"),
        Column::new(
            "amount",
            r#""double""#,
            r#""type":"double""#,
            f64::NAN.to_le_bytes().into(),
            r#""NaN""#,
        ),
        Column::new(
            "amount",
            r#""bytes""#,
            r#""type":"bytes""#,
            counted([1]),
            r#""AQ==""#,
        ),
        Column::new("fen", r#""double""#, r#""type":"double""#, double, "12.5"),
        Column::new("paid_at", r#""long""#, r#""type":"int64""#, long(5), "5"),
        Column::new(
            "paid_at",
            r#"{"type":"long","connect.name":"io.debezium.time.MicroTime"}"#,
            r#""type":"int64","name":"io.debezium.time.MicroTime""#,
            long(5),
            "5",
        ),
    ];
    for column in refused {
        let shown = format!("{column:?}");
        let read = format!(" {}=", column.name);
        let told = value(column);
        // Its type says that the column cannot take it, or this value of it is refused.
        let lost = told.starts_with("payment Insert") && !told.contains(&read);
        assert!(
            lost || told.starts_with("hole WrongType payment [O1]"),
            "{shown}: {told}"
        );
    }
}

#[test]
fn two_scales_that_differ_are_none() {
    let avro = DECIMAL.replace(r#""scale":2"#, r#""scale":3"#);
    let registry = TestRegistry::start();
    let columns = row(
        1,
        Column::new("amount", &avro, CONNECT_DECIMAL, counted([1]), "?"),
    );
    registry.register(7, &schema(&columns));
    let value = message(7, &datum("c", None, Some(&columns), 5));
    let chunk = decode_bytes(&mut reader(&registry), &[value]);
    assert_eq!(chunk.holes, []);
    assert!(chunk.shapes[0].drifts[0].what.contains("is bytes"));
}

#[test]
fn times_count_what_their_schema_says() {
    let micros = 1_795_334_340_000_000_i64;
    let named = |name: &str, kind: &str| {
        format!(r#"{{"type":"{kind}","connect.version":1,"connect.name":"{name}"}}"#)
    };
    let table = [
        (
            "io.debezium.time.Timestamp",
            micros / 1_000,
            "timestamp-millis",
        ),
        (
            "org.apache.kafka.connect.data.Timestamp",
            micros / 1_000,
            "local-timestamp-millis",
        ),
        (
            "io.debezium.time.MicroTimestamp",
            micros,
            "timestamp-micros",
        ),
        (
            "io.debezium.time.NanoTimestamp",
            micros * 1_000,
            "timestamp-nanos",
        ),
    ];
    for (name, number, logical) in table {
        let connect = format!(r#""type":"int64","name":"{name}""#);
        let logical = format!(r#"{{"type":"long","logicalType":"{logical}"}}"#);
        for avro in [named(name, "long"), logical] {
            let json = number.to_string();
            let column = Column::new("paid_at", &avro, &connect, long(number), &json);
            assert_eq!(value(column.optional()), "2026-11-22T07:59:00", "{avro}");
        }
    }
    for (name, text) in [
        (
            "io.debezium.time.ZonedTimestamp",
            "2026-11-22T15:59:00+08:00",
        ),
        ("io.debezium.time.ZonedTimestamp", "2026-11-22T07:59:00Z"),
        ("io.debezium.time.IsoTimestamp", "2026-11-22T07:59:00Z"),
    ] {
        let connect = format!(r#""type":"string","name":"{name}""#);
        let json = format!("\"{text}\"");
        let column = Column::new(
            "paid_at",
            &named(name, "string"),
            &connect,
            counted(text),
            &json,
        );
        assert_eq!(value(column), "2026-11-22T07:59:00", "{name}");
    }
    for (avro, name) in [
        (
            named("io.debezium.time.Date", "int"),
            "io.debezium.time.Date",
        ),
        (
            named("org.apache.kafka.connect.data.Date", "int"),
            "org.apache.kafka.connect.data.Date",
        ),
        (
            r#"{"type":"int","logicalType":"date"}"#.to_owned(),
            "io.debezium.time.Date",
        ),
    ] {
        let connect = format!(r#""type":"int32","name":"{name}""#);
        let column = Column::new("day", &avro, &connect, long(20_779), "20779");
        assert_eq!(value(column), "2026-11-22", "{name}");
    }
}

#[test]
fn other_values_are_as_in_json() {
    let symbols = r#"{"type":"enum","name":"E","symbols":["yes","{}","1"],"connect.name":"io.debezium.data.Enum"}"#;
    let string = r#""type":"string","name":"io.debezium.data.Enum""#;
    let short = r#"{"type":"int","connect.type":"int16"}"#;
    let map = r#"{"type":"map","values":"long"}"#;
    let list = r#"{"type":"array","items":["null","string"]}"#;
    let counted_map = [long(1), counted("a\n"), long(-3), long(0)].concat();
    // A block with its length, and one without.
    let blocks = [
        long(-1),
        long(1),
        long(0),
        long(1),
        long(1),
        counted("x"),
        long(0),
    ]
    .concat();
    let table = [
        (
            Column::new(
                "live",
                r#""boolean""#,
                r#""type":"boolean""#,
                vec![1],
                "true",
            ),
            "true",
        ),
        (
            Column::new("live", short, r#""type":"int16""#, long(1), "1"),
            "true",
        ),
        (
            Column::new("fen", short, r#""type":"int16""#, long(-7), "-7"),
            "-7",
        ),
        (
            Column::new(
                "fen",
                r#""boolean""#,
                r#""type":"boolean""#,
                vec![0],
                "false",
            ),
            "0",
        ),
        (
            Column::new(
                "fen",
                r#""long""#,
                r#""type":"int64""#,
                long(i64::MIN),
                "-9223372036854775808",
            ),
            "-9223372036854775808",
        ),
        (
            Column::new(
                "fen",
                r#""long""#,
                r#""type":"int64""#,
                long(i64::MAX),
                "9223372036854775807",
            ),
            "9223372036854775807",
        ),
        (
            Column::new("extra", symbols, string, long(1), r#""{}""#),
            "{}",
        ),
        (
            Column::new("extra", symbols, string, long(2), r#""1""#),
            "1",
        ),
        (
            Column::new(
                "extra",
                map,
                r#""type":"map""#,
                counted_map,
                r#"{"a\u000a":-3}"#,
            ),
            r#"{"a\u000a":-3}"#,
        ),
        (
            Column::new("extra", list, r#""type":"array""#, blocks, r#"[null,"x"]"#),
            r#"[null,"x"]"#,
        ),
        (
            Column::new("amount", r#""long""#, r#""type":"int64""#, long(12), "12"),
            "12.00",
        ),
    ];
    for (column, shown) in table {
        let text = format!("{column:?}");
        assert_eq!(value(column), shown, "{text}");
    }
    let nothing = Column::null("paid_at", r#""string""#, r#""type":"string""#);
    assert!(value(nothing).ends_with("amount=1.00"));
    let missing = Column::null("amount", DECIMAL, CONNECT_DECIMAL);
    assert!(
        value(missing)
            .starts_with("hole MissingColumn payment [O1] `amount` (decimal) is missing or null")
    );
}

#[test]
fn every_operation_and_what_says_nothing() {
    let registry = TestRegistry::start();
    let columns = row(1, amount("1.00"));
    registry.register(1, &schema(&columns));
    registry.register(
        2,
        r#"{"type":"record","name":"Heartbeat","fields":[{"name":"ts_ms","type":"long"}]}"#,
    );
    registry.register(
        3,
        r#"{"type":"record","name":"TransactionMetadataValue","fields":[{"name":"status","type":"string"},{"name":"id","type":"string"},
            {"name":"event_count","type":["null","long"]},{"name":"data_collections","type":["null",{"type":"array","items":
            {"type":"record","name":"c","fields":[{"name":"data_collection","type":"string"},{"name":"event_count","type":"long"}]}}]},
            {"name":"ts_ms","type":"long"}]}"#,
    );
    let image = Some(columns.as_slice());
    let end = [
        counted("END"),
        counted("x"),
        long(1),
        long(1),
        long(1),
        long(1),
        counted("shop.payment"),
        long(1),
        long(0),
        long(5),
    ];
    let values = [
        message(1, &datum("r", None, image, 1)),
        message(1, &datum("d", image, None, 2)),
        message(1, &datum("u", None, image, 3)),
        message(1, &datum("t", None, None, 4)),
        message(1, &datum("m", None, None, 5)),
        message(2, &long(5)),
        message(3, &end.concat()),
    ];
    let mut reader = reader(&registry);
    let chunk = decode_bytes(&mut reader, &values);
    let told = told(&chunk);
    let begins = [
        "payment Snapshot",
        "payment Delete",
        "hole MissingColumn payment [] `before` is missing: the change does not",
        "hole Unobservable payment [] TRUNCATE took rows",
        "nothing",
        "nothing",
        "nothing",
    ];
    assert_eq!(told.len(), begins.len());
    for (told, begins) in told.iter().zip(begins) {
        assert!(told.starts_with(begins), "{told}");
    }
    // The null that follows a deletion.
    let mut tombstone = super::sent(b"");
    tombstone.value = None;
    let chunk = crate::support::decode_sent(&mut reader, &[tombstone]);
    assert_eq!(chunk.lines[0].content, LineContent::Nothing);
}
