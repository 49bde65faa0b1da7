//! What became of every run of an audit or a drill: `history.jsonl` in its folder, form `centinel/audit-run/1`.
//!
//! Lines are only ever added, each durable before anything relies on it. A run has a line when it begins and one when
//! it ends; a run without the second was cut off.

use std::io;
use std::path::Path;

use centinel_model::Timestamp;
use centinel_outlet::{AtRisk, TableFigures};
use serde::{Deserialize, Serialize};

use crate::lines;

/// The schema id of a line. Fields may be added within a version, never changed or removed.
const SCHEMA: &str = "centinel/audit-run/1";
/// The name of the file.
const FILE: &str = "history.jsonl";
/// What is read of the file's end: some ten thousand runs.
const MOST_READ: u64 = 64 << 20;

/// Who began a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartedBy {
    /// `centinel schedule`, as it was due.
    Schedule,
    /// `centinel schedule --once`.
    Command,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It came to its end and left a report.
    Finished,
    /// It could not be done.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It took longer than it may.
    TimedOut,
    /// Its process ended without a word.
    CutOff,
}

impl Outcome {
    /// For a person.
    pub fn told(self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::Failed => "failed",
            Outcome::Stopped => "stopped",
            Outcome::TimedOut => "timed out",
            Outcome::CutOff => "cut off",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The audit was seen in the configuration for the first time: nothing was missed before.
    Declared,
    /// Runs were passed over.
    Skipped {
        /// The first time.
        first: String,
        /// The last time.
        last: String,
        /// How many there were.
        count: u64,
    },
    /// A run began.
    Began(Began),
    /// A run ended.
    Ended(Box<Ended>),
}

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// Names the run, and the folder of its report.
    pub run: String,
    /// The time that it is run for, RFC 3339.
    pub run_for: String,
    /// Who began it.
    pub started_by: StartedBy,
    /// What is audited, or drilled.
    pub input: String,
    /// Whether it is a drill, of which nothing is real.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The run.
    pub run: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its exit status.
    pub exit_status: u8,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong, where something did.
    #[serde(default)]
    pub problem: Option<String>,
    /// What it found; only where it finished.
    #[serde(default)]
    pub result: Option<RunResult>,
    /// What a drill came to; only where it finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillFigures>,
}

/// What a drill came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillFigures {
    /// Names the drill, whose line is in `drills.jsonl`.
    pub drill: String,
    /// In one line, for people.
    pub told: String,
}

/// What a run found, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// The moment as of which the data was judged, RFC 3339.
    pub as_of: Option<String>,
    /// How many rules were asked.
    pub rules: u64,
    /// A hash of the ids and versions of the rules.
    pub rules_version: String,
    /// Rows of all tables together.
    pub rows: u64,
    /// Rows, and totals where they were asked for, by table.
    pub tables: Vec<TableFigures>,
    /// Findings that count.
    pub findings: u64,
    /// Findings that were accepted.
    pub accepted: u64,
    /// Violations in flight.
    pub in_flight: u64,
    /// What could not be judged.
    pub could_not_judge: u64,
    /// Money at risk of the findings that count, in major units by currency.
    pub at_risk: AtRisk,
    /// Beside the run before; absent where there was none.
    #[serde(default)]
    pub compared: Option<Compared>,
}

/// A run beside the one before, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The run before.
    pub with: String,
    /// Findings that are new.
    pub new: u64,
    /// Findings that were there before.
    pub still_there: u64,
    /// Findings of before that pass now.
    pub gone: u64,
    /// Findings of before of which nobody can say.
    pub unsure: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    schema: String,
    at: String,
    #[serde(flatten)]
    event: Event,
}

/// A run, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it began.
    pub at: String,
    /// Its beginning.
    pub began: Began,
    /// Its end; none while it is under way, or when it was cut off and nobody has said so yet.
    pub ended: Option<Ended>,
}

