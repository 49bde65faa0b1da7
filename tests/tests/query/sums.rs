//! Numbers are exact, sums of the largest among them as well.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Field, Schema};
use centinel_engine::query::Tables;

use crate::{asked, one, rows, table_of};

const MOST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

fn tables() -> Tables {
    let groups = StringArray::from(vec!["a", "a", "b"]);
    let whole = Int64Array::from(vec![i64::MAX, i64::MAX, i64::MIN]);
    let unsigned = UInt64Array::from(vec![u64::MAX, u64::MAX, 1]);
    let wide = Decimal128Array::from(vec![MOST, MOST, -MOST]);
    let wide = wide.with_precision_and_scale(38, 2).unwrap();
    let money = Decimal128Array::from(vec![1, 2, 3]);
    let money = money.with_precision_and_scale(18, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("g", Arc::new(groups)),
        ("whole", Arc::new(whole)),
        ("unsigned", Arc::new(unsigned)),
        ("wide", Arc::new(wide)),
        ("money", Arc::new(money)),
    ];
    let fields = columns.iter();
    let fields = fields.map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    table_of(RecordBatch::try_new(schema, columns).unwrap(), 1)
}

#[test]
fn sums_never_wrap_around() {
    for (sql, sum) in [
        (
            "SELECT sum(whole) FROM t WHERE g = 'a'",
            "18446744073709551614",
        ),
        ("SELECT sum(whole) FROM t", "9223372036854775806"),
        ("SELECT sum(unsigned) FROM t", "36893488147419103231"),
        (
            "SELECT sum(wide) FROM t WHERE g = 'a'",
            "1999999999999999999999999999999999999.98",
        ),
        (
            "SELECT sum(wide) FROM t",
            "999999999999999999999999999999999999.99",
        ),
        ("SELECT sum(money) FROM t", "0.06"),
        ("SELECT sum(money * 2) FROM t", "0.12"),
        ("SELECT sum(DISTINCT whole) FROM t", "-1"),
        ("SELECT sum(1) FROM t", "3"),
        (
            "SELECT max(total) FROM (SELECT g, sum(whole) AS total FROM t GROUP BY g)",
            "18446744073709551614",
        ),
        (
            "SELECT max(s) FROM (SELECT sum(whole) OVER (ORDER BY money) AS s FROM t)",
            "18446744073709551614",
        ),
        (
            "SELECT sum(whole) FILTER (WHERE g = 'b') FROM t",
            "-9223372036854775808",
        ),
    ] {
        assert_eq!(one(tables(), sql).as_deref(), Some(sum), "{sql}");
    }
    assert_eq!(
        one(tables(), "SELECT sum(whole) FROM t WHERE g = 'c'"),
        None
    );
    // Beside a distinct one, which the engine would add up in two steps.
    let sql = "SELECT g, sum(wide), count(DISTINCT money), sum(whole) FROM t GROUP BY g ORDER BY g";
    let found = rows(&asked(tables(), sql).unwrap());
    let texts = |row: &[Option<String>]| {
        row.iter()
            .map(|text| text.clone().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [texts(&found[0]), texts(&found[1])],
        [
            vec![
                "a",
                "1999999999999999999999999999999999999.98",
                "2",
                "18446744073709551614"
            ],
            vec![
                "b",
                "-999999999999999999999999999999999999.99",
                "1",
                "-9223372036854775808"
            ],
        ]
    );
}

#[test]
fn numbers_in_a_query_are_decimals() {
    assert_eq!(one(tables(), "SELECT 0.1 + 0.2").as_deref(), Some("0.3"));
    assert_eq!(
        one(tables(), "SELECT sum(money) * 0.006 FROM t").as_deref(),
        Some("0.00036")
    );
}
