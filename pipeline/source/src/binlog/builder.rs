//! A chunk that grows row by row.

use std::sync::Arc;

use arrow::error::ArrowError;
use centinel_model::{
    DecodedChunk, Hole, HorizonOf, Line, LineContent, SourceId, Timestamp, TransactionRow,
};

use super::place::Place;
use crate::notes::Notes;
use crate::rows::{Layout, TableBuffer};
use crate::shape::Shapes;

/// Rows and bytes of rows after which a chunk is given out.
const FULL_ROWS: usize = 20_000;
const FULL_BYTES: u64 = 4 << 20;

/// What was decoded since the last chunk.
pub(super) struct Builder {
    layouts: Arc<[Layout]>,
    /// By table id: the table's place in `buffers`.
    slots: Vec<Option<u16>>,
    buffers: Vec<(usize, TableBuffer)>,
    lines: Vec<Line>,
    holes: Vec<Hole>,
    pub(super) shapes: Shapes,
    pub(super) notes: Notes,
    bytes: u64,
    /// Where it begins.
    pub(super) start: Place,
}

impl Builder {
    pub(super) fn new(layouts: Arc<[Layout]>, start: Place) -> Builder {
        Builder {
            slots: vec![None; layouts.len()],
            layouts,
            buffers: Vec::new(),
            lines: Vec::new(),
            holes: Vec::new(),
            shapes: Shapes::default(),
            notes: Notes::default(),
            bytes: 0,
            start,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= FULL_ROWS || self.bytes >= FULL_BYTES
    }

    /// The growing changes of this table, and their place in the chunk.
    pub(super) fn table(&mut self, layout: usize) -> (u16, &mut TableBuffer) {
        let slot = *self.slots[layout].get_or_insert_with(|| {
            self.buffers
                .push((layout, TableBuffer::new(&self.layouts[layout])));
            (self.buffers.len() - 1) as u16
        });
        (slot, &mut self.buffers[usize::from(slot)].1)
    }

    /// Adds the line of a row that is in its table.
    pub(super) fn row(
        &mut self,
        table: u16,
        row: u32,
        transaction: TransactionRow,
        length: usize,
        offset: u64,
    ) {
        let content = LineContent::Change {
            table,
            row,
            transaction,
        };
        self.line(content, length, offset);
    }

    /// Adds a record that could not be read.
    pub(super) fn hole(&mut self, hole: Hole, transaction: Option<TransactionRow>, offset: u64) {
        let length = hole.bytes_total as usize;
        self.holes.push(hole);
        let content = LineContent::Hole {
            hole: (self.holes.len() - 1) as u32,
            transaction,
        };
        self.line(content, length, offset);
    }

    fn line(&mut self, content: LineContent, length: usize, offset: u64) {
        self.bytes += length as u64;
        self.lines.push(Line {
            offset,
            start: 0,
            length: length as u64,
            content,
        });
    }

    /// The last row of this transaction is its last for good.
    pub(super) fn end(&mut self, sequence: u64) {
        let last = self.lines.last_mut().map(|line| &mut line.content);
        if let Some(
            LineContent::Change { transaction, .. }
            | LineContent::Hole {
                transaction: Some(transaction),
                ..
            },
        ) = last
            && transaction.sequence == sequence
        {
            transaction.last = true;
        }
    }

    /// What there is as a chunk that ends at `after`, with the progress of its source; the next one begins there.
    pub(super) fn finish(
        &mut self,
        input: &str,
        mut after: Place,
        progress: Option<(SourceId, Timestamp)>,
    ) -> Result<DecodedChunk, ArrowError> {
        // It is told once.
        after.horizon = None;
        let next = Builder::new(Arc::clone(&self.layouts), after.clone());
        let mut full = std::mem::replace(self, next);
        let mut chunk = DecodedChunk::new(
            input.to_owned(),
            full.start.position(0),
            after.transactions,
            after.position(0),
        );
        let tables = full.buffers.into_iter();
        let tables = tables.map(|(layout, buffer)| buffer.finish(&full.layouts[layout]));
        chunk.tables = tables.collect::<Result<_, _>>()?;
        chunk.lines = full.lines;
        chunk.holes = full.holes;
        if let Some(((source, _), time)) = progress.zip(full.start.horizon) {
            let of = HorizonOf::Source(source);
            chunk.horizons.push((of, Timestamp(time)));
        }
        chunk.shapes = full.shapes.finish();
        chunk.notes = full.notes.take(input, &chunk.start);
        chunk.progress.extend(progress);
        Ok(chunk)
    }
}
