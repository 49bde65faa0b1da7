use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::Migrations;

use crate::FindingsError;
use crate::form::{APPLICATION_ID, MIGRATIONS};
use crate::page::MOST_IN_RANGE;

/// So long others may hold the file before that is an error.
const OTHERS_MAY_TAKE: Duration = Duration::from_secs(5);
/// After so long it is tried again to make a store that others make as well.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// The store, in one file and its write-ahead log beside it. What returned is on the disk. Several processes may have
/// it open; they write one after the other.
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) most_in_range: u64,
}

impl Store {
    /// Opens the file, makes it where there is none, and brings it to the newest form.
    ///
    /// # Errors
    /// [`FindingsError::Failed`] where it cannot be reached, [`FindingsError::Unusable`] for a file of something else or
    /// of a newer program.
    pub fn open(path: &Path) -> Result<Store, FindingsError> {
        let mut store = Store::connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        let begun = Instant::now();
        loop {
            match store.make(path) {
                Err(Unmade::Busy) if begun.elapsed() < OTHERS_MAY_TAKE => {
                    std::thread::sleep(TRY_AGAIN_AFTER);
                }
                made => return Ok(made.map(|()| store)?),
            }
        }
    }

    /// Where several make it at once, SQLite lets none of them wait for another (each has begun to read before it
    /// writes): all but one are told that it is busy, and begin anew.
    fn make(&mut self, path: &Path) -> Result<(), Unmade> {
        self.is_of_findings(path)?;
        self.connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        let migrations = Migrations::from_slice(MIGRATIONS);
        if let Err(error) = migrations.to_latest(&mut self.connection)
            // Another process may have brought it there just now.
            && !matches!(migrations.pending_migrations(&self.connection), Ok(0))
        {
            return Err(match error {
                rusqlite_migration::Error::RusqliteError { err, .. } => Unmade::of(path, err),
                error => Unmade::For(unusable(path, error)),
            });
        }
        self.connection
            .pragma_update(None, "application_id", APPLICATION_ID)?;
        Ok(())
    }

    /// Opens a file that is there, only to look at it: everything that would write fails.
    ///
    /// # Errors
    /// As [`Store::open`]; and [`FindingsError::Unusable`] where the file is of an older form.
    pub fn open_read_only(path: &Path) -> Result<Store, FindingsError> {
        let store = Store::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        store.is_of_findings(path)?;
        let migrations = Migrations::from_slice(MIGRATIONS);
        match migrations.pending_migrations(&store.connection) {
            Ok(0) => Ok(store),
            Ok(_) => Err(unusable(
                path,
                "it is of an older form; open it for writing once",
            )),
            Err(error) => Err(unusable(path, error)),
        }
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Store, FindingsError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| FindingsError::Failed(format!("{}: {error}", path.display())))?;
        connection.busy_timeout(OTHERS_MAY_TAKE)?;
        // The first look at the file: it may be none of a database.
        let settings = "PRAGMA cache_size = -65536; PRAGMA trusted_schema = OFF;";
        connection
            .execute_batch(settings)
            .map_err(|error| unusable(path, error))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Store {
            connection,
            most_in_range: MOST_IN_RANGE,
        })
    }

    fn is_of_findings(&self, path: &Path) -> Result<(), Unmade> {
        let fact = |name: &str| -> Result<i64, Unmade> {
            self.connection
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(|error| Unmade::of(path, error))
        };
        let (form, application) = (fact("user_version")?, fact("application_id")?);
        let tables = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
                row.get::<_, i64>(0)
            });
        let tables = tables.map_err(|error| Unmade::of(path, error))?;
        // A start that was cut off may have left a file without anything in it.
        let fresh = form == 0 && tables == 0;
        // …or between the first form and the mark.
        let ours =
            application == APPLICATION_ID || (application == 0 && self.has("entries_told")?);
        match fresh || ours {
            true => Ok(()),
            false => Err(Unmade::For(unusable(path, "it holds something else"))),
        }
    }

    fn has(&self, name: &str) -> Result<bool, rusqlite::Error> {
        let found = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        Ok(self
            .connection
            .query_row(found, [name], |row| row.get::<_, i64>(0))?
            > 0)
    }

    /// The file may not grow beyond so many pages of 4 KiB; what does not fit fails as on a full disk.
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), FindingsError> {
        Ok(self
            .connection
            .pragma_update(None, "max_page_count", pages)?)
    }

    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, FindingsError> {
        Ok(self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

/// Why a store was not made.
enum Unmade {
    /// Others write to it just now.
    Busy,
    For(FindingsError),
}

impl Unmade {
    /// The file cannot be used, or only not now.
    fn of(path: &Path, error: rusqlite::Error) -> Unmade {
        match is_busy(&error) {
            true => Unmade::Busy,
            false => Unmade::For(unusable(path, error)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl From<rusqlite::Error> for Unmade {
    fn from(error: rusqlite::Error) -> Unmade {
        match is_busy(&error) {
            true => Unmade::Busy,
            false => Unmade::For(error.into()),
        }
    }
}

impl From<Unmade> for FindingsError {
    fn from(unmade: Unmade) -> FindingsError {
        match unmade {
            Unmade::Busy => {
                FindingsError::Failed("other programs write to it without a pause".into())
            }
            Unmade::For(error) => error,
        }
    }
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> FindingsError {
    FindingsError::Unusable(format!(
        "{} cannot be used as a store of findings: {why}: name the right file, start the program that wrote it, or \
         restore a backup",
        path.display()
    ))
}
