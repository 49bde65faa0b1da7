//! Rules that are not entity-local: asked over whole tables, which are read as the query goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use centinel_catalog::{Catalog, EntityPath, Table};
use centinel_model::{EntityId, TableId, Timestamp};
use centinel_rules::{Rule, Session, Violations, rule_column};
use datafusion::catalog::Session as PlanningSession;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::AuditOptions;
use super::gather::Newest;
use super::input::{Input, TableInput};
use super::judge::unknown_change;
use super::key::{ByHash, hash_text, hash_texts, texts_of};
use super::links::LinkBuilder;
use super::tally::{Clock, Tally};

/// Rows that one rule may return.
const MOST_ROWS: usize = 1_000_000;
/// Batches that wait between reading a table and the query.
const WAITING_BATCHES: usize = 2;

/// Asks one rule over whole tables.
pub(crate) fn judge(
    catalog: &Arc<Catalog>,
    rule: &Arc<Rule>,
    input: &Input,
    options: &AuditOptions,
    clock: Clock,
) -> Tally {
    let mut tally = Tally::new(rule);
    match ask(catalog, rule, input, options, clock) {
        Err(reason) => tally.could_not_judge(None, reason, 0),
        Ok(violations) => {
            tally.rows_checked = rule
                .reads
                .iter()
                .filter_map(|used| Some(input.open(catalog, used.table, &[]).ok()?.rows))
                .sum();
            take(&mut tally, catalog, rule, input, &violations, clock);
        }
    }
    tally
}

fn ask(
    catalog: &Arc<Catalog>,
    rule: &Arc<Rule>,
    input: &Input,
    options: &AuditOptions,
    clock: Clock,
) -> Result<Violations, String> {
    let session = Session::new(options.memory_bytes / 2, options.threads)
        .map_err(|error| error.to_string())?;
    for id in catalog.table_ids() {
        let table = WholeTable {
            catalog: Arc::clone(catalog),
            table: id,
            entity: rule.entity,
            input: input.clone(),
            schema: catalog.table(id).rule_schema(),
            partitions: options.threads,
        };
        let name = catalog.table(id).name.as_str();
        session
            .context()
            .register_table(name, Arc::new(table))
            .map_err(|error| error.to_string())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.max(1))
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(rule.violations_over(&session, clock.as_of, MOST_ROWS))
}

fn take(
    tally: &mut Tally,
    catalog: &Arc<Catalog>,
    rule: &Rule,
    input: &Input,
    violations: &Violations,
    clock: Clock,
) {
    for unjudged in violations.unjudged() {
        tally.could_not_judge(
            Some(unjudged.entity_key.clone()),
            unjudged.reason.clone(),
            1,
        );
    }
    let asked: BTreeSet<String> = (0..violations.len())
        .filter(|row| violations.since(*row).is_none())
        .map(|row| violations.entity_key(row))
        .collect();
    let mut anchors = Anchors::default();
    if !asked.is_empty()
        && let Err(reason) = anchors.look_up(catalog, rule, input, &asked)
    {
        anchors.failed = Some(reason);
    }
    for row in 0..violations.len() {
        let anchor = match violations.since(row) {
            Some(since) => Ok(since),
            None => anchors.of(catalog, &violations.entity_key(row)),
        };
        tally.violation(catalog, violations, row, anchor, clock);
    }
}

/// The newest changes of the entities that violate a rule: a second look at its tables.
#[derive(Default)]
struct Anchors {
    by_entity: ByHash<BTreeMap<TableId, Newest>>,
    /// Of tables that do not lead to the entity: any of their rows may matter.
    of_all: Option<(TableId, Newest)>,
    failed: Option<String>,
}

