//! Prints how many messages of each format are decoded in a second on one core.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Instant;

use centinel_model::{Position, Timestamp};
use centinel_source::{DebeziumOptions, Format, MessageDecoder, RawMessage, RawMessages};

const MESSAGES: u64 = 20_000;
const ROUNDS: u64 = 20;
const SCHEMA: &str = "centinel: schema/1\ntable: payment\nsystem: pay\nsource: pay-db\nprimary_key: [payment_no]\n\
    entities: { order: [order_no] }\ncolumns:\n  payment_no: text\n  order_no: text\n  merchant_no: text\n\
    \x20 amount: \"decimal(18,2)\"\n  fee: \"decimal(18,2)\"\n  status: text\n  created_at: timestamp\n\
    \x20 updated_at: timestamp\n";
const ENTITIES: &str =
    "centinel: entities/1\nentities: { order: { key: [order_no], normalise: [trim, upper] } }\n";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("payment.yaml"), SCHEMA).unwrap();
    std::fs::write(folder.path().join("entities.yaml"), ENTITIES).unwrap();
    let catalog = centinel_catalog::load(folder.path()).unwrap();
    let debezium = || Format::Debezium(DebeziumOptions::default());
    type Make = fn(u64) -> String;
    let formats: [(&str, Format, Make); 4] = [
        ("Debezium, no schema", debezium(), debezium_update),
        ("Debezium, schema", debezium(), with_schema),
        ("Canal", Format::Canal, canal_update),
        ("Maxwell", Format::Maxwell, maxwell_update),
    ];
    for (name, format, make) in formats {
        let mut decoder = MessageDecoder::new(&catalog, format).unwrap();
        let messages = messages(make);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| messages.clone()).collect();
        let now = Timestamp::parse("2026-11-22T08:00:00Z").unwrap();
        let start = Instant::now();
        for messages in rounds {
            let chunk = decoder.decode(messages, now).unwrap();
            assert!(chunk.holes.is_empty(), "{}", chunk.holes[0].message);
            assert_eq!(chunk.tables[0].len() as u64, MESSAGES);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{name}: {:.0} messages/s of {} bytes, {:.0} MB/s",
            (MESSAGES * ROUNDS) as f64 / seconds,
            messages.bytes.len() as u64 / MESSAGES,
            messages.bytes.len() as f64 * ROUNDS as f64 / seconds / 1e6
        );
    }
}

fn messages(make: fn(u64) -> String) -> RawMessages {
    let mut bytes = Vec::new();
    let mut messages = Vec::new();
    for offset in 0..MESSAGES {
        let start = bytes.len();
        bytes.extend_from_slice(make(offset).as_bytes());
        messages.push(RawMessage {
            offset,
            value: Some(start..bytes.len()),
            ..RawMessage::default()
        });
    }
    let at = |next| Position::Partition { next, known: None };
    RawMessages {
        input: "payment/0".into(),
        start: at(0),
        end: MESSAGES,
        after: at(MESSAGES),
        bytes,
        messages,
    }
}

fn image(number: u64, status: &str) -> String {
    format!(
        r#"{{"payment_no":"P2026112200000{number:07}","order_no":"O2026112200000{number:07}","merchant_no":"M00017","amount":"Te4=","fee":"AIA=","status":"{status}","created_at":"2026-11-22T07:58:00Z","updated_at":"2026-11-22T07:59:00.123456Z"}}"#
    )
}

fn debezium_update(number: u64) -> String {
    format!(
        r#"{{"before":{},"after":{},"source":{{"version":"3.6.0.Final","connector":"mysql","name":"pay","ts_ms":1795334340000,"snapshot":"false","db":"pay","sequence":null,"ts_us":1795334340000000,"ts_ns":1795334340000000000,"table":"payment","server_id":7,"gtid":"3e11fa47-71ca-11e1-9e33-c80aa9429562:{number}","file":"binlog.000003","pos":{number},"row":0,"thread":9,"query":null}},"transaction":null,"op":"u","ts_ms":1795334340100,"ts_us":1795334340100000,"ts_ns":1795334340100000000}}"#,
        image(number, "CREATED"),
        image(number, "PAID")
    )
}

fn with_schema(number: u64) -> String {
    let column = |name: &str| match name {
        "amount" | "fee" => format!(
            r#"{{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{{"scale":"2","connect.decimal.precision":"18"}},"field":"{name}"}}"#
        ),
        "created_at" | "updated_at" => format!(
            r#"{{"type":"string","optional":false,"name":"io.debezium.time.ZonedTimestamp","version":1,"field":"{name}"}}"#
        ),
        _ => format!(r#"{{"type":"string","optional":false,"field":"{name}"}}"#),
    };
    let columns = [
        "payment_no",
        "order_no",
        "merchant_no",
        "amount",
        "fee",
        "status",
        "created_at",
        "updated_at",
    ];
    let columns = columns.map(column).join(",");
    let image = |name: &str| {
        format!(
            r#"{{"type":"struct","fields":[{columns}],"optional":true,"name":"pay.payment.Value","field":"{name}"}}"#
        )
    };
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{},{},{{"type":"string","optional":false,"field":"op"}}],"optional":false,"name":"pay.payment.Envelope"}},"payload":{}}}"#,
        image("before"),
        image("after"),
        debezium_update(number)
    )
}

fn text_image(number: u64) -> String {
    image(number, "PAID")
        .replace("Te4=", "199.50")
        .replace("AIA=", "1.28")
        .replace("T07", " 07")
        .replace("Z\"", "\"")
}

fn canal_update(number: u64) -> String {
    format!(
        r#"{{"data":[{}],"database":"pay","es":1795334340000,"gtid":"","id":{number},"isDdl":false,"mysqlType":{{"payment_no":"varchar(32)","order_no":"varchar(32)","merchant_no":"varchar(32)","amount":"decimal(18,2)","fee":"decimal(18,2)","status":"varchar(16)","created_at":"datetime","updated_at":"datetime(6)"}},"old":[{{"status":"CREATED"}}],"pkNames":["payment_no"],"sql":"","sqlType":{{"payment_no":12,"order_no":12,"merchant_no":12,"amount":3,"fee":3,"status":12,"created_at":93,"updated_at":93}},"table":"payment","ts":1795334340100,"type":"UPDATE"}}"#,
        text_image(number)
    )
}

fn maxwell_update(number: u64) -> String {
    let data = text_image(number)
        .replace("\"199.50\"", "199.50")
        .replace("\"1.28\"", "1.28");
    format!(
        r#"{{"database":"pay","table":"payment","type":"update","ts":1795334340,"xid":{number},"commit":true,"position":"binlog.000003:{number}","server_id":7,"data":{data},"old":{{"status":"CREATED"}}}}"#
    )
}
