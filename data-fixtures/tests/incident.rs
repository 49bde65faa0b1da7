//! The incident of the worked example: what is committed is what the command makes, both forms hold the same rows, and
//! one hour's settlements of payments are all that is wrong in them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use data_fixtures::incident::{DATABASE, Incident, TABLES};
use data_fixtures::{Row, SettlementKind, Status, Table, TimeStyle};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

type Texts = BTreeSet<Vec<Option<String>>>;

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The seed with which the README makes the committed set.
fn seed() -> u64 {
    let readme = fs::read_to_string(home().join("README.md")).unwrap();
    let seed = readme.split_once("--incident --seed ").unwrap().1;
    seed.split_once(' ').unwrap().0.parse().unwrap()
}

/// The literals of each row that `load.sql` inserts into a table.
fn loaded(sql: &str, table: Table) -> Texts {
    let begin = format!("INSERT INTO {DATABASE}.{} VALUES\n", table.name());
    let rows = sql.split_once(&begin).unwrap().1;
    let rows = rows.split_once(";\n").unwrap().0.lines();
    rows.map(|row| {
        let row = row.trim_end_matches(',');
        let row = row.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
        // No text of the platform has a comma or a single quote.
        let literals = row.split(',');
        literals
            .map(|literal| (literal != "NULL").then(|| literal.trim_matches('\'').to_owned()))
            .collect()
    })
    .collect()
}

/// The rows of a table's Parquet file, times as databases show them.
fn snapshot(folder: &Path, table: Table) -> Texts {
    let file = fs::File::open(folder.join(format!("{}.parquet", table.name()))).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let text = |field: &Field| match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        Field::TimestampMicros(micros) => {
            let mut out = Vec::new();
            data_fixtures::push_time(&mut out, *micros, TimeStyle::Database);
            Some(String::from_utf8(out).unwrap())
        }
        other => Some(other.to_string()),
    };
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        row.get_column_iter()
            .map(|(_, field)| text(field))
            .collect()
    })
    .collect()
}

#[test]
fn what_is_committed_is_what_the_command_makes() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .args(["--incident", "--seed", &seed().to_string(), "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let committed = home().join("incident");
    let names = |folder: &Path| -> BTreeSet<_> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let snapshot = names(&folder.path().join("snapshot"));
    assert_eq!(snapshot, names(&committed.join("snapshot")));
    let mut bytes = 0;
    for name in snapshot
        .iter()
        .map(|name| Path::new("snapshot").join(name))
        .chain(["load.sql".into()])
    {
        let (made, kept) = (
            fs::read(folder.path().join(&name)),
            fs::read(committed.join(&name)),
        );
        let kept = kept.unwrap();
        bytes += kept.len();
        assert!(
            made.unwrap() == kept,
            "{} is not what the command makes",
            name.display()
        );
    }
    assert!(bytes < 500_000, "{bytes} bytes are committed");
}

#[test]
fn the_snapshot_and_the_database_hold_the_same_rows() {
    let folder = home().join("incident");
    let sql = fs::read_to_string(folder.join("load.sql")).unwrap();
    for table in TABLES {
        let (loaded, kept) = (
            loaded(&sql, table),
            snapshot(&folder.join("snapshot"), table),
        );
        assert!(loaded.len() > 20, "{}", table.name());
        assert_eq!(loaded, kept, "{}", table.name());
    }
}

#[test]
fn only_the_settlements_of_payments_in_one_hour_are_wrong() {
    let incident = Incident::simulate(seed());
    let rows = incident.rows();
    let hour = 1_795_338_000_000_000..1_795_341_600_000_000; // 2026-11-22, 09:00 to 10:00 UTC
    let (mut wrong, mut right_beside) = (0, 0);
    for (healthy, row) in incident.healthy().zip(&rows) {
        let (Row::Settlement(healthy), Row::Settlement(row)) = (healthy, row) else {
            assert_eq!(healthy, row);
            continue;
        };
        let in_hour = row.settled_at.is_some_and(|at| hour.contains(&at));
        let factor = match in_hour && row.kind == SettlementKind::Payment {
            true => 100,
            false => 1,
        };
        assert_eq!(row.amount, healthy.amount * factor);
        assert_eq!(
            (row.settlement_no, row.cash_out_no),
            (healthy.settlement_no, None)
        );
        wrong += usize::from(factor == 100);
        right_beside += usize::from(in_hour && factor == 1);
    }
    assert!(
        wrong > 50 && right_beside > 5,
        "{wrong} wrong, {right_beside} right beside them"
    );

    // Without it every order is in balance.
    let mut due: BTreeMap<_, i64> = BTreeMap::new();
    for row in incident.healthy() {
        match row {
            Row::Payment(row) if row.status == Status::Paid => {
                *due.entry(row.order_no).or_default() += row.amount
            }
            Row::Refund(row) if row.status == Status::Success => {
                *due.entry(row.order_no).or_default() -= row.amount
            }
            Row::Settlement(row) if row.status == Status::Settled => {
                *due.entry(row.order_no).or_default() -= row.amount
            }
            _ => {}
        }
    }
    assert!(
        due.len() > 200 && due.values().all(|left| *left == 0),
        "{due:?}"
    );
}
