//! Records that could not be read, for people: what became of them, and how they are settled, while detection runs and
//! while it does not.
//!
//! To settle a record is to end the doubt that it brought. *Accepted*, it is left out for good: a person says that it
//! does not matter, or that it was mended elsewhere. *Redriven*, it is decoded again from the bytes that were kept, under
//! the schemas and by the format of its input as they are now, and its change goes through everything that changes go
//! through, in the commit that ends its doubt. Where it still cannot be read nothing is changed.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use centinel_batch::{Batcher, Limits};
use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, HoleReason, LineContent, MicroBatch, Positions, Timestamp};
use centinel_outlet::archive::ArchiveOptions;
use centinel_source::{InputOptions, KeptRecord, decode_again};
use centinel_state::Store;

use super::archive;
use super::detector::Detector;
use super::messages::{HoleMessage, SettledTo, Settlement, read_hole};
use crate::EngineError;

/// Requests that wait for detection at one time.
const MOST_WAITING: usize = 64;
/// Numbers in one request.
pub const MOST_AT_ONCE: usize = 1_000;
/// How long a request waits for its commit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of who settles, and of why.
const LONGEST_NAME: usize = 256;
const LONGEST_REASON: usize = 8 << 10;
/// Holes read from state in one go: each may have a MiB of bytes.
const READ_AT_ONCE: usize = 16;

/// Why something cannot be done to a hole.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such hole.
    #[error("no record {0} is in quarantine")]
    NotFound(u64),
    /// It cannot be, for what it is.
    #[error("{0}")]
    Refused(String),
    /// It cannot be now.
    #[error("{0}")]
    Unavailable(String),
    /// State or archive failed.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl From<centinel_state::StateError> for QuarantineError {
    fn from(error: centinel_state::StateError) -> QuarantineError {
        QuarantineError::Failed(error.into())
    }
}

/// What is to become of some holes: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Their numbers, [`MOST_AT_ONCE`] at most.
    pub numbers: Vec<u64>,
    /// What is to become of them.
    pub to: SettledTo,
    /// The person.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is needed to settle them: everything was read and decoded.
struct Ready {
    settlements: Vec<(u64, Settlement)>,
    batch: MicroBatch,
}

/// Holes of a state, the newest first, below a number.
///
/// # Errors
/// State that cannot be read.
pub fn quarantine(
    store: &dyn Store,
    below: Option<u64>,
    most: usize,
) -> Result<Vec<HoleMessage>, QuarantineError> {
    // They are numbered from 1 without a gap, and never go.
    let mut end = match below {
        Some(below) => below,
        None => count(store)? + 1,
    };
    let mut found = Vec::new();
    while end > 1 && found.len() < most {
        let first = end.saturating_sub(READ_AT_ONCE as u64).max(1);
        let holes = store.holes(first, (end - first) as usize)?;
        for (number, bytes) in holes.iter().rev() {
            if *number < end && found.len() < most {
                found.push(read_hole(bytes)?.0);
            }
        }
        end = first;
    }
    Ok(found)
}

/// How many holes a state has, settled ones among them.
fn count(store: &dyn Store) -> Result<u64, QuarantineError> {
    let (mut known, mut beyond) = (0u64, 1u64);
    while !store.holes(beyond, 1)?.is_empty() {
        (known, beyond) = (beyond, beyond.saturating_mul(2));
    }
    while known + 1 < beyond {
        let middle = known + (beyond - known) / 2;
        match store.holes(middle, 1)?.is_empty() {
            true => beyond = middle,
            false => known = middle,
        }
    }
    Ok(known)
}

/// One hole, with the bytes that were kept of it.
///
/// # Errors
/// No such hole; state that cannot be read.
pub fn quarantined(
    store: &dyn Store,
    number: u64,
) -> Result<(HoleMessage, Vec<u8>), QuarantineError> {
    let kept = store.holes(number, 1)?;
    let kept = kept.first().filter(|(known, _)| *known == number);
    let (_, kept) = kept.ok_or(QuarantineError::NotFound(number))?;
    let (message, record) = read_hole(kept)?;
    Ok((message, record.to_vec()))
}

