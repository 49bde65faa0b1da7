//! Whether detection does what it is there for, in words.

use std::collections::BTreeMap;

use centinel_model::{Duration, Timestamp};

use crate::seen::{Live, SelfCheck, SourceSeen};

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not turned yet.
    #[default]
    Starting,
    /// It reads and judges.
    Running,
    /// It came to its end.
    Ended,
    /// It could not go on.
    Failed(String),
}

/// What is still well.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The loop turns at least this often, whether there is input or not.
    pub turn: Duration,
    /// A source that is further behind is behind.
    pub lag: Duration,
}

/// What is so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Whether detection can go on by itself.
    pub alive: bool,
    /// Whether what it tells is fresh and whole.
    pub ready: bool,
    /// Why it is not alive or not ready, each a sentence.
    pub reasons: Vec<String>,
}

/// What is known of a run.
pub(crate) struct Facts<'a> {
    pub phase: &'a Phase,
    pub begun: Timestamp,
    pub sources: &'a [SourceSeen],
    /// What is wrong, by the part that says so.
    pub troubles: &'a BTreeMap<&'static str, String>,
    pub self_check: Option<&'a SelfCheck>,
    pub live: &'a Live,
}

pub(crate) fn truth(facts: &Facts<'_>, bounds: Bounds, now: Timestamp) -> Truth {
    let mut reasons = Vec::new();
    let alive = is_alive(facts, bounds, now, &mut reasons);
    let ended = matches!(facts.phase, Phase::Ended | Phase::Failed(_));
    match facts.phase {
        Phase::Starting => {
            reasons.push("detection is starting: it has not judged anything yet".to_owned());
        }
        Phase::Running if facts.sources.is_empty() && !ended => reasons
            .push("detection is starting: nothing was made durable since its start".to_owned()),
        _ => {}
    }
    if !ended {
        let behind = facts
            .sources
            .iter()
            .filter_map(|source| source_is_behind(source, bounds, now));
        reasons.extend(behind);
    }
    for (part, trouble) in facts.troubles {
        reasons.push(format!("{part}: {trouble}"));
    }
    let archive = facts.live.archive.as_ref();
    if let Some(trouble) = archive.and_then(|archive| archive.trouble.as_deref()) {
        reasons.push(format!("archive: {trouble}"));
    }
    if let Some(failing) = facts.self_check.and_then(|check| check.failing.as_deref()) {
        reasons.push(format!("self-check: {failing}"));
    }
    Truth {
        alive,
        ready: alive && reasons.is_empty(),
        reasons,
    }
}

fn is_alive(facts: &Facts<'_>, bounds: Bounds, now: Timestamp, reasons: &mut Vec<String>) -> bool {
    match facts.phase {
        Phase::Failed(why) => {
            reasons.push(format!("detection has ended: {why}"));
            return false;
        }
        Phase::Ended => {
            reasons.push("detection has come to its end: nothing is read any more".to_owned());
            return false;
        }
        // What a start reads anew may be much.
        Phase::Starting => return true,
        Phase::Running => {}
    }
    let turned = facts.live.turned.unwrap_or(facts.begun);
    let passed = now.since(turned);
    let stands = passed > bounds.turn;
    if stands {
        reasons.push(format!(
            "the loop of detection has not turned for {}: it hangs, or a micro-batch or its commit takes that long",
            span(passed)
        ));
    }
    !stands
}

fn source_is_behind(source: &SourceSeen, bounds: Bounds, now: Timestamp) -> Option<String> {
    let name = &source.name;
    let told = source.behind;
    let Some(progress) = source.progress else {
        return Some(format!(
            "source {name} has never said how far it is: what depends on it cannot be judged"
        ));
    };
    let lag = now.since(progress);
    if !told && lag <= bounds.lag {
        return None;
    }
    let what = match told {
        true => "is silent",
        false => "is catching up",
    };
    Some(format!(
        "source {name} {what}: it was read up to {progress}, {} ago",
        span(lag)
    ))
}

