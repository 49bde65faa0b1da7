//! The first half of an audit: each table is read once and its rows are split by entity.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId, Timestamp};
use centinel_outlet::WithoutEntity;

use super::input::TableInput;
use super::key::{hash_texts, texts_of};
use super::links::{LinkBuilder, Links};
use super::plan::{EntityPlan, TablePlan};
use super::store::Store;
use super::{Progress, Stage};

/// What the program takes for itself, and for decoding.
const PROGRAM_BYTES: usize = 128 << 20;

/// What went wrong with one table.
pub(crate) struct TableProblem {
    pub table: TableId,
    pub problem: String,
}

/// What was read, split by entity.
pub(crate) struct ReadTables {
    pub store: Store,
    pub without_entity: Vec<WithoutEntity>,
}

/// Reads tables into slices.
pub(crate) struct Reading<'a> {
    pub catalog: &'a Arc<Catalog>,
    pub plans: &'a [EntityPlan],
    /// With their inputs, the targets of links before the tables that link to them.
    pub tables: Vec<(TablePlan, TableInput)>,
    /// As of when a row without an entity is overdue; none where nothing is waited for.
    pub as_of: Option<Timestamp>,
    pub threads: usize,
    pub memory_bytes: usize,
    pub slice_rows: u64,
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// The links that are known so far, by target table and entity.
type KnownLinks = BTreeMap<(TableId, EntityId), Links>;

/// Rows left out, for one table and entity.
#[derive(Default)]
struct LeftOut {
    null_keys: AtomicU64,
    unresolved: AtomicU64,
    overdue: AtomicU64,
}

/// One table while it is read.
struct OneTable<'a> {
    reading: &'a Reading<'a>,
    plan: &'a TablePlan,
    links: &'a KnownLinks,
    builders: Vec<(EntityId, LinkBuilder)>,
    left_out: Vec<(EntityId, LeftOut)>,
    store: &'a Store,
}

impl Reading<'_> {
    /// Reads everything, or tells which table failed.
    pub fn run(&self) -> Result<ReadTables, Vec<TableProblem>> {
        let total: u64 = self.tables.iter().map(|(_, input)| input.rows).sum();
        let store = Store::new(self.places(), self.slices(total), self.room());
        let done = AtomicU64::new(0);
        let mut links = KnownLinks::new();
        let mut without_entity = Vec::new();
        for (plan, input) in &self.tables {
            let mut one = OneTable::new(self, plan, input.rows, &links, &store);
            let failed = one.read(input, &|rows| {
                let done = done.fetch_add(rows, Ordering::Relaxed) + rows;
                (self.progress)(Progress {
                    stage: Stage::Reading,
                    done,
                    total,
                });
            });
            if let Some(problem) = failed {
                return Err(vec![TableProblem {
                    table: plan.table,
                    problem,
                }]);
            }
            without_entity.extend(one.without_entity());
            for (entity, builder) in std::mem::take(&mut one.builders) {
                let known = builder.finish();
                if known.ambiguous > 0 {
                    let table = self.catalog.table(plan.table);
                    let problem = format!(
                        "{}: {} rows repeat a primary key with another {}, so links to them lead nowhere certain; mend the data",
                        table.name,
                        known.ambiguous,
                        self.catalog.entity(entity).name
                    );
                    return Err(vec![TableProblem {
                        table: plan.table,
                        problem,
                    }]);
                }
                links.insert((plan.table, entity), known);
            }
        }
        Ok(ReadTables {
            store,
            without_entity,
        })
    }

    fn places(&self) -> usize {
        self.plans.iter().map(|plan| plan.held.len()).sum()
    }

    fn slices(&self, rows: u64) -> u32 {
        rows.div_ceil(self.slice_rows.max(1)).clamp(1, 1 << 14) as u32
    }

    /// Bytes of rows that may stay in memory: what links and the work on slices leave.
    fn room(&self) -> usize {
        let links = self
            .tables
            .iter()
            .map(|(plan, input)| Links::bytes(input.rows) * plan.target_for.len());
        (self.memory_bytes / 4 * 3)
            .saturating_sub(links.sum::<usize>() + PROGRAM_BYTES)
            .max(self.memory_bytes / 16)
    }
}

