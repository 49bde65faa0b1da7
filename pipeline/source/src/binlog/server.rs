//! A connection to a server, and what it says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, from_value_opt};

use super::charset::Collations;
use super::event::MAX_EVENT_BYTES;
use super::failure::Failure;
use super::gtid::{Flavour, GtidSet};
use super::options::{BinlogOptions, Tls};

/// A connection on which every answer is waited for only so long.
pub(super) struct Server {
    pub(super) connection: Conn,
    wait: Duration,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Global variables by name, in small letters.
    pub(super) variables: BTreeMap<String, String>,
    /// How far its clock is ahead of ours, in microseconds.
    pub(super) ahead: i64,
}

impl Server {
    pub(super) async fn connect(options: &BinlogOptions) -> Result<Server, Failure> {
        let builder = OptsBuilder::default()
            .ip_or_hostname(options.host.clone())
            .tcp_port(options.port)
            .user(Some(options.user.clone()))
            .pass(Some(options.password.reveal()))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .max_allowed_packet(Some(MAX_EVENT_BYTES))
            .stmt_cache_size(Some(4))
            .ssl_opts(tls(&options.tls));
        let connecting = tokio::time::timeout(options.timeouts.connect, Conn::new(builder));
        let connection = connecting.await.map_err(|_| {
            let seconds = options.timeouts.connect.as_secs();
            Failure::passing(format!("no connection within {seconds} s"))
        })?;
        let connection = connection.map_err(Failure::of_connecting)?;
        Ok(Server {
            connection,
            wait: options.timeouts.query,
        })
    }

    /// Runs a statement.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        let running = tokio::time::timeout(self.wait, self.connection.query_drop(sql));
        Ok(running.await.map_err(|_| late())??)
    }

    /// The rows of a query, each column as text; nothing for NULL.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
        let asking = tokio::time::timeout(self.wait, self.connection.query::<Row, _>(sql));
        let rows: Vec<Row> = asking.await.map_err(|_| late())??;
        let texts = rows.into_iter().map(|row| {
            let values = row.unwrap_raw().into_iter();
            let text = |value: Option<mysql_async::Value>| {
                let text = value.and_then(|value| from_value_opt::<Option<String>>(value).ok());
                text.flatten().unwrap_or_default()
            };
            values.map(text).collect()
        });
        Ok(texts.collect())
    }

    /// The first column of the first row; empty without one.
    pub(super) async fn value(&mut self, sql: &str) -> Result<String, Failure> {
        let rows = self.rows(sql).await?;
        let first = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        Ok(first.unwrap_or_default())
    }

    /// What the server says of itself, and how its clock differs from ours.
    pub(super) async fn facts(&mut self) -> Result<Facts, Failure> {
        let mut facts = Facts::default();
        let names = VARIABLES.map(|name| format!("'{name}'")).join(", ");
        let query = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})");
        for row in self.rows(&query).await? {
            if let [name, value] = row.as_slice() {
                facts
                    .variables
                    .insert(name.to_ascii_lowercase(), value.clone());
            }
        }
        self.run("SET time_zone = '+00:00'").await?;
        // The quickest answer tells best.
        let mut quickest = i64::MAX;
        for _ in 0..CLOCK_QUESTIONS {
            let asked = now();
            let micros = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
            let theirs = self.value(micros).await?.parse::<i64>();
            let took = now() - asked;
            if let Ok(theirs) = theirs
                && took < quickest
            {
                quickest = took;
                facts.ahead = theirs - (asked + took / 2);
            }
        }
        Ok(facts)
    }

    /// The character sets of the server's collations.
    pub(super) async fn collations(&mut self) -> Result<Collations, Failure> {
        let mut list = Vec::new();
        // MariaDB has ids that only the second list names; MySQL has no ids in it.
        for query in [
            "SELECT id, character_set_name FROM information_schema.collations WHERE id IS NOT NULL",
            "SELECT id, character_set_name FROM \
             information_schema.collation_character_set_applicability WHERE id IS NOT NULL",
        ] {
            match self.rows(query).await {
                Ok(rows) => list.extend(rows),
                Err(Failure::Passing(_)) if !list.is_empty() => {}
                Err(failure) => return Err(failure),
            }
        }
        let ids = list.iter().filter_map(|row| match row.as_slice() {
            [id, name] => Some((id.parse().ok()?, name.as_str())),
            _ => None,
        });
        Ok(Collations::new(ids))
    }

    /// The transactions that the server has.
    pub(super) async fn end_of_log(&mut self, flavour: Flavour) -> Result<GtidSet, Failure> {
        let query = match flavour {
            Flavour::MariaDb => "SELECT @@GLOBAL.gtid_binlog_pos",
            Flavour::MySql => "SELECT @@GLOBAL.gtid_executed",
        };
        gtids(&self.value(query).await?)
    }

    /// From where on the log is still there, for who read it up to `read`.
    pub(super) async fn begin_of_log(
        &mut self,
        flavour: Flavour,
        read: &GtidSet,
    ) -> Result<GtidSet, Failure> {
        if flavour == Flavour::MySql {
            let purged = gtids(&self.value("SELECT @@GLOBAL.gtid_purged").await?)?;
            return Ok(read.united(&purged));
        }
        let logs = self.rows("SHOW BINARY LOGS").await?;
        let oldest = logs.first().and_then(|row| row.first());
        let oldest = super::tables::text(oldest.map_or("", String::as_str));
        let query = format!("SELECT BINLOG_GTID_POS({oldest}, 4)");
        gtids(&self.value(&query).await?)
    }
}

/// How often the server is asked what its clock shows.
const CLOCK_QUESTIONS: u32 = 5;

const VARIABLES: [&str; 14] = [
    "version",
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "binlog_checksum",
    "binlog_expire_logs_seconds",
    "server_id",
    // MariaDB's own.
    "gtid_strict_mode",
    // MySQL's own; the last two are one, under its old name and its new one.
    "gtid_mode",
    "binlog_expire_logs_auto_purge",
    "log_slave_updates",
    "log_replica_updates",
];

impl Facts {
    pub(super) fn get(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// Every server that does not say that it is MariaDB is taken for MySQL, as forks of it are.
    pub(super) fn flavour(&self) -> Flavour {
        match self.get("version").contains("MariaDB") {
            true => Flavour::MariaDb,
            false => Flavour::MySql,
        }
    }

    /// Whether a setting has this value, in any case.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).eq_ignore_ascii_case(value)
    }

    /// The server's clock now, in microseconds since 1970.
    pub(super) fn clock(&self) -> i64 {
        now() + self.ahead
    }
}

pub(super) fn gtids(text: &str) -> Result<GtidSet, Failure> {
    GtidSet::parse(text)
        .ok_or_else(|| Failure::passing("the server gave a position that is not a set of GTIDs"))
}

/// The wall clock, in microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

fn late() -> Failure {
    Failure::passing("the server does not answer")
}

fn tls(tls: &Tls) -> Option<SslOpts> {
    let Tls::Required { ca } = tls else {
        return None;
    };
    let own: Vec<_> = ca.iter().cloned().map(PathBuf::into).collect();
    let only_own = !own.is_empty();
    Some(
        SslOpts::default()
            .with_root_certs(own)
            .with_disable_built_in_roots(only_own),
    )
}
