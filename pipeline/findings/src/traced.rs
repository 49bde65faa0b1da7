//! What the store knows of the findings of one entity, for its trace.

use centinel_model::Finding;
use centinel_trace::{FindingEntry, MOST_ENTRIES, PersonStep};
use rusqlite::params;

use crate::FindingsError;
use crate::history::{Entry, What, entry};
use crate::store::Store;

/// Findings of one entity that are looked at: the newest ones.
const MOST_FINDINGS: usize = 1_000;

impl Store {
    /// Everything that was told of an entity's findings, and what people did with them; of too many
    /// ([`MOST_ENTRIES`] and one more) the newest.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn traced(&self, entity: &str, key: &str) -> Result<Vec<FindingEntry>, FindingsError> {
        let looked = self.connection.unchecked_transaction()?;
        let mut found: Vec<(i64, Finding)> = Vec::new();
        {
            let mut select = looked.prepare_cached(
                "SELECT findings.id, entries.body FROM findings JOIN entries ON entries.number = findings.newest
                 WHERE findings.entity_key = ?1 ORDER BY findings.id DESC LIMIT ?2",
            )?;
            let mut rows = select.query(params![key, MOST_FINDINGS as u64])?;
            while let Some(row) = rows.next()? {
                let body = row.get_ref(1)?.as_str().map_err(FindingsError::damaged)?;
                let finding: Finding =
                    serde_json::from_str(body).map_err(FindingsError::damaged)?;
                if finding.entity == entity {
                    found.push((row.get(0)?, finding));
                }
            }
        }
        let mut entries = Vec::new();
        for (id, finding) in found {
            let left = (MOST_ENTRIES + 1).saturating_sub(entries.len());
            let mut select = looked.prepare_cached(
                "SELECT number, at, by, what, body FROM entries WHERE finding = ?1
                 ORDER BY number DESC LIMIT ?2",
            )?;
            let mut rows = select.query(params![id, left as u64])?;
            while let Some(row) = rows.next()? {
                entries.push(traced(entry(row)?, &finding));
            }
        }
        entries.reverse();
        Ok(entries)
    }
}

fn traced(entry: Entry, of: &Finding) -> FindingEntry {
    let Entry { at, by, what, .. } = entry;
    let (act, text) = match what {
        What::Told { finding } => return FindingEntry::Told { at, finding },
        What::Acknowledged { reason } => ("acknowledged", reason),
        What::Resolved { reason } => ("resolved", Some(reason)),
        What::FalseAlarm { reason } => ("false_alarm", Some(reason)),
        What::Reopened { reason } => ("reopened", Some(reason)),
        What::Worse { reason } => ("worse", Some(reason)),
        What::Assigned { owner } => ("assigned", owner),
        What::Note { text } => ("note", Some(text)),
    };
    FindingEntry::Person {
        at,
        by,
        step: PersonStep {
            finding_id: of.finding_id.0.clone(),
            rule: of.rule.clone(),
            act: act.into(),
            text,
        },
    }
}
