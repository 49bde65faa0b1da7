//! `centinel repair approve`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use centinel_engine::audit::{AuditOptions, Snapshot};
use centinel_engine::repair::{
    Approver, Changes, PlanInput, RepairOptions, RepairPlan, announce, announcement,
    append_approval, approval, judged_by, refusals,
};
use centinel_model::Duration;
use clap::Args;

use super::{digest_of_schemas, now, text_of};
use crate::audit::{environment, wanted_in_audits};
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{Printer, complain, explain};

/// Which plan is approved, by whom and why.
#[derive(Args, Clone, Debug)]
pub struct ApproveArguments {
    #[command(flatten)]
    folders: Folders,
    /// The plan, as `repair plan --out` wrote it
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Who approves it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Why a plan is approved that is not safe
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
    /// How long the plan may take to be carried out
    #[arg(long, value_name = "SPAN", value_parser = Duration::parse, default_value = "24h")]
    window: Duration,
    /// The file that approvals are added to; by default approvals.jsonl beside the plan
    #[arg(long, value_name = "FILE")]
    approvals: Option<PathBuf>,
    /// The change log that tells detection what is going to be done; the source that `plans` of a guarded table names
    /// reads it
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,
    /// Where the snapshot lies now, if not where it lay
    #[arg(long, value_name = "DIR-or-URL")]
    snapshot: Option<String>,
}

/// Records an approval, or says why there is none.
pub fn run(arguments: &ApproveArguments) -> ExitCode {
    match arguments.run() {
        Ok(status) | Err(status) => status.into(),
    }
}

impl ApproveArguments {
    fn run(&self) -> Result<Status, Status> {
        let text = text_of(&self.plan).map_err(|error| {
            let problem = format!("{error}; name the plan that `repair plan --out` wrote");
            self.refuse(&problem, Status::WrongUsage)
        })?;
        let plan =
            RepairPlan::read(&text).map_err(|problem| self.refuse(&problem, Status::Findings))?;
        let (catalog, rules) = self.folders.load()?;
        let rules = wanted_in_audits(&rules.rules, &plan.judged_by.only).map_err(|problems| {
            problems.iter().for_each(explain);
            Status::Findings
        })?;
        let location = self.snapshot.as_deref().unwrap_or(&plan.snapshot.location);
        let snapshot = Snapshot::open(location, &environment())
            .map_err(|error| self.refuse(&error, Status::CouldNotJudge))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let cut = plan
            .cut()
            .map_err(|problem| self.refuse(&problem, Status::Findings))?;
        let approver = Approver {
            by: self.by.clone(),
            reason: self.reason.clone(),
            despite: self.despite.clone(),
            window: self.window,
            now: now(),
        };
        let snapshot = Arc::new(snapshot);
        let schemas_digest = digest_of_schemas(&self.folders.schemas)?;
        let by_now = judged_by(&PlanInput {
            catalog: &catalog,
            schemas_digest: &schemas_digest,
            rules: &rules,
            only: &plan.judged_by.only,
            snapshot: &snapshot,
            changes: &Changes::default(),
            options: &RepairOptions {
                audit: AuditOptions {
                    cut,
                    ..AuditOptions::default()
                },
                now: approver.now,
            },
        });
        let refused = refusals(&catalog, &plan, &snapshot, &by_now, &approver, threads);
        if !refused.is_empty() {
            for reason in refused {
                complain(format_args!("not approved: {reason}"));
            }
            return Ok(Status::Findings);
        }
        // Its time begins now, not when the snapshot began to be read again.
        let approver = Approver {
            now: now(),
            ..approver
        };
        let file = self.approvals();
        let approval = approval(&plan, &self.plan, &approver);
        append_approval(&file, &approval).map_err(|error| {
            complain(format_args!(
                "error: {} cannot be written: {error}",
                file.display()
            ));
            Status::CouldNotJudge
        })?;
        if let Some(file) = &self.announce {
            let announcement = announcement(&catalog, &plan, &approval);
            announce(file, &announcement).map_err(|error| {
                complain(format_args!(
                    "error: {} cannot be written: {error}; the plan is approved and not announced: approve it again",
                    file.display()
                ));
                Status::CouldNotJudge
            })?;
            for table in &announcement.silent {
                complain(format_args!(
                    "note: changes of `{table}` are not announced: its schema has no guard with `plans`"
                ));
            }
        }
        let mut printer = Printer::stdout();
        printer.line(format_args!(
            "approved: plan {} by {}, to be carried out until {} ({})",
            &plan.id[..16.min(plan.id.len())],
            approval.by,
            approval.until,
            file.display()
        ));
        Ok(printer.finish(Status::Clean))
    }

    fn approvals(&self) -> PathBuf {
        match &self.approvals {
            Some(file) => file.clone(),
            None => self.plan.with_file_name("approvals.jsonl"),
        }
    }

    fn refuse(&self, problem: &dyn std::fmt::Display, status: Status) -> Status {
        complain(format_args!("error: {}: {problem}", self.plan.display()));
        status
    }
}
