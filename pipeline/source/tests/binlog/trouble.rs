//! Lost connections, damaged bytes, servers that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use centinel_model::{HoleReason, Operation};
use centinel_source::{Input, Until};
use test_servers::{MariaDb, Proxy};

use crate::support::{
    CREATE_PAYMENT, Folded, PAYMENT, Running, SELECT_PAYMENT, catalog, options, select,
};

/// Fills the table with this many rows, in one transaction.
fn fill(server: &MariaDb, prefix: &str, rows: u32) {
    server.execute(&format!(
        "USE pay; INSERT INTO pay.payment SELECT CONCAT('{prefix}', LPAD(seq, 7, '0')), CONCAT('o', seq % 1000), \
         seq / 100, seq, NULL FROM seq_1_to_{rows}"
    ));
}

fn assert_same(folded: &Folded, server: &MariaDb) {
    assert_eq!(
        (folded.reasons(), folded.doubles, folded.torn),
        (vec![], 0, 0)
    );
    let (read, real) = (folded.current(0), select(server, SELECT_PAYMENT));
    assert_eq!(read.len(), real.len());
    assert!(read == real, "the rows differ");
}

#[test]
fn a_snapshot_under_writes_neither_misses_nor_doubles() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 60_000);
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (server, stop) = (&server, Arc::clone(&stop));
            scope.spawn(move || {
                for round in 0u32.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (low, high) = (round * 37 % 59_000, round * 37 % 59_000 + 20);
                    server.execute(&format!(
                        "BEGIN; UPDATE pay.payment SET amount = amount + 1 WHERE payment_no BETWEEN \
                         'A{low:07}' AND 'A{high:07}'; INSERT INTO pay.payment VALUES ('W{writer}-{round}', 'o', 1, 1, NULL); \
                         COMMIT; DELETE FROM pay.payment WHERE payment_no = 'A{:07}' OR payment_no = 'W{writer}-{}'; \
                         BEGIN; UPDATE pay.payment SET fen = 0 WHERE payment_no = 'A{low:07}'; ROLLBACK",
                        round * 101 % 60_000,
                        round / 2
                    ));
                }
            });
        }
        // Snapshots that are broken off and begin anew, too.
        let catalog = catalog(&[PAYMENT]);
        let proxy = Proxy::to(server.port());
        proxy.cut_after(1_500_000);
        let mut running = Running::open(&catalog, options(&server, proxy.port()));
        running.until("the snapshot and some of the log", |folded| {
            folded.progress > 0 && folded.changes > folded.snapshots + 500
        });
        proxy.cut_all();
        running.until("more of the log", |folded| {
            folded.changes > folded.snapshots + 1_500
        });
        stop.store(true, Ordering::Relaxed);
        assert!(
            running.folded.snapshots > 60_000,
            "the first snapshot was not broken off"
        );
        assert!(proxy.accepted() >= 3);
        std::thread::sleep(Duration::from_millis(200));
        running.catch_up();
        running.catch_up();
        assert_same(&running.folded, &server);
    });
}

#[test]
fn a_process_that_ends_within_a_snapshot_begins_it_anew() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 50_000);
    let catalog = catalog(&[PAYMENT]);
    let mut first = Running::open(&catalog, options(&server, server.port()));
    first.until("a part of the snapshot", |folded| folded.snapshots > 0);
    let part = first.folded;
    drop(first.input);
    assert!(part.snapshots < 50_000 && part.progress == 0);
    // What is gone by the second snapshot was in the first.
    server.execute("DELETE FROM pay.payment WHERE payment_no = 'A0000001'; UPDATE pay.payment SET amount = 0 WHERE payment_no = 'A0000002'");
    let mut second = Running::resume(
        &catalog,
        options(&server, server.port()),
        &part.positions(),
        Until::Stopped,
    );
    let before = part
        .rows
        .values()
        .map(|(version, _)| version.sequence)
        .max();
    second.folded = part;
    second.catch_up();
    let after = second
        .folded
        .rows
        .values()
        .map(|(version, _)| version.sequence)
        .min();
    assert!(after > before, "rows of both snapshots have one number");
    assert_same(&second.folded, &server);
}

#[test]
fn a_restart_of_the_server_loses_nothing() {
    let mut server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    fill(&server, "A", 100);
    running.catch_up();
    for kill in [false, true] {
        if kill {
            server.kill()
        } else {
            server.stop()
        }
        running.until("nothing", |_| true);
        for _ in 0..100 {
            running.input.read(crate::support::now()).unwrap();
        }
        assert!(
            running.input.state().contains("connecting"),
            "{}",
            running.input.state()
        );
        server.start_again();
        fill(&server, if kill { "C" } else { "B" }, 100);
        running.catch_up();
    }
    assert_same(&running.folded, &server);
    assert_eq!(running.folded.changes, 300);
}

