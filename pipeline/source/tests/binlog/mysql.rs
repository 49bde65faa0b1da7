//! Whole sessions with a server that answers as MySQL does.

use std::time::Duration;

use centinel_model::{HoleReason, Operation, Position, Positions};
use centinel_source::{BinlogOptions, Password, Problem, Until, check_binlog};

use crate::replay::log::{Change, Form, Transaction, insert, uuid};
use crate::replay::{Damage, HEARTBEAT, Replay};
use crate::support::{Cells, PAYMENT, Running, catalog};

const ONE: u8 = 0x11;
const TWO: u8 = 0x22;

fn options(server: &Replay) -> BinlogOptions {
    let password = Password::new("p");
    let mut options =
        BinlogOptions::new("payment-db", "127.0.0.1", server.port, "reader", password);
    options.server_id = 9_001;
    options.snapshot = false;
    options.timeouts.heartbeat = HEARTBEAT;
    options.timeouts.back_off = Duration::from_millis(300);
    options
}

fn start(server: &Replay, positions: &Positions) -> Running {
    Running::resume(
        &catalog(&[PAYMENT]),
        options(server),
        positions,
        Until::Stopped,
    )
}

fn gtids(positions: &Positions) -> String {
    match &positions.0["payment-db"] {
        Position::Binlog { gtids, .. } => gtids.clone(),
        other => panic!("{other:?}"),
    }
}

/// What can be seen of rows: payment, order, amount, fen.
fn shown(rows: &[Cells]) -> Vec<String> {
    let row = |row: &Cells| {
        let cells = row[..4].iter().map(|cell| cell.as_deref().unwrap_or("-"));
        cells.collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(row).collect()
}

fn snapshot_row(payment: &str, order: &str, amount: &str, fen: &str) -> [Option<String>; 5] {
    let text = |text: &str| Some(text.to_owned());
    [text(payment), text(order), text(amount), text(fen), None]
}

#[test]
fn a_snapshot_and_the_log_of_mysql_make_the_table() {
    let server = Replay::start();
    server.world().rows = vec![
        snapshot_row("P1", "o1", "10.00", "1000"),
        snapshot_row("P2", "o2", "0.01", "1"),
    ];
    server.world().purged = format!("{}:1-5", uuid(ONE));
    let mut options = options(&server);
    options.snapshot = true;
    let mut running = Running::open(&catalog(&[PAYMENT]), options);
    running.catch_up();
    assert_eq!(running.folded.operations, [Operation::Snapshot; 2]);
    assert_eq!(
        gtids(&running.folded.positions()),
        format!("{}:1-5", uuid(ONE))
    );
    server.commit(Transaction {
        gtid: (ONE, 6),
        changes: vec![
            Change::Update(("P1", "o1", 1_000), ("P1", "o1", 999)),
            Change::Delete(("P2", "o2", 1)),
            Change::Insert(("P3", "o3", 1_234_567_890_123)),
        ],
        form: Form::Plain,
    });
    running.catch_up();
    let folded = &running.folded;
    assert_eq!(
        shown(&folded.current(0)),
        ["P1 O1 9.99 999", "P3 O3 12345678901.23 1234567890123"]
    );
    assert_eq!(
        (folded.reasons(), folded.torn, folded.doubles),
        (vec![], 0, 0)
    );
    assert_eq!(gtids(&folded.positions()), format!("{}:1-6", uuid(ONE)));
    assert_eq!(server.world().unknown, Vec::<String>::new());
}

/// What was committed while the snapshot was taken is in it and comes once more; no progress is told before.
#[test]
fn what_a_snapshot_may_hold_is_read_before_anything_is_judged() {
    let server = Replay::start();
    server.commit(insert((ONE, 1), ("P1", "o1", 100)));
    server.commit(insert((ONE, 2), ("P2", "o2", 200)));
    // Both rows can be seen, but when the snapshot begins the second transaction does not count as executed yet.
    server.world().executed = [1, 1].into();
    server.world().rows = vec![
        snapshot_row("P1", "o1", "1.00", "100"),
        snapshot_row("P2", "o2", "2.00", "200"),
    ];
    let mut options = options(&server);
    options.snapshot = true;
    let mut running = Running::open(&catalog(&[PAYMENT]), options);
    running.until("the snapshot", |folded| folded.snapshots == 2);
    assert_eq!(running.folded.progress, 0);
    running.catch_up();
    assert_eq!(
        shown(&running.folded.current(0)),
        ["P1 O1 1.00 100", "P2 O2 2.00 200"]
    );
    // The second transaction's row came again, with a higher version.
    use Operation::*;
    assert_eq!(running.folded.operations, [Snapshot, Snapshot, Insert]);
    assert_eq!(
        (running.folded.reasons(), running.folded.doubles),
        (vec![], 0)
    );
}

#[test]
fn reading_goes_on_where_it_stopped_and_at_another_server() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    for number in 1..=3 {
        server.commit(insert((ONE, number), ("P1", "o1", number as i64)));
    }
    running.catch_up();
    let positions = running.folded.positions();
    assert_eq!(gtids(&positions), format!("{}:1-3", uuid(ONE)));
    drop(running);

    // The other server has the same transactions in another order, and some of its own.
    let other = Replay::start();
    for gtid in [(ONE, 1), (ONE, 3), (TWO, 1), (ONE, 2), (TWO, 2)] {
        other.commit(insert(gtid, ("P2", "o2", gtid.1 as i64)));
    }
    let mut running = start(&other, &positions);
    running.catch_up();
    assert_eq!(shown(&running.folded.current(0)), ["P2 O2 0.02 2"]);
    assert_eq!(running.folded.changes, 2);
    assert_eq!(
        gtids(&running.folded.positions()),
        format!("{}:1-3,{}:1-2", uuid(ONE), uuid(TWO))
    );
    assert_eq!(other.world().asked, [format!("{}:1-3", uuid(ONE))]);
}

