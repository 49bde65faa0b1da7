//! What a running detection can say of its sources and rules, for those who look on.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{Hole, HoleReason, SourceId};
use centinel_rules::{Rule, Spent};

use super::detector::Detector;

/// What is known of one source since the detector was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// Changes that were read.
    pub changes: u64,
    /// Whether it is told to be behind.
    pub behind: bool,
}

impl Detector {
    /// The schemas in force.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Each source, in the order of the catalog.
    pub fn source_facts(&self) -> &[SourceFacts] {
        &self.source_facts
    }

    /// The rules in force, and what asking them took since the detector was made.
    pub fn rules(&self) -> impl Iterator<Item = (&Arc<Rule>, Spent)> {
        self.groups.iter().flat_map(|group| {
            let spent = group.spent().iter().copied();
            group.rules.iter().map(|judged| &judged.rule).zip(spent)
        })
    }

    /// By rule id: why a rule is not asked of rows that come now.
    pub fn suspended(&self) -> BTreeMap<String, String> {
        let mut suspended = BTreeMap::new();
        for (table, column) in self.drifts.open_columns() {
            let Some(id) = self.catalog.table_id(&table) else {
                continue;
            };
            let index = self.catalog.table(id).column_index(&column);
            for (rule, _) in self.rules() {
                let reads = rule.reads.iter().filter(|used| used.table == id);
                let mut columns = reads.flat_map(|used| &used.columns);
                if columns.any(|used| Some(*used) == index) {
                    suspended.entry(rule.id.clone()).or_insert_with(|| {
                        format!("the schema of `{table}` has drifted: rows come without `{column}`")
                    });
                }
            }
        }
        suspended
    }

    /// Records that could not be read since the detector was made, by source where that is known, and by reason.
    pub fn unread(&self) -> impl Iterator<Item = (Option<&str>, HoleReason, u64)> {
        let kinds = self.unread.iter();
        kinds.map(|((source, reason), count)| {
            let source = source.map(|source| self.catalog.source(source));
            (source, *reason, *count)
        })
    }

    pub(super) fn count_unread(&mut self, hole: &Hole) {
        *self.unread.entry((hole.source, hole.reason)).or_default() += 1;
    }

    pub(super) fn note_behind(&mut self, source: SourceId, behind: bool) {
        if let Some(facts) = self.source_facts.get_mut(usize::from(source.0)) {
            facts.behind = behind;
        }
    }
}
