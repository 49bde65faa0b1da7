//! The one thing the wall clock does: it notices that a source has fallen silent.

use centinel_model::{Duration, Timestamp};

/// When each source last moved, by the wall clock.
#[derive(Clone, Debug)]
pub struct StallWatch {
    silent_after: Duration,
    sources: Vec<Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    progress: Timestamp,
    moved_at: Timestamp,
    behind: bool,
}

impl StallWatch {
    /// Watches `sources` from `now` on.
    pub fn new(sources: usize, silent_after: Duration, now: Timestamp) -> StallWatch {
        let watched = Watched {
            progress: Timestamp::MIN,
            moved_at: now,
            behind: false,
        };
        StallWatch {
            silent_after,
            sources: vec![watched; sources],
        }
    }

    /// Which sources fell silent (true) or moved again (false) since the last look.
    pub fn look(
        &mut self,
        progress: impl Iterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Vec<(usize, bool)> {
        let mut turned = Vec::new();
        for (index, (watched, progress)) in self.sources.iter_mut().zip(progress).enumerate() {
            if progress > watched.progress {
                (watched.progress, watched.moved_at) = (progress, now);
            }
            let behind = now.since(watched.moved_at) >= self.silent_after;
            if behind != watched.behind {
                watched.behind = behind;
                turned.push((index, behind));
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alert_when_it_falls_silent_and_one_when_it_moves() {
        let mut watch = StallWatch::new(2, Duration(10), Timestamp(0));
        let mut look = |first: i64, second: i64, now: i64| {
            watch.look(
                [Timestamp(first), Timestamp(second)].into_iter(),
                Timestamp(now),
            )
        };
        assert_eq!(look(1, 1, 0), []);
        assert_eq!(look(2, 1, 9), []);
        assert_eq!(look(3, 1, 11), [(1, true)]);
        assert_eq!(look(4, 1, 20), []);
        assert_eq!(look(4, 2, 25), [(1, false)]);
        assert_eq!(look(4, 3, 30), [(0, true)]);
    }
}
