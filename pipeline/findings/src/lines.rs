//! What detection tells beside findings: records that could not be read, notes on tables, sources that are behind; and
//! lines that are none of its messages, which are kept as well.

use centinel_model::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::FindingsError;
use crate::store::Store;

/// Of a line that cannot be read so many bytes are kept.
const MOST_KEPT: usize = 1 << 20;

/// What a kept line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// `centinel/hole/1`.
    Hole,
    /// `centinel/settled/1`.
    Settled,
    /// `centinel/note/1`.
    Note,
    /// `centinel/source/1`.
    Source,
    /// `centinel/plan/1`.
    Plan,
    /// None of detection's messages, or one that says otherwise than an earlier one of the same name.
    Unread,
    /// Somebody said that detection began with a new state.
    Anew,
}

impl LineKind {
    fn as_str(self) -> &'static str {
        match self {
            LineKind::Hole => "hole",
            LineKind::Settled => "settled",
            LineKind::Note => "note",
            LineKind::Source => "source",
            LineKind::Plan => "plan",
            LineKind::Unread => "unread",
            LineKind::Anew => "anew",
        }
    }
}

/// A line as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// Rises in the order in which lines came.
    pub number: u64,
    /// When it was taken in.
    pub at: Timestamp,
    /// Of lines that could not be read: why.
    pub reason: Option<String>,
    /// The line; of one that could not be read the first MiB.
    pub body: Vec<u8>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    New,
    Repeated,
    /// There is another line of this name.
    Contradicts,
}

/// Keeps a line under its name, once.
pub(crate) fn keep(
    transaction: &Transaction<'_>,
    (kind, generation, name): (LineKind, u64, &str),
    reason: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Result<Kept, FindingsError> {
    let body = &body[..body.len().min(MOST_KEPT)];
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO lines (kind, generation, name, at, reason, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![kind.as_str(), generation, name, now.0, reason, body])?;
    if added == 1 {
        return Ok(Kept::New);
    }
    let known: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT body FROM lines WHERE kind = ?1 AND generation = ?2 AND name = ?3")?
        .query_row(params![kind.as_str(), generation, name], |row| row.get(0))
        .optional()?;
    Ok(match known.as_deref() == Some(body) {
        true => Kept::Repeated,
        false => Kept::Contradicts,
    })
}

/// Notes that the line which was kept last is the newest on its source.
pub(crate) fn of_source(transaction: &Transaction<'_>, source: &str) -> Result<(), FindingsError> {
    let line = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO sources VALUES (?1, ?2)")?
        .execute(params![source, line])?;
    Ok(())
}

impl Store {
    /// Kept lines of one kind behind number `after` (0 for all), in the order in which they came, at most `limit` (1,000).
    pub fn lines(
        &self,
        kind: LineKind,
        after: u64,
        limit: usize,
    ) -> Result<Vec<KeptLine>, FindingsError> {
        self.kept(
            "SELECT number, at, reason, body FROM lines WHERE kind = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
            params![kind.as_str(), after.min(i64::MAX as u64), limit.min(1_000) as u64],
        )
    }

    /// How many lines of this kind are kept.
    pub fn count_of_lines(&self, kind: LineKind) -> Result<u64, FindingsError> {
        let mut count = self
            .connection
            .prepare_cached("SELECT count(*) FROM lines WHERE kind = ?1")?;
        Ok(count.query_row([kind.as_str()], |row| row.get(0))?)
    }

    /// The last that was told of each source, by the source's name.
    pub fn sources(&self) -> Result<Vec<KeptLine>, FindingsError> {
        self.kept(
            "SELECT number, at, reason, body FROM sources JOIN lines ON number = line ORDER BY source LIMIT 10000",
            [],
        )
    }

    fn kept(&self, sql: &str, of: impl rusqlite::Params) -> Result<Vec<KeptLine>, FindingsError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let rows = select.query_map(of, |row| {
            Ok(KeptLine {
                number: row.get(0)?,
                at: Timestamp(row.get(1)?),
                reason: row.get(2)?,
                body: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
