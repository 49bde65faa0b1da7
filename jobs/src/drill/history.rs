//! The drills that were, and what is otherwise than before: `drills.jsonl` in the drill's folder, form
//! `centinel/drill/1`. Lines are only added.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::outcome::{FaultOutcome, Moved, Verdict};
use super::script::MICRO_BATCH;
use crate::lines;

/// The schema id of a line. Fields may be added within a version, never changed or removed.
pub const SCHEMA: &str = "centinel/drill/1";
/// The name of the file.
pub const FILE: &str = "drills.jsonl";
/// What is read of the file's end: some thousands of drills.
const MOST_READ: u64 = 16 << 20;

/// One drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillLine {
    /// [`SCHEMA`].
    pub schema: String,
    /// Names the drill; in every line that it writes.
    pub drill: String,
    /// When it began, RFC 3339.
    pub at: String,
    /// Its name in the configuration, where it has one.
    pub name: Option<String>,
    /// What it played: `simulated`, or the files that were copied.
    pub input: String,
    /// By what its draws were made.
    pub seed: u64,
    /// Orders of a simulated platform; of a copy those that were copied.
    pub orders: u64,
    /// Lines that were read.
    pub lines: u64,
    /// How many rules were asked.
    pub rules: u64,
    /// A hash of their ids and versions.
    pub rules_version: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Its exit status.
    pub exit_status: u8,
    /// Faults that were detected as they had to be.
    pub detected: u64,
    /// Faults that were detected, and not as they had to be.
    pub incomplete: u64,
    /// Faults that no rule saw.
    pub unnoticed: u64,
    /// Faults of which nobody can say.
    pub could_not_judge: u64,
    /// Findings of rules that must find faults, on orders and cash-outs that have none.
    pub false_alarms: u64,
    /// What else is wrong.
    pub problems: Vec<String>,
    /// What its breaker did; absent without one.
    pub breaker: Option<BreakerTotals>,
    /// Each fault in short.
    pub faults: Vec<Brief>,
    /// Beside the drill before; absent for the first.
    pub compared: Option<Compared>,
}

/// What the breaker did in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerTotals {
    /// Questions that the platform asked.
    pub asked: u64,
    /// Trips that findings set.
    pub trips: u64,
    /// What was held.
    pub held: Moved,
}

/// One fault in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The fault, by its name.
    pub kind: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The rule that was sure first.
    pub rule: Option<String>,
    /// From the fault's commit until it was sure.
    pub took_ms: Option<i64>,
    /// From the fault's commit to the end of that rule's patience.
    pub due_ms: Option<i64>,
}

/// A drill beside the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The drill before.
    pub with: String,
    /// Faults that were detected then and are not now.
    pub worse: Vec<String>,
    /// Faults that were not detected then and are now.
    pub better: Vec<String>,
    /// Faults that were detected sooner then, by more than a micro-batch.
    pub slower: Vec<Slower>,
    /// Whether both played the same; otherwise times are not compared.
    pub same_course: bool,
}

/// A fault that took longer than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slower {
    /// The fault.
    pub kind: String,
    /// How long it took then.
    pub before_ms: i64,
    /// How long it took now.
    pub now_ms: i64,
}

impl Brief {
    /// The short form.
    pub fn of(outcome: &FaultOutcome) -> Brief {
        Brief {
            kind: outcome.kind.clone(),
            verdict: outcome.verdict,
            rule: outcome.rule.clone(),
            took_ms: outcome.took_ms,
            due_ms: outcome.due_ms,
        }
    }
}