/// The history of one audit as far back as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub runs: Vec<Run>,
    /// When the audit was first seen.
    declared: Option<Timestamp>,
    /// The last time that runs were passed over for.
    skipped: Option<Timestamp>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl History {
    /// Reads the history in an audit's folder; one that is not there is empty.
    pub fn read(folder: &Path) -> io::Result<History> {
        let mut history = History::default();
        for line in lines::read(&folder.join(FILE), MOST_READ)? {
            history.take_in(&line);
        }
        Ok(history)
    }

    fn take_in(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            self.unreadable += 1;
            return;
        };
        if line.schema != SCHEMA {
            self.unreadable += 1;
            return;
        }
        match line.event {
            Event::Declared => self.declared = Timestamp::parse(&line.at).ok(),
            Event::Skipped { last, .. } => {
                self.skipped = self.skipped.max(Timestamp::parse(&last).ok());
            }
            Event::Began(began) => self.runs.push(Run {
                at: line.at,
                began,
                ended: None,
            }),
            Event::Ended(ended) => {
                let mut runs = self.runs.iter_mut().rev();
                if let Some(run) = runs.find(|run| run.began.run == ended.run) {
                    run.ended = Some(*ended);
                }
            }
        }
    }

    /// Up to when the schedule was followed; nothing where the audit was never seen.
    pub fn followed_to(&self) -> Option<Timestamp> {
        let scheduled = self
            .runs
            .iter()
            .filter(|run| run.began.started_by == StartedBy::Schedule);
        let run_for = scheduled.filter_map(|run| Timestamp::parse(&run.began.run_for).ok());
        run_for.max().max(self.skipped).max(self.declared)
    }

    /// The last run that finished, with what it found.
    pub fn last_finished(&self) -> Option<(&Run, &RunResult)> {
        self.finished().next_back()
    }

    /// All runs that finished, oldest first.
    pub fn finished(&self) -> impl DoubleEndedIterator<Item = (&Run, &RunResult)> {
        self.runs
            .iter()
            .filter_map(|run| Some((run, run.ended.as_ref()?.result.as_ref()?)))
    }

    /// Runs that began and never ended.
    pub fn open(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.ended.is_none())
    }
}

/// Adds a line, and returns when it is on the disk.
pub fn add(folder: &Path, at: Timestamp, event: Event) -> io::Result<()> {
    let line = Line {
        schema: SCHEMA.into(),
        at: at.to_string(),
        event,
    };
    lines::add(folder, FILE, &line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn began(run: &str, run_for: &str, started_by: StartedBy) -> Event {
        Event::Began(Began {
            run: run.into(),
            run_for: run_for.into(),
            started_by,
            input: "snapshot".into(),
            drill: false,
        })
    }

    fn ended(run: &str, outcome: Outcome, result: Option<RunResult>) -> Event {
        Event::Ended(Box::new(Ended {
            run: run.into(),
            outcome,
            exit_status: 3,
            duration_ms: 12,
            problem: None,
            result,
            drill: None,
        }))
    }

    #[test]
    fn runs_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), History::default());
        let at = time("2026-11-22T08:00:01Z");
        let result = RunResult {
            findings: 7,
            ..RunResult::default()
        };
        for event in [
            Event::Declared,
            began("1", "2026-11-22T08:00:00Z", StartedBy::Schedule),
            ended("1", Outcome::Finished, Some(result.clone())),
            began("2", "2030-01-01T00:00:00Z", StartedBy::Command),
            ended("2", Outcome::Stopped, None),
            began("3", "2026-11-22T09:00:00Z", StartedBy::Schedule),
        ] {
            add(folder.path(), at, event).unwrap();
        }
        let history = History::read(folder.path()).unwrap();
        assert_eq!(history.unreadable, 0);
        assert_eq!(history.runs.len(), 3);
        let (last, found) = history.last_finished().unwrap();
        assert_eq!((last.began.run.as_str(), found), ("1", &result));
        let open: Vec<&str> = history.open().map(|run| run.began.run.as_str()).collect();
        assert_eq!(open, ["3"]);
        // What a person ran does not move the schedule.
        assert_eq!(history.followed_to(), Some(time("2026-11-22T09:00:00Z")));
        let skipped = Event::Skipped {
            first: "2026-11-22T10:00:00Z".into(),
            last: "2026-11-22T12:00:00Z".into(),
            count: 3,
        };
        add(folder.path(), at, skipped).unwrap();
        let history = History::read(folder.path()).unwrap();
        assert_eq!(history.followed_to(), Some(time("2026-11-22T12:00:00Z")));
    }

    #[test]
    fn half_a_line_is_as_if_it_had_not_been_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = time("2026-11-22T08:00:01Z");
        add(folder.path(), at, Event::Declared).unwrap();
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, [&whole, &whole[..length]].concat()).unwrap();
            let history = History::read(folder.path()).unwrap();
            assert_eq!((history.followed_to(), history.unreadable), (Some(at), 0));
            add(folder.path(), at, Event::Declared).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [&whole[..], &whole].concat());
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_counted_and_hide_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = time("2026-11-22T08:00:01Z");
        add(folder.path(), at, Event::Declared).unwrap();
        let path = folder.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"schema\":\"centinel/audit-run/2\",\"at\":\"2026-11-22T08:00:01Z\",\"event\":\"declared\"}\nno\n");
        std::fs::write(&path, bytes).unwrap();
        add(
            folder.path(),
            at,
            began("1", "2026-11-22T08:00:00Z", StartedBy::Schedule),
        )
        .unwrap();
        let history = History::read(folder.path()).unwrap();
        assert_eq!((history.unreadable, history.runs.len()), (2, 1));
    }
}
