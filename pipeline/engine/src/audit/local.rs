//! Entity-local rules: tables read into slices, slices judged side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use centinel_model::EntityId;
use centinel_rules::{Evaluator, Limits, Rule};

use super::judge::Judge;
use super::plan::{EntityPlan, tables_of};
use super::read::{ReadTables, Reading, TableProblem};
use super::store::Store;
use super::tally::{Clock, Tally};
use super::{Audit, Progress, Stage};
use crate::EngineError;

/// A rule gets this much memory however little there is.
const LEAST_RULE_BYTES: usize = 16 << 20;

/// The rules of one entity, compiled once for each thread.
struct Compiled {
    plan: EntityPlan,
    evaluators: Vec<Evaluator>,
}

impl Audit<'_> {
    /// Judges entity-local rules over slices. The inner error names tables that failed while they were read:
    /// nothing was judged then.
    pub(super) fn judge_local(
        &mut self,
        rules: &[Arc<Rule>],
        clock: Clock,
        tallies: &mut BTreeMap<String, Tally>,
    ) -> Result<Result<(), Vec<TableProblem>>, EngineError> {
        let mut by_entity: BTreeMap<EntityId, Vec<Arc<Rule>>> = BTreeMap::new();
        for rule in rules {
            by_entity
                .entry(rule.entity)
                .or_default()
                .push(Arc::clone(rule));
        }
        let (mut plans, mut evaluators) = (Vec::new(), Vec::new());
        for (entity, rules) in by_entity {
            let compiled = self.compile(entity, &rules)?;
            plans.push(compiled.plan);
            evaluators.push(compiled.evaluators);
        }
        let read = match self.read(&plans, clock)? {
            Ok(read) => read,
            Err(problems) => return Ok(Err(problems)),
        };
        self.report.without_entity = read.without_entity;
        let total = u64::from(read.store.slices()) * plans.len() as u64;
        let done = AtomicU64::new(0);
        let mut first_place = 0;
        for (plan, evaluators) in plans.iter().zip(evaluators) {
            let found =
                self.judge_entity(plan, evaluators, &read.store, first_place, clock, &|| {
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    (self.progress)(Progress {
                        stage: Stage::Judging,
                        done,
                        total,
                    });
                })?;
            for (id, tally) in found {
                if let Some(known) = tallies.get_mut(&id) {
                    known.merge(tally);
                }
            }
            first_place += plan.held.len();
        }
        if read.store.spilled() {
            self.report.notes.push(
                "the snapshot is larger than the memory limit: rows waited in temporary files"
                    .into(),
            );
        }
        Ok(Ok(()))
    }

    fn compile(&self, entity: EntityId, rules: &[Arc<Rule>]) -> Result<Compiled, EngineError> {
        let threads = self.options.threads.max(1);
        let limits = Limits {
            memory_bytes: (self.options.memory_bytes / 4 / threads).max(LEAST_RULE_BYTES),
            ..Limits::default()
        };
        let compile = || Evaluator::with_limits(self.catalog, rules.to_vec(), entity, limits);
        let evaluators: Result<Vec<Evaluator>, _> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(compile)).collect();
            let mut evaluators = vec![compile()];
            evaluators.extend(others.into_iter().filter_map(|other| other.join().ok()));
            evaluators.into_iter().collect()
        });
        let evaluators = evaluators.map_err(|error| EngineError::Rules(error.to_string()))?;
        let layout = evaluators[0].layout().clone();
        let plan = EntityPlan::new(self.catalog, entity, layout, &BTreeSet::new())?;
        Ok(Compiled { plan, evaluators })
    }

    fn read(
        &self,
        plans: &[EntityPlan],
        clock: Clock,
    ) -> Result<Result<ReadTables, Vec<TableProblem>>, EngineError> {
        let (mut tables, mut problems) = (Vec::new(), Vec::new());
        for plan in tables_of(self.catalog, plans)? {
            let table = plan.table;
            match self.input.open(self.catalog, table, &plan.columns) {
                Ok(input) => tables.push((plan, input)),
                Err(found) => problems.extend(
                    found
                        .into_iter()
                        .map(|problem| TableProblem { table, problem }),
                ),
            }
        }
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        let reading = Reading {
            catalog: self.catalog,
            plans,
            tables,
            as_of: (!clock.at_rest).then_some(clock.as_of),
            threads: self.options.threads.max(1),
            memory_bytes: self.options.memory_bytes,
            slice_rows: self.options.slice_rows,
            progress: self.progress,
        };
        Ok(reading.run())
    }

    fn judge_entity(
        &self,
        plan: &EntityPlan,
        evaluators: Vec<Evaluator>,
        store: &Store,
        first_place: usize,
        clock: Clock,
        judged: &(dyn Fn() + Sync),
    ) -> Result<BTreeMap<String, Tally>, EngineError> {
        let next = AtomicU32::new(0);
        let judges = evaluators.into_iter().map(|evaluator| Judge {
            catalog: self.catalog,
            plan,
            store,
            first_place,
            tallies: evaluator.rules().map(Tally::new).collect(),
            evaluator,
            clock,
        });
        let judges: Vec<Judge<'_>> = judges.take(store.slices() as usize).collect();
        let done: Vec<Result<Vec<Tally>, String>> = std::thread::scope(|scope| {
            let workers: Vec<_> = judges
                .into_iter()
                .map(|mut judge| {
                    let next = &next;
                    scope.spawn(move || judge.run(next, judged).map(|()| judge.tallies))
                })
                .collect();
            let died = |_| Err("a thread of the audit died".to_owned());
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(died))
                .collect()
        });
        let mut found: BTreeMap<String, Tally> = BTreeMap::new();
        for tallies in done {
            for tally in tallies.map_err(EngineError::Rules)? {
                match found.get_mut(tally.rule_id()) {
                    Some(known) => known.merge(tally),
                    None => {
                        found.insert(tally.rule_id().to_owned(), tally);
                    }
                }
            }
        }
        Ok(found)
    }
}
