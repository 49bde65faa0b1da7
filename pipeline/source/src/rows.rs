//! The changes of one table while a chunk is decoded.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use centinel_catalog::{Catalog, Column, ColumnType, Entity, EntityPath, TableKind};
use centinel_model::{
    EntityId, HoleReason, Images, LostColumns, Operation, Origin, SourceId, TableChanges, TableId,
    Timestamp, Version,
};

use crate::column::{Cell, ColumnBuffer};
use crate::json::{Cursor, Value};
use crate::shape::Lost;
use crate::value::{Refusal, type_name};

/// What decoding needs to know of one table, worked out once.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) table: TableId,
    pub(crate) name: String,
    /// The same, as an event's physical name.
    pub(crate) physical: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) source: SourceId,
    /// Index of the column that an event's envelope fills.
    pub(crate) message_id: Option<usize>,
    /// Index of the column that names the physical table.
    pub(crate) shard: Option<usize>,
    /// How far times without a zone run ahead of UTC, in microseconds, where declared.
    pub(crate) zone: Option<i64>,
    /// The entities that its own columns name, with their key columns.
    pub(crate) direct: Vec<(EntityId, Entity, Vec<usize>)>,
    pub(crate) columns: Vec<ColumnLayout>,
    /// By column: whether a row cannot be placed without it: part of a key, an entity's key or a link.
    pub(crate) places: Vec<bool>,
    schema: SchemaRef,
}

#[derive(Debug)]
pub(crate) struct ColumnLayout {
    pub(crate) name: String,
    /// `"name":`, as it stands in most lines.
    quoted: Vec<u8>,
    pub(crate) kind: ColumnType,
    pub(crate) nullable: bool,
    /// The entities whose key the column is part of.
    keys: Vec<Entity>,
}

impl Layout {
    pub(crate) fn new(catalog: &Catalog, id: TableId) -> Layout {
        let table = catalog.table(id);
        let columns = table.columns.iter().enumerate();
        let columns =
            columns.map(|(index, column)| ColumnLayout::new(column, index, table, catalog));
        let direct = table.entities.iter().filter_map(|path| match path {
            EntityPath::Direct { entity, columns } => {
                Some((*entity, catalog.entity(*entity).clone(), columns.clone()))
            }
            EntityPath::Through { .. } => None,
        });
        let placing = table.entities.iter().flat_map(|path| path.columns());
        let placing: Vec<&usize> = placing
            .chain(&table.primary_key)
            .chain(&table.shard)
            .collect();
        Layout {
            places: (0..table.columns.len())
                .map(|index| placing.contains(&&index))
                .collect(),
            physical: table.name.as_str().into(),
            direct: direct.collect(),
            table: id,
            name: table.name.clone(),
            kind: table.kind,
            source: table.source,
            message_id: match table.kind {
                TableKind::Events => table.column_index("message_id"),
                TableKind::Rows | TableKind::History(_) => None,
            },
            shard: table.shard,
            zone: table
                .zone_seconds
                .map(|seconds| i64::from(seconds) * 1_000_000),
            columns: columns.collect(),
            schema: table.storage_schema(),
        }
    }

    fn column_index(&self, name: &str) -> Result<usize, Refusal> {
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| {
            let column = decent_column(name);
            let message = format!("{column} is not in the schema of `{}`", self.name);
            Refusal::new(HoleReason::UnknownColumn, message)
        })
    }

    /// The column that a database calls so, which may write it in capitals.
    pub(crate) fn find_column(&self, name: &str) -> Option<usize> {
        let exactly = self.columns.iter().position(|column| column.name == name);
        exactly.or_else(|| {
            let mut columns = self.columns.iter();
            columns.position(|column| column.name.eq_ignore_ascii_case(name))
        })
    }
}

/// A column's name for messages. It comes from a record and may be anything, so only a decent one is
/// repeated.
pub(crate) fn decent_column(name: &str) -> String {
    let decent = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if decent {
        format!("column `{name}`")
    } else {
        "a column".to_owned()
    }
}

