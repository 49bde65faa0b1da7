//! All rows of all tables for some entities, as rules are asked over them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use centinel_catalog::{Catalog, Column, EntityPath, Table};
use centinel_model::{EntityId, TableId};

use crate::forms::DENSE;
use crate::rule::Rule;

/// What a slice must hold for some rules of one entity.
#[derive(Clone, Debug)]
pub struct SliceLayout {
    /// The tables that the rules read, in order of id.
    pub tables: Vec<LayoutTable>,
}

/// What a slice must hold of one table.
#[derive(Clone, Debug)]
pub struct LayoutTable {
    /// The table or event.
    pub table: TableId,
    /// Indexes into [`Table::columns`], rising: the columns of the batch in their order.
    pub columns: Vec<usize>,
    /// Position among `columns` of the column that is the entity's key, where the table holds it.
    pub key: Option<usize>,
    /// The schema of the batch: rule types, and the key as `UInt32` dense entity id.
    pub schema: SchemaRef,
}

/// Rows of some entities. Each entity has a dense id from 0.
#[derive(Clone)]
pub struct Slice {
    /// How many entities there are; every id is below.
    pub entity_count: u32,
    /// By position in [`SliceLayout::tables`]; `None` is a table without rows. Rows whose key is null or
    /// whose link is unresolved belong to no slice and must not be here.
    pub tables: Vec<Option<RecordBatch>>,
    /// The keys behind the ids.
    pub keys: Arc<dyn EntityNames>,
}

/// Normalised entity keys by dense id.
pub trait EntityNames: Send + Sync {
    /// The key of an entity of the slice.
    fn name(&self, id: u32) -> &str;
}

impl EntityNames for StringArray {
    fn name(&self, id: u32) -> &str {
        self.value(id as usize)
    }
}

impl EntityNames for Vec<String> {
    fn name(&self, id: u32) -> &str {
        &self[id as usize]
    }
}

impl SliceLayout {
    /// What these rules of one entity read.
    pub(crate) fn new(catalog: &Catalog, rules: &[Arc<Rule>], entity: EntityId) -> SliceLayout {
        let tables = catalog.table_ids().filter_map(|id| {
            let mut read = false;
            let mut columns: Vec<usize> = Vec::new();
            for used in rules
                .iter()
                .flat_map(|rule| &rule.reads)
                .filter(|used| used.table == id)
            {
                read = true;
                columns.extend(&used.columns);
            }
            let table = catalog.table(id);
            let key = key_column(table, entity);
            columns.extend(key);
            columns.sort_unstable();
            columns.dedup();
            read.then(|| LayoutTable {
                table: id,
                key: columns.iter().position(|column| Some(*column) == key),
                schema: held_schema(table, &columns, key),
                columns,
            })
        });
        SliceLayout {
            tables: tables.collect(),
        }
    }

    /// Position of a table.
    pub fn position(&self, table: TableId) -> Option<usize> {
        self.tables.iter().position(|layout| layout.table == table)
    }
}

/// The column of a table that is the entity's key, if it is one column of its own.
pub(crate) fn key_column(table: &Table, entity: EntityId) -> Option<usize> {
    match table.path_to(entity)? {
        EntityPath::Direct { columns, .. } => match columns.as_slice() {
            [only] => Some(*only),
            _ => None,
        },
        EntityPath::Through { .. } => None,
    }
}

fn held_schema(table: &Table, columns: &[usize], key: Option<usize>) -> SchemaRef {
    let field = |index: &usize| {
        let column = &table.columns[*index];
        let kind = match key == Some(*index) {
            true => DENSE,
            false => column.rule_type(),
        };
        Field::new(&column.name, kind, column.nullable)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A column of storage type in its rule type: money in whatever unit becomes the same number of units of a
/// decimal in major units, so nothing is ever rounded.
pub fn rule_column(column: &Column, stored: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wanted = column.rule_type();
    if *stored.data_type() == wanted {
        return Ok(Arc::clone(stored));
    }
    match (stored.data_type(), &wanted) {
        (DataType::Int64, DataType::Decimal128(..)) => {
            let units = stored.as_primitive::<Int64Type>();
            let decimals = units.unary::<_, Decimal128Type>(i128::from);
            Ok(Arc::new(decimals.with_data_type(wanted)))
        }
        (DataType::Decimal128(..), DataType::Decimal128(..)) => {
            let decimals = stored.as_primitive::<Decimal128Type>().clone();
            Ok(Arc::new(decimals.with_data_type(wanted)))
        }
        _ => cast(stored, &wanted),
    }
}

/// The keys behind dense ids, in the type that the column has in rules.
pub(crate) fn names_of(
    ids: &UInt32Array,
    keys: &dyn EntityNames,
    wanted: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let names: StringArray = ids.iter().map(|id| id.map(|id| keys.name(id))).collect();
    match wanted {
        DataType::Utf8 => Ok(Arc::new(names)),
        other => cast(&names, other),
    }
}
