//! Detection as a running job: reader → detector → durable commit → outlet, each on a thread of its own,
//! with little between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use centinel_batch::Limits;
use centinel_catalog::Catalog;
use centinel_model::{MicroBatch, Positions, SourceId, Timestamp};
use centinel_outlet::archive::{Archive, ArchiveOptions, ArchiveStatus};
use centinel_outlet::{Message, Outlet};
use centinel_source::{InputOptions, Until};
use centinel_state::Commit;

use super::archive;
use super::backlog::SharedBacklog;
use super::bootstrap::{self, Bootstrap, BootstrapOptions};
use super::deliver::{Told, commit_all, fact_of, redeliver};
use super::detector::{Detector, RESCAN_PER_BATCH};
use super::pace::Pace;
use super::quiet::{Found, Quiet};
use super::reader::{Next, Reader};
use super::stall::StallWatch;
use crate::EngineError;

/// How long an idle thread waits before it looks again.
const IDLE: Duration = Duration::from_millis(5);
/// Micro-batches between reader and detector.
const READ_AHEAD: usize = 2;
/// By how much less the other threads ask for the processor than the detector's, which has the most to do. Served alike
/// on few cores, all three begin each micro-batch together, the others end first, and a core idles until the detector is
/// through. They give way to all other programs as well, where there are not enough cores for all.
const READING_GIVES_WAY: i32 = 5;
const COMMITTING_GIVES_WAY: i32 = 2;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where changes and events come from.
    pub inputs: Vec<InputOptions>,
    /// When reading ends.
    pub until: Until,
    /// When a micro-batch is full.
    pub limits: Limits,
    /// A source that does not move for so long is told to be behind; only while following.
    pub silent_after: centinel_model::Duration,
    /// When nothing has changed for so long, and every source that rules read has said since that it was read, the
    /// platform is taken to be done, as at the end of complete inputs; by the wall clock, and only while following.
    /// A source that says nothing for `silent_after` ends the run, too, and is named in its report.
    pub quiet_after: Option<Duration>,
    /// Shows what is left to read.
    pub backlog: SharedBacklog,
    /// Where every change is kept; none for a state that keeps no archive.
    pub archive: Option<ArchiveOptions>,
    /// What a new state begins with.
    pub bootstrap: Option<BootstrapOptions>,
}

/// The steps of one commit, in their order: where a crash may come between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The micro-batch is worked through; nothing is durable but its changes in the archive's spool.
    Prepared,
    /// State is durable, nothing is told.
    Committed,
    /// The messages are told, and state does not know it.
    Delivered,
}

/// What the run is given from outside.
pub struct Surroundings<'a> {
    /// The wall clock.
    pub now: &'a (dyn Fn() -> Timestamp + Sync),
    /// Whether the run is to end after the micro-batch at hand.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told after each commit.
    pub observe: &'a mut dyn FnMut(&Detector, &[Message]),
    /// Told at each step of a commit; for tests of crashes.
    pub at_step: &'a (dyn Fn(Step) + Sync),
}

/// How a run went.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// Micro-batches.
    pub batches: u64,
    /// From opening to the last commit.
    pub elapsed: Duration,
    /// Sources that had not said since the last change that they were read, when all was to be quiet: what they hold
    /// beyond was not judged.
    pub unheard: Vec<String>,
    /// How far the archive was behind at the end, where there is one.
    pub archive: Option<ArchiveStatus>,
}

/// Open inputs, which stay open from one run to the next.
pub struct Inputs {
    reader: Reader,
    /// Which sources are silent, once a run has looked.
    watch: Option<StallWatch>,
}

impl Inputs {
    /// Opens them where they were left. They begin with the first run or by [`Inputs::begin`].
    ///
    /// # Errors
    /// When one cannot be read and waiting would not mend that.
    pub fn open(
        catalog: &Arc<Catalog>,
        positions: &Positions,
        options: &RunOptions,
    ) -> Result<Inputs, EngineError> {
        let RunOptions {
            inputs,
            limits,
            until,
            backlog,
            ..
        } = options;
        let reader = Reader::open(catalog, inputs, positions, *limits, *until, backlog.clone())?;
        Ok(Inputs {
            reader,
            watch: None,
        })
    }

    /// Lets them begin behind the scenes.
    ///
    /// # Errors
    /// When the process may not have more threads or files.
    pub fn begin(&mut self) -> Result<(), EngineError> {
        self.reader.begin()
    }

    /// Closes those from which the same was read before, and goes on after them: no server sees two readers of one
    /// name, and what was told of silent sources is not told again.
    pub fn follow_on(&mut self, earlier: Inputs) {
        self.watch = earlier.watch;
    }
}

