//! Tables as databases have them → the tables of the schemas.

use std::collections::HashMap;
use std::sync::Arc;

use centinel_catalog::{Catalog, Table, TableKind, TablePattern};
use centinel_model::{HoleReason, SourceId};

use crate::value::Refusal;

/// More physical tables than this are not remembered, only looked up again each time.
const MAX_REMEMBERED: usize = 100_000;

/// Finds the table of the schemas that a physical table's rows belong to.
#[derive(Debug)]
pub(crate) struct PhysicalTables {
    candidates: Vec<Candidate>,
    /// By `database`, a zero byte, `table`.
    known: HashMap<Box<str>, Known>,
    /// Where the name that is looked up is put together.
    name: String,
    /// By table id: the physical table that a table without shard column is read from.
    claimed: Vec<Option<Arc<str>>>,
}

#[derive(Debug)]
struct Candidate {
    /// The table's id.
    layout: usize,
    name: String,
    patterns: Vec<TablePattern>,
    declared: bool,
    sharded: bool,
}

/// A physical table that the schemas know, or one that is passed over.
type Known = Option<Physical>;

/// A physical table whose rows are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Physical {
    /// Its table's id, which is the index of its layout.
    pub(crate) layout: usize,
    /// `database.table`, for the shard column of a table that has one.
    pub(crate) shard: Option<Arc<str>>,
    /// `database.table` in any case.
    pub(crate) name: Arc<str>,
    /// The other table that claims it too.
    disputed: Option<Arc<str>>,
}

impl PhysicalTables {
    /// The tables of these sources; of all without any.
    pub(crate) fn new(catalog: &Catalog, sources: Option<&[SourceId]>) -> PhysicalTables {
        let wanted = |table: &Table| {
            table.kind == TableKind::Rows
                && sources.is_none_or(|sources| sources.contains(&table.source))
        };
        let tables = catalog.tables.iter().enumerate();
        let candidates = tables
            .filter(|(_, table)| wanted(table))
            .map(|(layout, table)| Candidate {
                layout,
                name: table.name.clone(),
                patterns: table.from.clone(),
                declared: table.from_declared,
                sharded: table.shard.is_some(),
            });
        PhysicalTables {
            candidates: candidates.collect(),
            known: HashMap::new(),
            name: String::new(),
            claimed: vec![None; catalog.tables.len()],
        }
    }

    /// The physical table with this name, or `None` if no schema reads it. A declared `from` goes before a
    /// table's own name.
    pub(crate) fn find(&mut self, database: &str, table: &str) -> Option<Physical> {
        self.name.clear();
        self.name.extend([database, "\0", table]);
        if let Some(known) = self.known.get(self.name.as_str()) {
            return known.clone();
        }
        let found = self.look_up(database, table);
        if self.known.len() < MAX_REMEMBERED {
            self.known.insert(self.name.as_str().into(), found.clone());
        }
        found
    }

    /// As [`PhysicalTables::find`], in a database with schemas: these stand where others have databases, and the
    /// shard is `database.schema.table`.
    pub(crate) fn find_in_schema(
        &mut self,
        database: &str,
        schema: &str,
        table: &str,
    ) -> Option<Physical> {
        let mut found = self.find(schema, table)?;
        let name: Arc<str> = format!("{database}.{}", found.name).into();
        found.shard = found.shard.map(|_| Arc::clone(&name));
        found.name = name;
        Some(found)
    }

    /// Whether a table of this database was found before.
    pub(crate) fn reads_of(&self, database: &str) -> bool {
        self.known
            .iter()
            .any(|(name, known)| known.is_some() && name.split('\0').next() == Some(database))
    }

    /// Refuses rows of a physical table that cannot be told from those of another.
    pub(crate) fn check(&mut self, physical: &Physical) -> Result<(), Refusal> {
        let candidate = self
            .candidates
            .iter()
            .find(|candidate| candidate.layout == physical.layout);
        let table = candidate.map_or("", |candidate| candidate.name.as_str());
        if let Some(other) = &physical.disputed {
            let message = format!(
                "`{}` belongs to both `{table}` and `{other}`; narrow `from` in one of their schemas",
                physical.name
            );
            return Err(Refusal::new(HoleReason::UnknownTable, message));
        }
        if physical.shard.is_some() {
            return Ok(());
        }
        let claimed =
            self.claimed[physical.layout].get_or_insert_with(|| Arc::clone(&physical.name));
        if *claimed == physical.name {
            return Ok(());
        }
        let message = format!(
            "rows of `{}` come for `{table}`, which is read from `{claimed}`; declare a `shard` column in its \
             schema to read both, or narrow `from` to one",
            physical.name
        );
        Err(Refusal::new(HoleReason::UnknownTable, message))
    }

