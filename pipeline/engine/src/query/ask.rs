//! One question, until it is answered or reaches a limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::TryStreamExt;

use super::error::{QueryError, said, wrong};
use super::read_only;
use super::session::session;
use super::tables::Tables;

/// How often it is looked whether a limit is reached.
const LOOK: Duration = Duration::from_millis(20);
/// What the process may use beside the memory that the SQL engine accounts for: as much again for rows that pass through,
/// and this.
const UNACCOUNTED: usize = 512 << 20;

/// What a query may use.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// How long it may take.
    pub time: Duration,
    /// Bytes of memory, those of its answer included.
    pub memory_bytes: usize,
    /// An existing folder for temporary files, of this query alone.
    pub folder: PathBuf,
    /// Bytes of temporary files.
    pub file_bytes: u64,
    /// Rows of the answer; what is beyond is cut off, and said.
    pub rows: usize,
    /// Threads.
    pub threads: usize,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its columns. Two may have one name.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there are more rows than it may have.
    pub is_cut: bool,
}

/// Asks one statement that reads. Not for use within an asynchronous runtime. When it returns because a limit was
/// reached, a thread may still be at work: end the process soon.
///
/// # Errors
/// [`QueryError::Wrong`] where nothing was begun, else why there is no answer.
pub fn ask(tables: Tables, text: &str, limits: &QueryLimits) -> Result<Answer, QueryError> {
    let begun = Instant::now();
    let statement = text.to_owned();
    let own = limits.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(limits.threads.max(1))
        .enable_all()
        .build()
        .map_err(|error| QueryError::Failed(format!("no thread can be started: {error}")))?;
    let (send, receive) = sync_channel(1);
    let most = 2 * limits.memory_bytes + UNACCOUNTED + resident().unwrap_or(0);
    runtime.spawn(async move {
        let _ = send.send(answer(&tables, &statement, &own).await);
    });
    // No timer of the runtime: what keeps its threads busy would keep that from being heard.
    let ended = loop {
        match receive.recv_timeout(LOOK) {
            Ok(answered) => break answered,
            Err(RecvTimeoutError::Disconnected) => {
                break Err(QueryError::Failed(
                    "the SQL engine gave up over this query: write it more simply".into(),
                ));
            }
            Err(RecvTimeoutError::Timeout) if begun.elapsed() >= limits.time => {
                break Err(QueryError::Time(limits.time));
            }
            Err(RecvTimeoutError::Timeout) if resident().is_some_and(|bytes| bytes > most) => {
                break Err(QueryError::Memory {
                    bytes: limits.memory_bytes,
                    why: "for values that pass through it".into(),
                });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    runtime.shutdown_background();
    ended
}

/// Bytes of memory that this process has, where the system tells it.
fn resident() -> Option<usize> {
    let told = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

async fn answer(tables: &Tables, text: &str, limits: &QueryLimits) -> Result<Answer, QueryError> {
    let context = session(tables, limits).map_err(|error| failed(&error, limits))?;
    let state = context.state();
    let statement = read_only::parse(text)?;
    let asked = state.resolve_table_references(&statement);
    for table in asked.map_err(|error| wrong(&error))? {
        tables.check(&table)?;
    }
    let plan = state.statement_to_plan(statement).await;
    let plan = plan.map_err(|error| wrong(&error))?;
    read_only::check_plan(&plan)?;
    let plan = at_most(plan, limits.rows).map_err(|error| wrong(&error))?;
    let plan = state.optimize(&plan).map_err(|error| wrong(&error))?;
    let physical = state.query_planner().create_physical_plan(&plan, &state);
    let physical = physical.await.map_err(|error| failed(&error, limits))?;
    let schema = physical.schema();
    let stream = datafusion::physical_plan::execute_stream(physical, context.task_ctx());
    let mut stream = stream.map_err(|error| failed(&error, limits))?;
    let memory = MemoryConsumer::new("the answer").register(context.task_ctx().memory_pool());
    let (mut batches, mut rows, mut is_cut) = (Vec::new(), 0, false);
    while let Some(batch) = stream
        .try_next()
        .await
        .map_err(|error| failed(&error, limits))?
    {
        let left = limits.rows - rows;
        is_cut = batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        rows += batch.num_rows();
        if batch.num_rows() > 0 {
            let grown = memory.try_grow(bytes_of(&batch));
            grown.map_err(|error| failed(&error, limits))?;
            batches.push(batch);
        }
        if is_cut {
            break;
        }
    }
    Ok(Answer {
        schema,
        batches,
        is_cut,
    })
}

/// Bytes of a batch's own rows.
fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    let own = |column: &Arc<dyn arrow::array::Array>| {
        let own = column.to_data().get_slice_memory_size();
        own.unwrap_or_else(|_| column.get_array_memory_size())
    };
    columns.map(own).sum()
}

/// One row more than is shown tells that there are more.
fn at_most(plan: LogicalPlan, rows: usize) -> Result<LogicalPlan, DataFusionError> {
    if matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    ) {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan)
        .limit(0, Some(rows.saturating_add(1)))?
        .build()
}

/// Why a plan could not be made or did not come to its end.
fn failed(error: &DataFusionError, limits: &QueryLimits) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(why) if why.contains("disk space") => {
            QueryError::Disk {
                bytes: limits.file_bytes,
            }
        }
        DataFusionError::ResourcesExhausted(why) => QueryError::Memory {
            bytes: limits.memory_bytes,
            why: first_line(why),
        },
        _ => QueryError::Failed(said(error)),
    }
}

/// The engine lists who else has memory.
fn first_line(why: &str) -> String {
    why.lines().next().unwrap_or_default().trim().to_owned()
}
