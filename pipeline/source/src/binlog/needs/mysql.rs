//! What MySQL must have: 8.0.1 or later, for the names of columns in its log.

use super::{ROWS, SEVEN_DAYS, UNCHECKED, kept_too_shortly, short_kept, wrong};
use crate::Problem;
use crate::binlog::server::Facts;

pub(super) fn hindrances(facts: &Facts) -> Vec<Problem> {
    let version = facts.get("version");
    if facts.get("binlog_row_metadata").is_empty() {
        return vec![Problem::new(
            format!("the server is of version {version}, whose log does not name its columns"),
            "read MySQL 8.0 or later, or a MariaDB from 10.5 on; read others by Debezium, Canal or Maxwell",
        )];
    }
    let mut problems = Vec::new();
    if !facts.is("log_bin", "ON") {
        problems.push(Problem::new(
            "the server writes no binary log",
            "take `skip-log-bin` and `disable-log-bin` out of the server's configuration and restart it",
        ));
    }
    let gtid_mode = (
        "gtid_mode",
        "ON",
        "transactions would have no names by which to resume",
    );
    problems.extend(wrong(facts, gtid_mode).map(|what| {
        let remedy = "run, each when the one before has held for a while, SET PERSIST enforce_gtid_consistency = \
                      ON, SET PERSIST gtid_mode = OFF_PERMISSIVE, SET PERSIST gtid_mode = ON_PERMISSIVE, SET \
                      PERSIST gtid_mode = ON; then FLUSH BINARY LOGS";
        Problem::new(what, remedy)
    }));
    let partial = (
        "binlog_row_value_options",
        "",
        "the log would hold only what changed in JSON columns",
    );
    for wanted @ (name, value, _) in ROWS.into_iter().chain([partial]) {
        problems.extend(wrong(facts, wanted).map(|what| {
            let remedy =
                format!("run SET PERSIST {name} = '{value}', and let the platform connect anew");
            Problem::new(what, remedy)
        }));
    }
    problems
}

pub(super) fn advice(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if facts.is("binlog_checksum", "NONE") {
        problems.push(Problem::new(
            UNCHECKED,
            "run SET PERSIST binlog_checksum = 'CRC32'",
        ));
    }
    let purges = !facts.is("binlog_expire_logs_auto_purge", "OFF");
    problems.extend(kept_too_shortly(facts).filter(|_| purges).map(|seconds| {
        let remedy = format!("run SET PERSIST binlog_expire_logs_seconds = {SEVEN_DAYS}");
        Problem::new(short_kept(seconds), remedy)
    }));
    if facts.is("log_replica_updates", "OFF") || facts.is("log_slave_updates", "OFF") {
        problems.push(Problem::new(
            "log_replica_updates is OFF: should this server be a replica, its log lacks what it replicates",
            "write log_replica_updates = ON to the server's configuration and restart it, or read its primary",
        ));
    }
    problems
}
