//! State and archive against the log.

use centinel_engine::query::QueryError;
use centinel_state::FileStore;

use crate::log::{self, Row, masked};
use crate::platform::{KEYS, Platform, is_sensitive};
use crate::support::{Value, asked, one, rows};

/// Rows of an answer by column, sorted.
fn by_column(platform: &Platform, sql: &str) -> Vec<Row> {
    let answer = asked(platform.tables(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(!answer.is_cut);
    let names = answer.schema.fields().iter();
    let names: Vec<String> = names.map(|field| field.name().clone()).collect();
    let rows = rows(&answer).into_iter();
    let mut rows: Vec<Row> = rows
        .map(|row| names.iter().cloned().zip(row).collect())
        .collect();
    rows.sort();
    rows
}

/// A row of the log as it may be shown, its columns named so.
fn shown(table: &str, row: &Row, name: impl Fn(&str) -> String) -> Row {
    let value = |column: &str, value: &Value| match is_sensitive(table, column) {
        true => masked(value),
        false => value.clone(),
    };
    row.iter()
        .map(|(column, of)| (name(column), value(column, of)))
        .collect()
}

#[test]
fn state_holds_each_current_row_once() {
    let platform = Platform::detected();
    let mut all = 0;
    for (table, key) in KEYS {
        let rows = log::current(&platform.changes, table, &[key]);
        let mut expected: Vec<Row> = rows
            .iter()
            .map(|row| shown(table, row, str::to_owned))
            .collect();
        expected.sort();
        let found = by_column(&platform, &format!("SELECT * FROM state.{table}"));
        assert_eq!(found, expected, "{table}");
        let count = one(
            platform.tables(),
            &format!("SELECT count(*) FROM state.{table}"),
        );
        assert_eq!(count, Some(expected.len().to_string()), "{table}");
        all += expected.len();
    }
    assert!(all > 500, "{all} rows");
    // Settlements belong to an order and to a cash-out: they stand in documents of both.
    let settled = "SELECT count(*) - count(DISTINCT settlement_no) FROM state.settlement WHERE cash_out_no IS NOT NULL";
    assert_eq!(one(platform.tables(), settled).as_deref(), Some("0"));
}

#[test]
fn the_archive_holds_every_change_before_and_after() {
    let platform = Platform::detected();
    let mut all = 0;
    for (table, _) in KEYS {
        let columns = platform
            .catalog
            .table(platform.catalog.table_id(table).unwrap());
        let changes = platform
            .changes
            .iter()
            .filter(|change| change.table == table);
        let mut expected: Vec<Row> = changes
            .map(|change| {
                let mut row = Row::new();
                for column in &columns.columns {
                    row.insert(column.name.clone(), None);
                    row.insert(format!("_before_{}", column.name), None);
                }
                if let Some(after) = &change.after {
                    row.extend(shown(table, after, str::to_owned));
                }
                if let Some(before) = &change.before {
                    row.extend(shown(table, before, |name| format!("_before_{name}")));
                }
                let (epoch, sequence, ordinal) = change.version;
                let [transaction, thread, account, statement] = change.made_by.clone();
                row.insert("_transaction".into(), transaction);
                row.insert("_thread".into(), thread);
                row.insert("_account".into(), account);
                row.insert("_statement".into(), masked(&statement));
                row.insert("_operation".into(), Some(change.operation.clone()));
                row.insert("_committed_at".into(), Some(change.committed_at.clone()));
                // An event has no version of its own.
                if epoch > 0 {
                    row.insert("_epoch".into(), Some(epoch.to_string()));
                    row.insert("_sequence".into(), Some(sequence.to_string()));
                    row.insert("_ordinal".into(), Some(ordinal.to_string()));
                }
                row
            })
            .collect();
        expected.sort();
        let mut found = by_column(&platform, &format!("SELECT * FROM archive.{table}"));
        let has_versions = expected
            .first()
            .is_some_and(|row| row.contains_key("_epoch"));
        for row in &mut found {
            assert!(row.remove("_change").unwrap().is_some());
            if !has_versions {
                for part in ["_epoch", "_sequence", "_ordinal"] {
                    row.remove(part);
                }
            }
        }
        found.sort();
        assert_eq!(found, expected, "{table}");
        all += expected.len();
    }
    assert!(all > 500, "{all} changes");
}

/// The sum of what was paid by channel, in fen, from the log alone.
#[test]
fn groups_and_joins_add_up_to_what_the_log_says() {
    let platform = Platform::detected();
    let fen = |row: &Row| {
        let amount = row["amount"].clone().unwrap();
        let (yuan, fen) = amount.split_once('.').unwrap();
        yuan.parse::<i64>().unwrap() * 100 + fen.parse::<i64>().unwrap()
    };
    let payments = log::current(&platform.changes, "payment", &["payment_no"]);
    let paid = payments
        .iter()
        .filter(|row| row["status"].as_deref() == Some("PAID"));
    let mut expected = std::collections::BTreeMap::<String, i64>::new();
    for row in paid {
        *expected.entry(row["channel"].clone().unwrap()).or_default() += fen(row);
    }
    assert!(expected.len() > 2);
    let sql =
        "SELECT channel, CAST(sum(amount) * 100 AS BIGINT) FROM state.payment WHERE status = 'PAID'
               GROUP BY channel ORDER BY channel";
    let found = rows(&asked(platform.tables(), sql).unwrap());
    let found = found
        .into_iter()
        .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()));
    let expected = expected
        .into_iter()
        .map(|(channel, fen)| (channel, fen.to_string()));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

    // The newest change of each payment in the archive is its row in state.
    let sql = "WITH newest AS (
                 SELECT payment_no, status, row_number() OVER (PARTITION BY payment_no ORDER BY _sequence DESC) AS place
                 FROM archive.payment)
               SELECT count(*) FROM newest JOIN state.payment AS now ON now.payment_no = newest.payment_no
               WHERE place = 1 AND newest.status = now.status";
    assert_eq!(
        one(platform.tables(), sql),
        Some(payments.len().to_string())
    );
}

