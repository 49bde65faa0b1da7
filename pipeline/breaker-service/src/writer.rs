//! The one thread that changes anything. It takes what has come in, decides it on a state of its own, commits all of it
//! at once (so that many holds share one write to the disk), and only then shows it to checks and answers.
//!
//! When the store fails nothing is shown: its own state becomes what is shown again, whoever waits is told that the
//! store failed, and the next input tries anew. Whether a failed commit came through after all, the head of the audit log says.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant as Monotonic};

use centinel_breaker::{Change, ITSELF, Input, Refusal, Reply, State, Update};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::audit::{self, Body, Head};
use crate::directory::{Account, Key};
use crate::refused::Due;
use crate::shared::Shared;
use crate::store::{Commit, OpenStore, Record, Store, StoreError, Way};

/// Most commands in one commit.
const MOST_AT_ONCE: usize = 2_000;
/// Most commands that wait.
pub const MOST_WAITING: usize = 20_000;
/// How long no attempt is made after a failure.
const PAUSE: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(100);
const MARK_EVERY: Duration = Duration::from_secs(10);
/// Why a command was not done.
#[derive(Debug)]
pub enum Failure {
    /// The core refused it.
    Refused(Refusal),
    /// It could not be stored. It may have been, if the store failed while it was written.
    Unavailable(String),
}

/// What a command does.
#[derive(Debug)]
pub enum Act {
    /// An input of the core.
    Input(Input),
    /// A new or changed account.
    Account(Account),
    /// A new or changed key.
    Key(Key),
    /// Only an entry of the audit log.
    Note,
    /// Messages up to this sequence were delivered by this way; no entry.
    Delivered(Way, u64),
    /// Detection spoke; no entry.
    Fresh(centinel_model::Duration),
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Who.
    pub by: String,
    /// How the audit log names it, such as `trip.set`.
    pub name: &'static str,
    /// What the audit log says of it.
    pub about: Value,
    /// What it does.
    pub act: Act,
    /// Who waits for it.
    pub reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// Where commands go in.
pub type Commands = SyncSender<Command>;

/// A channel of commands.
pub fn channel() -> (Commands, Receiver<Command>) {
    sync_channel(MOST_WAITING)
}

/// The writing thread.
pub struct Writer {
    shared: Arc<Shared>,
    open: OpenStore,
    store: Option<Box<dyn Store>>,
    leading: State,
    head: Head,
    failed: Option<(Monotonic, String)>,
    marked: Monotonic,
}

/// Whether more will follow.
enum Tick {
    Usual,
    Last,
}

/// How much of what only counts is in the audit log.
#[derive(Default)]
struct Logged {
    defaults: u64,
    named: usize,
    refusals: usize,
}

type Waiting = Vec<(
    oneshot::Sender<Result<Reply, Failure>>,
    Result<Reply, Failure>,
)>;

impl Writer {
    /// Over a store whose records are shown already.
    pub fn new(shared: Arc<Shared>, open: OpenStore, store: Box<dyn Store>, head: Head) -> Writer {
        let leading = shared.shown().clone();
        Writer {
            shared,
            open,
            store: Some(store),
            leading,
            head,
            failed: None,
            marked: Monotonic::now(),
        }
    }