impl ColumnLayout {
    fn new(
        column: &Column,
        index: usize,
        table: &centinel_catalog::Table,
        catalog: &Catalog,
    ) -> ColumnLayout {
        let direct = table.entities.iter().filter_map(|path| match path {
            EntityPath::Direct { entity, columns } if columns.contains(&index) => Some(*entity),
            _ => None,
        });
        ColumnLayout {
            name: column.name.clone(),
            quoted: format!("\"{}\":", column.name).into_bytes(),
            kind: column.kind,
            nullable: column.nullable,
            keys: direct
                .map(|entity| catalog.entity(entity).clone())
                .collect(),
        }
    }
}

/// The growing columns of one kind of row image.
#[derive(Debug)]
pub(crate) struct ImageBuffer {
    columns: Vec<ColumnBuffer>,
    rows: usize,
    row: Vec<Option<u32>>,
}

impl ImageBuffer {
    fn new(layout: &Layout) -> ImageBuffer {
        let columns = layout
            .columns
            .iter()
            .map(|column| ColumnBuffer::new(column.kind))
            .collect();
        ImageBuffer {
            columns,
            rows: 0,
            row: Vec::new(),
        }
    }

    /// Reads the object that comes next as the columns of one new row.
    pub(crate) fn read(&mut self, cursor: &mut Cursor<'_>, layout: &Layout) -> Result<(), Refusal> {
        cursor.begin_object()?;
        let mut expected = 0;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let index = match layout.columns.get(expected) {
                Some(column) if cursor.skip(&column.quoted) => expected,
                _ => layout.column_index(&cursor.key()?)?,
            };
            expected = index + 1;
            let value = cursor.value()?;
            self.set(index, Cell::Json(value), layout)?;
        }
        Ok(())
    }

    /// Reads the object that comes next as columns of one new row, as another tool wrote it: `cell` makes of
    /// each value what its column takes, `other` is told the members that no column is named after. With
    /// `missing` only columns are read that have no value yet.
    pub(crate) fn read_foreign<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        layout: &Layout,
        missing: bool,
        mut cell: impl FnMut(usize, Value<'a>) -> Result<Cell<'a>, Refusal>,
        mut other: impl FnMut(&str),
    ) -> Result<(), Refusal> {
        cursor.begin_object()?;
        let mut expected = 0;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let found = match layout.columns.get(expected) {
                Some(column) if cursor.skip(&column.quoted) => Some(expected),
                _ => {
                    let key = cursor.key()?;
                    let found = layout.find_column(&key);
                    if found.is_none() {
                        other(&key);
                    }
                    found
                }
            };
            let value = cursor.value()?;
            let Some(index) = found else { continue };
            expected = index + 1;
            if missing && self.has(index) {
                continue;
            }
            let cell =
                cell(index, value).map_err(|refusal| refusal.of(&layout.columns[index].name))?;
            self.set(index, cell, layout)?;
        }
        Ok(())
    }

    /// Whether the new row has a value for this column.
    pub(crate) fn has(&self, index: usize) -> bool {
        self.columns[index].len() > self.rows
    }

    /// Gives one column of the new row its value.
    pub(crate) fn set(
        &mut self,
        index: usize,
        cell: Cell<'_>,
        layout: &Layout,
    ) -> Result<(), Refusal> {
        let (buffer, column) = (&mut self.columns[index], &layout.columns[index]);
        if buffer.len() > self.rows {
            let message = "names a column twice, or carries one that belongs to the envelope";
            return Err(Refusal::new(HoleReason::Malformed, message).of(&column.name));
        }
        buffer
            .push(cell, &column.keys)
            .map_err(|refusal| refusal.of(&column.name))
    }

    /// Ends the new row: what was left out is null, if it may be or was lost.
    fn complete(&mut self, layout: &Layout, lost: &Lost) -> Result<(), Refusal> {
        for (index, (buffer, column)) in self.columns.iter_mut().zip(&layout.columns).enumerate() {
            if buffer.len() == self.rows {
                buffer.push_null();
            }
            if !column.nullable && buffer.ends_with_null() && !lost.has(index) {
                let message = format!("({}) is missing or null", type_name(column.kind));
                return Err(Refusal::new(HoleReason::MissingColumn, message).of(&column.name));
            }
        }
        self.row.push(Some(self.rows as u32));
        self.rows += 1;
        Ok(())
    }

    fn cut_back(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
    }

    fn finish(self, schema: SchemaRef) -> Result<Images, ArrowError> {
        let columns = self
            .columns
            .into_iter()
            .map(ColumnBuffer::finish)
            .collect::<Result<_, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        Ok(Images {
            rows: RecordBatch::try_new_with_options(schema, columns, &options)?,
            row: self.row,
        })
    }
}

