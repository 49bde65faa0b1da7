//! Where a transaction begins: the event with its global id.

use super::bytes::{Bytes, Malformed};
use super::event::{RawEvent, kinds};
use super::gtid::mysql::Origin;
use super::gtid::{Gtid, mariadb, mysql};

/// The beginning of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) gtid: Gtid,
    /// When it was committed first, in microseconds since 1970, where the log says it so exactly.
    pub(super) committed_at: Option<i64>,
    /// Whether it is one statement without an end of its own. MySQL does not say so.
    pub(super) standalone: bool,
    /// Whether it only prepares a distributed transaction. MySQL does not say so here.
    pub(super) prepared: bool,
    /// The thread that made it, where the log says so here, as newer versions of MariaDB do.
    pub(super) thread: Option<u32>,
}

impl Begin {
    /// Whether an event of this type begins a transaction.
    pub(super) fn is(kind: u8) -> bool {
        matches!(
            kind,
            kinds::GTID | kinds::MYSQL_GTID | kinds::MYSQL_GTID_TAGGED
        )
    }

    pub(super) fn read(event: RawEvent) -> Result<Begin, Malformed> {
        match event.kind {
            kinds::GTID => Begin::of_mariadb(event),
            kinds::MYSQL_GTID => Begin::of_mysql(event.body),
            kinds::MYSQL_GTID_TAGGED => Begin::of_mysql_tagged(event.body),
            _ => Err(Malformed),
        }
    }

    fn of_mariadb(event: RawEvent) -> Result<Begin, Malformed> {
        let mut bytes = Bytes(event.body);
        let sequence = bytes.number(8)?;
        let domain = bytes.u32()?;
        let flags = bytes.u8()?;
        let thread = thread_of_mariadb(flags, bytes).ok().flatten();
        Ok(Begin {
            gtid: Gtid::MariaDb(mariadb::Gtid {
                domain,
                server: event.server,
                sequence,
            }),
            committed_at: None,
            standalone: flags & 1 != 0,
            prepared: flags & PREPARED != 0,
            thread,
        })
    }

    /// Flags, the server's UUID, the number, and since 5.7 logical clocks, since 8.0 commit times.
    fn of_mysql(body: &[u8]) -> Result<Begin, Malformed> {
        let mut bytes = Bytes(body);
        bytes.u8()?;
        let server = uuid(bytes.take(16)?)?;
        let number = bytes.number(8)?;
        let mut committed_at = None;
        if bytes.0.first() == Some(&LOGICAL_CLOCKS) && bytes.0.len() >= 17 + 7 {
            bytes.take(17)?;
            // The time on the server that wrote this log; its highest bit says that the first one's follows.
            let mut time = bytes.number(7)?;
            if time & FIRST_TIME_FOLLOWS != 0 {
                time = bytes.number(7)?;
            }
            committed_at = Some(time);
        }
        Begin::of_parts(server, "", number, committed_at)
    }

