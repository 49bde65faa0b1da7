use std::path::{Path, PathBuf};
use std::time::Duration;

use centinel_breaker::{Change, Told};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rusqlite_migration::{M, Migrations};
use serde::{Serialize, de::DeserializeOwned};

use super::{Commit, Record, Store, StoreError, Way};
use crate::audit::{Entry, Head};

/// Form 1. A later form is one more migration; none is ever changed.
pub(super) const MIGRATIONS: &[M<'static>] = &[M::up(
    "CREATE TABLE trips (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE holds (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE releases (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE findings (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE accounts (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE keys (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE facts (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE told (sequence INTEGER PRIMARY KEY, request_id TEXT NOT NULL, body TEXT NOT NULL);
     CREATE INDEX told_by_request ON told (request_id);
     CREATE TABLE audit (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
     CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
     CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",
)];

/// The facts that say up to where messages were delivered, the first by the webhook.
const DELIVERED: &str = "delivered";
const DELIVERED_TO_KAFKA: &str = "delivered_to_kafka";

/// The store in one file (and its write-ahead log beside it). Every commit is on the disk before it returns.
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

impl Sqlite {
    /// Opens the file, creates it where there is none, and brings it to the newest form.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let mut connection = Connection::open(path).map_err(|error| {
            StoreError::Failed(format!(
                "{}: {error}: its folder must exist, be writable and have room",
                path.display()
            ))
        })?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                 PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16000;",
            )
            .map_err(failed)?;
        let migrations = Migrations::from_slice(MIGRATIONS);
        migrations.to_latest(&mut connection).map_err(|error| {
            StoreError::Unusable(format!(
                "{}: {error}: it may be of a newer program; start that one, or restore a backup",
                path.display()
            ))
        })?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Sqlite {
            connection,
            path: path.to_owned(),
        })
    }

    /// The file may not grow beyond so many pages of 4 KiB; what does not fit fails as on a full disk.
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), StoreError> {
        self.connection
            .pragma_update(None, "max_page_count", pages)
            .map_err(failed)
    }

    fn all<T: DeserializeOwned>(
        &self,
        table: &str,
        record: impl Fn(T) -> Record,
        into: &mut Vec<Record>,
    ) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("SELECT id, body FROM {table}"))
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .map_err(failed)?;
        for row in rows {
            let (id, body) = row.map_err(failed)?;
            let value = serde_json::from_str(&body).map_err(|error| {
                StoreError::Unusable(format!(
                    "{}: the record {id} of table {table}: {error}: restore a backup",
                    self.path.display()
                ))
            })?;
            into.push(record(value));
        }
        Ok(())
    }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        let into = &mut records;
        for table in ["trips", "holds", "releases", "findings"] {
            self.all(table, Record::Breaker, into)?;
        }
        self.all("accounts", Record::Account, into)?;
        self.all("keys", Record::Key, into)?;
        let facts = self
            .connection
            .prepare("SELECT id, body FROM facts")
            .and_then(|mut statement| {
                let rows = statement.query_map([], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        for (id, body) in facts {
            let record = match id.as_str() {
                DELIVERED => read_delivered(Way::Webhook, &body),
                DELIVERED_TO_KAFKA => read_delivered(Way::Kafka, &body),
                "mark" => serde_json::from_str(&body).map(Record::Mark),
                _ => serde_json::from_str(&body).map(Record::Breaker),
            };
            let record = record.map_err(|error| {
                StoreError::Unusable(format!("{}: the fact {id}: {error}", self.path.display()))
            })?;
            records.push(record);
        }
        Ok(records)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        for record in &commit.records {
            write(&transaction, record)?;
        }
        for entry in &commit.entries {
            transaction
                .prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| {
                    insert.execute(params![entry.sequence, entry.body, entry.hash])
                })
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        let last = "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1";
        let head = self.connection.query_row(last, [], |row| {
            Ok(Head {
                sequence: row.get(0)?,
                hash: row.get(1)?,
            })
        });
        Ok(head.optional().map_err(failed)?.unwrap_or_default())
    }

    fn told(&mut self, after: u64, limit: usize) -> Result<Vec<Told>, StoreError> {
        let rows = self
            .connection
            .prepare_cached("SELECT body FROM told WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")
            .and_then(|mut select| {
                let rows =
                    select.query_map(params![after, limit], |row| row.get::<_, String>(0))?;
                rows.collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        let read = |body: &String| {
            serde_json::from_str(body).map_err(|error| StoreError::Unusable(error.to_string()))
        };
        rows.iter().map(read).collect()
    }

    fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT sequence, body, hash FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            )
            .and_then(|mut select| {
                let rows = select.query_map(params![after, limit], |row| {
                    Ok(Entry {
                        sequence: row.get(0)?,
                        body: row.get(1)?,
                        hash: row.get(2)?,
                    })
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)
    }
}

fn read_delivered(way: Way, body: &str) -> serde_json::Result<Record> {
    serde_json::from_str(body).map(|sequence| Record::Delivered(way, sequence))
}

fn write(to: &Transaction, record: &Record) -> Result<(), StoreError> {
    let put = |table: &str, id: &str, body: &dyn ErasedBody| -> Result<(), StoreError> {
        let body = body.json()?;
        to.prepare_cached(&format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2)"))
            .and_then(|mut insert| insert.execute(params![id, body]))
            .map(drop)
            .map_err(failed)
    };
    let forget = |from: &str, id: &str| -> Result<(), StoreError> {
        to.prepare_cached(&format!("DELETE FROM {from} = ?1"))
            .and_then(|mut delete| delete.execute(params![id]))
            .map(drop)
            .map_err(failed)
    };
    match record {
        Record::Breaker(change) => match change {
            Change::Trip(trip) => put("trips", &trip.id.to_string(), change),
            Change::Hold(hold) => put("holds", hold.request.request_id.as_str(), change),
            Change::Release(release) => put("releases", &release.id.to_string(), change),
            Change::Finding(report) => put("findings", report.finding_id.as_str(), change),
            Change::Knowledge(_) => put("facts", "knowledge", change),
            Change::Numbers(_) => put("facts", "numbers", change),
            Change::FindingGone(id) => forget("findings WHERE id", id.as_str()),
            Change::ForgetTrip(id) => forget("trips WHERE id", &id.to_string()),
            Change::ForgetRelease(id) => forget("releases WHERE id", &id.to_string()),
            Change::ForgetHold(name) => {
                forget("told WHERE request_id", name.as_str())?;
                forget("holds WHERE id", name.as_str())
            }
            Change::Told(told) => {
                let body = told.as_ref().json()?;
                // Never replaced: a sequence that is given twice is a fault, and fails.
                to.prepare_cached("INSERT INTO told VALUES (?1, ?2, ?3)")
                    .and_then(|mut insert| {
                        insert.execute(params![told.sequence, told.request_id.as_str(), body])
                    })
                    .map(drop)
                    .map_err(failed)
            }
        },
        Record::Account(account) => put("accounts", account.name.as_str(), account),
        Record::Key(key) => put("keys", &key.id, key),
        Record::Delivered(way, sequence) => {
            let fact = match way {
                Way::Webhook => DELIVERED,
                Way::Kafka => DELIVERED_TO_KAFKA,
            };
            put("facts", fact, sequence)
        }
        Record::Mark(mark) => put("facts", "mark", mark),
    }
}

/// Anything that is written as JSON.
trait ErasedBody {
    fn json(&self) -> Result<String, StoreError>;
}

impl<T: Serialize> ErasedBody for T {
    fn json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Unusable(error.to_string()))
    }
}