/// The growing changes of one table.
#[derive(Debug)]
pub(crate) struct TableBuffer {
    pub(crate) before: ImageBuffer,
    pub(crate) after: ImageBuffer,
    /// The columns that the new change comes without.
    pub(crate) lost: Lost,
    operations: Vec<Operation>,
    versions: Vec<Version>,
    committed_at: Vec<Timestamp>,
    /// The changes whose row after lacks columns.
    lacking: Vec<(u32, LostColumns)>,
    /// As in [`TableChanges::origins`].
    origins: Vec<(u32, Option<Arc<Origin>>)>,
}

impl TableBuffer {
    pub(crate) fn new(layout: &Layout) -> TableBuffer {
        TableBuffer {
            before: ImageBuffer::new(layout),
            after: ImageBuffer::new(layout),
            lost: Lost::default(),
            lacking: Vec::new(),
            origins: Vec::new(),
            operations: Vec::new(),
            versions: Vec::new(),
            committed_at: Vec::new(),
        }
    }

    /// Ends the change whose images were read; gives its index.
    pub(crate) fn complete(
        &mut self,
        layout: &Layout,
        operation: Operation,
        version: Version,
        committed_at: Timestamp,
    ) -> Result<u32, Refusal> {
        let (before, after) = images_of(operation);
        if before {
            self.before.complete(layout, &self.lost)?;
        }
        if after && let Err(refusal) = self.after.complete(layout, &self.lost) {
            if before {
                self.before.rows -= 1;
                self.before.row.pop();
            }
            return Err(refusal);
        }
        if !before {
            self.before.row.push(None);
        }
        if !after {
            self.after.row.push(None);
        }
        self.operations.push(operation);
        self.versions.push(version);
        self.committed_at.push(committed_at);
        let index = (self.operations.len() - 1) as u32;
        if after && !self.lost.is_empty() {
            self.lacking.push((index, self.lost.columns()));
        }
        self.lost.clear();
        Ok(index)
    }

    /// Says who made the change that was completed last.
    pub(crate) fn made_by(&mut self, origin: Option<&Arc<Origin>>) {
        let last = self.origins.last().and_then(|(_, last)| last.as_ref());
        if last != origin {
            let index = (self.operations.len() - 1) as u32;
            self.origins.push((index, origin.cloned()));
        }
    }

    /// As [`TableBuffer::made_by`], of an origin that was not compared with others yet.
    pub(crate) fn made_by_one(&mut self, origin: Origin) {
        let last = self.origins.last().and_then(|(_, last)| last.as_deref());
        let known = (!origin.is_empty()).then_some(origin);
        if last != known.as_ref() {
            let index = (self.operations.len() - 1) as u32;
            self.origins.push((index, known.map(Arc::new)));
        }
    }

    /// Forgets what was read of a change that was not completed.
    pub(crate) fn cut_back(&mut self) {
        self.before.cut_back();
        self.after.cut_back();
        self.lost.clear();
    }

    pub(crate) fn finish(self, layout: &Layout) -> Result<TableChanges, ArrowError> {
        Ok(TableChanges {
            table: layout.table,
            operations: self.operations,
            versions: self.versions,
            committed_at: self.committed_at,
            before: self.before.finish(Arc::clone(&layout.schema))?,
            after: self.after.finish(Arc::clone(&layout.schema))?,
            lost: self.lacking,
            origins: self.origins,
        })
    }
}

/// Which images a change of this kind has: before, after.
pub(crate) fn images_of(operation: Operation) -> (bool, bool) {
    match operation {
        Operation::Insert | Operation::Snapshot => (false, true),
        Operation::Update => (true, true),
        Operation::Delete => (true, false),
    }
}