impl<'a> OneTable<'a> {
    fn new(
        reading: &'a Reading<'a>,
        plan: &'a TablePlan,
        rows: u64,
        links: &'a KnownLinks,
        store: &'a Store,
    ) -> OneTable<'a> {
        let builders = plan
            .target_for
            .iter()
            .map(|entity| (*entity, LinkBuilder::new(rows)));
        let left_out = reading
            .plans
            .iter()
            .filter(|entity| entity.held.iter().any(|held| held.table == plan.table))
            .map(|entity| (entity.entity, LeftOut::default()));
        OneTable {
            reading,
            plan,
            links,
            builders: builders.collect(),
            left_out: left_out.collect(),
            store,
        }
    }

    /// Reads all parts; the first problem, if there is one.
    fn read(&self, input: &TableInput, rows_done: &(dyn Fn(u64) + Sync)) -> Option<String> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<String>> = Mutex::default();
        let work = || loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= input.parts() {
                return;
            }
            let read = input.read(part, &mut |rows| {
                self.take_in(&rows)?;
                rows_done(rows.num_rows() as u64);
                Ok(())
            });
            if let Err(problem) = read {
                next.store(input.parts(), Ordering::Relaxed);
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(problem);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.reading.threads.min(input.parts()) {
                scope.spawn(work);
            }
            work();
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, rows: &RecordBatch) -> Result<(), String> {
        let table = self.reading.catalog.table(self.plan.table);
        let mut hashes: BTreeMap<EntityId, Vec<u128>> = BTreeMap::new();
        let mut first_place = 0;
        for plan in self.reading.plans {
            for (place, held) in plan.held.iter().enumerate() {
                if held.table != self.plan.table {
                    continue;
                }
                let (of_rows, texts) = self.entities(&held.path, rows, plan.entity);
                self.count_left_out(plan.entity, &held.path, rows, &of_rows);
                let mut columns: Vec<ArrayRef> = held
                    .columns
                    .iter()
                    .map(|column| Arc::clone(rows.column(self.column(*column))))
                    .collect();
                for (column, index) in columns.iter().zip(&held.columns) {
                    let declared = &table.columns[*index];
                    let wanted = !declared.nullable
                        && held.changed_at.map(|at| held.columns[at]) != Some(*index);
                    if wanted && column.null_count() > 0 {
                        return Err(format!(
                            "{}: column {} holds nulls",
                            table.name, declared.name
                        ));
                    }
                }
                columns.extend(texts);
                self.store.push(first_place + place, &columns, &of_rows)?;
                hashes.insert(plan.entity, of_rows);
            }
            first_place += plan.held.len();
        }
        if self.builders.is_empty() {
            return Ok(());
        }
        let keys: Vec<usize> = table
            .primary_key
            .iter()
            .map(|column| self.column(*column))
            .collect();
        let keys = hash_texts(&texts_of(rows, &keys));
        for (entity, builder) in &self.builders {
            if let Some(of_rows) = hashes.get(entity) {
                builder.push(keys.iter().copied().zip(of_rows.iter().copied()).collect());
            }
        }
        Ok(())
    }

    /// The hash of each row's entity, 0 where it has none, and the key's text where the table holds it.
    fn entities(
        &self,
        path: &EntityPath,
        rows: &RecordBatch,
        entity: EntityId,
    ) -> (Vec<u128>, Option<ArrayRef>) {
        let columns: Vec<usize> = path
            .columns()
            .iter()
            .map(|column| self.column(*column))
            .collect();
        let texts = texts_of(rows, &columns);
        let hashes = hash_texts(&texts);
        match path {
            EntityPath::Direct { .. } => (hashes, Some(Arc::new(texts))),
            EntityPath::Through { target, .. } => {
                let Some(links) = self.links.get(&(*target, entity)) else {
                    return (vec![0; hashes.len()], None);
                };
                (
                    hashes.into_iter().map(|link| links.get(link)).collect(),
                    None,
                )
            }
        }
    }

    fn count_left_out(
        &self,
        entity: EntityId,
        path: &EntityPath,
        rows: &RecordBatch,
        hashes: &[u128],
    ) {
        let Some((_, left_out)) = self.left_out.iter().find(|(known, _)| *known == entity) else {
            return;
        };
        let table = self.reading.catalog.table(self.plan.table);
        let columns = path.columns();
        let expected = columns.iter().all(|column| table.columns[*column].nullable);
        let changed = table.changed_at.and_then(|column| {
            let place = self
                .plan
                .columns
                .iter()
                .position(|known| *known == column)?;
            rows.column(place)
                .as_primitive_opt::<TimestampMicrosecondType>()
        });
        for (row, _) in hashes.iter().enumerate().filter(|(_, hash)| **hash == 0) {
            let null = columns
                .iter()
                .any(|column| rows.column(self.column(*column)).is_null(row));
            if null && expected {
                continue;
            }
            let counter = if null {
                &left_out.null_keys
            } else {
                &left_out.unresolved
            };
            counter.fetch_add(1, Ordering::Relaxed);
            let since = changed
                .filter(|changed| changed.is_valid(row))
                .map(|changed| Timestamp(changed.value(row)));
            let overdue = match (self.reading.as_of, since) {
                (None, _) => true,
                (Some(as_of), Some(since)) => since.plus(table.link_patience) <= as_of,
                (Some(_), None) => false,
            };
            left_out
                .overdue
                .fetch_add(u64::from(overdue), Ordering::Relaxed);
        }
    }

    fn column(&self, column: usize) -> usize {
        let place = self.plan.columns.iter().position(|known| *known == column);
        place.expect("a table's plan holds every column that its entities' plans name")
    }

    fn without_entity(&self) -> Vec<WithoutEntity> {
        let catalog = self.reading.catalog;
        let told = self
            .left_out
            .iter()
            .map(|(entity, left_out)| WithoutEntity {
                table: catalog.table(self.plan.table).name.clone(),
                entity: catalog.entity(*entity).name.clone(),
                null_keys: left_out.null_keys.load(Ordering::Relaxed),
                unresolved: left_out.unresolved.load(Ordering::Relaxed),
                overdue: left_out.overdue.load(Ordering::Relaxed),
            });
        told.filter(|told| told.null_keys + told.unresolved > 0)
            .collect()
    }
}
