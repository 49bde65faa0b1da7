//! What one message holds, on its way into the chunk.

use std::sync::Arc;

use centinel_model::{LineContent, Operation, Origin, Timestamp, TransactionRow, Version};

use super::Tables;
use crate::chunk::{Building, Known, Record};
use crate::json::NotJson;
use crate::line::sane;
use crate::physical::Physical;
use crate::rows::{Layout, TableBuffer};
use crate::shape::Lost;
use crate::value::Refusal;

/// Takes what a message holds, as one line or several that share its offset. The first carries its length.
pub(super) struct Output<'m, 'b, 'a> {
    record: Record<'m>,
    start: u32,
    length: u64,
    lines: usize,
    building: &'b mut Building<'a>,
}

/// Why a message is refused, and what is known of it. Boxed, because most messages are not.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) known: Box<Known>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused {
            refusal,
            known: Box::default(),
        }
    }
}

impl From<NotJson> for Refused {
    fn from(error: NotJson) -> Refused {
        let mut refusal = Refusal::from(error);
        refusal.message = "the message is not one whole JSON object".into();
        refusal.into()
    }
}

/// A change on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'p> {
    pub(super) physical: &'p Physical,
    pub(super) operation: Operation,
    pub(super) version: Version,
    pub(super) committed_at: Timestamp,
    /// Whether it ends its transaction.
    pub(super) last: bool,
    /// Who made it, as far as the message says it.
    pub(super) origin: Option<&'p Arc<Origin>>,
}

impl Change<'_> {
    pub(super) fn transaction(&self, layout: &Layout) -> TransactionRow {
        TransactionRow {
            source: layout.source,
            epoch: self.version.epoch,
            sequence: self.version.sequence,
            last: self.last,
        }
    }
}

impl<'m, 'b, 'a> Output<'m, 'b, 'a> {
    pub(super) fn new(
        record: Record<'m>,
        start: u32,
        building: &'b mut Building<'a>,
    ) -> Output<'m, 'b, 'a> {
        Output {
            start,
            length: record.bytes_total,
            lines: 0,
            building,
            record,
        }
    }

    pub(super) fn building(&mut self) -> &mut Building<'a> {
        self.building
    }

    pub(super) fn layout(&self, index: usize) -> &'a Layout {
        &self.building.layouts[index]
    }

    /// Reads a row's images by `read` and adds the change. On a refusal nothing of it is kept.
    pub(super) fn change(
        &mut self,
        change: Change<'_>,
        tables: &mut Tables,
        read: impl FnOnce(&mut TableBuffer, &mut Tables, &'a Layout) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let layout = self.layout(change.physical.layout);
        sane(change.committed_at, self.building.latest)?;
        let (table, buffer) = self.building.table(change.physical.layout);
        tables.lost.clear();
        let row = read(buffer, tables, layout).and_then(|()| {
            buffer.lost.clone_from(&tables.lost);
            buffer.complete(
                layout,
                change.operation,
                change.version,
                change.committed_at,
            )
        });
        let row = row.inspect_err(|_| buffer.cut_back())?;
        buffer.made_by(change.origin);
        let (physical, at) = (&change.physical.name, change.committed_at);
        self.building
            .saw(self.record.offset, layout, physical, at, &tables.lost);
        self.line(LineContent::Change {
            table,
            row,
            transaction: change.transaction(layout),
        });
        Ok(())
    }

    /// Reads an event by `read` and adds it. On a refusal nothing of it is kept.
    pub(super) fn event(
        &mut self,
        layout: usize,
        committed_at: Timestamp,
        read: impl FnOnce(&mut TableBuffer, &'a Layout) -> Result<Lost, Refusal>,
    ) -> Result<(), Refusal> {
        sane(committed_at, self.building.latest)?;
        let known = self.layout(layout);
        let (table, buffer) = self.building.table(layout);
        let row = read(buffer, known).and_then(|lost| {
            buffer.lost.clone_from(&lost);
            let version = Version::default();
            let row = buffer.complete(known, Operation::Insert, version, committed_at)?;
            Ok((row, lost))
        });
        let (row, lost) = row.inspect_err(|_| buffer.cut_back())?;
        let (offset, physical) = (self.record.offset, &known.physical);
        self.building
            .saw(offset, known, physical, committed_at, &lost);
        self.line(LineContent::Event { table, row });
        Ok(())
    }

    /// Keeps the message as one that could not be read. At most once for each message: holes are told apart by
    /// their place.
    pub(super) fn hole(&mut self, refusal: Refusal, known: Known) {
        let content = self.building.hole(self.record, refusal, known);
        self.line(content);
    }

    pub(super) fn line(&mut self, content: LineContent) {
        let length = std::mem::take(&mut self.length);
        self.building
            .line(self.record.offset, self.start, length, content);
        self.lines += 1;
    }

    /// Ends the message: one that said nothing is a line too.
    pub(super) fn end(mut self) {
        if self.lines == 0 {
            self.line(LineContent::Nothing);
        }
    }
}
