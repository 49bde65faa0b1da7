//! A test's rows as the tables of a snapshot through the audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use centinel_catalog::Catalog;
use centinel_engine::audit::{AuditOptions, Cut, audit_tables};
use centinel_model::TableId;
use centinel_rules::{Rule, RuleTest};

use super::answer::Answer;

/// How the rows lie in their tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Laid {
    /// As written.
    Together,
    /// The last one first, each in a batch of its own.
    Backwards,
}

/// What an audit finds.
pub fn by_audit(
    rule: &Arc<Rule>,
    catalog: &Arc<Catalog>,
    test: &RuleTest,
    laid: Laid,
) -> Result<Answer, String> {
    let tables: BTreeMap<TableId, Vec<RecordBatch>> = test
        .given
        .iter()
        .map(|(table, rows)| (*table, laid.out(rows)))
        .collect();
    let options = AuditOptions {
        // Without `as_of()` a test has no time: everything is at rest.
        cut: match rule.uses_as_of {
            true => Cut::AsOf(test.as_of),
            false => Cut::AtRest,
        },
        threads: 1,
        ..AuditOptions::default()
    };
    let report = audit_tables(catalog, &[Arc::clone(rule)], tables, &options)
        .map_err(|error| error.to_string())?;
    let unjudged = report.could_not_judge.into_iter().map(|problem| {
        let entity = problem.entity_key.unwrap_or_default();
        format!("{entity}: {}", problem.reason)
    });
    let in_flight = report.in_flight.iter().map(|each| {
        format!(
            "{}: it is in flight until {}",
            each.entity_key, each.confirmed_at
        )
    });
    Ok(Answer {
        unjudged: unjudged.chain(in_flight).collect(),
        rows: report
            .findings
            .into_iter()
            .flat_map(|finding| finding.evidence.rows)
            .collect(),
    })
}

impl Laid {
    fn out(self, rows: &RecordBatch) -> Vec<RecordBatch> {
        match self {
            Laid::Together => vec![rows.clone()],
            Laid::Backwards => (0..rows.num_rows())
                .rev()
                .map(|row| rows.slice(row, 1))
                .collect(),
        }
    }
}
