//! The leaf of kept plans: reads whatever slice is current.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{SchemaRef, UInt32Type};
use async_trait::async_trait;
use centinel_catalog::Catalog;
use centinel_model::{EntityId, TableId};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};

use crate::slice::{KeyForm, LayoutTable, Slice, SliceLayout, names_of, schema_of};

/// The current slice, shared by the leaves of all plans of one evaluator.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Current>>);

#[derive(Default)]
struct Current {
    slice: Option<Slice>,
    /// By table position: the batch with its key as text, once a plan asked for it.
    as_text: Vec<Option<RecordBatch>>,
}

impl Slot {
    pub fn set(&self, slice: Option<Slice>) {
        let tables = slice.as_ref().map_or(0, |slice| slice.tables.len());
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_text = vec![None; tables];
        current.slice = slice;
    }

    /// The rows of a table of the current slice.
    fn rows(&self, leaf: &Leaf) -> Result<Option<RecordBatch>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slice) = &current.slice else {
            return Err(DataFusionError::Execution("no slice is current".into()));
        };
        let Some(Some(batch)) = slice.tables.get(leaf.position) else {
            return Ok(None);
        };
        let (KeyForm::Text, Some(key)) = (leaf.form, leaf.key) else {
            return Ok(Some(batch.clone()));
        };
        if let Some(Some(ready)) = current.as_text.get(leaf.position) {
            return Ok(Some(ready.clone()));
        }
        let mut columns = batch.columns().to_vec();
        let ids = columns[key].as_primitive::<UInt32Type>();
        let wanted = leaf.held.field(key).data_type();
        columns[key] = names_of(ids, slice.keys.as_ref(), wanted)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let ready = RecordBatch::try_new_with_options(Arc::clone(&leaf.held), columns, &options)?;
        current.as_text[leaf.position] = Some(ready.clone());
        Ok(Some(ready))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}

/// A table as the planner sees it: with all its columns, of which a slice holds those that plans read.
#[derive(Debug)]
pub(crate) struct SliceTable {
    slot: Slot,
    /// Its place in slices, where it has one: a rule may name a table of which its plan needs nothing.
    held_as: Option<(usize, LayoutTable)>,
    form: KeyForm,
    /// The layout's columns, keys in this form.
    held: SchemaRef,
    /// All columns, keys in this form.
    schema: SchemaRef,
}

impl SliceTable {
    pub fn new(
        slot: &Slot,
        layout: &SliceLayout,
        catalog: &Catalog,
        id: TableId,
        entity: EntityId,
        form: KeyForm,
    ) -> SliceTable {
        let table = catalog.table(id);
        let held_as = layout
            .position(id)
            .map(|position| (position, layout.tables[position].clone()));
        let held = held_as
            .as_ref()
            .map(|(_, layout)| layout.columns.as_slice())
            .unwrap_or_default();
        let all: Vec<usize> = (0..table.columns.len()).collect();
        SliceTable {
            slot: slot.clone(),
            held: schema_of(table, held, entity, form),
            schema: schema_of(table, &all, entity, form),
            held_as,
            form,
        }
    }
}

#[async_trait]
impl TableProvider for SliceTable {
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
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let missing =
            || DataFusionError::Plan("the slice does not hold what the plan reads".into());
        let (position, layout) = self.held_as.as_ref().ok_or_else(missing)?;
        let place = |column: &usize| layout.columns.iter().position(|held| held == column);
        let columns: Option<Vec<usize>> = wanted.iter().map(place).collect();
        let schema = Arc::new(self.schema.project(&wanted)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Arc::new(Leaf {
            slot: self.slot.clone(),
            position: *position,
            key: layout.key,
            form: self.form,
            held: Arc::clone(&self.held),
            columns: columns.ok_or_else(missing)?,
            schema,
            properties: Arc::new(properties),
        }))
    }
}

/// Reads some columns of one table of the current slice.
#[derive(Debug)]
struct Leaf {
    slot: Slot,
    position: usize,
    key: Option<usize>,
    form: KeyForm,
    held: SchemaRef,
    columns: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Leaf {
    fn fmt_as(&self, _kind: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(
            out,
            "Slice: table {}, columns [{}]",
            self.position,
            names.join(", ")
        )
    }
}

impl ExecutionPlan for Leaf {
    fn name(&self) -> &str {
        "Slice"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    /// Holds no state of a run.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = match self.slot.rows(self)? {
            None => Vec::new(),
            Some(rows) => {
                let columns = self
                    .columns
                    .iter()
                    .map(|index| Arc::clone(rows.column(*index)))
                    .collect();
                let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
                vec![RecordBatch::try_new_with_options(
                    Arc::clone(&self.schema),
                    columns,
                    &options,
                )?]
            }
        };
        Ok(Box::pin(MemoryStream::try_new(
            batches,
            Arc::clone(&self.schema),
            None,
        )?))
    }
}
