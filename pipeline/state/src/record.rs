//! One version of one row, as an entity's document keeps it.

use centinel_model::{Operation, TableId, Timestamp, Version};

use crate::StateError;
use crate::codec::{put_varint, take_bytes, take_u64};

/// One version of one row, borrowed from a document or a micro-batch. Within a document it is named by
/// table, primary key, version and whether it is a tombstone; its other parts follow from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its table.
    pub table: TableId,
    /// The primary key's text.
    pub primary_key: &'a [u8],
    /// Its place in the order of the table's source.
    pub version: Version,
    /// What happened; a deletion is a tombstone.
    pub operation: Operation,
    /// When it was committed, on the source's clock.
    pub committed_at: Timestamp,
    /// The encoded row; for a tombstone empty, or the row before.
    pub image: &'a [u8],
    /// The columns that the source could not give, as [`write_lost`] writes them; empty for a whole row.
    pub lost: &'a [u8],
}

/// Marks the operation of a record that lacks columns.
const LACKING: u8 = 0x80;

/// Appends columns as a bitmap: bit `i % 8` of byte `i / 8` is set for column `i`, up to the last of them.
pub fn write_lost(columns: &[usize], out: &mut Vec<u8>) {
    let start = out.len();
    for column in columns {
        let byte = start + column / 8;
        out.resize(out.len().max(byte + 1), 0);
        out[byte] |= 1 << (column % 8);
    }
}

impl<'a> Record<'a> {
    /// What orders records in a document: versions of one row stand together, oldest first. A row that leaves one
    /// link for another may come back by it to the same document: of one version the row counts, not its leaving.
    pub fn order(&self) -> (TableId, &'a [u8], Version, bool) {
        (
            self.table,
            self.primary_key,
            self.version,
            !self.is_tombstone(),
        )
    }

    /// Whether both are versions of the same row.
    pub fn same_row(&self, other: &Record<'_>) -> bool {
        self.table == other.table && self.primary_key == other.primary_key
    }

    /// Whether the row is gone with this version.
    pub fn is_tombstone(&self) -> bool {
        self.operation == Operation::Delete
    }

    /// Whether the row comes without this column, so that its null says nothing.
    pub fn lacks(&self, column: usize) -> bool {
        let byte = self.lost.get(column / 8);
        byte.is_some_and(|byte| byte & 1 << (column % 8) != 0)
    }

    /// Appends the persisted form, `record/1`: varints of table, operation, key length, epoch, sequence,
    /// ordinal and commit time, then the key, then the image with its length. Of a record that lacks columns
    /// 0x80 is added to the operation, and the lost columns follow with their length.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u128::from(self.table.0));
        let lacking = if self.lost.is_empty() { 0 } else { LACKING };
        out.push(self.operation as u8 | lacking);
        put_varint(out, self.primary_key.len() as u128);
        put_varint(out, u128::from(self.version.epoch));
        put_varint(out, u128::from(self.version.sequence));
        put_varint(out, u128::from(self.version.ordinal));
        put_varint(out, self.committed_at.0.max(0) as u128);
        out.extend_from_slice(self.primary_key);
        put_varint(out, self.image.len() as u128);
        out.extend_from_slice(self.image);
        if lacking != 0 {
            put_varint(out, self.lost.len() as u128);
            out.extend_from_slice(self.lost);
        }
    }

    /// Takes one record off the front of `bytes`.
    pub fn read(bytes: &mut &'a [u8]) -> Result<Record<'a>, StateError> {
        let table = TableId(take_u64(bytes)? as u16);
        let marked = take_bytes(bytes, 1)?[0];
        let operation = match marked & !LACKING {
            0 => Operation::Insert,
            1 => Operation::Update,
            2 => Operation::Delete,
            3 => Operation::Snapshot,
            other => {
                return Err(StateError::corrupt(format!(
                    "operation {other} is not known"
                )));
            }
        };
        let key_length = take_u64(bytes)? as usize;
        let version = Version {
            epoch: take_u64(bytes)? as u32,
            sequence: take_u64(bytes)?,
            ordinal: take_u64(bytes)? as u32,
        };
        let committed_at = Timestamp(take_u64(bytes)? as i64);
        let primary_key = take_bytes(bytes, key_length)?;
        let image_length = take_u64(bytes)? as usize;
        let image = take_bytes(bytes, image_length)?;
        let lost = match marked & LACKING {
            0 => &[],
            _ => {
                let length = take_u64(bytes)? as usize;
                take_bytes(bytes, length)?
            }
        };
        Ok(Record {
            table,
            primary_key,
            version,
            operation,
            committed_at,
            image,
            lost,
        })
    }
}
