//! Everything known of one entity, in one value: the versions of its rows, its verdicts, its wake times.
//!
//! A document's records are a set: named by (table, primary key, version), joined by union, and the
//! current row is the highest version. So the order in which changes arrive, and how often, cannot
//! matter. A row that moves to another entity leaves a tombstone of that version behind, which needs
//! nothing but the change itself: it names the old key in its image before.

use centinel_model::{TableId, Timestamp};

use crate::StateError;
use crate::codec::{put_varint, take_bytes, take_u64};
use crate::record::Record;

/// The persisted form: one byte 1, the length of the verdicts and the verdicts (bytes of the verdict stage), the
/// number of wakes and the wakes, then records up to the end. Written under the state's first shape.
const OF_FIRST_SHAPE: u8 = 1;
/// The same of a document of which records were forgotten: one byte 2, the newest commit time of what was
/// forgotten, then as above. Known from form 2 of the state on.
const FORGOTTEN: u8 = 2;
/// The same of any shape: one byte 3, the number of the shape, whether records were forgotten (0 or 1), the newest
/// commit time of those if so, then as above. Known from form 3 of the state on.
const OF_SHAPE: u8 = 3;

/// When an entity must be looked at again: when the clock of this set of sources reaches this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wake {
    /// Bit `i` is set for source `i`; the clock is the least progress among them.
    pub sources: u64,
    /// On the sources' clock.
    pub at: Timestamp,
}

/// A document as stored, borrowed.
#[derive(Clone, Debug, Default)]
pub struct StoredDocument<'a> {
    /// The number of the shape that its rows have and that its numbers of tables and sources are of.
    pub shape: u32,
    /// The verdict stage's own bytes.
    pub verdicts: &'a [u8],
    /// Sorted.
    pub wakes: Vec<Wake>,
    /// Sorted by [`Record::order`], each once.
    pub records: Vec<Record<'a>>,
    /// The newest commit time of records that were forgotten; none when all are there.
    pub forgotten: Option<Timestamp>,
}

impl<'a> StoredDocument<'a> {
    /// Reads the persisted form.
    pub fn read(mut bytes: &'a [u8]) -> Result<StoredDocument<'a>, StateError> {
        let (shape, forgotten) = take_head(&mut bytes)?;
        let length = take_u64(&mut bytes)? as usize;
        let verdicts = take_bytes(&mut bytes, length)?;
        let wakes = (0..take_u64(&mut bytes)?)
            .map(|_| {
                Ok(Wake {
                    sources: take_u64(&mut bytes)?,
                    at: Timestamp(take_u64(&mut bytes)? as i64),
                })
            })
            .collect::<Result<Vec<_>, StateError>>()?;
        let mut records = Vec::with_capacity(16);
        while !bytes.is_empty() {
            records.push(Record::read(&mut bytes)?);
        }
        Ok(StoredDocument {
            shape,
            verdicts,
            wakes,
            records,
            forgotten,
        })
    }
}

/// The number of the shape, and the newest commit time of what was forgotten.
fn take_head(bytes: &mut &[u8]) -> Result<(u32, Option<Timestamp>), StateError> {
    let time = |bytes: &mut &[u8]| Ok::<_, StateError>(Timestamp(take_u64(bytes)? as i64));
    match take_bytes(bytes, 1)?[0] {
        OF_FIRST_SHAPE => Ok((0, None)),
        FORGOTTEN => Ok((0, Some(time(bytes)?))),
        OF_SHAPE => {
            let shape = u32::try_from(take_u64(bytes)?)
                .map_err(|_| StateError::corrupt("the number of a shape is too great"))?;
            let forgotten = match take_u64(bytes)? {
                0 => None,
                _ => Some(time(bytes)?),
            };
            Ok((shape, forgotten))
        }
        other => Err(StateError::corrupt(format!(
            "documents of form {other} are not known"
        ))),
    }
}

/// The number of the shape that a document was written under.
pub fn shape_of(mut document: &[u8]) -> Result<u32, StateError> {
    take_head(&mut document).map(|(shape, _)| shape)
}

fn put_head(shape: u32, forgotten: Option<Timestamp>, out: &mut Vec<u8>) {
    match (shape, forgotten) {
        (0, None) => out.push(OF_FIRST_SHAPE),
        (0, Some(_)) => out.push(FORGOTTEN),
        (_, forgotten) => {
            out.push(OF_SHAPE);
            put_varint(out, u128::from(shape));
            put_varint(out, u128::from(forgotten.is_some()));
        }
    }
    if let Some(newest) = forgotten {
        put_varint(out, newest.0.max(0) as u128);
    }
}

/// Writes the persisted form, under the shape of this number.
pub fn write_document(
    shape: u32,
    forgotten: Option<Timestamp>,
    verdicts: &[u8],
    wakes: &[Wake],
    records: &[Record<'_>],
    out: &mut Vec<u8>,
) {
    put_head(shape, forgotten, out);
    put_varint(out, verdicts.len() as u128);
    out.extend_from_slice(verdicts);
    put_varint(out, wakes.len() as u128);
    for wake in wakes {
        put_varint(out, u128::from(wake.sources));
        put_varint(out, wake.at.0.max(0) as u128);
    }
    for record in records {
        record.write(out);
    }
}

/// What a merge found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Records that were not there before, or not whole.
    pub added: usize,
    /// Records that were there already: deliveries repeated.
    pub repeated: usize,
    /// Those among them that brought columns which had come since: they stand in the place of the others now.
    pub completed: usize,
    /// Those among them with other content than before: the source has numbered two changes alike.
    pub contradicting: usize,
}

/// Adds `arrived` to `records`, which stay sorted and each once. Of one version with and without columns that its
/// source could not give the one counts that lacks fewer. `completes` says whether an arrived record of a known version
/// says more than the known one, and nothing else.
pub fn merge<'a>(
    records: &mut Vec<Record<'a>>,
    arrived: &mut Vec<Record<'a>>,
    completes: &dyn Fn(&Record<'_>, &Record<'_>) -> bool,
) -> Merged {
    arrived.sort_unstable_by_key(Record::order);
    let before = records.len();
    let (mut repeated, mut completed, mut contradicting, mut mended) = (0, 0, 0, 0);
    let mut joined: Vec<Record<'_>> = Vec::with_capacity(before + arrived.len());
    let mut old = records.drain(..).peekable();
    for record in arrived.drain(..) {
        while let Some(earlier) = old.next_if(|earlier| earlier.order() <= record.order()) {
            joined.push(earlier);
        }
        match joined.last_mut() {
            Some(last) if last.order() == record.order() && last.lost != record.lost => {
                if lacks_less(&record, last) {
                    *last = record;
                    mended += 1;
                } else {
                    repeated += 1;
                }
            }
            Some(last) if last.order() == record.order() => {
                repeated += 1;
                if last.image != record.image {
                    match completes(last, &record) {
                        true => {
                            *last = record;
                            completed += 1;
                        }
                        false => contradicting += 1,
                    }
                }
            }
            _ => joined.push(record),
        }
    }
    joined.extend(old);
    *records = joined;
    Merged {
        added: records.len() - before + mended,
        repeated,
        completed,
        contradicting,
    }
}

