//! Every limit ends a query that would go beyond it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use centinel_engine::query::{QueryError, QueryLimits, ask};

use crate::support::{add_table, asked, limits, rows, table_of};

/// Numbers from 0 on, and a text of each.
fn numbers(count: i64) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let texts = (0..count).map(|n| Some(format!("{:032}", n * 7_919 % count)));
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int64Array::from_iter_values(0..count)),
            Arc::new(texts.collect::<StringArray>()),
        ],
    )
    .unwrap()
}

fn ended(sql: &str, change: impl FnOnce(&mut QueryLimits)) -> (QueryError, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = limits(folder.path());
    change(&mut limits);
    let mut tables = table_of(numbers(8_192), 100_000);
    add_table(&mut tables, "few", numbers(100_000), 1);
    let begun = Instant::now();
    let refused = ask(tables, sql, &limits).map(|answer| rows(&answer).len());
    (refused.unwrap_err(), begun.elapsed())
}

#[test]
fn time_ends_what_never_yields_a_row() {
    for sql in [
        // A cross join of which nothing is left.
        "SELECT count(*) FROM few a, few b WHERE a.n * b.n = -1",
        "SELECT a.n FROM few a CROSS JOIN few b WHERE a.text || b.text = 'none'",
        // One that must see everything first.
        "SELECT n FROM t ORDER BY text DESC, n LIMIT 1",
        "SELECT text, sum(n) OVER (ORDER BY text ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) FROM t ORDER BY 2 LIMIT 1",
    ] {
        let (refused, took) = ended(sql, |limits| limits.time = Duration::from_millis(700));
        assert_eq!(
            refused,
            QueryError::Time(Duration::from_millis(700)),
            "{sql}"
        );
        assert!(refused.to_string().contains("--timeout"), "{refused}");
        assert!(took < Duration::from_secs(5), "{sql}: ended after {took:?}");
    }
}

#[test]
fn memory_ends_what_cannot_be_put_aside() {
    let small = |limits: &mut QueryLimits| limits.memory_bytes = 16 << 20;
    for sql in [
        // The side of a join that is kept.
        "SELECT count(*) FROM t AS a JOIN t AS b ON a.text = b.text AND a.n <> b.n",
        // One that is made of another.
        "SELECT count(*) FROM few a, few b, few c WHERE a.n * b.n + c.n = -1",
        // The answer itself.
        "SELECT string_agg(text, ',') FROM t",
    ] {
        let (refused, _) = ended(sql, small);
        let QueryError::Memory { bytes, .. } = &refused else {
            panic!("{sql}: {refused}");
        };
        assert_eq!(*bytes, 16 << 20);
        assert!(refused.to_string().contains("--memory"), "{refused}");
    }
}

/// Texts that the engine does not account for: each doubles the one before.
#[test]
fn memory_that_nobody_accounts_for_ends_a_query_too() {
    let mut sql = "WITH t0 AS (SELECT text AS x FROM few)".to_owned();
    for step in 1..=22 {
        let before = step - 1;
        sql.push_str(&format!(", t{step} AS (SELECT x || x AS x FROM t{before})"));
    }
    sql.push_str(" SELECT max(length(x)) FROM t22");
    let (refused, took) = ended(&sql, |limits| limits.memory_bytes = 16 << 20);
    // The engine itself may refuse a text that is longer than it can count.
    let fits = matches!(refused, QueryError::Memory { .. } | QueryError::Failed(_));
    assert!(fits, "{refused}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// Runs a test in a process of its own: the memory of a process is all tests' that run in it.
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "CENTINEL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let done = command.args(["--exact", name]).env(ALONE, "1").output();
    let done = done.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn what_is_put_aside_is_bounded_and_gone_afterwards() {
    alone(
        "limits::what_is_put_aside_is_bounded_and_gone_afterwards",
        put_aside,
    );
}

fn put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let own = QueryLimits {
        memory_bytes: 64 << 20,
        ..limits(folder.path())
    };
    // 80 MB of texts are sorted within 64 MiB, by files. Each of 8,192 texts stands in 245 rows.
    let sql = "SELECT text FROM (SELECT text, row_number() OVER (ORDER BY text, n) AS place FROM t) AS sorted
               WHERE place = 2000000";
    let answer = ask(table_of(numbers(8_192), 245), sql, &own).unwrap();
    assert_eq!(rows(&answer), [[Some(format!("{:032}", 1_999_999 / 245))]]);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let files = left.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(files.count(), 0, "files are left");

    let refused = ask(
        table_of(numbers(8_192), 2_450),
        sql,
        &QueryLimits {
            file_bytes: 20 << 20,
            ..own
        },
    );
    let refused = refused.unwrap_err();
    assert_eq!(refused, QueryError::Disk { bytes: 20 << 20 }, "{refused}");
}

#[test]
fn rows_beyond_the_limit_are_cut_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let limits = |rows| QueryLimits {
        rows,
        ..limits(folder.path())
    };
    for (wanted, shown, is_cut) in [(9, 9, true), (10, 10, false), (11, 10, false)] {
        for sql in ["SELECT n FROM ten", "SELECT n FROM ten ORDER BY n DESC"] {
            let mut tables = table_of(numbers(1), 1);
            add_table(&mut tables, "ten", numbers(10), 1);
            let answer = ask(tables, sql, &limits(wanted)).unwrap();
            assert_eq!(
                (rows(&answer).len(), answer.is_cut),
                (shown, is_cut),
                "{sql}"
            );
        }
    }
    // Endless rows end soon.
    let begun = Instant::now();
    let answer = ask(
        table_of(numbers(8_192), usize::MAX),
        "SELECT n FROM t",
        &limits(20_000),
    );
    let answer = answer.unwrap();
    assert_eq!((rows(&answer).len(), answer.is_cut), (20_000, true));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn no_row_is_an_answer() {
    let answer = asked(table_of(numbers(10), 1), "SELECT n FROM t WHERE n < 0").unwrap();
    assert_eq!((answer.batches.len(), answer.is_cut), (0, false));
    assert_eq!(answer.schema.field(0).name(), "n");
}
