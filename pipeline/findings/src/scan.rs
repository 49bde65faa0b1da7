//! All findings and all entries, one after the other in the order in which they came, as of one moment: for programs
//! that ask otherwise than by pages. Nothing is put together that is not asked for.

use centinel_model::{Finding, Timestamp, Verdict};
use rusqlite::params;

use crate::FindingsError;
use crate::groups::facets;
use crate::history::{Entry, entry};
use crate::life::{Handled, Handling, is_open};
use crate::store::Store;

/// A finding as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    /// Its id.
    pub finding_id: String,
    /// Its rule.
    pub rule: String,
    /// The rule's severity.
    pub severity: centinel_model::Severity,
    /// Who answers for it.
    pub owner: String,
    /// What detection says.
    pub verdict: Verdict,
    /// What people made of it.
    pub handling: Handling,
    /// Whether it is worse than when it was acknowledged.
    pub worse: bool,
    /// Whether somebody should look at it.
    pub open: bool,
    /// Key of its entity.
    pub entity_key: String,
    /// The anchor of what began this occurrence.
    pub since: Timestamp,
    /// Money at risk in major units, as told.
    pub amount: Option<String>,
    /// Its currency, as told.
    pub currency: Option<String>,
    /// How often it broke.
    pub occurrence: u32,
    /// The number of detection's last message about it.
    pub sequence: u64,
    /// How often people did something to it.
    pub acts: u64,
    /// The number of the last entry in its history.
    pub last_entry: u64,
    /// Who judged it, and what it was like then.
    pub handled: Option<Handled>,
    /// What detection said last; only where the scan is of whole findings.
    pub finding: Option<Box<Finding>>,
}

/// An entry, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedEntry {
    /// The finding.
    pub finding_id: String,
    /// What happened to it.
    pub entry: Entry,
}

impl Store {
    /// Gives every finding to `each` until that says that it has enough; `whole` ones with what detection said last.
    ///
    /// # Errors
    /// As [`Store::page`].
    pub fn scan(
        &self,
        whole: bool,
        each: &mut dyn FnMut(Scanned) -> bool,
    ) -> Result<(), FindingsError> {
        let body = match whole {
            true => "(SELECT body FROM entries WHERE number = newest)",
            false => "NULL",
        };
        let mut select = self.connection.prepare(&format!(
            "SELECT rule, severity, groups.owner, verdict, handling, worse, groups.currency, finding_id, entity_key, since,
               amount, findings.currency, occurrence, sequence, acts, last_entry, handled, {body}
             FROM findings JOIN groups ON groups.id = group_id ORDER BY findings.id"
        ))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let of = facets(row, 0)?;
            let handled: Option<String> = row.get(16)?;
            let handled = handled.map(|text| serde_json::from_str(&text)).transpose();
            let body: Option<String> = row.get(17)?;
            let finding = body.map(|text| serde_json::from_str(&text)).transpose();
            let scanned = Scanned {
                open: is_open(of.verdict, of.handling),
                rule: of.rule,
                severity: of.severity,
                owner: of.owner,
                verdict: of.verdict,
                handling: of.handling,
                worse: of.worse,
                finding_id: row.get(7)?,
                entity_key: row.get(8)?,
                since: Timestamp(row.get(9)?),
                amount: row.get(10)?,
                currency: row.get(11)?,
                occurrence: row.get(12)?,
                sequence: row.get(13)?,
                acts: row.get(14)?,
                last_entry: row.get(15)?,
                handled: handled.map_err(FindingsError::damaged)?,
                finding: finding.map_err(FindingsError::damaged)?,
            };
            if !each(scanned) {
                break;
            }
        }
        Ok(())
    }

    /// Gives every entry of every finding to `each` until that says that it has enough.
    ///
    /// # Errors
    /// As [`Store::page`].
    pub fn scan_entries(
        &self,
        each: &mut dyn FnMut(ScannedEntry) -> bool,
    ) -> Result<(), FindingsError> {
        let mut select = self.connection.prepare(
            "SELECT number, at, by, what, body, finding_id FROM entries JOIN findings ON findings.id = finding
             ORDER BY number",
        )?;
        let mut rows = select.query(params![])?;
        while let Some(row) = rows.next()? {
            let scanned = ScannedEntry {
                finding_id: row.get(5)?,
                entry: entry(row)?,
            };
            if !each(scanned) {
                break;
            }
        }
        Ok(())
    }
}
