//! Asks a server for its log, and tells apart what comes of it.

use std::time::Duration;

use mysql_async::binlog::events::Event;
use mysql_async::{BinlogStream, BinlogStreamRequest, Sid};

use super::event::kinds;
use super::failure::Failure;
use super::gtid::{Flavour, GtidSet};
use super::server::Server;

/// Turns the connection into the log behind `from`. Semi-synchronous replication is never asked for: the library
/// cannot read it, and nobody may wait for Centinel.
pub(super) async fn open(
    mut server: Server,
    flavour: Flavour,
    from: &GtidSet,
    server_id: u32,
    heartbeat: Duration,
) -> Result<BinlogStream, Failure> {
    let nanos = heartbeat.as_nanos();
    server
        .run(&format!(
            "SET @master_heartbeat_period = {nanos}, @source_heartbeat_period = {nanos}"
        ))
        .await?;
    server.run("SET net_write_timeout = 600").await?;
    let request = BinlogStreamRequest::new(server_id);
    let request = match flavour {
        Flavour::MariaDb => {
            for statement in [
                // Without it the server would hide its GTIDs.
                "SET @mariadb_slave_capability = 4".to_owned(),
                format!("SET @slave_connect_state = '{from}'"),
                "SET @slave_gtid_strict_mode = 1".to_owned(),
                "SET @slave_gtid_ignore_duplicates = 0".to_owned(),
            ] {
                server.run(&statement).await?;
            }
            request
        }
        Flavour::MySql => request.with_gtid().with_gtid_set(blocks(from)?),
    };
    Ok(server.connection.get_binlog_stream(request).await?)
}

/// The set as the command wants it.
fn blocks(set: &GtidSet) -> Result<Vec<Sid<'static>>, Failure> {
    let GtidSet::MySql(set) = set else {
        return Ok(Vec::new());
    };
    set.parts()
        .map(|part| {
            let refused = |_| Failure::passing(format!("`{part}` is not taken for a set of GTIDs"));
            part.to_string().parse().map_err(refused)
        })
        .collect()
}

/// What an event of the log is to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Event,
    /// A sign of life of a server that is still on its way through its log.
    Skipping,
    /// The server has nothing newer.
    Idle,
}

/// What was seen of a log so far.
#[derive(Debug, Default)]
pub(super) struct Dumped {
    /// Where in its file the server was last.
    position: Option<u32>,
}

impl Dumped {
    /// What this event is; `None` for one that the library took out of a compressed transaction, which is read by
    /// [`super::payload`]. `rested` tells that it was waited for, so that nothing stands behind it unread.
    pub(super) fn next(&mut self, event: &Event, flavour: Flavour, rested: bool) -> Option<Seen> {
        if !event.footer().get_checksum_enabled() {
            return None;
        }
        let header = event.header();
        let before = self.position.replace(header.log_pos());
        if !matches!(
            header.event_type_raw(),
            kinds::HEARTBEAT | kinds::HEARTBEAT_2
        ) {
            return Some(Seen::Event);
        }
        // MySQL sends them also while it passes over transactions that were read; only where it did not move
        // since the last word has it reached the end.
        let stands = flavour == Flavour::MariaDb || before == Some(header.log_pos());
        Some(match rested && stands {
            true => Seen::Idle,
            false => Seen::Skipping,
        })
    }
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
