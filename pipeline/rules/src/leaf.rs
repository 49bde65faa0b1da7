//! The leaf of kept plans: reads whatever slice is current.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use centinel_catalog::Catalog;
use centinel_model::TableId;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};

use crate::forms::{Form, Forms};
use crate::slice::{LayoutTable, SliceLayout};
use crate::slot::{Reading, Slot};

/// A table as the planner sees it: with all its columns, of which a slice holds those that plans read.
#[derive(Debug)]
pub(crate) struct SliceTable {
    slot: Slot,
    /// Its place in slices, where it has one: a rule may name a table of which its plan needs nothing.
    held_as: Option<(usize, LayoutTable)>,
    /// By column of the table.
    forms: Vec<Form>,
    /// The column that is the entity's key.
    key: Option<usize>,
    /// All columns in these forms.
    schema: SchemaRef,
}

impl SliceTable {
    pub fn new(
        slot: &Slot,
        layout: &SliceLayout,
        catalog: &Catalog,
        id: TableId,
        forms: &Forms,
    ) -> SliceTable {
        let held_as = layout
            .position(id)
            .map(|position| (position, layout.tables[position].clone()));
        let all: Vec<usize> = (0..catalog.table(id).columns.len()).collect();
        SliceTable {
            slot: slot.clone(),
            held_as,
            schema: forms.schema(catalog, id, &all),
            forms: all
                .iter()
                .map(|column| forms.of(catalog, id, *column))
                .collect(),
            key: forms.key(catalog, id),
        }
    }

    /// Whether slices hold the values of a column themselves, and not something in their place.
    fn is_held(&self, column: usize) -> bool {
        let layout = self.held_as.as_ref().map(|(_, layout)| layout);
        layout.is_some_and(|layout| layout.columns.contains(&column))
            && matches!(self.forms[column], Form::Held | Form::View)
            && self.key != Some(column)
    }

    /// Whether a condition compares values that the slice holds with constants: it means the same in all plans.
    fn is_plain(&self, condition: &Expr) -> bool {
        let plain = |part: &Expr| self.is_plain(part);
        match condition {
            Expr::Column(column) => self
                .schema
                .index_of(&column.name)
                .is_ok_and(|index| self.is_held(index)),
            Expr::Literal(..) => true,
            Expr::Not(part) | Expr::IsNull(part) | Expr::IsNotNull(part) => plain(part),
            Expr::InList(list) => plain(&list.expr) && list.list.iter().all(plain),
            Expr::BinaryExpr(binary) => {
                let compares = binary.op.supports_propagation()
                    || matches!(binary.op, Operator::And | Operator::Or);
                compares && plain(&binary.left) && plain(&binary.right)
            }
            _ => false,
        }
    }

    /// The number of these conditions together; none where there are none.
    fn filter(&self, state: &dyn Session, conditions: &[Expr]) -> Result<Option<usize>> {
        let Some(condition) = conjunction(conditions.iter().cloned()) else {
            return Ok(None);
        };
        let named = condition.column_refs().into_iter();
        let columns: Result<BTreeSet<usize>, _> = named
            .map(|column| self.schema.index_of(&column.name))
            .collect();
        let over = self.reading(&columns?.into_iter().collect::<Vec<_>>(), None)?;
        let schema = DFSchema::try_from(Arc::clone(&over.schema))?;
        let predicate = state.create_physical_expr(condition.clone(), &schema)?;
        Ok(Some(self.slot.filter(condition, predicate, over)))
    }

    /// Reads these columns of the table.
    fn reading(&self, wanted: &[usize], filter: Option<usize>) -> Result<Reading> {
        let missing =
            || DataFusionError::Plan("the slice does not hold what the plan reads".into());
        let (position, layout) = self.held_as.as_ref().ok_or_else(missing)?;
        let place = |column: &usize| {
            let held = layout.columns.iter().position(|held| held == column)?;
            Some((held, self.forms[*column]))
        };
        let columns: Option<Vec<(usize, Form)>> = wanted.iter().map(place).collect();
        Ok(Reading {
            position: *position,
            columns: columns.ok_or_else(missing)?,
            filter,
            schema: Arc::new(self.schema.project(wanted)?),
        })
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

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_plain(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let reading = self.reading(&wanted, self.filter(state, filters)?)?;
        let schema = Arc::clone(&reading.schema);
        let content = Content::Rows(reading, filters.to_vec());
        Ok(Leaf::plan(&self.slot, content, schema))
    }
}

/// What several plans compute of the slice, as a table of those that read it: see [`crate::share`].
#[derive(Debug)]
pub(crate) struct PartTable {
    pub slot: Slot,
    /// The part's number.
    pub part: usize,
    pub schema: SchemaRef,
}

#[async_trait]
impl TableProvider for PartTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
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
        let schema = Arc::new(self.schema.project(&wanted)?);
        let content = Content::Part(self.part, wanted);
        Ok(Leaf::plan(&self.slot, content, schema))
    }
}

/// What a leaf reads.
#[derive(Debug)]
enum Content {
    /// Columns of a table of the current slice, of the rows that fulfil these conditions.
    Rows(Reading, Vec<Expr>),
    /// Columns of a part, by position.
    Part(usize, Vec<usize>),
}

/// Reads the current slice, or what was made of it.
#[derive(Debug)]
struct Leaf {
    slot: Slot,
    content: Content,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl Leaf {
    fn plan(slot: &Slot, content: Content, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Arc::new(Leaf {
            slot: slot.clone(),
            content,
            schema,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for Leaf {
    fn fmt_as(&self, _kind: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.schema.fields().iter();
        let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
        let names = names.join(", ");
        match &self.content {
            Content::Part(part, _) => write!(out, "Slice: part {part}, columns [{names}]"),
            Content::Rows(reading, conditions) => {
                write!(out, "Slice: table {}, columns [{names}]", reading.position)?;
                match conjunction(conditions.iter().cloned()) {
                    Some(condition) => write!(out, ", where {condition}"),
                    None => Ok(()),
                }
            }
        }
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
        let rows = match &self.content {
            Content::Rows(reading, _) => self.slot.rows(reading)?,
            Content::Part(part, columns) => Some(self.slot.part(*part, columns)?),
        };
        Ok(Box::pin(MemoryStream::try_new(
            rows.into_iter().collect(),
            Arc::clone(&self.schema),
            None,
        )?))
    }
}