/// Settles holes of a state that nobody else has open, in one commit. What it tells stays in state until detection runs
/// the next time, and so does the looking again at what is not in doubt any more. `archive` is where the state keeps
/// one: a change that is re-driven goes there, too.
///
/// # Errors
/// What cannot be settled; then nothing is changed. After [`QuarantineError::Failed`] the detector settles nothing any
/// more: another one takes up the state as it is.
pub fn settle_at_rest(
    detector: &mut Detector,
    inputs: &[InputOptions],
    archive: Option<&ArchiveOptions>,
    settle: &Settle,
    now: Timestamp,
) -> Result<Vec<HoleMessage>, QuarantineError> {
    if detector.astray {
        let why = "an earlier settlement failed half way: take up the state anew";
        return Err(EngineError::Unsupported(why.into()).into());
    }
    let store = Arc::clone(detector.store());
    let ready = prepare(store.as_ref(), &detector.catalog, inputs, settle, now)?;
    detector.astray = true;
    detector.take_on(&ready)?;
    // A commit without a change leaves an archive as it is, whoever knows where that is.
    let untouched = ready.batch.is_empty() && detector.shapes.replaced().is_none();
    let mut archive = match archive.is_none() && untouched {
        true => None,
        false => archive::open(detector, archive, now)?,
    };
    let before = detector.progress.clone();
    detector.rescan = 0;
    let mut commit = match &mut archive {
        None => detector.process(&ready.batch)?.commit,
        Some(archive) => {
            archive::beside(archive, &ready.batch, || detector.process(&ready.batch))?.commit
        }
    };
    if let Some(archive) = &mut archive {
        let reached = archive::reached(detector, &before, &commit, &ready.batch)?;
        archive::tell(archive, reached, now, false, &mut commit)?;
    }
    store.commit(&commit)?;
    detector.committed();
    if let Some(archive) = &mut archive {
        archive.committed().map_err(archive::failed)?;
    }
    detector.astray = false;
    as_settled(store.as_ref(), &settle.numbers)
}

/// Holes as they are once they are settled.
fn as_settled(store: &dyn Store, numbers: &[u64]) -> Result<Vec<HoleMessage>, QuarantineError> {
    let read = |number: &u64| Ok(quarantined(store, *number)?.0);
    numbers.iter().map(read).collect()
}

/// Reads and decodes what is to be settled, and changes nothing.
fn prepare(
    store: &dyn Store,
    catalog: &Arc<Catalog>,
    inputs: &[InputOptions],
    settle: &Settle,
    now: Timestamp,
) -> Result<Ready, QuarantineError> {
    check(settle)?;
    let mut ready = Ready {
        settlements: Vec::new(),
        batch: MicroBatch::default(),
    };
    let mut batcher = Batcher::new(
        Arc::clone(catalog),
        Limits {
            max_rows: usize::MAX,
            max_bytes: u64::MAX,
            ..Limits::default()
        },
    );
    for number in &settle.numbers {
        let (hole, record) = quarantined(store, *number)?;
        if let Some(settled) = &hole.settled {
            return Err(was_settled(*number, settled));
        }
        if settle.to == SettledTo::Redriven {
            let refused = |why: String| {
                QuarantineError::Refused(format!(
                    "record {number} cannot be re-driven: {why}; mend what is wrong, or accept it"
                ))
            };
            let chunk = decoded(catalog, inputs, &hole, &record, now).map_err(refused)?;
            let cut = batcher.push(chunk, now);
            // Nothing is full: what is cut is cut by `finish`.
            cut.map_err(|error| refused(error.to_string()))?;
        }
        let settlement = Settlement {
            to: settle.to,
            by: settle.by.clone(),
            at: now.to_string(),
            reason: settle.reason.clone(),
        };
        ready.settlements.push((*number, settlement));
    }
    let batches = batcher.finish(false, now);
    let batches = batches.map_err(|error| QuarantineError::Refused(error.to_string()))?;
    if let Some(batch) = batches.into_iter().next() {
        ready.batch = MicroBatch {
            // They stand where they stood: nothing else was read.
            positions: Positions::default(),
            progress: Vec::new(),
            horizons: Vec::new(),
            ..batch
        };
    }
    Ok(ready)
}

fn was_settled(number: u64, settled: &Settlement) -> QuarantineError {
    let Settlement { to, by, at, .. } = settled;
    let what = match to {
        SettledTo::Redriven => "re-driven",
        SettledTo::Accepted => "accepted",
    };
    QuarantineError::Refused(format!("record {number} was {what} by {by} at {at}"))
}

