//! The slice that plans are asked over at present, and what they share of it: columns in other forms, and
//! rows that fulfil a condition. Many rules ask for paid payments; they are picked out once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{FilterBuilder, FilterPredicate, cast};
use arrow::datatypes::{DataType, Int32Type, SchemaRef, UInt32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use crate::forms::Form;
use crate::numbers::Numbers;
use crate::slice::{Slice, names_of};

/// The current slice, shared by the leaves of all plans of one evaluator.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Current>>);

#[derive(Default)]
struct Current {
    /// The conditions of all plans.
    filters: Vec<Filter>,
    slice: Option<Slice>,
    numbers: Numbers,
    columns: HashMap<Part, ArrayRef>,
    /// By filter, once a plan asked for it.
    kept: Vec<Option<Arc<FilterPredicate>>>,
    /// By number, while plans want it: what they share, with the memory that it takes.
    parts: HashMap<usize, (RecordBatch, MemoryReservation)>,
}

struct Filter {
    condition: Expr,
    predicate: Arc<dyn PhysicalExpr>,
    /// What the predicate is asked over.
    over: Reading,
}

/// Some values of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Part {
    /// The table's position in the layout.
    position: usize,
    /// The column's position in the table's layout.
    column: usize,
    form: Form,
    filter: Option<usize>,
}

/// What a leaf reads.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The table's position in the layout.
    pub position: usize,
    /// Positions of columns in the table's layout, and their forms.
    pub columns: Vec<(usize, Form)>,
    /// Which rows: a number that [`Slot::filter`] gave.
    pub filter: Option<usize>,
    pub schema: SchemaRef,
}

impl Slot {
    pub fn set(&self, slice: Option<Slice>) {
        let mut current = self.lock();
        current.numbers.clear();
        current.columns.clear();
        current.parts.clear();
        current.kept = vec![None; current.filters.len()];
        current.slice = slice;
    }

    /// The number of a condition over columns of a table, which means the same whoever names it.
    pub fn filter(
        &self,
        condition: Expr,
        predicate: Arc<dyn PhysicalExpr>,
        over: Reading,
    ) -> usize {
        let mut current = self.lock();
        let same =
            |known: &Filter| known.over.position == over.position && known.condition == condition;
        if let Some(number) = current.filters.iter().position(same) {
            return number;
        }
        current.filters.push(Filter {
            condition,
            predicate,
            over,
        });
        current.filters.len() - 1
    }

    /// Rows of a table of the current slice.
    pub fn rows(&self, reading: &Reading) -> Result<Option<RecordBatch>> {
        let mut current = self.lock();
        match current.table(reading.position)? {
            None => Ok(None),
            Some(_) => current.read(reading).map(Some),
        }
    }

    /// Columns of a part, by position.
    pub fn part(&self, number: usize, columns: &[usize]) -> Result<RecordBatch> {
        let none = || DataFusionError::Execution(format!("part {number} is not ready"));
        let current = self.lock();
        let (rows, _) = current.parts.get(&number).ok_or_else(none)?;
        Ok(rows.project(columns)?)
    }

    /// Whether a part is ready.
    pub fn has_part(&self, number: usize) -> bool {
        self.lock().parts.contains_key(&number)
    }

    /// Keeps a part until the slice changes.
    pub fn keep_part(&self, number: usize, rows: RecordBatch, memory: MemoryReservation) {
        self.lock().parts.insert(number, (rows, memory));
    }

    /// Lets these parts go; whether there were any.
    pub fn drop_parts(&self, which: impl Fn(usize) -> bool) -> bool {
        let mut current = self.lock();
        let before = current.parts.len();
        current.parts.retain(|number, _| !which(*number));
        current.parts.len() < before
    }

    /// How many rows the tables of the current slice have together.
    pub fn row_count(&self) -> usize {
        let current = self.lock();
        let tables = current.slice.iter().flat_map(|slice| slice.tables.iter());
        tables.flatten().map(RecordBatch::num_rows).sum()
    }

    /// The texts behind numbers of the current slice.
    pub fn texts(&self, numbers: &ArrayRef) -> ArrayRef {
        let texts = self
            .lock()
            .numbers
            .texts(numbers.as_primitive::<Int32Type>());
        Arc::new(texts)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn slice(&self) -> Result<&Slice> {
        let none = || DataFusionError::Execution("no slice is current".into());
        self.slice.as_ref().ok_or_else(none)
    }

    fn table(&self, position: usize) -> Result<Option<&RecordBatch>> {
        let table = self.slice()?.tables.get(position);
        Ok(table.and_then(Option::as_ref))
    }

    fn read(&mut self, reading: &Reading) -> Result<RecordBatch> {
        let gone = || DataFusionError::Execution("the slice does not hold what is asked".into());
        let rows = self.table(reading.position)?.ok_or_else(gone)?;
        let rows = match reading.filter {
            None => rows.num_rows(),
            Some(filter) => self.kept(filter)?.count(),
        };
        let wanted = reading.columns.iter().zip(reading.schema.fields());
        let columns = wanted.map(|((column, form), field)| {
            let part = Part {
                position: reading.position,
                column: *column,
                form: *form,
                filter: reading.filter,
            };
            self.column(part, field.data_type())
        });
        let columns: Result<Vec<ArrayRef>> = columns.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&reading.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns?, &options,
        )?)
    }

    fn kept(&mut self, number: usize) -> Result<Arc<FilterPredicate>> {
        if let Some(ready) = &self.kept[number] {
            return Ok(Arc::clone(ready));
        }
        let filter = &self.filters[number];
        let (predicate, over) = (Arc::clone(&filter.predicate), filter.over.clone());
        let rows = self.read(&over)?;
        let fulfils = predicate.evaluate(&rows)?.into_array(rows.num_rows())?;
        let kept = Arc::new(FilterBuilder::new(fulfils.as_boolean()).optimize().build());
        self.kept[number] = Some(Arc::clone(&kept));
        Ok(kept)
    }

    fn column(&mut self, part: Part, kind: &DataType) -> Result<ArrayRef> {
        if part.filter.is_none() && part.form == Form::Held {
            return self.held(part);
        }
        if let Some(ready) = self.columns.get(&part) {
            return Ok(Arc::clone(ready));
        }
        let values = match (part.filter, part.form) {
            (Some(filter), _) => {
                let all = Part {
                    filter: None,
                    ..part
                };
                let all = self.column(all, kind)?;
                self.kept(filter)?.filter(&all)?
            }
            (None, Form::Held) => self.held(part)?,
            (None, Form::View) => cast(&self.held(part)?, kind)?,
            (None, Form::Name) => {
                let ids = self.held(part)?;
                let keys = Arc::clone(&self.slice()?.keys);
                names_of(ids.as_primitive::<UInt32Type>(), keys.as_ref(), kind)?
            }
            (None, Form::Number) => {
                let texts = self.held(part)?;
                Arc::new(self.numbers.number(texts.as_string()))
            }
        };
        self.columns.insert(part, Arc::clone(&values));
        Ok(values)
    }

    fn held(&self, part: Part) -> Result<ArrayRef> {
        let gone = || DataFusionError::Execution("the slice does not hold what is asked".into());
        let table = self.table(part.position)?.ok_or_else(gone)?;
        Ok(Arc::clone(table.column(part.column)))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}
