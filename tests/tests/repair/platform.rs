//! A snapshot as texts, changed and written again by code that shares nothing with the core.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use centinel_catalog::Catalog;
use centinel_engine::audit::{AuditOptions, Cut, Snapshot, audit};
use centinel_engine::repair::{Changes, PlanInput, RepairOptions, RepairPlan, plan, read_changes};
use centinel_model::Timestamp;
use centinel_outlet::Report;
use centinel_rules::Rule;
use centinel_tests::History;
use data_fixtures::write::SnapshotWriter;
use data_fixtures::{FaultKind, SECOND, SimulationParameters, Table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Tables that may change; events may not.
pub const TABLES: [&str; 6] = [
    "accounting_entry",
    "billing",
    "cash_out",
    "payment",
    "refund",
    "settlement",
];

/// A row: its texts by column; none is null.
pub type Row = BTreeMap<String, Option<String>>;

/// A snapshot in a folder, and its tables as texts.
pub struct Platform {
    pub folder: TempDir,
    pub history: History,
    pub rows: BTreeMap<String, Vec<Row>>,
    schemas: BTreeMap<String, SchemaRef>,
}

impl Platform {
    /// With every fault, cut so many seconds before the end.
    pub fn new(seed: u64, orders: u64, seconds: i64) -> Platform {
        let history = History::simulate(SimulationParameters {
            seed,
            orders,
            fault_share: 500,
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
        let (mut rows, mut schemas) = (BTreeMap::new(), BTreeMap::new());
        for table in TABLES {
            let batch = read(&folder.path().join(format!("{table}.parquet")));
            schemas.insert(table.to_owned(), batch.schema());
            rows.insert(table.to_owned(), texts(&batch));
        }
        Platform {
            folder,
            history,
            rows,
            schemas,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first column of a table is its primary key.
    pub fn key(&self, table: &str) -> String {
        self.schemas[table].field(0).name().clone()
    }

    pub fn kind(&self, table: &str, column: &str) -> DataType {
        let field = self.schemas[table].field_with_name(column).unwrap();
        field.data_type().clone()
    }

    pub fn columns(&self, table: &str) -> Vec<String> {
        let fields = self.schemas[table].fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    /// The same snapshot with other rows, in a folder of its own. Small row groups, so that there are several.
    pub fn written(&self, rows: &BTreeMap<String, Vec<Row>>) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            std::fs::copy(&path, folder.path().join(&name)).unwrap();
        }
        let mut manifest: Value =
            serde_json::from_slice(&std::fs::read(self.path("manifest.json")).unwrap()).unwrap();
        for (table, rows) in rows {
            let schema = Arc::clone(&self.schemas[table]);
            let columns = schema.fields().iter().map(|field| -> ArrayRef {
                let texts: StringArray = rows
                    .iter()
                    .map(|row| row[field.name()].as_deref())
                    .collect();
                let texts: ArrayRef = Arc::new(texts);
                let values = cast(&texts, field.data_type()).unwrap();
                assert_eq!(values.null_count(), texts.null_count(), "{table} {field}");
                values
            });
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
            let file = File::create(folder.path().join(format!("{table}.parquet"))).unwrap();
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(300))
                .build();
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            manifest["tables"][table]["rows"] = json!(rows.len());
        }
        std::fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
        folder
    }

    /// The rows as they are once the changes were made.
    pub fn applied(&self, changes: &[Value]) -> BTreeMap<String, Vec<Row>> {
        let mut tables = self.rows.clone();
        for change in changes {
            let table = change["table"].as_str().unwrap();
            let key = self.key(table);
            let wanted = text(&change["key"][&key]);
            let rows = tables.get_mut(table).unwrap();
            match change["operation"].as_str().unwrap() {
                "insert" => {
                    let new = change["new"].as_object().unwrap();
                    let row = self.columns(table).into_iter().map(|column| {
                        let value = text(new.get(&column).unwrap_or(&Value::Null));
                        (column, value)
                    });
                    rows.push(row.collect());
                }
                "delete" => rows.retain(|row| row[&key] != wanted),
                _ => {
                    let row = rows.iter_mut().find(|row| row[&key] == wanted).unwrap();
                    for (column, value) in change["new"].as_object().unwrap() {
                        row.insert(column.clone(), text(value));
                    }
                }
            }
        }
        tables
    }
}

pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The change of some columns of a row.
pub fn update(
    platform: &Platform,
    table: &str,
    row: &Row,
    new: &[(&str, Option<String>)],
) -> Value {
    let key = platform.key(table);
    let pairs = |values: Vec<(&str, Option<String>)>| {
        let values = values.into_iter();
        Value::Object(
            values
                .map(|(column, value)| (column.to_owned(), json!(value)))
                .collect::<Map<_, _>>(),
        )
    };
    let old = new
        .iter()
        .map(|(column, _)| (*column, row[*column].clone()))
        .collect();
    json!({
        "table": table,
        "operation": "update",
        "key": {&key: row[&key]},
        "old": pairs(old),
        "new": pairs(new.to_vec()),
    })
}

pub fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn texts(batch: &RecordBatch) -> Vec<Row> {
    let columns: Vec<(String, ArrayRef)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, values)| (field.name().clone(), cast(values, &DataType::Utf8).unwrap()))
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let cells = columns.iter().map(|(name, texts)| {
                let texts = texts.as_string::<i32>();
                let value = texts.is_valid(row).then(|| texts.value(row).to_owned());
                (name.clone(), value)
            });
            cells.collect()
        })
        .collect()
}

/// Several slices and threads, as for much larger data.
pub fn options(cut: Cut) -> RepairOptions {
    RepairOptions {
        audit: AuditOptions {
            cut,
            slice_rows: 1_000,
            ..AuditOptions::default()
        },
        now: Timestamp(1_900_000_000_000_000),
    }
}

pub fn open(folder: &Path) -> Arc<Snapshot> {
    Arc::new(Snapshot::open(&folder.display().to_string(), &[]).unwrap())
}

pub fn audited(catalog: &Arc<Catalog>, rules: &[Arc<Rule>], folder: &Path, cut: Cut) -> Report {
    audit(catalog, rules, &open(folder), &options(cut).audit, &|_| ()).unwrap()
}

/// Reads changes as the program would, from a file.
pub fn changes_of(catalog: &Catalog, lines: &[Value]) -> Changes {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changes.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, text).unwrap();
    read_changes(catalog, &path).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

pub fn tried(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    folder: &Path,
    changes: &Changes,
    cut: Cut,
) -> RepairPlan {
    let snapshot = open(folder);
    plan(&PlanInput {
        catalog,
        schemas_digest: "schemas",
        rules,
        only: &[],
        snapshot: &snapshot,
        changes,
        options: &options(cut),
    })
    .unwrap()
}
