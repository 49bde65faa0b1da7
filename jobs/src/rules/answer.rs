//! What a path says of a test's rows, and how that differs from what was expected.

use std::collections::BTreeMap;

use centinel_catalog::mask;
use centinel_rules::{Rule, RuleTest, compare};

/// Output columns of a rule and their values as text.
pub type Row = BTreeMap<String, Option<String>>;

/// What a path says of a test's rows.
#[derive(Debug, Default)]
pub struct Answer {
    /// The rule's violations, sensitive columns masked.
    pub rows: Vec<Row>,
    /// Entities that could not be judged, each with the reason.
    pub unjudged: Vec<String>,
}

impl Answer {
    /// Nothing where the test expects just this; otherwise the differences, a line each.
    pub fn differences(&self, rule: &Rule, test: &RuleTest) -> Option<String> {
        let unjudged = self
            .unjudged
            .iter()
            .map(|entity| format!("could not judge {entity}"));
        let expect: Vec<Row> = test.expect.iter().map(|row| masked(rule, row)).collect();
        let lines: Vec<String> = unjudged.chain(compare(&expect, &self.rows)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// An expected row as findings show it.
fn masked(rule: &Rule, row: &Row) -> Row {
    let is_sensitive = |name: &str| {
        let mut fields = rule.output.fields().iter().zip(&rule.sensitive);
        fields.any(|(field, sensitive)| field.name() == name && *sensitive)
    };
    row.iter()
        .map(|(name, value)| match is_sensitive(name) {
            true => (name.clone(), value.as_deref().map(mask)),
            false => (name.clone(), value.clone()),
        })
        .collect()
}
