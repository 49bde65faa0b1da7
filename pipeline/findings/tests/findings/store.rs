//! The file itself.

use centinel_findings::{FindingsError, Store};
use serde_json::json;

use crate::support::{Desk, told};

#[test]
fn files_of_something_else_and_of_newer_programs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let refused = |path| Store::open(path).err().unwrap().to_string();
    std::fs::write(&path, "some text that is longer than the head of a file of SQLite would be, I hope; so it is no such one.").unwrap();
    assert!(
        refused(&path).contains("cannot be used as a store of findings"),
        "{}",
        refused(&path)
    );
    std::fs::remove_file(&path).unwrap();
    // Another program's, of the same form number.
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE trips (id TEXT); PRAGMA user_version = 1;")
        .unwrap();
    drop(other);
    assert!(
        refused(&path).contains("it holds something else"),
        "{}",
        refused(&path)
    );

    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", json!({}))]);
    let path = desk.folder.path().join("findings.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(
        refused(&path).contains("start the program that wrote it"),
        "{}",
        refused(&path)
    );
    let nowhere = folder.path().join("no/such/folder.db");
    assert!(matches!(
        Store::open(&nowhere),
        Err(FindingsError::Failed(_))
    ));
}

#[test]
fn a_store_that_is_only_looked_at_is_not_changed() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", json!({}))]);
    let path = desk.folder.path().join("findings.db");
    let mut reader = Store::open_read_only(&path).unwrap();
    assert!(
        reader
            .get(&crate::support::id("r", "E1"))
            .unwrap()
            .is_some()
    );
    assert!(reader.begin_anew("x", crate::support::now()).is_err());
    // It sees what comes meanwhile.
    desk.tell(&[told("r", "E2", 1, "confirmed", json!({}))]);
    assert!(
        reader
            .get(&crate::support::id("r", "E2"))
            .unwrap()
            .is_some()
    );
    let nowhere = desk.folder.path().join("nowhere.db");
    assert!(Store::open_read_only(&nowhere).is_err() && !nowhere.exists());
}

#[test]
fn histories_cannot_be_changed_even_by_sql() {
    let mut desk = Desk::new();
    desk.tell(&[told("r", "E1", 1, "confirmed", json!({}))]);
    let connection = rusqlite::Connection::open(desk.folder.path().join("findings.db")).unwrap();
    for sql in ["UPDATE entries SET by = 'somebody'", "DELETE FROM entries"] {
        let refused = connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

#[test]
fn money_is_nowhere_a_float() {
    let mut desk = Desk::new();
    for (order, amount) in [
        ("E1", "0.1"),
        ("E2", "99999999999999999999999999999999999.99"),
    ] {
        desk.tell(&[told(
            "r",
            order,
            1,
            "confirmed",
            crate::support::money(amount, "CNY"),
        )]);
    }
    let connection = rusqlite::Connection::open(desk.folder.path().join("findings.db")).unwrap();
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'words%' AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(tables.len() >= 7, "{tables:?}");
    for table in tables {
        let mut columns = connection
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .unwrap();
        let columns: Vec<String> = columns
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for column in columns {
            let sql = format!("SELECT count(*) FROM {table} WHERE typeof({column}) = 'real'");
            let floats: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(floats, 0, "{table}.{column}");
        }
    }
    let sum: String = connection
        .query_row("SELECT at_risk FROM groups WHERE findings = 2", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(sum, "100000000000000000000000000000000000.09");
}

#[test]
fn several_make_the_store_at_once() {
    for _ in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.db");
        let together = std::sync::Barrier::new(8);
        let opened = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        Store::open(&path).map(|_| ())
                    })
                })
                .collect();
            openers
                .into_iter()
                .map(|opener| opener.join().unwrap())
                .collect::<Vec<_>>()
        });
        for opened in opened {
            opened.unwrap();
        }
    }
}
