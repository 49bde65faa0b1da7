//! State does not grow for ever: an entity leaves it whole once it is at rest.
//!
//! It is at rest when each of its rows is past its table's `lookback` on the clock of its source, every row that has
//! a state is in a final one, no finding about it is open and nothing is to be looked at again. What stays is a
//! marker: a document without records that knows up to when they were forgotten, and the numbers of findings that
//! were told. When something of it comes back, the rules that read it could not judge.
//!
//! Documents are looked through in the order of their places, some with each micro-batch.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use centinel_catalog::{Catalog, Table};
use centinel_model::{Duration, Timestamp};
use centinel_state::{Commit, Record, RowDecoder, StoredDocument, current_rows};
use centinel_verdict::{CaseState, read_cases};
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::gather::Together;
use super::keys::{DocumentKind, Documents};
use super::memory::Written;
use crate::EngineError;

/// The fact that holds [`Forgetting`], in JSON.
pub(super) const FORGETTING_FACT: &str = "forgetting";
/// Documents looked through with each micro-batch.
const LOOKED_AT: usize = 500;
/// Once all documents were looked through, the next round begins when sources have moved by this share of the
/// shortest lookback.
const ROUNDS_PER_LOOKBACK: i64 = 64;

/// How far looking through the documents has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forgetting {
    /// The place of the last document that was looked at in this round.
    after: Option<Vec<u8>>,
    /// The newest progress of any source when this round began.
    begun: i64,
    /// Whether this round is over.
    over: bool,
    /// Entities forgotten, ever.
    pub count: u64,
}

impl Detector {
    /// Looks through the next documents; those that seem to be at rest are loaded with this micro-batch.
    pub(super) fn find_resting(
        &mut self,
        documents: &mut Documents,
    ) -> Result<HashSet<u32>, EngineError> {
        let mut resting = HashSet::new();
        // A rule that is new has to see everything first.
        if !self.limits.forget || self.sweeps() || !self.begin_round() {
            return Ok(resting);
        }
        let after = self.forgetting.after.as_deref();
        let found = self.store.documents_after(after, LOOKED_AT)?;
        self.forgetting.over = found.len() < LOOKED_AT;
        let last = found.last().map(|(key, _)| self.store.place_of(key));
        self.forgetting.after = last.transpose()?;
        for (key, bytes) in found {
            if !matches!(DocumentKind::read(&key), Some((DocumentKind::Entity(_), _))) {
                continue;
            }
            let bytes = self.shapes.as_of_now(bytes)?;
            if self.is_at_rest(&StoredDocument::read(&bytes)?)? {
                resting.insert(documents.number_of_key(&key));
            }
        }
        Ok(resting)
    }

    /// Whether there is anything to look through now.
    fn begin_round(&mut self) -> bool {
        if !self.forgetting.over && self.forgetting.begun > 0 {
            return true;
        }
        let newest = self.progress.iter().copied().max();
        let newest = newest.unwrap_or(Timestamp::MIN);
        let shortest = self.catalog.tables.iter().map(|table| table.lookback).min();
        let step = shortest.unwrap_or(Duration::ZERO).0 / ROUNDS_PER_LOOKBACK;
        let due = newest.0 > 0 && newest.0 >= self.forgetting.begun.saturating_add(step.max(1));
        if due {
            self.forgetting.begun = newest.0;
            self.forgetting.after = None;
            self.forgetting.over = false;
        }
        due
    }

    fn is_at_rest(&self, document: &StoredDocument<'_>) -> Result<bool, EngineError> {
        let StoredDocument {
            verdicts,
            wakes,
            records,
            forgotten,
            ..
        } = document;
        Ok(forgotten.is_none()
            && wakes.is_empty()
            && !records.is_empty()
            && self.are_past(records)
            && are_final(&self.catalog, records)?
            && all_closed(verdicts)?)
    }

    /// By what sources have said, not by the end of inputs.
    fn are_past(&self, records: &[Record<'_>]) -> bool {
        records.iter().all(|record| {
            let table = self.catalog.table(record.table);
            let progress = self.progress[usize::from(table.source.0)];
            record.committed_at.plus(table.lookback) <= progress
        })
    }

    /// Forgets an entity that is at rest and that nothing else happens to in this micro-batch.
    pub(super) fn forget(
        &mut self,
        key: &Arc<[u8]>,
        together: &Together<'_>,
        commit: &mut Commit,
    ) -> Result<bool, EngineError> {
        let document = StoredDocument {
            shape: self.shapes.number(),
            verdicts: together.verdicts,
            wakes: together.wakes.clone(),
            records: together.records.clone(),
            forgotten: together.forgotten,
        };
        let newest = document.records.iter().map(|record| record.committed_at);
        let Some(newest) = newest.max().filter(|_| !together.has_news()) else {
            return Ok(false);
        };
        if !self.is_at_rest(&document)? {
            return Ok(false);
        }
        let marker = Written {
            key,
            stored_as: together.stored_as,
            verdicts: together.verdicts,
            wakes: &[],
            records: &[],
            forgotten: Some(newest),
        };
        self.write(&marker, &[], commit);
        self.forgetting.count += 1;
        Ok(true)
    }

    /// How many entities were forgotten, ever.
    pub fn forgotten(&self) -> u64 {
        self.forgetting.count
    }
}

/// Why nothing can be judged of an entity that came back, for people.
pub(super) fn why_returned(forgotten: Timestamp) -> String {
    format!(
        "it returned after its lookback, and its rows up to {forgotten} are not in state any more"
    )
}

fn all_closed(verdicts: &[u8]) -> Result<bool, EngineError> {
    let cases = read_cases(verdicts).map_err(|error| EngineError::Damaged(error.to_string()))?;
    Ok(cases.iter().all(|case| case.state == CaseState::Closed))
}

fn are_final(catalog: &Catalog, records: &[Record<'_>]) -> Result<bool, EngineError> {
    for record in current_rows(records) {
        if !is_final(catalog.table(record.table), record)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_final(table: &Table, record: &Record<'_>) -> Result<bool, EngineError> {
    let Some(state) = &table.state else {
        return Ok(true);
    };
    let mut decoder = RowDecoder::new(table, &[state.column]);
    decoder.decode(record.image)?;
    let columns = decoder.finish();
    let values = columns
        .first()
        .and_then(|column| column.as_string_opt::<i32>());
    Ok(values.is_some_and(|values| {
        values.is_valid(0)
            && state
                .final_values
                .iter()
                .any(|value| value == values.value(0))
    }))
}
