//! Which rules an audit asks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::{Catalog, Diagnostic};
use centinel_rules::{Rule, Status as Trust};
use sha2::{Digest, Sha256};

use crate::audit::wanted_in_audits;
use crate::config::{AuditConfig, Config, suggest};

/// Why an audit's rules cannot be asked.
#[derive(Debug)]
pub enum Unfit {
    /// Schemas or rules are wrong.
    Mistakes(Vec<Diagnostic>),
    /// What the configuration asks for is not there.
    Names(Vec<String>),
}

impl Unfit {
    /// Everything, for a person.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Unfit::Mistakes(list) => list
                .iter()
                .map(|mistake| mistake.rendered.clone())
                .collect(),
            Unfit::Names(lines) => lines.clone(),
        }
    }

    /// In one line.
    pub fn told(&self) -> String {
        match self {
            Unfit::Mistakes(list) => match list.first() {
                Some(first) => format!(
                    "{} mistakes, the first in {}:{}: {}",
                    list.len(),
                    first.file,
                    first.line,
                    first.problem
                ),
                None => "mistakes in schemas or rules".into(),
            },
            Unfit::Names(lines) => lines.join("; "),
        }
    }
}

/// Reads the rules of an audit: those that it names by id or tag, or all that are not drafts.
pub fn rules_of(
    config: &Config,
    audit: &AuditConfig,
    catalog: &Catalog,
) -> Result<Vec<Arc<Rule>>, Unfit> {
    let usual = [config.rules.clone()];
    let folders = match audit.folders.as_slice() {
        [] => &usual[..],
        named => named,
    };
    let mut mistakes = Vec::new();
    let mut all: BTreeMap<String, Arc<Rule>> = BTreeMap::new();
    let mut twice = Vec::new();
    for folder in folders {
        match centinel_rules::load(folder, catalog) {
            Err(list) => mistakes.extend(list),
            Ok(set) => {
                // Guarded tables bring their rules with every folder; they are for detection.
                for rule in set.rules.into_iter().filter(|rule| rule.guards.is_none()) {
                    if let Some(other) = all.insert(rule.id.clone(), Arc::clone(&rule)) {
                        twice.push(format!(
                            "error: the rule `{}` is both {} and {}; rename one of them",
                            rule.id, other.path, rule.path
                        ));
                    }
                }
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(Unfit::Mistakes(mistakes));
    }
    if !twice.is_empty() {
        return Err(Unfit::Names(twice));
    }
    let all: Vec<Arc<Rule>> = all.into_values().collect();
    chosen(&all, audit).map_err(|problems| {
        let place = format!(
            "{}:{}: audit `{}`",
            config.file.display(),
            audit.line,
            audit.name
        );
        Unfit::Names(
            problems
                .iter()
                .map(|problem| format!("{place}: {problem}"))
                .collect(),
        )
    })
}

fn chosen(all: &[Arc<Rule>], audit: &AuditConfig) -> Result<Vec<Arc<Rule>>, Vec<String>> {
    if audit.rules.is_empty() && audit.tags.is_empty() {
        return wanted_in_audits(all, &[]);
    }
    let mut problems = Vec::new();
    let mut chosen = match audit.rules.as_slice() {
        [] => Vec::new(),
        named => wanted_in_audits(all, named).unwrap_or_else(|wrong| {
            problems.extend(wrong);
            Vec::new()
        }),
    };
    let trusted = || {
        all.iter()
            .filter(|rule| rule.status != Trust::Draft && !rule.reads_history)
    };
    for tag in &audit.tags {
        let tagged: Vec<_> = trusted()
            .filter(|rule| rule.tags.contains(tag))
            .cloned()
            .collect();
        if tagged.is_empty() {
            let mut tags: Vec<&str> = trusted()
                .flat_map(|rule| &rule.tags)
                .map(String::as_str)
                .collect();
            tags.sort_unstable();
            tags.dedup();
            problems.push(format!(
                "error: no rule has the tag `{tag}`; {}",
                suggest(tag, &tags)
            ));
        }
        chosen.extend(tagged);
    }
    chosen.sort_by(|left, right| left.id.cmp(&right.id));
    chosen.dedup_by(|left, right| left.id == right.id);
    match problems.is_empty() {
        true => Ok(chosen),
        false => Err(problems),
    }
}

/// Names these rules in these versions: 16 hexadecimal digits.
pub fn version_of(rules: &[Arc<Rule>]) -> String {
    let mut hash = Sha256::new();
    for rule in rules {
        hash.update(format!("{}\0{}\0", rule.id, rule.version));
    }
    let digest = hash.finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The schemas, or every mistake in them.
pub fn catalog_of(schemas: &Path) -> Result<Arc<Catalog>, Unfit> {
    centinel_catalog::load(schemas)
        .map(Arc::new)
        .map_err(Unfit::Mistakes)
}
