//! Bytes → changes by column. Pure: no file, no clock.

use std::collections::HashMap;
use std::ops::Range;

use arrow::error::ArrowError;
use centinel_catalog::{Catalog, TableKind};
use centinel_model::{
    DecodedChunk, Duration, HoleReason, Line, LineContent, SourceId, Timestamp, TransactionRow,
};

use crate::RawChunk;
use crate::hole::{self, Place};
use crate::line::{Envelope, Form, form, read_heartbeat, read_row, sane};
use crate::rows::{Layout, TableBuffer};
use crate::value::Refusal;

/// How far a commit time may lie ahead of the latest sane time, for clocks that differ.
const TOLERANCE: Duration = Duration::seconds(86_400);

/// Decodes change logs of the tables, events and sources of one catalog.
#[derive(Debug)]
pub struct Decoder {
    /// By table id.
    layouts: Vec<Layout>,
    by_name: HashMap<String, usize>,
    sources: HashMap<String, SourceId>,
}

impl Decoder {
    /// A decoder of everything that the catalog describes.
    pub fn new(catalog: &Catalog) -> Decoder {
        let layouts: Vec<Layout> = catalog
            .table_ids()
            .map(|id| Layout::new(catalog, id))
            .collect();
        let names = layouts
            .iter()
            .enumerate()
            .map(|(index, layout)| (layout.name.clone(), index));
        let sources = catalog.sources.iter().enumerate();
        Decoder {
            by_name: names.collect(),
            sources: sources
                .map(|(index, name)| (name.clone(), SourceId(index as u16)))
                .collect(),
            layouts,
        }
    }

    /// Decodes all lines of the chunk. A line that cannot be read exactly becomes a hole and takes
    /// nothing else with it. A commit time more than a day after `latest_sane` is absurd.
    ///
    /// # Errors
    /// Only when Arrow refuses the columns: the catalog declares a type that Arrow does not have.
    pub fn decode(
        &self,
        chunk: RawChunk,
        latest_sane: Timestamp,
    ) -> Result<DecodedChunk, ArrowError> {
        let mut decoding = Decoding {
            decoder: self,
            latest: latest_sane.plus(TOLERANCE),
            slots: vec![None; self.layouts.len()],
            buffers: Vec::new(),
            decoded: DecodedChunk {
                input: chunk.input,
                first_line: chunk.first_line,
                end: chunk.offset + chunk.oversized.unwrap_or(chunk.bytes.len() as u64),
                ..DecodedChunk::default()
            },
        };
        match chunk.oversized {
            Some(total) => decoding.too_long(chunk.offset, &chunk.bytes, total),
            None => decoding.lines(chunk.offset, &chunk.bytes),
        }
        let Decoding {
            buffers,
            mut decoded,
            ..
        } = decoding;
        let finished = buffers
            .into_iter()
            .map(|(table, buffer)| buffer.finish(&self.layouts[table]));
        decoded.tables = finished.collect::<Result<_, _>>()?;
        decoded.bytes = chunk.bytes;
        Ok(decoded)
    }

    fn layout_index(&self, name: &str, wanted: TableKind) -> Result<usize, Refusal> {
        let found = self.by_name.get(name).copied();
        found
            .filter(|index| self.layouts[*index].kind == wanted)
            .ok_or_else(|| {
                let message = match wanted {
                    TableKind::Rows => {
                        "the line names a table that no schema describes; add it to the schemas"
                    }
                    TableKind::Events => {
                        "the line names an event that no schema describes; add it to the schemas"
                    }
                };
                Refusal::new(HoleReason::UnknownTable, message)
            })
    }
}

/// One chunk on its way.
struct Decoding<'a> {
    decoder: &'a Decoder,
    latest: Timestamp,
    /// By table id: the table's place in `buffers`.
    slots: Vec<Option<u16>>,
    buffers: Vec<(usize, TableBuffer)>,
    decoded: DecodedChunk,
}

/// What could be read of a line that was refused.
#[derive(Default)]
struct Known {
    layout: Option<usize>,
    transaction: Option<TransactionRow>,
}

