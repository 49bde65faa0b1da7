//! Guarded tables: which of their changes are expected, and the table that holds their history.

use centinel_model::{Duration, Operation, SourceId, TableId};

use crate::{
    Catalog, Column, ColumnType, Currency, EntityPath, MessageField, MessageMapping, Table,
    TableKind, TimeForm,
};

/// Which changes of a table's rows something explains. All others were made by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The changes that are expected: any of these explains one.
    pub explained_by: Vec<Explanation>,
    /// How far the time of an event may lie from that of the change that it explains.
    pub window: Duration,
    /// The checkpoint that a change by hand triggers, by name.
    pub checkpoint: Option<String>,
    /// Index of the money column whose change is the money moved, where the table has money.
    pub amount: Option<usize>,
    /// The source that announces repairs, by name; then the catalog holds the event `<table>_planned`, too.
    pub plans: Option<String>,
    /// File and line, for people.
    pub place: String,
}

/// One kind of change that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The event that announces it; none for changes that no event announces.
    pub event: Option<ExplainingEvent>,
    /// What may happen; never empty.
    pub operations: Vec<Operation>,
    /// Indexes of the columns that an update may touch; all where none are named.
    pub columns: Option<Vec<usize>>,
    /// A condition in SQL over the columns of the table's history, and of the event as `event.<column>`.
    pub when: Option<String>,
}

/// The event that announces a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainingEvent {
    /// The event.
    pub event: TableId,
    /// Pairs of columns that are equal in the row and in the event, by index.
    pub key: Vec<(usize, usize)>,
}

/// The columns that every history has beside those of its table: the change's name, what happened, when it was
/// committed, and who made it.
pub const HISTORY_COLUMNS: [(&str, ColumnType); 7] = [
    ("change_id", ColumnType::Text),
    ("operation", ColumnType::Text),
    ("committed_at", ColumnType::Timestamp),
    ("transaction_id", ColumnType::Text),
    ("thread_id", ColumnType::Integer),
    ("account", ColumnType::Text),
    ("statement", ColumnType::Text),
];
/// So many of them are never null.
const ALWAYS_THERE: usize = 3;
/// Which of them is the commit time.
const COMMITTED_AT: usize = 2;
/// Which of them may hold personal data.
const STATEMENT: usize = 6;

/// The columns that every event of planned changes has, behind its `message_id` and before those of its table: the plan,
/// who approved it and when, until when it is to be carried out, what happens, and which columns an update or an
/// insertion sets, as `,amount,status,`.
pub const PLANNED_COLUMNS: [(&str, ColumnType); 6] = [
    ("plan_id", ColumnType::Text),
    ("approved_by", ColumnType::Text),
    ("approved_at", ColumnType::Timestamp),
    ("due_at", ColumnType::Timestamp),
    ("operation", ColumnType::Text),
    ("sets", ColumnType::Text),
];
/// Where `approved_at` stands among all columns of such an event.
const APPROVED_AT: usize = 3;

/// What the event is called that announces changes of a table.
pub fn planned_name(table: &str) -> String {
    format!("{table}_planned")
}

/// What the history of a table is called.
pub fn history_name(table: &str) -> String {
    format!("{table}_changes")
}

impl Table {
    /// The columns whose value of a change stands in its history under their own name: those by which a row is found.
    pub fn named_in_history(&self) -> Vec<usize> {
        let mut named = self.primary_key.clone();
        for path in &self.entities {
            for column in path.columns() {
                if !named.contains(column) {
                    named.push(*column);
                }
            }
        }
        named
    }

