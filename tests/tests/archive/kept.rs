//! What lies in an archive, read without the pipeline; and what was delivered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt64Type};
use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::AuditOptions;
use centinel_model::Timestamp;
use centinel_outlet::Report;
use centinel_outlet::archive::{ArchiveOptions, Location};
use centinel_rules::Rule;
use centinel_tests::Found;
use data_fixtures::{Delivered, Record};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const HOUR: i64 = 3_600_000_000;

/// An archive and its spool below a folder, in segments of so many bytes.
pub fn archive_in(folder: &Path, segment_bytes: u64) -> ArchiveOptions {
    let location = folder.join("archive").display().to_string();
    ArchiveOptions {
        segment_bytes,
        ..ArchiveOptions::new(location, folder.join("state").join("archive"))
    }
}

/// One change as it stands in the archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    pub change: u64,
    pub table: String,
    /// Its version; of an event its message id.
    pub name: String,
}

/// Every change in an archive, by number. Each stands in the file of its table and hour.
pub fn kept(options: &ArchiveOptions) -> Vec<Kept> {
    let location = Location::open(&options.location, &options.store_options).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut kept = Vec::new();
    for (path, _) in runtime.block_on(location.list("")).unwrap() {
        if !path.ends_with(".parquet") {
            continue;
        }
        let bytes = runtime.block_on(location.get(&path)).unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        for rows in reader.build().unwrap() {
            take_in(&path, &rows.unwrap(), &mut kept);
        }
    }
    kept.sort();
    kept
}

fn take_in(path: &str, rows: &RecordBatch, kept: &mut Vec<Kept>) {
    let part = |name: &str| {
        let mut parts = path.split('/');
        parts
            .find_map(|part| part.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let (table, date, hour) = (part("table="), part("date="), part("hour="));
    let begin = Timestamp::parse(&format!("{date}T{hour}:00:00Z"))
        .unwrap()
        .0;
    let column = |name: &str| rows.column_by_name(name).unwrap();
    let changes = column("_change").as_primitive::<UInt64Type>();
    let epochs = column("_epoch").as_primitive::<Int64Type>();
    let sequences = column("_sequence").as_primitive::<UInt64Type>();
    let ordinals = column("_ordinal").as_primitive::<Int64Type>();
    let times = column("_committed_at").as_primitive::<TimestampMicrosecondType>();
    for row in 0..rows.num_rows() {
        let name = match rows.column_by_name("message_id") {
            Some(ids) => ids.as_string::<i32>().value(row).to_owned(),
            None => version(epochs.value(row), sequences.value(row), ordinals.value(row)),
        };
        assert!((begin..begin + HOUR).contains(&times.value(row)), "{path}");
        kept.push(Kept {
            change: changes.value(row),
            table: table.clone(),
            name,
        });
    }
}

fn version(epoch: i64, sequence: u64, ordinal: i64) -> String {
    format!("{epoch}/{sequence}/{ordinal}")
}

/// Changes by table and name.
type Counts = BTreeMap<(String, String), u64>;

/// How often each change was delivered, by table and name as in [`Kept`].
fn deliveries(records: &[Delivered]) -> Counts {
    let mut counts = Counts::new();
    for record in records {
        let name = match &record.record {
            Record::Change(change) => {
                version(change.epoch.into(), change.sequence, change.ordinal.into())
            }
            Record::Event(event) => event.row.primary_key().text(),
            Record::Heartbeat(_) => continue,
        };
        let table = record.record.row().unwrap().table().name();
        *counts.entry((table.to_owned(), name)).or_default() += 1;
    }
    counts
}

/// Each delivery stands in the archive, once, under a number of its own, and none is left out.
#[track_caller]
pub fn assert_each_once(options: &ArchiveOptions, records: &[Delivered]) {
    let kept = kept(options);
    let numbers: Vec<u64> = kept.iter().map(|kept| kept.change).collect();
    assert!(
        numbers.iter().copied().eq(1..=kept.len() as u64),
        "{numbers:?}"
    );
    let mut counts = Counts::new();
    for change in kept {
        *counts.entry((change.table, change.name)).or_default() += 1;
    }
    let delivered = deliveries(records);
    let differ = |one: &Counts, other: &Counts| -> Vec<_> {
        let differing = one
            .iter()
            .filter(|(change, count)| other.get(*change) != Some(*count));
        differing
            .take(5)
            .map(|(change, count)| (change.clone(), *count))
            .collect()
    };
    let (more, less) = (differ(&counts, &delivered), differ(&delivered, &counts));
    assert!(
        more.is_empty() && less.is_empty(),
        "archived {more:#?}, delivered {less:#?}"
    );
}

/// The audit of the archive as of a moment.
pub fn audit_at(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    options: &ArchiveOptions,
    moment: i64,
    how: &AuditOptions,
) -> Result<Report, EngineError> {
    let cut = ArchiveCut {
        location: options.location.clone(),
        store_options: options.store_options.clone(),
        at: Timestamp(moment),
    };
    audit_archive(catalog, rules, &cut, how, &|_| ())
}

/// What a report found; it could judge everything, and tells each once.
#[track_caller]
pub fn found(report: &Report) -> BTreeSet<Found> {
    assert!(
        report.could_not_judge.is_empty(),
        "{:?}",
        report.could_not_judge
    );
    let found: BTreeSet<Found> = report.findings.iter().map(Found::of).collect();
    assert_eq!(found.len(), report.findings.len(), "each once");
    found
}

#[track_caller]
pub fn assert_same(found: &BTreeSet<Found>, truth: &BTreeSet<Found>, what: &str) {
    let missed: Vec<_> = truth.difference(found).take(5).collect();
    let invented: Vec<_> = found.difference(truth).take(5).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "{what}: of {} missed {missed:#?}, invented {invented:#?}",
        truth.len()
    );
}
