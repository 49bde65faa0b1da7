//! Events as they stand in a binary log, of MariaDB and of MySQL.

use std::borrow::Cow;
use std::io::Read;

use super::bytes::{Bytes, Malformed, big_endian};

/// One event, whole and with a right checksum, without its header and checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEvent<'a> {
    /// Its type's number.
    pub(super) kind: u8,
    /// When it was written, in seconds since 1970.
    pub(super) seconds: u32,
    /// The server that wrote it first.
    pub(super) server: u32,
    /// Whether it says of itself that readers may pass over it.
    pub(super) ignorable: bool,
    pub(super) body: &'a [u8],
}

/// Numbers of types of events; those from 33 to 42 are MySQL's, those from 160 on MariaDB's.
pub(super) mod kinds {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const STOP: u8 = 3;
    pub(crate) const ROTATE: u8 = 4;
    pub(crate) const INTVAR: u8 = 5;
    pub(crate) const RAND: u8 = 13;
    pub(crate) const USER_VAR: u8 = 14;
    pub(crate) const FORMAT: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const BEGIN_LOAD: u8 = 17;
    pub(crate) const EXECUTE_LOAD: u8 = 18;
    pub(crate) const TABLE_MAP: u8 = 19;
    pub(crate) const WRITE_ROWS_1: u8 = 23;
    pub(crate) const UPDATE_ROWS_1: u8 = 24;
    pub(crate) const DELETE_ROWS_1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const IGNORABLE: u8 = 28;
    pub(crate) const ROWS_QUERY: u8 = 29;
    pub(crate) const WRITE_ROWS_2: u8 = 30;
    pub(crate) const UPDATE_ROWS_2: u8 = 31;
    pub(crate) const DELETE_ROWS_2: u8 = 32;
    pub(crate) const MYSQL_GTID: u8 = 33;
    pub(crate) const MYSQL_ANONYMOUS: u8 = 34;
    pub(crate) const MYSQL_PREVIOUS_GTIDS: u8 = 35;
    pub(crate) const TRANSACTION_CONTEXT: u8 = 36;
    pub(crate) const VIEW_CHANGE: u8 = 37;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(crate) const HEARTBEAT_2: u8 = 41;
    pub(crate) const MYSQL_GTID_TAGGED: u8 = 42;
    pub(crate) const ANNOTATE_ROWS: u8 = 160;
    pub(crate) const CHECKPOINT: u8 = 161;
    pub(crate) const GTID: u8 = 162;
    pub(crate) const GTID_LIST: u8 = 163;
    pub(crate) const QUERY_COMPRESSED: u8 = 165;
    pub(crate) const WRITE_ROWS_COMPRESSED_1: u8 = 166;
    pub(crate) const UPDATE_ROWS_COMPRESSED_1: u8 = 167;
    pub(crate) const DELETE_ROWS_COMPRESSED_1: u8 = 168;
    pub(crate) const WRITE_ROWS_COMPRESSED_2: u8 = 169;
    pub(crate) const UPDATE_ROWS_COMPRESSED_2: u8 = 170;
    pub(crate) const DELETE_ROWS_COMPRESSED_2: u8 = 171;
}

/// Bytes that one event may have when it is inflated, and that one packet may have.
pub(super) const MAX_EVENT_BYTES: usize = 256 << 20;

/// A statement in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    /// The database that it was run in.
    pub(super) database: &'a str,
    pub(super) text: Cow<'a, str>,
    /// The server's thread that ran it.
    pub(super) thread: u32,
}

impl<'a> Query<'a> {
    pub(super) fn read(event: RawEvent<'a>) -> Result<Query<'a>, Malformed> {
        let mut bytes = Bytes(event.body);
        let thread = bytes.u32()?;
        // How long the statement took.
        bytes.take(4)?;
        let database_length = usize::from(bytes.u8()?);
        bytes.u16()?;
        let status_length = usize::from(bytes.u16()?);
        if event.kind == kinds::EXECUTE_LOAD {
            bytes.take(13)?;
        }
        bytes.take(status_length)?;
        let database = std::str::from_utf8(bytes.take(database_length)?);
        bytes.take(1)?;
        let text = match event.kind {
            kinds::QUERY_COMPRESSED => Cow::Owned(inflate(bytes.0)?),
            _ => Cow::Borrowed(bytes.0),
        };
        // Statements may hold texts in any character set; keywords and names of tables survive this.
        let text = match text {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
        };
        Ok(Query {
            database: database.map_err(|_| Malformed)?,
            text,
            thread,
        })
    }
}

/// What happened to the rows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowChange {
    Write,
    Update,
    Delete,
}

/// An event of rows, its rows still as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    pub(super) change: RowChange,
    /// The table map that they belong to.
    pub(super) table: u64,
    pub(super) columns: usize,
    /// Whether every column stands in every image.
    pub(super) whole: bool,
    pub(super) data: Cow<'a, [u8]>,
}

/// Stands for no table: such an event only ends a statement.
pub(super) const NO_TABLE: u64 = 0xff_ffff;

