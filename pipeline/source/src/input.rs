use centinel_model::{DecodedChunk, Positions, Timestamp};

use crate::InputError;

/// When reading ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At what there is now; the next run goes on there.
    Now,
    /// At the end of the inputs, which are complete: what has not come will not come.
    End,
    /// Never; the inputs grow.
    Stopped,
}

/// What an input has at the moment.
#[derive(Debug)]
pub enum Reading {
    /// The next stretch of one of its parts.
    Chunk(Box<DecodedChunk>),
    /// Nothing now, perhaps later.
    Nothing,
    /// Nothing any more.
    End,
}

/// One connection to the world: a log file, the topics of a source, a database. It may have several parts,
/// such as partitions; each has a position of its own, under the name that its chunks carry.
pub trait Input: Send {
    /// As people know it, for messages.
    fn name(&self) -> &str;

    /// Begins to read behind the scenes, once nobody else reads the same any more; the first [`Input::read`] does so, too.
    ///
    /// # Errors
    /// As [`Input::read`].
    fn begin(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    /// The next stretch, in the order of its part. Waits for a few milliseconds at most. `now` is the wall
    /// clock, by which absurd times are told.
    ///
    /// # Errors
    /// Only what waiting and trying again cannot mend; everything else is retried inside.
    fn read(&mut self, now: Timestamp) -> Result<Reading, InputError>;

    /// Told, now and then, up to where everything is durable.
    fn durable(&mut self, _positions: &Positions) {}

    /// How far behind the input is, where it can tell.
    fn backlog(&self) -> Option<Backlog> {
        None
    }
}

/// What is left to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// What was read: records since the start, bytes from the beginning of a file.
    pub read: u64,
    /// What is there and was not read yet.
    pub left: u64,
    /// What is counted.
    pub unit: Unit,
}

/// What a backlog counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Messages of topics, rows of a snapshot.
    Records,
    /// Bytes of a file.
    Bytes,
}

/// What would keep an input from being read, found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}
