//! The second half of an audit: rules are asked over each slice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use centinel_catalog::Catalog;
use centinel_model::{TableId, Timestamp};
use centinel_rules::{Evaluator, Rule, RuleOutcome, TableUse, Violations};

use super::gather::{Gathered, Newest};
use super::plan::EntityPlan;
use super::store::{OpenFiles, Store};
use super::tally::{Clock, Tally};

/// How often a rule is asked again over part of a slice, to find the entities that it cannot judge.
const MOST_RETRIES: u32 = 256;

/// One thread that judges slices of one entity.
pub(crate) struct Judge<'a> {
    pub catalog: &'a Catalog,
    pub plan: &'a EntityPlan,
    pub store: &'a Store,
    /// The plan's first place in the store.
    pub first_place: usize,
    pub evaluator: Evaluator,
    pub clock: Clock,
    /// By the evaluator's order of rules.
    pub tallies: Vec<Tally>,
}

/// Entities that these rules cannot judge.
struct SetAside {
    /// Rising.
    entities: Vec<u32>,
    rules: BTreeSet<usize>,
}

impl Judge<'_> {
    /// Judges slices until none is left.
    pub fn run(&mut self, next: &AtomicU32, judged: &(dyn Fn() + Sync)) -> Result<(), String> {
        let mut files = OpenFiles::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.store.slices() {
                return Ok(());
            }
            let mut gathered = Gathered::of(
                self.catalog,
                self.plan,
                self.store,
                self.first_place,
                number,
                &mut files,
            )?;
            self.judge(&mut gathered)?;
            judged();
        }
    }

    fn judge(&mut self, gathered: &mut Gathered) -> Result<(), String> {
        let rules: Vec<Arc<Rule>> = self.evaluator.rules().cloned().collect();
        for (tally, rule) in self.tallies.iter_mut().zip(&rules) {
            tally.rows_checked += rows_read(self.plan, rule, gathered);
        }
        let aside = self.set_aside(gathered, &rules);
        let kept: Vec<u32> = (0..gathered.slice.entity_count)
            .filter(|id| {
                !aside
                    .iter()
                    .any(|group| group.entities.binary_search(id).is_ok())
            })
            .collect();
        self.ask(gathered, &kept, &|_| true)?;
        for group in aside {
            self.ask(gathered, &group.entities, &|rule| {
                !group.rules.contains(&rule)
            })?;
        }
        Ok(())
    }

    /// Entities that some rules cannot judge, each in one group.
    fn set_aside(&mut self, gathered: &mut Gathered, rules: &[Arc<Rule>]) -> Vec<SetAside> {
        let most_rows = self.catalog.entity(self.plan.entity).max_rows;
        let mut affected: BTreeMap<u32, BTreeMap<usize, String>> = BTreeMap::new();
        for id in gathered.larger_than(most_rows) {
            let reason = format!("it has more than {most_rows} rows (max_rows of the entity)");
            let of_all = (0..rules.len()).map(|rule| (rule, reason.clone()));
            affected.entry(id).or_default().extend(of_all);
        }
        for (place, held) in self.plan.held.iter().enumerate() {
            let Some(changed_at) = self.catalog.table(held.table).changed_at else {
                continue;
            };
            for id in gathered.timeless(place) {
                let reason = unknown_change(self.catalog, held.table);
                for (index, rule) in rules.iter().enumerate() {
                    let used = rule.reads.iter().find(|used| used.table == held.table);
                    let matters =
                        |used: &TableUse| !self.clock.at_rest || used.columns.contains(&changed_at);
                    if used.is_some_and(matters) {
                        affected
                            .entry(id)
                            .or_default()
                            .entry(index)
                            .or_insert(reason.clone());
                    }
                }
            }
        }
        let mut groups: BTreeMap<BTreeSet<usize>, Vec<u32>> = BTreeMap::new();
        for (id, reasons) in affected {
            let key = gathered.slice.keys.name(id);
            groups
                .entry(reasons.keys().copied().collect())
                .or_default()
                .push(id);
            for (rule, reason) in reasons {
                self.tallies[rule].could_not_judge(Some(key.to_owned()), reason, 1);
            }
        }
        groups
            .into_iter()
            .map(|(rules, entities)| SetAside { entities, rules })
            .collect()
    }

    /// Asks rules over some entities of a slice.
    fn ask(
        &mut self,
        gathered: &mut Gathered,
        entities: &[u32],
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<(), String> {
        let as_of = self.clock.as_of;
        let outcomes = match entities.len() as u32 == gathered.slice.entity_count {
            true => self.evaluator.evaluate(&gathered.slice, &|_| as_of, wanted),
            false => {
                let slice = gathered.only(entities).map_err(|error| error.to_string())?;
                self.evaluator.evaluate(&slice, &|_| as_of, wanted)
            }
        };
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let mut retries = MOST_RETRIES;
            self.take(gathered, index, entities, outcome, &mut retries)?;
        }
        Ok(())
    }

    /// Takes in what came of a rule over these entities; where that is nothing, asks over half of them.
    fn take(
        &mut self,
        gathered: &mut Gathered,
        index: usize,
        kept: &[u32],
        outcome: RuleOutcome,
        retries: &mut u32,
    ) -> Result<(), String> {
        let reason = match outcome {
            RuleOutcome::Skipped => return Ok(()),
            RuleOutcome::Violations(violations) => {
                self.tally(gathered, index, kept, &violations);
                return Ok(());
            }
            RuleOutcome::CouldNotJudge(reason) => reason,
        };
        let key = kept
            .first()
            .map(|id| gathered.slice.keys.name(*id).to_owned());
        if kept.len() <= 1 {
            self.tallies[index].could_not_judge(key, reason, 1);
            return Ok(());
        }
        if *retries == 0 {
            let reason = format!("{reason} (with {} more entities)", kept.len() - 1);
            self.tallies[index].could_not_judge(key, reason, kept.len() as u64);
            return Ok(());
        }
        *retries -= 1;
        let as_of = self.clock.as_of;
        let (left, right) = kept.split_at(kept.len() / 2);
        for half in [left, right] {
            let slice = gathered.only(half).map_err(|error| error.to_string())?;
            let outcome = self
                .evaluator
                .evaluate(&slice, &|_| as_of, &|wanted| wanted == index)
                .swap_remove(index);
            self.take(gathered, index, half, outcome, retries)?;
        }
        Ok(())
    }

    fn tally(
        &mut self,
        gathered: &mut Gathered,
        index: usize,
        kept: &[u32],
        violations: &Violations,
    ) {
        let rule = Arc::clone(violations.rule());
        for unjudged in violations.unjudged() {
            let key = Some(unjudged.entity_key.clone());
            self.tallies[index].could_not_judge(key, unjudged.reason.clone(), 1);
        }
        for row in 0..violations.len() {
            let anchor = match violations.since(row) {
                Some(since) => Ok(since),
                None => {
                    let id = kept[violations.entity(row) as usize];
                    self.anchor(gathered, &rule, id)
                }
            };
            self.tallies[index].violation(self.catalog, violations, row, anchor, self.clock);
        }
    }

    /// The newest change of an entity in the tables that the rule reads.
    fn anchor(&self, gathered: &mut Gathered, rule: &Rule, id: u32) -> Result<Timestamp, String> {
        let places = self.plan.held.iter().enumerate();
        let read =
            places.filter(|(_, held)| rule.reads.iter().any(|used| used.table == held.table));
        let mut newest = Newest::NONE;
        for (place, held) in read {
            let known = gathered.newest(place, id);
            if known.unknown {
                return Err(unknown_change(self.catalog, held.table));
            }
            newest = newest.and(known);
        }
        match newest.micros {
            i64::MIN => Err("none of its rows tells when it changed".into()),
            micros => Ok(Timestamp(micros)),
        }
    }
}

/// What is said of an entity that has a row without a time.
pub(crate) fn unknown_change(catalog: &Catalog, table: TableId) -> String {
    let table = catalog.table(table);
    let column = table
        .changed_at
        .map(|column| table.columns[column].name.as_str())
        .unwrap_or_default();
    format!(
        "a row of {} has no {column}, so nobody knows whether more is on its way",
        table.name
    )
}

fn rows_read(plan: &EntityPlan, rule: &Rule, gathered: &Gathered) -> u64 {
    let read: BTreeSet<TableId> = rule.reads.iter().map(|used| used.table).collect();
    let places = plan
        .held
        .iter()
        .enumerate()
        .filter(|(_, held)| read.contains(&held.table));
    places.map(|(place, _)| gathered.rows(place)).sum()
}
