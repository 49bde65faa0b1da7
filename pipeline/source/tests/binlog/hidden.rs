//! What the log does not tell row by row.

use centinel_model::{HoleReason, Operation, TableId};
use centinel_source::{Idle, Until};
use test_servers::MariaDb;

use crate::support::{CREATE_PAYMENT, PAYMENT, Running, SELECT_PAYMENT, catalog, options, select};

fn start(settings: &[&str]) -> (MariaDb, Running) {
    let server = MariaDb::start(settings);
    server.execute(CREATE_PAYMENT);
    server.execute(
        "CREATE DATABASE other; CREATE TABLE other.thing (a INT PRIMARY KEY) ENGINE = InnoDB",
    );
    server.execute("INSERT INTO pay.payment VALUES ('P1', 'o1', 1, 100, NULL)");
    let mut running = Running::open(&catalog(&[PAYMENT]), options(&server, server.port()));
    running.catch_up();
    (server, running)
}

/// Runs the statements; gives the reasons and messages of the holes that they make.
fn holes(server: &MariaDb, running: &mut Running, sql: &str) -> Vec<(HoleReason, String)> {
    let before = running.folded.holes.len();
    server.execute(sql);
    running.catch_up();
    let new = running.folded.holes[before..].iter();
    new.map(|hole| {
        assert_eq!(hole.table, Some(TableId(0)));
        (hole.reason, hole.message.clone())
    })
    .collect()
}

#[test]
fn statements_that_hide_rows_are_holes() {
    use HoleReason::Unobservable;
    let (server, mut running) = start(&[]);
    let mut one = |sql: &str, remedy: &str| {
        let holes = holes(&server, &mut running, sql);
        assert_eq!(holes.len(), 1, "{sql}: {holes:?}");
        assert_eq!(holes[0].0, Unobservable);
        assert!(holes[0].1.contains(remedy), "{}", holes[0].1);
    };
    one(
        "SET SESSION binlog_format = 'STATEMENT'; UPDATE pay.payment SET amount = 2",
        "SET GLOBAL binlog_format = 'ROW'",
    );
    one("USE pay; TRUNCATE TABLE payment", "TRUNCATE");
    one(
        "RENAME TABLE pay.payment TO pay.payment_old, pay.payment_old TO pay.payment",
        "RENAME",
    );
    one("DROP TABLE pay.payment", "DROP");
    server.execute(CREATE_PAYMENT);
    one("DROP DATABASE pay", "DROP");
}

#[test]
fn statements_about_other_tables_are_none() {
    let (server, mut running) = start(&[]);
    let none = holes(
        &server,
        &mut running,
        "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO other.thing VALUES (1); \
         TRUNCATE other.thing; DROP TABLE other.thing; CREATE TABLE pay.payments_2020 (a INT); \
         DROP TABLE pay.payments_2020; GRANT SELECT ON pay.payment TO centinel; ANALYZE TABLE pay.payment; \
         CREATE VIEW pay.payments AS SELECT * FROM pay.payment",
    );
    assert_eq!(none, []);
}

#[test]
fn a_row_without_all_columns_is_a_hole() {
    let (server, mut running) = start(&[]);
    let found = holes(
        &server,
        &mut running,
        "SET SESSION binlog_row_image = 'MINIMAL'; UPDATE pay.payment SET amount = 3",
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, HoleReason::Unobservable);
    assert!(found[0].1.contains("SET GLOBAL binlog_row_image = 'FULL'"));
}

#[test]
fn a_log_without_names_is_a_hole() {
    let (server, mut running) = start(&[]);
    server.execute("SET GLOBAL binlog_row_metadata = 'MINIMAL'");
    let found = holes(&server, &mut running, "UPDATE pay.payment SET amount = 3");
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .1
            .contains("SET GLOBAL binlog_row_metadata = 'FULL'")
    );
}

