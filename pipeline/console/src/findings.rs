//! The store of findings: looked at by several at once, written by one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use centinel_findings::{FindingsError, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions at one time; each has a thread and a connection.
const READERS: usize = 4;
/// Exports at one time: they take long, and pages must not wait for them.
const EXPORTS: usize = 2;
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store in one file.
#[derive(Clone)]
pub struct Findings(Arc<Inner>);

struct Inner {
    path: PathBuf,
    readers: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    idle: Mutex<Vec<Store>>,
    writer: tokio::sync::Mutex<()>,
}

impl Findings {
    /// The store in this file, which is made where there is none.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(path: &Path) -> Result<Findings, FindingsError> {
        Store::open(path)?;
        Ok(Findings(Arc::new(Inner {
            path: path.to_owned(),
            readers: Arc::new(Semaphore::new(READERS)),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            idle: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
        })))
    }

    /// Asks something, on a thread that may wait for a disk.
    ///
    /// # Errors
    /// What the question fails with; and where too many ask at once.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Store) -> Result<T, FindingsError> + Send + 'static,
    ) -> Result<T, FindingsError> {
        let permit = tokio::time::timeout(PATIENCE, self.0.readers.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(FindingsError::Failed("too many ask at once".into()));
        };
        let inner = self.0.clone();
        blocking(move || {
            let _permit = permit;
            let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let known = idle.pop();
            drop(idle);
            let store = known.map_or_else(|| Store::open_read_only(&inner.path), Ok)?;
            let answer = ask(&store);
            if !matches!(
                answer,
                Err(FindingsError::Failed(_) | FindingsError::Unusable(_))
            ) {
                let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push(store);
            }
            answer
        })
        .await
    }

    /// Writes something; one after the other.
    ///
    /// # Errors
    /// What the act fails with.
    pub async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, FindingsError> + Send + 'static,
    ) -> Result<T, FindingsError> {
        let _turn = tokio::time::timeout(PATIENCE, self.0.writer.lock())
            .await
            .map_err(|_| FindingsError::Failed("too many write at once".into()))?;
        let path = self.0.path.clone();
        blocking(move || act(&mut Store::open(&path)?)).await
    }

    /// Room for one export, if there is, and the file.
    pub fn export(&self) -> Option<(OwnedSemaphorePermit, PathBuf)> {
        let permit = self.0.exports.clone().try_acquire_owned().ok()?;
        Some((permit, self.0.path.clone()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FindingsError> + Send + 'static,
) -> Result<T, FindingsError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(FindingsError::Failed("the question was broken off".into())))
}
