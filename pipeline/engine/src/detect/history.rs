//! Changes of guarded tables → rows of their histories, which go through all that other rows go through.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{interleave, take};
use arrow::error::ArrowError;
use centinel_catalog::{Catalog, HISTORY_COLUMNS, Table, TableKind};
use centinel_model::{Images, LostColumns, MicroBatch, Operation, Origin, TableChanges, TableId};
use centinel_rules::Rule;
use centinel_state::key_text;

/// The tables whose history is kept, and which it is. What no rule reads is not kept.
pub(super) struct Histories(BTreeMap<TableId, TableId>);

/// A row of a history on its way: the change by its index, and whether it stands where the row was before, for a
/// row that left its entity.
#[derive(Clone, Copy)]
struct Step {
    change: u32,
    left: bool,
}

impl Histories {
    /// The histories that these rules read.
    pub fn new(catalog: &Catalog, rules: &[Arc<Rule>]) -> Histories {
        let read = rules.iter().flat_map(|rule| &rule.reads);
        let histories = read.filter_map(|used| match catalog.table(used.table).kind {
            TableKind::History(table) => Some((table, used.table)),
            _ => None,
        });
        Histories(histories.collect())
    }

    /// The histories of a micro-batch: a row for each change of a guarded table, but none for rows that a snapshot had.
    pub fn of(
        &self,
        catalog: &Catalog,
        batch: &MicroBatch,
    ) -> Result<Vec<TableChanges>, ArrowError> {
        let guarded = batch.tables.iter().filter_map(|changes| {
            let history = self.0.get(&changes.table)?;
            Some((changes, *history))
        });
        guarded
            .map(|(changes, history)| history_of(catalog, changes, history))
            .filter(|history| !history.as_ref().is_ok_and(TableChanges::is_empty))
            .collect()
    }
}

fn history_of(
    catalog: &Catalog,
    changes: &TableChanges,
    id: TableId,
) -> Result<TableChanges, ArrowError> {
    let table = catalog.table(changes.table);
    let steps = steps(table, changes)?;
    let schema = catalog.table(id).storage_schema();
    let at = |step: &Step| step.change as usize;
    let mut columns = own_columns(table, changes, &steps);
    for column in table.named_in_history() {
        columns.push(named(changes, column, &steps)?);
    }
    for images in [&changes.before, &changes.after] {
        let rows: UInt32Array = steps.iter().map(|step| images.row[at(step)]).collect();
        for column in images.rows.columns() {
            columns.push(take(column, &rows, None)?);
        }
    }
    let count = steps.len();
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(TableChanges {
        table: id,
        operations: vec![Operation::Insert; count],
        versions: steps
            .iter()
            .map(|step| changes.versions[at(step)])
            .collect(),
        committed_at: steps
            .iter()
            .map(|step| changes.committed_at[at(step)])
            .collect(),
        before: Images {
            rows: RecordBatch::new_empty(schema),
            row: vec![None; count],
        },
        after: Images {
            rows,
            row: (0..count as u32).map(Some).collect(),
        },
        lost: lost(table, changes, &steps),
        origins: Vec::new(),
    })
}

/// One for each change, and one more where the row went elsewhere with it.
fn steps(table: &Table, changes: &TableChanges) -> Result<Vec<Step>, ArrowError> {
    let mut steps = Vec::with_capacity(changes.len());
    let mut ways: Vec<usize> = table
        .entities
        .iter()
        .flat_map(|path| path.columns())
        .copied()
        .collect();
    ways.sort_unstable();
    ways.dedup();
    let (mut before, mut after) = (String::new(), String::new());
    for (index, operation) in changes.operations.iter().enumerate() {
        let change = index as u32;
        match operation {
            Operation::Snapshot => continue,
            Operation::Insert | Operation::Delete => {}
            Operation::Update => {
                let (old, new) = (changes.before.row[index], changes.after.row[index]);
                let moved = ways.iter().any(|way| {
                    let read = |images: &Images, row: Option<u32>, text: &mut String| {
                        text.clear();
                        row.and_then(|row| key_text(&images.rows, &[*way], row as usize, text))
                            .is_some()
                    };
                    let there = read(&changes.before, old, &mut before);
                    let here = read(&changes.after, new, &mut after);
                    there && (!here || before != after)
                });
                if moved {
                    steps.push(Step { change, left: true });
                }
            }
        }
        steps.push(Step {
            change,
            left: *operation == Operation::Delete,
        });
    }
    Ok(steps)
}

