//! Beginnings that the log does not tell of: snapshots, and what follows a gap.

use std::sync::Arc;

use centinel_model::{HoleReason, Timestamp, TransactionRow};

use super::failure::Failure;
use super::gtid::GtidSet;
use super::hole;
use super::transaction::Assembler;
use crate::physical::Physical;
use crate::shape::Lost;
use crate::value::Refusal;

impl Assembler {
    /// Begins a snapshot that stands at `at`: it takes the next number, which this gives.
    pub(super) fn begin_snapshot(&mut self, at: GtidSet, time: i64) -> u64 {
        let sequence = self.place.transactions;
        self.place.transactions += 1;
        self.place.clock = self.place.clock.max(time);
        self.place.settled = false;
        self.settle_at = at;
        // Should it be broken off, the next one takes the next number.
        self.builder.start = self.place.clone();
        sequence
    }

    /// Adds a row of a snapshot, which is a transaction of its own: no rule waits for the whole snapshot.
    pub(super) fn snapshot_row(&mut self, table: u16, row: u32, sequence: u64, length: usize) {
        let transaction = self.snapshot_transaction(sequence);
        let offset = self.place.transactions;
        self.builder.row(table, row, transaction, length, offset);
    }

    /// Notes the shape of the table that a row of a snapshot is of.
    pub(super) fn saw_snapshot(&mut self, physical: &Physical, lost: &Lost, at: Timestamp) {
        let place = || (self.input.clone(), self.place.position(0));
        let layout = &self.layouts[physical.layout];
        let shapes = &mut self.builder.shapes;
        shapes.see(layout, &physical.name, at, lost, place);
    }

    /// Adds a row of a snapshot that could not be read.
    pub(super) fn snapshot_hole(&mut self, layout: usize, refusal: Refusal, sequence: u64) {
        let layouts = Arc::clone(&self.layouts);
        let place = hole::Place {
            input: &self.input,
            source: self.source,
            position: self.place.position(0),
        };
        let hole = hole::make(place, refusal, Some(&layouts[layout]), &[], Vec::new());
        let transaction = self.snapshot_transaction(sequence);
        let offset = self.place.transactions;
        self.builder.hole(hole, Some(transaction), offset);
    }

    fn snapshot_transaction(&self, sequence: u64) -> TransactionRow {
        TransactionRow {
            source: self.source,
            epoch: 0,
            sequence,
            last: true,
        }
    }

    /// Tells that the log between what was read and `to` is gone, and goes on there. What a snapshot does not bring
    /// back stays missing: then reading begins anew, with a horizon behind what was read.
    pub(super) fn gap(
        &mut self,
        message: String,
        to: GtidSet,
        snapshot: bool,
    ) -> Result<(), Failure> {
        self.source_hole(Refusal::new(HoleReason::Gap, message));
        if !snapshot {
            self.builder.start.horizon = Some(self.place.clock.saturating_add(1));
        }
        self.place.gtids = to;
        self.place.begin_stretch();
        self.flush()
    }
}
