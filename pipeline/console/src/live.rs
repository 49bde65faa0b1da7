//! Tells pages that something has changed, by server-sent events.
//!
//! An event says what (`findings`, `sources`, `breaker`) and carries no data: the page asks anew for what it shows.
//! Where the session is over the last event is [`ENDED`], on which the page closes its stream: else its browser would ask
//! again and again for what it may not have any more.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures::Stream;
use futures::stream::unfold;

use crate::Console;
use crate::breaker::BreakerProblem;
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::routes::{Route, by_itself};
use crate::session::Stream as Room;
use crate::visit::Person;

pub const ROUTES: &[Route] = &[by_itself("/live", || get(live))];

/// Streams at one time, of all sessions.
const MOST: usize = 200;
/// Said when the session is over; nothing comes after it.
pub const ENDED: &str = "ended";
/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(2);
/// How often the breaker is asked for each person, in looks.
const LOOKS_TO_BREAKER: u64 = 3;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What all streams share: how things stood when one of them looked last.
#[derive(Default)]
pub struct Live {
    streams: AtomicUsize,
    seen: Mutex<Option<(Duration, Seen)>>,
}

/// What changes with findings, and with sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    findings: u64,
    sources: u64,
}

struct Place(Arc<Console>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.live.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Following {
    console: Arc<Console>,
    person: Person,
    seen: Seen,
    breaker: u64,
    looks: u64,
    waiting: Vec<&'static str>,
    room: Room,
    _place: Place,
}

async fn live(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let full = || {
        let why = text(
            "Too many pages are followed: close some.",
            "同时打开的实时页面过多，请关闭一些。",
        );
        Problem::unavailable(person.say(why))
    };
    let more = |streams: usize| (streams < MOST).then_some(streams + 1);
    console
        .live
        .streams
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .map_err(|_| full())?;
    let following = Following {
        seen: look(&console).await,
        breaker: 0,
        looks: 0,
        waiting: vec![],
        room: person.session.stream(),
        _place: Place(console.clone()),
        console,
        person: person.clone(),
    };
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Ok(Sse::new(events(following))
        .keep_alive(alive)
        .into_response())
}

/// Browsers pass over an event without data.
fn event(what: &str) -> Result<Event, Infallible> {
    Ok(Event::default().event(what).data(what))
}

fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some(following), |following| async move {
        let mut following = following?;
        loop {
            if let Some(changed) = following.waiting.pop() {
                return Some((event(changed), Some(following)));
            }
            let mut ended = following.person.session.ended();
            let mut ending = following.console.ending.subscribe();
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => return Some((event(ENDED), None)),
                _ = following.room.ended.wait_for(|ended| *ended) => return None,
                _ = ending.wait_for(|ending| *ending) => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
            if following.look().await.is_none() {
                return Some((event(ENDED), None));
            }
        }
    })
}

impl Following {
    /// Looks what has changed; nothing where the session is over.
    async fn look(&mut self) -> Option<()> {
        let now = (self.console.surroundings.steady)();
        if !self.console.sessions.goes_on(&self.person.session, now) {
            return None;
        }
        let seen = look(&self.console).await;
        if seen.findings != self.seen.findings {
            self.waiting.push("findings");
        }
        if seen.sources != self.seen.sources {
            self.waiting.push("sources");
        }
        self.seen = seen;
        if self.looks.is_multiple_of(LOOKS_TO_BREAKER) {
            let breaker = match self.console.breaker.status(self.person.token()).await {
                Ok(status) => hash(&(
                    status.trips,
                    status.holds,
                    status.held,
                    status.open_findings,
                    status.store,
                )),
                Err(BreakerProblem::SignedOut) => {
                    self.console.sessions.end(&self.person.session);
                    return None;
                }
                Err(_) => 1,
            };
            if self.looks > 0 && breaker != self.breaker {
                self.waiting.push("breaker");
            }
            self.breaker = breaker;
        }
        self.looks += 1;
        Some(())
    }
}

/// How findings and sources stand; looked at once for all streams. What cannot be looked at is as it was.
async fn look(console: &Console) -> Seen {
    let now = (console.surroundings.steady)();
    let known = *console
        .live
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((at, seen)) = known
        && now.saturating_sub(at) < LOOK / 2
    {
        return seen;
    }
    let before = known.map(|(_, seen)| seen).unwrap_or_default();
    let findings = console.findings.read(|store| store.newest_entry()).await;
    let sources = console.detection.sources().await;
    let seen = Seen {
        findings: findings.unwrap_or(before.findings),
        sources: sources.map_or(before.sources, |sources| {
            let told = sources
                .iter()
                .map(|source| (&source.name, source.behind, source.quarantined));
            hash(&told.collect::<Vec<_>>())
        }),
    };
    *console
        .live
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some((now, seen));
    seen
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
