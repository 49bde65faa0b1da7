//! Who made a change, as far as each tool tells it.

use centinel_model::{DecodedChunk, Origin};
use centinel_source::Format;

use crate::support::{MILLIS, decode, decoder};
use crate::{canal, debezium, maxwell};

fn origins(chunk: &DecodedChunk) -> Vec<Option<Origin>> {
    let tables = chunk.tables.iter();
    tables
        .flat_map(|changes| changes.origins().map(|origin| origin.cloned()))
        .collect()
}

fn read(format: Format, values: &[String]) -> Vec<Option<Origin>> {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let chunk = decode(&mut decoder(format), &values);
    assert!(chunk.holes.is_empty(), "{:?}", chunk.holes);
    origins(&chunk)
}

fn made(transaction: &str, thread: Option<u64>) -> Option<Origin> {
    Some(Origin {
        transaction: Some(transaction.into()),
        thread,
        ..Origin::default()
    })
}

#[test]
fn debezium_tells_transaction_thread_and_statement() {
    let plain = debezium::create(1, "1.00");
    let gtid = plain.replace(r#""gtid":null"#, r#""gtid":"3e11fa47:5""#);
    let query = gtid.replace(
        r#""query":null"#,
        r#""query":"INSERT INTO payment VALUES (1)""#,
    );
    let postgres = plain
        .replace(r#""gtid":null"#, r#""txId":555"#)
        .replace(r#""thread":9"#, r#""thread":null"#);
    let nobody = postgres
        .replace(r#""txId":555"#, r#""gtid":null"#)
        .replace(r#"{"id":"x""#, r#"{"id":null"#);
    let found = read(
        debezium::string_decimals(),
        &[plain, gtid, query, postgres, nobody],
    );
    let stated = Origin {
        statement: Some("INSERT INTO payment VALUES (1)".into()),
        ..made("3e11fa47:5", Some(9)).unwrap()
    };
    let expected = [
        made("x", Some(9)),
        made("3e11fa47:5", Some(9)),
        Some(stated),
        made("555", None),
        None,
    ];
    assert_eq!(found, expected);
}

#[test]
fn maxwell_tells_transaction_and_thread() {
    let message = |more: &str| maxwell::message("insert", more, &maxwell::row(1, "1.00"), "");
    let found = read(
        Format::Maxwell,
        &[message(""), message(r#","thread_id":4,"gtid":"0-1-77""#)],
    );
    assert_eq!(found, [made("142", None), made("0-1-77", Some(4))]);
}

#[test]
fn canal_tells_the_transaction_where_the_server_has_gtids() {
    let rows = format!("[{}]", canal::row(1, "1.00"));
    let plain = canal::message("INSERT", &rows, "null", MILLIS);
    let named = plain.replace(r#""gtid":"""#, r#""gtid":"3e11fa47:5""#);
    assert_eq!(
        read(Format::Canal, &[plain, named]),
        [None, made("3e11fa47:5", None)]
    );
}

#[test]
fn a_change_log_tells_all_of_it() {
    let line = |sequence: u32, who: &str| {
        format!(
            r#"{{"table":"payment","op":"insert","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"2026-11-22T07:59:00Z"{who},"after":{{"payment_no":"P{sequence}","order_no":"o","amount":"1.00"}}}}"#
        )
    };
    let long = "x".repeat(2_000);
    let who =
        format!(r#","transaction":"t-1","thread":7,"account":"app@10.0.0.1","statement":"{long}""#);
    let found = read(
        Format::Lines,
        &[
            line(1, &who),
            line(2, &who),
            line(3, r#","thread":null,"account":null"#),
        ],
    );
    let whole = Some(Origin {
        transaction: Some("t-1".into()),
        thread: Some(7),
        account: Some("app@10.0.0.1".into()),
        statement: Some("x".repeat(1_024)),
    });
    assert_eq!(found, [whole.clone(), whole, None]);
}
