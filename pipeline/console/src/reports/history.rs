//! `history.jsonl` of an audit or a drill, form `centinel/audit-run/1`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::lines;

const SCHEMA: &str = "centinel/audit-run/1";
/// What is read of the file's end: some thousands of runs.
const MOST_READ: u64 = 8 << 20;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Began {
    /// Names the run, and the folder of its report.
    pub run: String,
    /// The time that it is run for.
    pub run_for: String,
    /// `schedule` or `command`.
    pub started_by: String,
    /// What is audited, or drilled.
    pub input: String,
    /// Whether it is a drill, of which nothing is real.
    #[serde(default)]
    pub drill: bool,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
    /// What an audit found; only where it finished.
    #[serde(default)]
    pub result: Option<RunResult>,
    /// What a drill came to; only where it finished.
    #[serde(default)]
    pub drill: Option<DrillFigures>,
}

/// What a drill came to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DrillFigures {
    /// Names the drill, whose line is in `drills.jsonl`.
    pub drill: String,
    /// In one line, for people.
    pub told: String,
}

/// What a run found, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RunResult {
    /// The moment as of which the data was judged.
    pub as_of: Option<String>,
    /// How many rules were asked.
    pub rules: u64,
    /// A hash of their ids and versions.
    pub rules_version: String,
    /// Rows of all tables together.
    pub rows: u64,
    /// Findings that count.
    pub findings: u64,
    /// Findings that were accepted.
    pub accepted: u64,
    /// Violations in flight.
    pub in_flight: u64,
    /// What could not be judged.
    pub could_not_judge: u64,
    /// Money at risk of the findings that count, in major units by currency.
    pub at_risk: BTreeMap<String, String>,
    /// Beside the run before; absent where there was none.
    #[serde(default)]
    pub compared: Option<Compared>,
}

/// A run beside the one before, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
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

#[derive(Deserialize)]
struct Line {
    schema: String,
    at: String,
    #[serde(flatten)]
    event: Event,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Declared,
    Skipped {
        first: String,
        last: String,
        count: u64,
    },
    Began(Began),
    Ended(Box<Ended>),
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

/// Runs that were passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The first time.
    pub first: String,
    /// The last time.
    pub last: String,
    /// How many there were.
    pub count: u64,
}

/// The history of one audit or drill, as far back as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The newest first.
    pub runs: Vec<Run>,
    /// The newest first.
    pub skipped: Vec<Skipped>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl History {
    /// Reads the history in a folder; one that is not there is empty.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(folder: &Path) -> io::Result<History> {
        let mut history = History::default();
        for line in lines::tail(&folder.join("history.jsonl"), MOST_READ)? {
            history.take_in(&line);
        }
        history.runs.reverse();
        history.skipped.reverse();
        Ok(history)
    }

    fn take_in(&mut self, line: &[u8]) {
        let read = serde_json::from_slice::<Line>(line).ok();
        let Some(line) = read.filter(|line| line.schema == SCHEMA) else {
            self.unreadable += 1;
            return;
        };
        match line.event {
            Event::Declared => {}
            Event::Skipped { first, last, count } => {
                self.skipped.push(Skipped { first, last, count });
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

    /// One run.
    pub fn run(&self, run: &str) -> Option<&Run> {
        self.runs.iter().find(|one| one.began.run == run)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_the_newest_first_and_what_is_none_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), History::default());
        let lines = [
            r#"{"schema":"centinel/audit-run/1","at":"2026-11-22T08:00:00Z","event":"declared"}"#,
            r#"{"schema":"centinel/audit-run/1","at":"2026-11-22T08:00:01Z","event":"began","run":"1","run_for":"2026-11-22T08:00:00Z","started_by":"schedule","input":"/snapshots"}"#,
            r#"{"schema":"centinel/audit-run/1","at":"2026-11-22T08:00:09Z","event":"ended","run":"1","outcome":"finished","exit_status":2,"duration_ms":8000,"problem":null,"result":{"as_of":null,"rules":3,"rules_version":"ab","rows":7,"tables":[],"findings":1,"accepted":0,"in_flight":0,"could_not_judge":0,"at_risk":{"CNY":"12.50"},"later":1}}"#,
            r#"{"schema":"centinel/audit-run/2","at":"2026-11-22T08:00:00Z","event":"declared"}"#,
            "nothing of the kind",
            r#"{"schema":"centinel/audit-run/1","at":"2026-11-23T08:00:00Z","event":"skipped","first":"a","last":"b","count":2}"#,
            r#"{"schema":"centinel/audit-run/1","at":"2026-11-23T08:00:01Z","event":"began","run":"2","run_for":"2026-11-23T08:00:00Z","started_by":"command","input":"/snapshots"}"#,
        ];
        std::fs::write(
            folder.path().join("history.jsonl"),
            format!("{}\n", lines.join("\n")),
        )
        .unwrap();
        let history = History::read(folder.path()).unwrap();
        assert_eq!(history.unreadable, 2);
        assert_eq!(history.skipped[0].count, 2);
        let names: Vec<&str> = history.runs.iter().map(|run| &*run.began.run).collect();
        assert_eq!(names, ["2", "1"]);
        assert_eq!(history.runs[0].ended, None);
        let ended = history.run("1").unwrap().ended.as_ref().unwrap();
        assert_eq!((ended.outcome, ended.exit_status), (Outcome::Finished, 2));
        let result = ended.result.as_ref().unwrap();
        assert_eq!(result.at_risk["CNY"], "12.50");
    }
}
