//! Temporary folders that stay when a test panics.

use std::env;
use std::path::{Path, PathBuf};

const MEMORY: &str = "/dev/shm";
/// A server's folder takes up to 100 MB; several are there at once.
const ENOUGH_BYTES: u64 = 2 << 30;

/// TMPDIR when it is set; else in memory where there is enough of it: a new MariaDB syncs its disk for
/// seconds, and what a test keeps need not outlive the machine.
fn parent() -> PathBuf {
    let memory = rustix::fs::statvfs(MEMORY).ok();
    let free = memory.map_or(0, |memory| memory.f_bavail.saturating_mul(memory.f_frsize));
    if env::var_os("TMPDIR").is_none() && free >= ENOUGH_BYTES {
        PathBuf::from(MEMORY)
    } else {
        env::temp_dir()
    }
}

/// A server's folder: its data, settings and log.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(server: &str) -> Folder {
        let mut builder = tempfile::Builder::new();
        let folder = builder
            .prefix(&format!("centinel-{server}-"))
            .tempdir_in(parent());
        Folder(folder.unwrap_or_else(|error| {
            panic!(
                "no temporary folder for {server}: {error}. Free some space in TMPDIR, or set it"
            )
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("kept for a look: {}", self.path().display());
        }
    }
}
