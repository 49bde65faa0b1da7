//! Where an archive lies: a local folder or an object store.

use std::fs::File;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use url::Url;

/// An archive's folder or prefix; objects are named below it.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    root: Path,
    shown: String,
    /// The folder, for a local one: what is written there must be made durable by hand.
    local: Option<PathBuf>,
}

impl Location {
    /// Opens a folder, which must be there, or a URL (`s3://`, `gs://`, `az://`, `file://`, …) with the options
    /// that `object_store` knows, such as `aws_endpoint`; names of environment variables will do. An endpoint
    /// without TLS needs `aws_allow_http`. Nothing is asked of the store yet.
    pub fn open(location: &str, options: &[(String, String)]) -> Result<Location, String> {
        let refuse = |problem: String| format!("{location}: {problem}");
        let url = match Url::parse(location) {
            Ok(url) if location.contains("://") => url,
            _ => folder_url(location).map_err(refuse)?,
        };
        // What stands in the location is shown in errors.
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(
                "the archive's URL holds credentials or a query, which would be shown: give them by environment \
                 variables"
                    .into(),
            );
        }
        let local = match url.scheme() {
            "file" => Some(
                url.to_file_path()
                    .map_err(|()| refuse("is not a path".into()))?,
            ),
            _ => None,
        };
        let (store, root) = object_store::parse_url_opts(&url, options.iter().cloned())
            .map_err(|error| refuse(format!("cannot be opened: {error}")))?;
        Ok(Location {
            store: store.into(),
            root,
            shown: location.trim_end_matches('/').to_owned(),
            local,
        })
    }

    /// The store, which knows an object by its [`path`](Location::path).
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Where an object of this name below the archive's root lies in the store.
    pub fn path(&self, name: &str) -> Path {
        self.root.parts().chain(Path::from(name).parts()).collect()
    }

    /// The names and sizes of all objects below a folder of the archive.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, String> {
        let listed = self.store.list(Some(&self.path(folder)));
        let failed = |error| format!("{}/{folder}: {error}", self.shown);
        let objects: Vec<_> = listed.try_collect().await.map_err(failed)?;
        let names = objects.into_iter().filter_map(|object| {
            let name: Path = object.location.prefix_match(&self.root)?.collect();
            Some((name.to_string(), object.size))
        });
        Ok(names.collect())
    }

    /// Its name for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// An object's bytes, none where there is no such object.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, String> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(format!("{}/{name}: {error}", self.shown)),
        }
    }

    /// Writes an object durably, over one of the same name.
    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), String> {
        self.put_with(name, bytes, PutMode::Overwrite).await?;
        Ok(())
    }

    /// Writes an object durably if there is none of its name; false when there is.
    pub(super) async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, String> {
        self.put_with(name, bytes, PutMode::Create).await
    }

    async fn put_with(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<bool, String> {
        let path = self.path(name);
        let options = PutOptions::from(mode);
        match self.store.put_opts(&path, bytes.into(), options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(format!("{}/{name}: {error}", self.shown)),
        }
        if let Some(folder) = &self.local {
            make_durable(folder, name)
                .map_err(|error| format!("{}/{name}: {error}", self.shown))?;
        }
        Ok(true)
    }
}

/// A file that was written, and the folders that name it.
fn make_durable(folder: &FilePath, name: &str) -> io::Result<()> {
    let file = folder.join(name);
    File::open(&file)?.sync_all()?;
    let folders = file.ancestors().skip(1);
    for named in folders.take_while(|named| named.starts_with(folder)) {
        File::open(named)?.sync_all()?;
    }
    Ok(())
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