/// Runs detection until its inputs end or it is stopped.
pub fn run(
    detector: &mut Detector,
    outlet: &mut dyn Outlet,
    options: &RunOptions,
    surroundings: Surroundings<'_>,
) -> Result<RunReport, EngineError> {
    let mut inputs = Inputs::open(&detector.catalog, detector.positions(), options)?;
    inputs.begin()?;
    run_on(
        detector,
        &mut inputs,
        outlet,
        options,
        surroundings,
        &|| false,
    )
}

/// Runs detection until its inputs end, it is stopped, or `pause` says that another is to go on with the same inputs:
/// then everything that was read from them has been worked through and committed.
pub fn run_on(
    detector: &mut Detector,
    inputs: &mut Inputs,
    outlet: &mut dyn Outlet,
    options: &RunOptions,
    surroundings: Surroundings<'_>,
    pause: &(dyn Fn() -> bool + Sync),
) -> Result<RunReport, EngineError> {
    let started = Instant::now();
    let snapshot = bootstrap::open(
        detector,
        options.bootstrap.as_ref(),
        options.limits,
        &options.backlog,
    )?;
    let Inputs { reader, watch } = inputs;
    let earlier = watch.take();
    let watch = watch.insert(StallWatch::new(
        &detector.catalog.sources,
        options.silent_after,
        (surroundings.now)(),
        earlier,
    ));
    let archive = archive::open(detector, options.archive.as_ref(), (surroundings.now)())?;
    let store = Arc::clone(detector.store());
    let told = redeliver(store.as_ref(), outlet)?;
    let outlet_name = outlet.name().map(str::to_owned);
    let (send_batch, batches) =
        sync_channel::<Result<(MicroBatch, Duration), EngineError>>(READ_AHEAD);
    let (send_commit, commits) = sync_channel::<Commit>(0);
    let (send_told, tellings) = sync_channel::<Result<Told, EngineError>>(1);
    let Surroundings {
        now,
        stop,
        observe,
        at_step,
    } = surroundings;
    let over = AtomicBool::new(false);
    let _answering = detector.quarantine.clone().begin(detector, &options.inputs);
    let stop_reading = || stop() || pause() || over.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        // However this ends: the thread that reads neither waits for a taker nor goes on by itself.
        let batches = batches;
        let _over = Over(&over);
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let failed = |error: std::io::Error| EngineError::Input(error.to_string());
        let stop_reading = &stop_reading;
        let reading = move || {
            give_way(READING_GIVES_WAY);
            read(snapshot, reader, &send_batch, now, stop_reading);
        };
        named("read").spawn_scoped(scope, reading).map_err(failed)?;
        let committing = move || {
            give_way(COMMITTING_GIVES_WAY);
            commit_all(store.as_ref(), outlet, &commits, &send_told, at_step);
        };
        named("commit")
            .spawn_scoped(scope, committing)
            .map_err(failed)?;
        let mut loop_ = Loop {
            outlet: outlet_name,
            detector,
            send_commit,
            tellings,
            told,
            archive,
            in_flight: false,
            now,
            stop,
            pause,
            pace: Pace::new(Instant::now()),
            backlog: options.backlog.clone(),
            committing: Positions::default(),
            observe,
            at_step,
        };
        let (batches, unheard) = loop_.follow(&batches, watch, options)?;
        Ok(RunReport {
            batches,
            elapsed: started.elapsed(),
            unheard,
            archive: loop_.archive.as_ref().map(Archive::status),
        })
    })
}

/// Lowers the priority of this thread. Where the system does not let it, all are served alike.
fn give_way(by: i32) {
    let _ = rustix::process::nice(by);
}