    /// Works until all senders are gone.
    pub fn run(mut self, commands: &Receiver<Command>) {
        let mut ticked = Monotonic::now();
        loop {
            let mut batch = Vec::new();
            // While the store fails, work that is due waits as well.
            let due = self.failed.is_none() && self.leading.has_work(self.shared.clock.now());
            let wait = if due { Duration::ZERO } else { TICK };
            match commands.recv_timeout(wait) {
                Ok(command) => batch.push(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.work(vec![], Some(Tick::Last)),
            }
            batch.extend(commands.try_iter().take(MOST_AT_ONCE - batch.len()));
            let tick = due || ticked.elapsed() >= TICK;
            if tick {
                ticked = Monotonic::now();
            }
            self.work(batch, tick.then_some(Tick::Usual));
        }
    }

    fn work(&mut self, batch: Vec<Command>, tick: Option<Tick>) {
        if let Some((at, why)) = &self.failed {
            let why = why.clone();
            if at.elapsed() < PAUSE {
                return refuse_all(batch, &why);
            }
            if let Err(error) = self.recover() {
                self.failed = Some((Monotonic::now(), error.to_string()));
                return refuse_all(batch, &error.to_string());
            }
        }
        let (mut commit, mut shown, mut waiting) = (Commit::default(), Vec::new(), Waiting::new());
        let before = self.head.clone();
        let mut chained = Ok(());
        for command in batch {
            // Who asks for a check and waits no longer was answered by default: nothing must be held for them.
            if matches!(command.act, Act::Input(Input::Check(_))) && command.reply.is_closed() {
                continue;
            }
            let Command {
                by,
                name,
                about,
                act,
                reply,
            } = command;
            let answer =
                self.decide(act, &mut commit, &mut shown)
                    .map(|(answer, changes, told)| {
                        if told {
                            chained = std::mem::replace(&mut chained, Ok(()))
                                .and_then(|()| self.chain(by, name, about, changes, &mut commit));
                        }
                        answer
                    });
            waiting.push((reply, answer));
        }
        let mut logged = Logged::default();
        if let Some(tick) = tick {
            chained = chained.and_then(|()| {
                logged = self.tick(tick, &mut commit, &mut shown)?;
                Ok(())
            });
        }
        if commit.records.is_empty() && commit.entries.is_empty() {
            return answer_all(waiting, &self.shared);
        }
        commit.records.push(Record::Mark(self.shared.clock.mark()));
        let written = chained.and_then(|()| match &mut self.store {
            Some(store) => store.commit(&commit),
            None => Err(StoreError::Failed("it is not open".into())),
        });
        match written {
            Ok(()) => {
                self.marked = Monotonic::now();
                self.shared.defaults_logged(logged.defaults, logged.named);
                self.shared.refusals_logged(logged.refusals);
                self.show(&commit, shown);
                answer_all(waiting, &self.shared);
            }
            Err(error) => {
                self.head = before;
                self.leading = self.shared.shown().clone();
                let why = error.to_string();
                self.shared.failed(&why);
                self.failed = Some((Monotonic::now(), why.clone()));
                for (reply, _) in waiting {
                    let _ = reply.send(Err(Failure::Unavailable(why.clone())));
                }
            }
        }
    }

    /// The answer, the changes for the audit log, and whether it is to have an entry.
    fn decide(
        &mut self,
        act: Act,
        commit: &mut Commit,
        shown: &mut Vec<Change>,
    ) -> Result<(Reply, Vec<Change>, bool), Failure> {
        let input = match act {
            Act::Input(input) => input,
            Act::Fresh(lag) => Input::Fresh { lag },
            Act::Account(account) => {
                commit.records.push(Record::Account(account));
                return Ok((Reply::Done, vec![], true));
            }
            Act::Key(key) => {
                commit.records.push(Record::Key(key));
                return Ok((Reply::Done, vec![], true));
            }
            Act::Note => return Ok((Reply::Done, vec![], true)),
            Act::Delivered(way, sequence) => {
                commit.records.push(Record::Delivered(way, sequence));
                return Ok((Reply::Done, vec![], false));
            }
        };
        let silent = matches!(input, Input::Fresh { .. });
        let (now, policies) = (self.shared.clock.both(), &self.shared.policies);
        let outcome = self
            .leading
            .handle(now, input, policies, &self.shared.limits);
        let outcome = outcome.map_err(Failure::Refused)?;
        let changed = !outcome.changes.is_empty();
        let records = outcome.changes.iter().cloned().map(Record::Breaker);
        commit.records.extend(records);
        shown.extend(outcome.changes.iter().cloned());
        Ok((outcome.reply, outcome.changes, changed && !silent))
    }

    fn chain(
        &mut self,
        by: String,
        act: &str,
        about: Value,
        changes: Vec<Change>,
        commit: &mut Commit,
    ) -> Result<(), StoreError> {
        let body = Body {
            at: audit::at(self.shared.clock.both().wall),
            by,
            act: act.to_owned(),
            about,
            changes,
        };
        commit.entries.push(self.head.chain(&body)?);
        Ok(())
    }

    /// Trips that expire, releases that go on, defaults that were answered, acts that were refused.
    fn tick(
        &mut self,
        tick: Tick,
        commit: &mut Commit,
        shown: &mut Vec<Change>,
    ) -> Result<Logged, StoreError> {
        if let Ok((_, changes, true)) = self.decide(Act::Input(Input::Tick), commit, shown) {
            self.chain(ITSELF.into(), "time", Value::Null, changes, commit)?;
        }
        let (count, defaults) = self.shared.defaults();
        let refused = self.shared.refusals_due(matches!(tick, Tick::Last));
        let logged = Logged {
            defaults: count,
            named: defaults.len(),
            refusals: refused.len(),
        };
        for Due { by, about } in refused {
            self.chain(by, "refused", about, vec![], commit)?;
        }
        if count > 0 {
            let about = json!({"count": count, "first": defaults});
            self.chain(ITSELF.into(), "check.default", about, vec![], commit)?;
        }
        if self.marked.elapsed() >= MARK_EVERY || self.failed.is_some() {
            commit.records.push(Record::Mark(self.shared.clock.mark()));
        }
        Ok(logged)
    }

    /// What is stored is shown to checks.
    fn show(&mut self, commit: &Commit, changes: Vec<Change>) {
        let clock = self.shared.clock.now();
        self.shared.state.change(|state| {
            state.advance(clock);
            changes.iter().for_each(|change| state.put(change));
        });
        for record in &commit.records {
            match record {
                Record::Account(account) => self.shared.directory.put_account(account.clone()),
                Record::Key(key) => self.shared.directory.put_key(key.clone()),
                _ => {}
            }
        }
        let policies = &self.shared.policies;
        let updates: Vec<Update> = changes
            .iter()
            .filter_map(|change| Update::of(change, policies, clock))
            .collect();
        if !updates.is_empty() {
            let _ = self.shared.updates.send(Arc::new(updates));
        }
        if changes
            .iter()
            .any(|change| matches!(change, Change::Told(_)))
        {
            self.shared.told.send_modify(|count| *count += 1);
        }
        self.failed = None;
        self.shared.works();
    }

    /// After a failure: opens the store anew. When a commit came through after all, everything is read again.
    fn recover(&mut self) -> Result<(), StoreError> {
        self.store = None;
        let mut store = (self.open)()?;
        let head = store.head()?;
        if head != self.head {
            let mut state = State::default();
            for record in store.load()? {
                match record {
                    Record::Breaker(change) => state.put(&change),
                    Record::Account(account) => self.shared.directory.put_account(account),
                    Record::Key(key) => self.shared.directory.put_key(key),
                    Record::Delivered(..) | Record::Mark(_) => {}
                }
            }
            state.advance(self.shared.clock.now());
            self.leading = state.clone();
            self.head = head;
            self.shared.state.change(|shown| *shown = state.clone());
            // Caches that follow begin anew.
            self.shared.restart_streams();
        }
        self.store = Some(store);
        Ok(())
    }
}

fn refuse_all(batch: Vec<Command>, why: &str) {
    for command in batch {
        let _ = command
            .reply
            .send(Err(Failure::Unavailable(why.to_owned())));
    }
}

fn answer_all(waiting: Waiting, shared: &Shared) {
    for (reply, answer) in waiting {
        if let Err(Ok(Reply::Checked(_))) = reply.send(answer) {
            // Held, and its caller was answered by default meanwhile: the audit log says so with the defaults.
            shared.late_hold();
        }
    }
}
