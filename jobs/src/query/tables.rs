//! Which tables the configuration has, and why others are not there.

use std::sync::Arc;

use centinel_engine::query::{OpenArchive, QueryError, Tables};
use centinel_outlet::archive::Location;

use super::{audits, breaker, findings};
use crate::config::Config;
use crate::exit::Status;
use crate::folders::Folders;
use crate::plan;

/// All tables. Nothing of them is opened yet.
pub fn tables(config: &Config) -> Result<Result<Tables, QueryError>, Status> {
    let mut tables = Tables::default();
    match &config.findings_store {
        Some(store) => findings::add_tables(&mut tables, store),
        None => {
            let why = "the configuration names no store of findings: add `store = \"findings.db\"` to [findings], and take \
                       them in by `centinel findings list`";
            tables.lack("findings", why);
            tables.lack("finding_entries", why);
        }
    }
    match &config.breaker {
        Some(served) => breaker::add_tables(&mut tables, &served.service.store),
        None => {
            for name in ["trips", "holds", "releases"] {
                tables.lack(
                    name,
                    "the configuration serves no breaker: name the configuration that has [breaker]",
                );
            }
        }
    }
    match config.audits.is_empty() {
        false => audits::add_audits(&mut tables, config),
        true => {
            for name in ["audit_runs", "audit_findings"] {
                tables.lack(name, "the configuration has no [audits.<name>]");
            }
        }
    }
    match config.drills.is_empty() {
        false => audits::add_drills(&mut tables, config),
        true => tables.lack("drill_runs", "the configuration has no [drills.<name>]"),
    }
    Ok(platform(config, &mut tables)?.map(|()| tables))
}

/// The platform's tables, as the schemas describe them.
fn platform(config: &Config, tables: &mut Tables) -> Result<Result<(), QueryError>, Status> {
    let detects = !config.sources.is_empty();
    if !detects {
        tables.lack(
            "state",
            "the configuration has no [sources], so no state is kept",
        );
    }
    if config.archive.is_none() {
        tables.lack(
            "archive",
            "the configuration has no [archive], so changes are not kept",
        );
    }
    if !detects && config.archive.is_none() {
        return Ok(Ok(()));
    }
    let catalog = Folders::catalog_of(&config.schemas)?;
    if detects && let Err(error) = tables.add_state(&catalog, &config.state) {
        return Ok(Err(error));
    }
    if config.archive.is_some() {
        let config = config.clone();
        // Secrets are read when a query names the archive.
        let open: OpenArchive = Arc::new(move || {
            let options = plan::archive(&config).map_err(|problem| problem.to_string())?;
            let options = options.ok_or("the configuration has no [archive]")?;
            Location::open(&options.location, &options.store_options)
        });
        return Ok(tables.add_archive(&catalog, &open));
    }
    Ok(Ok(()))
}
