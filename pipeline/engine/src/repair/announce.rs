//! An approved plan → lines of the change log, which tell detection what is going to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use centinel_catalog::{Catalog, planned_name};
use centinel_model::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::approval::{Approval, append_lines};
use super::plan::{PlannedChange, RepairPlan};

/// In microseconds.
const SECOND: i64 = 1_000_000;

/// What is announced of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// One line for each planned change of a table whose plans are announced, and one more where a row leads elsewhere
    /// afterwards.
    pub lines: Vec<String>,
    /// The tables of the others.
    pub silent: BTreeSet<String>,
}

/// The beginning of the message ids by which the changes of an approved plan are announced.
pub fn announced_as(approval: &Approval) -> String {
    let id = approval.plan.get(..16).unwrap_or(&approval.plan);
    let at = Timestamp::parse(&approval.approved_at).map_or(0, |at| at.0);
    format!("{id}-{at}/")
}

/// From when on changes are explained by an approval: the second in which it was given, because some logs know commit
/// times in whole seconds only.
pub fn approved_from(approval: &Approval) -> Timestamp {
    let at = Timestamp::parse(&approval.approved_at).map_or(0, |at| at.0);
    Timestamp(at - at.rem_euclid(SECOND))
}

/// What is announced when a plan is approved.
pub fn announcement(catalog: &Catalog, plan: &RepairPlan, approval: &Approval) -> Announcement {
    let mut announcement = Announcement::default();
    let prefix = announced_as(approval);
    for (number, change) in plan.changes.iter().enumerate() {
        let table = catalog.table_id(&change.table);
        match table.and_then(|table| catalog.planned_for(table)) {
            Some(_) => {
                let id = format!("{prefix}{number}");
                let lines = &mut announcement.lines;
                lines.push(line(change, &change.belongs, approval, &id));
                // Where the row leaves its entity, its history there has the change as well.
                let before = belonged(change);
                if before != change.belongs {
                    lines.push(line(change, &before, approval, &format!("{id}-")));
                }
            }
            None => {
                announcement.silent.insert(change.table.clone());
            }
        }
    }
    announcement
}

/// Adds the lines to a change log that detection reads, durably.
pub fn announce(path: &Path, announcement: &Announcement) -> std::io::Result<()> {
    let lines = announcement.lines.iter().map(|line| format!("{line}\n"));
    append_lines(path, lines.collect::<String>().as_bytes())
}

/// By what the row of an update is found before it.
fn belonged(change: &PlannedChange) -> BTreeMap<String, Json> {
    let mut belonged = change.belongs.clone();
    for (name, value) in &mut belonged {
        if let Some(old) = change.old.get(name) {
            value.clone_from(old);
        }
    }
    belonged
}

fn line(
    change: &PlannedChange,
    belongs: &BTreeMap<String, Json>,
    approval: &Approval,
    id: &str,
) -> String {
    let sets: String = change.new.keys().map(|name| format!(",{name}")).collect();
    let mut after: Map<String, Json> = belongs.clone().into_iter().collect();
    let own = [
        ("plan_id", approval.plan.clone()),
        ("approved_by", approval.by.clone()),
        ("approved_at", approved_from(approval).to_string()),
        ("due_at", approval.until.clone()),
        ("operation", change.operation.clone()),
        ("sets", sets + ","),
    ];
    after.extend(own.map(|(name, value)| (name.to_owned(), value.into())));
    for (image, values) in [("before", &change.old), ("after", &change.new)] {
        let values = values.iter();
        after.extend(values.map(|(name, value)| (format!("{image}_{name}"), value.clone())));
    }
    json!({
        "event": planned_name(&change.table),
        "message_id": id,
        "committed_at": approval.approved_at,
        "after": after,
    })
    .to_string()
}
