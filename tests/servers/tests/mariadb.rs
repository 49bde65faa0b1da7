//! MariaDB really runs, keeps its data, and replicates.
#![allow(clippy::unwrap_used)]

use test_servers::{MariaDb, Row};

fn texts(values: &[&str]) -> Row {
    values.iter().map(|&value| Some(value.to_owned())).collect()
}

#[test]
fn answers_are_exact() {
    let mariadb = MariaDb::start(&[]);
    mariadb.execute("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, text TEXT, amount DECIMAL(12,2))");
    mariadb.execute(
        "INSERT INTO shop.t VALUES (1, 'NULL', 0.10), (2, NULL, NULL), (3, '<b>&amp; \"x\"\n退款\t</b>', -1)",
    );
    let rows = mariadb.query("SELECT id, text, amount AS '<\">' FROM shop.t ORDER BY id");
    assert_eq!(
        rows,
        [
            texts(&["1", "NULL", "0.10"]),
            vec![Some("2".to_owned()), None, None],
            texts(&["3", "<b>&amp; \"x\"\n退款\t</b>", "-1.00"]),
        ]
    );
}

#[test]
fn binlog_is_on_and_settings_win() {
    let mariadb = MariaDb::start(&["--binlog-row-metadata=MINIMAL"]);
    let variables = mariadb.query(
        "SELECT @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, @@gtid_strict_mode, @@sync_binlog",
    );
    assert_eq!(
        variables,
        [texts(&["1", "ROW", "FULL", "MINIMAL", "1", "1"])]
    );
    assert_eq!(mariadb.gtid_position(), "", "the binary log begins empty");
    mariadb.execute("CREATE DATABASE shop");
    assert!(
        mariadb.gtid_position().ends_with("-1"),
        "{}",
        mariadb.gtid_position()
    );
    assert!(mariadb.data().join("binlog.000001").is_file());
}

#[test]
fn centinel_may_read_and_not_write() {
    let mariadb = MariaDb::start(&[]);
    mariadb.execute("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)");
    mariadb.execute("INSERT INTO shop.t VALUES (7)");
    assert_eq!(
        mariadb.query_as_centinel("SELECT id FROM shop.t").unwrap(),
        [texts(&["7"])]
    );
    assert!(
        !mariadb
            .query_as_centinel("SHOW BINLOG STATUS")
            .unwrap()
            .is_empty()
    );
    let refused = mariadb
        .query_as_centinel("INSERT INTO shop.t VALUES (8)")
        .unwrap_err();
    assert!(refused.contains("denied"), "{refused}");
}

#[test]
fn data_outlives_stop_and_kill() {
    let mut mariadb = MariaDb::start(&[]);
    let port = mariadb.port();
    mariadb.execute("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)");
    mariadb.execute("INSERT INTO shop.t VALUES (1)");
    mariadb.stop();
    assert!(!mariadb.is_running());
    mariadb.start_again();
    mariadb.execute("INSERT INTO shop.t VALUES (2)");
    let position = mariadb.gtid_position();
    mariadb.kill();
    assert!(!mariadb.is_running());
    mariadb.start_again();
    assert_eq!(mariadb.port(), port);
    assert_eq!(
        mariadb.query("SELECT id FROM shop.t ORDER BY id"),
        [texts(&["1"]), texts(&["2"])]
    );
    assert_eq!(
        mariadb.gtid_position(),
        position,
        "starting again writes nothing into the log"
    );
}

#[test]
fn a_replica_takes_over() {
    let mut primary = MariaDb::start(&[]);
    primary.execute("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)");
    let replica = MariaDb::start_replica_of(&primary, &[]);
    primary.execute("INSERT INTO shop.t VALUES (1)");
    replica.catch_up_with(&primary);
    assert_eq!(replica.query("SELECT id FROM shop.t"), [texts(&["1"])]);
    assert_eq!(replica.gtid_position(), primary.gtid_position());
    primary.kill();
    replica.promote();
    let before = replica.gtid_position();
    replica.execute("INSERT INTO shop.t VALUES (2)");
    assert_ne!(replica.gtid_position(), before);
    assert_eq!(
        replica.query("SELECT COUNT(*) FROM shop.t"),
        [texts(&["2"])]
    );
}