fn check(settle: &Settle) -> Result<(), QuarantineError> {
    let refuse = |what: &str| Err(QuarantineError::Refused(what.into()));
    let mut numbers = settle.numbers.clone();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() != settle.numbers.len() || numbers.is_empty() {
        return refuse("name at least one record, and each once");
    }
    if numbers.len() > MOST_AT_ONCE {
        return refuse("these are more than 1,000 records at once; settle them in parts");
    }
    let fits = |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most;
    if !fits(&settle.by, LONGEST_NAME) || settle.by.chars().any(char::is_control) {
        return refuse("say who settles it, in at most 256 bytes of one line");
    }
    if !fits(&settle.reason, LONGEST_REASON) {
        return refuse("say why, in at most 8 KiB");
    }
    Ok(())
}

/// A record decoded again, whole and with something in it.
fn decoded(
    catalog: &Catalog,
    inputs: &[InputOptions],
    hole: &HoleMessage,
    record: &[u8],
    now: Timestamp,
) -> Result<DecodedChunk, String> {
    let no_record = match hole.reason {
        HoleReason::Gap => Some("it stands for records that are gone and were never read"),
        HoleReason::Unobservable => Some("it stands for a change that cannot be seen row by row"),
        HoleReason::TransactionTooLarge => Some("it stands for all rows of a transaction"),
        HoleReason::Contradiction => {
            Some("what it says contradicts what is known, and reading it again does not end that")
        }
        HoleReason::ReplaySuspected => {
            Some("it was read, and whether it was delivered again nobody can tell")
        }
        _ => None,
    };
    if let Some(why) = no_record {
        return Err(why.into());
    }
    if hole.bytes_total != record.len() as u64 {
        return Err(format!(
            "only {} of its {} bytes were kept",
            record.len(),
            hole.bytes_total
        ));
    }
    let kept = KeptRecord {
        input: &hole.input,
        position: &hole.position,
        bytes: record,
    };
    let mut chunk = decode_again(catalog, inputs, kept, now)?;
    if let Some(hole) = chunk.holes.first() {
        return Err(format!("it still cannot be read: {}", hole.message));
    }
    // Its transaction is over, whether the record ends it or not.
    for index in 0..chunk.lines.len() {
        let next = chunk.lines.get(index + 1).map(|next| next.content);
        if let LineContent::Change { transaction, .. } = &mut chunk.lines[index].content {
            let goes_on = match next {
                Some(LineContent::Change {
                    transaction: next, ..
                }) => next.same_transaction(transaction),
                _ => false,
            };
            transaction.last = !goes_on;
        }
    }
    let is_row = |content: &LineContent| {
        matches!(
            content,
            LineContent::Change { .. } | LineContent::Event { .. }
        )
    };
    match chunk.lines.iter().any(|line| is_row(&line.content)) {
        true => Ok(chunk),
        false => Err("it holds no change and no event that the schemas describe".into()),
    }
}

impl Detector {
    /// Takes on what is to be settled with the next micro-batch: all of it or nothing.
    fn take_on(&mut self, ready: &Ready) -> Result<(), QuarantineError> {
        for (number, _) in &ready.settlements {
            if self.is_settled(*number) {
                let what = format!("record {number} was settled meanwhile");
                return Err(QuarantineError::Refused(what));
            }
            if !self.can_settle(*number) {
                let what = "settled records lie in more than 100,000 stretches; settle those between them first";
                return Err(QuarantineError::Refused(what.into()));
            }
        }
        for (number, settlement) in &ready.settlements {
            self.settle(*number, settlement.clone());
        }
        Ok(())
    }
}

/// The way to the quarantine of a detection that runs: for those who look on. Reading and decoding is done by who asks;
/// detection is asked between two micro-batches, and answers when the commit is durable.
#[derive(Clone, Debug, Default)]
pub struct Quarantine(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// None while detection does not run.
    open: Option<Open>,
    waiting: VecDeque<Request>,
}

#[derive(Clone)]
struct Open {
    catalog: Arc<Catalog>,
    store: Arc<dyn Store>,
    inputs: Arc<[InputOptions]>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Open")
    }
}

