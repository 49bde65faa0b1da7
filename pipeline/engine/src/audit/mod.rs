//! The audit of a snapshot.
//!
//! Each table is read once, only the columns that rules use, and its rows are split by a hash of their
//! entity's key into slices ([`read`], [`store`]). Links are resolved before that ([`links`]). Then each slice
//! is put together, its entities numbered ([`gather`]), and all rules are asked over it ([`judge`]). Rules that
//! are not entity-local are asked over whole tables ([`whole`]).
//!
//! What could not be judged stands in the report beside what was found; it is never taken for clean.

mod concat;
mod figures;
mod fit;
mod gather;
mod input;
mod judge;
mod key;
mod links;
mod local;
mod options;
mod plan;
mod read;
mod snapshot;
mod store;
mod tally;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use centinel_catalog::Catalog;
use centinel_model::{TableId, Timestamp};
use centinel_outlet::{CouldNotJudge, Report, TableFigures};
use centinel_rules::Rule;

pub use options::{AuditOptions, Cut, Progress, Stage};
pub use snapshot::Snapshot;

use crate::EngineError;
pub(crate) use fit::normalised;
pub(crate) use input::{Input, Overlaid, Pick, Replaced, TableInput};
pub(crate) use key::{ByHash, hash_text, hash_texts, texts_of};
pub(crate) use plan::{link_targets, needed_by};
use read::TableProblem;
pub(crate) use tally::Clock;
use tally::Tally;

/// Audits a snapshot by these rules, whatever their status. Not for use within an asynchronous runtime.
///
/// What cannot be judged is told in the report: an error is only what keeps the audit from starting.
pub fn audit(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    snapshot: &Arc<Snapshot>,
    options: &AuditOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, EngineError> {
    Audit::new(
        catalog,
        Input::Snapshot(Arc::clone(snapshot)),
        options,
        progress,
    )
    .run(rules)
}

/// Audits tables in memory, in the same way; their batches are of the storage schema
/// ([`centinel_catalog::Table::storage_schema`]), and a table that is not given has no rows.
pub fn audit_tables(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    tables: BTreeMap<TableId, Vec<RecordBatch>>,
    options: &AuditOptions,
) -> Result<Report, EngineError> {
    Audit::new(catalog, Input::Tables(Arc::new(tables)), options, &|_| ()).run(rules)
}

/// As of when a snapshot is judged by these rules. The report has the remarks about it, or why it cannot be told.
pub(crate) fn clock_of(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    snapshot: &Arc<Snapshot>,
    options: &AuditOptions,
) -> (Option<Clock>, Report) {
    let input = Input::Snapshot(Arc::clone(snapshot));
    let mut audit = Audit::new(catalog, input, options, &|_| ());
    let clock = audit.clock(rules);
    (clock, audit.report)
}

/// Audits an input as of a moment that is known already.
pub(crate) fn audit_as_of(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    input: Input,
    options: &AuditOptions,
    clock: Clock,
) -> Result<Report, EngineError> {
    let mut audit = Audit::new(catalog, input, options, &|_| ());
    audit.known_clock = Some(clock);
    audit.run(rules)
}

struct Audit<'a> {
    catalog: &'a Arc<Catalog>,
    input: Input,
    options: &'a AuditOptions,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// As of when to judge, where that is known before.
    known_clock: Option<Clock>,
    report: Report,
}

