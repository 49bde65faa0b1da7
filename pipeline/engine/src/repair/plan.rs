//! A plan with what came of it: the file that is approved, and that detection compares with what happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::Timestamp;
use centinel_rules::Rule;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::change::{Changes, Planned, RowChange};
use super::dry_run::{RepairOptions, Stage, Tried, dry_run};
use super::identity::{SnapshotIdentity, hex, identify, unchanged};
use super::report::{DryRun, Unjudged, Verdict};
use super::rows::{Effect, Row};
use super::value::Value;
use crate::EngineError;
use crate::audit::{Cut, Snapshot};

/// The form of a plan's file. Fields may be added within a version, never changed or removed.
pub const PLAN_SCHEMA: &str = "centinel/repair-plan/1";

/// A plan, tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepairPlan {
    /// [`PLAN_SCHEMA`].
    pub schema: String,
    /// SHA-256 of everything below but `planned_at` and the snapshot's location: what is approved.
    pub id: String,
    /// When it was tried, RFC 3339.
    pub planned_at: String,
    /// The data that it was tried on.
    pub snapshot: SnapshotIdentity,
    /// What it was judged by.
    pub judged_by: JudgedBy,
    /// Every row that is to change, in order of table and key.
    pub changes: Vec<PlannedChange>,
    /// What came of it.
    pub result: DryRun,
}

/// Schemas and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBy {
    /// SHA-256 of the names and texts of all schema files.
    pub schemas: String,
    /// By rule, the first 16 hexadecimal digits of its file's SHA-256.
    pub rules: BTreeMap<String, String>,
    /// The ids of rules that were named; empty for all that are not drafts.
    pub only: Vec<String>,
    /// The moment as of which to judge, where it was said.
    pub as_of: Option<String>,
    /// Whether nothing was taken to be on its way.
    pub at_rest: bool,
}

/// One row that is to change. Values are in the unit of their column: whole numbers and booleans as such, all others as
/// text. Sensitive ones are not masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The table's name in the schemas.
    pub table: String,
    /// `insert`, `update` or `delete`.
    pub operation: String,
    /// The primary key.
    pub key: BTreeMap<String, Json>,
    /// The values before: of an update, of the columns that change; of a delete, of the whole row. Empty for an insert.
    pub old: BTreeMap<String, Json>,
    /// The values after: of an update, of the columns that change; of an insert, of the whole row. Empty for a delete.
    pub new: BTreeMap<String, Json>,
    /// By what the row is found, after the change: its keys, and the columns that name its entities and links.
    #[serde(default)]
    pub belongs: BTreeMap<String, Json>,
}

/// What a plan is tried with.
pub struct PlanInput<'a> {
    /// The schemas.
    pub catalog: &'a Arc<Catalog>,
    /// SHA-256 of the schema files.
    pub schemas_digest: &'a str,
    /// The rules to judge by.
    pub rules: &'a [Arc<Rule>],
    /// The ids of rules that were named; empty for all that are not drafts.
    pub only: &'a [String],
    /// The data.
    pub snapshot: &'a Arc<Snapshot>,
    /// What is to change.
    pub changes: &'a Changes,
    /// How to judge.
    pub options: &'a RepairOptions,
}

/// Tries a plan. What cannot be judged is told in the result; an error is only what keeps it from being tried at all.
/// Not for use within an asynchronous runtime.
pub fn plan(input: &PlanInput<'_>) -> Result<RepairPlan, EngineError> {
    plan_told(input, &|_| ())
}

/// The same; `reached` is told of each stage when it is done.
///
/// # Errors
/// As [`plan`].
pub fn plan_told(
    input: &PlanInput<'_>,
    reached: &dyn Fn(Stage),
) -> Result<RepairPlan, EngineError> {
    let threads = input.options.audit.threads.max(1);
    let (identity, stamps) = identify(input.catalog, input.snapshot, threads)
        .map_err(|problem| EngineError::Snapshot(vec![problem]))?;
    reached(Stage::Identified);
    let tried = dry_run(
        input.catalog,
        input.rules,
        input.snapshot,
        input.changes,
        input.options,
        reached,
    )?;
    let Tried {
        mut report,
        effects,
    } = tried;
    match unchanged(input.catalog, input.snapshot, &stamps) {
        Ok(true) => {}
        Ok(false) => doubt(
            &mut report,
            "the snapshot's files changed while they were read; plan again",
        ),
        Err(problem) => doubt(&mut report, &problem),
    }
    let found = |effect: &Effect| {
        let all = std::iter::once(&effect.change).chain(&effect.again);
        let before = effect.before.as_ref();
        let planned = all.map(|change| planned(input.catalog, change, before));
        planned.collect::<Vec<_>>()
    };
    let mut changes: Vec<PlannedChange> = match effects.rows.is_empty() {
        false => effects.rows.iter().flat_map(found).collect(),
        // Where the rows could not be read, the plan stands as it was given.
        true => {
            let all = input.changes.rows.iter();
            all.map(|change| planned(input.catalog, change, None))
                .collect()
        }
    };
    changes.sort_by(|left, right| (&left.table, key_of(left)).cmp(&(&right.table, key_of(right))));
    let mut plan = RepairPlan {
        schema: PLAN_SCHEMA.to_owned(),
        id: String::new(),
        planned_at: input.options.now.to_string(),
        snapshot: identity,
        judged_by: judged_by(input),
        changes,
        result: report,
    };
    plan.id = plan.identity();
    Ok(plan)
}

