//! Debezium's rows after `ExtractNewRecordState`.

use centinel_model::HoleReason;
use centinel_source::{DebeziumOptions, Decimals, Format};

use crate::support::{MILLIS, assert_hole, decode, decoder, told};

fn format(servers: Vec<u64>) -> Format {
    Format::Debezium(DebeziumOptions {
        flattened: true,
        decimals: Some(Decimals::String),
        servers,
        ..DebeziumOptions::default()
    })
}

fn row(op: &str, deleted: &str) -> String {
    format!(
        r#"{{"payment_no":"P1","order_no":"o1","amount":"1.00","fen":null,"live":null,"day":null,"paid_at":null,"extra":null,"__op":"{op}","__db":"shop","__table":"payment","__source_ts_ms":{MILLIS},"__ts_ms":99,"__server_id":7,"__file":"binlog.000003","__pos":154,"__row":1,"__deleted":"{deleted}"}}"#
    )
}

#[test]
fn rows_are_changes_without_the_row_before() {
    let mut decoder = decoder(format(Vec::new()));
    let values = [
        row("c", "false"),
        row("u", "false"),
        row("d", "true"),
        row("r", "false"),
    ];
    let chunk = decode(&mut decoder, &values.each_ref().map(String::as_str));
    let (sequence, image) = ((3_u64 << 40) + 154, "payment_no=P1 order_no=O1 amount=1.00");
    let line = |kind: &str, which: &str| {
        format!("payment {kind} 0/{sequence}/1 2026-11-22T07:59:00Z {which} {image}")
    };
    assert_eq!(
        told(&chunk),
        [
            line("Insert", "after"),
            line("Snapshot", "after"),
            line("Delete", "before"),
            line("Snapshot", "after")
        ]
    );
    assert_eq!(chunk.notes, []);
    let named = row("u", "false")
        .replace("__db", "__source_db")
        .replace("__pos", "__source_pos");
    let wrapped = format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"string","field":"amount"}}]}},"payload":{named}}}"#
    );
    assert_eq!(
        told(&decode(&mut decoder, &[&wrapped])),
        [line("Snapshot", "after")]
    );
    let rewritten = row("u", "false").replace(r#""__op":"u","#, "");
    assert_eq!(
        told(&decode(&mut decoder, &[&rewritten])),
        [line("Snapshot", "after")]
    );
    assert_eq!(
        told(&decode(
            &mut decoder,
            &[r#"{"schema":null,"payload":null}"#]
        )),
        ["nothing"]
    );
}

#[test]
fn what_is_needed_to_order_rows_must_be_there() {
    let wrong = [
        (
            r#""__pos":154,"#,
            HoleReason::MissingColumn,
            "[O1]",
            "`pos` is missing",
        ),
        (
            r#""__file":"binlog.000003","#,
            HoleReason::MissingColumn,
            "[O1]",
            "`file` is missing",
        ),
        (
            r#""__db":"shop","#,
            HoleReason::UnknownTable,
            "[]",
            "`db` is missing",
        ),
        (
            r#""__table":"payment","#,
            HoleReason::UnknownTable,
            "[]",
            "`table` is missing",
        ),
        (
            r#""__server_id":7,"#,
            HoleReason::MissingColumn,
            "[O1]",
            "`server_id` is missing",
        ),
        (
            "\"__source_ts_ms\":1795334340000,",
            HoleReason::MissingColumn,
            "[O1]",
            "`__source_ts_ms` is missing",
        ),
    ];
    for (part, reason, entities, says) in wrong {
        let value = row("u", "false");
        assert!(value.contains(part), "{part}");
        let chunk = decode(&mut decoder(format(vec![7])), &[&value.replace(part, "")]);
        assert_hole(&chunk, reason, &[says, "add.fields="]);
        assert!(told(&chunk)[0].contains(entities), "{:?}", told(&chunk));
    }
    let mut decoder = decoder(format(Vec::new()));
    let value = r#"{"payment_no":"P1","order_no":"o1","amount":"1.00"}"#;
    assert_hole(
        &decode(&mut decoder, &[value]),
        HoleReason::UnknownTable,
        &["add.fields="],
    );
    let value = row("c", "false")
        .replace(r#""__op":"c","#, "")
        .replace(r#","__deleted":"false""#, "");
    assert_hole(
        &decode(&mut decoder, &[&value]),
        HoleReason::UnknownForm,
        &["`__op` is missing"],
    );
}
