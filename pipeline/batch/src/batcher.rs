use std::collections::VecDeque;
use std::sync::Arc;

use arrow::error::ArrowError;
use centinel_catalog::Catalog;
use centinel_model::{
    DecodedChunk, Duration, Hole, HorizonOf, Line, LineContent, MicroBatch, Note, Position,
    Positions, SourceId, TableChanges, TableShape, Timestamp, TransactionRow,
};

use crate::gather::Gather;
use crate::transaction::{Item, Open};

/// When a micro-batch is full, and what a transaction may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes and holes in one micro-batch; a larger transaction is a micro-batch of its own.
    pub max_rows: usize,
    /// Bytes of input in one micro-batch; likewise.
    pub max_bytes: u64,
    /// How long a change may wait for others.
    pub max_wait: Duration,
    /// Rows in one transaction; a larger one becomes a hole for each of its tables.
    pub max_transaction_rows: usize,
    /// Bytes of input in one transaction; likewise.
    pub max_transaction_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_rows: 20_000,
            max_bytes: 16 << 20,
            max_wait: Duration(200_000),
            max_transaction_rows: 1_000_000,
            max_transaction_bytes: 256 << 20,
        }
    }
}

/// Cuts decoded chunks of any number of inputs into micro-batches.
///
/// The rows of a transaction are held back until its last row is there. A transaction also ends where
/// the next one of its source begins: then its last row was unreadable or was never delivered, and
/// what is there is what there will be.
#[derive(Debug)]
pub struct Batcher {
    catalog: Arc<Catalog>,
    limits: Limits,
    inputs: Vec<Input>,
    pending: Pending,
    ready: Vec<MicroBatch>,
}

/// How far one input was taken in.
#[derive(Debug)]
struct Input {
    name: String,
    /// Positions of chunks' beginnings and ends, by offset: from the one to resume at on.
    marks: VecDeque<(u64, Position)>,
    /// Everything before this is in a micro-batch, pending, or in an open transaction.
    covered: u64,
    /// At most one transaction for each source.
    open: Vec<Open>,
    /// What its heartbeats say, by source.
    progress: Vec<(SourceId, Timestamp)>,
}

/// What the next micro-batch will hold.
#[derive(Debug, Default)]
struct Pending {
    rows: Gather,
    holes: Vec<Hole>,
    progress: Vec<(SourceId, Timestamp)>,
    horizons: Vec<(HorizonOf, Timestamp)>,
    shapes: Vec<TableShape>,
    notes: Vec<Note>,
    /// Changes and holes.
    records: usize,
    bytes: u64,
    since: Option<Timestamp>,
}

impl Input {
    /// Where to read on so that nothing is missed that is not in a micro-batch.
    fn resume(&self) -> Position {
        let open = self.open.iter().map(|open| open.offset).min();
        self.position_of(open.unwrap_or(self.covered).min(self.covered))
    }

    fn position_of(&self, offset: u64) -> Position {
        let before = self.marks.partition_point(|(mark, _)| *mark <= offset);
        let (_, position) = &self.marks[before.saturating_sub(1)];
        position.advanced_to(offset)
    }

    /// Takes in the beginning and the end of a chunk, and forgets what is not needed to resume any more.
    fn mark(&mut self, start: (u64, Position), after: (u64, Position)) {
        let needed = self.open.iter().map(|open| open.offset).min();
        let needed = needed.unwrap_or(start.0).min(start.0);
        for (offset, position) in [start, after] {
            match self.marks.back_mut() {
                Some(last) if last.0 >= offset => *last = (offset, position),
                _ => self.marks.push_back((offset, position)),
            }
        }
        while self.marks.get(1).is_some_and(|(mark, _)| *mark <= needed) {
            self.marks.pop_front();
        }
    }

    fn open_of(&self, source: SourceId) -> Option<usize> {
        self.open
            .iter()
            .position(|open| open.transaction.source == source)
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.records == 0
            && self.progress.is_empty()
            && self.horizons.is_empty()
            && self.shapes.is_empty()
            && self.notes.is_empty()
    }

    /// Takes in what was noticed of tables' shapes. It goes out no later than the first row of its chunk.
    fn noticed(&mut self, shapes: Vec<TableShape>, notes: Vec<Note>, now: Timestamp) {
        if shapes.is_empty() && notes.is_empty() {
            return;
        }
        for shape in shapes {
            let mut known = self.shapes.iter().rev();
            let known =
                known.find(|known| known.table == shape.table && known.physical == shape.physical);
            if known.is_none_or(|known| known.drifts != shape.drifts) {
                self.shapes.push(shape);
            }
        }
        self.notes.extend(notes);
        self.since.get_or_insert(now);
    }

    fn horizon(&mut self, of: HorizonOf, time: Timestamp) {
        match self.horizons.iter_mut().find(|(known, _)| *known == of) {
            Some((_, known)) => *known = time.max(*known),
            None => self.horizons.push((of, time)),
        }
    }

    fn advance(&mut self, source: SourceId, to: Timestamp) {
        match self.progress.iter_mut().find(|(known, _)| *known == source) {
            Some((_, time)) => *time = to.max(*time),
            None => self.progress.push((source, to)),
        }
    }
}

