//! What happened to a finding, from its first day on. Entries are only added.

use centinel_model::{Finding, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::FindingsError;
use crate::store::Store;

/// Entries of one page of a history.
pub const MOST_ENTRIES: usize = 500;

/// The word under which messages of detection are entries.
pub(crate) const TOLD: &str = "told";

/// Who says what the store itself concludes from what detection told.
pub(crate) const DETECTION: &str = "detection";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Rises in the order in which things came; over all findings.
    pub number: u64,
    /// When it came, RFC 3339, by the clock of the one who took it in or did it.
    pub at: String,
    /// Who did it: a person, or `detection`.
    pub by: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Detection told this, evidence and all.
    Told {
        /// As it was told.
        finding: Box<Finding>,
    },
    /// Somebody knows of it.
    Acknowledged {
        /// What they said to it.
        reason: Option<String>,
    },
    /// Somebody did what there was to do.
    Resolved {
        /// What that was.
        reason: String,
    },
    /// Somebody says that nothing is wrong.
    FalseAlarm {
        /// Why.
        reason: String,
    },
    /// It is open again.
    Reopened {
        /// Why.
        reason: String,
    },
    /// It is worse than when it was acknowledged.
    Worse {
        /// In what way.
        reason: String,
    },
    /// Somebody is to answer for it.
    Assigned {
        /// Who; none for its rule's owner.
        owner: Option<String>,
    },
    /// Something to remember.
    Note {
        /// The note.
        text: String,
    },
}

impl What {
    fn word(&self) -> &'static str {
        match self {
            What::Told { .. } => TOLD,
            What::Acknowledged { .. } => "acknowledged",
            What::Resolved { .. } => "resolved",
            What::FalseAlarm { .. } => "false_alarm",
            What::Reopened { .. } => "reopened",
            What::Worse { .. } => "worse",
            What::Assigned { .. } => "assigned",
            What::Note { .. } => "note",
        }
    }

    /// Adds an entry, and returns its number. Messages are added as they were told, by [`told`].
    pub(crate) fn write(
        &self,
        transaction: &Transaction<'_>,
        finding: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, FindingsError> {
        let body = serde_json::to_string(self).map_err(FindingsError::damaged)?;
        transaction
            .prepare_cached(
                "INSERT INTO entries (finding, at, by, what, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![finding, now.0, by, self.word(), body])?;
        Ok(transaction.last_insert_rowid().unsigned_abs())
    }
}

/// Adds a message of detection, and returns the entry's number.
pub(crate) fn told(
    transaction: &Transaction<'_>,
    finding: i64,
    (generation, sequence): (u64, u64),
    body: &str,
    now: Timestamp,
) -> Result<u64, FindingsError> {
    transaction
        .prepare_cached(
            "INSERT INTO entries (finding, at, by, what, generation, sequence, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            finding, now.0, DETECTION, TOLD, generation, sequence, body
        ])?;
    Ok(transaction.last_insert_rowid().unsigned_abs())
}

/// The texts of a finding's notes, the newest first, until they have so many bytes.
pub(crate) fn notes(
    connection: &Connection,
    finding: i64,
    most: usize,
) -> Result<Vec<String>, FindingsError> {
    let mut select = connection.prepare_cached(
        "SELECT body FROM entries WHERE finding = ?1 AND what = 'note' ORDER BY number DESC",
    )?;
    let mut rows = select.query([finding])?;
    let (mut notes, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_str().map_err(FindingsError::damaged)?;
        if let What::Note { text } = serde_json::from_str(body).map_err(FindingsError::damaged)? {
            bytes += text.len();
            if bytes > most {
                break;
            }
            notes.push(text);
        }
    }
    Ok(notes)
}

pub(crate) fn entry(row: &rusqlite::Row<'_>) -> Result<Entry, FindingsError> {
    let body = row.get_ref(4)?.as_str().map_err(FindingsError::damaged)?;
    let is_told = row.get_ref(3)?.as_str().map_err(FindingsError::damaged)? == TOLD;
    let what = match is_told {
        true => serde_json::from_str(body).map(|finding| What::Told { finding }),
        false => serde_json::from_str(body),
    };
    Ok(Entry {
        number: row.get(0)?,
        at: Timestamp(row.get(1)?).to_string(),
        by: row.get(2)?,
        what: what.map_err(FindingsError::damaged)?,
    })
}

impl Store {
    /// What happened to a finding behind entry number `after` (0 for all), in the order in which it came here; at most
    /// `limit`, and [`MOST_ENTRIES`], of them. What detection told is there with all its evidence.
    pub fn history(
        &self,
        finding_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, FindingsError> {
        let mut select = self.connection.prepare_cached(
            "SELECT number, at, by, what, body FROM entries
             WHERE finding = (SELECT id FROM findings WHERE finding_id = ?1) AND number > ?2
             ORDER BY number LIMIT ?3",
        )?;
        let limit = limit.min(MOST_ENTRIES) as u64;
        let mut rows = select.query(params![finding_id, after.min(i64::MAX as u64), limit])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(entry(row)?);
        }
        Ok(entries)
    }

    /// The number of the newest entry of all findings, 0 before there is one: it rises whenever something happens.
    pub fn newest_entry(&self) -> Result<u64, FindingsError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT coalesce(max(number), 0) FROM entries")?;
        Ok(select.query_row([], |row| row.get(0))?)
    }

    /// What people did, the newest first: each entry with its finding's id. With `before`, time and number of an entry,
    /// what stands behind that one; at most `limit`, and [`MOST_ENTRIES`].
    pub fn acts_of_people(
        &self,
        before: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>, FindingsError> {
        let (at, number) = before.unwrap_or((Timestamp::MAX, i64::MAX as u64));
        let mut select = self.connection.prepare_cached(
            "SELECT number, at, by, what, body, (SELECT finding_id FROM findings WHERE id = finding) FROM entries
             WHERE by <> 'detection' AND at <= ?1 AND (at < ?1 OR number < ?2)
             ORDER BY at DESC, number DESC LIMIT ?3",
        )?;
        let limit = limit.min(MOST_ENTRIES) as u64;
        let mut rows = select.query(params![at.0, number.min(i64::MAX as u64), limit])?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            acts.push((row.get(5)?, entry(row)?));
        }
        Ok(acts)
    }

    /// What detection told of a finding under this sequence, with the evidence as it was then: of the newest state of
    /// detection that told one.
    pub fn told(&self, finding_id: &str, sequence: u64) -> Result<Option<Finding>, FindingsError> {
        let mut select = self.connection.prepare_cached(
            "SELECT body FROM entries WHERE finding = (SELECT id FROM findings WHERE finding_id = ?1)
             AND sequence = ?2 AND sequence IS NOT NULL ORDER BY generation DESC LIMIT 1",
        )?;
        let mut rows = select.query(params![finding_id, sequence.min(i64::MAX as u64)])?;
        match rows.next()? {
            Some(row) => {
                let body = row.get_ref(0)?.as_str().map_err(FindingsError::damaged)?;
                serde_json::from_str(body)
                    .map(Some)
                    .map_err(FindingsError::damaged)
            }
            None => Ok(None),
        }
    }
}