    fn look_up(&self, database: &str, table: &str) -> Known {
        let claiming = |declared: bool| {
            self.candidates.iter().filter(move |candidate| {
                candidate.declared == declared
                    && candidate
                        .patterns
                        .iter()
                        .any(|pattern| pattern.matches(database, table))
            })
        };
        let mut claiming = claiming(true).chain(claiming(false));
        let first = claiming.next()?;
        let second = claiming
            .next()
            .filter(|second| second.declared == first.declared);
        let name: Arc<str> = format!("{database}.{table}").into();
        Some(Physical {
            layout: first.layout,
            shard: first.sharded.then(|| Arc::clone(&name)),
            name,
            disputed: second.map(|second| second.name.as_str().into()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use centinel_model::Duration;

    fn table(name: &str, source: u16, from: &[&str], shard: bool) -> Table {
        let declared = from.iter().map(|text| TablePattern::parse(text).unwrap());
        let own = from.is_empty().then(|| TablePattern::of_name(name));
        Table {
            name: name.into(),
            kind: TableKind::Rows,
            system: String::new(),
            source: SourceId(source),
            columns: Vec::new(),
            primary_key: Vec::new(),
            entities: Vec::new(),
            state: None,
            flow: None,
            changed_at: None,
            lookback: Duration::ZERO,
            link_patience: Duration::ZERO,
            from: declared.chain(own).collect(),
            from_declared: !from.is_empty(),
            shard: shard.then_some(0),
            zone_seconds: None,
            message: None,
            guard: None,
            plans_for: None,
        }
    }

    fn catalog() -> Catalog {
        Catalog {
            tables: vec![
                table("billing", 0, &[], false),
                table("booking", 1, &["book.*", "books.a"], false),
                table("entry", 1, &["book.entry"], false),
                table("payment", 0, &["pay_*.payment_*"], true),
                table("refund", 1, &["old.billing"], false),
            ],
            entities: Vec::new(),
            sources: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn shards_are_told_apart_and_strangers_passed_over() {
        let mut tables = PhysicalTables::new(&catalog(), None);
        for _ in 0..2 {
            let found = tables.find("pay_01", "payment_7").unwrap();
            assert_eq!(found.layout, 3);
            assert_eq!(found.shard.as_deref(), Some("pay_01.payment_7"));
            assert_eq!(tables.check(&found), Ok(()));
            assert_eq!(tables.find("pay", "payment_7"), None);
            // No confusion where two names only look alike once put together.
            assert_eq!(tables.find("pay_01.payment_7", ""), None);
            let other = tables.find("pay_02", "payment_7").unwrap();
            assert_eq!(tables.check(&other), Ok(()));
        }
    }

    #[test]
    fn a_second_physical_table_needs_a_shard_column() {
        let mut tables = PhysicalTables::new(&catalog(), None);
        let (first, second) = (tables.find("x", "billing"), tables.find("y", "billing"));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(tables.check(&first), Ok(()));
        let refusal = tables.check(&second).unwrap_err();
        assert!(
            refusal
                .message
                .contains("`y.billing` come for `billing`, which is read from `x.billing`")
        );
        assert!(refusal.message.contains("`shard`"));
        assert_eq!(tables.check(&first), Ok(()));
    }

    #[test]
    fn a_declared_name_goes_first_and_two_of_them_are_refused() {
        let mut tables = PhysicalTables::new(&catalog(), None);
        assert_eq!(tables.find("old", "billing").unwrap().layout, 4);
        let disputed = tables.find("book", "entry").unwrap();
        let refusal = tables.check(&disputed).unwrap_err();
        assert!(refusal.message.contains("both `booking` and `entry`"));
    }

    #[test]
    fn other_sources_tables_are_left_alone() {
        let mut tables = PhysicalTables::new(&catalog(), Some(&[SourceId(0)]));
        assert_eq!(tables.find("old", "billing").unwrap().layout, 0);
        assert_eq!(tables.find("book", "entry"), None);
    }
}
