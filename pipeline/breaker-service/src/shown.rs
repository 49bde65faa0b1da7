//! The state that checks look at: two copies that take turns, so that a check never waits for a change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, TryLockError};

use centinel_breaker::State;

/// Two copies of the state. Checks read the one that is shown, while the writer changes the other; then they turn.
/// Records are shared between the copies.
pub struct Shown {
    copies: [RwLock<State>; 2],
    shown: AtomicUsize,
}

impl Shown {
    /// Shows a state.
    pub fn new(state: State) -> Shown {
        Shown {
            copies: [RwLock::new(state.clone()), RwLock::new(state)],
            shown: AtomicUsize::new(0),
        }
    }

    /// What is shown now. Hold it shortly: the writer waits for those that read the other copy.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        loop {
            let at = self.shown.load(Ordering::Acquire);
            match self.copies[at].try_read() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(state)) => return state.into_inner(),
                // The copies have turned since: the other one is free.
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
    }

    /// Changes both copies, one after the other. For one writer only.
    pub fn change(&self, change: impl Fn(&mut State)) {
        let other = 1 - self.shown.load(Ordering::Acquire);
        for at in [other, 1 - other] {
            let mut state = self.copies[at]
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            change(&mut state);
            drop(state);
            // At first the changed copy is shown, then the other one is as new, and either will do.
            self.shown.store(other, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_breaker::Instant;

    #[test]
    fn what_is_shown_never_goes_back() {
        let shown = Shown::new(State::default());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = Instant(0);
                    while last < Instant(20_000) {
                        let clock = shown.read().clock();
                        assert!(clock >= last);
                        last = clock;
                    }
                });
            }
            for clock in 1..=20_000 {
                shown.change(|state| state.advance(Instant(clock)));
            }
        });
    }
}