impl<'a> Audit<'a> {
    fn new(
        catalog: &'a Arc<Catalog>,
        input: Input,
        options: &'a AuditOptions,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Audit<'a> {
        Audit {
            catalog,
            input,
            options,
            progress,
            known_clock: None,
            report: Report::default(),
        }
    }

    fn run(mut self, rules: &[Arc<Rule>]) -> Result<Report, EngineError> {
        let mut rules = rules.to_vec();
        rules.sort_by(|left, right| left.id.cmp(&right.id));
        rules.dedup_by(|left, right| left.id == right.id);
        let clock = self.known_clock.or_else(|| self.clock(&rules));
        let mut tallies: BTreeMap<String, Tally> = rules
            .iter()
            .map(|rule| (rule.id.clone(), Tally::new(rule)))
            .collect();
        let mut able = match clock {
            Some(clock) => self.able(&rules, clock, &mut tallies),
            None => Vec::new(),
        };
        // A table that fails while it is read takes its rules along; the others are judged without it.
        while let Some(clock) = clock.filter(|_| able.iter().any(|rule| rule.locality.is_local())) {
            let local: Vec<Arc<Rule>> = able
                .iter()
                .filter(|rule| rule.locality.is_local())
                .cloned()
                .collect();
            match self.judge_local(&local, clock, &mut tallies)? {
                Ok(()) => break,
                Err(problems) => {
                    let before = able.len();
                    self.give_up(&mut able, &problems, &mut tallies);
                    if able.len() == before {
                        return Err(EngineError::Snapshot(
                            problems
                                .into_iter()
                                .map(|problem| problem.problem)
                                .collect(),
                        ));
                    }
                }
            }
        }
        if let Some(clock) = clock {
            for rule in able.iter().filter(|rule| !rule.locality.is_local()) {
                let found = whole::judge(self.catalog, rule, &self.input, self.options, clock);
                tallies.insert(rule.id.clone(), found);
            }
        }
        if self.options.totals {
            self.add_up();
        }
        for tally in tallies.into_values() {
            self.report.rules.push(tally.summary());
            self.report.findings.extend(tally.findings);
            self.report.in_flight.extend(tally.in_flight);
            self.report.could_not_judge.extend(tally.unjudged);
        }
        self.report.sort();
        Ok(self.report)
    }

    /// Fills in the totals of the tables that could be opened.
    fn add_up(&mut self) {
        let mut tables = std::mem::take(&mut self.report.tables);
        for table in &mut tables {
            match figures::totals(self.catalog, &self.input, &table.table) {
                Ok(totals) => table.totals = totals,
                Err(problem) => {
                    let reason = format!("the totals of {}: {problem}", table.table);
                    self.unjudged(None, reason);
                }
            }
        }
        self.report.tables = tables;
    }

    /// As of when the data is judged; none where nothing tells, which the report then says.
    fn clock(&mut self, rules: &[Arc<Rule>]) -> Option<Clock> {
        let tables: BTreeSet<TableId> = rules
            .iter()
            .flat_map(|rule| needed_by(self.catalog, rule))
            .collect();
        let names: Vec<&str> = tables
            .iter()
            .map(|table| self.catalog.table(*table).name.as_str())
            .collect();
        let told = match &self.input {
            Input::Snapshot(snapshot) => snapshot.cut(&names),
            Input::Overlaid(overlaid) => overlaid.snapshot.cut(&names),
            Input::Tables(_) => Ok(None),
        };
        let at_rest = self.options.cut == Cut::AtRest;
        let as_of = match (self.options.cut, told) {
            (Cut::AsOf(as_of), told) => {
                if let Ok(Some(cut)) = told
                    && cut < as_of
                {
                    self.report.notes.push(format!(
                        "as of {as_of}, but the snapshot was cut at {cut}: what came between is not in it"
                    ));
                }
                as_of
            }
            (_, Ok(Some(cut))) => cut,
            (Cut::AtRest, _) => Timestamp::LATEST,
            (Cut::Manifest, told) => {
                let why = told.err().unwrap_or_else(|| {
                    "the snapshot has no manifest.json that tells its cut".into()
                });
                let reason = format!(
                    "{why}; say --as-of TIME, or --at-rest if nothing is on its way any more"
                );
                self.unjudged(None, reason);
                return None;
            }
        };
        self.report.as_of = (as_of < Timestamp::LATEST).then(|| as_of.to_string());
        self.report.at_rest = at_rest;
        Some(Clock { as_of, at_rest })
    }

    /// The rules whose tables are all there and fit; what is wrong with the others is told.
    fn able(
        &mut self,
        rules: &[Arc<Rule>],
        clock: Clock,
        tallies: &mut BTreeMap<String, Tally>,
    ) -> Vec<Arc<Rule>> {
        let mut columns: BTreeMap<TableId, BTreeSet<usize>> = BTreeMap::new();
        for rule in rules {
            for table in needed_by(self.catalog, rule) {
                let wanted = columns.entry(table).or_default();
                let declared = self.catalog.table(table);
                wanted.extend(declared.changed_at);
                let path = declared.path_to(rule.entity);
                wanted.extend(path.into_iter().flat_map(|path| path.columns()));
            }
            for used in &rule.reads {
                columns.entry(used.table).or_default().extend(&used.columns);
            }
        }
        let mut problems = Vec::new();
        for (table, columns) in columns {
            let columns: Vec<usize> = columns.into_iter().collect();
            match self.input.open(self.catalog, table, &columns) {
                Ok(opened) => self.report.tables.push(TableFigures {
                    table: self.catalog.table(table).name.clone(),
                    rows: opened.rows,
                    ..TableFigures::default()
                }),
                Err(found) => problems.extend(
                    found
                        .into_iter()
                        .map(|problem| TableProblem { table, problem }),
                ),
            }
        }
        let mut able = rules.to_vec();
        if !clock.at_rest {
            self.refuse_timeless(&mut able, tallies);
        }
        self.give_up(&mut able, &problems, tallies);
        able
    }

    /// Without the time of changes nobody knows what is in flight.
    fn refuse_timeless(&self, able: &mut Vec<Arc<Rule>>, tallies: &mut BTreeMap<String, Tally>) {
        able.retain(|rule| {
            let timeless = rule.reads.iter().map(|used| self.catalog.table(used.table));
            let timeless = timeless.filter(|table| table.changed_at.is_none());
            let names: Vec<&str> = timeless.map(|table| table.name.as_str()).collect();
            if names.is_empty() || rule.since.is_some() {
                return true;
            }
            let reason = format!(
                "the schema of {} names no changed_at, so nobody knows what is on its way; name it, or say --at-rest",
                names.join(", ")
            );
            if let Some(tally) = tallies.get_mut(&rule.id) {
                tally.could_not_judge(None, reason, 0);
            }
            false
        });
    }

    /// Tells the problems of tables, and drops the rules that need them.
    fn give_up(
        &mut self,
        able: &mut Vec<Arc<Rule>>,
        problems: &[TableProblem],
        tallies: &mut BTreeMap<String, Tally>,
    ) {
        for problem in problems {
            self.unjudged(Some(&problem.problem), String::new());
        }
        let broken: BTreeSet<TableId> = problems.iter().map(|problem| problem.table).collect();
        able.retain(|rule| {
            let needed = needed_by(self.catalog, rule);
            let names: Vec<&str> = needed
                .intersection(&broken)
                .map(|table| self.catalog.table(*table).name.as_str())
                .collect();
            if names.is_empty() {
                return true;
            }
            if let Some(tally) = tallies.get_mut(&rule.id) {
                tally.could_not_judge(None, format!("it needs {}", names.join(", ")), 0);
            }
            false
        });
    }

    fn unjudged(&mut self, problem: Option<&str>, reason: String) {
        let reason = problem.map(str::to_owned).unwrap_or(reason);
        self.report.could_not_judge.push(CouldNotJudge {
            rule: None,
            entity_key: None,
            reason,
        });
    }
}
