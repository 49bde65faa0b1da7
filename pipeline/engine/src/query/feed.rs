//! Tables whose rows come from elsewhere: read on a thread of its own, a batch at a time.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

/// Batches that are read ahead of who asks for them.
const AHEAD: usize = 2;

/// Where rows of a table come from. It is read anew each time that a query reads the table, on a thread that may block.
pub trait Feed: Send + Sync {
    /// Gives all rows to `out`, batch by batch, until that says that nobody reads on. Batches hold the `wanted` columns alone
    /// (indexes into the table's, which may be none) in that order and in the table's types. What is kept beside the batches is
    /// asked of `room` first.
    ///
    /// # Errors
    /// Why it cannot be read, and what to do.
    fn read(
        &self,
        wanted: &[usize],
        room: &Room,
        out: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> std::result::Result<(), String>;
}

/// The query's memory, for who reads its rows.
#[derive(Debug)]
pub struct Room(MemoryReservation);

impl Room {
    /// Takes so many bytes more, until the table is read.
    ///
    /// # Errors
    /// When there is not so much left.
    pub fn take(&self, bytes: usize) -> std::result::Result<(), String> {
        self.0
            .try_grow(bytes)
            .map_err(|_| "too little memory to tell its rows apart: allow more (--memory)".into())
    }
}

/// A table over a [`Feed`].
pub(super) struct FeedTable {
    pub name: String,
    pub schema: SchemaRef,
    pub feed: Arc<dyn Feed>,
}

impl fmt::Debug for FeedTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FeedTable({})", self.name)
    }
}

#[async_trait]
impl TableProvider for FeedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.schema.project(&wanted)?);
        let stream = FeedStream {
            name: self.name.clone(),
            schema: Arc::clone(&schema),
            wanted,
            feed: Arc::clone(&self.feed),
        };
        let nothing_sorted = None::<LexOrdering>;
        let plan = StreamingTableExec::try_new(
            schema,
            vec![Arc::new(stream)],
            None,
            nothing_sorted,
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

struct FeedStream {
    name: String,
    schema: SchemaRef,
    wanted: Vec<usize>,
    feed: Arc<dyn Feed>,
}

impl fmt::Debug for FeedStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FeedStream({})", self.name)
    }
}

impl PartitionStream for FeedStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), AHEAD);
        let out = builder.tx();
        let (name, feed, wanted) = (
            self.name.clone(),
            Arc::clone(&self.feed),
            self.wanted.clone(),
        );
        let consumer = MemoryConsumer::new(self.name.clone());
        let room = Room(consumer.register(context.memory_pool()));
        builder.spawn_blocking(move || {
            let failed = |problem: String| DataFusionError::Execution(format!("{name}: {problem}"));
            let mut give = |batch| out.blocking_send(Ok(batch)).is_ok();
            feed.read(&wanted, &room, &mut give).map_err(failed)
        });
        builder.build()
    }
}
