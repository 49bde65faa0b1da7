//! Where a change stands in the order of its database.

use centinel_model::{HoleReason, Version};

use super::envelope::{Connector, Source};
use crate::format::mysql::binlog_place;
use crate::value::Refusal;

/// The servers whose logs are read.
#[derive(Debug)]
pub(super) struct Servers {
    /// The oldest first; empty when not declared.
    declared: Vec<u64>,
    /// The first that was seen, when not declared.
    first: Option<u64>,
}

impl Servers {
    pub(super) fn new(declared: Vec<u64>) -> Result<Servers, String> {
        let twice = declared
            .iter()
            .enumerate()
            .find(|(index, server)| declared[..*index].contains(server));
        if let Some((_, server)) = twice {
            return Err(format!(
                "server {server} stands twice in `servers`; a server that came back has one history only, name it once"
            ));
        }
        Ok(Servers {
            declared,
            first: None,
        })
    }

    /// The version of a change, or of a row that a snapshot read.
    pub(super) fn version(
        &mut self,
        source: &Source<'_>,
        snapshot: bool,
    ) -> Result<Version, Refusal> {
        match source.connector {
            Some(Connector::Postgres) => Ok(Version {
                epoch: 0,
                sequence: source.lsn.ok_or_else(|| missing("lsn"))?,
                ordinal: 0,
            }),
            _ => Ok(Version {
                epoch: self.epoch(source.server_id, snapshot)?,
                sequence: binlog_place(
                    source.file.as_deref().ok_or_else(|| missing("file"))?,
                    source.pos.ok_or_else(|| missing("pos"))?,
                )?,
                ordinal: source.row.unwrap_or(0),
            }),
        }
    }

    fn epoch(&mut self, server: Option<u64>, snapshot: bool) -> Result<u32, Refusal> {
        let server = match server {
            // Rows of a first snapshot have no server, which is written as 0.
            Some(0) | None if snapshot || self.declared.is_empty() => return Ok(0),
            Some(0) | None => return Err(missing("server_id")),
            Some(server) => server,
        };
        if !self.declared.is_empty() {
            let place = self.declared.iter().position(|known| *known == server);
            return place.map(|place| place as u32).ok_or_else(|| {
                other_server(
                    "the change is of a server that `servers` does not name; add its id at the end",
                )
            });
        }
        if *self.first.get_or_insert(server) == server {
            return Ok(0);
        }
        Err(other_server(
            "the change is of another server than those before, whose positions cannot be compared with its own; name \
             the servers in order in `servers`, the oldest first",
        ))
    }
}

fn other_server(message: &'static str) -> Refusal {
    Refusal::new(HoleReason::Contradiction, message)
}

fn missing(name: &str) -> Refusal {
    let message = "is missing, without which changes cannot be put in order; let the connector add it \
                   (flattened messages: `add.fields=op,db,table,source.ts_ms,server_id,file,pos,row`, or `lsn` for \
                   PostgreSQL)";
    Refusal::new(HoleReason::MissingColumn, message).of(name)
}
