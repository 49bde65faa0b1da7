//! A finding as it is stored, and as it is shown.

use centinel_model::{Amount, Finding, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;

use crate::FindingsError;
use crate::groups::{Changes, Facets, Place, code_of, facets};
use crate::life::{Handled, Handling, Standing, is_open};
use crate::money::sortable;
use crate::store::Store;

/// A finding with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Whether somebody should look at it: broken or not judged, and neither resolved nor a false alarm.
    pub open: bool,
    /// What people made of it.
    pub handling: Handling,
    /// Who did, and what it was like then; none where nobody did.
    pub handled: Option<Handled>,
    /// Whether it is worse than when it was acknowledged.
    pub worse: bool,
    /// Who answers for it: whom somebody gave it to, else its rule's owner.
    pub owner: String,
    /// The anchor of what began this occurrence, RFC 3339.
    pub since: String,
    /// Messages of detection about it that never came here, though later ones did.
    pub missing: u64,
    /// How often people did something to it.
    pub acts: u64,
    /// The number of the last entry in its history.
    pub last_entry: u64,
    /// What detection said last.
    pub finding: Finding,
}

/// A finding as it is stored, but for what detection said last.
pub(crate) struct Stored {
    pub id: i64,
    pub group: i64,
    pub rule: String,
    pub severity: centinel_model::Severity,
    pub rule_owner: String,
    pub standing: Standing,
    pub finding_id: String,
    pub entity_key: String,
    pub generation: u64,
    pub sequence: u64,
    /// Messages of this generation that are here.
    pub told: u64,
    pub acts: u64,
    pub newest: u64,
    pub last_entry: u64,
}

const COLUMNS: &str = "findings.id, group_id, rule, severity, groups.owner, verdict, handling, worse, groups.currency,
    finding_id, entity_key, since, amount, findings.currency, generation, sequence, occurrence, assigned, handled, told,
    acts, newest, last_entry, rule_owner";

/// The finding with this id.
pub(crate) fn stored(
    connection: &Connection,
    finding_id: &str,
) -> Result<Option<Stored>, FindingsError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM findings JOIN groups ON groups.id = group_id WHERE finding_id = ?1"
    ))?;
    let mut rows = select.query([finding_id])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &rusqlite::Row<'_>) -> Result<Stored, FindingsError> {
    let Facets {
        rule,
        severity,
        verdict,
        handling,
        worse,
        ..
    } = facets(row, 2)?;
    let amount = match row.get::<_, Option<String>>(12)? {
        Some(text) => Some(Amount::exact(&text).map_err(FindingsError::damaged)?),
        None => None,
    };
    let handled = match row.get::<_, Option<String>>(18)? {
        Some(text) => Some(serde_json::from_str(&text).map_err(FindingsError::damaged)?),
        None => None,
    };
    let standing = Standing {
        verdict,
        occurrence: row.get(16)?,
        amount,
        currency: row.get(13)?,
        since: row.get(11)?,
        handling,
        handled,
        worse,
        assigned: row.get(17)?,
    };
    Ok(Stored {
        id: row.get(0)?,
        group: row.get(1)?,
        rule,
        severity,
        rule_owner: row.get(23)?,
        standing,
        finding_id: row.get(9)?,
        entity_key: row.get(10)?,
        generation: row.get(14)?,
        sequence: row.get(15)?,
        told: row.get(19)?,
        acts: row.get(20)?,
        newest: row.get(21)?,
        last_entry: row.get(22)?,
    })
}

impl Stored {
    pub fn owner(&self) -> &str {
        self.standing
            .assigned
            .as_deref()
            .unwrap_or(&self.rule_owner)
    }

    /// Where it counts.
    pub fn place(&self) -> Place {
        let standing = &self.standing;
        let currency = standing.amount.and(standing.currency.as_deref());
        Place {
            facets: Facets {
                rule: self.rule.clone(),
                severity: self.severity,
                owner: self.owner().to_owned(),
                verdict: standing.verdict,
                handling: standing.handling,
                worse: standing.worse,
                currency: code_of(currency).to_owned(),
            },
            since: standing.since,
            amount: standing.amount,
        }
    }

