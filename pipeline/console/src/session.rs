//! People who are signed in. Kept in memory alone: they end with the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::role::Role;

/// A session ends when its person did nothing for so long,
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// and so long after they signed in.
pub const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at one time,
pub const MOST: usize = 1_000;
/// and of one person; the oldest makes room.
pub const MOST_OF_ONE: usize = 5;
/// Streams of one session at one time.
pub const MOST_STREAMS: usize = 4;

/// One person at one browser.
pub struct Session {
    key: [u8; 32],
    /// The account.
    pub name: String,
    /// The breaker's token for this person, which no page shows.
    pub token: String,
    /// What every form of this session bears.
    pub csrf: String,
    begun: Duration,
    changing: Mutex<Changing>,
    streams: AtomicUsize,
    ended: watch::Sender<bool>,
}

struct Changing {
    role: Role,
    /// When the person did something last.
    seen: Duration,
    /// When the breaker said last that the person is who they are.
    confirmed: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "session of {}", self.name)
    }
}

impl Session {
    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the person is now.
    pub fn role(&self) -> Role {
        self.changing().role
    }

    /// When the breaker last said so.
    pub fn confirmed(&self) -> Duration {
        self.changing().confirmed
    }

    /// The breaker says what the person is.
    pub fn confirm(&self, role: Role, now: Duration) {
        let mut changing = self.changing();
        (changing.role, changing.confirmed) = (role, now);
    }

    /// Becomes true when the session ends.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    fn is_over(&self, now: Duration) -> bool {
        let seen = self.changing().seen;
        *self.ended.borrow()
            || now.saturating_sub(seen) >= IDLE
            || now.saturating_sub(self.begun) >= LONGEST
    }

    /// Room for one more stream, if there is.
    pub fn stream(self: &Arc<Session>) -> Option<StreamPermit> {
        let more = |streams: usize| (streams < MOST_STREAMS).then_some(streams + 1);
        let taken = self
            .streams
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| StreamPermit(self.clone()))
    }
}

/// The room of one stream, given back when it is dropped.
pub struct StreamPermit(Arc<Session>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All sessions, by the digest of what is in the cookie: how far a guess agrees tells nothing.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Arc<Session>>>);

/// Who begins one.
pub struct Person {
    pub name: String,
    pub role: Role,
    pub token: String,
}

fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one under a new id. Nothing where there are too many.
    pub fn begin(
        &self,
        id: &str,
        csrf: String,
        person: Person,
        now: Duration,
    ) -> Option<Arc<Session>> {
        let mut all = self.all();
        let over = |session: &Arc<Session>| session.is_over(now);
        for (_, session) in all.extract_if(|_, session| over(session)) {
            session.ended.send_replace(true);
        }
        let of_one = all.values().filter(|session| session.name == person.name);
        if of_one.clone().count() >= MOST_OF_ONE
            && let Some(oldest) = of_one.min_by_key(|session| session.begun).cloned()
        {
            all.remove(&oldest.key);
            oldest.ended.send_replace(true);
        }
        if all.len() >= MOST {
            return None;
        }
        let key = digest(id);
        let session = Arc::new(Session {
            key,
            name: person.name,
            token: person.token,
            csrf,
            begun: now,
            changing: Mutex::new(Changing {
                role: person.role,
                seen: now,
                confirmed: now,
            }),
            streams: AtomicUsize::new(0),
            ended: watch::Sender::new(false),
        });
        all.insert(key, session.clone());
        Some(session)
    }

    /// The session with this id, if it goes on. `acts`: the person does something themselves.
    pub fn find(&self, id: &str, now: Duration, acts: bool) -> Option<Arc<Session>> {
        let mut all = self.all();
        let session = all.get(&digest(id))?.clone();
        if session.is_over(now) {
            all.remove(&session.key);
            session.ended.send_replace(true);
            return None;
        }
        if acts {
            session.changing().seen = now;
        }
        Some(session)
    }

    /// Whether it goes on.
    pub fn goes_on(&self, session: &Session, now: Duration) -> bool {
        if session.is_over(now) {
            self.end(session);
            return false;
        }
        true
    }

    /// Ends one.
    pub fn end(&self, session: &Session) {
        self.all().remove(&session.key);
        session.ended.send_replace(true);
    }

    /// Ends all of a person, as the breaker does.
    pub fn end_all_of(&self, name: &str) {
        for (_, session) in self.all().extract_if(|_, session| session.name == name) {
            session.ended.send_replace(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn begin(sessions: &Sessions, id: &str, name: &str, now: u64) -> Option<Arc<Session>> {
        let person = Person {
            name: name.into(),
            role: Role::Viewer,
            token: String::new(),
        };
        sessions.begin(id, "csrf".into(), person, Duration::from_secs(now))
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_too_old_and_not_before() {
        let sessions = Sessions::default();
        let at = Duration::from_secs;
        let ends = begin(&sessions, "a", "ann", 0).unwrap().ended();
        assert!(sessions.find("a", at(1_799), false).is_some());
        // What the page asks by itself does not keep it.
        assert!(sessions.find("a", at(1_800), false).is_none());
        assert!(*ends.borrow());
        begin(&sessions, "b", "ann", 0);
        for minute in (0..12 * 60).step_by(29) {
            assert!(sessions.find("b", at(minute * 60), true).is_some());
        }
        assert!(sessions.find("b", at(12 * 3_600), true).is_none());
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let sessions = Sessions::default();
        let now = Duration::ZERO;
        for at in 0..=MOST_OF_ONE as u64 {
            assert!(begin(&sessions, &format!("ann {at}"), "ann", at).is_some());
        }
        assert!(sessions.find("ann 0", now, true).is_none());
        assert!(sessions.find("ann 1", now, true).is_some());
        for at in MOST_OF_ONE..MOST {
            assert!(begin(&sessions, &at.to_string(), &at.to_string(), 9).is_some());
        }
        assert!(begin(&sessions, "more", "more", 9).is_none());
        // Those that have ended make room.
        assert!(begin(&sessions, "more", "more", 9 + 1_800).is_some());
    }

    #[test]
    fn streams_are_limited_and_given_back() {
        let session = begin(&Sessions::default(), "a", "ann", 0).unwrap();
        let mut streams: Vec<_> = (0..MOST_STREAMS)
            .map(|_| session.stream().unwrap())
            .collect();
        assert!(session.stream().is_none());
        streams.pop();
        assert!(session.stream().is_some());
    }
}
