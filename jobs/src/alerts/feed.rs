//! The file of findings → batches for the alerts. The place behind a finding is its number, so the alerts' own state says
//! how far the file was read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use centinel_alert::{Batch, RuleNote};
use centinel_model::{FINDING_SCHEMA, Finding, Verdict, is_self_check};
use centinel_rules::Status;
use serde::Deserialize;
use tokio::sync::mpsc::Sender;

use crate::following::Following;
use crate::in_force::InForce;
use crate::printer::complain;
use crate::reload::Loaded;

/// How often the file is looked at when nobody says that it has grown.
const LOOK: Duration = Duration::from_millis(200);
/// A file that cannot be read is tried again after so long.
const PAUSE: Duration = Duration::from_secs(5);
/// Findings of one batch.
const MOST_AT_ONCE: usize = 500;
/// At the end of detection the rest may take so long.
pub const LAST: Duration = Duration::from_secs(5);

/// What is read, and whom it is given.
pub struct Feed {
    /// The file, by its full path, which names the input.
    pub findings: PathBuf,
    /// Files that were read before, and how far.
    pub earlier: Vec<(PathBuf, u64)>,
    /// How far this one was read; none where nobody was told anything of it.
    pub from: Option<u64>,
    pub in_force: InForce,
    pub batches: Sender<Batch>,
    /// The file has grown; detection ends when this is gone.
    pub news: Receiver<()>,
}

/// Why nothing more is read.
struct Over;

impl Feed {
    /// Reads until detection ends, and then the rest, for some seconds at most.
    pub fn run(self) {
        let mut notes = Notes::default();
        for (path, from) in &self.earlier {
            if self.rest_of(path, *from, &mut notes).is_err() {
                return;
            }
        }
        let from = match self.from {
            Some(from) => from,
            None => match self.open_at_first(&mut notes) {
                Ok(from) => from,
                Err(Over) => return,
            },
        };
        let _: Result<(), Over> = self.follow(from, &mut notes);
    }

    /// What an earlier file has behind what was read of it.
    fn rest_of(&self, path: &Path, from: u64, notes: &mut Notes) -> Result<(), Over> {
        let name = path.display().to_string();
        let mut lines = match Following::open(path, from) {
            Ok(lines) => lines,
            Err(error) => {
                complain(format_args!(
                    "error: alerts were not told all of {name}: {error}; put it back and start again, and they are"
                ));
                return Ok(());
            }
        };
        loop {
            match self.batch(&mut lines, &name, None, notes) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(Ended::Over) => return Err(Over),
                Err(Ended::Unreadable(error)) => {
                    complain(format_args!("error: alerts: {name}: {error}"));
                    return Ok(());
                }
            }
        }
    }

    /// Whoever is told for the first time is told what is open: what has ended before helps nobody any more.
    fn open_at_first(&self, notes: &mut Notes) -> Result<u64, Over> {
        let name = self.findings.display().to_string();
        loop {
            match open_at_end(&self.findings) {
                Ok((open, end)) => {
                    let mut lines = match Following::open(&self.findings, 0) {
                        Ok(lines) => lines,
                        Err(error) => {
                            self.unreadable(&error)?;
                            continue;
                        }
                    };
                    while lines.offset() < end {
                        match self.batch(&mut lines, &name, Some((&open, end)), notes) {
                            Ok(true) => {}
                            Ok(false) => break,
                            Err(Ended::Over) => return Err(Over),
                            Err(Ended::Unreadable(error)) => self.unreadable(&error)?,
                        }
                    }
                    return Ok(lines.offset());
                }
                Err(error) => self.unreadable(&error)?,
            }
        }
    }

    fn follow(&self, from: u64, notes: &mut Notes) -> Result<(), Over> {
        let name = self.findings.display().to_string();
        let mut lines = None;
        let mut at = from;
        let mut ends = None;
        loop {
            let open = match &mut lines {
                Some(open) => open,
                none => match Following::open(&self.findings, at) {
                    Ok(opened) => none.insert(opened),
                    Err(error) => {
                        self.unreadable(&error)?;
                        continue;
                    }
                },
            };
            match self.batch(open, &name, None, notes) {
                Ok(true) if ends.is_none_or(|ends| Instant::now() < ends) => {
                    at = open.offset();
                    continue;
                }
                Ok(_) => {}
                Err(Ended::Over) => return Err(Over),
                Err(Ended::Unreadable(error)) => {
                    lines = None;
                    self.unreadable(&error)?;
                }
            }
            if ends.is_some() {
                return Ok(());
            }
            if let Err(RecvTimeoutError::Disconnected) = self.news.recv_timeout(LOOK) {
                // What was written before the end is read once more.
                ends = Some(Instant::now() + LAST);
            }
        }
    }

    /// Says so, and waits.
    fn unreadable(&self, error: &io::Error) -> Result<(), Over> {
        complain(format_args!(
            "error: alerts: {}: {error}; nobody is told of new findings until it can be read",
            self.findings.display()
        ));
        let until = Instant::now() + PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Over),
            }
        }
    }

    /// Gives on the next findings; of `open`, only those, as far as that. Returns whether there were lines.
    fn batch(
        &self,
        lines: &mut Following,
        name: &str,
        open: Option<(&HashSet<u64>, u64)>,
        notes: &mut Notes,
    ) -> Result<bool, Ended> {
        notes.of(&self.in_force);
        let (mut findings, mut read) = (Vec::new(), false);
        while findings.len() < MOST_AT_ONCE {
            if open.is_some_and(|(_, end)| lines.offset() >= end) {
                break;
            }
            let Some(line) = lines.line().map_err(Ended::Unreadable)? else {
                break;
            };
            read = true;
            let number = lines.offset();
            if open.is_some_and(|(open, _)| !open.contains(&number)) {
                continue;
            }
            if let Some(finding) = finding(&line, number) {
                let note = notes.note(&finding);
                findings.push((number, finding, note));
            }
        }
        if !findings.is_empty() {
            let input = name.to_owned();
            let sent = self.batches.blocking_send(Batch { input, findings });
            sent.map_err(|_| Ended::Over)?;
        }
        Ok(read)
    }
}

