//! What came before detection began.
//!
//! A table whose history was not read from its beginning has a horizon: rows of it from before may be missing. An
//! entity whose own history may begin before it is never judged on rows that are missing: what a rule says of it
//! is undetermined, never confirmed.

use std::collections::{BTreeMap, BTreeSet};

use centinel_catalog::Catalog;
use centinel_model::{Duration, EntityId, HorizonOf, Operation, SourceId, TableId, Timestamp};
use centinel_state::{Record, Store};
use serde::{Deserialize, Serialize};

use super::detector::read_fact;
use crate::EngineError;

/// The fact that holds what is known of whole sources: their names and microseconds since 1970, in JSON.
pub(super) const SOURCES_FACT: &str = "horizons";
/// The fact that holds what is known of single tables: their names and [`TableHorizon`], in JSON.
pub(super) const TABLES_FACT: &str = "table_horizons";

/// The horizons of all tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizons {
    sources: BTreeMap<String, i64>,
    tables: BTreeMap<String, TableHorizon>,
    /// By table id: the later of its own horizon and its source's.
    resolved: Vec<Option<Timestamp>>,
}

/// The horizon of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHorizon {
    /// In microseconds since 1970.
    time: i64,
    /// Whether its rows as of then were read from a snapshot.
    rows_read: bool,
}

impl TableHorizon {
    /// What was committed before may be missing.
    pub fn time(&self) -> Timestamp {
        Timestamp(self.time)
    }

    /// Whether the rows as of then were read from a snapshot: only what was before them is missing.
    pub fn rows_read(&self) -> bool {
        self.rows_read
    }
}

impl Horizons {
    /// As state knows them.
    pub(super) fn read(catalog: &Catalog, store: &dyn Store) -> Result<Horizons, EngineError> {
        let mut horizons = Horizons {
            sources: read_fact(store, SOURCES_FACT)?.unwrap_or_default(),
            tables: read_fact(store, TABLES_FACT)?.unwrap_or_default(),
            resolved: Vec::new(),
        };
        horizons.resolve(catalog);
        Ok(horizons)
    }

    /// The two facts with their names.
    pub(super) fn facts(&self) -> [(&'static str, serde_json::Result<Vec<u8>>); 2] {
        [
            (SOURCES_FACT, serde_json::to_vec(&self.sources)),
            (TABLES_FACT, serde_json::to_vec(&self.tables)),
        ]
    }

    /// Reading began behind the beginning. Said again, the later time counts.
    pub fn set(&mut self, catalog: &Catalog, of: HorizonOf, time: Timestamp) {
        let (table, rows_read) = match of {
            HorizonOf::Source(source) => {
                let name = catalog.source(source).to_owned();
                let known = self.sources.entry(name).or_insert(time.0);
                *known = time.0.max(*known);
                return self.resolve(catalog);
            }
            HorizonOf::Table(table) => (table, false),
            HorizonOf::Snapshot(table) => (table, true),
        };
        let new = TableHorizon {
            time: time.0,
            rows_read,
        };
        let name = catalog.table(table).name.clone();
        let known = self.tables.entry(name).or_insert(new);
        let order = |horizon: &TableHorizon| (horizon.time, horizon.rows_read);
        if order(&new) > order(known) {
            *known = new;
        }
        self.resolve(catalog);
    }

    fn resolve(&mut self, catalog: &Catalog) {
        let of = |table: &centinel_catalog::Table| {
            let own = self.tables.get(&table.name).map(|horizon| horizon.time);
            let source = self.sources.get(catalog.source(table.source)).copied();
            own.max(source).map(Timestamp)
        };
        let resolved = catalog.tables.iter().map(of).collect();
        self.resolved = resolved;
    }

    /// The horizon of one table, if it has one.
    pub fn of_table(&self, table: TableId) -> Option<Timestamp> {
        self.resolved.get(usize::from(table.0)).copied().flatten()
    }

    /// The latest among a set of tables (bit by table id), and whose it is.
    pub fn of(&self, tables: u128) -> Option<(Timestamp, TableId)> {
        let resolved = self.resolved.iter().enumerate();
        let wanted = resolved.filter(|(table, _)| tables & (1 << table) != 0);
        wanted
            .filter_map(|(table, time)| Some(((*time)?, TableId(table as u16))))
            .max()
    }

    /// Whether any table has one.
    pub fn any(&self) -> bool {
        !self.sources.is_empty() || !self.tables.is_empty()
    }

    /// Whether rows of some table were read from a snapshot.
    pub fn any_rows_read(&self) -> bool {
        self.tables.values().any(|horizon| horizon.rows_read)
    }

    /// By source, for people and for the archive.
    pub fn by_source(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let sources = self.sources.iter();
        sources.map(|(source, time)| (source.as_str(), Timestamp(*time)))
    }

    /// By table, for people and for the archive.
    pub fn by_table(&self) -> impl Iterator<Item = (&str, TableHorizon)> {
        let tables = self.tables.iter();
        tables.map(|(table, horizon)| (table.as_str(), *horizon))
    }
}

/// Why an entity beyond the horizon of this table is undetermined, for people.
pub(super) fn why_beyond(catalog: &Catalog, (time, table): (Timestamp, TableId)) -> String {
    format!(
        "beyond the horizon: its history may begin before detection did, so rows of {} from before {time} may be \
         missing",
        catalog.table(table).name
    )
}

/// Tables that came into the schemas when their sources had been read already, by name: how far their rows are missing
/// nobody knows until the source says how far it stands; then that is their horizon. Persisted as one fact, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined(BTreeSet<String>);

impl Joined {
    /// A table came.
    pub fn join(&mut self, table: &str) {
        self.0.insert(table.to_owned());
    }

