//! A snapshot, what follows it, and where reading goes on.

use centinel_model::{HoleReason, Operation, Position};
use centinel_source::Until;
use test_servers::MariaDb;

use crate::support::{CREATE_PAYMENT, PAYMENT, Running, SELECT_PAYMENT, catalog, options, select};

#[test]
fn a_snapshot_and_the_log_behind_it_make_the_table() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute(
        "INSERT INTO pay.payment VALUES ('P1', 'o1', 10.00, 1000, '2026-11-22 08:00:00.5'), ('P2', 'o2', 0.01, NULL, NULL)",
    );
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    assert_eq!(running.folded.operations, [Operation::Snapshot; 2]);
    server.execute(
        "BEGIN; UPDATE pay.payment SET amount = 9.99 WHERE payment_no = 'P1'; \
         INSERT INTO pay.payment VALUES ('P3', 'o3', 7, 700, NULL); COMMIT; \
         DELETE FROM pay.payment WHERE payment_no = 'P2'; \
         UPDATE pay.payment SET payment_no = 'P4' WHERE payment_no = 'P3'",
    );
    running.catch_up();
    let folded = &running.folded;
    use Operation::*;
    assert_eq!(
        folded.operations,
        [Snapshot, Snapshot, Update, Insert, Delete, Update]
    );
    assert_eq!(
        folded.befores[2].as_ref().unwrap()[2].as_deref(),
        Some("10.00")
    );
    assert_eq!(folded.current(0), select(&server, SELECT_PAYMENT));
    assert_eq!(
        folded.versions.iter().copied().collect::<Vec<_>>(),
        [(1, 0), (1, 1), (2, 0), (3, 0)]
    );
    assert_eq!((folded.torn, folded.reasons()), (0, vec![]));
    // Commit times rise with the log, and a row's time is its transaction's.
    let times = &folded.committed;
    assert!(
        times[1] < times[2] && times[2] == times[3] && times[3] < times[4] && times[4] < times[5]
    );
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute("INSERT INTO pay.payment VALUES ('P1', 'o1', 1, 100, NULL)");
    let catalog = catalog(&[PAYMENT]);
    let start = |positions: &_, until| {
        Running::resume(&catalog, options(&server, server.port()), positions, until)
    };
    let first = start(&Default::default(), Until::Now).into_end();
    assert_eq!(first.operations, [Operation::Snapshot]);
    assert!(
        first.progress > 0,
        "what was there when reading began is progress"
    );
    server.execute("INSERT INTO pay.payment VALUES ('P2', 'o2', 2, 200, NULL)");
    let second = start(&first.positions(), Until::End).into_end();
    assert_eq!(second.operations, [Operation::Insert]);
    assert!(second.committed[0] > first.progress, "nothing comes late");
    let third = start(&second.positions(), Until::Now).into_end();
    assert_eq!((third.changes, third.holes.len()), (0, 0));
    // Read again from before, rows have the versions and times that they had.
    let again = start(&first.positions(), Until::Now).into_end();
    assert_eq!(again.rows, second.rows);
    assert_eq!(again.committed, second.committed);
    let Some(Position::Binlog {
        gtids,
        transactions,
        ..
    }) = &second.after
    else {
        panic!()
    };
    assert_eq!((gtids, *transactions), (&server.gtid_position(), 2));
}

#[test]
fn without_a_snapshot_reading_begins_with_what_comes() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute("INSERT INTO pay.payment VALUES ('P1', 'o1', 1, 100, NULL)");
    let mut options = options(&server, server.port());
    options.snapshot = false;
    let mut running = Running::open(&catalog(&[PAYMENT]), options);
    running.catch_up();
    assert_eq!(running.folded.changes, 0);
    server.execute("UPDATE pay.payment SET amount = 2");
    running.catch_up();
    assert_eq!(running.folded.operations, [Operation::Update]);
    let horizon = running.folded.horizon;
    assert!(
        horizon.is_some_and(|time| time <= running.folded.progress),
        "what was there before is beyond it: {horizon:?}"
    );
    assert_eq!(running.folded.current(0), select(&server, SELECT_PAYMENT));
}

#[test]
fn a_bad_row_is_a_hole_of_its_order_and_takes_nothing_with_it() {
    let server = MariaDb::start(&["--sql-mode="]);
    server.execute(CREATE_PAYMENT);
    server.execute("INSERT INTO pay.payment VALUES ('P0', 'o0', 1, 100, '0000-00-00')");
    let mut running = Running::open(&catalog(&[PAYMENT]), options(&server, server.port()));
    running.catch_up();
    server.execute(
        "INSERT INTO pay.payment VALUES ('P1', 'o1', 1, 100, NULL), ('P2', ' o2 ', 2, 200, '0000-00-00'), ('P3', 'o3', 3, 300, NULL)",
    );
    running.catch_up();
    let folded = &running.folded;
    assert_eq!(folded.reasons(), [HoleReason::AbsurdTime; 2]);
    assert_eq!(folded.operations, [Operation::Insert; 2]);
    let hole = &folded.holes[1];
    assert!(
        hole.message.contains("`updated_at`") && hole.message.contains("NO_ZERO_DATE"),
        "{}",
        hole.message
    );
    assert_eq!(hole.entities.len(), 1);
    assert_eq!(hole.entities[0].1.as_str(), "O2");
    assert!(matches!(hole.position, Position::Binlog { row: 1, .. }));
    assert_eq!(folded.torn, 0);
}

/// Each row tells the transaction that it belongs to and, where the log has it, the server's thread that made it.
#[test]
fn a_row_tells_its_transaction_and_its_thread() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let mut options = options(&server, server.port());
    options.snapshot = false;
    let mut running = Running::open(&catalog(&[PAYMENT]), options);
    running.catch_up();
    let mut expected = Vec::new();
    for number in 1..=2 {
        let made = server.query(&format!(
            "BEGIN; INSERT INTO pay.payment VALUES ('P{number}', 'o1', 1, 100, NULL); COMMIT; \
             SELECT CONNECTION_ID(), @@last_gtid"
        ));
        expected.push((made[0][1].clone(), made[0][0].clone()));
    }
    running.catch_up();
    let origins: Vec<_> = running.folded.origins.iter().flatten().collect();
    let told = origins.iter().map(|origin| origin.transaction.clone());
    assert_eq!(
        told.collect::<Vec<_>>(),
        expected
            .iter()
            .map(|(gtid, _)| gtid.clone())
            .collect::<Vec<_>>()
    );
    // Servers from before 2025 do not write it.
    for (origin, (_, thread)) in origins.iter().zip(&expected) {
        if let Some(told) = origin.thread {
            assert_eq!(Some(told.to_string()), *thread);
        }
    }
}