impl Decoding<'_> {
    fn lines(&mut self, offset: u64, bytes: &[u8]) {
        let whole = std::str::from_utf8(bytes).ok();
        for range in line_ranges(bytes) {
            let text = match whole {
                Some(whole) => Some(&whole[range.clone()]),
                None => std::str::from_utf8(&bytes[range.clone()]).ok(),
            };
            let at = offset + range.start as u64;
            let mut known = Known::default();
            let content = match text {
                Some(text) => self.line(text, &mut known),
                None => Err(Refusal::new(
                    HoleReason::InvalidUtf8,
                    "the line is not UTF-8",
                )),
            };
            let content = content.unwrap_or_else(|refusal| {
                self.hole(
                    at,
                    &bytes[range.clone()],
                    range.len() as u64,
                    refusal,
                    known,
                )
            });
            self.decoded.lines.push(Line {
                offset: at,
                content,
            });
        }
    }

    fn line(&mut self, text: &str, known: &mut Known) -> Result<LineContent, Refusal> {
        let (name, kind) = match form(text)? {
            Form::Heartbeat => return self.heartbeat(text),
            Form::Table(name) => (name, TableKind::Rows),
            Form::Event(name) => (name, TableKind::Events),
        };
        let index = self.decoder.layout_index(&name, kind)?;
        known.layout = Some(index);
        let layout = &self.decoder.layouts[index];
        let table = self.slot(index);
        let buffer = &mut self.buffers[usize::from(table)].1;
        let mut envelope = Envelope::default();
        let row = read_row(text, layout, buffer, self.latest, &mut envelope);
        let transaction = envelope.transaction(layout.source);
        let row = row.inspect_err(|_| {
            buffer.cut_back();
            known.transaction = transaction;
        })?;
        Ok(match transaction {
            Some(transaction) => LineContent::Change {
                table,
                row,
                transaction,
            },
            None => LineContent::Event { table, row },
        })
    }

    /// The place of the table's buffer, made when the chunk first names the table.
    fn slot(&mut self, index: usize) -> u16 {
        *self.slots[index].get_or_insert_with(|| {
            self.buffers
                .push((index, TableBuffer::new(&self.decoder.layouts[index])));
            (self.buffers.len() - 1) as u16
        })
    }

    fn heartbeat(&self, text: &str) -> Result<LineContent, Refusal> {
        let (name, committed_at) = read_heartbeat(text)?;
        sane(committed_at, self.latest)?;
        let source = self.decoder.sources.get(&*name).copied().ok_or_else(|| {
            let message = "the heartbeat names a source that no schema is read from; correct the name, \
                           or name the source in the schemas of its tables";
            Refusal::new(HoleReason::UnknownTable, message)
        })?;
        Ok(LineContent::Heartbeat {
            source,
            committed_at,
        })
    }

    fn too_long(&mut self, offset: u64, bytes: &[u8], total: u64) {
        let refusal = Refusal::new(
            HoleReason::TooLong,
            "the line is longer than the limit for one line",
        );
        let content = self.hole(offset, bytes, total, refusal, Known::default());
        self.decoded.lines.push(Line { offset, content });
    }

    fn hole(
        &mut self,
        offset: u64,
        bytes: &[u8],
        total: u64,
        refusal: Refusal,
        known: Known,
    ) -> LineContent {
        let place = Place {
            input: &self.decoded.input,
            first_line: &self.decoded.first_line,
            offset,
            bytes,
            bytes_total: total,
        };
        let layout = known.layout.map(|index| &self.decoder.layouts[index]);
        self.decoded.holes.push(hole::make(place, refusal, layout));
        LineContent::Hole {
            hole: (self.decoded.holes.len() - 1) as u32,
            transaction: known.transaction,
        }
    }
}

/// The lines of a chunk without their line ends. The last line may lack its own.
fn line_ranges(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', bytes)
        .chain(bytes.last().filter(|b| **b != b'\n').map(|_| bytes.len()));
    ends.map(move |end| {
        let range = start..end;
        start = end + 1;
        range
    })
}