enum Ended {
    /// Nobody takes batches any more.
    Over,
    Unreadable(io::Error),
}

/// What is needed to know what a line says.
#[derive(Deserialize)]
struct Head {
    schema: String,
    #[serde(default)]
    rule: String,
    finding_id: Option<String>,
    verdict: Option<Verdict>,
}

impl Head {
    fn is_told(&self) -> bool {
        self.schema == FINDING_SCHEMA && !is_self_check(&self.rule)
    }
}

/// The finding of a line; none where it is another message, or of a synthetic order.
fn finding(line: &[u8], number: u64) -> Option<Finding> {
    let head: Head = serde_json::from_slice(line).ok()?;
    if !head.is_told() {
        return None;
    }
    match serde_json::from_slice(line) {
        Ok(finding) => Some(finding),
        Err(error) => {
            complain(format_args!(
                "error: nobody can be told of the finding that ends at byte {number}: it has another form (column {})",
                error.column()
            ));
            None
        }
    }
}

/// Where the last lines of findings that are open end, and how far the file was looked at.
fn open_at_end(path: &Path) -> io::Result<(HashSet<u64>, u64)> {
    let mut lines = Following::open(path, 0)?;
    let mut open: HashMap<String, u64> = HashMap::new();
    while let Some(line) = lines.line()? {
        let head = serde_json::from_slice::<Head>(&line).ok();
        let Some(head) = head.filter(Head::is_told) else {
            continue;
        };
        let (Some(id), Some(verdict)) = (head.finding_id, head.verdict) else {
            continue;
        };
        match verdict {
            Verdict::Confirmed | Verdict::Undetermined => open.insert(id, lines.offset()),
            _ => open.remove(&id),
        };
    }
    Ok((open.into_values().collect(), lines.offset()))
}

/// What is known of the rules in force.
#[derive(Default)]
struct Notes {
    of: Option<Loaded>,
    by_rule: HashMap<String, RuleNote>,
}

impl Notes {
    fn of(&mut self, in_force: &InForce) {
        let loaded = in_force.loaded();
        let same = |known: &Loaded| {
            known.1.len() == loaded.1.len()
                && known
                    .1
                    .iter()
                    .zip(&loaded.1)
                    .all(|(known, rule)| Arc::ptr_eq(known, rule))
        };
        if self.of.as_ref().is_some_and(same) {
            return;
        }
        let notes = loaded.1.iter().map(|rule| {
            let note = RuleNote {
                tags: rule.tags.clone(),
                runbook: rule.runbook.clone().unwrap_or_default(),
                silent: rule.status != Status::Stable,
            };
            (rule.id.clone(), note)
        });
        self.by_rule = notes.collect();
        self.of = Some(loaded);
    }

    /// Rules that are gone, or of no file, have no tags.
    fn note(&self, finding: &Finding) -> RuleNote {
        let known = self.by_rule.get(&finding.rule).cloned();
        known.unwrap_or_else(|| RuleNote {
            silent: finding
                .status
                .as_deref()
                .is_some_and(|status| status != "stable"),
            ..RuleNote::default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn line(rule: &str, id: &str, verdict: &str) -> String {
        format!(
            r#"{{"schema":"centinel/finding/1","finding_id":"{id}","sequence":1,"rule":"{rule}","rule_version":"0","title":"t","entity":"order","entity_key":"E","key":[],"verdict":"{verdict}","occurrence":1,"severity":"error","owner":"o","amount":null,"currency":null,"hint":null,"evidence":{{"rows":[],"total":0}},"positions":{{}},"anchor":"","judged_at":""}}"#
        ) + "\n"
    }

    #[test]
    fn at_first_only_what_is_open_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let lines = [
            line("r", "a", "confirmed"),
            line("r", "b", "undetermined"),
            line("centinel-self-check", "c", "confirmed"),
            "{\"schema\":\"centinel/hole/1\"}\n".to_owned(),
            line("r", "a", "recovered"),
            line("r", "d", "confirmed"),
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        let (open, end) = open_at_end(&path).unwrap();
        let ends = |count: usize| lines[..count].concat().len() as u64;
        assert_eq!(open, [ends(2), ends(6)].into());
        assert_eq!(end, ends(6));
    }

    #[test]
    fn synthetic_orders_and_other_messages_are_no_findings() {
        assert!(finding(line("r", "a", "confirmed").as_bytes(), 1).is_some());
        assert!(finding(line("centinel-self-check", "a", "confirmed").as_bytes(), 1).is_none());
        let suspicion = line("r", "a", "suspected").replace("finding/1", "suspicion/1");
        assert!(finding(suspicion.as_bytes(), 1).is_none());
    }
}