impl Anchors {
    fn look_up(
        &mut self,
        catalog: &Arc<Catalog>,
        rule: &Rule,
        input: &Input,
        asked: &BTreeSet<String>,
    ) -> Result<(), String> {
        for key in asked {
            self.by_entity.insert(hash_text(key), BTreeMap::new());
        }
        for used in &rule.reads {
            let table = catalog.table(used.table);
            let Some(changed_at) = table.changed_at else {
                continue;
            };
            each_entity(
                catalog,
                input,
                used.table,
                rule.entity,
                &[changed_at],
                &mut |entity, rows, row| {
                    let times = rows.column(0);
                    let newest = match times.is_null(row) {
                        true => Newest {
                            micros: i64::MIN,
                            unknown: true,
                        },
                        false => Newest {
                            micros: micros(times, row),
                            unknown: false,
                        },
                    };
                    match entity {
                        None => {
                            let known = self.of_all.map_or(Newest::NONE, |(_, known)| known);
                            self.of_all = Some((used.table, known.and(newest)));
                        }
                        Some(hash) => {
                            if let Some(known) = self.by_entity.get_mut(&hash) {
                                let known = known.entry(used.table).or_insert(Newest::NONE);
                                *known = known.and(newest);
                            }
                        }
                    }
                },
            )?;
        }
        Ok(())
    }

    fn of(&self, catalog: &Catalog, key: &str) -> Result<Timestamp, String> {
        if let Some(reason) = &self.failed {
            return Err(reason.clone());
        }
        let of_entity = self.by_entity.get(&hash_text(key)).into_iter().flatten();
        let mut newest = Newest::NONE;
        for (table, known) in of_entity
            .map(|(table, known)| (*table, *known))
            .chain(self.of_all)
        {
            if known.unknown {
                return Err(unknown_change(catalog, table));
            }
            newest = newest.and(known);
        }
        match newest.micros {
            i64::MIN => Err("none of its rows tells when it changed".into()),
            micros => Ok(Timestamp(micros)),
        }
    }
}

fn micros(times: &ArrayRef, row: usize) -> i64 {
    times.as_primitive::<TimestampMicrosecondType>().value(row)
}

