//! A chunk while it is decoded: its lines in order, and the changes of its tables.

use std::sync::Arc;

use arrow::error::ArrowError;
use centinel_model::{
    DecodedChunk, Duration, EntityId, EntityKey, Hole, Line, LineContent, Timestamp, TransactionRow,
};

use crate::hole::KEPT_BYTES;
use crate::rows::{Layout, TableBuffer};
use crate::shape::{Lost, Shapes};
use crate::value::Refusal;

/// How far a commit time may lie ahead of the latest sane time, for clocks that differ.
const TOLERANCE: Duration = Duration::seconds(86_400);

/// One chunk on its way.
pub(crate) struct Building<'a> {
    /// By table id.
    pub(crate) layouts: &'a [Layout],
    /// The latest commit time that is not absurd.
    pub(crate) latest: Timestamp,
    /// By table id: the table's place in `buffers`.
    slots: Vec<Option<u16>>,
    buffers: Vec<(usize, TableBuffer)>,
    shapes: Shapes,
    decoded: DecodedChunk,
}

/// A line or message that is being decoded.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Where it stands in its input.
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    /// How many bytes it has, where not all of them are there.
    pub(crate) bytes_total: u64,
}

/// What is known of a record that was refused.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its table's id.
    pub(crate) layout: Option<usize>,
    pub(crate) transaction: Option<TransactionRow>,
    pub(crate) entities: Vec<(EntityId, EntityKey)>,
}

impl<'a> Building<'a> {
    /// Begins with a chunk that has nothing but its place.
    pub(crate) fn new(
        layouts: &'a [Layout],
        latest_sane: Timestamp,
        decoded: DecodedChunk,
    ) -> Building<'a> {
        Building {
            layouts,
            latest: latest_sane.plus(TOLERANCE),
            slots: vec![None; layouts.len()],
            buffers: Vec::new(),
            shapes: Shapes::default(),
            decoded,
        }
    }

    /// The changes of a table, made when the chunk first names it, and their index in the chunk.
    pub(crate) fn table(&mut self, layout: usize) -> (u16, &mut TableBuffer) {
        let Building { buffers, slots, .. } = self;
        let slot = *slots[layout].get_or_insert_with(|| {
            buffers.push((layout, TableBuffer::new(&self.layouts[layout])));
            (buffers.len() - 1) as u16
        });
        (slot, &mut buffers[usize::from(slot)].1)
    }

    /// A row of this physical table stands at `offset` and comes without these columns.
    pub(crate) fn saw(
        &mut self,
        offset: u64,
        layout: &Layout,
        physical: &Arc<str>,
        committed_at: Timestamp,
        lost: &Lost,
    ) {
        let decoded = &self.decoded;
        let place = || (decoded.input.clone(), decoded.start.advanced_to(offset));
        self.shapes.see(layout, physical, committed_at, lost, place);
    }

    /// Notes what a record holds; `length` is what it adds to the bytes that were read.
    pub(crate) fn line(&mut self, offset: u64, start: u32, length: u64, content: LineContent) {
        self.decoded.lines.push(Line {
            offset,
            start,
            length,
            content,
        });
    }

    /// Keeps a record that could not be read.
    pub(crate) fn hole(
        &mut self,
        record: Record<'_>,
        refusal: Refusal,
        known: Known,
    ) -> LineContent {
        let layout = known.layout.map(|index| &self.layouts[index]);
        self.decoded.holes.push(Hole {
            input: self.decoded.input.clone(),
            position: self.decoded.start.advanced_to(record.offset),
            reason: refusal.reason,
            message: refusal.message.into_owned(),
            bytes: record.bytes[..record.bytes.len().min(KEPT_BYTES)].to_vec(),
            bytes_total: record.bytes_total,
            table: layout.map(|layout| layout.table),
            source: layout.map(|layout| layout.source),
            since: None,
            entities: known.entities,
        });
        LineContent::Hole {
            hole: (self.decoded.holes.len() - 1) as u32,
            transaction: known.transaction,
        }
    }

    /// The chunk with everything that was read.
    ///
    /// # Errors
    /// When Arrow refuses the columns: the catalog declares a type that Arrow does not have.
    pub(crate) fn finish(self, bytes: Vec<u8>) -> Result<DecodedChunk, ArrowError> {
        let mut decoded = self.decoded;
        let finished = self
            .buffers
            .into_iter()
            .map(|(table, buffer)| buffer.finish(&self.layouts[table]));
        decoded.tables = finished.collect::<Result<_, _>>()?;
        decoded.shapes = self.shapes.finish();
        decoded.bytes = bytes;
        Ok(decoded)
    }
}