    /// MySQL's serialization format: a version, how many bytes there are, the last field that may not be passed
    /// over, and fields behind their numbers, in rising order.
    fn of_mysql_tagged(body: &[u8]) -> Result<Begin, Malformed> {
        let mut bytes = Bytes(body);
        if bytes.u8()? != SERIALIZATION_VERSION << 1 {
            return Err(Malformed);
        }
        let length = usize::try_from(variable(&mut bytes)?).map_err(|_| Malformed)?;
        let last_needed = variable(&mut bytes)?;
        let head = body.len() - bytes.0.len();
        let mut bytes = Bytes(bytes.take(length.checked_sub(head).ok_or(Malformed)?)?);
        let (mut server, mut number, mut tag) = (None, None, "");
        let (mut committed_here, mut committed_first) = (None, None);
        while !bytes.is_empty() {
            match variable(&mut bytes)? {
                0 => drop(variable(&mut bytes)?),
                1 => {
                    let mut uuid = [0; 16];
                    for byte in &mut uuid {
                        *byte = u8::try_from(variable(&mut bytes)?).map_err(|_| Malformed)?;
                    }
                    server = Some(uuid);
                }
                // Signed: the lowest bit is the sign.
                2 => {
                    number = Some(variable(&mut bytes)?)
                        .filter(|number| number & 1 == 0)
                        .map(|number| number >> 1)
                }
                3 => {
                    let length = usize::try_from(variable(&mut bytes)?).map_err(|_| Malformed)?;
                    tag = std::str::from_utf8(bytes.take(length)?).map_err(|_| Malformed)?;
                }
                6 => committed_here = Some(variable(&mut bytes)?),
                7 => committed_first = Some(variable(&mut bytes)?),
                4 | 5 | 8..=11 => drop(variable(&mut bytes)?),
                // The length of an unknown field is not known; those behind the last that is needed may go.
                unknown if unknown > last_needed => break,
                _ => return Err(Malformed),
            }
        }
        let (server, number) = (server.ok_or(Malformed)?, number.ok_or(Malformed)?);
        Begin::of_parts(server, tag, number, committed_first.or(committed_here))
    }

    fn of_parts(
        server: [u8; 16],
        tag: &str,
        number: u64,
        committed_at: Option<u64>,
    ) -> Result<Begin, Malformed> {
        let origin = Origin::new(server, tag).ok_or(Malformed)?;
        let number = Some(number).filter(|number| *number > 0 && *number < i64::MAX as u64);
        Ok(Begin {
            gtid: Gtid::MySql(mysql::Gtid {
                origin,
                number: number.ok_or(Malformed)?,
            }),
            committed_at: committed_at
                .filter(|time| *time > 0)
                .and_then(|time| i64::try_from(time).ok()),
            standalone: false,
            prepared: false,
            thread: None,
        })
    }
}

/// Flags of MariaDB's event: a group commit's number follows; a distributed transaction is prepared, or ended.
const GROUP_COMMIT: u8 = 2;
const PREPARED: u8 = 64;
const COMPLETED: u8 = 128;
/// Its further flags: the number of engines follows; the number of an ALTER that ended follows; the thread follows.
const ENGINES: u8 = 1;
const ALTER_ENDED: u8 = 4 | 8;
const THREAD: u8 = 16;

/// The thread behind MariaDB's flags, where the event goes on so far.
fn thread_of_mariadb(flags: u8, mut bytes: Bytes) -> Result<Option<u32>, Malformed> {
    if flags & GROUP_COMMIT != 0 {
        bytes.take(8)?;
    }
    if flags & (PREPARED | COMPLETED) != 0 {
        bytes.take(4)?;
        let lengths = usize::from(bytes.u8()?) + usize::from(bytes.u8()?);
        bytes.take(lengths)?;
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let further = bytes.u8()?;
    if further & ENGINES != 0 {
        bytes.u8()?;
    }
    if further & ALTER_ENDED != 0 {
        bytes.take(8)?;
    }
    if further & THREAD == 0 {
        return Ok(None);
    }
    bytes.u32().map(Some)
}

/// Stands before the logical clocks.
const LOGICAL_CLOCKS: u8 = 2;
const FIRST_TIME_FOLLOWS: u64 = 1 << 55;
/// Of MySQL's serialization format.
const SERIALIZATION_VERSION: u8 = 1;

fn uuid(bytes: &[u8]) -> Result<[u8; 16], Malformed> {
    bytes.try_into().map_err(|_| Malformed)
}

/// A number whose lowest bits say how many bytes it has: as many more as there are ones.
fn variable(bytes: &mut Bytes) -> Result<u64, Malformed> {
    let first = *bytes.0.first().ok_or(Malformed)?;
    match first.trailing_ones() as usize {
        8 => {
            bytes.u8()?;
            bytes.number(8)
        }
        more => Ok(bytes.number(more + 1)? >> (more + 1)),
    }
}

#[cfg(test)]
#[path = "begin_tests.rs"]
mod tests;
