//! A file of what detection told, read back: the last word on each finding, and the sources that are behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use centinel_catalog::open_file;
use centinel_model::{FINDING_SCHEMA, Finding, FindingId};

/// Lines longer than this are none of detection's.
const LONGEST_LINE: u64 = 16 << 20;
const SOURCE_SCHEMA: &str = "centinel/source/1";

/// What detection told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The last that was told of each finding.
    pub findings: BTreeMap<FindingId, Finding>,
    /// Sources that were told as behind, and not as moving since.
    pub behind: BTreeSet<String>,
}

/// Reads the file. A last line without an end is still being written, and passed over.
pub fn read_told(path: &Path) -> Result<Told, String> {
    let file = open_file(path)
        .map_err(|error| format!("{error}: name the file that detection writes its findings to"))?;
    let mut lines = BufReader::new(file);
    let (mut told, mut line, mut number) = (Told::default(), Vec::new(), 0_u64);
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
            told.findings.insert(finding.finding_id.clone(), finding);
        } else if value["schema"] == SOURCE_SCHEMA {
            let source = value["source"].as_str().unwrap_or_default().to_owned();
            match value["state"] == "behind" {
                true => told.behind.insert(source),
                false => told.behind.remove(&source),
            };
        }
    }
}
