//! A small catalog, and chunks of lines.
#![allow(dead_code, clippy::unwrap_used)]

use centinel_catalog::{
    Catalog, Column, ColumnType, Entity, EntityPath, Normalisation, Table, TableKind, TablePattern,
};
use centinel_model::{DecodedChunk, Duration, EntityId, SourceId, TableId, Timestamp};
use centinel_source::{Decoder, RawChunk};

pub const PAYMENT: TableId = TableId(0);
pub const PAYMENT_COMPLETED: TableId = TableId(1);
pub const REFUND: TableId = TableId(2);
pub const EVENTS: SourceId = SourceId(0);
pub const PAYMENT_DB: SourceId = SourceId(1);
pub const REFUND_DB: SourceId = SourceId(2);
pub const ORDER: EntityId = EntityId(0);
pub const NOW: &str = "2026-11-22T08:00:00Z";

fn column(name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        kind,
        nullable,
        sensitive: false,
        money: None,
    }
}

fn table(
    name: &str,
    kind: TableKind,
    source: SourceId,
    order_no: usize,
    columns: Vec<Column>,
) -> Table {
    Table {
        name: name.into(),
        kind,
        system: "payment".into(),
        source,
        columns,
        primary_key: vec![0],
        entities: vec![EntityPath::Direct {
            entity: ORDER,
            columns: vec![order_no],
        }],
        state: None,
        flow: None,
        changed_at: None,
        lookback: Duration::seconds(86_400),
        link_patience: Duration::seconds(60),
        from: vec![TablePattern::of_name(name)],
        from_declared: false,
        shard: None,
        zone_seconds: None,
        message: None,
        guard: None,
        plans_for: None,
    }
}

pub fn catalog() -> Catalog {
    use ColumnType::*;
    let decimal = Decimal {
        precision: 18,
        scale: 2,
    };
    let payment = vec![
        column("payment_no", Text, false),
        column("order_no", Text, false),
        column("amount", decimal, false),
        column("fen", Integer, true),
        column("live", Boolean, true),
        column("paid_at", Timestamp, true),
        column("day", Date, true),
        column("extra", Json, true),
        column("updated_at", Timestamp, false),
    ];
    let completed = vec![
        column("message_id", Text, false),
        column("order_no", Text, false),
        column("amount", decimal, false),
    ];
    Catalog {
        tables: vec![
            table("payment", TableKind::Rows, PAYMENT_DB, 1, payment.clone()),
            table("payment_completed", TableKind::Events, EVENTS, 1, completed),
            table("refund", TableKind::Rows, REFUND_DB, 1, payment),
        ],
        entities: vec![Entity {
            name: "order".into(),
            key: vec!["order_no".into()],
            normalise: vec![Normalisation::Trim, Normalisation::Upper],
            max_rows: 10_000,
            begins_with: None,
        }],
        sources: vec![
            "business-events".into(),
            "payment-db".into(),
            "refund-db".into(),
        ],
    }
}

pub fn chunk(bytes: impl Into<Vec<u8>>) -> RawChunk {
    RawChunk {
        input: "log".into(),
        first_line: "hash".into(),
        offset: 1_000,
        bytes: bytes.into(),
        oversized: None,
    }
}

pub fn decode(bytes: impl Into<Vec<u8>>) -> DecodedChunk {
    Decoder::new(&catalog())
        .decode(chunk(bytes), Timestamp::parse(NOW).unwrap())
        .unwrap()
}

/// A good row, with some text replaced in its columns.
pub fn columns(number: u64) -> String {
    format!(
        r#"{{"payment_no":"P{number}","order_no":" o{number} ","amount":"12.50","fen":1250,"live":true,"paid_at":null,"day":"2026-11-22","extra":"{{\"a\":1}}","updated_at":"2026-11-22T08:00:00.000001Z"}}"#
    )
}

pub fn insert(number: u64) -> String {
    insert_of(number, &columns(number))
}

pub fn insert_of(number: u64, columns: &str) -> String {
    format!(
        r#"{{"table":"payment","op":"insert","epoch":1,"sequence":{number},"ordinal":0,"last":true,"committed_at":"2026-11-22T08:00:00.000000Z","after":{columns}}}"#
    )
}