#[test]
fn a_connection_cut_within_a_large_transaction_reads_it_whole() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let proxy = Proxy::to(server.port());
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, proxy.port()));
    running.catch_up();
    proxy.cut_after(2_500_000);
    let before = proxy.accepted();
    fill(&server, "A", 80_000);
    running.until("the transaction", |folded| folded.changes >= 80_000);
    running.catch_up();
    assert!(proxy.accepted() > before, "the connection was not cut");
    assert!(
        running.folded.chunks > 4,
        "the transaction came in one piece"
    );
    assert_eq!(running.folded.changes, 80_000);
    assert_same(&running.folded, &server);
}

#[test]
fn a_damaged_byte_is_never_believed() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let proxy = Proxy::to(server.port());
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, proxy.port()));
    running.catch_up();
    for round in 0..12u64 {
        let before = proxy.accepted();
        // Headers, table maps, rows, checksums: somewhere in the 40 KB of the transaction.
        proxy.flip_after(60 + round * 3_001);
        fill(&server, &format!("R{round}-"), 1_000);
        running.catch_up();
        assert!(
            proxy.accepted() > before,
            "the damage of round {round} was not noticed"
        );
    }
    assert_same(&running.folded, &server);
    assert_eq!(running.folded.changes, 12_000);
}

#[test]
fn a_silent_connection_is_left() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let proxy = Proxy::to(server.port());
    let mut running = Running::open(&catalog(&[PAYMENT]), options(&server, proxy.port()));
    running.catch_up();
    proxy.stall(true);
    let progress = running.folded.progress;
    let since = std::time::Instant::now();
    while !running.input.state().contains("connecting") {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{}",
            running.input.state()
        );
        match running.input.read(crate::support::now()).unwrap() {
            centinel_source::Reading::Chunk(chunk) => running.folded.take(*chunk),
            _ => continue,
        }
    }
    assert!(
        running.folded.progress - progress < 1_000_000,
        "progress without a word of the server"
    );
    proxy.stall(false);
    fill(&server, "A", 10);
    running.catch_up();
    assert_same(&running.folded, &server);
}

#[test]
fn a_large_transaction_streams_in_pieces() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    fill(&server, "A", 200_000);
    running.until("the transaction", |folded| folded.changes >= 200_000);
    running.catch_up();
    assert!(running.folded.largest_chunk <= 20_000);
    assert_same(&running.folded, &server);
    let sequences: std::collections::BTreeSet<u64> = running
        .folded
        .versions
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    assert_eq!(sequences.len(), 1);
}

#[test]
fn another_server_with_the_same_transactions_goes_on() {
    let primary = MariaDb::start(&[]);
    primary.execute(CREATE_PAYMENT);
    fill(&primary, "A", 50);
    let replica = MariaDb::start_replica_of(&primary, &[]);
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&primary, primary.port()));
    running.catch_up();
    fill(&primary, "B", 50);
    running.catch_up();
    fill(&primary, "C", 50);
    replica.catch_up_with(&primary);
    drop(primary);
    replica.promote();
    fill(&replica, "D", 50);
    let positions = running.folded.positions();
    let mut second = Running::resume(
        &catalog,
        options(&replica, replica.port()),
        &positions,
        Until::Stopped,
    );
    second.folded = running.folded;
    second.catch_up();
    assert_same(&second.folded, &replica);
    assert_eq!(second.folded.changes, 200);
}

#[test]
fn a_purged_log_without_snapshots_is_a_gap_and_what_is_left() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 1);
    let catalog = catalog(&[PAYMENT]);
    let mut options = options(&server, server.port());
    options.snapshot = false;
    let mut first = Running::open(&catalog, options.clone());
    first.catch_up();
    drop(first.input);
    fill(&server, "B", 1);
    purge(&server);
    fill(&server, "C", 1);
    let mut second = Running::resume(&catalog, options, &first.folded.positions(), Until::Stopped);
    second.catch_up();
    assert_eq!(second.folded.reasons(), [HoleReason::Gap]);
    let horizon = second.folded.horizon.unwrap();
    assert!(
        horizon > first.folded.progress,
        "reading begins anew behind it"
    );
    assert_eq!(second.folded.current(0).len(), 1);
    assert_eq!(second.folded.current(0)[0][0].as_deref(), Some("C0000001"));
}

