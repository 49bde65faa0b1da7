//! Documents that were written under an earlier shape, read as of now.

use centinel_catalog::{ColumnType, Conversion, TableConversion};

use crate::StateError;
use crate::codec::{put_cells, take_cells};
use crate::document::{StoredDocument, Wake, write_document};
use crate::record::{Record, write_lost};

/// The document as if it had been written under the later shape, which has number `shape`. Rows of tables that
/// are gone are left out, and wakes by sources that are gone.
pub fn convert_document(
    bytes: &[u8],
    conversion: &Conversion,
    shape: u32,
) -> Result<Vec<u8>, StateError> {
    let stored = StoredDocument::read(bytes)?;
    let mut wakes: Vec<Wake> = stored
        .wakes
        .iter()
        .filter_map(|wake| {
            let sources = conversion.source_set(wake.sources)?;
            Some(Wake { sources, ..*wake })
        })
        .collect();
    wakes.sort_unstable();
    let mut images = Vec::with_capacity(stored.records.len());
    for record in &stored.records {
        let table = conversion.tables.get(usize::from(record.table.0));
        let table = table.ok_or_else(|| StateError::corrupt("a row of an unknown table"))?;
        let image = table.as_ref().map(|table| {
            let image = convert_row(record.image, table)?;
            Ok((table.to, image, convert_lost(record, table)))
        });
        images.push(image.transpose()?);
    }
    let mut records: Vec<Record<'_>> = stored
        .records
        .iter()
        .zip(&images)
        .filter_map(|(record, image)| {
            let (table, image, lost) = image.as_ref()?;
            Some(Record {
                table: *table,
                image,
                lost,
                ..*record
            })
        })
        .collect();
    records.sort_unstable_by_key(Record::order);
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let StoredDocument {
        verdicts,
        forgotten,
        ..
    } = stored;
    write_document(shape, forgotten, verdicts, &wakes, &records, &mut out);
    Ok(out)
}

fn convert_row(image: &[u8], table: &TableConversion) -> Result<Vec<u8>, StateError> {
    if image.is_empty() || table.is_identity() {
        return Ok(image.to_vec());
    }
    let earlier = take_cells(&table.earlier, image)?;
    let later = table.columns.iter().map(|place| earlier[(*place)?]);
    let mut out = Vec::with_capacity(image.len() + 8);
    put_cells(&later.collect::<Vec<_>>(), &mut out);
    Ok(out)
}

/// The columns that the row does not tell, by their places of now: those that its source could not give. Where columns
/// were lost or went, those that came since are among them: they may be the same ones under another name.
fn convert_lost(record: &Record<'_>, table: &TableConversion) -> Vec<u8> {
    let places = table.columns.iter().enumerate();
    let renamed = !record.lost.is_empty() || table.may_rename();
    let lost = places.filter(|(_, earlier)| earlier.map_or(renamed, |place| record.lacks(place)));
    let mut out = Vec::new();
    write_lost(
        &lost.map(|(column, _)| column).collect::<Vec<_>>(),
        &mut out,
    );
    out
}

