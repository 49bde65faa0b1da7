//! The inputs as one stream of micro-batches: the input that is furthest behind is read next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_batch::{Batcher, Limits};
use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, LineContent, MicroBatch, Positions, Timestamp};
use centinel_source::{Input, InputOptions, Reading, Until};

use super::backlog::{SharedBacklog, Standing};
use super::stages::Stopwatch;
use crate::EngineError;

/// How often inputs are asked how far behind they are.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the reader has at the moment.
pub enum Next {
    /// A micro-batch.
    Batch(MicroBatch),
    /// Nothing now, perhaps later.
    Idle,
    /// Nothing any more.
    End,
}

/// Reads the inputs.
pub struct Reader {
    catalog: Arc<Catalog>,
    /// By source: the input that holds it.
    owners: Vec<Option<usize>>,
    inputs: Vec<Opened>,
    backlog: SharedBacklog,
    looked: Instant,
    batcher: Batcher,
    ready: std::collections::VecDeque<MicroBatch>,
    until: Until,
    finished: bool,
    /// Processor time of reading, decoding and cutting.
    pub spent: Duration,
}

struct Opened {
    input: Box<dyn Input>,
    /// The newest commit time of the last chunk.
    newest: Timestamp,
    ended: bool,
}

impl Reader {
    /// Opens the inputs where they were left.
    pub fn open(
        catalog: &Arc<Catalog>,
        options: &[InputOptions],
        positions: &Positions,
        limits: Limits,
        until: Until,
        backlog: SharedBacklog,
    ) -> Result<Reader, EngineError> {
        let mut inputs = Vec::with_capacity(options.len());
        for options in options {
            let input = options.open(catalog, positions, until);
            inputs.push(Opened {
                input: input.map_err(failed)?,
                newest: Timestamp::MIN,
                ended: false,
            });
        }
        Ok(Reader {
            catalog: Arc::clone(catalog),
            owners: vec![None; catalog.sources.len()],
            inputs,
            backlog,
            looked: Instant::now(),
            batcher: Batcher::new(Arc::clone(catalog), limits),
            ready: std::collections::VecDeque::new(),
            until,
            finished: false,
            spent: Duration::ZERO,
        })
    }

    /// Lets the inputs begin behind the scenes, once nobody else reads them any more.
    pub fn begin(&mut self) -> Result<(), EngineError> {
        let mut inputs = self.inputs.iter_mut();
        inputs.try_for_each(|opened| opened.input.begin().map_err(failed))
    }

    /// The next micro-batch, if there is one at `now`.
    pub fn next(&mut self, now: Timestamp) -> Result<Next, EngineError> {
        let mut watch = Stopwatch::start();
        self.look();
        let next = self.advance(now);
        watch.lap(&mut self.spent);
        next
    }

    /// Shows how far behind the inputs are, and tells them what is durable.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let durable = self.backlog.durable();
        for opened in &mut self.inputs {
            opened.input.durable(&durable);
            let standing = Standing {
                backlog: opened.input.backlog(),
                newest: opened.newest,
            };
            self.backlog.show(opened.input.name(), standing);
        }
    }

    fn advance(&mut self, now: Timestamp) -> Result<Next, EngineError> {
        while self.ready.is_empty() && !self.finished {
            if let Some(chunk) = self.next_chunk(now)? {
                self.ready
                    .extend(self.batcher.push(chunk, now).map_err(too_wide)?);
            } else if self.inputs.iter().any(|opened| !opened.ended) {
                match self.batcher.poll(now).map_err(too_wide)? {
                    Some(batch) => self.ready.push_back(batch),
                    None => return Ok(Next::Idle),
                }
            } else {
                self.finished = true;
                let last = self.batcher.finish(self.until == Until::End, now);
                self.ready.extend(last.map_err(too_wide)?);
            }
        }
        Ok(self.ready.pop_front().map_or(Next::End, Next::Batch))
    }

    fn next_chunk(&mut self, now: Timestamp) -> Result<Option<DecodedChunk>, EngineError> {
        let mut order: Vec<usize> = (0..self.inputs.len()).collect();
        order.sort_by_key(|index| self.inputs[*index].newest);
        for index in order {
            let opened = &mut self.inputs[index];
            if opened.ended {
                continue;
            }
            let chunk = match opened.input.read(now).map_err(failed)? {
                Reading::Chunk(chunk) => *chunk,
                Reading::Nothing => continue,
                Reading::End => {
                    opened.ended = true;
                    continue;
                }
            };
            let times = chunk.tables.iter().flat_map(|table| &table.committed_at);
            let newest = times.copied().max().unwrap_or(Timestamp::MIN);
            opened.newest = opened.newest.max(newest);
            self.own_sources(index, &chunk)?;
            return Ok(Some(chunk));
        }
        Ok(None)
    }
}

impl Reader {
    /// A heartbeat speaks for its own file. Were a source in two, each would be believed to tell all of it.
    fn own_sources(&mut self, index: usize, chunk: &DecodedChunk) -> Result<(), EngineError> {
        let of_rows = chunk
            .tables
            .iter()
            .map(|changes| self.catalog.table(changes.table).source);
        let of_heartbeats = chunk.lines.iter().filter_map(|line| match line.content {
            LineContent::Heartbeat { source, .. } => Some(source),
            _ => None,
        });
        let of_progress = chunk.progress.iter().map(|(source, _)| *source);
        for source in of_rows.chain(of_heartbeats).chain(of_progress) {
            let owner = self.owners[usize::from(source.0)].get_or_insert(index);
            if *owner != index {
                return Err(EngineError::Input(format!(
                    "source `{}` stands in both `{}` and `{}`: put all its lines into one input; a rotated log is \
                     read to its end by one run, and its successor by the next",
                    self.catalog.source(source),
                    self.inputs[*owner].input.name(),
                    self.inputs[index].input.name()
                )));
            }
        }
        Ok(())
    }
}

fn failed(error: centinel_source::InputError) -> EngineError {
    EngineError::Input(error.to_string())
}

fn too_wide(error: arrow::error::ArrowError) -> EngineError {
    EngineError::Input(format!(
        "a micro-batch cannot be put together: {error}; lower its limits"
    ))
}
