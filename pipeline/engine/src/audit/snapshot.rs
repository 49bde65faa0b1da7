//! Where the files of a snapshot lie, and its manifest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use centinel_model::Timestamp;
use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use tokio::runtime::Runtime;
use url::Url;

use crate::EngineError;

/// The schema id of a manifest.
const MANIFEST_SCHEMA: &str = "snapshot/1";
/// The most bytes of a manifest.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// The most files of one table.
const MAX_FILES: usize = 100_000;

/// A folder of Parquet files, local or in an object store. Not for use within an asynchronous runtime:
/// reading blocks.
pub struct Snapshot {
    store: Arc<dyn ObjectStore>,
    root: Path,
    shown: String,
    runtime: Runtime,
    manifest: Option<Manifest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    centinel: String,
    #[serde(default)]
    as_of: Option<String>,
    #[serde(default)]
    tables: BTreeMap<String, ManifestTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestTable {
    #[serde(default)]
    as_of: Option<String>,
    #[serde(default)]
    rows: Option<u64>,
}

impl Snapshot {
    /// Opens a folder, or a URL (`s3://`, `gs://`, `az://`, `http://`, `https://`, `file://`) with the
    /// options that `object_store` knows, such as `aws_region`; names of environment variables will do.
    pub fn open(location: &str, options: &[(String, String)]) -> Result<Snapshot, EngineError> {
        let refuse =
            |problem: String| EngineError::Snapshot(vec![format!("{location}: {problem}")]);
        let url = match Url::parse(location) {
            Ok(url) if location.contains("://") => url,
            _ => folder_url(location).map_err(refuse)?,
        };
        // What stands in the location is shown in errors and reports.
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            let (mut bare, remedy) = (url.clone(), "give them by environment variables");
            let _ = bare.set_username("").and(bare.set_password(None));
            bare.set_query(None);
            let problem = format!(
                "{bare}: the URL holds credentials or a query, which would be shown: {remedy}"
            );
            return Err(EngineError::Snapshot(vec![problem]));
        }
        // Whoever writes http:// means it.
        let plain = (url.scheme() == "http").then(|| ("allow_http".to_owned(), "true".to_owned()));
        let options = options.iter().cloned().chain(plain);
        let (store, root) = object_store::parse_url_opts(&url, options)
            .map_err(|error| refuse(format!("cannot be opened: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| EngineError::Input(error.to_string()))?;
        let mut snapshot = Snapshot {
            store: store.into(),
            root,
            shown: location.trim_end_matches('/').to_owned(),
            runtime,
            manifest: None,
        };
        snapshot.manifest = snapshot.read_manifest().map_err(refuse)?;
        Ok(snapshot)
    }

    /// The earliest cut of these tables; an error names the first of which none is known.
    pub(crate) fn cut(&self, tables: &[&str]) -> Result<Option<Timestamp>, String> {
        let Some(manifest) = &self.manifest else {
            return Ok(None);
        };
        let mut earliest: Option<Timestamp> = None;
        for name in tables {
            let own = manifest
                .tables
                .get(*name)
                .and_then(|table| table.as_of.as_ref());
            let Some(text) = own.or(manifest.as_of.as_ref()) else {
                return Err(format!(
                    "manifest.json has no `as_of` that tells when {name} was taken"
                ));
            };
            let cut = Timestamp::parse(text).map_err(|error| format!("manifest.json: {error}"))?;
            earliest = Some(earliest.map_or(cut, |known| known.min(cut)));
        }
        Ok(earliest)
    }

    /// When each table was cut, as far as the manifest tells.
    pub(crate) fn cuts(&self) -> BTreeMap<String, String> {
        let Some(manifest) = &self.manifest else {
            return BTreeMap::new();
        };
        let tables = manifest.tables.iter().filter_map(|(name, table)| {
            let cut = table.as_of.as_ref().or(manifest.as_of.as_ref())?;
            Some((name.clone(), cut.clone()))
        });
        tables.collect()
    }

    /// The bytes of the manifest; none where there is none.
    pub(crate) fn manifest_bytes(&self) -> Result<Option<Bytes>, String> {
        let path = self.child("manifest.json");
        self.wait(async {
            match self.store.get(&path).await {
                Ok(found) => found
                    .bytes()
                    .await
                    .map(Some)
                    .map_err(|error| error.to_string()),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// The folder or URL, as it was given.
    pub(crate) fn location(&self) -> &str {
        &self.shown
    }

    /// How many rows the manifest promises of a table.
    pub(crate) fn promised_rows(&self, table: &str) -> Option<u64> {
        self.manifest.as_ref()?.tables.get(table)?.rows
    }

    /// Whether there is any file of a table.
    pub(crate) fn has(&self, table: &str) -> Result<bool, String> {
        Ok(!self.find(table)?.is_empty())
    }

    /// The files of a table, in order of name: `<table>.parquet`, or all below `<table>/`.
    pub(crate) fn files(&self, table: &str) -> Result<Vec<ObjectMeta>, String> {
        let found = self.find(table)?;
        match found.is_empty() {
            false => Ok(found),
            true => Err(format!(
                "there is neither {table}.parquet nor {table}/**/*.parquet in {}",
                self.shown
            )),
        }
    }

    fn find(&self, table: &str) -> Result<Vec<ObjectMeta>, String> {
        let single = self.child(&format!("{table}.parquet"));
        let folder = self.child(table);
        self.wait(async {
            let one = match self.store.head(&single).await {
                Ok(meta) => Some(meta),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(format!("{}: {error}", self.show(&single))),
            };
            let several = match self.list(&folder).await {
                Ok(files) => files,
                // A plain web server lists nothing.
                Err(_) if one.is_some() => Vec::new(),
                Err(error) => return Err(format!("{}: {error}", self.show(&folder))),
            };
            match (one, several) {
                (Some(file), several) if several.is_empty() => Ok(vec![file]),
                (Some(_), _) => Err(format!(
                    "there are both {table}.parquet and {table}/; remove one of them"
                )),
                (None, several) => Ok(several),
            }
        })
    }

    async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, object_store::Error> {
        let mut files = Vec::new();
        let mut listing = self.store.list(Some(folder));
        while let Some(file) = listing.try_next().await? {
            let below = file.location.prefix_match(folder);
            let hidden = below.is_some_and(|mut parts| {
                parts.any(|part: PathPart<'_>| part.as_ref().starts_with(['_', '.']))
            });
            if !hidden && file.location.as_ref().ends_with(".parquet") && files.len() < MAX_FILES {
                files.push(file);
            }
        }
        files.sort_by(|left, right| left.location.cmp(&right.location));
        Ok(files)
    }

    /// Waits for an answer of the store; a whole-table query asks from within its own runtime.
    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(answer))
    }

    /// Parts of a file, in the order asked for.
    pub(crate) fn read(&self, file: &Path, parts: &[Range<u64>]) -> Result<Vec<Bytes>, String> {
        self.wait(self.store.get_ranges(file, parts))
            .map_err(|error| error.to_string())
    }

    /// The columns that a file's path names: `dt=2026-11-22/part-0.parquet`.
    pub(crate) fn partitions(&self, file: &Path) -> Vec<(String, Option<String>)> {
        let Some(parts) = file.prefix_match(&self.root) else {
            return Vec::new();
        };
        parts
            .filter_map(|part| {
                let (name, value) = part.as_ref().split_once('=')?;
                let value = percent_decoded(value);
                let value = (value != "__HIVE_DEFAULT_PARTITION__").then_some(value);
                Some((percent_decoded(name), value))
            })
            .collect()
    }

    /// A file's name for people, below the snapshot's folder.
    pub(crate) fn show(&self, file: &Path) -> String {
        match file.prefix_match(&self.root) {
            Some(parts) => parts.collect::<Path>().to_string(),
            None => file.to_string(),
        }
    }

    fn child(&self, name: &str) -> Path {
        self.root.parts().chain(Path::from(name).parts()).collect()
    }

    fn read_manifest(&self) -> Result<Option<Manifest>, String> {
        let path = self.child("manifest.json");
        let said = |problem: String| format!("manifest.json: {problem}");
        let bytes = self.wait(async {
            let meta = match self.store.head(&path).await {
                Ok(meta) => meta,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(said(error.to_string())),
            };
            if meta.size > MAX_MANIFEST_BYTES {
                return Err(said("larger than 16 MiB".into()));
            }
            let read = async { self.store.get(&path).await?.bytes().await };
            read.await
                .map(Some)
                .map_err(|error| said(error.to_string()))
        })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| said(format!("{error}; mend it, or take it away")))?;
        if manifest.centinel != MANIFEST_SCHEMA {
            return Err(said(format!(
                "`{}` is not a form that this version reads: {MANIFEST_SCHEMA}",
                manifest.centinel
            )));
        }
        Ok(Some(manifest))
    }
}

fn folder_url(location: &str) -> Result<Url, String> {
    let folder = FilePath::new(location)
        .canonicalize()
        .map_err(|error| format!("cannot be opened: {error}"))?;
    if !folder.is_dir() {
        return Err("is not a folder".into());
    }
    Url::from_directory_path(&folder).map_err(|()| "is not a path that can be opened".into())
}

/// `%2F` and the like as written by partitioned writers; anything else stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let code = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(bytes[index]));
        index += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_partitions_are_decoded() {
        assert_eq!(percent_decoded("a%3Db"), "a=b");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz"), "%zz");
    }
}
