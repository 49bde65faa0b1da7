//! What all parts of the service see.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLockReadGuard};

use centinel_breaker::{Decision, Limits, Name, Point, Policies, Reply, State, Traffic, Update};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::directory::{Caller, Directory};
use crate::limit::Buckets;
use crate::metrics::Counts;
use crate::refused::{Due, Refusals, Refused};
use crate::shown::Shown;
use crate::store::{Store, StoreError, Way};
use crate::writer::{Act, Command, Commands, Failure};

/// A check that was answered by its point's default.
#[derive(Clone, Debug, Serialize)]
pub struct Defaulted {
    /// The request.
    pub request_id: Name,
    /// Where.
    pub point: Point,
    /// What was answered.
    pub decision: Decision,
}

/// Most defaults that the audit log names one by one, for each entry.
const MOST_NAMED: usize = 1_000;

#[derive(Default)]
struct Defaults {
    count: u64,
    first: Vec<Defaulted>,
}

/// What all parts of the service see.
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// What each point does in doubt.
    pub policies: Policies,
    /// The core's limits.
    pub limits: Limits,
    /// The breaker's clock.
    pub clock: Clock,
    /// What is stored; checks are answered from it.
    pub state: Shown,
    /// Who may do what.
    pub directory: Directory,
    /// What passed lately.
    pub traffic: Mutex<Traffic>,
    /// For reading messages and the audit log.
    pub reader: Mutex<Box<dyn Store>>,
    /// What caches are told.
    pub updates: broadcast::Sender<Arc<Vec<Update>>>,
    /// Counts commits with messages to the platform.
    pub told: watch::Sender<u64>,
    /// Rates by caller.
    pub buckets: Buckets,
    /// Requests at once.
    pub at_once: Semaphore,
    /// Streams at once.
    pub streams: Arc<Semaphore>,
    /// Passwords that are being verified: each takes 19 MiB and a core.
    pub passwords: Semaphore,
    /// Previews at once: they read all that passed lately, and checks need the cores more.
    pub previews: Semaphore,
    /// Whether the service is to end.
    pub ending: watch::Receiver<bool>,
    /// What is shown as metrics.
    pub counts: Counts,
    delivered: [AtomicU64; 2],
    commands: Mutex<Option<Commands>>,
    failing: AtomicBool,
    defaults: Mutex<Defaults>,
    refusals: Mutex<Refusals>,
    late_holds: AtomicU64,
}

impl Shared {
    /// Over what a store holds.
    pub fn new(
        config: Config,
        clock: Clock,
        state: State,
        reader: Box<dyn Store>,
        commands: Commands,
        ending: watch::Receiver<bool>,
    ) -> Shared {
        let limits = &config.limits;
        Shared {
            policies: config.policies(),
            limits: config.core_limits(),
            clock,
            state: Shown::new(state),
            directory: Directory::default(),
            traffic: Mutex::new(Traffic::new(limits.recent_checks, limits.recent.0)),
            reader: Mutex::new(reader),
            updates: broadcast::channel(4_096).0,
            told: watch::channel(0).0,
            buckets: Buckets::default(),
            at_once: Semaphore::new(limits.requests_at_once),
            streams: Arc::new(Semaphore::new(limits.streams)),
            passwords: Semaphore::new(1),
            previews: Semaphore::new(1),
            ending,
            counts: Counts::default(),
            delivered: Default::default(),
            commands: Mutex::new(Some(commands)),
            failing: AtomicBool::new(false),
            defaults: Mutex::default(),
            refusals: Mutex::default(),
            late_holds: AtomicU64::new(0),
            config,
        }
    }

    /// What is stored. Hold it shortly.
    pub fn shown(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// Gives a command to the writer; the answer comes when it is stored.
    pub fn command(
        &self,
        by: String,
        name: &'static str,
        about: Value,
        act: Act,
    ) -> Result<oneshot::Receiver<Result<Reply, Failure>>, Failure> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            by,
            name,
            about,
            act,
            reply,
        };
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = commands
            .as_ref()
            .map(|commands| commands.try_send(command).is_ok());
        match sent {
            Some(true) => Ok(answer),
            Some(false) => Err(Failure::Unavailable(
                "too many changes wait to be stored".into(),
            )),
            None => Err(Failure::Unavailable("the service is ending".into())),
        }
    }

    /// Does a command and waits until it is stored.
    pub async fn act(
        &self,
        by: &Caller,
        name: &'static str,
        about: Value,
        act: Act,
    ) -> Result<Reply, Failure> {
        let answer = self.command(by.name(), name, about, act)?;
        let gone = |_| Failure::Unavailable("the service is ending".into());
        answer.await.map_err(gone)?
    }

    /// No more commands: the writer ends when it has done those that wait.
    pub fn end_commands(&self) {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// The store failed. Said once, until it works again.
    pub fn failed(&self, why: &str) {
        self.counts.store_failed();
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "breaker: {why}. What needs the store is answered by the configured defaults until it works again."
            );
        }
    }

    /// The store works.
    pub fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("breaker: the store works again.");
        }
    }

    /// Whether the store fails.
    pub fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// A check was answered by default.
    pub fn defaulted(&self, defaulted: Defaulted) {
        let mut defaults = self.defaults.lock().unwrap_or_else(PoisonError::into_inner);
        defaults.count += 1;
        if defaults.first.len() < MOST_NAMED {
            defaults.first.push(defaulted);
        }
    }

    /// Defaults that are not in the audit log yet.
    pub fn defaults(&self) -> (u64, Vec<Defaulted>) {
        let defaults = self.defaults.lock().unwrap_or_else(PoisonError::into_inner);
        (defaults.count, defaults.first.clone())
    }

    /// So many are in it now, and so many of them by name.
    pub fn defaults_logged(&self, count: u64, named: usize) {
        let mut defaults = self.defaults.lock().unwrap_or_else(PoisonError::into_inner);
        defaults.count -= count.min(defaults.count);
        let named = named.min(defaults.first.len());
        defaults.first.drain(..named);
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was refused.
    pub fn refused(&self, refused: Refused) {
        self.refusals().note(refused, self.clock.now());
    }

    /// Refusals that are due in the audit log; all of them when the service ends.
    pub fn refusals_due(&self, at_end: bool) -> Vec<Due> {
        let mut refusals = self.refusals();
        if at_end {
            refusals.close();
        }
        refusals.due(self.clock.now())
    }

    /// So many of them are in it now.
    pub fn refusals_logged(&self, count: usize) {
        self.refusals().logged(count);
    }

    /// Up to where messages were delivered by this way.
    pub fn delivered(&self, way: Way) -> &AtomicU64 {
        let [webhook, kafka] = &self.delivered;
        match way {
            Way::Webhook => webhook,
            Way::Kafka => kafka,
        }
    }

    /// A hold was stored whose caller waited no longer.
    pub fn late_hold(&self) {
        self.late_holds.fetch_add(1, Ordering::Relaxed);
    }

    /// How many holds were stored too late for their callers.
    pub fn late_holds(&self) -> u64 {
        self.late_holds.load(Ordering::Relaxed)
    }

    /// Ends all streams of changes, so that their readers begin anew.
    pub fn restart_streams(&self) {
        let _ = self.updates.send(Arc::new(Vec::new()));
    }

    /// Reads from the store, away from the threads that answer checks.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut reader = shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
            read(reader.as_mut())
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }
}
