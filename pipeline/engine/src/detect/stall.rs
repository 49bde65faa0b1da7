//! The one thing the wall clock does: it notices that a source has fallen silent.

use centinel_model::{Duration, SourceId, Timestamp};

use super::detector::Detector;
use super::messages::{SourceMessage, SourceState, line_of};
use crate::EngineError;

/// Entities counted as waiting for a silent source.
const MOST_COUNTED: usize = 100_000;

/// When each source last moved, by the wall clock. It goes on from one run to the next: what was told is not told again.
#[derive(Clone, Debug)]
pub struct StallWatch {
    silent_after: Duration,
    /// By source id.
    sources: Vec<(String, Watched)>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    progress: Timestamp,
    moved_at: Timestamp,
    behind: bool,
}

impl StallWatch {
    /// Watches these sources from `now` on; those that were watched by `earlier` go on as they are.
    pub fn new(
        sources: &[String],
        silent_after: Duration,
        now: Timestamp,
        earlier: Option<StallWatch>,
    ) -> StallWatch {
        let earlier = earlier.map_or(Vec::new(), |earlier| earlier.sources);
        let watched = |source: &String| {
            let known = earlier.iter().find(|(name, _)| name == source);
            let begun = Watched {
                progress: Timestamp::MIN,
                moved_at: now,
                behind: false,
            };
            known.cloned().unwrap_or((source.clone(), begun))
        };
        StallWatch {
            silent_after,
            sources: sources.iter().map(watched).collect(),
        }
    }

    /// Which sources fell silent (true) or moved again (false) since the last look.
    pub fn look(
        &mut self,
        progress: impl Iterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Vec<(usize, bool)> {
        let mut turned = Vec::new();
        for (index, ((_, watched), progress)) in self.sources.iter_mut().zip(progress).enumerate() {
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

impl Detector {
    /// Tells, with the next micro-batch, that a source fell silent or moves again.
    pub(super) fn tell_source(
        &mut self,
        source: SourceId,
        behind: bool,
    ) -> Result<(), EngineError> {
        self.note_behind(source, behind);
        let mut undetermined = 0;
        for sources in self.store.wake_sets()? {
            if sources & (1 << source.0) != 0 {
                undetermined += self.store.due(sources, Timestamp::MAX, MOST_COUNTED)?.len() as u64;
            }
        }
        let state = if behind {
            SourceState::Behind
        } else {
            SourceState::Moving
        };
        let name = self.catalog.source(source);
        let (progress, waiting) = (self.progress(source), undetermined.min(MOST_COUNTED as u64));
        let mut message = SourceMessage::new(name, state, progress, waiting);
        if behind && self.catalog.announces_plans(source) {
            message.remedy = format!(
                "see whether the file of plans that `{name}` reads is there and ends with a whole line; \
                 `repair approve --announce` writes it"
            );
        }
        self.unsent.push(line_of(&message)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alert_when_it_falls_silent_and_one_when_it_moves() {
        let sources = ["a", "b"].map(str::to_owned);
        let mut watch = StallWatch::new(&sources, Duration(10), Timestamp(0), None);
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

    #[test]
    fn what_was_told_is_not_told_again_under_other_numbers() {
        let sources = |names: [&str; 2]| names.map(str::to_owned);
        let mut watch = StallWatch::new(&sources(["a", "b"]), Duration(10), Timestamp(0), None);
        let still = || [Timestamp(1), Timestamp(1)].into_iter();
        assert_eq!(watch.look(still(), Timestamp(0)), []);
        assert_eq!(watch.look(still(), Timestamp(10)), [(0, true), (1, true)]);
        // One goes, one comes, one has another number.
        let after = sources(["b", "c"]);
        let mut watch = StallWatch::new(&after, Duration(10), Timestamp(11), Some(watch));
        assert_eq!(watch.look(still(), Timestamp(12)), []);
        assert_eq!(watch.look(still(), Timestamp(22)), [(1, true)]);
        let moved = [Timestamp(2), Timestamp(1)].into_iter();
        assert_eq!(watch.look(moved, Timestamp(23)), [(0, false)]);
    }
}
