//! How the store's file is opened: to write, or only to be looked at.

use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageError,
    WriteTransaction,
};

use crate::StateError;

pub(crate) enum Access {
    Whole(Database),
    /// Beside others that only look at it, too, and never beside one that writes.
    ReadOnly(ReadOnlyDatabase),
}

impl Access {
    pub(crate) fn whole(folder: &Path, cache_bytes: usize) -> Result<Access, StateError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            StateError::Store(format!(
                "cannot make the folder {}: {error}",
                folder.display()
            ))
        })?;
        let file: PathBuf = folder.join("state.redb");
        if std::fs::metadata(&file).is_ok_and(|known| known.len() == 0) {
            return Err(StateError::corrupt(format!("{} is empty", file.display())));
        }
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let opened = builder.create(&file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StateError::InUse {
                path: folder.display().to_string(),
            },
            // A file that is no store is told as one with invalid data.
            other if is_damage(&other) => {
                StateError::corrupt(format!("{}: {other}", file.display()))
            }
            other => StateError::Store(format!("cannot open {}: {other}", file.display())),
        })?;
        Ok(Access::Whole(opened))
    }

    pub(crate) fn read_only(folder: &Path, cache_bytes: usize) -> Result<Access, StateError> {
        let file = folder.join("state.redb");
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let opened = builder.open_read_only(&file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StateError::InUse {
                path: folder.display().to_string(),
            },
            DatabaseError::RepairAborted => StateError::NotClosed {
                path: folder.display().to_string(),
            },
            other if is_damage(&other) => {
                StateError::corrupt(format!("{}: {other}", file.display()))
            }
            other => StateError::Store(format!("cannot open {}: {other}", file.display())),
        })?;
        Ok(Access::ReadOnly(opened))
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StateError> {
        let begun = match self {
            Access::Whole(database) => database.begin_read(),
            Access::ReadOnly(database) => database.begin_read(),
        };
        begun.map_err(StateError::store)
    }

    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StateError> {
        match self {
            Access::Whole(database) => database.begin_write().map_err(StateError::store),
            Access::ReadOnly(_) => Err(StateError::Store(
                "it is opened only to be looked at".into(),
            )),
        }
    }
}

fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => {
            error.kind() == std::io::ErrorKind::InvalidData
        }
        _ => false,
    }
}
