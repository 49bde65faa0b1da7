//! What does more than read, or reads something else, is refused by name.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use centinel_engine::query::{QueryError, Tables};

use crate::support::{asked, rows, table_of};

fn tables() -> Tables {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    let numbers = Int64Array::from(vec![1, 2, 3]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers)]).unwrap();
    let mut tables = table_of(batch, 1);
    tables.lack("archive", "the configuration has no [archive]");
    tables
}

fn refused(sql: &str) -> String {
    match asked(tables(), sql) {
        Err(QueryError::Wrong(told)) => told,
        other => panic!("{sql}: {:?}", other.map(|answer| rows(&answer))),
    }
}

#[test]
fn statements_that_do_more_than_read_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.csv");
    std::fs::write(&file, "n\n1\n").unwrap();
    let file = file.display();
    for (sql, name) in [
        ("INSERT INTO t VALUES (1)".to_owned(), "INSERT INTO"),
        ("insert into t select * from t".into(), "INSERT INTO"),
        ("UPDATE t SET n = 1".into(), "UPDATE"),
        ("DELETE FROM t".into(), "DELETE FROM"),
        ("TRUNCATE TABLE t".into(), "TRUNCATE"),
        (
            "MERGE INTO t USING t AS s ON t.n = s.n WHEN MATCHED THEN DELETE".into(),
            "MERGE INTO",
        ),
        ("CREATE TABLE x AS SELECT 1".into(), "CREATE TABLE"),
        ("CREATE VIEW x AS SELECT 1".into(), "CREATE VIEW"),
        ("CREATE SCHEMA x".into(), "CREATE SCHEMA"),
        ("CREATE DATABASE x".into(), "CREATE DATABASE"),
        (
            "CREATE FUNCTION f(INT) RETURNS INT RETURN $1".into(),
            "CREATE FUNCTION",
        ),
        (
            format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'"),
            "CREATE EXTERNAL",
        ),
        ("CREATE INDEX x ON t (n)".into(), "CREATE INDEX"),
        ("DROP TABLE t".into(), "DROP TABLE"),
        ("DROP VIEW t".into(), "DROP VIEW"),
        ("ALTER TABLE t ADD COLUMN m INT".into(), "ALTER TABLE"),
        (format!("COPY t TO '{file}'"), "COPY"),
        (
            format!("COPY (SELECT 1) TO '{file}' STORED AS PARQUET"),
            "COPY",
        ),
        ("SET datafusion.execution.batch_size = 1".into(), "SET"),
        ("RESET datafusion.execution.batch_size".into(), "RESET"),
        ("PREPARE p AS SELECT 1".into(), "PREPARE"),
        ("EXECUTE p".into(), "EXECUTE"),
        ("DEALLOCATE p".into(), "DEALLOCATE"),
        ("BEGIN".into(), "BEGIN"),
        ("COMMIT".into(), "COMMIT"),
        ("ROLLBACK".into(), "ROLLBACK"),
        ("GRANT SELECT ON t TO x".into(), "GRANT"),
        ("EXPLAIN INSERT INTO t VALUES (1)".into(), "EXPLAIN INSERT"),
        ("EXPLAIN ANALYZE DELETE FROM t".into(), "EXPLAIN ANALYZE"),
        (format!("EXPLAIN COPY t TO '{file}'"), "EXPLAIN COPY"),
        ("SELECT n INTO x FROM t".into(), "SELECT"),
        (
            "WITH x AS (SELECT 1 AS n) INSERT INTO t SELECT n FROM x".into(),
            "",
        ),
        (
            "WITH x AS (DELETE FROM t RETURNING n) SELECT * FROM x".into(),
            "",
        ),
        ("SELECT * FROM (SELECT n INTO y FROM t) AS s".into(), ""),
    ] {
        let told = refused(&sql);
        assert!(told.contains(name), "{sql}: {told}");
        let is_plain = told.contains("refused") || name.is_empty();
        assert!(is_plain, "{sql}: {told}");
    }
    assert_eq!(
        std::fs::read_to_string(folder.path().join("file.csv")).unwrap(),
        "n\n1\n"
    );
}

#[test]
fn one_statement_is_asked_at_a_time() {
    assert!(refused("SELECT 1; SELECT 2").contains("2 statements"));
    assert!(refused("SELECT 1; DROP TABLE t").contains("2 statements"));
    assert!(refused("").contains("there is no query"));
    assert!(refused("  -- nothing\n ;").contains("there is no query"));
    assert!(refused(&format!("SELECT {}1", " ".repeat(70_000))).contains("bytes"));
    let nested = format!("SELECT {}1{}", "(".repeat(2_000), ")".repeat(2_000));
    refused(&nested);
    refused("SELEKT 1");
    // The end of a statement is none.
    asked(tables(), "SELECT 1;").unwrap();
}

#[test]
fn nothing_but_the_tables_can_be_reached() {
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT * FROM range(1, 1000000000000)",
        "SELECT read_file('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT load_extension('x')",
        "SELECT getenv('PATH')",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT * FROM nothing",
        "SELECT * FROM state.payment",
        "SELECT * FROM other.public.t",
    ] {
        refused(sql);
    }
    let told = refused("SELECT * FROM archive.payment");
    assert!(
        told.contains("the configuration has no [archive]"),
        "{told}"
    );
    let told = refused("SELECT * FROM nothing");
    assert!(told.contains("--tables"), "{told}");
}

#[test]
fn everything_that_reads_may_be_asked() {
    for sql in [
        "SELECT n FROM t",
        "select sum(n) from public.t",
        "WITH x AS (SELECT n FROM t) SELECT x.n FROM x JOIN t ON t.n = x.n",
        "SELECT n FROM t UNION ALL SELECT 4 EXCEPT SELECT 1",
        "SELECT (SELECT max(n) FROM t) AS most FROM t WHERE n IN (SELECT min(n) FROM t)",
        "VALUES (1, 'a'), (2, 'b')",
        "EXPLAIN SELECT n FROM t",
        "EXPLAIN ANALYZE SELECT n FROM t",
        "DESCRIBE t",
        "SHOW TABLES",
        "SHOW COLUMNS FROM t",
        "SELECT table_name FROM information_schema.tables",
        "SELECT json_get_str('{\"a\": \"b\"}', 'a')",
    ] {
        let answer = asked(tables(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!rows(&answer).is_empty(), "{sql}");
    }
}
