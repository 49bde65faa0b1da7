//! The same plan as JSON Lines, CSV and Parquet.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use centinel_engine::repair::{Changes, read_changes};
use centinel_tests::schemas;
use parquet::arrow::ArrowWriter;

const CSV: &str = "table,operation,key,column,old,new
refund,update,R1,status,FAILED,SUCCESS
refund,update,R1,reason,\\N,\"late, and \"\"lost\"\"\"
payment_db.payment,delete,P1,,,
settlement,delete,S1,amount,1250,
settlement,insert,S2,order_no,,E1
settlement,insert,S2,merchant_no,,M1
settlement,insert,S2,kind,,PAYMENT
settlement,insert,S2,amount,,-5
settlement,insert,S2,status,,CREATED
settlement,insert,S2,updated_at,,2026-11-22T08:00:00.5Z
";

const LINES: &str = r#"
{"table":"refund","operation":"update","key":{"refund_no":"R1"},"old":{"status":"FAILED","reason":null},"new":{"status":"SUCCESS","reason":"late, and \"lost\""}}
{"table":"payment","operation":"delete","key":{"payment_no":"P1"}}
{"table":"settlement","operation":"delete","key":{"settlement_no":"S1"},"old":{"amount":1250}}

{"table":"settlement","operation":"insert","key":{"settlement_no":"S2"},"new":{"order_no":"E1","merchant_no":"M1","kind":"PAYMENT","amount":"-5","status":"CREATED","updated_at":"2026-11-22T16:00:00.500+08:00"}}
"#;

fn read(name: &str, text: &str) -> Result<Changes, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    said(read_changes(&schemas(), &path))
}

fn said(read: Result<Changes, Vec<centinel_engine::repair::Mistake>>) -> Result<Changes, String> {
    read.map_err(|mistakes| {
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        shown.join("\n")
    })
}

fn parquet(path: &Path) {
    let columns = ["table", "operation", "key", "column", "old", "new"];
    let cells: Vec<Vec<Option<String>>> = CSV
        .lines()
        .skip(1)
        .map(|line| {
            let line = line.replace("\"late, and \"\"lost\"\"\"", "late# and \"lost\"");
            let fields = line.split(',').map(|field| match field {
                "\\N" | "" => None,
                field => Some(field.replace('#', ",")),
            });
            fields.collect()
        })
        .collect();
    let arrays = columns.iter().enumerate().map(|(index, name)| {
        let texts: StringArray = cells.iter().map(|row| row[index].clone()).collect();
        (*name, Arc::new(texts) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(arrays).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn the_three_forms_say_the_same() {
    let lines = read("changes.jsonl", LINES).unwrap();
    let csv = read("changes.csv", CSV).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changes.parquet");
    parquet(&path);
    let parquet = said(read_changes(&schemas(), &path)).unwrap();
    assert_eq!(lines.rows.len(), 4);
    for other in [csv, parquet] {
        for (one, other) in lines.rows.iter().zip(&other.rows) {
            let told = |row: &centinel_engine::repair::RowChange| {
                (
                    row.table,
                    row.planned,
                    row.key.clone(),
                    row.old.clone(),
                    row.new.clone(),
                )
            };
            assert_eq!(told(one), told(other));
        }
        assert_eq!(other.rows.len(), 4);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_line_and_a_remedy() {
    let line = |text: &str| {
        format!(
            "{{\"table\":\"refund\",\"operation\":\"update\",\"key\":{{\"refund_no\":\"R1\"}},{text}}}"
        )
    };
    let cases = [
        ("{", "line 1", "write {"),
        (
            r#"{"table":"refnd","operation":"delete","key":{}}"#,
            "no schema describes `refnd`",
            "name one of",
        ),
        (
            r#"{"table":"refund_completed","operation":"delete","key":{}}"#,
            "is an event",
            "tables only",
        ),
        (
            r#"{"table":"refund","operation":"upsert","key":{}}"#,
            "`upsert` is no operation",
            "insert, update or delete",
        ),
        (
            r#"{"table":"refund","operation":"delete","key":{}}"#,
            "lacks refund_no",
            "every column",
        ),
        (
            r#"{"table":"refund","operation":"delete","key":{"refund_no":"R1"},"new":{"amount":"1"}}"#,
            "a delete has new values",
            "leave `new` out",
        ),
        (
            r#"{"table":"refund","operation":"insert","key":{"refund_no":"R1"},"new":{"amount":"1"}}"#,
            "the new row lacks order_no",
            "every column that may not be null",
        ),
        (
            r#"{"table":"refund","operation":"delete","key":{"refund_no":"R1"},"why":"x"}"#,
            "unknown field `why`",
            "write {",
        ),
    ];
    for (text, problem, remedy) in cases {
        let told = read("changes.jsonl", &format!("{text}\n")).unwrap_err();
        assert!(
            told.contains("line 1") && told.contains(problem) && told.contains(remedy),
            "{text}: {told}"
        );
    }
    let cases = [
        (
            r#""new":{"amount":"1.00"}"#,
            "old value of amount is not said",
            "old and new",
        ),
        (
            r#""old":{"amount":1.5},"new":{"amount":"1.00"}"#,
            "fraction",
            "as text",
        ),
        (
            r#""old":{"amount":"x"},"new":{"amount":"1.00"}"#,
            "`x` of refund.amount is not of type",
            "12.50",
        ),
        (
            r#""old":{"amout":"1"},"new":{"amout":"1.00"}"#,
            "no column `amout`",
            "name one of",
        ),
        (
            r#""old":{"refund_no":"R1"},"new":{"refund_no":"R2"}"#,
            "changes the row's key",
            "a delete and an insert",
        ),
    ];
    for (text, problem, remedy) in cases {
        let told = read("changes.jsonl", &line(text)).unwrap_err();
        assert!(
            told.contains(problem) && told.contains(remedy),
            "{text}: {told}"
        );
    }
    let head = "table,operation,key,column,old,new\n";
    let cases = [
        ("".to_owned(), "the file is empty"),
        (
            "table,operation,key,column,old\n".to_owned(),
            "no column `new`",
        ),
        (
            format!("{head}refund,update,R1,status,FAILED\n"),
            "line 2: has 5 fields",
        ),
        (
            format!("{head}refund,update,R1,status,\"FAILED,SUCCESS\n"),
            "never closed",
        ),
        (
            format!("{head}refund,update,R1,status,A,B\nrefund,update,R1,status,A,C\n"),
            "line 3: status of this row is said twice",
        ),
        (
            format!("{head}refund,update,R1,,A,B\n"),
            "no column is named",
        ),
        (head.to_owned(), "plans nothing"),
    ];
    for (text, problem) in cases {
        let told = read("changes.csv", &text).unwrap_err();
        assert!(told.contains(problem), "{text}: {told}");
    }
    let told = read("changes.txt", "x").unwrap_err();
    assert!(told.contains(".jsonl, .csv or .parquet"), "{told}");
}
