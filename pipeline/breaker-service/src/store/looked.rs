use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use centinel_breaker::{Change, Hold, Release, Trip};
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::Migrations;

use super::StoreError;
use super::sqlite::{MIGRATIONS, failed};

/// The embedded store, opened only to look at its records. It may be in use by a breaker meanwhile, which does not wait
/// for those who look.
pub struct Looked {
    connection: Connection,
    path: PathBuf,
}

impl Looked {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// Where it cannot be reached, or is not of this program's form.
    pub fn open(path: &Path) -> Result<Looked, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| {
            StoreError::Failed(format!(
                "{}: {error}: start the breaker first, or name the file of its store",
                path.display()
            ))
        })?;
        let unusable = |why: &dyn std::fmt::Display, remedy: &str| {
            StoreError::Unusable(format!("{}: {why}: {remedy}", path.display()))
        };
        connection
            .busy_timeout(Duration::from_secs(5))
            .and_then(|()| connection.execute_batch("PRAGMA trusted_schema = OFF;"))
            .map_err(|error| unusable(&error, "name the file of a breaker's store"))?;
        match Migrations::from_slice(MIGRATIONS).pending_migrations(&connection) {
            Ok(0) => Ok(Looked {
                connection,
                path: path.to_owned(),
            }),
            Ok(_) => Err(unusable(
                &"it is of an older form, or no breaker's store",
                "start the breaker once, or name another file",
            )),
            Err(error) => Err(unusable(&error, "start the program that wrote it")),
        }
    }

    /// Gives every trip to `each`, until that says that it has enough.
    ///
    /// # Errors
    /// Where the store fails, or holds what cannot be read.
    pub fn trips(&self, each: &mut dyn FnMut(Arc<Trip>) -> bool) -> Result<(), StoreError> {
        self.records("trips", &mut |change| match change {
            Change::Trip(trip) => Some(each(trip)),
            _ => None,
        })
    }

    /// Gives every hold to `each`, as [`trips`](Looked::trips) does.
    ///
    /// # Errors
    /// As there.
    pub fn holds(&self, each: &mut dyn FnMut(Arc<Hold>) -> bool) -> Result<(), StoreError> {
        self.records("holds", &mut |change| match change {
            Change::Hold(hold) => Some(each(hold)),
            _ => None,
        })
    }

    /// Gives every release to `each`, as [`trips`](Looked::trips) does.
    ///
    /// # Errors
    /// As there.
    pub fn releases(&self, each: &mut dyn FnMut(Arc<Release>) -> bool) -> Result<(), StoreError> {
        self.records("releases", &mut |change| match change {
            Change::Release(release) => Some(each(release)),
            _ => None,
        })
    }

    fn records(
        &self,
        table: &str,
        each: &mut dyn FnMut(Change) -> Option<bool>,
    ) -> Result<(), StoreError> {
        let damaged = |id: &str, why: &dyn std::fmt::Display| {
            StoreError::Unusable(format!(
                "{}: the record {id} of table {table}: {why}: restore a backup",
                self.path.display()
            ))
        };
        let mut select = self
            .connection
            .prepare(&format!("SELECT id, body FROM {table}"))
            .map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id: String = row.get(0).map_err(failed)?;
            let body: String = row.get(1).map_err(failed)?;
            let change = serde_json::from_str(&body).map_err(|error| damaged(&id, &error))?;
            match each(change) {
                Some(true) => {}
                Some(false) => break,
                None => return Err(damaged(&id, &"it is of another kind")),
            }
        }
        Ok(())
    }
}
