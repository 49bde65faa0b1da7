//! What rules need of a snapshot, and which of its tables cannot give it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use centinel_catalog::Catalog;
use centinel_model::TableId;
use centinel_rules::Rule;

use crate::audit::{Input, Snapshot, TableInput, needed_by};

/// Columns by table, by their indexes.
pub(super) type ColumnsOf = BTreeMap<TableId, BTreeSet<usize>>;

/// The columns that rules need, and the tables that lack some of them or cannot be read.
pub(super) struct Needed<'a> {
    catalog: &'a Arc<Catalog>,
    snapshot: &'a Arc<Snapshot>,
    columns: ColumnsOf,
    broken: BTreeSet<TableId>,
    /// What was found since it was taken.
    problems: Vec<String>,
}

impl<'a> Needed<'a> {
    /// Opens every table of these rules.
    pub fn open(
        catalog: &'a Arc<Catalog>,
        snapshot: &'a Arc<Snapshot>,
        rules: &[Arc<Rule>],
    ) -> Needed<'a> {
        let mut columns = ColumnsOf::new();
        for rule in rules {
            for id in needed_by(catalog, rule) {
                let table = catalog.table(id);
                let wanted = columns.entry(id).or_default();
                wanted.extend(table.changed_at);
                wanted.extend(&table.primary_key);
                let path = table.path_to(rule.entity);
                wanted.extend(path.into_iter().flat_map(|path| path.columns()));
            }
            for used in &rule.reads {
                columns.entry(used.table).or_default().extend(&used.columns);
            }
        }
        let mut needed = Needed {
            catalog,
            snapshot,
            columns,
            broken: BTreeSet::new(),
            problems: Vec::new(),
        };
        for id in needed.columns.keys().copied().collect::<Vec<_>>() {
            if let Err(problems) = needed.open_table(id) {
                needed.found(id, problems);
            }
        }
        needed
    }

    fn open_table(&self, id: TableId) -> Result<TableInput, Vec<String>> {
        let columns = self.columns.get(&id).into_iter().flatten();
        let columns: Vec<usize> = columns.copied().collect();
        Input::Snapshot(Arc::clone(self.snapshot)).open(self.catalog, id, &columns)
    }

    fn found(&mut self, id: TableId, problems: Vec<String>) {
        if !problems.is_empty() {
            self.broken.insert(id);
            self.problems.extend(problems);
        }
    }

    /// Unpacks every page of the needed columns but of those that were read to their ends already. Says whether all are
    /// whole.
    pub fn check_pages(&mut self, read: &ColumnsOf, threads: usize) -> bool {
        let known = self.broken.len();
        for (id, columns) in self.columns.clone() {
            let done = read.get(&id);
            let wanted = |column: usize| done.is_none_or(|done| !done.contains(&column));
            if self.broken.contains(&id) || !columns.iter().any(|column| wanted(*column)) {
                continue;
            }
            let problems = match self.open_table(id) {
                Err(problems) => problems,
                Ok(input) => check(&input, &wanted, threads),
            };
            self.found(id, problems);
        }
        self.broken.len() == known
    }

    /// What was found wrong since the last time.
    pub fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    /// The tables that a rule needs and that cannot be read, by name.
    pub fn missing(&self, rule: &Rule) -> Vec<&'a str> {
        let needed = needed_by(self.catalog, rule);
        let missing = needed.intersection(&self.broken);
        missing
            .map(|id| self.catalog.table(*id).name.as_str())
            .collect()
    }
}

/// What is wrong with the pages of a table, side by side.
fn check(
    input: &TableInput,
    wanted: &(dyn Fn(usize) -> bool + Sync),
    threads: usize,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let problems: Mutex<Vec<String>> = Mutex::default();
    let work = || loop {
        let part = next.fetch_add(1, Ordering::Relaxed);
        if part >= input.parts() {
            return;
        }
        if let Err(problem) = input.check_pages(part, wanted) {
            problems
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(problem);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(input.parts()) {
            scope.spawn(work);
        }
        work();
    });
    problems
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}