#[test]
fn a_new_column_is_read_over_and_noted() {
    let (server, mut running) = start(&[]);
    let none = holes(
        &server,
        &mut running,
        "ALTER TABLE pay.payment ADD COLUMN remark VARCHAR(20) FIRST; \
         INSERT INTO pay.payment (payment_no, order_no, amount, remark) VALUES ('P2', 'o2', 2, 'new')",
    );
    assert_eq!(none, []);
    assert_eq!(running.folded.current(0), select(&server, SELECT_PAYMENT));
    assert_eq!(running.folded.noted, ["remark".to_owned()].into());
    assert_eq!(running.folded.shapes, [("pay.payment".to_owned(), vec![])]);
}

/// `amount` is the schema's third column, `fen` the fourth.
#[test]
fn a_lost_column_is_a_drift_and_the_rest_of_the_row_is_read() {
    let (server, mut running) = start(&[]);
    let shape = |lost: &[usize]| ("pay.payment".to_owned(), lost.to_vec());
    let mut step = |sql: &str, lost: &[usize], says: &str| {
        let none = holes(&server, &mut running, sql);
        assert_eq!(none, [], "{sql}");
        assert_eq!(running.folded.shapes.last(), Some(&shape(lost)), "{sql}");
        assert!(
            running.folded.drift.contains(says),
            "{}",
            running.folded.drift
        );
    };
    step("UPDATE pay.payment SET fen = 101", &[], "");
    step(
        "ALTER TABLE pay.payment RENAME COLUMN fen TO cents; \
         INSERT INTO pay.payment VALUES ('P2', 'o2', 2, 200, NULL), ('P3', 'o3', 3, 300, NULL)",
        &[3],
        "has no column `fen`",
    );
    step(
        "ALTER TABLE pay.payment DROP COLUMN amount; UPDATE pay.payment SET cents = cents + 1",
        &[2, 3],
        "has no column `amount`",
    );
    step(
        "ALTER TABLE pay.payment RENAME COLUMN cents TO fen, ADD COLUMN amount DECIMAL(18,2) NOT NULL DEFAULT 5; \
         UPDATE pay.payment SET fen = fen + 1",
        &[],
        "",
    );
    assert_eq!(running.folded.current(0), select(&server, SELECT_PAYMENT));
    assert_eq!(running.folded.lacking, 2 + 3);
    assert_eq!(running.folded.noted, ["cents".to_owned()].into());

    // A new type may give other values to all rows without telling which.
    let told = holes(
        &server,
        &mut running,
        "ALTER TABLE pay.payment MODIFY amount DOUBLE NOT NULL; UPDATE pay.payment SET fen = 7",
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, HoleReason::Unobservable);
    assert_eq!(running.folded.shapes.last(), Some(&shape(&[2])));
    assert!(running.folded.drift.contains("make it a DECIMAL"));
    let positions = running.folded.positions();
    drop(running);

    // It goes on with that, and says so anew.
    let catalog = catalog(&[PAYMENT]);
    let options = options(&server, server.port());
    let mut running = Running::resume(&catalog, options, &positions, Until::Stopped);
    let none = holes(&server, &mut running, "UPDATE pay.payment SET fen = 8");
    assert_eq!(none, []);
    assert_eq!(running.folded.shapes, [shape(&[2])]);
    assert_eq!((running.folded.changes, running.folded.lacking), (3, 3));
}

/// A snapshot reads it in the same way; the same table goes on in the log.
#[test]
fn a_column_that_is_lost_when_a_snapshot_is_taken_is_a_drift() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute(
        "INSERT INTO pay.payment VALUES ('P1', 'o1', 1, NULL, NULL), ('P2', 'o2', 2, NULL, NULL); \
         ALTER TABLE pay.payment RENAME COLUMN amount TO total, MODIFY fen DATE NULL",
    );
    let mut running = Running::open(&catalog(&[PAYMENT]), options(&server, server.port()));
    running.catch_up();
    server.execute("INSERT INTO pay.payment VALUES ('P3', 'o3', 3, NULL, NULL)");
    running.catch_up();
    let folded = &running.folded;
    assert_eq!(folded.reasons(), []);
    assert_eq!(
        (folded.snapshots, folded.changes, folded.lacking),
        (2, 3, 3)
    );
    assert_eq!(folded.shapes, [("pay.payment".to_owned(), vec![2, 3])]);
    assert!(
        folded.drift.contains("has no column `amount`"),
        "{}",
        folded.drift
    );
    let rows = select(
        &server,
        "SELECT payment_no, UPPER(order_no), NULL, NULL, NULL FROM pay.payment ORDER BY 1",
    );
    assert_eq!(folded.current(0), rows);
    drop(running);

    // Without its key a snapshot would be one without rows.
    server.execute("ALTER TABLE pay.payment RENAME COLUMN order_no TO order_id");
    let error = Running::open(&catalog(&[PAYMENT]), options(&server, server.port())).error();
    let error = error.to_string();
    assert!(error.contains("has no column `order_no`"), "{error}");
    assert!(error.contains("cannot be placed without it"), "{error}");
}

