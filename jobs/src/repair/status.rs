//! `centinel repair status`: an approved plan beside what detection found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use centinel_engine::repair::{Approval, RepairPlan, announced_as, approved_from, read_approvals};
use centinel_model::{Finding, Timestamp, Verdict};
use centinel_rules::{GUARD_PREFIX, PLANNED_PREFIX, guard_rule_id};
use clap::Args;
use serde_json::Value;

use super::{now, text_of};
use crate::exit::Status;
use crate::findings_file::{FindingsFile, read_findings};
use crate::printer::{Printer, complain};

/// Which plan, and where detection's findings are.
#[derive(Args, Clone, Debug)]
pub struct StatusArguments {
    /// The plan, as `repair plan --out` wrote it
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// File of findings that detection writes
    #[arg(long, value_name = "FILE")]
    findings: PathBuf,
    /// The file of approvals; by default approvals.jsonl beside the plan
    #[arg(long, value_name = "FILE")]
    approvals: Option<PathBuf>,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Every change was made as planned, and the entities that it touches are as they should be.
    Verified,
    /// Something is not as planned: these findings.
    Broken(Vec<String>),
    /// Not known, or not yet: why.
    Unknown(Vec<String>),
}

/// Says what became of it.
pub fn run(arguments: &StatusArguments) -> ExitCode {
    match arguments.run() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl StatusArguments {
    fn run(&self) -> Result<Status, Status> {
        let failed = |path: &PathBuf, problem: &dyn std::fmt::Display, status: Status| {
            complain(format_args!("error: {}: {problem}", path.display()));
            status
        };
        let text = text_of(&self.plan).map_err(|error| {
            let problem = format!("{error}; name the plan that `repair plan --out` wrote");
            failed(&self.plan, &problem, Status::WrongUsage)
        })?;
        let plan = RepairPlan::read(&text)
            .map_err(|problem| failed(&self.plan, &problem, Status::CouldNotJudge))?;
        let file = self.approvals.clone();
        let file = file.unwrap_or_else(|| self.plan.with_file_name("approvals.jsonl"));
        let text = text_of(&file).map_err(|error| {
            let problem =
                format!("{error}; approve the plan first, or name the file with --approvals");
            failed(&file, &problem, Status::CouldNotJudge)
        })?;
        let (approvals, _) = read_approvals(&text);
        let Some(approval) = approvals
            .iter()
            .rev()
            .find(|approval| approval.plan == plan.id)
        else {
            let problem =
                "the plan is not approved in it; approve it, or name another file with --approvals";
            return Err(failed(&file, &problem, Status::CouldNotJudge));
        };
        let told = read_findings(&self.findings)
            .map_err(|problem| failed(&self.findings, &problem, Status::CouldNotJudge))?;
        let mut printer = Printer::stdout();
        printer.line(format_args!(
            "plan {}, approved by {} at {}, to be carried out until {}",
            plan.id.get(..16).unwrap_or(&plan.id),
            approval.by,
            approval.approved_at,
            approval.until
        ));
        let (word, reasons, status) = match outcome(&plan, approval, &told, now()) {
            Outcome::Verified => (
                "verified: every change was made as planned",
                Vec::new(),
                Status::Clean,
            ),
            Outcome::Broken(reasons) => ("broken", reasons, Status::Findings),
            Outcome::Unknown(reasons) => ("not known", reasons, Status::CouldNotJudge),
        };
        printer.line(word);
        reasons
            .iter()
            .for_each(|reason| printer.line(format_args!("  {reason}")));
        Ok(printer.finish(status))
    }
}

/// What detection told since the plan was approved, of what the plan touches.
fn outcome(plan: &RepairPlan, approval: &Approval, told: &FindingsFile, now: Timestamp) -> Outcome {
    let announced = announced_as(approval);
    let rows: BTreeSet<(String, BTreeMap<String, String>)> = plan
        .changes
        .iter()
        .map(|change| (guard_rule_id(&change.table), texts(&change.key)))
        .collect();
    let belongs = plan
        .changes
        .iter()
        .flat_map(|change| change.belongs.values());
    let keys: BTreeSet<String> = belongs.filter_map(text).collect();
    let time = |text: &String| Timestamp::parse(text).unwrap_or(Timestamp::MIN);
    let begins = approved_from(approval);
    let (mut broken, mut unknown) = (Vec::new(), Vec::new());
    for finding in told.findings.values() {
        let planned = finding.rule.starts_with(PLANNED_PREFIX);
        let concerns = if planned {
            finding
                .key
                .iter()
                .any(|(_, value)| value.starts_with(&announced))
        } else if finding.rule.starts_with(GUARD_PREFIX) {
            time(&finding.anchor) >= begins
                && rows.contains(&(finding.rule.clone(), row_of(finding, &rows)))
        } else {
            time(&finding.anchor) >= begins && keys.contains(&finding.entity_key)
        };
        if !concerns {
            continue;
        }
        let said = format!(
            "{} of {} {}",
            finding.rule, finding.entity, finding.entity_key
        );
        match finding.verdict {
            Verdict::Confirmed => broken.push(said),
            Verdict::Undetermined => unknown.push(format!("{said}: could not be judged")),
            _ => {}
        }
    }
    if !broken.is_empty() {
        return Outcome::Broken(broken);
    }
    unknown.extend(
        told.behind
            .iter()
            .map(|source| format!("source {source} is behind")),
    );
    let until = time(&approval.until);
    if now < until {
        unknown.push(format!(
            "there is time until {}; nothing is wrong so far",
            approval.until
        ));
    } else if told.ended.get(&plan.id).map(time) < Some(until) {
        unknown.push(
            "detection has not told yet that the time of the plan is over and all of it was judged; it waits as long as \
             its rules do. See whether it runs, and whether the plan was announced (`repair approve --announce`)"
                .into(),
        );
    }
    match unknown.is_empty() {
        true => Outcome::Verified,
        false => Outcome::Unknown(unknown),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn texts(values: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let values = values.iter();
    values
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}

/// The primary key of the row that was changed, as planned rows are named.
fn row_of(
    finding: &Finding,
    rows: &BTreeSet<(String, BTreeMap<String, String>)>,
) -> BTreeMap<String, String> {
    let empty = BTreeMap::new();
    let shown = finding.evidence.rows.first().unwrap_or(&empty);
    let names = rows.iter().find(|(rule, _)| *rule == finding.rule);
    let names = names.map(|(_, key)| key.keys()).into_iter().flatten();
    names
        .filter_map(|name| Some((name.clone(), shown.get(name)?.clone()?)))
        .collect()
}