impl<'a> Rows<'a> {
    /// Which change an event of this type holds, whether its header is the longer one, and whether it is
    /// compressed.
    pub(super) fn form(kind: u8) -> Option<(RowChange, bool, bool)> {
        use RowChange::*;
        Some(match kind {
            kinds::WRITE_ROWS_1 => (Write, false, false),
            kinds::UPDATE_ROWS_1 => (Update, false, false),
            kinds::DELETE_ROWS_1 => (Delete, false, false),
            kinds::WRITE_ROWS_2 => (Write, true, false),
            kinds::UPDATE_ROWS_2 => (Update, true, false),
            kinds::DELETE_ROWS_2 => (Delete, true, false),
            kinds::WRITE_ROWS_COMPRESSED_1 => (Write, false, true),
            kinds::UPDATE_ROWS_COMPRESSED_1 => (Update, false, true),
            kinds::DELETE_ROWS_COMPRESSED_1 => (Delete, false, true),
            kinds::WRITE_ROWS_COMPRESSED_2 => (Write, true, true),
            kinds::UPDATE_ROWS_COMPRESSED_2 => (Update, true, true),
            kinds::DELETE_ROWS_COMPRESSED_2 => (Delete, true, true),
            _ => return None,
        })
    }

    /// The number of the table whose rows stand in this body.
    pub(super) fn table_of(body: &[u8]) -> Result<u64, Malformed> {
        Bytes(body).number(6)
    }

    pub(super) fn read(event: RawEvent<'a>) -> Result<Rows<'a>, Malformed> {
        let (change, longer, compressed) = Rows::form(event.kind).ok_or(Malformed)?;
        let mut bytes = Bytes(event.body);
        let table = bytes.number(6)?;
        bytes.u16()?;
        if longer {
            let extra = usize::from(bytes.u16()?).checked_sub(2).ok_or(Malformed)?;
            bytes.take(extra)?;
        }
        let columns = bytes.packed_length()?;
        let mut whole = true;
        for _ in 0..if change == RowChange::Update { 2 } else { 1 } {
            let present = bytes.take(columns.div_ceil(8))?;
            whole &= (0..columns).all(|column| super::bytes::bit(present, column));
        }
        Ok(Rows {
            change,
            table,
            columns,
            whole,
            data: match compressed {
                true => Cow::Owned(inflate(bytes.0)?),
                false => Cow::Borrowed(bytes.0),
            },
        })
    }
}

/// MariaDB's compressed form: a byte that says how many bytes the length has, the length, and zlib's bytes.
fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Bytes(bytes);
    let head = bytes.u8()?;
    // The highest bit is always set; the three after it name the algorithm, of which there is one.
    if head & 0xf0 != 0x80 || !(1..=4).contains(&(head & 7)) {
        return Err(Malformed);
    }
    let length = big_endian(bytes.take(usize::from(head & 7))?) as usize;
    if length > MAX_EVENT_BYTES {
        return Err(Malformed);
    }
    let mut inflated = Vec::new();
    let limit = length as u64 + 1;
    let read = flate2::read::ZlibDecoder::new(bytes.0)
        .take(limit)
        .read_to_end(&mut inflated);
    match read {
        Ok(read) if read == length => Ok(inflated),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::gtid::Flavour;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn deflate(content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x82];
        bytes.extend((content.len() as u16).to_be_bytes());
        let mut encoder = flate2::write::ZlibEncoder::new(bytes, flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_comes_back_or_is_refused() {
        let content = b"insert into payment".repeat(20);
        let compressed = deflate(&content);
        assert_eq!(inflate(&compressed), Ok(content.clone()));
        assert_eq!(inflate(&compressed[..compressed.len() - 9]), Err(Malformed));
        let mut longer = compressed.clone();
        longer[2] += 1;
        assert_eq!(inflate(&longer), Err(Malformed));
        let mut shorter = compressed;
        shorter[2] -= 1;
        assert_eq!(inflate(&shorter), Err(Malformed));
    }

    #[test]
    fn an_image_without_all_columns_is_told() {
        let body = |present: u8| vec![7, 0, 0, 0, 0, 0, 1, 0, 3, present, 0, 9];
        let event = |body| RawEvent {
            kind: kinds::WRITE_ROWS_1,
            seconds: 0,
            server: 1,
            ignorable: false,
            body,
        };
        let (all, some) = (body(0xff), body(0xfd));
        let rows = Rows::read(event(&all)).unwrap();
        assert_eq!((rows.table, rows.columns, rows.whole), (7, 3, true));
        assert_eq!(&*rows.data, [0, 9]);
        assert!(!Rows::read(event(&some)).unwrap().whole);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
            let event = RawEvent { kind, seconds: 0, server: 0, ignorable: false, body: &body };
            let _ = super::super::begin::Begin::read(event);
            let _ = Query::read(event);
            let _ = Rows::read(event);
            let collations = super::super::charset::Collations::default();
            let _ = super::super::table_map::Named::read(&body).and_then(|named| {
                named.columns(&collations, Flavour::MariaDb)?;
                named.columns(&collations, Flavour::MySql)
            });
        }
    }
}