#[test]
fn a_snapshot_behind_a_gap_replaces_what_was_read_behind_the_position() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 2);
    let catalog = catalog(&[PAYMENT]);
    let mut first = Running::open(&catalog, options(&server, server.port()));
    first.catch_up();
    let positions = first.folded.positions();
    for fen in 1..=5 {
        server.execute(&format!("UPDATE pay.payment SET fen = {fen}"));
    }
    first.catch_up();
    drop(first.input);
    server.execute("UPDATE pay.payment SET fen = 6");
    purge(&server);
    // The state has more than its position says, as after a crash.
    let mut second = Running::resume(
        &catalog,
        options(&server, server.port()),
        &positions,
        Until::Stopped,
    );
    second.folded = first.folded;
    second.catch_up();
    assert_eq!(second.folded.reasons(), [HoleReason::Gap]);
    assert_eq!(second.folded.current(0), select(&server, SELECT_PAYMENT));
    server.execute("UPDATE pay.payment SET fen = 7");
    second.catch_up();
    assert_eq!(second.folded.current(0), select(&server, SELECT_PAYMENT));
}

/// A server cuts off a reader when another comes with its number: the one that goes on begins when the other is gone.
#[test]
fn a_reader_that_goes_on_does_not_cut_off_the_one_before() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let catalog = catalog(&[PAYMENT]);
    let mut first = Running::open(&catalog, options(&server, server.port()));
    first.catch_up();
    fill(&server, "A", 5);
    first.catch_up();
    let dumps = || {
        server.query(
            "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
        )
    };
    let reading = dumps();
    assert_eq!(reading.len(), 1);
    let mut second = Running::resume(
        &catalog,
        options(&server, server.port()),
        &first.folded.positions(),
        Until::Stopped,
    );
    first.catch_up();
    assert_eq!(dumps(), reading, "the first one is not cut off");
    drop(first.input);
    second.folded = first.folded;
    // It goes on where the first one stood then.
    second.folded.progress = 0;
    fill(&server, "B", 5);
    second.catch_up();
    assert_same(&second.folded, &server);
}

/// Takes away all logs but an empty one.
fn purge(server: &MariaDb) {
    server.execute("FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    let last = server.query("SHOW BINARY LOGS").pop().unwrap()[0]
        .clone()
        .unwrap();
    // The server keeps a log as long as it believes that somebody reads it.
    let since = std::time::Instant::now();
    while server.query("SHOW BINARY LOGS").len() > 1 {
        assert!(since.elapsed() < crate::support::LONG);
        server.execute(&format!("PURGE BINARY LOGS TO '{last}'"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_purged_log_is_a_gap_and_a_new_snapshot() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 10);
    let catalog = catalog(&[PAYMENT]);
    let mut first = Running::open(&catalog, options(&server, server.port()));
    first.catch_up();
    let positions = first.folded.positions();
    drop(first.input);
    server.execute("UPDATE pay.payment SET amount = 5 WHERE payment_no = 'A0000001'; DELETE FROM pay.payment WHERE payment_no = 'A0000002'");
    purge(&server);
    let mut second = Running::resume(
        &catalog,
        options(&server, server.port()),
        &positions,
        Until::Stopped,
    );
    second.folded = first.folded;
    second.catch_up();
    let folded = &second.folded;
    assert_eq!(folded.reasons(), [HoleReason::Gap]);
    assert_eq!(
        (folded.holes[0].table, folded.holes[0].source.is_some()),
        (None, true)
    );
    // The deletion alone stays unseen: that is what the hole says.
    let rows = folded.current(0);
    assert_eq!(rows.len(), 10);
    let there: Vec<_> = rows
        .into_iter()
        .filter(|row| row[0].as_deref() != Some("A0000002"))
        .collect();
    assert_eq!(there, select(&server, SELECT_PAYMENT));
    let positions = folded.positions();
    fill(&server, "B", 1);
    let third = Running::resume(
        &catalog,
        options(&server, server.port()),
        &positions,
        Until::Now,
    )
    .into_end();
    assert_eq!(
        (third.operations.as_slice(), third.reasons()),
        (&[Operation::Insert][..], vec![])
    );
}

#[test]
fn a_history_that_is_not_there_is_refused() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    fill(&server, "A", 10);
    let catalog = catalog(&[PAYMENT]);
    let read = Running::resume(
        &catalog,
        options(&server, server.port()),
        &Default::default(),
        Until::Now,
    )
    .into_end();
    let other = MariaDb::start(&[]);
    other.execute(CREATE_PAYMENT);
    let error = Running::resume(
        &catalog,
        options(&other, other.port()),
        &read.positions(),
        Until::Stopped,
    )
    .error();
    assert!(
        error
            .to_string()
            .contains("connect to the server that has them"),
        "{error}"
    );
}
