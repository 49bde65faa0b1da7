//! When a platform that is followed counts as done: nothing has changed for a while, and every source has said since
//! that it was read. A source that is away says nothing, and then nobody knows what it would have brought.

use std::time::{Duration, Instant};

use centinel_model::{SourceId, Timestamp, is_self_check};
use centinel_source::{InputOptions, Until};

use super::detector::Detector;
use super::run::RunOptions;

/// Watches for the end.
#[derive(Clone, Debug)]
pub struct Quiet {
    after: Duration,
    /// Sources that have not spoken are waited for so long after the last change.
    patience: Duration,
    changed: Instant,
    sources: Vec<Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    source: SourceId,
    progress: Timestamp,
    moved: Instant,
}

/// What a look finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something changed of late, or a source is waited for.
    Waiting,
    /// All that there was has been read.
    Done,
    /// These sources have not said since that they were read.
    Unheard(Vec<SourceId>),
}

impl Quiet {
    /// Nothing has to change for `after`, and these sources have to move meanwhile; those that do not are waited for
    /// up to `patience`, where that is longer.
    pub fn new(
        after: Duration,
        patience: Duration,
        sources: impl Iterator<Item = SourceId>,
        now: Instant,
    ) -> Quiet {
        let watched = sources.map(|source| Watched {
            source,
            progress: Timestamp::MIN,
            moved: now,
        });
        Quiet {
            after,
            patience: patience.max(after),
            changed: now,
            sources: watched.collect(),
        }
    }

    /// Watches for the end of a platform that is followed, where that is wanted. Files are always read to their ends;
    /// servers must say that they were.
    pub(super) fn of(detector: &Detector, options: &RunOptions) -> Option<Quiet> {
        let after = options
            .quiet_after
            .filter(|_| options.until == Until::Stopped)?;
        let served = options.inputs.iter().filter_map(|input| match input {
            InputOptions::Binlog(options) => Some(options.source.as_str()),
            InputOptions::Kafka(options) => Some(options.source.as_str()),
            InputOptions::File(_) => None,
        });
        let needed = detector.needed_sources();
        let sources = served.filter_map(|name| detector.catalog.source_id(name));
        let sources = sources.filter(|source| needed & (1 << source.0) != 0);
        let patience = Duration::from_micros(options.silent_after.0.max(0).unsigned_abs());
        Some(Quiet::new(after, patience, sources, Instant::now()))
    }

    /// Something has changed.
    pub fn changed(&mut self, now: Instant) {
        self.changed = now;
    }

    /// Looks how far the sources stand.
    pub fn look(&mut self, progress: impl Fn(SourceId) -> Timestamp, now: Instant) -> Found {
        for watched in &mut self.sources {
            let progress = progress(watched.source);
            if progress > watched.progress {
                (watched.progress, watched.moved) = (progress, now);
            }
        }
        let quiet = now.duration_since(self.changed);
        if quiet < self.after {
            return Found::Waiting;
        }
        // What is told just after a change may have been true just before it.
        let since = self.changed + self.after / 2;
        let unheard = self.sources.iter().filter(|watched| watched.moved < since);
        let unheard: Vec<SourceId> = unheard.map(|watched| watched.source).collect();
        match unheard.is_empty() {
            true => Found::Done,
            false if quiet < self.patience => Found::Waiting,
            false => Found::Unheard(unheard),
        }
    }
}

impl Detector {
    /// The sources that rules depend on, bit by source id.
    pub(super) fn needed_sources(&self) -> u64 {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        // Nothing real depends on the synthetic orders.
        let rules = rules.filter(|judged| !is_self_check(&judged.rule.id));
        rules.fold(0, |set, judged| set | judged.sources)
    }

    /// Sources that rules depend on and that have never said how far they stand.
    pub fn silent_sources(&self) -> Vec<&str> {
        let needed = self.needed_sources();
        let sources = (0..self.progress.len() as u16).map(SourceId);
        sources
            .filter(|source| {
                needed & (1 << source.0) != 0 && self.progress(*source) == Timestamp::MIN
            })
            .map(|source| self.catalog.source(source))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn quiet(sources: u16, now: Instant) -> Quiet {
        Quiet::new(4 * SECOND, 10 * SECOND, (0..sources).map(SourceId), now)
    }

    #[test]
    fn without_sources_that_speak_of_themselves_silence_is_enough() {
        let begun = Instant::now();
        let mut quiet = quiet(0, begun);
        let mut look = |seconds: u32| quiet.look(|_| Timestamp::MIN, begun + seconds * SECOND);
        assert_eq!([look(3), look(4)], [Found::Waiting, Found::Done]);
        quiet.changed(begun + 3 * SECOND);
        let mut look = |seconds: u32| quiet.look(|_| Timestamp::MIN, begun + seconds * SECOND);
        assert_eq!([look(6), look(7)], [Found::Waiting, Found::Done]);
    }

    #[test]
    fn every_source_must_have_moved_since_the_last_change() {
        let begun = Instant::now();
        let mut quiet = quiet(2, begun);
        let mut look = |seconds: u32, first: i64, second: i64| {
            let progress = |source: SourceId| Timestamp([first, second][usize::from(source.0)]);
            quiet.look(progress, begun + seconds * SECOND)
        };
        assert_eq!(look(1, 1, 1), Found::Waiting, "too early to say much");
        assert_eq!(look(3, 2, 1), Found::Waiting);
        assert_eq!(look(5, 3, 1), Found::Waiting, "the second is waited for");
        assert_eq!(look(6, 3, 2), Found::Done);
    }

    #[test]
    fn a_source_that_never_moves_is_named() {
        let begun = Instant::now();
        let mut quiet = quiet(2, begun);
        for second in 1..10 {
            let progress = |source: SourceId| Timestamp(i64::from(second * (source.0 == 0) as u32));
            let found = quiet.look(progress, begun + second * SECOND);
            assert_eq!(found, Found::Waiting);
        }
        let found = quiet.look(|_| Timestamp(9), begun + 10 * SECOND);
        assert_eq!(found, Found::Done, "it spoke in the last moment");
        let found = quiet.look(|_| Timestamp(9), begun + 20 * SECOND);
        assert_eq!(found, Found::Done);
        quiet.changed(begun + 30 * SECOND);
        let found = quiet.look(|_| Timestamp(9), begun + 40 * SECOND);
        assert_eq!(found, Found::Unheard(vec![SourceId(0), SourceId(1)]));
    }
}