/// What somebody waits for.
pub(super) struct Request {
    catalog: Arc<Catalog>,
    ready: Ready,
    numbers: Vec<u64>,
    answer: SyncSender<Result<Vec<HoleMessage>, QuarantineError>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Request({:?})", self.numbers)
    }
}

impl Quarantine {
    /// As [`quarantine`], of the state of the detection that runs.
    ///
    /// # Errors
    /// State that cannot be read; detection does not run.
    pub fn list(
        &self,
        below: Option<u64>,
        most: usize,
    ) -> Result<Vec<HoleMessage>, QuarantineError> {
        quarantine(self.open()?.store.as_ref(), below, most)
    }

    /// As [`quarantined`], likewise.
    ///
    /// # Errors
    /// No such hole; state that cannot be read; detection does not run.
    pub fn one(&self, number: u64) -> Result<(HoleMessage, Vec<u8>), QuarantineError> {
        quarantined(self.open()?.store.as_ref(), number)
    }

    /// Settles holes; they are settled when this returns.
    ///
    /// # Errors
    /// What cannot be settled, and that detection does not run: then nothing is changed. Where the answer does not come
    /// within a minute it is not known.
    pub fn settle(
        &self,
        settle: &Settle,
        now: Timestamp,
    ) -> Result<Vec<HoleMessage>, QuarantineError> {
        let Open {
            catalog,
            store,
            inputs,
        } = self.open()?;
        let ready = prepare(store.as_ref(), &catalog, &inputs, settle, now)?;
        match self.ask(catalog, ready, settle)?.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(QuarantineError::Unavailable(
                "detection has not answered within a minute; look whether it is settled, and ask again".into(),
            )),
            Err(RecvTimeoutError::Disconnected) => Err(QuarantineError::Unavailable(
                "detection has stopped; look whether it is settled, and ask again".into(),
            )),
        }
    }

    fn ask(
        &self,
        catalog: Arc<Catalog>,
        ready: Ready,
        settle: &Settle,
    ) -> Result<Receiver<Result<Vec<HoleMessage>, QuarantineError>>, QuarantineError> {
        let mut shared = self.lock();
        if shared.open.is_none() {
            return Err(not_running());
        }
        if shared.waiting.len() >= MOST_WAITING {
            return Err(QuarantineError::Unavailable(
                "too many wait for detection already; ask again".into(),
            ));
        }
        let (answer, answered) = sync_channel(1);
        shared.waiting.push_back(Request {
            catalog,
            ready,
            numbers: settle.numbers.clone(),
            answer,
        });
        Ok(answered)
    }

    /// Lets people ask, until what is given back goes.
    pub(super) fn begin(&self, detector: &Detector, inputs: &[InputOptions]) -> Answering {
        self.lock().open = Some(Open {
            catalog: Arc::clone(&detector.catalog),
            store: Arc::clone(&detector.store),
            inputs: inputs.into(),
        });
        Answering(self.clone())
    }

    /// The next that waits.
    pub(super) fn next(&self) -> Option<Request> {
        self.lock().waiting.pop_front()
    }

    fn open(&self) -> Result<Open, QuarantineError> {
        self.lock().open.clone().ok_or_else(not_running)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What a thread that died left behind is whole: each change of it is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_running() -> QuarantineError {
    QuarantineError::Unavailable("detection does not run, or takes over schemas just now".into())
}

/// Ends the answering of questions: those that wait are told by that.
pub(super) struct Answering(Quarantine);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut shared = self.0.lock();
        shared.open = None;
        shared.waiting.clear();
    }
}

impl Request {
    /// What is to be worked through for it, once the detector has taken it on; else who waits is told why not.
    pub(super) fn begin(&mut self, detector: &mut Detector) -> Option<MicroBatch> {
        let taken = match Arc::ptr_eq(&self.catalog, &detector.catalog) {
            true => detector.take_on(&self.ready),
            false => Err(not_running()),
        };
        match taken {
            Ok(()) => Some(std::mem::take(&mut self.ready.batch)),
            Err(error) => {
                // Who asked may be gone.
                let _ = self.answer.send(Err(error));
                None
            }
        }
    }

    /// Tells who waits that it is durable.
    pub(super) fn done(self, detector: &Detector) {
        let settled = as_settled(detector.store.as_ref(), &self.numbers);
        // As above.
        let _ = self.answer.send(settled);
    }
}