impl Compared {
    /// Puts `now` beside `before`.
    pub fn of(now: &DrillLine, before: &DrillLine) -> Compared {
        let kinds = |line: &DrillLine| -> BTreeSet<String> {
            line.faults.iter().map(|fault| fault.kind.clone()).collect()
        };
        let same_course = (&now.input, now.seed, now.orders)
            == (&before.input, before.seed, before.orders)
            && kinds(now) == kinds(before);
        let mut compared = Compared {
            with: before.drill.clone(),
            same_course,
            ..Compared::default()
        };
        for fault in &now.faults {
            let Some(earlier) = before
                .faults
                .iter()
                .find(|earlier| earlier.kind == fault.kind)
            else {
                continue;
            };
            match (earlier.verdict, fault.verdict) {
                (Verdict::Detected, Verdict::Detected) => {}
                (Verdict::Detected, _) => compared.worse.push(fault.kind.clone()),
                (_, Verdict::Detected) => compared.better.push(fault.kind.clone()),
                _ => {}
            }
            if let (true, Some(before_ms), Some(now_ms)) =
                (same_course, earlier.took_ms, fault.took_ms)
                && now_ms > before_ms + MICRO_BATCH / 1_000
            {
                compared.slower.push(Slower {
                    kind: fault.kind.clone(),
                    before_ms,
                    now_ms,
                });
            }
        }
        compared
    }
}

/// The last drill in this folder, and how many lines could not be read.
pub fn last(folder: &Path) -> io::Result<(Option<DrillLine>, u64)> {
    let (mut all, unreadable) = all(folder)?;
    Ok((all.pop(), unreadable))
}

/// The drills in this folder, oldest first, and how many lines could not be read.
pub fn all(folder: &Path) -> io::Result<(Vec<DrillLine>, u64)> {
    let (mut all, mut unreadable) = (Vec::new(), 0);
    for line in lines::read(&folder.join(FILE), MOST_READ)? {
        match serde_json::from_slice::<DrillLine>(&line) {
            Ok(line) if line.schema == SCHEMA => all.push(line),
            _ => unreadable += 1,
        }
    }
    Ok((all, unreadable))
}

/// Adds a drill; returns when it is on the disk.
pub fn add(folder: &Path, line: &DrillLine) -> io::Result<()> {
    lines::add(folder, FILE, line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn brief(kind: &str, verdict: Verdict, took_ms: i64) -> Brief {
        Brief {
            kind: kind.into(),
            verdict,
            rule: Some("a-rule".into()),
            took_ms: Some(took_ms),
            due_ms: Some(took_ms),
        }
    }

    fn line(drill: &str, faults: Vec<Brief>) -> DrillLine {
        DrillLine {
            schema: SCHEMA.into(),
            drill: drill.into(),
            input: "simulated".into(),
            faults,
            ..DrillLine::default()
        }
    }

    #[test]
    fn what_is_worse_better_and_slower_is_told() {
        use Verdict::{Detected, Incomplete, Unnoticed};
        let before = line(
            "1",
            vec![
                brief("a", Detected, 100),
                brief("b", Unnoticed, 100),
                brief("c", Detected, 100_000),
                brief("d", Detected, 100_000),
                brief("gone", Detected, 1),
            ],
        );
        let mut now = line(
            "2",
            vec![
                brief("a", Incomplete, 100),
                brief("b", Detected, 100),
                brief("c", Detected, 101_000),
                brief("d", Detected, 101_001),
            ],
        );
        let compared = Compared::of(&now, &before);
        assert_eq!(
            (compared.with.as_str(), compared.worse, compared.better),
            ("1", vec!["a".to_owned()], vec!["b".to_owned()])
        );
        // Other faults stand elsewhere in the history: times say nothing.
        assert!(!compared.same_course && compared.slower.is_empty());
        now.faults.push(brief("gone", Detected, 1));
        let compared = Compared::of(&now, &before);
        let slower: Vec<&str> = compared
            .slower
            .iter()
            .map(|slower| slower.kind.as_str())
            .collect();
        assert_eq!((compared.same_course, slower), (true, vec!["d"]));
    }

    #[test]
    fn the_last_drill_is_read_past_lines_that_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last(folder.path()).unwrap(), (None, 0));
        let (first, second) = (line("1", Vec::new()), line("2", Vec::new()));
        add(folder.path(), &first).unwrap();
        let path = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"schema\":\"centinel/drill/2\"}\nhalf a li");
        std::fs::write(&path, text).unwrap();
        assert_eq!(last(folder.path()).unwrap(), (Some(first), 1));
        add(folder.path(), &second).unwrap();
        assert_eq!(last(folder.path()).unwrap(), (Some(second), 1));
    }
}
