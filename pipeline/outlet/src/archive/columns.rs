//! Changes of a table as the archive holds them: one row for each.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use centinel_catalog::Table;
use centinel_model::{Images, Operation, Origin, TableChanges};

/// The change's number in the archive, from 1: unsigned, 64 bits.
pub const CHANGE: &str = "_change";
/// `insert`, `update`, `delete` or `snapshot`.
pub const OPERATION: &str = "_operation";
/// The version's epoch: 64 bits.
pub const EPOCH: &str = "_epoch";
/// The version's sequence: unsigned, 64 bits.
pub const SEQUENCE: &str = "_sequence";
/// The version's ordinal: 64 bits.
pub const ORDINAL: &str = "_ordinal";
/// Commit time on the source's clock: UTC, microseconds.
pub const COMMITTED_AT: &str = "_committed_at";
/// The transaction's own name, such as its GTID; null where the source does not say it, as the next ones.
pub const TRANSACTION: &str = "_transaction";
/// The server's thread that made it: unsigned, 64 bits.
pub const THREAD: &str = "_thread";
/// The account that made it.
pub const ACCOUNT: &str = "_account";
/// The statement that made it, of a long one its beginning.
pub const STATEMENT: &str = "_statement";
/// What an operation that removes a row is called.
pub const DELETE: &str = "delete";

/// The name of a column's value in the row before the change.
pub fn before(column: &str) -> String {
    format!("_before_{column}")
}

/// The Arrow schema of a table's changes: what happened, the row after under its own names, the row before,
/// who made it.
/// A name that stands for two columns is an error.
pub fn archive_schema(table: &Table) -> Result<SchemaRef, String> {
    let own = [
        (CHANGE, DataType::UInt64),
        (OPERATION, DataType::Utf8),
        (EPOCH, DataType::Int64),
        (SEQUENCE, DataType::UInt64),
        (ORDINAL, DataType::Int64),
        (
            COMMITTED_AT,
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
    ];
    let mut fields: Vec<Field> = own
        .into_iter()
        .map(|(name, kind)| Field::new(name, kind, false))
        .collect();
    let columns = &table.columns;
    fields.extend(
        columns
            .iter()
            .map(|column| Field::new(&column.name, column.storage_type(), true)),
    );
    fields.extend(
        columns
            .iter()
            .map(|column| Field::new(before(&column.name), column.storage_type(), true)),
    );
    let made_by = [
        (TRANSACTION, DataType::Utf8),
        (THREAD, DataType::UInt64),
        (ACCOUNT, DataType::Utf8),
        (STATEMENT, DataType::Utf8),
    ];
    fields.extend(made_by.map(|(name, kind)| Field::new(name, kind, true)));
    for (index, field) in fields.iter().enumerate() {
        if fields[..index]
            .iter()
            .any(|other| other.name() == field.name())
        {
            return Err(format!(
                "table `{}` has a column `{}`, and the archive calls something else so: it cannot be archived",
                table.name,
                field.name()
            ));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The changes as rows of `schema`, numbered from `first`.
pub(super) fn rows_of(
    schema: &SchemaRef,
    changes: &TableChanges,
    first: u64,
) -> Result<RecordBatch, ArrowError> {
    let count = changes.len();
    let operations = changes
        .operations
        .iter()
        .map(|operation| name_of(*operation));
    let versions = &changes.versions;
    let epochs = versions.iter().map(|version| i64::from(version.epoch));
    let sequences = versions.iter().map(|version| version.sequence);
    let ordinals = versions.iter().map(|version| i64::from(version.ordinal));
    let times = changes.committed_at.iter().map(|time| time.0);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(first..first + count as u64)),
        Arc::new(StringArray::from_iter_values(operations)),
        Arc::new(Int64Array::from_iter_values(epochs)),
        Arc::new(UInt64Array::from_iter_values(sequences)),
        Arc::new(Int64Array::from_iter_values(ordinals)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
    ];
    columns.extend(images(&changes.after)?);
    columns.extend(images(&changes.before)?);
    let text = |part: fn(&Origin) -> Option<&String>| {
        let texts = changes.origins().map(|origin| origin.and_then(part));
        Arc::new(StringArray::from_iter(texts)) as ArrayRef
    };
    let threads = changes
        .origins()
        .map(|origin| origin.and_then(|origin| origin.thread));
    columns.push(text(|origin| origin.transaction.as_ref()));
    columns.push(Arc::new(UInt64Array::from_iter(threads)));
    columns.push(text(|origin| origin.account.as_ref()));
    columns.push(text(|origin| origin.statement.as_ref()));
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => DELETE,
        Operation::Snapshot => "snapshot",
    }
}

/// One row for each change, of nulls where it has no such image.
fn images(images: &Images) -> Result<Vec<ArrayRef>, ArrowError> {
    let whole = images.rows.num_rows() == images.row.len();
    let in_order = |(place, row): (usize, &Option<u32>)| *row == Some(place as u32);
    if whole && images.row.iter().enumerate().all(in_order) {
        return Ok(images.rows.columns().to_vec());
    }
    let places: UInt32Array = images.row.iter().copied().collect();
    images
        .rows
        .columns()
        .iter()
        .map(|column| take(column, &places, None))
        .collect()
}