impl Batcher {
    /// A batcher with nothing in it.
    pub fn new(catalog: Arc<Catalog>, limits: Limits) -> Batcher {
        Batcher {
            catalog,
            limits,
            inputs: Vec::new(),
            pending: Pending::default(),
            ready: Vec::new(),
        }
    }

    /// Takes in the next chunk of its input; gives the micro-batches that became full.
    ///
    /// # Errors
    /// When Arrow cannot put columns together: more than 2 GiB of text in one column of one batch.
    pub fn push(
        &mut self,
        chunk: DecodedChunk,
        now: Timestamp,
    ) -> Result<Vec<MicroBatch>, ArrowError> {
        let start = chunk.lines.first().map_or(chunk.end, |line| line.offset);
        let input = self.input(&chunk.input, start);
        self.inputs[input].mark((start, chunk.start), (chunk.end, chunk.after));
        self.pending.noticed(chunk.shapes, chunk.notes, now);
        let tables: Vec<Arc<TableChanges>> = chunk.tables.into_iter().map(Arc::new).collect();
        let mut holes = chunk.holes.into_iter();
        let mut lines = chunk.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let line_end = lines.peek().map_or(chunk.end, |next| next.offset);
            let bytes = line.length;
            self.inputs[input].covered = line.offset;
            match line.content {
                LineContent::Change {
                    table,
                    row,
                    transaction,
                } => {
                    let item = Item::Row(&tables[usize::from(table)], row);
                    self.transactional(input, item, transaction, line, now)?;
                }
                LineContent::Event { table, row } => {
                    self.admit(Item::Row(&tables[usize::from(table)], row), bytes, now)?;
                }
                LineContent::Heartbeat {
                    source,
                    committed_at,
                } => {
                    self.heartbeat(input, source, committed_at, now);
                }
                LineContent::Nothing => {
                    self.pending.bytes += bytes;
                }
                LineContent::Hole { transaction, .. } => {
                    // Holes stand in the order of their lines.
                    let Some(hole) = holes.next() else { continue };
                    match transaction {
                        Some(transaction) => {
                            let item = Item::Hole(hole);
                            self.transactional(input, item, transaction, line, now)?;
                        }
                        None => self.admit(Item::Hole(hole), bytes, now)?,
                    }
                }
            }
            self.inputs[input].covered = line_end;
        }
        for (source, time) in &chunk.progress {
            self.heartbeat(input, *source, *time, now);
        }
        for (of, time) in &chunk.horizons {
            self.pending.horizon(*of, *time);
            self.pending.since.get_or_insert(now);
        }
        self.inputs[input].covered = chunk.end;
        for open in &mut self.inputs[input].open {
            open.detach(&chunk.bytes)?;
        }
        self.cut_if_waited(now)?;
        Ok(std::mem::take(&mut self.ready))
    }

    /// The pending micro-batch, if it has waited long enough.
    ///
    /// # Errors
    /// As [`Batcher::push`].
    pub fn poll(&mut self, now: Timestamp) -> Result<Option<MicroBatch>, ArrowError> {
        self.cut_if_waited(now)?;
        Ok(self.ready.pop())
    }

    /// Gives out what is pending. Inputs that may grow keep their unfinished transactions back, to be
    /// read again; with `until_end` these become holes, because nothing follows.
    ///
    /// # Errors
    /// As [`Batcher::push`].
    pub fn finish(
        &mut self,
        until_end: bool,
        now: Timestamp,
    ) -> Result<Vec<MicroBatch>, ArrowError> {
        for input in 0..self.inputs.len() {
            while until_end && !self.inputs[input].open.is_empty() {
                self.abandon(input, now)?;
            }
        }
        self.cut()?;
        Ok(std::mem::take(&mut self.ready))
    }

    /// Notes how far the hole's source had been read when it came. A source's partitions are inputs each, and one of
    /// them speaks for all.
    fn dated(&self, mut hole: Hole) -> Hole {
        let inputs = self.inputs.iter();
        let own = inputs.filter(|input| hole.source.is_some() || input.name == hole.input);
        let told = own.flat_map(|input| &input.progress);
        hole.since = told
            .filter(|(source, _)| hole.source.is_none_or(|own| own == *source))
            .map(|(_, time)| *time)
            .min();
        hole
    }

    /// A heartbeat says how far its source stands in its input.
    fn advance(&mut self, input: usize, source: SourceId, to: Timestamp) {
        let progress = &mut self.inputs[input].progress;
        match progress.iter_mut().find(|(known, _)| *known == source) {
            Some((_, time)) => *time = to.max(*time),
            None => progress.push((source, to)),
        }
        self.pending.advance(source, to);
    }

    fn input(&mut self, name: &str, start: u64) -> usize {
        let known = self.inputs.iter().position(|input| input.name == name);
        known.unwrap_or_else(|| {
            self.inputs.push(Input {
                name: name.to_owned(),
                marks: VecDeque::new(),
                covered: start,
                open: Vec::new(),
                progress: Vec::new(),
            });
            self.inputs.len() - 1
        })
    }

    /// A record of a transaction: held back until that ends, admitted at once if it is all of it.
    fn transactional(
        &mut self,
        input: usize,
        item: Item<'_>,
        transaction: TransactionRow,
        line: &Line,
        now: Timestamp,
    ) -> Result<(), ArrowError> {
        let mut open = self.inputs[input].open_of(transaction.source);
        if let Some(index) = open
            && !self.inputs[input].open[index]
                .transaction
                .same_transaction(&transaction)
        {
            self.complete(input, index, now)?;
            open = None;
        }
        let index = match open {
            Some(index) => index,
            None if transaction.last => return self.admit(item, line.length, now),
            None => {
                let open = Open::new(transaction, line.offset);
                self.inputs[input].open.push(open);
                self.inputs[input].open.len() - 1
            }
        };
        let open = &mut self.inputs[input].open[index];
        open.add(item, line);
        let too_large = open.records > self.limits.max_transaction_rows
            || open.bytes > self.limits.max_transaction_bytes;
        if too_large && open.given_up.is_none() {
            open.give_up();
        }
        if open.given_up.is_some() {
            for hole in std::mem::take(&mut self.inputs[input].open[index].holes) {
                self.admit(Item::Hole(hole), 0, now)?;
            }
        }
        if transaction.last {
            self.complete(input, index, now)
        } else {
            Ok(())
        }
    }

    /// An open transaction has ended: everything of it goes into one micro-batch.
    fn complete(&mut self, input: usize, index: usize, now: Timestamp) -> Result<(), ArrowError> {
        let open = &self.inputs[input].open[index];
        let place = self.inputs[input].position_of(open.offset);
        self.make_room(open.records, open.bytes)?;
        let Input { open, name, .. } = &mut self.inputs[input];
        let mut open = open.swap_remove(index);
        self.pending
            .holes
            .extend(open.too_large(name, &place, &self.catalog));
        self.pending.rows.append(open.take_rows());
        for hole in open.holes {
            let hole = self.dated(hole);
            self.pending.holes.push(hole);
        }
        self.pending.records += open.records;
        self.pending.bytes += open.bytes;
        self.pending.since.get_or_insert(now);
        if let Some(progress) = open.progress {
            self.advance(input, open.transaction.source, progress);
        }
        Ok(())
    }

    /// The input ended inside this transaction: its rows become holes.
    fn abandon(&mut self, input: usize, now: Timestamp) -> Result<(), ArrowError> {
        let place = self.inputs[input].position_of(self.inputs[input].open[0].offset);
        let Input { open, name, .. } = &mut self.inputs[input];
        let holes = open[0].unfinished(name, &place, &self.catalog)?;
        open[0].holes.extend(holes);
        self.complete(input, 0, now)
    }

    /// A record that is a transaction of its own.
    fn admit(&mut self, item: Item<'_>, bytes: u64, now: Timestamp) -> Result<(), ArrowError> {
        self.make_room(1, bytes)?;
        match item {
            Item::Row(changes, row) => self.pending.rows.add(changes, row),
            Item::Hole(hole) => {
                let hole = self.dated(hole);
                self.pending.holes.push(hole);
            }
        }
        self.pending.records += 1;
        self.pending.bytes += bytes;
        self.pending.since.get_or_insert(now);
        Ok(())
    }

    /// A heartbeat counts once everything that its source wrote before it is in a micro-batch.
    fn heartbeat(
        &mut self,
        input: usize,
        source: SourceId,
        committed_at: Timestamp,
        now: Timestamp,
    ) {
        match self.inputs[input].open_of(source) {
            Some(index) => {
                let held = &mut self.inputs[input].open[index].progress;
                *held = (*held).max(Some(committed_at));
            }
            None => {
                self.advance(input, source, committed_at);
                self.pending.since.get_or_insert(now);
            }
        }
    }

    /// Ends the pending micro-batch if so much more would make it too large.
    fn make_room(&mut self, records: usize, bytes: u64) -> Result<(), ArrowError> {
        let fits = self.pending.records + records <= self.limits.max_rows
            && self.pending.bytes + bytes <= self.limits.max_bytes;
        if fits || self.pending.records == 0 {
            Ok(())
        } else {
            self.cut()
        }
    }

    fn cut_if_waited(&mut self, now: Timestamp) -> Result<(), ArrowError> {
        let full = self.pending.records >= self.limits.max_rows
            || self.pending.bytes >= self.limits.max_bytes;
        let waited = self
            .pending
            .since
            .is_some_and(|since| now.since(since) >= self.limits.max_wait);
        if full || waited { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<(), ArrowError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let positions = self
            .inputs
            .iter()
            .map(|input| (input.name.clone(), input.resume()));
        self.ready.push(MicroBatch {
            tables: pending.rows.finish()?,
            holes: pending.holes,
            progress: pending.progress,
            horizons: pending.horizons,
            shapes: pending.shapes,
            notes: pending.notes,
            positions: Positions(positions.collect()),
            bytes: pending.bytes,
        });
        Ok(())
    }
}