/// Says at its end that the run is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn read(
    snapshot: Option<Bootstrap>,
    reader: &mut Reader,
    batches: &SyncSender<Result<(MicroBatch, Duration), EngineError>>,
    now: &dyn Fn() -> Timestamp,
    stop: &(dyn Fn() -> bool + Sync),
) {
    let mut each = |batch| !stop() && batches.send(Ok((batch, Duration::ZERO))).is_ok();
    match snapshot.map(|snapshot| snapshot.give(&mut each)) {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => return,
        Some(Err(error)) => {
            // As below.
            let _ = batches.send(Err(error));
            return;
        }
    }
    while !stop() {
        let sent = match reader.next(now()) {
            Ok(Next::Batch(batch)) => batches.send(Ok((batch, std::mem::take(&mut reader.spent)))),
            Ok(Next::Idle) => {
                std::thread::sleep(IDLE);
                Ok(())
            }
            Ok(Next::End) => return,
            Err(error) => {
                // The other side may be gone already; then it has an error of its own.
                let _ = batches.send(Err(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

struct Loop<'a> {
    /// Under which state keeps how far it was written.
    outlet: Option<String>,
    detector: &'a mut Detector,
    send_commit: SyncSender<Commit>,
    tellings: Receiver<Result<Told, EngineError>>,
    told: Told,
    archive: Option<Archive>,
    in_flight: bool,
    now: &'a dyn Fn() -> Timestamp,
    stop: &'a (dyn Fn() -> bool + Sync),
    pause: &'a (dyn Fn() -> bool + Sync),
    /// Of looking again at what is in state, while inputs are followed.
    pace: Pace,
    backlog: SharedBacklog,
    /// What the commit that is under way reaches.
    committing: Positions,
    observe: &'a mut dyn FnMut(&Detector, &[Message]),
    at_step: &'a (dyn Fn(Step) + Sync),
}

impl Loop<'_> {
    fn follow(
        &mut self,
        batches: &Receiver<Result<(MicroBatch, Duration), EngineError>>,
        watch: &mut StallWatch,
        options: &RunOptions,
    ) -> Result<(u64, Vec<String>), EngineError> {
        let (now, stop) = (self.now, self.stop);
        let followed = options.until == Until::Stopped;
        // Nobody waits for the verdicts of a run that ends by itself.
        let rescan = if followed { 0 } else { RESCAN_PER_BATCH };
        let (mut count, mut more_due) = (0, true);
        let (mut ends, mut waiting) = (false, None);
        let mut quiet = Quiet::of(self.detector, options);
        let mut unheard = Vec::new();
        loop {
            self.backlog.turns(now());
            if self.settle(rescan)? {
                more_due = true;
                if let Some(quiet) = &mut quiet {
                    quiet.changed(Instant::now());
                }
            }
            let turned = match followed {
                true => watch.look(self.detector.every_progress(), now()),
                false => Vec::new(),
            };
            let wait = if more_due || !turned.is_empty() {
                Duration::ZERO
            } else {
                self.until_sweep(followed)
                    .unwrap_or(IDLE * 20)
                    .min(IDLE * 20)
            };
            let next = waiting.take();
            let mut changes = false;
            let batch = match next.map_or_else(|| batches.recv_timeout(wait), Ok) {
                Ok(Ok((batch, spent))) => {
                    changes = self.detector.concerns_rules(&batch);
                    self.detector.stages.decode += spent;
                    count += 1;
                    batch
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) if more_due || !turned.is_empty() => {
                    MicroBatch::default()
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.wait_for_commit()?;
                    MicroBatch::default()
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let due = |archive: &Archive| archive.is_due(now());
            let idle = batch.is_empty() && !more_due && turned.is_empty();
            if !idle || self.archive.as_ref().is_some_and(due) {
                more_due = self.work(&batch, &turned, false, rescan)?;
            }
            if let (true, Some(quiet)) = (changes, &mut quiet) {
                quiet.changed(Instant::now());
            }
            let progress = |source| self.detector.progress(source);
            let found = quiet
                .as_mut()
                .map(|quiet| quiet.look(progress, Instant::now()));
            let found = found.filter(|found| *found != Found::Waiting && !self.leaves());
            if let Some(found) = found {
                // What was read while this was worked through may be a change. From here on the run ends, whatever
                // is to take over: what comes now is read by the next start.
                match batches.try_recv() {
                    Ok(next) => waiting = Some(next),
                    Err(_) => {
                        if let Found::Unheard(sources) = found {
                            let catalog = &self.detector.catalog;
                            let names = sources.iter().map(|source| catalog.source(*source));
                            unheard.extend(names.map(str::to_owned));
                        } else {
                            ends = true;
                        }
                        break;
                    }
                }
            }
            if self.until_sweep(followed) == Some(Duration::ZERO) {
                more_due |= self.sweep()?;
            }
            if stop() {
                break;
            }
        }
        let complete = options.until == Until::End && !self.leaves();
        self.come_to_rest(ends || complete)?;
        Ok((count, unheard))
    }

    /// Settles what people ask to be settled, and tells them once it is durable. Returns whether there was something.
    fn settle(&mut self, rescan: usize) -> Result<bool, EngineError> {
        let mut any = false;
        while let Some(mut request) = self.detector.quarantine.next() {
            if let Some(batch) = request.begin(self.detector) {
                self.work(&batch, &[], false, rescan)?;
                self.wait_for_commit()?;
                request.done(self.detector);
                any = true;
            }
        }
        Ok(any)
    }

    /// Whether the run ends though its inputs do not.
    fn leaves(&self) -> bool {
        (self.stop)() || (self.pause)()
    }

    /// How long to wait before more of what is in state is looked at again; none when there is nothing to look at.
    fn until_sweep(&self, followed: bool) -> Option<Duration> {
        let wanted = followed && self.detector.sweeps() && !self.leaves();
        wanted.then(|| self.pace.until_next(Instant::now()))
    }

    /// Looks again at a part of what is in state. Returns whether entities still wait for their turn.
    fn sweep(&mut self) -> Result<bool, EngineError> {
        let started = Instant::now();
        let more_due = self.work(&MicroBatch::default(), &[], false, Pace::STEP)?;
        self.wait_for_commit()?;
        self.pace.took(started, Instant::now());
        Ok(more_due)
    }

    /// Everything was read: judges what is due, and at the end of all inputs what is not due yet. What is in state is
    /// looked at again only by a run that does not leave its inputs; one that pauses leaves all to the next. Nobody
    /// takes over from one that ends.
    fn come_to_rest(&mut self, end: bool) -> Result<(), EngineError> {
        let (stop, pause) = (self.stop, self.pause);
        let pauses = || !end && pause();
        self.wait_for_commit()?;
        if end {
            self.detector.end();
        }
        // Wakes of the last commit are due now, too.
        let nothing = MicroBatch::default();
        let mut more_due = true;
        while more_due && !pauses() {
            self.backlog.turns((self.now)());
            let leaves = stop() || pauses();
            let rescan = if leaves { 0 } else { RESCAN_PER_BATCH };
            more_due = self.work(&nothing, &[], false, rescan)?;
            self.wait_for_commit()?;
        }
        if end && self.archive.is_some() {
            self.work(&nothing, &[], true, 0)?;
            self.wait_for_commit()?;
        }
        if let Some(archive) = &self.archive {
            archive.wait(&|| stop() || pauses());
        }
        self.acknowledge()?;
        self.wait_for_commit()
    }

    /// State learns what was told, and what was archived. Nothing is judged with it: what that told, no commit would
    /// know of, and it would be told again.
    fn acknowledge(&mut self) -> Result<(), EngineError> {
        let before = self.detector.progress.clone();
        let mut commit = Commit::default();
        self.detector.write_facts(&mut commit)?;
        self.hand_over(commit, &before, &MicroBatch::default(), false)
    }

    /// Works one micro-batch through and hands its commit over. With `seal`, a segment of the archive ends with it;
    /// `rescan` documents are looked at again with it, where that is wanted. Returns whether more is to be done at
    /// once.
    fn work(
        &mut self,
        batch: &MicroBatch,
        turned: &[(usize, bool)],
        seal: bool,
        rescan: usize,
    ) -> Result<bool, EngineError> {
        self.detector.rescan = rescan;
        for (source, behind) in turned {
            self.detector
                .tell_source(SourceId(*source as u16), *behind)?;
        }
        let before = self.detector.progress.clone();
        // The spool is written while the micro-batch is worked through and the last commit is under way.
        let detector = &mut *self.detector;
        let prepared = match &mut self.archive {
            None => detector.process(batch)?,
            Some(archive) => archive::beside(archive, batch, || detector.process(batch))?,
        };
        let more = prepared.more_to_look_at && rescan == RESCAN_PER_BATCH;
        let more_due = prepared.more_due || more;
        self.hand_over(prepared.commit, &before, batch, seal)?;
        Ok(more_due)
    }

    /// Hands a commit over once the one before it is durable, with what was told and archived since.
    fn hand_over(
        &mut self,
        mut commit: Commit,
        before: &[Timestamp],
        batch: &MicroBatch,
        seal: bool,
    ) -> Result<(), EngineError> {
        self.wait_for_commit()?;
        if let Some(name) = &self.outlet {
            let length = self.told.length.to_string();
            commit.facts.push((fact_of(name), length.into_bytes()));
        }
        commit.delivered = self.told.sequence;
        if let Some(archive) = &mut self.archive {
            let reached = archive::reached(self.detector, before, &commit, batch)?;
            archive::tell(archive, reached, (self.now)(), seal, &mut commit)?;
        }
        self.committing.clone_from(self.detector.positions());
        (self.at_step)(Step::Prepared);
        self.in_flight = self.send_commit.send(commit).is_ok();
        Ok(())
    }

    /// Waits for the commit that is under way.
    fn wait_for_commit(&mut self) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.in_flight) {
            return Ok(());
        }
        let gone = || EngineError::Outlet("the thread that commits is gone".into());
        let told = self.tellings.recv().map_err(|_| gone())??;
        self.detector.stages.commit += told.spent;
        self.detector.committed();
        if let Some(archive) = &mut self.archive {
            archive.committed().map_err(archive::failed)?;
            self.backlog.archived(archive.status());
        }
        self.backlog.made_durable(&self.committing);
        (self.observe)(self.detector, &told.messages);
        self.told = told;
        Ok(())
    }
}
