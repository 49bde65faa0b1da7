//! What a rule reads, whether it is local, and its plan, for a person.

use std::fmt::Write;
use std::sync::Arc;

use centinel_catalog::Catalog;

use crate::locality::Locality;
use crate::rule::Rule;
use crate::{Evaluator, RulesError};

/// A page of text about a rule.
pub fn explain(rule: &Arc<Rule>, catalog: &Catalog) -> Result<String, RulesError> {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, rule, catalog);
    if rule.locality.is_local() {
        let evaluator = Evaluator::new(catalog, vec![Arc::clone(rule)], rule.entity)?;
        page.push_str("plan over slices:\n");
        for line in evaluator.shown_plan(0).lines() {
            page.push_str("  ");
            page.push_str(line);
            page.push('\n');
        }
    }
    Ok(page)
}

fn write_page(page: &mut String, rule: &Rule, catalog: &Catalog) -> std::fmt::Result {
    writeln!(page, "{} ({})\n  {}", rule.id, rule.version, rule.title)?;
    writeln!(page, "entity: {}", catalog.entity(rule.entity).name)?;
    writeln!(page, "reads:")?;
    for used in &rule.reads {
        let table = catalog.table(used.table);
        let columns: Vec<&str> = used
            .columns
            .iter()
            .map(|index| table.columns[*index].name.as_str())
            .collect();
        writeln!(page, "  {}: {}", table.name, columns.join(", "))?;
    }
    let triggers: Vec<&str> = rule
        .triggers
        .iter()
        .map(|id| catalog.table(*id).name.as_str())
        .collect();
    writeln!(
        page,
        "asked again when these change: {}",
        triggers.join(", ")
    )?;
    match &rule.locality {
        Locality::Local => writeln!(page, "local: yes, it is answered slice by slice")?,
        Locality::NotLocal { reason, line } => {
            let place = line
                .map(|line| format!(" (line {line})"))
                .unwrap_or_default();
            writeln!(page, "local: no{place}: {reason}")?;
        }
    }
    match &rule.time_bounds {
        Ok(bounds) => {
            for bound in bounds {
                let table = catalog.table(bound.table);
                let column = &table.columns[bound.column].name;
                writeln!(
                    page,
                    "asked again {} after {}.{column}",
                    bound.offset, table.name
                )?;
            }
        }
        Err(reason) => writeln!(page, "time: {reason}")?,
    }
    match rule.detection() {
        Ok(_) => writeln!(
            page,
            "detection: yes, confirmed {} after the last change",
            rule.patience()
        ),
        Err(_) => writeln!(page, "detection: no, audits only"),
    }
}