/// A file of another hour may be gone: it is not looked at.
#[test]
fn only_the_files_of_the_hours_that_are_asked_for_are_read() {
    let platform = Platform::detected();
    let times = platform
        .changes
        .iter()
        .filter(|change| change.table == "payment");
    let mut hours: Vec<String> = times
        .map(|change| change.committed_at[..13].to_owned())
        .collect();
    hours.sort();
    let of_hour = |hour: &str| hours.iter().filter(|other| *other == hour).count();
    let first = hours[0].clone();
    let last = hours[hours.len() - 1].clone();
    let in_hour = |hour: &str| {
        format!(
            "SELECT count(*) FROM archive.payment
             WHERE _committed_at >= '{hour}:00:00Z' AND _committed_at < TIMESTAMP '{hour}:00:00' + INTERVAL '1 hour'"
        )
    };
    let counted = of_hour(&first).to_string();
    assert_eq!(
        one(platform.tables(), &in_hour(&first)),
        Some(counted.clone())
    );

    // A segment of an hour that no change is of, made of the first one.
    let before = "2020-01-01T00";
    assert_eq!(
        one(platform.tables(), &in_hour(before)).as_deref(),
        Some("0")
    );
    let files = walk(&platform.archive().join("table=payment"));
    let (hour_of_last, gone) = (last.replace('T', "/hour="), files.last().unwrap());
    assert!(gone.contains(&hour_of_last), "{gone} is of {last}");
    std::fs::remove_file(gone).unwrap();
    match first == last {
        // The log is of one hour: a question about another one reads no file, one about this one says what is missing.
        true => assert_eq!(
            one(platform.tables(), &in_hour(before)).as_deref(),
            Some("0")
        ),
        false => assert_eq!(one(platform.tables(), &in_hour(&first)), Some(counted)),
    }
    let refused = asked(platform.tables(), &in_hour(&last)).unwrap_err();
    let QueryError::Failed(told) = &refused else {
        panic!("{refused:?}");
    };
    assert!(
        told.contains("archive.payment") && told.contains("is missing"),
        "{told}"
    );
    let all = asked(platform.tables(), "SELECT count(*) FROM archive.payment");
    assert!(matches!(all, Err(QueryError::Failed(_))));
    // Other tables are whole.
    asked(platform.tables(), "SELECT count(*) FROM archive.settlement").unwrap();
}

/// All files below a folder, in order.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push(path.display().to_string()),
        }
    }
    files.sort();
    files
}

#[test]
fn a_state_in_use_is_told_only_where_it_is_named() {
    let platform = Platform::detected();
    let held = FileStore::open(&platform.state(), 1 << 20).unwrap();
    asked(platform.tables(), "SELECT count(*) FROM archive.payment").unwrap();
    asked(platform.tables(), "SHOW TABLES").unwrap();
    let refused = asked(platform.tables(), "SELECT count(*) FROM state.payment").unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, QueryError::Failed(_)), "{told}");
    for part in ["state.payment", "in use", "detection", "archive.*"] {
        assert!(told.contains(part), "{told}");
    }
    drop(held);
    asked(platform.tables(), "SELECT count(*) FROM state.payment").unwrap();

    // Neither is anything made where there is no state.
    let nowhere = tempfile::tempdir().unwrap();
    let mut tables = centinel_engine::query::Tables::default();
    tables.add_state(&platform.catalog, nowhere.path()).unwrap();
    let told = asked(tables, "SELECT count(*) FROM state.payment")
        .unwrap_err()
        .to_string();
    assert!(told.contains("holds no state"), "{told}");
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0);
}

#[test]
fn asking_changes_nothing() {
    let platform = Platform::detected();
    let read = || {
        let mut files = walk(&platform.state());
        files.extend(walk(&platform.archive()));
        files
            .into_iter()
            .map(|file| (std::fs::read(&file).unwrap(), file))
            .collect::<Vec<_>>()
    };
    let before = read();
    for sql in [
        "SELECT * FROM state.settlement",
        "SELECT * FROM archive.payment ORDER BY amount",
        "EXPLAIN ANALYZE SELECT count(*) FROM state.payment",
    ] {
        asked(platform.tables(), sql).unwrap();
    }
    assert!(read() == before, "a file is another now");
}
