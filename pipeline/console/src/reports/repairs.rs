//! Folders of repair plans, form `centinel/repair-plan/1`, and of approvals beside them, `centinel/repair-approval/1`.
//! The rows that a plan changes hold values unmasked, so they are counted here and never shown.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{is_name, lines, names};

const PLAN: &str = "centinel/repair-plan/1";
const APPROVAL: &str = "centinel/repair-approval/1";
/// A plan's file is read up to so many bytes.
const MOST_PLAN: u64 = 64 << 20;
const MOST_APPROVALS: u64 = 8 << 20;
/// Plans of a folder that are listed.
const MOST_LISTED: usize = 200;

/// A plan, tried.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    schema: String,
    /// What is approved: a hash of the plan.
    pub id: String,
    /// When it was tried.
    pub planned_at: String,
    /// What came of it.
    pub result: DryRun,
    changes: Vec<IgnoredAny>,
}

impl Plan {
    /// How many rows it changes.
    pub fn rows(&self) -> usize {
        self.changes.len()
    }
}

/// The result of a dry run: amounts in major units, sensitive values masked.
#[derive(Clone, Debug, Deserialize)]
pub struct DryRun {
    /// `safe`, `unsafe` or `could_not_judge`.
    pub verdict: String,
    /// Why it is not safe, the gravest first.
    pub reasons: Vec<String>,
    /// The moment as of which the data was judged.
    pub as_of: Option<String>,
    /// Rows that it changes, by table.
    pub rows: BTreeMap<String, RowCounts>,
    /// Entities whose rules were asked, by kind.
    pub entities: BTreeMap<String, u64>,
    /// What is wrong with the data that it touches.
    pub quality: Quality,
    /// What the rules say before and after.
    pub violations: Violations,
    /// Whose money changes.
    pub money: Money,
    /// What could not be judged.
    pub could_not_judge: Vec<Unjudged>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Rows of one table.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct RowCounts {
    /// Rows that come.
    pub inserted: u64,
    /// Rows that change.
    pub updated: u64,
    /// Rows that go.
    pub deleted: u64,
}

/// What is wrong with the data that a plan touches.
#[derive(Clone, Debug, Deserialize)]
pub struct Quality {
    /// Each.
    pub found: Vec<QualityFinding>,
}

/// One thing that is wrong with a row.
#[derive(Clone, Debug, Deserialize)]
pub struct QualityFinding {
    /// The table.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// For a person.
    pub message: String,
}

/// What rules say before and after.
#[derive(Clone, Debug, Deserialize)]
pub struct Violations {
    /// Broken before, not after.
    pub fixed: Vec<Violation>,
    /// Broken after, not before.
    pub introduced: Vec<Violation>,
    /// Broken before and after, by another amount after.
    pub changed: Vec<ChangedViolation>,
    /// Broken before and after alike.
    pub untouched: Vec<Violation>,
}

/// A rule that is broken for an entity.
#[derive(Clone, Debug, Deserialize)]
pub struct Violation {
    /// The rule.
    pub rule: String,
    /// The kind of entity.
    pub entity: String,
    /// Its key.
    pub entity_key: String,
    /// Money at risk.
    pub amount: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
}

/// A violation that stays, by another amount.
#[derive(Clone, Debug, Deserialize)]
pub struct ChangedViolation {
    /// As it was.
    pub before: Violation,
    /// As the plan leaves it.
    pub after: Violation,
}

/// Whose money a plan changes.
#[derive(Clone, Debug, Deserialize)]
pub struct Money {
    /// By table and currency, all together.
    pub totals: Vec<MoneyTotal>,
}

/// All money of one table in one currency.
#[derive(Clone, Debug, Deserialize)]
pub struct MoneyTotal {
    /// The table.
    pub table: String,
    /// The money column.
    pub column: String,
    /// Its currency.
    pub currency: String,
    /// Of the changed rows, before.
    pub before: String,
    /// Of the changed rows, after.
    pub after: String,
    /// Whether both are equal.
    pub conserved: bool,
}

/// What could not be judged.
#[derive(Clone, Debug, Deserialize)]
pub struct Unjudged {
    /// The rule, if it is one.
    #[serde(default)]
    pub rule: Option<String>,
    /// The entity's key, if it is one.
    #[serde(default)]
    pub entity_key: Option<String>,
    /// Why.
    pub reason: String,
}

/// An approval of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Approval {
    schema: String,
    /// The plan's id.
    pub plan: String,
    /// Who approved it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Why, though it is not safe.
    pub despite: Option<String>,
    /// When.
    pub approved_at: String,
    /// Until when it is to be carried out.
    pub until: String,
}

/// A plan's file in the folder.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name of the file.
    pub file: String,
    /// The plan, or why it cannot be read.
    pub plan: Result<Plan, String>,
    /// Its approvals, oldest first.
    pub approvals: Vec<Approval>,
}

