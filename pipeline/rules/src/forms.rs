//! In which forms plans see the columns of a slice.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use centinel_catalog::{Catalog, ColumnType, EntityPath};
use centinel_model::{EntityId, TableId};

use crate::rule::Rule;
use crate::slice::key_column;

/// The type of dense entity ids. DataFusion joins integers of a small range by direct address.
pub(crate) const DENSE: DataType = DataType::UInt32;

/// The type of numbers that stand for the texts by which rows name each other.
pub(crate) const NUMBER: DataType = DataType::Int32;

/// What a plan sees of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// The slice's own values; dense ids, if it is the entity's key.
    Held,
    /// Texts as views, which joins move about without their bytes.
    View,
    /// The entity's key as text.
    Name,
    /// Numbers that are equal where the texts are.
    Number,
}

/// What one plan sees of all columns.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    entity: EntityId,
    /// Entity keys as text, for rules that look into them.
    pub names: bool,
    /// Columns of which the plan sees numbers.
    pub numbered: Vec<(TableId, usize)>,
}

impl Forms {
    /// Entity keys as dense ids, everything else as it is.
    pub fn dense(entity: EntityId) -> Forms {
        Forms {
            entity,
            names: false,
            numbered: Vec::new(),
        }
    }

    /// Entity keys as text.
    pub fn text(entity: EntityId) -> Forms {
        Forms {
            names: true,
            ..Forms::dense(entity)
        }
    }

    /// As dense, and as numbers the primary keys that the rule reads beside columns that name them: those that
    /// link to them, and those of the same name.
    pub fn numbered(catalog: &Catalog, rule: &Rule) -> Forms {
        let mut forms = Forms::dense(rule.entity);
        for used in &rule.reads {
            let target = catalog.table(used.table);
            let &[key] = target.primary_key.as_slice() else {
                continue;
            };
            if !used.columns.contains(&key) || !forms.may_be_numbered(catalog, used.table, key) {
                continue;
            }
            let naming: Vec<(TableId, usize)> = rule
                .reads
                .iter()
                .filter(|other| other.table != used.table)
                .flat_map(|other| other.columns.iter().map(|column| (other.table, *column)))
                .filter(|(table, column)| forms.names_row(catalog, *table, *column, used.table))
                .collect();
            if !naming.is_empty() {
                forms.numbered.push((used.table, key));
                forms.numbered.extend(naming);
            }
        }
        forms
    }

    fn may_be_numbered(&self, catalog: &Catalog, table: TableId, column: usize) -> bool {
        let table = catalog.table(table);
        table.columns[column].kind == ColumnType::Text
            && key_column(table, self.entity) != Some(column)
    }

    /// Whether a column seems to hold primary keys of a target.
    fn names_row(&self, catalog: &Catalog, id: TableId, column: usize, target: TableId) -> bool {
        let table = catalog.table(id);
        let same_name = {
            let target = catalog.table(target);
            table.columns[column].name == target.columns[target.primary_key[0]].name
        };
        let links = matches!(
            table.path_to(self.entity),
            Some(EntityPath::Through { target: to, columns, .. })
                if *to == target && columns.as_slice() == [column]
        );
        (same_name || links) && self.may_be_numbered(catalog, id, column)
    }

    /// The column of a table that is the entity's key.
    pub fn key(&self, catalog: &Catalog, table: TableId) -> Option<usize> {
        key_column(catalog.table(table), self.entity)
    }

    /// The form of a column.
    pub fn of(&self, catalog: &Catalog, table: TableId, column: usize) -> Form {
        let is_key = self.key(catalog, table) == Some(column);
        if is_key && self.names {
            Form::Name
        } else if self.numbered.contains(&(table, column)) {
            Form::Number
        } else if !is_key && catalog.table(table).columns[column].rule_type() == DataType::Utf8 {
            Form::View
        } else {
            Form::Held
        }
    }

    /// The schema of some columns of a table in these forms.
    pub fn schema(&self, catalog: &Catalog, id: TableId, columns: &[usize]) -> SchemaRef {
        let key = self.key(catalog, id);
        let field = |index: &usize| {
            let column = &catalog.table(id).columns[*index];
            let kind = match self.of(catalog, id, *index) {
                // In a slice no key is null.
                Form::Held if key == Some(*index) => DENSE,
                Form::Held | Form::Name => column.rule_type(),
                Form::View => DataType::Utf8View,
                Form::Number => NUMBER,
            };
            Field::new(&column.name, kind, column.nullable)
        };
        Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
    }
}
