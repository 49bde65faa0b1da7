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

    /// Appends the persisted form, `record/1`: varints of table, operation, key length, epoch, sequence,
    /// ordinal and commit time, then the key, then the image with its length.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u128::from(self.table.0));
        out.push(self.operation as u8);
        put_varint(out, self.primary_key.len() as u128);
        put_varint(out, u128::from(self.version.epoch));
        put_varint(out, u128::from(self.version.sequence));
        put_varint(out, u128::from(self.version.ordinal));
        put_varint(out, self.committed_at.0.max(0) as u128);
        out.extend_from_slice(self.primary_key);
        put_varint(out, self.image.len() as u128);
        out.extend_from_slice(self.image);
    }

    /// Takes one record off the front of `bytes`.
    pub fn read(bytes: &mut &'a [u8]) -> Result<Record<'a>, StateError> {
        let table = TableId(take_u64(bytes)? as u16);
        let operation = match take_bytes(bytes, 1)?[0] {
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
        Ok(Record {
            table,
            primary_key,
            version,
            operation,
            committed_at,
            image,
        })
    }
}