fn key_of(change: &PlannedChange) -> String {
    serde_json::to_string(&change.key).unwrap_or_default()
}

fn doubt(report: &mut DryRun, reason: &str) {
    report.could_not_judge.push(Unjudged {
        rule: None,
        entity_key: None,
        reason: reason.to_owned(),
    });
    report.reasons.push(reason.to_owned());
    if report.verdict == Verdict::Safe {
        report.verdict = Verdict::CouldNotJudge;
    }
}

/// What a plan would be judged by now.
pub fn judged_by(input: &PlanInput<'_>) -> JudgedBy {
    let rules = input
        .rules
        .iter()
        .map(|rule| (rule.id.clone(), rule.version.clone()));
    JudgedBy {
        schemas: input.schemas_digest.to_owned(),
        rules: rules.collect(),
        only: input.only.to_vec(),
        as_of: match input.options.audit.cut {
            Cut::AsOf(as_of) => Some(as_of.to_string()),
            _ => None,
        },
        at_rest: input.options.audit.cut == Cut::AtRest,
    }
}

fn planned(catalog: &Catalog, change: &RowChange, before: Option<&Row>) -> PlannedChange {
    let table = catalog.table(change.table);
    let name = |column: usize| table.columns[column].name.clone();
    let key = table
        .primary_key
        .iter()
        .zip(&change.key)
        .map(|(column, value)| (name(*column), value.json()));
    let pairs = |values: &BTreeMap<usize, Value>| -> BTreeMap<String, Json> {
        let values = values.iter();
        values
            .map(|(column, value)| (name(*column), value.json()))
            .collect()
    };
    let old = match (change.planned, before) {
        (Planned::Delete, Some(before)) => before
            .iter()
            .enumerate()
            .map(|(column, value)| (name(column), value.json()))
            .collect(),
        _ => pairs(&change.old),
    };
    let keyed = |column: usize| {
        let place = table.primary_key.iter().position(|key| *key == column)?;
        change.key.get(place)
    };
    let belongs = table.named_in_history().into_iter().filter_map(|column| {
        let before = before.and_then(|row| row.get(column));
        let value = change
            .new
            .get(&column)
            .or_else(|| keyed(column))
            .or(before)?;
        Some((name(column), value.json()))
    });
    PlannedChange {
        belongs: belongs.collect(),
        table: table.name.clone(),
        operation: change.planned.as_str().to_owned(),
        key: key.collect(),
        old,
        new: pairs(&change.new),
    }
}

impl RepairPlan {
    /// The hash of the plan's content, the snapshot's and the rules'. Equal plans over equal data have the same.
    pub fn identity(&self) -> String {
        let mut digest = Sha256::new();
        let mut line = |text: &str| {
            digest.update(text.as_bytes());
            digest.update(b"\n");
        };
        line(PLAN_SCHEMA);
        line(self.snapshot.manifest.as_deref().unwrap_or("-"));
        for file in &self.snapshot.files {
            line(&json(file));
        }
        line(&json(&self.judged_by));
        for change in &self.changes {
            line(&json(change));
        }
        // How old the data was depends on when it was tried, and on nothing that is approved.
        let result = DryRun {
            age: None,
            ..self.result.clone()
        };
        line(&json(&result));
        hex(digest.finalize().as_slice())
    }

    /// Reads a plan's file.
    pub fn read(text: &str) -> Result<RepairPlan, String> {
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let form: Form =
            serde_json::from_str(text).map_err(|error| format!("is not a plan: {error}"))?;
        if form.schema != PLAN_SCHEMA {
            return Err(format!(
                "`{}` is not a form that this version reads: {PLAN_SCHEMA}",
                form.schema
            ));
        }
        let plan: RepairPlan =
            serde_json::from_str(text).map_err(|error| format!("is not a plan: {error}"))?;
        match plan.identity() == plan.id {
            true => Ok(plan),
            false => Err("was changed after it was planned; plan again".into()),
        }
    }

    /// How `--as-of` and `--at-rest` were given.
    pub fn cut(&self) -> Result<Cut, String> {
        Ok(match (&self.judged_by.as_of, self.judged_by.at_rest) {
            (_, true) => Cut::AtRest,
            (Some(as_of), _) => {
                Cut::AsOf(Timestamp::parse(as_of).map_err(|error| error.to_string())?)
            }
            (None, false) => Cut::Manifest,
        })
    }
}

/// Maps are in order of their names, so equal values have equal texts.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