#[test]
fn everything_that_is_there_is_read_until_now() {
    let server = Replay::start();
    server.commit(insert((ONE, 1), ("P1", "o1", 1)));
    let first = start(&server, &Positions::default());
    drop(first);
    let positions = {
        let mut running = start(&server, &Positions::default());
        running.catch_up();
        running.folded.positions()
    };
    server.commit(insert((ONE, 2), ("P2", "o2", 2)));
    server.commit(insert((ONE, 3), ("P3", "o3", 3)));
    let catalog = catalog(&[PAYMENT]);
    let folded = Running::resume(&catalog, options(&server), &positions, Until::Now).into_end();
    assert_eq!(shown(&folded.current(0)), ["P2 O2 0.02 2", "P3 O3 0.03 3"]);
}

#[test]
fn compressed_transactions_are_read_once() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    for number in 1..=4 {
        let mut transaction = insert((ONE, number), ("P1", "o1", 100));
        transaction
            .changes
            .push(Change::Insert(("P2", "o2", number as i64)));
        transaction.form = if number % 2 == 0 {
            Form::Plain
        } else {
            Form::Compressed
        };
        server.commit(transaction);
    }
    running.catch_up();
    assert_eq!(running.folded.changes, 8);
    assert_eq!(
        (
            running.folded.reasons(),
            running.folded.doubles,
            running.folded.torn
        ),
        (vec![], 0, 0)
    );
    assert_eq!(
        shown(&running.folded.current(0)),
        ["P1 O1 1.00 100", "P2 O2 0.04 4"]
    );
}

#[test]
fn a_compressed_transaction_that_is_bad_stops_reading_with_a_remedy() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    server.commit(insert((ONE, 1), ("P1", "o1", 100)));
    let mut bad = insert((ONE, 2), ("P2", "o2", 100));
    bad.form = Form::BadZstd;
    server.commit(bad);
    server.commit(insert((ONE, 3), ("P3", "o3", 100)));
    let error = running.error().to_string();
    assert!(error.contains("compressed transaction"), "{error}");
    assert!(error.contains("binlog_transaction_compression"), "{error}");
    // It was tried again from the same place, never from behind it.
    let behind = format!("{}:1-2", uuid(ONE));
    assert!(
        server
            .world()
            .asked
            .iter()
            .all(|asked| !asked.contains(&behind))
    );
}

#[test]
fn damage_on_the_way_loses_and_doubles_nothing() {
    for damage in [Damage::FlippedBit, Damage::CutShort, Damage::Hangup] {
        let server = Replay::start();
        let mut running = start(&server, &Positions::default());
        running.catch_up();
        server.world().damage = Some(damage);
        server.commit(insert((ONE, 1), ("P1", "o1", 100)));
        running.catch_up();
        assert_eq!(
            shown(&running.folded.current(0)),
            ["P1 O1 1.00 100"],
            "{damage:?}"
        );
        assert_eq!(
            (running.folded.doubles, running.folded.changes),
            (0, 1),
            "{damage:?}"
        );
        assert_eq!(server.world().asked.len(), 2, "{damage:?}");
    }
}

#[test]
fn a_purged_log_is_a_gap() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    server.commit(insert((ONE, 1), ("P1", "o1", 100)));
    running.catch_up();
    let positions = running.folded.positions();
    drop(running);
    {
        let mut world = server.world();
        world.transactions.clear();
        world.purged = format!("{}:1-7", uuid(ONE));
        let message = "Cannot replicate because the source purged required binary logs. Replicate the missing \
                       transactions from elsewhere, or provision a new replica from backup.";
        world.refusal = Some((1236, message, 1));
    }
    server.commit(insert((ONE, 8), ("P8", "o8", 800)));
    let mut running = start(&server, &positions);
    running.catch_up();
    assert_eq!(running.folded.reasons(), [HoleReason::Gap]);
    assert_eq!(shown(&running.folded.current(0)), ["P8 O8 8.00 800"]);
    assert_eq!(
        gtids(&running.folded.positions()),
        format!("{}:1-8", uuid(ONE))
    );
}

