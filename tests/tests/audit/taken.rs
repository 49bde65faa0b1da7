//! Snapshots to audit, and what to say of the reports.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use centinel_catalog::Catalog;
use centinel_engine::audit::{AuditOptions, Snapshot, audit};
use centinel_model::Timestamp;
use centinel_outlet::Report;
use centinel_rules::Rule;
use centinel_tests::{Found, History, rules, schemas};
use data_fixtures::write::SnapshotWriter;
use data_fixtures::{FaultKind, SECOND, SimulationParameters, Table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

pub struct Taken {
    pub folder: TempDir,
    pub history: History,
    pub moment: i64,
}

impl Taken {
    /// A platform with every fault, cut so long before its end.
    pub fn before_the_end(seed: u64, seconds: i64) -> Taken {
        let history = History::simulate(SimulationParameters {
            seed,
            orders: 3_000,
            fault_share: 300,
            faults: FaultKind::ALL.to_vec(),
            ..SimulationParameters::default()
        });
        let moment = history.end - seconds * SECOND;
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(folder.path(), &Table::ALL, Some(moment)).unwrap();
        for record in &history.records {
            writer.write(record).unwrap();
        }
        writer.finish(history.end).unwrap();
        Taken {
            folder,
            history,
            moment,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn audit(&self) -> Report {
        self.audit_with(&options())
    }

    pub fn audit_with(&self, options: &AuditOptions) -> Report {
        let catalog = schemas();
        self.audit_by(&catalog, &rules(&catalog), options)
    }

    pub fn audit_by(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        options: &AuditOptions,
    ) -> Report {
        let snapshot = Snapshot::open(&self.folder.path().display().to_string(), &[]).unwrap();
        audit(catalog, rules, &Arc::new(snapshot), options, &|_| ()).unwrap()
    }

    /// Changes the rows of a table.
    pub fn rewrite(&self, table: &str, change: impl Fn(RecordBatch) -> RecordBatch) {
        let path = self.path(&format!("{table}.parquet"));
        let rows = change(read(&path));
        write(&path, &rows);
    }

    pub fn forget_row_counts(&self) {
        let as_of = Timestamp(self.moment);
        let text = format!("{{\"centinel\":\"snapshot/1\",\"as_of\":\"{as_of}\"}}");
        std::fs::write(self.path("manifest.json"), text).unwrap();
    }
}

/// Several slices and threads, as for much larger data.
pub fn options() -> AuditOptions {
    AuditOptions {
        slice_rows: 1_000,
        ..AuditOptions::default()
    }
}

pub fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub fn write(path: &Path, rows: &RecordBatch) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// The rows with another column in the place of one, or without it.
pub fn with_column(rows: &RecordBatch, name: &str, column: Option<ArrayRef>) -> RecordBatch {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, values) in rows.schema().fields().iter().zip(rows.columns()) {
        let values = match (field.name() == name, &column) {
            (false, _) => Arc::clone(values),
            (true, Some(column)) => Arc::clone(column),
            (true, None) => continue,
        };
        fields.push(Field::new(field.name(), values.data_type().clone(), true));
        columns.push(values);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub fn texts(rows: &RecordBatch, name: &str) -> StringArray {
    rows.column_by_name(name)
        .unwrap()
        .as_string::<i32>()
        .clone()
}

pub fn found(report: &Report) -> BTreeSet<Found> {
    report.findings.iter().map(Found::of).collect()
}

pub fn reasons(report: &Report) -> String {
    let shown = report.could_not_judge.iter().map(|problem| {
        format!(
            "{:?} {:?} {}\n",
            problem.rule, problem.entity_key, problem.reason
        )
    });
    shown.collect()
}

#[track_caller]
pub fn assert_same(report: &Report, truth: &BTreeSet<Found>) {
    let found = found(report);
    let missed: Vec<_> = truth.difference(&found).take(5).collect();
    let invented: Vec<_> = found.difference(truth).take(5).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "missed {missed:#?}, invented {invented:#?}"
    );
    assert_eq!(report.findings.len(), truth.len(), "each once");
}
