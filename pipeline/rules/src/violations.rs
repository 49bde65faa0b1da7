//! What a rule returned: its bad rows, by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Schema, TimeUnit, TimestampMicrosecondType, UInt32Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_catalog::mask;
use centinel_model::{Amount, Timestamp};
use datafusion::error::{DataFusionError, Result};
use hashbrown::HashMap;

use crate::evaluate::{collect, reason};
use crate::forms::{DENSE, NUMBER};
use crate::plan;
use crate::rule::{Rule, RuleCurrency};
use crate::session::Session;
use crate::slice::{Slice, names_of};
use crate::slot::Slot;

/// The bad rows of one rule. Rows count from 0; rows of entities that could not be judged are left out.
#[derive(Debug)]
pub struct Violations {
    rule: Arc<Rule>,
    /// The judged rows, entity keys as text.
    rows: RecordBatch,
    /// For each row the dense id of its entity; empty for whole-table queries.
    entities: Vec<u32>,
    /// Index of the output column that is the entity's key.
    entity_column: usize,
    unjudged: Vec<Unjudged>,
}

/// An entity for which the rule could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjudged {
    /// Its dense id; absent for whole-table queries.
    pub entity: Option<u32>,
    /// Its key, empty where even that is null.
    pub entity_key: String,
    /// Why.
    pub reason: String,
}

impl Violations {
    pub(crate) fn of_slice(
        rule: &Arc<Rule>,
        rows: RecordBatch,
        slice: &Slice,
        slot: &Slot,
    ) -> Result<Violations> {
        let column = entity_column(rule)?;
        if rows.num_rows() == 0 {
            return Ok(Violations::none(rule, column));
        }
        let entities = match rows.column(column).as_primitive_opt::<UInt32Type>() {
            Some(ids) => ids.iter().collect(),
            None => ids_of(rows.column(column), slice)?,
        };
        let rows = with_texts(rule, &rows, slice, slot)?;
        Ok(Violations::judged(rule, rows, Some(entities), column)?)
    }

    fn none(rule: &Arc<Rule>, entity_column: usize) -> Violations {
        Violations {
            rule: Arc::clone(rule),
            rows: RecordBatch::new_empty(Arc::clone(&rule.output)),
            entities: Vec::new(),
            entity_column,
            unjudged: Vec::new(),
        }
    }

    /// Sets aside entities with a null or a repeated key.
    fn judged(
        rule: &Arc<Rule>,
        rows: RecordBatch,
        entities: Option<Vec<Option<u32>>>,
        entity_column: usize,
    ) -> Result<Violations, arrow::error::ArrowError> {
        let mut violations = Violations::none(rule, entity_column);
        violations.rows = rows;
        let mut bad: HashMap<Option<String>, String> = HashMap::new();
        let mut seen: HashMap<Vec<String>, ()> = HashMap::new();
        for row in 0..violations.rows.num_rows() {
            let entity = text(violations.rows.column(entity_column), row);
            let key: Option<Vec<String>> = rule
                .key
                .iter()
                .map(|name| violations.text_of(name, row))
                .collect();
            let wrong = match key {
                None => Some(format!(
                    "its key ({}) is null in a row",
                    rule.key.join(", ")
                )),
                Some(key) => {
                    let shown = key.join(", ");
                    let repeated = seen.insert(key, ()).is_some();
                    repeated.then(|| format!("several rows have the key ({shown})"))
                }
            };
            if let Some(wrong) = wrong {
                bad.entry(entity).or_insert(wrong);
            }
        }
        let entities = entities.unwrap_or_default();
        violations.entities = entities.iter().map(|id| id.unwrap_or(u32::MAX)).collect();
        if bad.is_empty() {
            return Ok(violations);
        }
        violations.set_aside(bad)
    }

    fn set_aside(
        mut self,
        bad: HashMap<Option<String>, String>,
    ) -> Result<Violations, arrow::error::ArrowError> {
        let mut ids: HashMap<Option<String>, u32> = HashMap::new();
        let mut kept = Vec::new();
        for row in 0..self.rows.num_rows() {
            let entity = text(self.rows.column(self.entity_column), row);
            match bad.contains_key(&entity) {
                false => kept.push(row as u32),
                true => {
                    ids.extend(self.entities.get(row).map(|id| (entity, *id)));
                }
            }
        }
        self.unjudged = bad
            .into_iter()
            .map(|(key, reason)| Unjudged {
                entity: ids.get(&key).copied().filter(|id| *id != u32::MAX),
                entity_key: key.unwrap_or_default(),
                reason,
            })
            .collect();
        self.unjudged
            .sort_by(|left, right| left.entity_key.cmp(&right.entity_key));
        if !self.entities.is_empty() {
            self.entities = kept
                .iter()
                .map(|row| self.entities[*row as usize])
                .collect();
        }
        self.rows = arrow::compute::take_record_batch(&self.rows, &UInt32Array::from(kept))?;
        Ok(self)
    }

    /// The rule.
    pub fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there are none; [`Violations::unjudged`] may still hold entities.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entities that could not be judged, by key.
    pub fn unjudged(&self) -> &[Unjudged] {
        &self.unjudged
    }

    /// The dense id of a row's entity; 0 for whole-table queries.
    pub fn entity(&self, row: usize) -> u32 {
        self.entities.get(row).copied().unwrap_or_default()
    }