/// All plans in these folders, the newest first, at most 200; and whether there are more.
///
/// # Errors
/// A folder or its approvals that are there and cannot be read.
pub fn list(folders: &[PathBuf]) -> io::Result<(Vec<Listed>, bool)> {
    let mut files = Vec::new();
    for folder in folders {
        for name in names(folder)?
            .into_iter()
            .filter(|name| name.ends_with(".json"))
        {
            let changed = std::fs::metadata(folder.join(&name)).and_then(|about| about.modified());
            files.push((changed.ok(), folder, name));
        }
    }
    files.sort_unstable_by(|left, right| right.cmp(left));
    let more = files.len() > MOST_LISTED;
    files.truncate(MOST_LISTED);
    let mut listed = Vec::new();
    for (_, folder, file) in files {
        listed.extend(one(folder, file, &approvals(folder)?));
    }
    Ok((listed, more))
}

/// One plan; none where there is no such file, or it is none.
///
/// # Errors
/// The approvals cannot be read.
pub fn plan(folders: &[PathBuf], file: &str) -> io::Result<Option<Listed>> {
    if !is_name(file) || !file.ends_with(".json") {
        return Ok(None);
    }
    let mut has = folders.iter().filter(|folder| folder.join(file).is_file());
    match has.next() {
        Some(folder) => Ok(one(folder, file.to_owned(), &approvals(folder)?)),
        None => Ok(None),
    }
}

/// What is JSON of another form is passed over: other things lie in folders, too.
fn one(folder: &Path, file: String, approvals: &[Approval]) -> Option<Listed> {
    #[derive(Deserialize)]
    struct Form {
        schema: String,
    }
    let bytes = match lines::whole(&folder.join(&file), MOST_PLAN) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Some(Listed {
                file,
                plan: Err(error.to_string()),
                approvals: Vec::new(),
            });
        }
    };
    let form = serde_json::from_slice::<Form>(&bytes).ok()?;
    if !form.schema.starts_with("centinel/repair-plan/") {
        return None;
    }
    let plan = match serde_json::from_slice::<Plan>(&bytes) {
        Ok(plan) if plan.schema == PLAN => Ok(plan),
        Ok(plan) => Err(format!(
            "its form is {}, which this program does not know",
            plan.schema
        )),
        Err(error) => Err(error.to_string()),
    };
    let own = |approval: &&Approval| plan.as_ref().is_ok_and(|plan| plan.id == approval.plan);
    let approvals = approvals.iter().filter(own).cloned().collect();
    Some(Listed {
        file,
        plan,
        approvals,
    })
}

fn approvals(folder: &Path) -> io::Result<Vec<Approval>> {
    let lines = lines::tail(&folder.join("approvals.jsonl"), MOST_APPROVALS)?;
    let read = lines
        .iter()
        .filter_map(|line| serde_json::from_slice::<Approval>(line).ok());
    Ok(read.filter(|line| line.schema == APPROVAL).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"schema":"centinel/repair-plan/1","id":"abc","planned_at":"2026-11-22T08:00:00Z","snapshot":{},"judged_by":{},"changes":[{"table":"refund","new":{"card":"6222"}},{}],"result":{"verdict":"unsafe","reasons":["one"],"as_of":null,"at_rest":true,"age":null,"cuts":{},"rows":{"refund":{"inserted":0,"updated":2,"deleted":0}},"entities":{"order":2},"quality":{"counts":{},"found":[]},"violations":{"fixed":[],"introduced":[],"changed":[],"untouched":[]},"money":{"moved":[],"totals":[]},"could_not_judge":[],"notes":[]}}"#;

    #[test]
    fn plans_are_listed_with_their_approvals_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("none"), folder.path().to_owned()];
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("plan.json", TEXT);
        write("newer.json", &TEXT.replace("plan/1", "plan/9"));
        write("other.json", r#"{"schema":"snapshot/1"}"#);
        write("no.json", "no");
        let approval = r#"{"schema":"centinel/repair-approval/1","plan":"abc","file":"plan.json","verdict":"unsafe","by":"Li Wei","reason":null,"despite":"ticket","approved_at":"a","until":"b","changes":2}"#;
        write("approvals.jsonl", &format!("{approval}\nhalf"));
        let (listed, more) = list(&folders).unwrap();
        assert!(!more);
        assert_eq!(listed.len(), 2);
        let one = listed.iter().find(|one| one.file == "plan.json").unwrap();
        assert_eq!(one.plan.as_ref().unwrap().rows(), 2);
        assert_eq!(one.approvals[0].by, "Li Wei");
        let newer = listed.iter().find(|one| one.file == "newer.json").unwrap();
        assert!(newer.plan.as_ref().unwrap_err().contains("plan/9"));
        assert!(plan(&folders, "../plan.json").unwrap().is_none());
        assert!(plan(&folders, "plan.json").unwrap().is_some());
    }
}
