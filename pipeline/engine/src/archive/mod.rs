//! The audit of the archive: the tables as they were at a moment, rebuilt from all changes up to then.
//!
//! Manifests are read in order until every source that the rules depend on has been archived up to that moment
//! ([`manifests`]); their files are looked at ([`verify`]), and each table's changes are folded to its rows
//! ([`fold`]); what comes of it is a snapshot, which is audited as any other.
//!
//! What happened to one entity is read from the same files ([`history_of`]).

mod fold;
mod history_of;
mod manifests;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{TableId, Timestamp};
use centinel_outlet::archive::Location;
use centinel_outlet::{CouldNotJudge, Report};
use centinel_rules::Rule;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::EngineError;
use crate::audit::{AuditOptions, Cut, Progress, Snapshot, audit, needed_by};
use fold::Fold;
pub use history_of::{ArchivePlace, history_in_archive};

pub(crate) use manifests::{Segments, are_whole};
pub(crate) use verify::Promised;

/// Which moment of which archive is audited.
#[derive(Clone, Debug)]
pub struct ArchiveCut {
    /// The archive's folder or URL ([`Location::open`]).
    pub location: String,
    /// Options of the object store, such as the environment's variables.
    pub store_options: Vec<(String, String)>,
    /// The moment, on the sources' clocks; what was committed then is included.
    pub at: Timestamp,
}

/// Audits the tables as they were at a moment. Not for use within an asynchronous runtime. Files of the size of
/// these tables are written into the system's temporary folder and removed afterwards; `options.cut` is not
/// heeded.
///
/// An error where the archive cannot tell that moment: a source has not been archived so far, a segment is
/// missing or damaged, or it was written under schemas whose rows cannot be read under these.
pub fn audit_archive(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    archive: &ArchiveCut,
    options: &AuditOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, EngineError> {
    let needed = |rules: &[Arc<Rule>]| -> BTreeSet<TableId> {
        let tables = rules.iter().flat_map(|rule| needed_by(catalog, rule));
        tables.collect()
    };
    let tables = needed(rules);
    let folder = tempfile::Builder::new()
        .prefix("centinel-archive-")
        .tempdir();
    let folder = folder.map_err(|error| {
        EngineError::Archive(format!("no temporary folder can be made: {error}"))
    })?;
    let segments =
        rebuild(catalog, rules, &tables, archive, options, folder.path()).map_err(|problem| {
            EngineError::Archive(format!("the archive cannot be judged: {problem}"))
        })?;
    let snapshot = Snapshot::open(&folder.path().display().to_string(), &[])?;
    let options = AuditOptions {
        cut: Cut::AsOf(archive.at),
        ..*options
    };
    // Where rows from before detection may be missing, a rule could find what is not so.
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for rule in rules {
        let horizon = segments.horizon(catalog, &needed(std::slice::from_ref(rule)), archive.at);
        match horizon.or_else(|| segments.lacking(catalog, rule, archive.at)) {
            None => able.push(Arc::clone(rule)),
            Some(reason) => unable.push((Some(rule.id.clone()), reason)),
        }
    }
    let mut report = audit(catalog, &able, &Arc::new(snapshot), &options, progress)?;
    let unread = segments.unread(catalog, &needed(&able), archive.at);
    unable.extend(unread.into_iter().map(|reason| (None, reason)));
    for (rule, reason) in unable {
        report.could_not_judge.push(CouldNotJudge {
            rule,
            entity_key: None,
            reason,
        });
    }
    report.sort();
    Ok(report)
}

fn rebuild(
    catalog: &Catalog,
    rules: &[Arc<Rule>],
    tables: &BTreeSet<TableId>,
    archive: &ArchiveCut,
    options: &AuditOptions,
    folder: &Path,
) -> Result<Segments, String> {
    let judged = rules
        .iter()
        .map(|rule| catalog.entity(rule.entity).name.clone());
    let judged: Vec<String> = judged.collect();
    let location = Location::open(&archive.location, &archive.store_options)?;
    let runtime = runtime(options.threads).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let segments = Segments::read(&location, catalog, tables, &judged, archive.at).await?;
        let fold = Fold::new(&location, archive.at, options).map_err(|error| error.to_string())?;
        let mut rows = BTreeMap::new();
        for id in tables {
            let table = catalog.table(*id);
            let files = segments.files(&location, table, archive.at).await?;
            let folded = fold.table(table, &files, folder).await;
            let count = folded.map_err(|error| format!("{}: {error}", table.name))?;
            rows.insert(table.name.clone(), TableRows { rows: count });
        }
        write_manifest(folder, archive.at, rows)?;
        Ok(segments)
    })
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .enable_all()
        .build()
}

#[derive(Serialize)]
struct SnapshotManifest {
    centinel: &'static str,
    as_of: String,
    tables: BTreeMap<String, TableRows>,
}

#[derive(Serialize)]
struct TableRows {
    rows: u64,
}

fn write_manifest(
    folder: &Path,
    at: Timestamp,
    tables: BTreeMap<String, TableRows>,
) -> Result<(), String> {
    let manifest = SnapshotManifest {
        centinel: "snapshot/1",
        as_of: at.to_string(),
        tables,
    };
    let text = serde_json::to_vec(&manifest).map_err(|error| error.to_string())?;
    std::fs::write(folder.join("manifest.json"), text).map_err(|error| error.to_string())
}
