//! An approved plan → lines of the change log, which tell detection what is going to be done.

use std::collections::BTreeSet;
use std::path::Path;

use centinel_catalog::{Catalog, planned_name};
use centinel_model::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::approval::{Approval, append_lines};
use super::plan::{PlannedChange, RepairPlan};

/// What is announced of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// One line for each planned change of a table whose plans are announced.
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

/// What is announced when a plan is approved.
pub fn announcement(catalog: &Catalog, plan: &RepairPlan, approval: &Approval) -> Announcement {
    let mut announcement = Announcement::default();
    let prefix = announced_as(approval);
    for (number, change) in plan.changes.iter().enumerate() {
        let table = catalog.table_id(&change.table);
        match table.and_then(|table| catalog.planned_for(table)) {
            Some(_) => {
                let id = format!("{prefix}{number}");
                announcement.lines.push(line(change, approval, &id));
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

fn line(change: &PlannedChange, approval: &Approval, id: &str) -> String {
    let sets: String = change.new.keys().map(|name| format!(",{name}")).collect();
    let mut after: Map<String, Json> = change.belongs.clone().into_iter().collect();
    let own = [
        ("plan_id", approval.plan.clone()),
        ("approved_by", approval.by.clone()),
        ("approved_at", approval.approved_at.clone()),
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
