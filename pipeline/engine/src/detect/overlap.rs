//! Rows of the snapshot that a state began with, and a stream that began before the snapshot was taken.
//!
//! Whatever the stream says of a row replaces what the snapshot had, except what the row itself shows to be older:
//! a change that was committed up to the snapshot's cut and whose `changed_at` lies before that of the snapshot's
//! row. It would roll the row back until the stream has come as far as the snapshot.

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use centinel_catalog::{Catalog, TableKind};
use centinel_model::Operation;
use centinel_state::{Record, RowDecoder};

use super::bootstrap::LOWEST;
use super::horizon::Horizons;

/// Drops what is older than the snapshot's row; how much that was. The snapshot's row in turn goes where a source
/// gives another one its version, which is the lowest that there is.
pub(super) fn give_way<'b>(
    catalog: &Catalog,
    horizons: &Horizons,
    stored: &mut Vec<Record<'b>>,
    coming: &mut Vec<Record<'b>>,
) -> usize {
    let before = coming.len();
    coming.retain(|change| {
        let Some(place) = snapshot_row(catalog, stored, change) else {
            return true;
        };
        if is_older(catalog, horizons, change, &stored[place]) {
            return false;
        }
        if change.version == LOWEST && change.image != stored[place].image {
            stored.remove(place);
        }
        true
    });
    before - coming.len()
}

/// Where the snapshot's row stands that this change is about.
fn snapshot_row(catalog: &Catalog, stored: &[Record<'_>], change: &Record<'_>) -> Option<usize> {
    let of_snapshot =
        |record: &Record<'_>| record.version == LOWEST && record.operation == Operation::Snapshot;
    if catalog.table(change.table).kind == TableKind::Events || of_snapshot(change) {
        return None;
    }
    let row = (change.table, change.primary_key);
    let place = stored.partition_point(|record| (record.table, record.primary_key) < row);
    let first = stored.get(place)?;
    (first.same_row(change) && of_snapshot(first)).then_some(place)
}

fn is_older(catalog: &Catalog, horizons: &Horizons, change: &Record<'_>, row: &Record<'_>) -> bool {
    let cut = horizons.of_table(change.table);
    if cut.is_none_or(|cut| change.committed_at > cut) || change.is_tombstone() {
        return false;
    }
    let (changed, known) = (changed_at(catalog, change), changed_at(catalog, row));
    changed
        .zip(known)
        .is_some_and(|(changed, known)| changed < known)
}

/// What a row says of when it changed, in microseconds since 1970.
fn changed_at(catalog: &Catalog, record: &Record<'_>) -> Option<i64> {
    let table = catalog.table(record.table);
    let mut decoder = RowDecoder::new(table, &[table.changed_at?]);
    decoder.decode(record.image).ok()?;
    let columns = decoder.finish();
    let column = columns
        .first()?
        .as_primitive_opt::<TimestampMicrosecondType>()?;
    column.is_valid(0).then(|| column.value(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
    use centinel_catalog::Table;
    use centinel_model::{HorizonOf, TableId, Timestamp, Version};
    use centinel_state::RowEncoder;

    use super::*;

    const SCHEMA: &str = "\
centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  updated_at: { type: timestamp, nullable: true }
changed_at: updated_at
";
    const CUT: i64 = 100;

    fn catalog() -> Catalog {
        let folder = tempfile::tempdir().unwrap();
        let entities = "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n";
        std::fs::write(folder.path().join("entities.yaml"), entities).unwrap();
        std::fs::write(folder.path().join("payment.yaml"), SCHEMA).unwrap();
        centinel_catalog::load(folder.path()).unwrap()
    }

    fn image(table: &Table, order: &str, changed_at: Option<i64>) -> Vec<u8> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["P1"])),
            Arc::new(StringArray::from(vec![order])),
            Arc::new(TimestampMicrosecondArray::from(vec![changed_at])),
        ];
        let rows = RecordBatch::try_new(table.storage_schema(), columns).unwrap();
        let mut image = Vec::new();
        RowEncoder::new(&rows).unwrap().encode(0, &mut image);
        image
    }

    fn record(image: &[u8], operation: Operation, sequence: u64, committed_at: i64) -> Record<'_> {
        Record {
            table: TableId(0),
            primary_key: b"P1",
            version: Version { sequence, ..LOWEST },
            operation,
            committed_at: Timestamp(committed_at),
            image,
            lost: &[],
        }
    }

    #[test]
    fn only_what_the_row_itself_shows_to_be_older_is_dropped() {
        let catalog = catalog();
        let table = catalog.table(TableId(0));
        let mut horizons = Horizons::default();
        let of = HorizonOf::Snapshot(TableId(0));
        horizons.set(&catalog, of, Timestamp(CUT));
        let known = image(table, "O1", Some(80));
        let undated = image(table, "O1", None);
        let update = Operation::Update;
        for (row, changed_at, operation, committed_at, dropped) in [
            (&known, Some(79), update, 79, 1),
            (&known, Some(80), update, 80, 0),
            (&known, Some(81), update, 81, 0),
            // What came after the snapshot counts, whatever it says of itself.
            (&known, Some(79), update, CUT, 1),
            (&known, Some(79), update, CUT + 1, 0),
            // Nobody can tell.
            (&known, None, update, 10, 0),
            (&undated, Some(10), update, 10, 0),
            (&known, Some(79), Operation::Delete, 79, 0),
        ] {
            let other = image(table, "O2", changed_at);
            let mut stored = vec![record(row, Operation::Snapshot, 0, 80)];
            let mut coming = vec![record(&other, operation, 7, committed_at)];
            let found = give_way(&catalog, &horizons, &mut stored, &mut coming);
            let what = format!("{changed_at:?} {operation:?} at {committed_at}");
            assert_eq!((found, coming.len()), (dropped, 1 - dropped), "{what}");
            assert_eq!(stored.len(), 1, "{what}");
        }
    }

    #[test]
    fn a_source_may_give_the_lowest_version_too() {
        let catalog = catalog();
        let table = catalog.table(TableId(0));
        let horizons = Horizons::default();
        let (known, other) = (image(table, "O1", Some(80)), image(table, "O1", Some(90)));
        let mut stored = vec![record(&known, Operation::Snapshot, 0, 80)];
        let mut coming = vec![record(&other, Operation::Update, 0, 90)];
        give_way(&catalog, &horizons, &mut stored, &mut coming);
        assert!(stored.is_empty());
        assert_eq!(coming.len(), 1);
        // A row that was not read from a snapshot stays, and is told as a contradiction.
        let mut stored = vec![record(&known, Operation::Insert, 0, 80)];
        give_way(&catalog, &horizons, &mut stored, &mut coming);
        assert_eq!((stored.len(), coming.len()), (1, 1));
    }
}
