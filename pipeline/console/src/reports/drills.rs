//! `drills.jsonl` and `faults.jsonl` of a drill, forms `centinel/drill/1` and `centinel/drill-fault/1`.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::lines;

const SCHEMA: &str = "centinel/drill/1";
/// What is read of the file's end: some thousands of drills.
const MOST_READ: u64 = 8 << 20;

/// One drill.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DrillLine {
    schema: String,
    /// Names the drill.
    pub drill: String,
    /// When it began.
    pub at: String,
    /// What it played.
    pub input: String,
    /// How many rules were asked.
    pub rules: u64,
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
    /// Findings where there is no fault.
    pub false_alarms: u64,
    /// What else is wrong.
    pub problems: Vec<String>,
    /// What its breaker did; absent without one.
    pub breaker: Option<DrillBreaker>,
    /// Each fault in short.
    pub faults: Vec<DrillFault>,
}

/// What a drill's breaker did in all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DrillBreaker {
    /// Questions that the platform asked.
    pub asked: u64,
    /// Trips that findings set.
    pub trips: u64,
    /// What was held.
    pub held: Moved,
}

/// Money that was held.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Moved {
    /// Requests.
    pub requests: u64,
    /// Their money, in major units.
    pub amount: String,
    /// Its currency.
    pub currency: String,
}

/// One fault in short.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DrillFault {
    /// The fault, by its name.
    pub kind: String,
    /// `detected`, `incomplete`, `unnoticed` or `could_not_judge`.
    pub verdict: String,
    /// The rule that was sure first.
    pub rule: Option<String>,
    /// From the fault's commit until it was sure.
    pub took_ms: Option<i64>,
    /// From the fault's commit to the end of that rule's patience.
    pub due_ms: Option<i64>,
}

impl DrillLine {
    /// One drill of a folder, by its name for itself.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn find(folder: &Path, drill: &str) -> io::Result<Option<DrillLine>> {
        let lines = lines::tail(&folder.join("drills.jsonl"), MOST_READ)?;
        let read = lines
            .iter()
            .rev()
            .filter_map(|line| serde_json::from_slice::<DrillLine>(line).ok());
        Ok(read
            .filter(|line| line.schema == SCHEMA)
            .find(|line| line.drill == drill))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(DrillLine::find(folder.path(), "d").unwrap(), None);
        let line = r#"{"schema":"centinel/drill/1","drill":"d","at":"2026-11-22T08:00:00Z","name":"weekly","input":"simulated","seed":1,"orders":500,"lines":9,"rules":4,"rules_version":"x","duration_ms":12,"exit_status":2,"detected":1,"incomplete":0,"unnoticed":1,"could_not_judge":0,"false_alarms":0,"problems":[],"breaker":{"asked":5,"trips":1,"held":{"requests":2,"amount":"10.00","currency":"CNY"}},"faults":[{"kind":"paid_twice","verdict":"detected","rule":"r","took_ms":10,"due_ms":20},{"kind":"lost","verdict":"unnoticed","rule":null,"took_ms":null,"due_ms":null}],"compared":null}"#;
        std::fs::write(folder.path().join("drills.jsonl"), format!("no\n{line}\n")).unwrap();
        let drill = DrillLine::find(folder.path(), "d").unwrap().unwrap();
        assert_eq!(drill.faults[1].verdict, "unnoticed");
        assert_eq!(DrillLine::find(folder.path(), "e").unwrap(), None);
    }
}
