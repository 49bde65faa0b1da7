//! What a snapshot is: the hash of every file, so that none can change unseen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use centinel_catalog::Catalog;
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::Snapshot;

/// Bytes that are read and hashed at a time.
const CHUNK_BYTES: u64 = 8 << 20;

/// A snapshot's files, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotIdentity {
    /// The folder or URL.
    pub location: String,
    /// SHA-256 of `manifest.json`; absent where there is none.
    pub manifest: Option<String>,
    /// All files of tables and events that schemas describe, by path.
    pub files: Vec<FileIdentity>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Its path below the snapshot.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of its content, as hexadecimal digits.
    pub sha256: String,
}

/// What the store says of the files, which changes when they do: told before and after they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<String>);

/// What a snapshot is now. Reads every byte of it.
pub(super) fn identify(
    catalog: &Catalog,
    snapshot: &Snapshot,
    threads: usize,
) -> Result<(SnapshotIdentity, Stamps), String> {
    let files = files(catalog, snapshot)?;
    let stamps = stamps(&files);
    let next = AtomicUsize::new(0);
    let hashed: Mutex<Vec<Result<FileIdentity, String>>> = Mutex::default();
    std::thread::scope(|scope| {
        let work = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let identity = hash(snapshot, file);
                hashed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(identity);
            }
        };
        for _ in 1..threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    let hashed = hashed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut files: Vec<FileIdentity> = hashed.into_iter().collect::<Result<_, _>>()?;
    files.sort();
    let manifest = snapshot
        .manifest_bytes()
        .map_err(|error| format!("manifest.json: {error}"))?;
    let identity = SnapshotIdentity {
        location: snapshot.location().to_owned(),
        manifest: manifest.map(|bytes| hex(Sha256::digest(bytes).as_slice())),
        files,
    };
    Ok((identity, stamps))
}

/// Whether the store says of the files what it said before.
pub(super) fn unchanged(
    catalog: &Catalog,
    snapshot: &Snapshot,
    before: &Stamps,
) -> Result<bool, String> {
    Ok(stamps(&files(catalog, snapshot)?) == *before)
}

/// The files of every table that is there, in order of size, so that threads end together.
fn files(catalog: &Catalog, snapshot: &Snapshot) -> Result<Vec<ObjectMeta>, String> {
    let mut all = Vec::new();
    for table in &catalog.tables {
        if snapshot.has(&table.name)? {
            all.extend(snapshot.files(&table.name)?);
        }
    }
    all.sort_by(|left, right| (right.size, &left.location).cmp(&(left.size, &right.location)));
    Ok(all)
}

fn stamps(files: &[ObjectMeta]) -> Stamps {
    let stamp = |file: &ObjectMeta| {
        let tag = file.e_tag.clone().unwrap_or_default();
        format!(
            "{} {} {} {tag}",
            file.location, file.size, file.last_modified
        )
    };
    Stamps(files.iter().map(stamp).collect())
}

fn hash(snapshot: &Snapshot, file: &ObjectMeta) -> Result<FileIdentity, String> {
    let path = snapshot.show(&file.location);
    let mut digest = Sha256::new();
    let mut start = 0;
    while start < file.size {
        let end = (start + CHUNK_BYTES).min(file.size);
        let range = start..end;
        let parts = snapshot
            .read(&file.location, std::slice::from_ref(&range))
            .map_err(|error| format!("{path}: cannot be read: {error}"))?;
        let read: usize = parts.iter().map(bytes::Bytes::len).sum();
        if read as u64 != end - start {
            return Err(format!(
                "{path}: cannot be read: it is shorter than it says"
            ));
        }
        parts.iter().for_each(|part| digest.update(part));
        start = end;
    }
    Ok(FileIdentity {
        path,
        bytes: file.size,
        sha256: hex(digest.finalize().as_slice()),
    })
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
