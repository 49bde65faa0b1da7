//! How quickly what is in state is looked at again while inputs are followed: slowly enough that fresh changes hardly
//! notice.

use std::time::{Duration, Instant};

/// For each part of the time that looking again takes, so many are left to everything else.
const PARTS_LEFT: u32 = 2;

/// When the next step may be taken.
pub(super) struct Pace {
    next: Instant,
}

impl Pace {
    /// Documents that one step looks at: a change that comes meanwhile waits for them.
    pub const STEP: usize = 2_000;

    /// The first step may be taken at once.
    pub fn new(now: Instant) -> Pace {
        Pace { next: now }
    }

    /// How long the next step has to wait.
    pub fn until_next(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// A step was taken.
    pub fn took(&mut self, started: Instant, ended: Instant) {
        self.next = ended + ended.saturating_duration_since(started) * PARTS_LEFT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_take_a_third_of_the_time() {
        let (begin, ms) = (Instant::now(), Duration::from_millis);
        let mut pace = Pace::new(begin);
        let (mut now, mut spent) = (begin, Duration::ZERO);
        for took in [ms(20), ms(5), ms(70)] {
            now += pace.until_next(now);
            assert_eq!(pace.until_next(now), Duration::ZERO);
            pace.took(now, now + took);
            (now, spent) = (now + took, spent + took);
        }
        now += pace.until_next(now);
        assert_eq!(now - begin, spent * 3);
        assert_eq!(pace.until_next(now + ms(1_000)), Duration::ZERO);
    }
}
