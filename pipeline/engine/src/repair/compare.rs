//! What rules say before a plan and after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_outlet::Report;
use centinel_rules::Rule;

use super::report::{ChangedViolation, Violation, Violations};

/// What names a violation: its rule, and the values of its key.
type Name = (String, Vec<(String, String)>);

/// All violations of a report, those in flight too.
pub(super) fn violations_of(
    catalog: &Catalog,
    rules: &[Arc<Rule>],
    report: &Report,
) -> BTreeMap<Name, Violation> {
    let mut all = BTreeMap::new();
    for finding in &report.findings {
        let evidence = finding.evidence.rows.first().cloned().unwrap_or_default();
        let violation = Violation {
            rule: finding.rule.clone(),
            severity: finding.severity,
            entity: finding.entity.clone(),
            entity_key: finding.entity_key.clone(),
            key: finding.key.clone(),
            amount: finding.amount.clone(),
            currency: finding.currency.clone(),
            in_flight: false,
            evidence,
            hint: finding.hint.clone(),
        };
        all.insert((finding.rule.clone(), finding.key.clone()), violation);
    }
    for flying in &report.in_flight {
        let Some(rule) = rules.iter().find(|rule| rule.id == flying.rule) else {
            continue;
        };
        let violation = Violation {
            rule: flying.rule.clone(),
            severity: rule.severity,
            entity: catalog.entity(rule.entity).name.clone(),
            entity_key: flying.entity_key.clone(),
            key: flying.key.clone(),
            amount: flying.amount.clone(),
            currency: flying.currency.clone(),
            in_flight: true,
            evidence: BTreeMap::new(),
            hint: None,
        };
        all.insert((flying.rule.clone(), flying.key.clone()), violation);
    }
    all
}

/// Tells violations apart by what the plan does to them.
pub(super) fn compare(
    before: BTreeMap<Name, Violation>,
    mut after: BTreeMap<Name, Violation>,
) -> Violations {
    let mut told = Violations::default();
    for (name, before) in before {
        match after.remove(&name) {
            None => told.fixed.push(before),
            Some(after) if after.amount == before.amount && after.currency == before.currency => {
                told.untouched.push(after);
            }
            Some(after) => told.changed.push(ChangedViolation { before, after }),
        }
    }
    told.introduced.extend(after.into_values());
    let worst_first = |left: &Violation, right: &Violation| {
        (right.severity, &left.rule, &left.key).cmp(&(left.severity, &right.rule, &right.key))
    };
    told.fixed.sort_by(worst_first);
    told.introduced.sort_by(worst_first);
    told.untouched.sort_by(worst_first);
    told.changed
        .sort_by(|left, right| worst_first(&left.after, &right.after));
    told
}
