//! Who approved which plan, and when: one line each in a file that is only ever added to.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use centinel_catalog::Catalog;
use centinel_model::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::identify;
use super::plan::{JudgedBy, RepairPlan};
use super::report::Verdict;
use crate::audit::Snapshot;

/// The form of a line. Fields may be added within a version, never changed or removed.
pub const APPROVAL_SCHEMA: &str = "centinel/repair-approval/1";

/// One line of the file of approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// [`APPROVAL_SCHEMA`].
    pub schema: String,
    /// The plan's id.
    pub plan: String,
    /// The path of the plan's file, as it was named.
    pub file: String,
    /// What had come of the plan.
    pub verdict: Verdict,
    /// Who approved it.
    pub by: String,
    /// Why, where it was said.
    pub reason: Option<String>,
    /// Why it was approved though it is not safe.
    pub despite: Option<String>,
    /// When, RFC 3339.
    pub approved_at: String,
    /// Until when the plan is to be carried out, RFC 3339.
    pub until: String,
    /// How many rows it changes.
    pub changes: u64,
}

/// Who approves, and how.
#[derive(Clone, Debug)]
pub struct Approver {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Why, though it is not safe.
    pub despite: Option<String>,
    /// How long it may take to be carried out.
    pub window: Duration,
    /// The time now.
    pub now: Timestamp,
}

/// Why a plan is not approved; each with what to do. `judged_by` is what it would be judged by now.
pub fn refusals(
    catalog: &Catalog,
    plan: &RepairPlan,
    snapshot: &Snapshot,
    judged_by: &JudgedBy,
    approver: &Approver,
    threads: usize,
) -> Vec<String> {
    let mut refusals = Vec::new();
    match identify(catalog, snapshot, threads) {
        Err(problem) => refusals.push(format!("the snapshot cannot be read: {problem}")),
        Ok((now, _)) => {
            if now.manifest != plan.snapshot.manifest {
                refusals.push("manifest.json of the snapshot is another; plan again".into());
            }
            let changed = now
                .files
                .iter()
                .filter(|file| !plan.snapshot.files.contains(file))
                .map(|file| &file.path);
            let gone = plan
                .snapshot
                .files
                .iter()
                .filter(|file| now.files.iter().all(|other| other.path != file.path))
                .map(|file| &file.path);
            let names: Vec<&str> = changed.chain(gone).map(String::as_str).collect();
            if !names.is_empty() {
                refusals.push(format!(
                    "the snapshot has changed since ({}); plan again",
                    names.join(", ")
                ));
            }
        }
    }
    if judged_by.schemas != plan.judged_by.schemas {
        refusals.push("the schemas have changed since; plan again".into());
    }
    if judged_by.rules != plan.judged_by.rules {
        let differ = |id: &&String| judged_by.rules.get(*id) != plan.judged_by.rules.get(*id);
        let mut names: Vec<&str> = judged_by
            .rules
            .keys()
            .chain(plan.judged_by.rules.keys())
            .filter(differ)
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        refusals.push(format!(
            "rules have changed since ({}); plan again",
            names.join(", ")
        ));
    }
    if approver.by.trim().is_empty() {
        refusals.push("nobody is named; say --by NAME".into());
    }
    if plan.result.verdict != Verdict::Safe && approver.despite.is_none() {
        refusals.push(format!(
            "it is not safe ({}: {}); mend the plan, or say --despite REASON",
            plan.result.verdict.as_str(),
            plan.result.reasons.join(", ")
        ));
    }
    refusals
}

/// The line of an approval.
pub fn approval(plan: &RepairPlan, file: &Path, approver: &Approver) -> Approval {
    Approval {
        schema: APPROVAL_SCHEMA.to_owned(),
        plan: plan.id.clone(),
        file: file.display().to_string(),
        verdict: plan.result.verdict,
        by: approver.by.trim().to_owned(),
        reason: approver.reason.clone(),
        despite: approver.despite.clone(),
        approved_at: approver.now.to_string(),
        until: approver.now.plus(approver.window).to_string(),
        changes: plan.changes.len() as u64,
    }
}

/// Adds a line to the file of approvals, durably. What a crash left of a line is closed first, so that it cannot spoil
/// this one.
pub fn append(path: &Path, approval: &Approval) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(approval)?;
    line.push(b'\n');
    append_lines(path, &line)
}

/// Adds whole lines to a file, durably.
pub(super) fn append_lines(path: &Path, lines: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let mut line = Vec::new();
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.push(b'\n');
        }
    }
    line.extend_from_slice(lines);
    file.write_all(&line)?;
    file.sync_all()?;
    // A new file is there after a crash only once its folder says so.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the approvals of a file: those that can be read, and the lines (from 1) that cannot.
pub fn read(text: &str) -> (Vec<Approval>, Vec<usize>) {
    let (mut approvals, mut broken) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<Approval>(line) {
            Ok(approval) if approval.schema == APPROVAL_SCHEMA => approvals.push(approval),
            _ if line.trim().is_empty() => {}
            _ => broken.push(number + 1),
        }
    }
    (approvals, broken)
}
