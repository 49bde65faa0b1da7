//! Messages of tables that have another shape than their schemas say: read as far as they go, and told.

use centinel_model::{DecodedChunk, HoleReason};
use centinel_source::{DebeziumOptions, Format, MessageDecoder};

use crate::debezium::{create, envelope, row, string_decimals};
use crate::support::{MILLIS, Sent, assert_hole, catalog, decode, decode_sent, decoder, told};

/// Every shape that was told: the physical table, since when, and what it lacks.
fn shapes(chunk: &DecodedChunk) -> Vec<String> {
    let shape = |shape: &centinel_model::TableShape| {
        let table = catalog().table(shape.table);
        let lost = shape.drifts.iter().map(|drift| {
            assert!(
                drift.what.contains(&table.columns[drift.column].name),
                "{drift:?}"
            );
            assert!(drift.remedy.contains("schema"), "{drift:?}");
            table.columns[drift.column].name.as_str()
        });
        let lost: Vec<&str> = lost.collect();
        let place = shape.position.place().0;
        format!("{} {place} [{}]", shape.physical, lost.join(" "))
    };
    chunk.shapes.iter().map(shape).collect()
}

/// What is wrong, by the first shape that lacks something.
fn what(chunk: &DecodedChunk) -> &str {
    let drifts = chunk.shapes.iter().flat_map(|shape| &shape.drifts);
    drifts.map(|drift| drift.what.as_str()).next().unwrap_or("")
}

/// The changes whose row after lacks columns.
fn lacking(chunk: &DecodedChunk) -> Vec<(u32, Vec<usize>)> {
    let lost = chunk.tables.iter().flat_map(|changes| &changes.lost);
    lost.map(|(index, columns)| (*index, columns.to_vec()))
        .collect()
}

