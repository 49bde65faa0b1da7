//! Where an archive lies: a local folder or an object store.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutOptions, RetryConfig,
};
use url::Url;

use super::failure::understand;

/// How often, and how long, a request of the archive's writer is repeated before it is told: it asks again itself,
/// and meanwhile says why.
const WRITER_RETRIES: usize = 3;
const WRITER_RETRIES_FOR: Duration = Duration::from_secs(10);

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
        Location::open_with(location, options, RetryConfig::default())
    }

    /// The same, for who would rather be told soon than wait.
    pub(super) fn open_to_write(
        location: &str,
        options: &[(String, String)],
    ) -> Result<Location, String> {
        let retry = RetryConfig {
            max_retries: WRITER_RETRIES,
            retry_timeout: WRITER_RETRIES_FOR,
            ..RetryConfig::default()
        };
        Location::open_with(location, options, retry)
    }

    fn open_with(
        location: &str,
        options: &[(String, String)],
        retry: RetryConfig,
    ) -> Result<Location, String> {
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
        let (store, root) = store_of(&url, options, retry)
            .map_err(|error| refuse(format!("cannot be opened: {error}")))?;
        Ok(Location {
            store,
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
        let objects: Vec<_> = listed
            .try_collect()
            .await
            .map_err(|error| self.failed(folder, &error))?;
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
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Some bytes of an object that is there.
    pub async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, String> {
        let read = self.store.get_range(&self.path(name), range).await;
        read.map_err(|error| self.failed(name, &error))
    }

    fn failed(&self, name: &str, error: &object_store::Error) -> String {
        let (_, why) = understand(error);
        format!("{}/{name}: {why}", self.shown)
    }

    /// Lists as little as can be.
    pub(super) async fn look(&self) -> object_store::Result<()> {
        let Some(folder) = self.local.clone() else {
            let first = self.store.list(Some(&self.root)).next().await;
            return first.transpose().map(|_| ());
        };
        // The store would go down into every folder.
        let listed = tokio::task::spawn_blocking(move || std::fs::read_dir(folder).map(|_| ()));
        match listed.await? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(object_store::Error::Generic {
                    store: "folder",
                    source: error.into(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Creates an object as [`create`](Location::create) does; an error also when there is one of its name.
    pub(super) async fn try_create(&self, name: &str, bytes: Bytes) -> object_store::Result<()> {
        let (path, options) = (self.path(name), PutOptions::from(PutMode::Create));
        self.store.put_opts(&path, bytes.into(), options).await?;
        Ok(())
    }

    /// Removes an object.
    pub(super) async fn delete(&self, name: &str) -> object_store::Result<()> {
        self.store.delete(&self.path(name)).await
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
            Err(error) => return Err(self.failed(name, &error)),
        }
        if let Some(folder) = &self.local {
            make_durable(folder, name)
                .map_err(|error| format!("{}/{name}: {error}", self.shown))?;
        }
        Ok(true)
    }
}

fn store_of(
    url: &Url,
    options: &[(String, String)],
    retry: RetryConfig,
) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
    let (scheme, path) = ObjectStoreScheme::parse(url)?;
    if scheme != ObjectStoreScheme::AmazonS3 {
        let (store, path) = object_store::parse_url_opts(url, options.iter().cloned())?;
        return Ok((store.into(), path));
    }
    let mut builder = AmazonS3Builder::new()
        .with_url(url.as_str())
        .with_retry(retry);
    for (name, value) in options {
        // Options of other programs stand among them: the environment's.
        if let Ok(known) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(known, value);
        }
    }
    Ok((Arc::new(builder.build()?), path))
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
