//! The file that detection writes its findings to, read back: the last word on each finding, and the sources that are
//! behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use centinel_catalog::open_file;
use centinel_engine::detect::{PLAN_SCHEMA, PlanMessage, SOURCE_SCHEMA};
use centinel_model::{FINDING_SCHEMA, Finding, FindingId, is_self_check};

/// Lines longer than this are none of detection's.
const LONGEST_LINE: u64 = 16 << 20;

/// What stands in it.
#[derive(Clone, Debug, Default)]
pub struct FindingsFile {
    /// The last that was told of each finding.
    pub findings: BTreeMap<FindingId, Finding>,
    /// Sources that were told as behind, and not as moving since.
    pub behind: BTreeSet<String>,
    /// Announced plans that were told to be at their end, by id: until when they were to be carried out.
    pub ended: BTreeMap<String, String>,
}

/// Reads the file. A last line without an end is still being written, and passed over.
pub fn read_findings(path: &Path) -> Result<FindingsFile, String> {
    let file = open_file(path)
        .map_err(|error| format!("{error}; name the file that detection writes its findings to"))?;
    let mut lines = BufReader::new(file);
    let (mut told, mut line, mut number) = (FindingsFile::default(), Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        let mut limited = (&mut lines).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut line);
        read.map_err(|error| format!("line {number}: {error}"))?;
        match line.last() {
            Some(b'\n') => {}
            Some(_) if line.len() as u64 == LONGEST_LINE => {
                return Err(format!("line {number} is longer than any of detection's"));
            }
            _ => return Ok(told),
        }
        let value: serde_json::Value = serde_json::from_slice(&line)
            .map_err(|error| format!("line {number} is not one of detection's: {error}"))?;
        if value["schema"] == FINDING_SCHEMA {
            let finding: Finding = serde_json::from_value(value)
                .map_err(|error| format!("line {number} is a finding of another form: {error}"))?;
            if !is_self_check(&finding.rule) {
                told.findings.insert(finding.finding_id.clone(), finding);
            }
        } else if value["schema"] == SOURCE_SCHEMA {
            let source = value["source"].as_str().unwrap_or_default().to_owned();
            match value["state"] == "behind" {
                true => told.behind.insert(source),
                false => told.behind.remove(&source),
            };
        } else if value["schema"] == PLAN_SCHEMA {
            let plan: PlanMessage = serde_json::from_value(value).map_err(|error| {
                format!("line {number} tells of a plan in another form: {error}")
            })?;
            told.ended.insert(plan.plan, plan.until);
        }
    }
}