/// Whether one image of a version says what the other says, and more: `known` was written before columns came
/// (`came`, by column) and has null there. Both are of these columns.
pub fn completes(
    columns: &[ColumnType],
    came: &[bool],
    known: &[u8],
    arrived: &[u8],
) -> Result<bool, StateError> {
    if known.is_empty() || arrived.is_empty() || !came.contains(&true) {
        return Ok(false);
    }
    let (known, arrived) = (take_cells(columns, known)?, take_cells(columns, arrived)?);
    let mut cells = known.iter().zip(&arrived).zip(came);
    Ok(cells.all(|((known, arrived), came)| known == arrived || (*came && known.is_none())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::{Operation, SourceId, TableId, Timestamp, Version};

    const EARLIER: [ColumnType; 3] = [ColumnType::Text, ColumnType::Integer, ColumnType::Boolean];

    fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
        let mut out = Vec::new();
        put_cells(cells, &mut out);
        out
    }

    fn record<'a>(table: u16, image: &'a [u8]) -> Record<'a> {
        Record {
            table: TableId(table),
            primary_key: b"k",
            version: Version {
                epoch: 1,
                sequence: 2,
                ordinal: 0,
            },
            operation: if image.is_empty() {
                Operation::Delete
            } else {
                Operation::Insert
            },
            committed_at: Timestamp(5),
            image,
            lost: &[],
        }
    }

    #[test]
    fn what_a_row_lacks_moves_with_its_columns() {
        let mut lost = Vec::new();
        write_lost(&[1, 2], &mut lost);
        let image = row(&[Some(b"\x02ab"), None, None]);
        let lacking = Record {
            lost: &lost,
            ..record(0, &image)
        };
        let table = TableConversion {
            to: TableId(0),
            earlier: EARLIER.to_vec(),
            columns: vec![Some(2), None, Some(0)],
        };
        let conversion = Conversion {
            tables: vec![Some(table)],
            entities: vec![],
            sources: vec![Some(SourceId(0))],
        };
        let mut bytes = Vec::new();
        write_document(0, None, b"", &[], &[lacking], &mut bytes);
        let converted = convert_document(&bytes, &conversion, 1).unwrap();
        let read = StoredDocument::read(&converted).unwrap();
        let lacks: Vec<bool> = (0..3).map(|column| read.records[0].lacks(column)).collect();
        assert_eq!(lacks, [true, true, false]);
    }

    #[test]
    fn a_column_that_came_alone_is_null_in_earlier_rows() {
        let image = row(&[Some(b"\x02ab"), None, Some(b"\x01")]);
        let converted = |columns: Vec<Option<usize>>| {
            let table = TableConversion {
                to: TableId(0),
                earlier: EARLIER.to_vec(),
                columns,
            };
            let conversion = Conversion {
                tables: vec![Some(table)],
                entities: vec![],
                sources: vec![Some(SourceId(0))],
            };
            let mut bytes = Vec::new();
            write_document(0, None, b"", &[], &[record(0, &image)], &mut bytes);
            convert_document(&bytes, &conversion, 1).unwrap()
        };
        for (columns, lacks) in [
            (vec![Some(0), Some(1), None, Some(2)], vec![]),
            (vec![Some(0), Some(2)], vec![]),
            (vec![Some(0), None, Some(2)], vec![1]),
            (vec![None, Some(2), Some(1), None], vec![0, 3]),
        ] {
            let bytes = converted(columns.clone());
            let read = StoredDocument::read(&bytes).unwrap();
            let found = (0..4).filter(|column| read.records[0].lacks(*column));
            assert_eq!(found.collect::<Vec<_>>(), lacks, "{columns:?}");
        }
    }

    #[test]
    fn rows_wakes_and_numbers_are_as_of_now() {
        let conversion = Conversion {
            // The first stands third now, and has a column more, one less, the others turned round.
            tables: vec![
                Some(TableConversion {
                    to: TableId(2),
                    earlier: EARLIER.to_vec(),
                    columns: vec![Some(2), None, Some(0)],
                }),
                None,
                Some(TableConversion {
                    to: TableId(0),
                    earlier: EARLIER.to_vec(),
                    columns: vec![Some(0), Some(1), Some(2)],
                }),
            ],
            entities: vec![],
            sources: vec![Some(SourceId(1)), None],
        };
        let image = row(&[Some(b"\x02ab"), None, Some(b"\x01")]);
        let wake = |sources, at| Wake {
            sources,
            at: Timestamp(at),
        };
        let mut bytes = Vec::new();
        let records = [record(0, &image), record(1, &image), record(2, b"")];
        let forgotten = Some(Timestamp(3));
        write_document(
            0,
            forgotten,
            b"verdicts",
            &[wake(1, 7), wake(2, 8), wake(3, 9)],
            &records,
            &mut bytes,
        );
        assert_eq!(StoredDocument::read(&bytes).unwrap().shape, 0);

        let converted = convert_document(&bytes, &conversion, 4).unwrap();
        let read = StoredDocument::read(&converted).unwrap();
        let turned = row(&[Some(b"\x01"), None, Some(b"\x02ab")]);
        assert_eq!((read.shape, read.forgotten), (4, forgotten));
        assert_eq!(read.verdicts, b"verdicts");
        assert_eq!(read.wakes, [wake(2, 7)]);
        // The column that came may be the one that went, under another name.
        let mut lost = Vec::new();
        write_lost(&[1], &mut lost);
        let turned = Record {
            lost: &lost,
            ..record(2, &turned)
        };
        assert_eq!(read.records, [record(0, b""), turned]);
        for cut in 1..bytes.len() {
            let _ = convert_document(&bytes[..cut], &conversion, 4);
        }
    }

    #[test]
    fn only_a_column_that_came_may_be_filled_in() {
        let full = row(&[Some(b"\x01a"), Some(b"\x04"), Some(b"\x01")]);
        let without = row(&[Some(b"\x01a"), None, Some(b"\x01")]);
        let other = row(&[Some(b"\x01b"), Some(b"\x04"), Some(b"\x01")]);
        let came = [false, true, false];
        let says = |came: &[bool], known: &[u8], arrived: &[u8]| {
            completes(&EARLIER, came, known, arrived).unwrap()
        };
        assert!(says(&came, &without, &full));
        assert!(!says(&came, &full, &without));
        assert!(!says(&came, &without, &other));
        assert!(!says(&[false; 3], &without, &full));
        assert!(!says(&came, b"", &full));
    }
}
