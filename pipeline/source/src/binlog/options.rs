//! How to reach a database, and how to read it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to read a database's binary log.
#[derive(Clone, Debug)]
pub struct BinlogOptions {
    /// The source in the schemas whose tables it has; also the name of the input.
    pub source: String,
    /// The server's name or address.
    pub host: String,
    /// Its TCP port, usually 3306.
    pub port: u16,
    /// A user with REPLICATION SLAVE, in MariaDB also BINLOG MONITOR, and SELECT on the watched tables.
    pub user: String,
    /// The user's password.
    pub password: Password,
    /// A number of its own among all readers and replicas of the server, and not the server's.
    pub server_id: u32,
    /// Whether the connection is encrypted.
    pub tls: Tls,
    /// Whether to begin with a consistent snapshot of the watched tables. Without it, reading begins with what
    /// is committed from then on.
    pub snapshot: bool,
    /// What tells that nothing new was committed.
    pub idle: Idle,
    /// When to give up waiting.
    pub timeouts: Timeouts,
}

impl BinlogOptions {
    /// The usual settings: no TLS, with a snapshot, the server's own word for being idle.
    pub fn new(
        source: &str,
        host: &str,
        port: u16,
        user: &str,
        password: Password,
    ) -> BinlogOptions {
        BinlogOptions {
            source: source.to_owned(),
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            password,
            server_id: 4_000_000_001,
            tls: Tls::Off,
            snapshot: true,
            idle: Idle::Server,
            timeouts: Timeouts::default(),
        }
    }
}

/// A password, which no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Keeps it.
    pub fn new(password: impl Into<String>) -> Password {
        Password(password.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("****")
    }
}

/// Whether the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// In clear text.
    Off,
    /// Encrypted, with a server whose certificate is right, or not at all.
    Required {
        /// A file with the certificate of the authority that signed the server's; the public ones without it.
        ca: Option<PathBuf>,
    },
}

/// What tells that a source committed nothing newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The server's own heartbeats: right for the server that the platform writes to.
    Server,
    /// Only transactions, so a table that is written to at an interval: right for a replica, which may be
    /// behind and not know. Any transaction tells, this table's too.
    Table {
        /// Its name, as `database.table`.
        table: String,
    },
}

/// When to give up waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the server to take a connection.
    pub connect: Duration,
    /// For an answer to a short query.
    pub query: Duration,
    /// How often the server tells that nothing new is there. After three times without a word, the
    /// connection counts as lost.
    pub heartbeat: Duration,
    /// The longest time between two attempts to connect again.
    pub back_off: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(10),
            query: Duration::from_secs(30),
            heartbeat: Duration::from_secs(1),
            back_off: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_show() {
        let password = Password::new("hunter2");
        let options = BinlogOptions::new("payment-db", "127.0.0.1", 3306, "centinel", password);
        assert!(!format!("{options:?} {options:#?}").contains("hunter2"));
    }
}
