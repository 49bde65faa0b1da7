//! The folders that every job reads: schemas and rules.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use centinel_catalog::{Catalog, Diagnostic};
use centinel_rules::RuleSet;
use clap::Args;

use crate::exit::Status;
use crate::printer::{complain, counted, explain};
use crate::self_check::BuiltIn;

/// Where schemas and rules lie.
#[derive(Args, Clone, Debug)]
pub struct Folders {
    /// Folder of schema files
    #[arg(long, default_value = "schemas", value_name = "DIR")]
    pub schemas: PathBuf,
    /// Folder of rule files
    #[arg(long, default_value = "sql-rules", value_name = "DIR")]
    pub rules: PathBuf,
}

impl Folders {
    /// Reads both folders, or says every mistake on standard error.
    pub fn load(&self) -> Result<(Arc<Catalog>, RuleSet), Status> {
        self.load_with(None)
    }

    /// Reads both folders, and beside them what a state has of the self-check.
    pub fn load_with(&self, built_in: Option<BuiltIn>) -> Result<(Arc<Catalog>, RuleSet), Status> {
        let catalog = Folders::catalog_with(&self.schemas, built_in)?;
        let mut rules =
            centinel_rules::load(&self.rules, &catalog).map_err(|list| refuse(&list))?;
        if let Some(built_in) = built_in {
            let added = built_in.add_rule(&mut rules, &catalog);
            added.map_err(|list| refuse(&list))?;
        }
        Ok((catalog, rules))
    }

    /// Reads a folder of schemas, and beside them what a state has of the self-check.
    pub fn catalog_with(schemas: &Path, built_in: Option<BuiltIn>) -> Result<Arc<Catalog>, Status> {
        if built_in.is_none() {
            return Folders::catalog_of(schemas);
        }
        let catalog = BuiltIn::catalog(schemas).map_err(|list| refuse(&list))?;
        Ok(Arc::new(catalog))
    }

    /// Reads a folder of schemas, or says every mistake on standard error.
    pub fn catalog_of(schemas: &Path) -> Result<Arc<Catalog>, Status> {
        let catalog = centinel_catalog::load(schemas).map_err(|list| refuse(&list))?;
        Ok(Arc::new(catalog))
    }
}

/// Shows mistakes of files, each in its text.
pub fn refuse(mistakes: &[Diagnostic]) -> Status {
    for mistake in mistakes {
        explain(&mistake.rendered);
        complain("");
    }
    complain(counted(mistakes.len() as u64, "mistake", "mistakes"));
    Status::WrongUsage
}