/// Without its key nobody can say which row it is.
#[test]
fn a_table_that_lost_what_places_its_rows_is_a_hole() {
    let (server, mut running) = start(&[]);
    let told = holes(
        &server,
        &mut running,
        "ALTER TABLE pay.payment RENAME COLUMN order_no TO order_id; \
         INSERT INTO pay.payment VALUES ('P3', 'o3', 3, 3, NULL), ('P4', 'o4', 4, 4, NULL)",
    );
    assert_eq!(told.len(), 1, "one for the transaction, not for each row");
    assert_eq!(told[0].0, HoleReason::Drift);
    assert!(told[0].1.contains("has no column `order_no`"), "{told:?}");
}

#[test]
fn a_distributed_transaction_is_told() {
    let (server, mut running) = start(&[]);
    let changes = running.folded.changes;
    let found = holes(
        &server,
        &mut running,
        "XA START 'x'; UPDATE pay.payment SET amount = 7; XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, HoleReason::Unobservable);
    assert_eq!(running.folded.holes.last().unwrap().entities.len(), 1);
    assert_eq!(running.folded.changes, changes);
    let none = holes(&server, &mut running, "UPDATE pay.payment SET amount = 8");
    assert_eq!((none, running.folded.changes), (vec![], changes + 1));
}

#[test]
fn compressed_events_are_read() {
    let (server, mut running) = start(&["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]);
    server.execute(
        "USE pay; INSERT INTO pay.payment SELECT CONCAT('C', seq), REPEAT('o', 30), seq, seq, NULL FROM seq_1_to_500; \
         UPDATE pay.payment SET amount = amount + 1; DELETE FROM pay.payment WHERE fen % 3 = 0",
    );
    running.catch_up();
    assert_eq!(running.folded.reasons(), []);
    assert_eq!(running.folded.current(0), select(&server, SELECT_PAYMENT));
    // Compressed statements are still seen.
    let found = holes(
        &server,
        &mut running,
        "SET SESSION binlog_format = 'STATEMENT'; DELETE FROM pay.payment WHERE order_no = 'a rather long text'",
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn only_transactions_move_a_source_with_a_heartbeat_table() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute(
        "CREATE DATABASE beat; CREATE TABLE beat.beat (id INT PRIMARY KEY, at TIMESTAMP(6))",
    );
    let mut options = options(&server, server.port());
    options.idle = Idle::Table {
        table: "beat.beat".into(),
    };
    let mut running = Running::open(&catalog(&[PAYMENT]), options);
    running.until("the snapshot", |folded| folded.progress > 0);
    let progress = running.folded.progress;
    let since = std::time::Instant::now();
    while since.elapsed().as_millis() < 1_500 {
        if let centinel_source::Reading::Chunk(chunk) =
            centinel_source::Input::read(&mut running.input, crate::support::now()).unwrap()
        {
            running.folded.take(*chunk);
        }
    }
    assert_eq!(
        running.folded.progress, progress,
        "idle servers say nothing of a replica"
    );
    server.execute("REPLACE INTO beat.beat VALUES (1, NOW(6))");
    running.until("progress by a transaction", |folded| {
        folded.progress > progress
    });
    assert!(!running.folded.operations.contains(&Operation::Insert));
}
