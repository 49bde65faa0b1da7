//! Which runs of an audit are due. Pure: the last run, now, the expression and the zone are arguments.

use centinel_model::{Duration, Timestamp};
use chrono_tz::Tz;

use super::cron::Cron;

/// A run that begins so soon after its time was not missed.
pub const GRACE: Duration = Duration::seconds(60);
/// Missed runs that are caught up with; older ones are skipped.
pub const MOST_CAUGHT_UP: usize = 100;
/// Further back no missed run is looked for.
pub const LOOKED_BACK: Duration = Duration::seconds(366 * 86_400);

/// What becomes of runs whose time passed while nobody could run them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// They are run late, oldest first.
    CatchUp,
    /// They are not run.
    Skip,
}

/// When an audit is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// At these times
    pub cron: Cron,
    /// of this zone.
    pub zone: Tz,
    /// What becomes of missed runs.
    pub missed: Missed,
    /// Whether what is audited depends on the time it is run for. Where it does not, several missed runs would audit
    /// the same, so one of them stands for all.
    pub differs: bool,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Times to run for, oldest first.
    pub run: Vec<Timestamp>,
    /// Times that are passed over, oldest first.
    pub skipped: Vec<Timestamp>,
}

/// What is due after the time that was last run for (or passed over) and up to now.
pub fn due(timing: &Timing, last: Timestamp, now: Timestamp) -> Due {
    let from = last.max(Timestamp(now.0.saturating_sub(LOOKED_BACK.0)));
    let mut times = timing.cron.between(from, now, timing.zone, usize::MAX);
    let kept = match timing.missed {
        Missed::CatchUp if timing.differs => times.len().min(MOST_CAUGHT_UP),
        Missed::CatchUp => times.len().min(1),
        Missed::Skip => {
            let in_time = |at: &Timestamp| now.since(*at) <= GRACE;
            usize::from(times.last().is_some_and(in_time))
        }
    };
    let run = times.split_off(times.len() - kept);
    Due {
        run,
        skipped: times,
    }
}
