//! A schema registry: what it is asked for, and what it said.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::client::{Complaint, Registrar, Trouble};
use super::options::RegistryOptions;
use super::schema::Schema;

/// Schemas that are kept; topics have two for each table, and a few more over time.
const MAX_KEPT: usize = 1_000;
/// Before the first repetition; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A registry may know a schema a moment later than the message that needs it, so it is asked twice.
const LOOKS: u32 = 2;
/// Between these.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long an id counts as unknown before it is asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

/// A schema registry. Clones share what was read from it. It is asked on a thread of its own, which runs only
/// while something is wanted.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

/// What is known of one id.
#[derive(Debug)]
pub(crate) enum Known {
    /// Its schema.
    Schema(Box<Schema>),
    /// There is one, and it cannot be read by; or there is none. Why, in words that follow "schema 7: ".
    Unusable(String),
}

struct Shared {
    options: RegistryOptions,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    kept: HashMap<u32, Kept>,
    /// Ids in the order in which they came.
    order: VecDeque<u32>,
    /// Ids that are asked for, and how often the registry did not know them.
    wanted: BTreeMap<u32, u32>,
    working: bool,
    complaint: Option<Complaint>,
}

struct Kept {
    known: Arc<Known>,
    /// When it is asked for again.
    until: Option<Instant>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Registry({})", self.0.options.url)
    }
}

impl Registry {
    /// Nothing is asked before a schema is wanted.
    pub fn new(options: RegistryOptions) -> Registry {
        Registry(Arc::new(Shared {
            options,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// How it is reached.
    pub fn options(&self) -> &RegistryOptions {
        &self.0.options
    }

    /// Whether it is the same, or a clone.
    pub(crate) fn is(&self, other: &Registry) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Adds what is known of these ids; whether that is all of them. What is not known yet is asked for, and
    /// comes later.
    pub(crate) fn look_up(
        &self,
        ids: impl Iterator<Item = u32>,
        found: &mut HashMap<u32, Arc<Known>>,
    ) -> bool {
        let mut state = self.0.state();
        let mut all = true;
        let now = Instant::now();
        for id in ids {
            let kept = state.kept.get(&id);
            match kept.filter(|kept| kept.until.is_none_or(|until| now < until)) {
                Some(kept) => drop(found.insert(id, Arc::clone(&kept.known))),
                None => {
                    all = false;
                    state.wanted.entry(id).or_default();
                }
            }
        }
        if !all && !state.working {
            state.working = true;
            let shared = Arc::downgrade(&self.0);
            let thread = std::thread::Builder::new()
                .name("schema registry".into())
                .spawn(move || work(&shared));
            if let Err(error) = thread {
                state.working = false;
                state.complaint = Some(Complaint {
                    what: format!("no thread can be started: {error}"),
                    remedy: "let the process have more threads",
                });
            }
        }
        all
    }

    /// Waits until something came, or so long.
    pub(crate) fn wait(&self, most: Duration) {
        // Whatever woke it, the one who waits looks again.
        drop(self.0.changed.wait_timeout(self.0.state(), most));
    }

    /// What keeps the registry from answering, if it did not answer the last time.
    pub(crate) fn complaint(&self) -> Option<Complaint> {
        self.0.state().complaint.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids to ask for; none, and nobody works any more.
    fn next(&self) -> Option<Vec<u32>> {
        let mut state = self.state();
        state.working = !state.wanted.is_empty();
        state
            .working
            .then(|| state.wanted.keys().copied().collect())
    }

    fn keep(&self, id: u32, known: Known, until: Option<Instant>) {
        let mut state = self.state();
        state.complaint = None;
        state.wanted.remove(&id);
        let known = Arc::new(known);
        if state.kept.insert(id, Kept { known, until }).is_none() {
            state.order.push_back(id);
        }
        if state.order.len() > MAX_KEPT
            && let Some(oldest) = state.order.pop_front()
        {
            state.kept.remove(&oldest);
        }
        self.changed.notify_all();
    }

    /// The registry does not know this id, which counts once it has said so twice. Whether it is to be asked again.
    fn missing(&self, id: u32, why: String) -> bool {
        let mut state = self.state();
        state.complaint = None;
        let looks = state.wanted.entry(id).or_default();
        *looks += 1;
        let again = *looks < LOOKS;
        drop(state);
        if !again {
            let until = Instant::now() + UNKNOWN_FOR;
            self.keep(id, Known::Unusable(why), Some(until));
        }
        again
    }

    fn complain(&self, complaint: Complaint) {
        self.state().complaint = Some(complaint);
    }
}

/// Asks for what is wanted until nothing is, or until nobody is left who wants it.
fn work(shared: &Weak<Shared>) {
    let mut pause = FIRST_PAUSE;
    let mut begun = None;
    while let Some(ids) = shared.upgrade().and_then(|shared| shared.next()) {
        let worked = match &begun {
            Some((runtime, registrar)) => ask(shared, runtime, registrar, &ids),
            None => match begin(shared) {
                Some(new) => {
                    begun = Some(new);
                    continue;
                }
                None => Worked::Away,
            },
        };
        match worked {
            Worked::Told => pause = FIRST_PAUSE,
            Worked::Missing => std::thread::sleep(LOOK_AGAIN.min(longest(shared))),
            Worked::Away => {
                pause = pause.min(longest(shared));
                std::thread::sleep(pause);
                pause *= 2;
            }
        }
    }
}

fn longest(shared: &Weak<Shared>) -> Duration {
    let shared = shared.upgrade();
    shared.map_or(Duration::ZERO, |shared| shared.options.back_off)
}

type Begun = (tokio::runtime::Runtime, Registrar);

fn begin(shared: &Weak<Shared>) -> Option<Begun> {
    let shared = shared.upgrade()?;
    let begun = runtime().and_then(|runtime| Ok((runtime, Registrar::new(&shared.options)?)));
    begun.map_err(|complaint| shared.complain(complaint)).ok()
}

/// A runtime for requests one after the other.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Complaint> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().map_err(|error| Complaint {
        what: format!("the registry cannot be asked: {error}"),
        remedy: "let the process have more open files",
    })
}

/// How a round went.
enum Worked {
    /// Everything that was asked for is known.
    Told,
    /// The registry does not know some of it.
    Missing,
    /// It does not answer.
    Away,
}

fn ask(
    shared: &Weak<Shared>,
    runtime: &tokio::runtime::Runtime,
    registrar: &Registrar,
    ids: &[u32],
) -> Worked {
    let mut worked = Worked::Told;
    for id in ids {
        let answer = runtime.block_on(registrar.schema(*id));
        let Some(shared) = shared.upgrade() else {
            return worked;
        };
        match answer {
            Ok(known) => shared.keep(*id, known, None),
            Err(Trouble::Missing(why)) => {
                if shared.missing(*id, why) {
                    worked = Worked::Missing;
                }
            }
            Err(Trouble::Away(complaint)) => {
                shared.complain(complaint);
                return Worked::Away;
            }
        }
    }
    worked
}
