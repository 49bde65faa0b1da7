//! What a server must have, and what is better so.

mod mariadb;
mod mysql;

use super::gtid::Flavour;
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
    let mut problems = match facts.flavour() {
        Flavour::MariaDb => mariadb::hindrances(facts),
        Flavour::MySql => mysql::hindrances(facts),
    };
    if facts.get("server_id") == server_id.to_string() {
        problems.push(Problem::new(
            format!("server_id {server_id} is the server's own"),
            "give this source another server_id",
        ));
    }
    problems
}

/// A clock may differ by this much, in microseconds.
const CLOCK_DIFFERENCE: i64 = 5_000_000;

/// Settings that make trouble later.
pub(super) fn advice(facts: &Facts) -> Vec<Problem> {
    let mut problems = match facts.flavour() {
        Flavour::MariaDb => mariadb::advice(facts),
        Flavour::MySql => mysql::advice(facts),
    };
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

/// A setting, what it must be, and what would be wrong otherwise.
type Wanted = (&'static str, &'static str, &'static str);

/// What both kinds of server must have to write rows that can be read.
const ROWS: [Wanted; 3] = [
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

/// What is wrong with a setting, if it is.
fn wrong(facts: &Facts, (name, value, why): Wanted) -> Option<String> {
    let is = match facts.get(name) {
        is if is.eq_ignore_ascii_case(value) => return None,
        "" => "unknown to this version",
        is => is,
    };
    Some(format!("{name} is {is}: {why}"))
}

/// Logs are kept at least this long, in seconds, so that a weekend's stop is no gap.
const KEPT_SECONDS: u64 = 3 * 86_400;
/// How long to keep them.
const SEVEN_DAYS: u64 = 7 * 86_400;

/// After how many seconds the server deletes its logs, where that is too soon.
fn kept_too_shortly(facts: &Facts) -> Option<u64> {
    let seconds = facts.get("binlog_expire_logs_seconds").parse::<u64>();
    seconds
        .ok()
        .filter(|seconds| (1..KEPT_SECONDS).contains(seconds))
}

fn short_kept(seconds: u64) -> String {
    format!("the server deletes its logs after {seconds} s: a longer stop leaves a gap")
}

const UNCHECKED: &str = "binlog_checksum is NONE: a byte that changes on its way is not noticed";

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(variables: &[(&str, &str)]) -> Facts {
        Facts {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ahead: 0,
        }
    }

    const RIGHT: [(&str, &str); 10] = [
        ("version", "8.4.3"),
        ("log_bin", "ON"),
        ("gtid_mode", "ON"),
        ("binlog_format", "ROW"),
        ("binlog_row_image", "FULL"),
        ("binlog_row_metadata", "FULL"),
        ("binlog_row_value_options", ""),
        ("binlog_checksum", "CRC32"),
        ("binlog_expire_logs_seconds", "2592000"),
        ("server_id", "1"),
    ];

    /// The right settings but for this one.
    fn but(name: &str, value: &str) -> Facts {
        let mut facts = facts(&RIGHT);
        facts.variables.insert(name.to_owned(), value.to_owned());
        facts
    }

    #[test]
    fn a_right_mysql_has_no_problems() {
        assert_eq!(hindrances(&facts(&RIGHT), 7), []);
        assert_eq!(advice(&facts(&RIGHT)), []);
    }

    #[test]
    fn every_wrong_setting_of_mysql_is_told_with_its_statement() {
        let cases = [
            ("log_bin", "OFF", "no binary log", "skip-log-bin"),
            (
                "binlog_format",
                "MIXED",
                "binlog_format is MIXED",
                "SET PERSIST binlog_format = 'ROW'",
            ),
            (
                "binlog_row_image",
                "MINIMAL",
                "binlog_row_image is MINIMAL",
                "SET PERSIST binlog_row_image = 'FULL'",
            ),
            (
                "binlog_row_metadata",
                "MINIMAL",
                "binlog_row_metadata is MINIMAL",
                "SET PERSIST binlog_row_metadata = 'FULL'",
            ),
            (
                "binlog_row_value_options",
                "PARTIAL_JSON",
                "binlog_row_value_options is PARTIAL_JSON",
                "SET PERSIST binlog_row_value_options = ''",
            ),
            (
                "gtid_mode",
                "OFF_PERMISSIVE",
                "gtid_mode is OFF_PERMISSIVE",
                "SET PERSIST gtid_mode = ON",
            ),
            ("server_id", "7", "is the server's own", "another server_id"),
        ];
        for (name, value, what, remedy) in cases {
            let problems = hindrances(&but(name, value), 7);
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert!(problems[0].what.contains(what), "{problems:?}");
            assert!(problems[0].remedy.contains(remedy), "{problems:?}");
        }
        let cases = [
            (
                "binlog_checksum",
                "NONE",
                "SET PERSIST binlog_checksum = 'CRC32'",
            ),
            (
                "binlog_expire_logs_seconds",
                "3600",
                "SET PERSIST binlog_expire_logs_seconds",
            ),
            ("log_replica_updates", "OFF", "log_replica_updates = ON"),
            ("log_slave_updates", "OFF", "log_replica_updates = ON"),
        ];
        for (name, value, remedy) in cases {
            let problems = advice(&but(name, value));
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert!(problems[0].remedy.contains(remedy), "{problems:?}");
        }
        let mut kept = but("binlog_expire_logs_seconds", "3600");
        let never = ("binlog_expire_logs_auto_purge".to_owned(), "OFF".to_owned());
        kept.variables.extend([never]);
        assert_eq!(advice(&kept), []);
    }

    #[test]
    fn a_mysql_that_cannot_name_columns_is_told_to_be_too_old() {
        let mut old = but("version", "5.7.44-log");
        old.variables.remove("binlog_row_metadata");
        old.variables.remove("binlog_row_value_options");
        let problems = hindrances(&old, 7);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].what.contains("5.7.44"), "{problems:?}");
        assert!(problems[0].remedy.contains("MySQL 8.0"), "{problems:?}");
    }
}