    /// Writes it; `before` is where it counted, nothing for one that is not there yet.
    pub fn save(
        &mut self,
        transaction: &Transaction<'_>,
        before: Option<Place>,
        changes: &mut Changes,
    ) -> Result<(), FindingsError> {
        let place = self.place();
        let is_new = before.is_none();
        if before.as_ref() != Some(&place) {
            if let Some(before) = before {
                changes.goes(self.group, &before)?;
            }
            self.group = changes.group(transaction, &place.facets)?;
            changes.comes(self.group, &place)?;
        }
        let standing = &self.standing;
        let handled = standing
            .handled
            .as_ref()
            .map(serde_json::to_string)
            .transpose();
        let handled = handled.map_err(FindingsError::damaged)?;
        let sql = match is_new {
            true => {
                "INSERT INTO findings (id, arrived, group_id, since, money, amount, currency, generation, sequence, occurrence,
                   assigned, handled, told, acts, newest, last_entry, rule_owner, finding_id, entity_key)
                 VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
            }
            false => {
                "UPDATE findings SET group_id = ?2, since = ?3, money = ?4, amount = ?5, currency = ?6, generation = ?7,
                   sequence = ?8, occurrence = ?9, assigned = ?10, handled = ?11, told = ?12, acts = ?13, newest = ?14,
                   last_entry = ?15, rule_owner = ?16, finding_id = ?17, entity_key = ?18
                 WHERE id = ?1"
            }
        };
        transaction.prepare_cached(sql)?.execute(params![
            self.id,
            self.group,
            standing.since,
            sortable(standing.amount),
            standing.amount.map(|amount| amount.to_string()),
            standing.currency,
            self.generation,
            self.sequence,
            standing.occurrence,
            standing.assigned,
            handled,
            self.told,
            self.acts,
            self.newest,
            self.last_entry,
            self.rule_owner,
            self.finding_id,
            self.entity_key,
        ])?;
        Ok(())
    }
}

/// The finding of this number, whole.
pub(crate) fn row(connection: &Connection, id: i64) -> Result<Row, FindingsError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, (SELECT body FROM entries WHERE number = newest) FROM findings
         JOIN groups ON groups.id = group_id WHERE findings.id = ?1"
    ))?;
    let mut rows = select.query([id])?;
    let row = rows
        .next()?
        .ok_or_else(|| FindingsError::damaged(format!("finding {id} is gone")))?;
    let stored = read(row)?;
    let body = row.get_ref(24)?.as_str().map_err(FindingsError::damaged)?;
    let finding = serde_json::from_str(body).map_err(FindingsError::damaged)?;
    let standing = &stored.standing;
    Ok(Row {
        open: is_open(standing.verdict, standing.handling),
        handling: standing.handling,
        handled: standing.handled.clone(),
        worse: standing.worse,
        owner: stored.owner().to_owned(),
        since: Timestamp(standing.since).to_string(),
        missing: stored.sequence.saturating_sub(stored.told),
        acts: stored.acts,
        last_entry: stored.last_entry,
        finding,
    })
}

impl Store {
    /// The finding with this id.
    pub fn get(&self, finding_id: &str) -> Result<Option<Row>, FindingsError> {
        let looked = self.connection.unchecked_transaction()?;
        let id = looked
            .prepare_cached("SELECT id FROM findings WHERE finding_id = ?1")?
            .query_row([finding_id], |row| row.get(0))
            .optional()?;
        id.map(|id| row(&looked, id)).transpose()
    }

    /// The whole id that begins so.
    ///
    /// # Errors
    /// [`FindingsError::Refused`] where none does, or several do.
    pub fn id_that_begins(&self, with: &str) -> Result<String, FindingsError> {
        let mut select = self.connection.prepare_cached(
            "SELECT finding_id FROM findings WHERE finding_id >= ?1 ORDER BY finding_id LIMIT 2",
        )?;
        let ids = select
            .query_map([with], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut fitting = ids
            .into_iter()
            .filter(|id| !with.is_empty() && id.starts_with(with));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id),
            (Some(id), Some(_)) if id == with => Ok(id),
            (Some(_), Some(_)) => Err(FindingsError::refused(
                format!("several findings begin with `{with}`"),
                "write more of its digits",
            )),
            (None, _) => Err(FindingsError::refused(
                format!("no finding begins with `{with}`"),
                "list them, and take in detection's file first",
            )),
        }
    }
}
