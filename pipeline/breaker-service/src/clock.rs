//! The breaker's clock: how long it has been in force, over all its runs.
//!
//! While the process runs it follows the machine's monotonic clock, sleep included. Between two runs on a machine
//! that was not started anew it follows the same clock, so steps of the wall clock change nothing. Only across a start of the
//! machine the wall clock says how much time went by since the last mark, and never less than none. Marks are
//! stored with every commit and every 10 seconds.

use std::sync::Arc;
use std::time::SystemTime;

use centinel_breaker::{Instant, Now};
use centinel_model::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the clocks stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Names this start of the machine.
    pub boot: String,
    /// Microseconds since the machine was started.
    pub since_boot: i64,
    /// Microseconds since 1970, by the wall clock.
    pub wall: i64,
    /// The breaker's clock.
    pub clock: Instant,
}

/// A wall clock: microseconds since 1970. It may step.
pub type Wall = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's.
pub fn system_wall() -> Wall {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
    })
}

/// The clock of this run.
#[derive(Clone)]
pub struct Clock {
    boot: String,
    /// What to add to the time since the machine was started.
    ahead: i64,
    wall: Wall,
}

fn since_boot() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

impl Clock {
    /// Goes on from the last mark; from zero without one.
    pub fn after(mark: Option<&Mark>) -> Clock {
        Clock::by(mark, system_wall())
    }

    /// The same by a given wall clock.
    pub fn by(mark: Option<&Mark>, wall: Wall) -> Clock {
        Clock::starting(mark, boot(), since_boot(), wall)
    }

    fn starting(mark: Option<&Mark>, boot: String, since_boot: i64, wall: Wall) -> Clock {
        let clock = match mark {
            None => 0,
            Some(mark) => {
                let same = mark.boot == boot && !boot.is_empty() && since_boot >= mark.since_boot;
                let gone = if same {
                    since_boot - mark.since_boot
                } else {
                    wall().saturating_sub(mark.wall)
                };
                mark.clock.0.saturating_add(gone.max(0))
            }
        };
        Clock {
            boot,
            ahead: clock - since_boot,
            wall,
        }
    }

    /// The breaker's clock now.
    pub fn now(&self) -> Instant {
        Instant(since_boot() + self.ahead)
    }

    /// Both clocks now.
    pub fn both(&self) -> Now {
        Now {
            wall: Timestamp((self.wall)().clamp(0, Timestamp::LATEST.0)),
            clock: self.now(),
        }
    }

    /// A mark of now, to go on from.
    pub fn mark(&self) -> Mark {
        let since_boot = since_boot();
        Mark {
            boot: self.boot.clone(),
            since_boot,
            wall: (self.wall)(),
            clock: Instant(since_boot + self.ahead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn at_start(boot: &str, since_boot: i64, wall: i64) -> i64 {
        let mark = Mark {
            boot: "one".into(),
            since_boot: 5 * HOUR,
            wall: 100 * HOUR,
            clock: Instant(7 * HOUR),
        };
        let wall: Wall = Arc::new(move || wall);
        since_boot + Clock::starting(Some(&mark), boot.into(), since_boot, wall).ahead
    }

    #[test]
    fn the_wall_clock_counts_only_across_a_start_of_the_machine() {
        for wall in [0, 90 * HOUR, 101 * HOUR, 900 * HOUR] {
            assert_eq!(at_start("one", 6 * HOUR, wall), 8 * HOUR);
        }
        assert_eq!(at_start("two", HOUR, 103 * HOUR), 10 * HOUR);
        assert_eq!(at_start("two", HOUR, 90 * HOUR), 7 * HOUR);
    }

    #[test]
    fn goes_on() {
        let clock = Clock::after(None);
        let first = clock.now();
        let again = Clock::after(Some(&clock.mark()));
        assert!(first <= again.now() && again.now() < Instant(60_000_000));
    }
}
