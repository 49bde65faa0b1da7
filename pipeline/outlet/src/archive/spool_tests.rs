//! What was committed is read as it was, what was not is cut off, and damage is told.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;

fn rows(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

/// Every frame of a segment's file.
fn read_all(path: &Path) -> io::Result<Vec<(TableId, RecordBatch)>> {
    let frames = frames_of(path)?;
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let mut file = File::open(path)?;
    let read = |frame: &Frame| Ok((frame.table, read_frame(path, &mut file, frame)?));
    frames.iter().map(read).collect()
}

fn append(spool: &mut Spool, length: u64, values: &[i64]) -> u64 {
    let changes = std::iter::once(Ok((TableId(3), rows(values))));
    spool.append(1, length, changes).unwrap()
}

#[test]
fn what_was_not_committed_is_cut_off_and_each_frame_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 0, 1, 0).unwrap();
    let first = append(&mut spool, 0, &[1, 2]);
    append(&mut spool, first, &[3]);
    drop(spool);
    let mut spool = Spool::open(folder.path(), 0, 1, first).unwrap();
    let second = append(&mut spool, first, &[4]);
    drop(spool);

    let path = spool_file(folder.path(), 1);
    let third = TableId(3);
    let read = read_all(&path).unwrap();
    assert_eq!(read, [(third, rows(&[1, 2])), (third, rows(&[4]))]);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), second);

    // Nothing of it was ever committed.
    drop(Spool::open(folder.path(), 0, 1, 0).unwrap());
    assert!(!path.exists());
    assert!(
        Spool::open(folder.path(), 0, 1, second).is_err(),
        "it is gone"
    );
}

#[test]
fn a_byte_that_changed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 0, 1, 0).unwrap();
    append(&mut spool, 0, &[1, 2]);
    let path = spool_file(folder.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(read_all(&path).is_err(), "byte {place}");
    }
}

/// What a disk may do to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// Some bits of one byte.
    Bits(usize, u8),
    /// Bytes in the place of others.
    Over(usize, Vec<u8>),
    /// Bytes that are gone, with those behind moved up.
    Gone(usize, usize),
    /// Bytes between others.
    Between(usize, Vec<u8>),
    /// A stretch twice.
    Twice(usize, usize),
    /// All from here on.
    Torn(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = || 0..1_usize << 16;
    let some = || proptest::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        (place(), 1..=u8::MAX).prop_map(|(at, bits)| Damage::Bits(at, bits)),
        (place(), some()).prop_map(|(at, bytes)| Damage::Over(at, bytes)),
        (place(), 1..600_usize).prop_map(|(at, count)| Damage::Gone(at, count)),
        (place(), some()).prop_map(|(at, bytes)| Damage::Between(at, bytes)),
        (place(), 1..600_usize).prop_map(|(at, count)| Damage::Twice(at, count)),
        place().prop_map(Damage::Torn),
    ]
}

impl Damage {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        let within = |at: usize| at % (bytes.len() + 1);
        match self {
            Damage::Bits(at, bits) => {
                let at = within(*at);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= bits);
            }
            Damage::Over(at, new) => {
                let at = within(*at);
                bytes
                    .iter_mut()
                    .skip(at)
                    .zip(new)
                    .for_each(|(byte, new)| *byte = *new);
            }
            Damage::Gone(at, count) => {
                let at = within(*at);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Damage::Between(at, new) => {
                let at = within(*at);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Twice(at, count) => {
                let at = within(*at);
                let stretch = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, stretch);
            }
            Damage::Torn(at) => bytes.truncate(within(*at)),
        }
    }
}

/// Frames of several tables, with text, numbers and nulls.
fn tables() -> impl Strategy<Value = Vec<(u16, Vec<Option<i64>>)>> {
    let values = proptest::collection::vec(any::<Option<i64>>(), 1..12);
    proptest::collection::vec((0..4_u16, values), 1..6)
}

fn batch(values: &[Option<i64>]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let texts = values
        .iter()
        .map(|value| value.map(|value| format!("€{value}")));
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap()
}

/// A segment with these frames, each appended by itself; its lengths after each.
fn written(
    folder: &Path,
    tables: &[(u16, Vec<Option<i64>>)],
) -> (Vec<(TableId, RecordBatch)>, Vec<u64>) {
    let mut spool = Spool::open(folder, 0, 1, 0).unwrap();
    let frames: Vec<_> = tables
        .iter()
        .map(|(table, values)| (TableId(*table), batch(values)))
        .collect();
    let mut lengths = vec![0];
    for frame in &frames {
        let length = lengths[lengths.len() - 1];
        let one = std::iter::once(Ok(frame.clone()));
        lengths.push(spool.append(1, length, one).unwrap());
    }
    (frames, lengths)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Either it is refused, or what comes of it are frames as they were written. Whether all of them came is
    /// known by the count of changes in the manifest.
    #[test]
    fn what_is_damaged_anywhere_gives_no_wrong_row(tables in tables(), damages in proptest::collection::vec(damage(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let (frames, _) = written(folder.path(), &tables);
        let path = spool_file(folder.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        for damage in &damages {
            damage.done_to(&mut bytes);
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_all(&path) {
            Ok(read) if bytes == whole => prop_assert_eq!(read, frames),
            // Torn between two frames, or one of them twice.
            Ok(read) => prop_assert!(read.iter().all(|frame| frames.contains(frame)), "{damages:?}"),
            Err(error) => prop_assert!(bytes != whole, "{error}"),
        }
    }

    /// A crash leaves anything behind the committed length: it is cut off, and what comes next follows on it.
    #[test]
    fn what_was_not_committed_is_cut_off_wherever_it_was_torn(
        tables in tables(), kept in 0..6_usize, torn in 0..1_usize << 16, rest in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut frames, lengths) = written(folder.path(), &tables);
        let kept = kept.min(frames.len());
        let path = spool_file(folder.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        let committed = lengths[kept] as usize;
        bytes.truncate(committed + torn % (bytes.len() - committed + 1));
        bytes.extend(rest);
        std::fs::write(&path, &bytes).unwrap();

        let mut spool = Spool::open(folder.path(), 0, 1, lengths[kept]).unwrap();
        let next = (TableId(9), batch(&[Some(1)]));
        spool.append(1, lengths[kept], std::iter::once(Ok(next.clone()))).unwrap();
        frames.truncate(kept);
        frames.push(next);
        prop_assert_eq!(read_all(&path).unwrap(), frames);
    }

    /// Less than was committed is never taken for all of it.
    #[test]
    fn a_committed_length_that_is_not_there_is_refused(tables in tables(), torn in 0..1_usize << 16) {
        let folder = tempfile::tempdir().unwrap();
        let (_, lengths) = written(folder.path(), &tables);
        let path = spool_file(folder.path(), 1);
        let length = lengths[lengths.len() - 1];
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..torn % bytes.len()]).unwrap();
        prop_assert!(Spool::open(folder.path(), 0, 1, length).is_err());
    }

    /// Bytes that never were a spool.
    #[test]
    fn any_bytes_are_refused_or_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        if magic {
            bytes.splice(0..0, MAGIC.iter().copied());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = spool_file(folder.path(), 1);
        std::fs::write(&path, &bytes).unwrap();
        let read = read_all(&path);
        prop_assert!(read.is_err() || bytes == MAGIC, "{read:?}");
    }
}