#[test]
fn a_column_that_goes_and_comes_back_is_told_in_each_chunk() {
    let mut decoder = decoder(string_decimals());
    let whole = create(1, "1.00");
    let without = create(2, "2.00").replace(r#""amount":"2.00","#, "");
    let renamed = create(3, "3.00").replace(r#""amount""#, r#""total""#);
    let chunk = decode(&mut decoder, &[&whole, &without, &renamed, &whole]);
    assert_eq!(chunk.holes, []);
    let lines = told(&chunk);
    assert!(lines[0].ends_with("amount=1.00"), "{lines:#?}");
    assert!(
        lines[1].ends_with("after payment_no=P2 order_no=O2"),
        "{lines:#?}"
    );
    assert!(
        lines[2].ends_with("after payment_no=P3 order_no=O3"),
        "{lines:#?}"
    );
    assert_eq!(
        shapes(&chunk),
        [
            "shop.payment 100 []",
            "shop.payment 102 [amount]",
            "shop.payment 106 []"
        ]
    );
    assert_eq!(lacking(&chunk), [(1, vec![2]), (2, vec![2])]);
    assert_eq!(what(&chunk), "`payment` has no column `amount`");
    assert_eq!(chunk.notes.len(), 1);
    assert_eq!(chunk.notes[0].column.as_deref(), Some("total"));
    assert_eq!(chunk.notes[0].position.place().0, 104);
    let again = decode(&mut decoder, &[&without]);
    assert_eq!(shapes(&again), ["shop.payment 100 [amount]"]);
}

#[test]
fn both_images_of_an_update_may_lack_a_column() {
    let without = |amount: &str| row(1, amount).replace(&format!(r#""amount":"{amount}","#), "");
    let mut decoder = decoder(string_decimals());
    let update = envelope("u", &without("1.00"), &without("2.00"), 1);
    let delete = envelope("d", &without("2.00"), "null", 2);
    let chunk = decode(&mut decoder, &[&update, &delete]);
    assert_eq!(chunk.holes, []);
    // Nothing is left of a deleted row that could be lacking.
    assert_eq!(lacking(&chunk), [(0, vec![2])]);
    assert_eq!(shapes(&chunk), ["shop.payment 100 [amount]"]);
}

#[test]
fn without_what_places_a_row_it_is_a_hole() {
    for (name, column) in [
        ("payment_no", r#""payment_no":"P1","#),
        ("order_no", r#""order_no":" o1","#),
    ] {
        let message = create(1, "1.00").replace(column, "");
        let chunk = decode(&mut decoder(string_decimals()), &[&message]);
        assert_hole(
            &chunk,
            HoleReason::Drift,
            &[&format!("`{name}` (text) is missing")],
        );
        assert_eq!(shapes(&chunk), [""; 0]);
    }
    let other = create(1, "1.00").replace(r#""payment_no":"P1""#, r#""payment_no":1"#);
    let chunk = decode(&mut decoder(string_decimals()), &[&other]);
    assert_hole(&chunk, HoleReason::WrongType, &["`payment_no`"]);
}

/// Without a schema the kind of a value is all there is to see.
#[test]
fn a_value_of_another_kind_is_a_drift_and_a_bad_one_of_its_kind_a_hole() {
    for (value, lost) in [("true", true), (r#"{"a":1}"#, false), (r#""many""#, false)] {
        let message =
            create(1, "1.00").replace(r#""amount":"1.00""#, &format!(r#""amount":{value}"#));
        let chunk = decode(&mut decoder(string_decimals()), &[&message]);
        assert_eq!(chunk.holes.is_empty(), lost, "{value}");
        assert_eq!(!lacking(&chunk).is_empty(), lost, "{value}");
    }
    let message = create(1, "1.00").replace(r#""day":null"#, r#""day":[1]"#);
    let chunk = decode(&mut decoder(string_decimals()), &[&message]);
    assert_eq!(
        what(&chunk),
        "column `day` of `payment`, date in its schema, comes as an object or a list"
    );
}

/// A schema beside the message that calls a column so.
fn with_schema(fields: &str, message: &str) -> String {
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{fields}]}}]}},"payload":{message}}}"#
    )
}

#[test]
fn the_schema_beside_a_message_tells_a_retyped_column() {
    let field = |kind: &str, name: &str, of: &str| {
        let name = match name {
            "" => String::new(),
            name => format!(r#","name":"{name}""#),
        };
        format!(r#"{{"type":"{kind}","field":"{of}"{name}}}"#)
    };
    let table = [
        (
            field("double", "", "amount"),
            r#""amount":1.5"#,
            "is a float",
        ),
        (
            field("bytes", "", "amount"),
            r#""amount":"AQ==""#,
            "is bytes",
        ),
        (
            field("int64", "io.debezium.time.MicroTimestamp", "amount"),
            r#""amount":5"#,
            "is a time",
        ),
        (
            field("int32", "io.debezium.time.Date", "amount"),
            r#""amount":5"#,
            "is a DATE",
        ),
        (
            field("boolean", "", "amount"),
            r#""amount":true"#,
            "is true or false",
        ),
        (field("string", "", "amount"), r#""amount":"1.50""#, ""),
        (field("int64", "", "amount"), r#""amount":15"#, ""),
    ];
    for (fields, amount, says) in table {
        let message = create(1, "1.00").replace(r#""amount":"1.00""#, amount);
        let message = with_schema(&fields, &message);
        let chunk = decode(&mut decoder(string_decimals()), &[&message]);
        assert_eq!(chunk.holes, [], "{fields}");
        assert_eq!(
            what(&chunk).is_empty(),
            says.is_empty(),
            "{fields}: {}",
            what(&chunk)
        );
        assert!(what(&chunk).contains(says), "{fields}: {}", what(&chunk));
    }
    // Another type beside other messages: the shape changes with it.
    let mut decoder = decoder(string_decimals());
    let message = |kind: &str, value: &str| {
        let message = create(1, "1.00").replace(r#""fen":null"#, &format!(r#""fen":{value}"#));
        with_schema(&field(kind, "", "fen"), &message)
    };
    let values = [
        message("int32", "7"),
        message("float", "7.5"),
        message("int32", "8"),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    assert_eq!(
        shapes(&chunk),
        [
            "shop.payment 100 []",
            "shop.payment 102 [fen]",
            "shop.payment 104 []"
        ]
    );
    assert!(told(&chunk)[2].contains("fen=8"));
}

#[test]
fn flattened_rows_lose_columns_too() {
    let format = Format::Debezium(DebeziumOptions {
        flattened: true,
        ..match string_decimals() {
            Format::Debezium(options) => options,
            _ => DebeziumOptions::default(),
        }
    });
    let added = format!(
        r#""__op":"c","__db":"shop","__table":"payment","__source_ts_ms":{MILLIS},"__server_id":7,"__file":"b.000001","__pos":4,"__row":0"#
    );
    let message = row(1, "1.00").replace(r#""amount":"1.00""#, &added);
    let chunk = decode(&mut decoder(format), &[&message]);
    assert_eq!(chunk.holes, []);
    assert_eq!(shapes(&chunk), ["shop.payment 100 [amount]"]);
}

fn canal(types: &str, data: &str) -> String {
    format!(
        r#"{{"data":[{data}],"database":"shop","es":{MILLIS},"isDdl":false,"mysqlType":{types},"old":null,"table":"payment","type":"INSERT"}}"#
    )
}

#[test]
fn canal_tells_the_types_of_columns() {
    let data = row(1, "1.50");
    for (types, says) in [
        (
            r#"{"amount":"decimal(18,2)","fen":"bigint(20) unsigned"}"#,
            "",
        ),
        (r#"{"amount":"double"}"#, "is a FLOAT or DOUBLE"),
        (r#"{"amount":"datetime(6)"}"#, "is a DATETIME"),
        (r#"{"day":"DATETIME"}"#, "is a DATETIME"),
        (r#"{"live":"varchar(5)"}"#, "is text"),
        (r#"{"order_no":"bigint(20)"}"#, ""),
        ("null", ""),
    ] {
        let chunk = decode(&mut decoder(Format::Canal), &[&canal(types, &data)]);
        assert_eq!(chunk.holes, [], "{types}");
        assert_eq!(
            what(&chunk).is_empty(),
            says.is_empty(),
            "{types}: {}",
            what(&chunk)
        );
        assert!(what(&chunk).contains(says), "{types}: {}", what(&chunk));
        assert_eq!(lacking(&chunk).is_empty(), says.is_empty());
    }
    let without = data.replace(r#""amount":"1.50","#, "");
    let rows = format!("{without},{}", without.replace("P1", "P2"));
    let chunk = decode(&mut decoder(Format::Canal), &[&canal("null", &rows)]);
    assert_eq!(lacking(&chunk), [(0, vec![2]), (1, vec![2])]);
    assert_eq!(shapes(&chunk), ["shop.payment 100 [amount]"]);
}

#[test]
fn maxwell_may_leave_out_what_is_null() {
    let message = |data: &str| {
        let seconds = MILLIS / 1_000;
        format!(
            r#"{{"database":"shop","table":"payment","type":"insert","ts":{seconds},"xid":1,"commit":true,"data":{data}}}"#
        )
    };
    let mut decoder = decoder(Format::Maxwell);
    let short = message(r#"{"payment_no":"P1","order_no":"o1","amount":1.00}"#);
    let chunk = decode(&mut decoder, &[&short]);
    assert_eq!(shapes(&chunk), ["shop.payment 100 []"]);
    assert_eq!(chunk.notes.len(), 5, "{:#?}", chunk.notes);
    let without = message(r#"{"payment_no":"P1","order_no":"o1","total":1.00}"#);
    let other = message(r#"{"payment_no":"P1","order_no":"o1","amount":true,"fen":"7"}"#);
    let chunk = decode(&mut decoder, &[&without, &other]);
    assert_eq!(chunk.holes, []);
    assert_eq!(
        shapes(&chunk),
        ["shop.payment 100 [amount]", "shop.payment 102 [amount fen]"]
    );
    let bad = message(r#"{"payment_no":"P1","order_no":"o1","amount":"x"}"#);
    assert_hole(
        &decode(&mut decoder, &[&bad]),
        HoleReason::WrongType,
        &["`amount`"],
    );
}

#[test]
fn events_lose_what_they_must_have() {
    let format = Format::JsonEvent {
        event: "received".into(),
    };
    let mut decoder = MessageDecoder::new(catalog(), format).unwrap();
    let event = |data: &str| Sent {
        headers: vec![("ce_id".into(), b"m1".to_vec())],
        value: Some(format!(r#"{{"head":{{"time":{MILLIS}}},"data":{data}}}"#).into_bytes()),
        ..Sent::default()
    };
    let sent = [
        event(r#"{"orderNo":"o1","amount":"1.00"}"#),
        event(r#"{"orderNo":"o1","total":"1.00"}"#),
        event(r#"{"orderNo":"o1","amount":{"fen":100}}"#),
    ];
    let chunk = decode_sent(&mut decoder, &sent);
    assert_eq!(chunk.holes, []);
    assert_eq!(
        shapes(&chunk),
        ["received 100 []", "received 102 [amount]"],
        "of one shape is what lacks the same"
    );
    for (data, reason) in [
        (
            r#"{"orderNo":"o1","amount":null}"#,
            HoleReason::MissingColumn,
        ),
        (r#"{"orderNo":"o1","amount":"x"}"#, HoleReason::WrongType),
        (r#"{"amount":"1.00"}"#, HoleReason::MissingColumn),
    ] {
        assert_hole(&decode_sent(&mut decoder, &[event(data)]), reason, &[]);
    }
}
