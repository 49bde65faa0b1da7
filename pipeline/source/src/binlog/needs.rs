//! What a server must have, and what is better so.

use super::server::Facts;
use crate::Problem;

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Settings without which rows could not be read: reading does not begin.
pub(super) fn hindrances(facts: &Facts, server_id: u32) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !facts.get("version").contains("MariaDB") {
        problems.push(Problem::new(
            format!(
                "the server is not MariaDB but version {}, whose log is not read yet",
                facts.get("version")
            ),
            "read it by Debezium, Canal or Maxwell",
        ));
        return problems;
    }
    if !facts.is("log_bin", "ON") {
        problems.push(Problem::new(
            "the server writes no binary log",
            "write `log_bin` under [mariadb] in the server's configuration and restart it",
        ));
    }
    let wanted = [
        ("binlog_format", "ROW", "rows would be missing from the log"),
        (
            "binlog_row_image",
            "FULL",
            "the log would not hold whole rows",
        ),
        (
            "binlog_row_metadata",
            "FULL",
            "the log would not name its columns",
        ),
    ];
    for (name, value, why) in wanted {
        if !facts.is(name, value) {
            let is = match facts.get(name) {
                "" => "unknown to this version",
                value => value,
            };
            problems.push(Problem::new(
                format!("{name} is {is}: {why}"),
                format!(
                    "run SET GLOBAL {name} = '{value}', write it to the server's configuration, and let the \
                     platform connect anew"
                ),
            ));
        }
    }
    if facts.get("server_id") == server_id.to_string() {
        problems.push(Problem::new(
            format!("server_id {server_id} is the server's own"),
            "give this source another server_id",
        ));
    }
    problems
}

/// Logs are kept at least this long, in seconds, so that a weekend's stop is no gap.
const KEPT_SECONDS: u64 = 3 * 86_400;
/// A clock may differ by this much, in microseconds.
const CLOCK_DIFFERENCE: i64 = 5_000_000;

/// Settings that make trouble later.
pub(super) fn advice(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if facts.is("binlog_checksum", "NONE") {
        problems.push(Problem::new(
            "binlog_checksum is NONE: a byte that changes on its way is not noticed",
            "run SET GLOBAL binlog_checksum = 'CRC32'",
        ));
    }
    let seconds = facts
        .get("binlog_expire_logs_seconds")
        .parse::<u64>()
        .unwrap_or(0);
    if (1..KEPT_SECONDS).contains(&seconds) {
        problems.push(Problem::new(
            format!("the server deletes its logs after {seconds} s: a longer stop leaves a gap"),
            format!("run SET GLOBAL binlog_expire_logs_seconds = {}", 7 * 86_400),
        ));
    }
    if !facts.is("gtid_strict_mode", "ON") {
        problems.push(Problem::new(
            "gtid_strict_mode is OFF: the order of transactions may differ between servers",
            "run SET GLOBAL gtid_strict_mode = ON",
        ));
    }
    if facts.ahead.abs() > CLOCK_DIFFERENCE {
        problems.push(Problem::new(
            format!(
                "the server's clock differs by {} s from this machine's",
                facts.ahead / 1_000_000
            ),
            "set both clocks by NTP",
        ));
    }
    problems
}