/// Whether the first of two readings of one version is the one that counts.
fn lacks_less(first: &Record<'_>, second: &Record<'_>) -> bool {
    let count = |record: &Record<'_>| {
        record
            .lost
            .iter()
            .map(|byte| byte.count_ones())
            .sum::<u32>()
    };
    (count(first), first.lost) < (count(second), second.lost)
}

/// Forgets the oldest replaced versions so that no row keeps more than `limit` of them beside the
/// current one.
pub fn trim_history(records: &mut Vec<Record<'_>>, limit: usize) {
    if records.len() <= limit {
        return;
    }
    let mut kept = Vec::with_capacity(records.len());
    for row in records.chunk_by(|left, right| left.same_row(right)) {
        kept.extend_from_slice(&row[row.len().saturating_sub(limit + 1)..]);
    }
    *records = kept;
}

/// The current version of every row that is not gone, in order of table and primary key.
pub fn current_rows<'r, 'a>(records: &'r [Record<'a>]) -> impl Iterator<Item = &'r Record<'a>> {
    records.iter().enumerate().filter_map(|(index, record)| {
        let replaced = records
            .get(index + 1)
            .is_some_and(|next| next.same_row(record));
        (!replaced && !record.is_tombstone()).then_some(record)
    })
}

/// For each table below `tables` the newest commit time among its records, deletions included.
pub fn newest_commit(records: &[Record<'_>], tables: usize) -> Vec<Timestamp> {
    let mut newest = vec![Timestamp::MIN; tables];
    for record in records {
        let TableId(table) = record.table;
        if let Some(time) = newest.get_mut(usize::from(table)) {
            *time = (*time).max(record.committed_at);
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::{Operation, Version};

    fn record(key: &'static str, sequence: u64, image: &'static str) -> Record<'static> {
        Record {
            table: TableId(3),
            primary_key: key.as_bytes(),
            version: Version {
                epoch: 1,
                sequence,
                ordinal: 0,
            },
            operation: if image.is_empty() {
                Operation::Delete
            } else {
                Operation::Update
            },
            committed_at: Timestamp(sequence as i64),
            image: image.as_bytes(),
            lost: &[],
        }
    }

    fn merge<'a>(records: &mut Vec<Record<'a>>, arrived: &mut Vec<Record<'a>>) -> Merged {
        super::merge(records, arrived, &|_, _| false)
    }

    fn current(records: &[Record<'_>]) -> Vec<String> {
        current_rows(records)
            .map(|row| String::from_utf8_lossy(row.image).into_owned())
            .collect()
    }

    #[test]
    fn a_replay_neither_rolls_back_nor_repeats() {
        let [a, b, c] = [
            record("k", 1, "A"),
            record("k", 2, "B"),
            record("k", 3, "C"),
        ];
        let mut records = Vec::new();
        let mut repeated = 0;
        for arrived in [vec![a, b], vec![a, b, c], vec![a], vec![b, a]] {
            repeated += merge(&mut records, &mut arrived.clone()).repeated;
            assert!(records.is_sorted_by_key(Record::order));
        }
        assert_eq!(
            (current(&records), records.len(), repeated),
            (vec!["C".into()], 3, 5)
        );
    }

    #[test]
    fn a_tombstone_outlives_older_versions_that_come_late() {
        let mut records = Vec::new();
        merge(
            &mut records,
            &mut vec![record("k", 5, ""), record("l", 1, "L")],
        );
        merge(&mut records, &mut vec![record("k", 4, "late")]);
        assert_eq!(current(&records), ["L"]);
        merge(&mut records, &mut vec![record("k", 6, "again")]);
        assert_eq!(current(&records), ["again", "L"]);
    }

    #[test]
    fn a_row_that_leaves_and_comes_to_one_document_in_one_version_is_there() {
        for arrived in [["", "N"], ["N", ""]] {
            let mut records = vec![record("k", 1, "O")];
            for image in arrived {
                merge(&mut records, &mut vec![record("k", 2, image)]);
            }
            assert_eq!(current(&records), ["N"]);
            // When it leaves for good, its leaving is still known.
            records.retain(|record| record.image != b"N");
            assert!(current(&records).is_empty());
        }
    }

    #[test]
    fn of_one_version_the_reading_that_lacks_less_counts() {
        let whole = record("k", 1, "whole");
        let (lacking, more) = (&[0b10][..], &[0b110][..]);
        let lost = |lost: &'static [u8]| Record {
            image: b"",
            operation: Operation::Update,
            lost,
            ..whole
        };
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut records = Vec::new();
            let mut all = Merged::default();
            for which in order {
                let arrived = [whole, lost(lacking), lost(more)][which];
                let merged = merge(&mut records, &mut vec![arrived]);
                all.contradicting += merged.contradicting;
            }
            assert_eq!((records, all.contradicting), (vec![whole], 0), "{order:?}");
        }
        let mut records = vec![lost(lacking)];
        let merged = merge(&mut records, &mut vec![whole]);
        assert_eq!((merged.added, merged.repeated), (1, 0));
        let merged = merge(&mut records, &mut vec![lost(lacking)]);
        assert_eq!((merged.added, merged.repeated), (0, 1));
    }

    #[test]
    fn lost_columns_are_kept_with_the_record() {
        let mut lost = Vec::new();
        crate::write_lost(&[1, 9], &mut lost);
        let lacking = Record {
            lost: &lost,
            ..record("k", 1, "one")
        };
        let mut bytes = Vec::new();
        for record in [lacking, record("l", 2, "")] {
            record.write(&mut bytes);
        }
        let mut rest = bytes.as_slice();
        let read = Record::read(&mut rest).unwrap();
        assert_eq!(read, lacking);
        let lacks: Vec<usize> = (0..20).filter(|column| read.lacks(*column)).collect();
        assert_eq!(lacks, [1, 9]);
        assert_eq!(Record::read(&mut rest).unwrap(), record("l", 2, ""));
        assert!(rest.is_empty());
    }

    #[test]
    fn trimming_keeps_the_newest_versions_of_each_row() {
        let mut records = vec![
            record("k", 1, "1"),
            record("k", 2, "2"),
            record("k", 3, "3"),
            record("l", 9, "9"),
        ];
        trim_history(&mut records, 1);
        let kept: Vec<u64> = records
            .iter()
            .map(|record| record.version.sequence)
            .collect();
        assert_eq!(kept, [2, 3, 9]);
    }

    #[test]
    fn documents_are_read_as_they_were_written() {
        let records = vec![
            record("k", 1, "one"),
            record("k", 2, ""),
            record("l", 300, "two"),
        ];
        let wakes = vec![Wake {
            sources: 5,
            at: Timestamp(77),
        }];
        let mut bytes = Vec::new();
        for (shape, forgotten, form) in [
            (0, None, 1),
            (0, Some(Timestamp(1_000)), 2),
            (7, None, 3),
            (300, Some(Timestamp(1_000)), 3),
        ] {
            bytes.clear();
            write_document(shape, forgotten, b"verdicts", &wakes, &records, &mut bytes);
            let read = StoredDocument::read(&bytes).unwrap();
            assert_eq!((bytes[0], read.shape), (form, shape));
            assert_eq!(
                (read.verdicts, &read.wakes, &read.records, read.forgotten),
                (&b"verdicts"[..], &wakes, &records, forgotten)
            );
            for cut in 1..bytes.len() {
                let _ = StoredDocument::read(&bytes[..cut]);
            }
        }
    }
}