    /// Every column as `before_<column>`, then every column as `after_<column>`.
    fn images(&self) -> impl Iterator<Item = Column> + '_ {
        let image = |prefix: &'static str| {
            self.columns.iter().map(move |column| {
                let mut column = column.clone();
                column.name = format!("{prefix}_{}", column.name);
                column.nullable = true;
                if let Some(Currency::Column(name)) =
                    column.money.as_mut().map(|money| &mut money.currency)
                {
                    *name = format!("{prefix}_{name}");
                }
                column
            })
        };
        image("before").chain(image("after"))
    }

    /// The columns of this table's history: first [`HISTORY_COLUMNS`], then those of [`Table::named_in_history`], then
    /// every column as `before_<column>`, then every column as `after_<column>`.
    fn history_columns(&self) -> Vec<Column> {
        let plain = |index: usize, (name, kind): (&str, ColumnType)| Column {
            name: name.to_owned(),
            kind,
            nullable: index >= ALWAYS_THERE,
            sensitive: index == STATEMENT,
            money: None,
        };
        let own = HISTORY_COLUMNS.iter().enumerate();
        let own = own.map(|(index, column)| plain(index, *column));
        let named = self.named_in_history().into_iter();
        let named = named.map(|column| self.columns[column].clone());
        own.chain(named).chain(self.images()).collect()
    }

    /// The table that holds the history of this one, which has this id and stands among `all`. A change belongs to the
    /// entities to which the events belong as well that may explain it.
    pub(crate) fn history(&self, id: TableId, all: &[Table]) -> Table {
        Table {
            name: history_name(&self.name),
            kind: TableKind::History(id),
            system: self.system.clone(),
            source: self.source,
            columns: self.history_columns(),
            primary_key: vec![0],
            entities: self.shared_paths(HISTORY_COLUMNS.len(), all),
            state: None,
            changed_at: Some(COMMITTED_AT),
            lookback: self.lookback,
            link_patience: self.link_patience,
            from: Vec::new(),
            from_declared: false,
            shard: None,
            zone_seconds: None,
            message: None,
            flow: None,
            guard: None,
            plans_for: None,
        }
    }
}

impl Table {
    /// The event that announces changes of this table, which has this id and stands among `all`.
    pub(crate) fn planned(&self, id: TableId, source: SourceId, all: &[Table]) -> Table {
        let plain = |(name, kind): (&str, ColumnType)| Column {
            name: name.to_owned(),
            kind,
            nullable: false,
            sensitive: false,
            money: None,
        };
        let own = std::iter::once(("message_id", ColumnType::Text)).chain(PLANNED_COLUMNS);
        let named = self.named_in_history().into_iter();
        let named = named.map(|column| self.columns[column].clone());
        let columns: Vec<Column> = own.map(plain).chain(named).chain(self.images()).collect();
        let path = |name: &str| MessageField::Path(vec![name.to_owned()]);
        Table {
            name: planned_name(&self.name),
            kind: TableKind::Events,
            source,
            message: Some(MessageMapping {
                message_id: path("message_id"),
                committed_at: path("committed_at"),
                columns: columns.iter().map(|column| path(&column.name)).collect(),
                time: TimeForm::default(),
            }),
            columns,
            changed_at: Some(APPROVED_AT),
            entities: self.shared_paths(1 + PLANNED_COLUMNS.len(), all),
            plans_for: Some(id),
            ..self.history(id, all)
        }
    }

    /// The ways to the entities to which the events belong as well that may explain a change, in a table whose columns
    /// of [`Table::named_in_history`] begin at `first`.
    fn shared_paths(&self, first: usize, all: &[Table]) -> Vec<EntityPath> {
        let named = self.named_in_history();
        let place = |column: &usize| {
            let at = named.iter().position(|named| named == column);
            first + at.unwrap_or(0)
        };
        let places = |columns: &[usize]| columns.iter().map(place).collect();
        let path = |path: &EntityPath| match path {
            EntityPath::Direct { entity, columns } => EntityPath::Direct {
                entity: *entity,
                columns: places(columns),
            },
            EntityPath::Through {
                entity,
                columns,
                target,
            } => EntityPath::Through {
                entity: *entity,
                columns: places(columns),
                target: *target,
            },
        };
        let guard = self.guard.iter().flat_map(|guard| &guard.explained_by);
        let events: Vec<TableId> = guard
            .filter_map(|explanation| Some(explanation.event.as_ref()?.event))
            .collect();
        let shared = |path: &&EntityPath| {
            let mut tables = events.iter().map(|event| &all[usize::from(event.0)]);
            tables.all(|event| event.path_to(path.entity()).is_some())
        };
        self.entities.iter().filter(shared).map(path).collect()
    }
}

impl Catalog {
    /// The event that announces changes of this table, where it is guarded and plans are announced.
    pub fn planned_for(&self, id: TableId) -> Option<TableId> {
        let of = |table: &Table| table.plans_for == Some(id);
        let index = self.tables.iter().position(of)?;
        Some(TableId(index as u16))
    }

    /// Whether this source announces planned changes; it has no other table then.
    pub fn announces_plans(&self, source: SourceId) -> bool {
        let of = |table: &Table| table.plans_for.is_some() && table.source == source;
        self.tables.iter().any(of)
    }

    /// The table that holds the history of this one, where it is guarded.
    pub fn history_of(&self, id: TableId) -> Option<TableId> {
        let of = |table: &Table| table.kind == TableKind::History(id);
        let index = self.tables.iter().position(of)?;
        Some(TableId(index as u16))
    }
}
