//! Transactions whose end was not seen yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{
    EntityId, EntityKey, Hole, HoleReason, Images, Line, Position, TableChanges, TableId,
    Timestamp, TransactionRow,
};

use crate::gather::Gather;

/// A change, or a record that could not be read.
pub(crate) enum Item<'a> {
    Row(&'a Arc<TableChanges>, u32),
    Hole(Hole),
}

/// Where the record of a held row stands.
#[derive(Clone, Copy, Debug)]
struct HeldLine {
    table: TableId,
    offset: u64,
    start: usize,
    length: usize,
}

/// The rows of a transaction that are held back until it ends.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) transaction: TransactionRow,
    /// Where its first line starts.
    pub(crate) offset: u64,
    /// How many records it has so far, holes among them.
    pub(crate) records: usize,
    pub(crate) bytes: u64,
    /// Its rows in the chunk that is being taken in, and those of earlier chunks.
    rows: Gather,
    detached: Gather,
    pub(crate) holes: Vec<Hole>,
    /// A heartbeat of its source that came before its end.
    pub(crate) progress: Option<Timestamp>,
    /// Set when it passed the limit: the tables it touched. Its rows are not kept any more.
    pub(crate) given_up: Option<BTreeSet<TableId>>,
    lines: Vec<HeldLine>,
    /// The bytes of those `lines` whose chunk is gone, one after the other.
    kept: Vec<u8>,
    kept_lines: usize,
}

impl Open {
    pub(crate) fn new(transaction: TransactionRow, offset: u64) -> Open {
        Open {
            transaction,
            offset,
            records: 0,
            bytes: 0,
            rows: Gather::default(),
            detached: Gather::default(),
            holes: Vec::new(),
            progress: None,
            given_up: None,
            lines: Vec::new(),
            kept: Vec::new(),
            kept_lines: 0,
        }
    }

    /// Adds the record of this line.
    pub(crate) fn add(&mut self, item: Item<'_>, line: &Line) {
        self.records += 1;
        self.bytes += line.length;
        match (item, &mut self.given_up) {
            (Item::Hole(hole), _) => self.holes.push(hole),
            (Item::Row(changes, _), Some(tables)) => {
                tables.insert(changes.table);
            }
            (Item::Row(changes, row), None) => {
                self.rows.add(changes, row);
                self.lines.push(HeldLine {
                    table: changes.table,
                    offset: line.offset,
                    start: line.start as usize,
                    length: line.length as usize,
                });
            }
        }
    }

    /// All its rows, in order.
    pub(crate) fn take_rows(&mut self) -> Gather {
        let mut rows = std::mem::take(&mut self.detached);
        rows.append(std::mem::take(&mut self.rows));
        rows
    }

    /// Lets go of its rows: it is larger than a transaction may be.
    pub(crate) fn give_up(&mut self) {
        self.given_up = Some(self.take_rows().tables().collect());
        self.lines = Vec::new();
        self.kept = Vec::new();
        self.kept_lines = 0;
    }

    /// Copies what it holds of a chunk, so that the chunk can go.
    pub(crate) fn detach(&mut self, chunk: &[u8]) -> Result<(), ArrowError> {
        self.detached
            .append(std::mem::take(&mut self.rows).detached()?);
        for line in &mut self.lines[self.kept_lines..] {
            // The rows of a binary log have no bytes of their own.
            let bytes = chunk.get(line.start..line.start + line.length);
            line.start = self.kept.len();
            line.length = bytes.map_or(0, <[u8]>::len);
            self.kept.extend_from_slice(bytes.unwrap_or_default());
        }
        self.kept_lines = self.lines.len();
        Ok(())
    }

    /// One hole for each table of a transaction that was given up.
    pub(crate) fn too_large(&self, input: &str, place: &Position, catalog: &Catalog) -> Vec<Hole> {
        let tables = self.given_up.iter().flatten();
        let hole = |table: &TableId| Hole {
            input: input.to_owned(),
            position: place.clone(),
            reason: HoleReason::TransactionTooLarge,
            message: format!(
                "the transaction that starts here has {} rows in {} bytes, more than the limit; \
                 raise the limit and replay it",
                self.records, self.bytes
            ),
            bytes: Vec::new(),
            bytes_total: self.bytes,
            since: None,
            table: Some(*table),
            source: Some(catalog.table(*table).source),
            entities: Vec::new(),
        };
        tables.map(hole).collect()
    }

    /// A hole for each row of a transaction that will never end.
    pub(crate) fn unfinished(
        &mut self,
        input: &str,
        place: &Position,
        catalog: &Catalog,
    ) -> Result<Vec<Hole>, ArrowError> {
        let tables = self.take_rows().finish()?;
        let tables: BTreeMap<TableId, TableChanges> = tables
            .into_iter()
            .map(|changes| (changes.table, changes))
            .collect();
        let mut next_row: BTreeMap<TableId, usize> = BTreeMap::new();
        let mut holes = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let record = &self.kept[line.start..line.start + line.length];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let row = next_row.entry(line.table).or_default();
            holes.push(Hole {
                input: input.to_owned(),
                position: place.advanced_to(line.offset),
                reason: HoleReason::Malformed,
                message: "the file ends inside a transaction".to_owned(),
                bytes: record[..record.len().min(1 << 20)].to_vec(),
                bytes_total: record.len() as u64,
                since: None,
                table: Some(line.table),
                source: Some(catalog.table(line.table).source),
                entities: entities(&tables[&line.table], *row, catalog),
            });
            *row += 1;
        }
        Ok(holes)
    }
}

/// The entities that a change names by its own columns, before and after.
fn entities(
    changes: &TableChanges,
    change: usize,
    catalog: &Catalog,
) -> Vec<(EntityId, EntityKey)> {
    let mut found = Vec::new();
    for path in &catalog.table(changes.table).entities {
        let EntityPath::Direct { entity, columns } = path else {
            continue;
        };
        let images = [&changes.before, &changes.after];
        let there = images
            .into_iter()
            .filter_map(|images| Some((images, images.row[change]?)));
        // Either all images tell the key, or the entity counts as unknown.
        let keys: Option<Vec<EntityKey>> = there
            .map(|(images, row)| key_of(images, row as usize, columns))
            .collect();
        found.extend(
            keys.unwrap_or_default()
                .into_iter()
                .map(|key| (*entity, key)),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// The key in one row; the texts of several columns are joined by U+001F.
fn key_of(images: &Images, row: usize, columns: &[usize]) -> Option<EntityKey> {
    let parts = columns.iter().map(|column| {
        let array = images.rows.column(*column);
        match array.data_type() {
            _ if array.is_null(row) => None,
            DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_owned()),
            DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).to_string()),
            _ => None,
        }
    });
    let parts: Option<Vec<String>> = parts.collect();
    Some(EntityKey::from(parts?.join("\u{1f}").as_str()))
}
