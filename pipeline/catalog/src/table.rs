use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use centinel_model::{Duration, EntityId, SourceId, TableId};

use crate::{Column, Flow, Guard, MessageMapping, TablePattern};

/// One system table or event.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name in rules, change logs and snapshots.
    pub name: String,
    /// Rows that change, or messages that are only added.
    pub kind: TableKind,
    /// The system that owns it.
    pub system: String,
    /// The one source that orders it.
    pub source: SourceId,
    /// Columns in declared order; an event's first is `message_id`.
    pub columns: Vec<Column>,
    /// Indexes of the primary key's columns.
    pub primary_key: Vec<usize>,
    /// The entities its rows belong to, in order of entity id; at most one path for each entity.
    pub entities: Vec<EntityPath>,
    /// The column that holds the row's state, if it has one.
    pub state: Option<StateColumn>,
    /// What money a row stands for, and whose it is.
    pub flow: Option<Flow>,
    /// Index of the column that says when the row last changed; audits need it for patience.
    pub changed_at: Option<usize>,
    /// How long a row stays in state after it came to rest.
    pub lookback: Duration,
    /// How long a row may wait for the target of its link before that is a finding of its own.
    pub link_patience: Duration,
    /// The physical tables whose rows are this table's; none for an event.
    pub from: Vec<TablePattern>,
    /// Whether `from` is declared, and not only the table's own name.
    pub from_declared: bool,
    /// Index of the column that the platform's table does not have: it names the physical table, as
    /// `database.table`.
    pub shard: Option<usize>,
    /// How far times without a zone run ahead of UTC, in seconds, where declared.
    pub zone_seconds: Option<i32>,
    /// How plain JSON messages become this event; none for a table.
    pub message: Option<MessageMapping>,
    /// Which of its changes are expected, where others are to be told; then the catalog holds its history, too.
    pub guard: Option<Guard>,
    /// Set for the event that announces changes of this guarded table.
    pub plans_for: Option<TableId>,
}

/// Rows, messages, or the history of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Rows of a database table.
    Rows,
    /// Business events: append-only, deduplicated by message id.
    Events,
    /// The changes of the rows of this guarded table, one row for each. No source has it: detection derives it.
    History(TableId),
}

/// How a row reaches its entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityPath {
    /// Its own columns are the entity's key.
    Direct {
        /// The entity.
        entity: EntityId,
        /// Indexes of the key's columns, in the entity's order.
        columns: Vec<usize>,
    },
    /// Through one row of another table, which it names by that table's whole primary key. Links
    /// have no cycles; the target may itself be linked.
    Through {
        /// The entity.
        entity: EntityId,
        /// Indexes of the columns that name the target row, in the target's primary-key order.
        columns: Vec<usize>,
        /// The table that knows the entity.
        target: TableId,
    },
}

/// The column that holds a row's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateColumn {
    /// Its index.
    pub column: usize,
    /// All values it may have.
    pub values: Vec<String>,
    /// The values in which nothing more is expected.
    pub final_values: Vec<String>,
    /// By value, which values may follow it; a value that is not there stays as it is. None where nothing is
    /// declared: then any may follow any.
    pub transitions: Option<BTreeMap<String, Vec<String>>>,
}

impl StateColumn {
    /// Whether a row may go from one of the values to another. Staying is always allowed.
    pub fn may_follow(&self, from: &str, to: &str) -> bool {
        let Some(transitions) = &self.transitions else {
            return true;
        };
        from == to
            || transitions
                .get(from)
                .is_some_and(|next| next.iter().any(|value| value == to))
    }
}

impl EntityPath {
    /// The entity it leads to.
    pub fn entity(&self) -> EntityId {
        match self {
            EntityPath::Direct { entity, .. } | EntityPath::Through { entity, .. } => *entity,
        }
    }

    /// The columns of this table by which it leads there.
    pub fn columns(&self) -> &[usize] {
        match self {
            EntityPath::Direct { columns, .. } | EntityPath::Through { columns, .. } => columns,
        }
    }
}

impl Table {
    /// Index of the column with this exact name.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The way to this entity, if its rows belong to one.
    pub fn path_to(&self, entity: EntityId) -> Option<&EntityPath> {
        self.entities.iter().find(|path| path.entity() == entity)
    }

    /// The Arrow schema of stored rows. Every field is nullable; [`Column::nullable`] is checked where
    /// rows come in.
    pub fn storage_schema(&self) -> SchemaRef {
        self.schema_of(|column| Field::new(&column.name, column.storage_type(), true))
    }

    /// The Arrow schema that rules see, with the declared nullability.
    pub fn rule_schema(&self) -> SchemaRef {
        self.schema_of(|column| Field::new(&column.name, column.rule_type(), column.nullable))
    }

    fn schema_of(&self, field: impl Fn(&Column) -> Field) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(field).collect::<Vec<_>>(),
        ))
    }
}