/// For people.
fn span(span: Duration) -> String {
    let seconds = span.0 / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::ArchiveSeen;

    const BOUNDS: Bounds = Bounds {
        turn: Duration::seconds(120),
        lag: Duration::seconds(60),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn source(name: &str, progress: Option<i64>) -> SourceSeen {
        SourceSeen {
            name: name.into(),
            progress: progress.map(at),
            behind: name == "silent",
            changes: 0,
        }
    }

    /// At second 1,000.
    fn told(
        phase: Phase,
        sources: &[SourceSeen],
        turned: i64,
        change: impl FnOnce(&mut BTreeMap<&'static str, String>, &mut Live, &mut SelfCheck),
    ) -> Truth {
        let mut troubles = BTreeMap::new();
        let mut live = Live {
            turned: Some(at(turned)),
            ..Live::default()
        };
        let mut check = SelfCheck::default();
        change(&mut troubles, &mut live, &mut check);
        let facts = Facts {
            phase: &phase,
            begun: at(0),
            sources,
            troubles: &troubles,
            self_check: Some(&check),
            live: &live,
        };
        truth(&facts, BOUNDS, at(1_000))
    }

    fn only(truth: &Truth) -> (bool, bool, &str) {
        assert_eq!(truth.reasons.len(), 1, "{truth:?}");
        (truth.alive, truth.ready, &truth.reasons[0])
    }

    #[test]
    fn a_run_that_reads_and_judges_is_ready() {
        let fresh = [source("a", Some(990)), source("b", Some(940))];
        let truth = told(Phase::Running, &fresh, 999, |_, _, _| {});
        assert_eq!(
            truth,
            Truth {
                alive: true,
                ready: true,
                reasons: vec![]
            }
        );
    }

    #[test]
    fn a_start_is_alive_and_not_ready() {
        let truth = told(Phase::Starting, &[], 0, |_, _, _| {});
        let (alive, ready, why) = only(&truth);
        assert!(alive && !ready && why.contains("starting"), "{why}");
        let truth = told(Phase::Running, &[], 999, |_, _, _| {});
        let (alive, ready, why) = only(&truth);
        assert!(alive && !ready && why.contains("starting"), "{why}");
    }

    #[test]
    fn what_has_ended_is_not_alive() {
        let fresh = [source("a", Some(990))];
        let failed = Phase::Failed("the outlet: No space left on device".into());
        let truth = told(failed, &fresh, 999, |_, _, _| {});
        let (alive, ready, why) = only(&truth);
        assert!(!alive && !ready && why.contains("No space left"), "{why}");
        let truth = told(Phase::Ended, &fresh, 999, |_, _, _| {});
        assert!(!truth.alive && !truth.ready);
    }

    #[test]
    fn a_loop_that_does_not_turn_is_not_alive() {
        let fresh = [source("a", Some(990))];
        let truth = told(Phase::Running, &fresh, 879, |_, _, _| {});
        let (alive, ready, why) = only(&truth);
        assert!(
            !alive && !ready && why.contains("121 s") || why.contains("2 min"),
            "{why}"
        );
        let truth = told(Phase::Running, &fresh, 880, |_, _, _| {});
        assert!(truth.alive && truth.ready);
    }

    #[test]
    fn sources_that_are_silent_late_or_unheard_are_named() {
        let sources = [
            source("quick", Some(999)),
            source("silent", Some(960)),
            source("late", Some(100)),
            source("unheard", None),
        ];
        let truth = told(Phase::Running, &sources, 999, |_, _, _| {});
        assert!(truth.alive && !truth.ready);
        assert_eq!(
            truth.reasons,
            [
                "source silent is silent: it was read up to 1970-01-01T00:16:00Z, 40 s ago",
                "source late is catching up: it was read up to 1970-01-01T00:01:40Z, 15 min ago",
                "source unheard has never said how far it is: what depends on it cannot be judged",
            ]
        );
    }

    #[test]
    fn parts_that_fail_are_named() {
        let fresh = [source("a", Some(990))];
        let truth = told(Phase::Running, &fresh, 999, |troubles, live, check| {
            troubles.insert("breaker report", "connection refused".into());
            live.archive = Some(ArchiveSeen {
                trouble: Some("access denied".into()),
                ..ArchiveSeen::default()
            });
            check.failing = Some("the loss was not found in time".into());
        });
        assert!(truth.alive && !truth.ready);
        let begins = [
            "breaker report: conn",
            "archive: access",
            "self-check: the loss",
        ];
        assert_eq!(truth.reasons.len(), begins.len(), "{truth:?}");
        for (reason, begin) in truth.reasons.iter().zip(begins) {
            assert!(reason.starts_with(begin), "{reason}");
        }
    }

    #[test]
    fn a_source_at_its_end_is_not_late() {
        let ended = [SourceSeen {
            name: "a".into(),
            progress: Some(Timestamp::MAX),
            behind: false,
            changes: 1,
        }];
        assert!(told(Phase::Running, &ended, 999, |_, _, _| {}).ready);
    }
}
