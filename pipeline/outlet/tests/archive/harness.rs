//! A state that keeps nothing but the archive's fact, and what lies in an archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::UInt64Type;
use centinel_catalog::Catalog;
use centinel_model::{Images, MicroBatch, Operation, TableChanges, Timestamp, Version};
use centinel_outlet::archive::{Archive, ArchiveOptions, CHANGE, Manifest, Reached};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub const HOUR: i64 = 3_600_000_000;
pub const NOW: Timestamp = Timestamp(1_900_000_000_000_000);

pub fn schemas() -> Arc<Catalog> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    Arc::new(centinel_catalog::load(&folder).unwrap())
}

/// An archive and a spool below a folder, which end segments only when told.
pub fn options(folder: &Path) -> ArchiveOptions {
    let location = folder.join("archive").display().to_string();
    ArchiveOptions::new(location, folder.join("spool"))
}

/// Insertions by number of the row and commit time.
pub fn changes(table: &str, rows: &[(u64, i64)]) -> MicroBatch {
    let catalog = schemas();
    let id = catalog.table_id(table).unwrap();
    let table = catalog.table(id);
    let schema = table.storage_schema();
    let keys: StringArray = rows.iter().map(|(key, _)| Some(key.to_string())).collect();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| match table.primary_key.contains(&index) {
            true => Arc::new(keys.clone()) as ArrayRef,
            false => new_null_array(field.data_type(), rows.len()),
        })
        .collect();
    let none = RecordBatch::new_empty(Arc::clone(&schema));
    let changes = TableChanges {
        table: id,
        operations: vec![Operation::Insert; rows.len()],
        versions: vec![Version::default(); rows.len()],
        committed_at: rows.iter().map(|(_, time)| Timestamp(*time)).collect(),
        before: Images {
            rows: none,
            row: vec![None; rows.len()],
        },
        after: Images {
            rows: RecordBatch::try_new(schema, columns).unwrap(),
            row: (0..rows.len() as u32).map(Some).collect(),
        },
        lost: Vec::new(),
        origins: Vec::new(),
    };
    MicroBatch {
        tables: vec![changes],
        ..MicroBatch::default()
    }
}

/// What state knows of the archive.
pub struct Keeper {
    pub fact: Option<Vec<u8>>,
    pub now: Timestamp,
}

impl Default for Keeper {
    fn default() -> Keeper {
        Keeper {
            fact: None,
            now: NOW,
        }
    }
}

impl Keeper {
    /// Opens the archive as after a start; a new one is told to state at once.
    pub fn open(&mut self, options: &ArchiveOptions) -> Archive {
        let mut archive =
            Archive::open(&schemas(), options, self.fact.as_deref(), None, NOW).unwrap();
        if self.fact.is_none() {
            self.commit(&mut archive, &MicroBatch::default(), false);
        }
        archive
    }

    pub fn commit(&mut self, archive: &mut Archive, batch: &MicroBatch, seal: bool) {
        archive.append(batch).unwrap();
        let reached = Reached {
            moved: !batch.is_empty(),
            ..Reached::default()
        };
        self.fact = Some(archive.fact(reached, self.now, seal).unwrap());
        archive.committed().unwrap();
    }

    /// Waits for the archive, and tells state.
    pub fn finish(&mut self, archive: &mut Archive) {
        archive.wait(&|| false);
        self.commit(archive, &MicroBatch::default(), false);
    }
}

/// One change as it stands in the archive.
pub struct Kept {
    pub change: u64,
    pub table: String,
    pub key: String,
    pub path: String,
}

/// Every object below a folder, by name.
pub fn objects(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("spool") => {}
                true => folders.push(path),
                false => {
                    found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

/// Every change in the Parquet files below a folder, by number.
pub fn kept(folder: &Path) -> Vec<Kept> {
    let catalog = schemas();
    let mut kept = Vec::new();
    for (path, bytes) in objects(folder) {
        let Some((_, path)) = path
            .split_once("table=")
            .filter(|_| path.ends_with(".parquet"))
        else {
            continue;
        };
        let table = path.split('/').next().unwrap();
        let key = &catalog.table(catalog.table_id(table).unwrap());
        let key = &key.columns[key.primary_key[0]].name;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        for rows in reader.build().unwrap() {
            let rows = rows.unwrap();
            let changes = rows.column_by_name(CHANGE).unwrap();
            let keys = rows.column_by_name(key).unwrap().as_string::<i32>();
            for row in 0..rows.num_rows() {
                kept.push(Kept {
                    change: changes.as_primitive::<UInt64Type>().value(row),
                    table: table.to_owned(),
                    key: keys.value(row).to_owned(),
                    path: format!("table={path}"),
                });
            }
            assert_eq!(changes.null_count(), 0);
        }
    }
    kept.sort_by_key(|kept| kept.change);
    kept
}

/// All manifests in order.
pub fn manifests(folder: &Path) -> Vec<Manifest> {
    let manifests = objects(folder).into_iter();
    let manifests = manifests.filter(|(path, _)| path.contains("/segments/"));
    manifests
        .map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap())
        .collect()
}

/// The files that wait.
pub fn spooled(options: &ArchiveOptions) -> Vec<PathBuf> {
    let files = std::fs::read_dir(&options.spool).unwrap();
    files.map(|entry| entry.unwrap().path()).collect()
}