    /// Its source has said how far it stands; gives the tables that get a horizon by that.
    pub fn settle(&mut self, catalog: &Catalog, source: SourceId) -> Vec<TableId> {
        let mut settled = Vec::new();
        self.0.retain(|name| match catalog.table_id(name) {
            Some(table) if catalog.table(table).source == source => {
                settled.push(table);
                false
            }
            Some(_) => true,
            // It is gone again.
            None => false,
        });
        settled
    }

    /// A table of this set (bit by table id) of which nothing is known yet.
    pub fn of(&self, catalog: &Catalog, tables: u128) -> Option<TableId> {
        let known = self.0.iter().filter_map(|name| catalog.table_id(name));
        known.into_iter().find(|table| tables & (1 << table.0) != 0)
    }
}

/// Nothing of this entity is from before, whether it was read or not: where the row that begins it was seen to come
/// into being, what is known of it is the oldest; else whatever is much older is not awaited any more.
pub fn lives_since(catalog: &Catalog, entity: EntityId, records: &[Record<'_>]) -> Timestamp {
    let oldest = records.iter().map(|record| record.committed_at).min();
    let Some(oldest) = oldest else {
        return Timestamp::MIN;
    };
    let begins_with = catalog.entity(entity).begins_with;
    let begins = |record: &Record<'_>| {
        Some(record.table) == begins_with && record.operation == Operation::Insert
    };
    if records.iter().any(begins) {
        return oldest;
    }
    let lookback = catalog.tables.iter().map(|table| table.lookback);
    let lookback = lookback.max().unwrap_or(Duration::ZERO);
    Timestamp(oldest.0.saturating_sub(lookback.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::SourceId;
    use centinel_state::{Commit, FileStore};

    fn catalog() -> Catalog {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        centinel_catalog::load(&folder).unwrap()
    }

    #[test]
    fn a_table_has_the_later_of_its_own_horizon_and_its_sources() {
        let catalog = catalog();
        let (payment, refund) = (
            catalog.table_id("payment").unwrap(),
            catalog.table_id("refund").unwrap(),
        );
        let mut horizons = Horizons::default();
        let source = HorizonOf::Source(catalog.table(payment).source);
        horizons.set(&catalog, source, Timestamp(50));
        assert_eq!(horizons.of_table(payment), Some(Timestamp(50)));
        assert_eq!(horizons.of_table(refund), None);
        for (of, time, expected) in [
            (HorizonOf::Table(payment), 40, (50, false)),
            (HorizonOf::Snapshot(payment), 40, (50, true)),
            (HorizonOf::Snapshot(payment), 60, (60, true)),
            (HorizonOf::Table(payment), 60, (60, true)),
            (HorizonOf::Table(payment), 70, (70, false)),
        ] {
            horizons.set(&catalog, of, Timestamp(time));
            let read = horizons.tables["payment"].rows_read;
            let found = (horizons.of_table(payment).unwrap().0, read);
            assert_eq!(found, expected, "{of:?} {time}");
        }
        horizons.set(&catalog, HorizonOf::Table(refund), Timestamp(80));
        let both = 1 << payment.0 | 1 << refund.0;
        assert_eq!(horizons.of(both), Some((Timestamp(80), refund)));
        assert_eq!(horizons.of(1 << payment.0), Some((Timestamp(70), payment)));
        assert_eq!(horizons.of(0), None);
    }

    #[test]
    fn states_from_before_tables_had_horizons_open() {
        let catalog = catalog();
        let store = FileStore::in_memory(1 << 20).unwrap();
        let name = catalog.source(SourceId(0));
        let commit = Commit {
            facts: vec![(
                SOURCES_FACT.into(),
                format!("{{\"{name}\":77}}").into_bytes(),
            )],
            ..Commit::default()
        };
        store.commit(&commit).unwrap();
        let horizons = Horizons::read(&catalog, &store).unwrap();
        let own = catalog.table_ids();
        let own = own.filter(|table| catalog.table(*table).source == SourceId(0));
        let tables = own.fold(0, |set, table| set | 1 << table.0);
        assert_eq!(horizons.of(tables).unwrap().0, Timestamp(77));
    }
}
