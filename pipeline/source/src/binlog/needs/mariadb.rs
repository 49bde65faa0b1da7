//! What MariaDB must have.

use super::{ROWS, SEVEN_DAYS, UNCHECKED, kept_too_shortly, short_kept, wrong};
use crate::Problem;
use crate::binlog::server::Facts;

pub(super) fn hindrances(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !facts.is("log_bin", "ON") {
        problems.push(Problem::new(
            "the server writes no binary log",
            "write `log_bin` under [mariadb] in the server's configuration and restart it",
        ));
    }
    for wanted @ (name, value, _) in ROWS {
        problems.extend(wrong(facts, wanted).map(|what| {
            let remedy = format!(
                "run SET GLOBAL {name} = '{value}', write it to the server's configuration, and let the \
                 platform connect anew"
            );
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
            "run SET GLOBAL binlog_checksum = 'CRC32'",
        ));
    }
    problems.extend(kept_too_shortly(facts).map(|seconds| {
        let remedy = format!("run SET GLOBAL binlog_expire_logs_seconds = {SEVEN_DAYS}");
        Problem::new(short_kept(seconds), remedy)
    }));
    if !facts.is("gtid_strict_mode", "ON") {
        problems.push(Problem::new(
            "gtid_strict_mode is OFF: the order of transactions may differ between servers",
            "run SET GLOBAL gtid_strict_mode = ON",
        ));
    }
    problems
}