/// Walks over the rows of a table with the hashes of their entities; none for a table that does not lead to
/// the entity. Rows of no entity are passed over.
fn each_entity(
    catalog: &Arc<Catalog>,
    input: &Input,
    id: TableId,
    entity: EntityId,
    columns: &[usize],
    each: &mut dyn FnMut(Option<u128>, &RecordBatch, usize),
) -> Result<(), String> {
    let table = catalog.table(id);
    let path = table.path_to(entity);
    let keys = path.map(EntityPath::columns).unwrap_or_default();
    let mut wanted: Vec<usize> = columns.iter().chain(keys).copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let place = |column: &usize| {
        wanted
            .iter()
            .position(|known| known == column)
            .unwrap_or_default()
    };
    let key_places: Vec<usize> = keys.iter().map(place).collect();
    let asked: Vec<usize> = columns.iter().map(place).collect();
    let links = match path {
        Some(EntityPath::Through { target, .. }) => {
            Some(links_to(catalog, input, *target, entity)?)
        }
        _ => None,
    };
    let opened = input
        .open(catalog, id, &wanted)
        .map_err(|problems| problems.join("; "))?;
    for part in 0..opened.parts() {
        opened.read(part, &mut |rows| {
            let shown = rows.project(&asked).map_err(|error| error.to_string())?;
            let hashes = match path {
                Some(_) => hash_texts(&texts_of(&rows, &key_places)),
                None => Vec::new(),
            };
            for row in 0..rows.num_rows() {
                let hash = hashes.get(row).map(|hash| match &links {
                    Some(links) => links.get(*hash),
                    None => *hash,
                });
                if hash != Some(0) {
                    each(hash, &shown, row);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn links_to(
    catalog: &Arc<Catalog>,
    input: &Input,
    target: TableId,
    entity: EntityId,
) -> Result<super::links::Links, String> {
    let rows = input
        .open(catalog, target, &[])
        .map_err(|problems| problems.join("; "))?
        .rows;
    let builder = LinkBuilder::new(rows);
    let primary_key = catalog.table(target).primary_key.clone();
    let all: Vec<usize> = (0..primary_key.len()).collect();
    each_entity(
        catalog,
        input,
        target,
        entity,
        &primary_key,
        &mut |hash, rows, row| {
            let key = hash_texts(&texts_of(&rows.slice(row, 1), &all));
            builder.push(vec![(key[0], hash.unwrap_or(0))]);
        },
    )?;
    Ok(builder.finish())
}

/// A table as a whole-table query sees it: read anew for each scan, only the columns asked for.
#[derive(Clone)]
struct WholeTable {
    catalog: Arc<Catalog>,
    table: TableId,
    /// Rows without a key of this entity are left out.
    entity: EntityId,
    input: Input,
    schema: SchemaRef,
    partitions: usize,
}

impl fmt::Debug for WholeTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WholeTable({})", self.table().name)
    }
}

impl WholeTable {
    fn table(&self) -> &Table {
        self.catalog.table(self.table)
    }

    /// Indexes of the entity's key columns, if the table holds them.
    fn keys(&self) -> &[usize] {
        match self.table().path_to(self.entity) {
            Some(EntityPath::Direct { columns, .. }) => columns,
            _ => &[],
        }
    }
}

#[async_trait]
impl TableProvider for WholeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn PlanningSession,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.schema.project(&columns)?);
        let mut read: Vec<usize> = columns.iter().chain(self.keys()).copied().collect();
        read.sort_unstable();
        read.dedup();
        let input = self
            .input
            .open(&self.catalog, self.table, &read)
            .map_err(|problems| DataFusionError::Execution(problems.join("; ")))?;
        let input = Arc::new(input);
        let partitions = (0..self.partitions.max(1)).map(|first| -> Arc<dyn PartitionStream> {
            Arc::new(Partition {
                of: self.clone(),
                input: Arc::clone(&input),
                read: read.clone(),
                columns: columns.clone(),
                schema: Arc::clone(&schema),
                first,
            })
        });
        let plan = StreamingTableExec::try_new(
            Arc::clone(&schema),
            partitions.collect(),
            None,
            std::iter::empty(),
            false,
            None,
        )?;
        Ok(Arc::new(plan))
    }
}

/// Every so many parts of a table, from the first.
struct Partition {
    of: WholeTable,
    input: Arc<TableInput>,
    /// Columns that are read, rising.
    read: Vec<usize>,
    /// Columns that are handed on.
    columns: Vec<usize>,
    schema: SchemaRef,
    first: usize,
}

impl fmt::Debug for Partition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} from part {}", self.of, self.first)
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream =
            RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_BATCHES);
        let sender = stream.tx();
        let own = Partition {
            of: self.of.clone(),
            input: Arc::clone(&self.input),
            read: self.read.clone(),
            columns: self.columns.clone(),
            schema: Arc::clone(&self.schema),
            first: self.first,
        };
        stream.spawn_blocking(move || {
            for part in (own.first..own.input.parts()).step_by(own.of.partitions.max(1)) {
                let read = own.input.read(part, &mut |rows| {
                    let rows = own.ready(&rows)?;
                    // A query that ended early takes no more.
                    sender.blocking_send(Ok(rows)).map_err(|_| String::new())
                });
                match read {
                    Ok(()) => {}
                    Err(ended) if ended.is_empty() => return Ok(()),
                    Err(problem) => return Err(DataFusionError::Execution(problem)),
                }
            }
            Ok(())
        });
        stream.build()
    }
}

impl Partition {
    /// The rows that have an entity, in rule types.
    fn ready(&self, rows: &RecordBatch) -> Result<RecordBatch, String> {
        let table = self.of.table();
        let place = |column: &usize| {
            self.read
                .iter()
                .position(|known| known == column)
                .unwrap_or_default()
        };
        let nulls = |column: &usize| rows.column(place(column)).null_count() > 0;
        let rows = match self.of.keys().iter().any(nulls) {
            false => rows.clone(),
            true => {
                let keys: Vec<usize> = self.of.keys().iter().map(place).collect();
                let has_key = |row| keys.iter().all(|key| rows.column(*key).is_valid(row));
                let kept: BooleanArray =
                    (0..rows.num_rows()).map(|row| Some(has_key(row))).collect();
                filter_record_batch(rows, &kept).map_err(|error| error.to_string())?
            }
        };
        let columns: Result<Vec<ArrayRef>, _> = self
            .columns
            .iter()
            .map(|column| rule_column(&table.columns[*column], rows.column(place(column))))
            .collect();
        let columns = columns.map_err(|error| error.to_string())?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| format!("{}: {error}", table.name))
    }
}
