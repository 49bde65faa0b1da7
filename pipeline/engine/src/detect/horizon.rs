//! What came before detection began.
//!
//! A source whose history was not read from its beginning has a horizon: what it committed before may be missing.
//! An entity whose own history may begin before it is never judged on rows that are missing: what a rule says of it
//! is undetermined, never confirmed.

use std::collections::BTreeMap;

use centinel_catalog::Catalog;
use centinel_model::{Duration, EntityId, Operation, SourceId, Timestamp};
use centinel_state::Record;
use serde::{Deserialize, Serialize};

/// By the source's name: what it committed before this time may be missing, in microseconds since 1970.
/// Persisted as one fact, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Horizons(BTreeMap<String, i64>);

impl Horizons {
    /// Reading of this source began behind its beginning. Said again, the later time counts.
    pub fn set(&mut self, source: &str, time: Timestamp) {
        let known = self.0.entry(source.to_owned()).or_insert(time.0);
        *known = time.0.max(*known);
    }

    /// The latest among a set of sources, if any of them has one.
    pub fn of(&self, catalog: &Catalog, sources: u64) -> Option<Timestamp> {
        if self.0.is_empty() {
            return None;
        }
        let sources = (0..catalog.sources.len() as u16).filter(|id| sources & (1 << id) != 0);
        sources
            .filter_map(|id| self.0.get(catalog.source(SourceId(id))))
            .max()
            .map(|time| Timestamp(*time))
    }

    /// By source, for people.
    pub fn by_source(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.0
            .iter()
            .map(|(source, time)| (source.as_str(), Timestamp(*time)))
    }
}

/// Whether rows of this entity from before the horizon may be missing. They are not when the row that begins the
/// entity was seen to come into being behind the horizon, or when everything known of it is so much younger that
/// nothing older would still be awaited.
pub fn may_begin_before(
    catalog: &Catalog,
    entity: EntityId,
    records: &[Record<'_>],
    horizon: Timestamp,
) -> bool {
    if let Some(table) = catalog.entity(entity).begins_with {
        let begins = |record: &Record<'_>| {
            record.table == table
                && record.operation == Operation::Insert
                && record.committed_at >= horizon
        };
        if records.iter().any(begins) {
            return false;
        }
    }
    let lookback = catalog.tables.iter().map(|table| table.lookback);
    let lookback = lookback.max().unwrap_or(Duration::ZERO);
    let oldest = records.iter().map(|record| record.committed_at).min();
    oldest.is_none_or(|oldest| oldest < horizon.plus(lookback))
}
