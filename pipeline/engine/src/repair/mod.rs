//! The audit before a repair: what someone means to change, tried on a snapshot before it touches money.
//!
//! A plan is a set of row changes, read from a file ([`form`]) or evaluated from simple SQL ([`sql`]). The rows that it
//! names are looked up, and the entities that they touch before and after ([`rows`]); all rows of these entities are
//! read, and nothing else ([`reader`], [`slices`]). The quality of what is touched is examined ([`quality`]), the rules
//! are asked before and after ([`dry_run`], [`compare`]), the money that moves is added up ([`money`]). What came of it
//! is a file with a hash ([`plan`](mod@plan)) that a person approves ([`approval`]).
//!
//! What could not be judged is never safe.

mod announce;
mod approval;
mod change;
mod compare;
mod dry_run;
mod form;
mod identity;
mod money;
mod needed;
mod plan;
mod quality;
mod reader;
mod report;
mod rows;
mod slices;
mod sql;
mod value;

use std::sync::Arc;

use centinel_catalog::Catalog;

pub use announce::{Announcement, announce, announced_as, announcement, approved_from};
pub use approval::{
    APPROVAL_SCHEMA, Approval, Approver, append as append_approval, approval,
    read as read_approvals, refusals,
};
pub use change::{Changes, MOST_CHANGES, Mistake, Planned, RowChange, Unfit};
pub use dry_run::{RepairOptions, Stage};
pub use form::{read_changes, read_text};
pub use identity::{FileIdentity, SnapshotIdentity};
pub use plan::{
    JudgedBy, PLAN_SCHEMA, PlanInput, PlannedChange, RepairPlan, judged_by, plan, plan_told,
};
pub use report::{
    ChangedViolation, DryRun, Money, MoneyTotal, Moved, Quality, QualityFinding, QualityKind,
    RowCounts, Unjudged, Verdict, Violation, Violations,
};
pub use sql::{Script, ScriptError};
pub use value::Value;

use crate::audit::{AuditOptions, Snapshot};

/// What statements change, over the rows of a snapshot. Not for use within an asynchronous runtime.
pub fn evaluate(
    catalog: &Arc<Catalog>,
    snapshot: &Arc<Snapshot>,
    script: &Script,
    options: &AuditOptions,
) -> Result<Changes, ScriptError> {
    let threads = options.threads.max(1);
    let reader = reader::Reader::new(catalog, snapshot, threads, options.memory_bytes / 2);
    script.evaluate(&reader)
}