/// The columns that every history has, in their order.
fn own_columns(table: &Table, changes: &TableChanges, steps: &[Step]) -> Vec<ArrayRef> {
    let origins: Vec<Option<&Origin>> = changes.origins().collect();
    let origin = |step: &Step| origins[step.change as usize];
    let text = |part: fn(&Origin) -> Option<&String>| {
        let texts = steps.iter().map(|step| origin(step).and_then(part));
        Arc::new(StringArray::from_iter(texts)) as ArrayRef
    };
    let at = |step: &Step| step.change as usize;
    let ids = steps.iter().map(|step| change_id(table, changes, step));
    let operations = steps
        .iter()
        .map(|step| name_of(changes.operations[at(step)]));
    let times = steps.iter().map(|step| changes.committed_at[at(step)].0);
    let threads = steps.iter().map(|step| {
        let thread = origin(step).and_then(|origin| origin.thread)?;
        i64::try_from(thread).ok()
    });
    let columns: [ArrayRef; HISTORY_COLUMNS.len()] = [
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(operations)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
        text(|origin| origin.transaction.as_ref()),
        Arc::new(Int64Array::from_iter(threads)),
        text(|origin| origin.account.as_ref()),
        text(|origin| origin.statement.as_ref()),
    ];
    columns.into()
}

/// The row and the version, which name a change for good: `P1@1.812.0`, behind which `-` stands where the row left.
fn change_id(table: &Table, changes: &TableChanges, step: &Step) -> String {
    let index = step.change as usize;
    let images = if step.left {
        &changes.before
    } else {
        &changes.after
    };
    let mut id = String::new();
    if let Some(row) = images.row[index] {
        // Columns of a primary key are never null.
        let _ = key_text(&images.rows, &table.primary_key, row as usize, &mut id);
    }
    let mut id = id.replace('\u{1f}', "/");
    let version = changes.versions[index];
    let _ = write!(
        id,
        "@{}.{}.{}",
        version.epoch, version.sequence, version.ordinal
    );
    if step.left && changes.operations[index] != Operation::Delete {
        id.push('-');
    }
    id
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert | Operation::Snapshot => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

/// A column's value after the change, or before it where the row left.
fn named(changes: &TableChanges, column: usize, steps: &[Step]) -> Result<ArrayRef, ArrowError> {
    let images = [&changes.before, &changes.after];
    let values = images.map(|images| images.rows.column(column).as_ref());
    let places: Option<Vec<(usize, usize)>> = steps
        .iter()
        .map(|step| {
            let side = usize::from(!step.left);
            let row = images[side].row[step.change as usize]?;
            Some((side, row as usize))
        })
        .collect();
    let places = places.ok_or_else(|| {
        ArrowError::InvalidArgumentError("a change lacks the image that its operation has".into())
    })?;
    interleave(&values, &places)
}

/// What a change's row lacks is lacking on both sides of its history.
fn lost(table: &Table, changes: &TableChanges, steps: &[Step]) -> Vec<(u32, LostColumns)> {
    let before = HISTORY_COLUMNS.len() + table.named_in_history().len();
    let after = before + table.columns.len();
    let mut lost = Vec::new();
    for (row, step) in steps.iter().enumerate() {
        let known = changes
            .lost
            .binary_search_by_key(&step.change, |(index, _)| *index);
        if let Ok(known) = known {
            let columns = &changes.lost[known].1;
            let both = [before, after].into_iter();
            let places = both.flat_map(|from| columns.iter().map(move |column| from + column));
            lost.push((row as u32, places.collect()));
        }
    }
    lost
}
