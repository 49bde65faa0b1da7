//! Bytes → changes by column. Pure: no file, no clock.

use std::collections::HashMap;
use std::ops::Range;

use arrow::error::ArrowError;
use centinel_catalog::{Catalog, TableKind};
use centinel_model::{DecodedChunk, HoleReason, LineContent, Position, SourceId, Timestamp};

use crate::RawChunk;
use crate::chunk::{Building, Known, Record};
use crate::hole;
use crate::line::{Envelope, Form, form, read_heartbeat, read_row, sane};
use crate::rows::Layout;
use crate::value::Refusal;

/// Decodes change logs of the tables, events and sources of one catalog.
#[derive(Debug)]
pub struct Decoder {
    /// By table id.
    pub(crate) layouts: Vec<Layout>,
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
        let start = Position::File {
            offset: chunk.offset,
            first_line: chunk.first_line,
        };
        let end = chunk.offset + chunk.oversized.unwrap_or(chunk.bytes.len() as u64);
        let after = start.advanced_to(end);
        let decoded = DecodedChunk::new(chunk.input, start, end, after);
        let mut building = Building::new(&self.layouts, latest_sane, decoded);
        match chunk.oversized {
            Some(total) => {
                let record = Record {
                    offset: chunk.offset,
                    bytes: &chunk.bytes,
                    bytes_total: total,
                };
                let message = "the line is longer than the limit for one line";
                let refusal = Refusal::new(HoleReason::TooLong, message);
                let content = building.hole(record, refusal, Known::default());
                building.line(chunk.offset, 0, total, content);
            }
            None => self.lines(chunk.offset, &chunk.bytes, &mut building),
        }
        building.finish(chunk.bytes)
    }

    fn lines(&self, offset: u64, bytes: &[u8], building: &mut Building<'_>) {
        let whole = std::str::from_utf8(bytes).ok();
        for range in line_ranges(bytes) {
            let text = match whole {
                Some(whole) => Some(&whole[range.clone()]),
                None => std::str::from_utf8(&bytes[range.clone()]).ok(),
            };
            let record = Record {
                offset: offset + range.start as u64,
                bytes: &bytes[range.clone()],
                bytes_total: range.len() as u64,
            };
            let content = self.line(record, text, building);
            let line_end = bytes.len().min(range.end + 1);
            let length = (line_end - range.start) as u64;
            building.line(record.offset, range.start as u32, length, content);
        }
    }

    /// Decodes one line without its line end, which is `text` if it is UTF-8.
    pub(crate) fn line(
        &self,
        record: Record<'_>,
        text: Option<&str>,
        building: &mut Building<'_>,
    ) -> LineContent {
        let mut known = Known::default();
        let content = match text {
            Some(text) => self.read(text, building, &mut known),
            None => Err(Refusal::new(
                HoleReason::InvalidUtf8,
                "the line is not UTF-8",
            )),
        };
        content.unwrap_or_else(|refusal| {
            if let Some(layout) = known.layout {
                let text = text.filter(|_| !hole::torn(refusal.reason));
                known.entities = hole::entities_of_line(text, &self.layouts[layout]);
            }
            building.hole(record, refusal, known)
        })
    }

    fn read(
        &self,
        text: &str,
        building: &mut Building<'_>,
        known: &mut Known,
    ) -> Result<LineContent, Refusal> {
        let (name, kind) = match form(text)? {
            Form::Heartbeat => return self.heartbeat(text, building.latest),
            Form::Table(name) => (name, TableKind::Rows),
            Form::Event(name) => (name, TableKind::Events),
        };
        let index = self.layout_index(&name, kind)?;
        known.layout = Some(index);
        let layout = &self.layouts[index];
        let latest = building.latest;
        let (table, buffer) = building.table(index);
        let mut envelope = Envelope::default();
        let row = read_row(text, layout, buffer, latest, &mut envelope);
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

    fn layout_index(&self, name: &str, wanted: TableKind) -> Result<usize, Refusal> {
        let found = self.by_name.get(name).copied();
        found
            .filter(|index| self.layouts[*index].kind == wanted)
            .ok_or_else(|| {
                let message = match wanted {
                    TableKind::Rows | TableKind::History(_) => {
                        "the line names a table that no schema describes; add it to the schemas"
                    }
                    TableKind::Events => {
                        "the line names an event that no schema describes; add it to the schemas"
                    }
                };
                Refusal::new(HoleReason::UnknownTable, message)
            })
    }

    fn heartbeat(&self, text: &str, latest: Timestamp) -> Result<LineContent, Refusal> {
        let (name, committed_at) = read_heartbeat(text)?;
        sane(committed_at, latest)?;
        let source = self.sources.get(&*name).copied().ok_or_else(|| {
            let message = "the heartbeat names a source that no schema is read from; correct the name, \
                           or name the source in the schemas of its tables";
            Refusal::new(HoleReason::UnknownTable, message)
        })?;
        Ok(LineContent::Heartbeat {
            source,
            committed_at,
        })
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