    /// The key of a row's entity.
    pub fn entity_key(&self, row: usize) -> String {
        text(self.rows.column(self.entity_column), row).unwrap_or_default()
    }

    /// The values of the finding's key columns, in the rule's order.
    pub fn key_text(&self, row: usize) -> Vec<String> {
        let keys = self.rule.key.iter();
        keys.map(|name| self.text_of(name, row).unwrap_or_default())
            .collect()
    }

    /// The money at risk in major units, without its sign; absent where the rule names none or it is null.
    pub fn amount(&self, row: usize) -> Option<Amount> {
        let column = self.column(self.rule.amount.as_deref()?)?;
        let DataType::Decimal128(_, scale) = column.data_type() else {
            return None;
        };
        let scale = u8::try_from(*scale).ok()?;
        let column = column.as_primitive::<Decimal128Type>();
        let units = (!column.is_null(row)).then(|| column.value(row))?;
        Amount { units, scale }.absolute()
    }

    /// ISO 4217 code of the amount.
    pub fn currency(&self, row: usize) -> Option<String> {
        match self.rule.currency.as_ref()? {
            RuleCurrency::Fixed(code) => Some(code.clone()),
            RuleCurrency::Column(name) => self.text_of(name, row),
        }
    }

    /// The time from which patience counts, where the rule names it.
    pub fn since(&self, row: usize) -> Option<Timestamp> {
        let column = self.column(self.rule.since.as_deref()?)?;
        let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
        (!column.is_null(row)).then(|| Timestamp(column.value(row)))
    }

    /// A value by output column name, as text, not masked: for keys and scopes, never for display.
    pub fn text_of(&self, name: &str, row: usize) -> Option<String> {
        text(self.column(name)?, row)
    }

    /// The row as it may be shown: column → value as text, sensitive values masked.
    pub fn evidence(&self, row: usize) -> BTreeMap<String, Option<String>> {
        let fields = self
            .rule
            .output
            .fields()
            .iter()
            .zip(self.rows.columns())
            .enumerate();
        fields
            .map(|(index, (field, column))| {
                let masked = self.rule.sensitive.get(index).copied().unwrap_or(true);
                let value = text(column, row);
                let shown = value.map(|value| if masked { mask(&value) } else { value });
                (field.name().clone(), shown)
            })
            .collect()
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.rule
            .output_index(name)
            .map(|index| self.rows.column(index))
    }
}

impl Rule {
    /// All bad rows over the tables registered in a session, as of a time; more than `most_rows` is an error.
    /// Needs a tokio runtime around it.
    pub async fn violations_over(
        self: &Arc<Self>,
        session: &Session,
        as_of: Timestamp,
        most_rows: usize,
    ) -> Result<Violations, String> {
        session.clock().set(as_of);
        let rows = async {
            let context = session.context();
            let plans = plan::plan_text(context, &self.text).await?;
            let state = context.state();
            let physical = state
                .query_planner()
                .create_physical_plan(&plans.optimised, &state)
                .await?;
            let rows = collect(physical, context.task_ctx(), most_rows).await?;
            let column = entity_column(self)?;
            let rows = RecordBatch::try_new(nullable(&rows), rows.columns().to_vec())?;
            Ok(Violations::judged(self, rows, None, column)?)
        };
        rows.await
            .map_err(|error: DataFusionError| reason(self, &error))
    }
}

fn nullable(rows: &RecordBatch) -> Arc<Schema> {
    let fields: Vec<_> = rows
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Where a local rule returns its entity's key.
fn entity_column(rule: &Rule) -> Result<usize> {
    rule.entity_column
        .ok_or_else(|| DataFusionError::Execution("the entity's key is not returned".into()))
}

/// The dense ids of entities named by text. Only rows that violate come here.
fn ids_of(names: &ArrayRef, slice: &Slice) -> Result<Vec<Option<u32>>> {
    let ids: HashMap<&str, u32> = (0..slice.entity_count)
        .map(|id| (slice.keys.name(id), id))
        .collect();
    (0..names.len())
        .map(|row| match text(names, row) {
            None => Ok(None),
            Some(name) => match ids.get(name.as_str()) {
                Some(id) => Ok(Some(*id)),
                None => Err(DataFusionError::Execution(
                    "it returns an entity that is not in the slice".into(),
                )),
            },
        })
        .collect()
}

/// The rows with plain texts where plans have dense ids, numbers or views.
fn with_texts(rule: &Rule, rows: &RecordBatch, slice: &Slice, slot: &Slot) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (field, column) in rule.output.fields().iter().zip(rows.columns()) {
        let found = column.data_type();
        columns.push(if found == field.data_type() {
            Arc::clone(column)
        } else if *found == DENSE {
            let ids = column.as_primitive::<UInt32Type>();
            names_of(ids, slice.keys.as_ref(), field.data_type())?
        } else if *found == NUMBER {
            slot.texts(column)
        } else if *found == DataType::Utf8View {
            cast(column, field.data_type())?
        } else {
            Arc::clone(column)
        });
    }
    Ok(RecordBatch::try_new(Arc::clone(&rule.output), columns)?)
}

/// A value as plain text, as evidence shows it where it is not masked.
pub fn text(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row)).to_string()
        }
        _ => ArrayFormatter::try_new(column.as_ref(), &FormatOptions::default())
            .and_then(|formatter| formatter.value(row).try_to_string())
            .unwrap_or_else(|error| format!("unreadable: {error}")),
    })
}