#[test]
fn what_only_a_person_can_mend_is_told() {
    let refusals = [
        (
            "A replica with the same server_uuid/server_id as this replica has connected to the source",
            "server_id of its own",
        ),
        (
            "Replica has more GTIDs than the source has, using the source's SERVER_UUID.",
            "begin with an empty state",
        ),
        (
            "Cannot replicate anonymous transaction when AUTO_POSITION = 1",
            "gtid_mode be ON",
        ),
    ];
    for (message, remedy) in refusals {
        let server = Replay::start();
        server.world().refusal = Some((1236, message, 50));
        let error = start(&server, &Positions::default()).error().to_string();
        assert!(error.contains(remedy), "{error}");
    }
}

#[test]
fn a_server_that_lost_what_was_read_is_not_read_on() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    server.commit(insert((ONE, 1), ("P1", "o1", 100)));
    server.commit(insert((ONE, 2), ("P1", "o1", 200)));
    running.catch_up();
    let positions = running.folded.positions();
    drop(running);
    server.world().transactions.pop();
    let error = start(&server, &positions).error().to_string();
    assert!(error.contains("does not have the transactions"), "{error}");
    // Nor is another kind of database.
    server
        .world()
        .variables
        .insert("version", "11.4.2-MariaDB".into());
    server
        .world()
        .answers
        .push(("gtid_binlog_pos", vec![vec!["0-1-7".into()]]));
    let error = start(&server, &positions).error().to_string();
    assert!(error.contains("the other way round"), "{error}");
}

#[test]
fn statements_in_the_log_of_mysql_are_holes() {
    let server = Replay::start();
    let mut running = start(&server, &Positions::default());
    running.catch_up();
    let statement = |number, text, form| Transaction {
        gtid: (ONE, number),
        changes: vec![Change::Statement(text)],
        form,
    };
    server.commit(statement(1, "TRUNCATE TABLE payment", Form::Alone));
    server.commit(statement(2, "UPDATE payment SET fen = 0", Form::Plain));
    server.commit(statement(3, "CREATE TABLE other (a INT)", Form::Alone));
    server.commit(insert((ONE, 4), ("P1", "o1", 100)));
    running.catch_up();
    assert_eq!(running.folded.reasons(), [HoleReason::Unobservable; 2]);
    assert_eq!(
        gtids(&running.folded.positions()),
        format!("{}:1-4", uuid(ONE))
    );
}

fn says(problems: &[Problem], what: &str, remedy: &str) {
    let found = problems
        .iter()
        .any(|problem| problem.what.contains(what) && problem.remedy.contains(remedy));
    assert!(found, "{what} / {remedy} is not in {problems:#?}");
}

#[test]
fn a_check_of_mysql_tells_what_hinders() {
    let server = Replay::start();
    let catalog = catalog(&[PAYMENT]);
    assert_eq!(check_binlog(&catalog, &options(&server)), []);
    assert_eq!(server.world().unknown, Vec::<String>::new());
    {
        let mut world = server.world();
        for (name, value) in [
            ("binlog_format", "MIXED"),
            ("binlog_row_image", "MINIMAL"),
            ("binlog_row_metadata", "MINIMAL"),
            ("binlog_row_value_options", "PARTIAL_JSON"),
            ("gtid_mode", "OFF"),
        ] {
            world.variables.insert(name, value.into());
        }
        world.answers = vec![
            (
                "SHOW GRANTS",
                vec![vec!["GRANT USAGE ON *.* TO `reader`@`%`".into()]],
            ),
            ("SHOW REPLICAS", vec![vec!["9001".into(), "".into()]]),
        ];
    }
    let problems = check_binlog(&catalog, &options(&server));
    says(
        &problems,
        "binlog_format is MIXED",
        "SET PERSIST binlog_format = 'ROW'",
    );
    says(
        &problems,
        "binlog_row_image is MINIMAL",
        "SET PERSIST binlog_row_image = 'FULL'",
    );
    says(
        &problems,
        "binlog_row_metadata is MINIMAL",
        "SET PERSIST binlog_row_metadata = 'FULL'",
    );
    says(
        &problems,
        "PARTIAL_JSON",
        "SET PERSIST binlog_row_value_options = ''",
    );
    says(&problems, "gtid_mode is OFF", "SET PERSIST gtid_mode = ON");
    says(
        &problems,
        "no REPLICATION SLAVE",
        "GRANT REPLICATION SLAVE ON *.* TO 'reader'",
    );
    says(&problems, "server_id 9001 is in use", "of its own");
    let error = start(&server, &Positions::default()).error().to_string();
    assert!(error.contains("SET PERSIST"), "{error}");
}
