//! Events → transactions → chunks. Knows neither connections nor clocks.
//!
//! The order of the log is the order of its source. A transaction's commit time is the one that the log gives,
//! in whole seconds by MariaDB and in microseconds by MySQL, or just after everything before it where that is
//! later: so times rise strictly, and progress up to a transaction's own time leaves nothing out. Its rows count
//! from 0, those of watched tables alone: the numbers are the same each time that it is read with the same
//! schemas.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{
    DecodedChunk, EntityId, EntityKey, Operation, SourceId, Timestamp, TransactionRow, Version,
};

use super::begin::Begin;
use super::binding::Bound;
use super::bounds::{Group, Handed};
use super::builder::Builder;
use super::bytes::Bytes;
use super::charset::Collations;
use super::event::{NO_TABLE, Query, RawEvent, RowChange, Rows, kinds};
use super::failure::Failure;
use super::gtid::{Flavour, Gtid, GtidSet};
use super::hole::{self, unobservable};
use super::place::Place;
use super::statement::{self, Statement};
use super::table_map::Named;
use crate::physical::{Physical, PhysicalTables};
use crate::rows::Layout;
use crate::value::Refusal;

/// More table maps than this are not kept.
const MAX_MAPS: usize = 4096;
/// Puts transactions together and gives them out as chunks.
pub(super) struct Assembler {
    pub(super) input: String,
    pub(super) source: SourceId,
    pub(super) layouts: Arc<[Layout]>,
    pub(super) physical: PhysicalTables,
    pub(super) collations: Collations,
    /// Behind the last whole transaction.
    pub(super) place: Place,
    /// Where the last snapshot stood: everything up to there is settled before progress is told.
    pub(super) settle_at: GtidSet,
    pub(super) group: Option<Group>,
    maps: HashMap<u64, Mapped>,
    /// The watched tables that were seen, by database.
    databases: BTreeMap<String, BTreeSet<usize>>,
    pub(super) builder: Builder,
    ready: Vec<DecodedChunk>,
    pub(super) handed: Option<Handed>,
    /// A transaction that the server was interrupted in while it wrote it.
    pub(super) interrupted: Option<Gtid>,
    /// Distributed transactions of MySQL whose rows were seen when they were prepared.
    pub(super) prepared: BTreeSet<String>,
    /// Whether rows left the builder and are in no chunk: after a panic they would be lost.
    pub(super) torn: bool,
}

struct Mapped {
    body: Vec<u8>,
    /// None for a table that is not watched.
    bound: Option<Arc<Bound>>,
}

impl Assembler {
    pub(super) fn new(
        catalog: &Catalog,
        input: String,
        source: SourceId,
        place: Place,
    ) -> Assembler {
        let layouts: Arc<[Layout]> = catalog
            .table_ids()
            .map(|id| Layout::new(catalog, id))
            .collect();
        Assembler {
            input,
            source,
            physical: PhysicalTables::new(catalog, Some(&[source])),
            collations: Collations::default(),
            settle_at: GtidSet::default(),
            group: None,
            maps: HashMap::new(),
            databases: BTreeMap::new(),
            builder: Builder::new(Arc::clone(&layouts), place.clone()),
            layouts,
            place,
            ready: Vec::new(),
            handed: None,
            interrupted: None,
            prepared: BTreeSet::new(),
            torn: false,
        }
    }

    /// Forgets what is in no chunk yet, to be read again after connecting anew.
    pub(super) fn rewind(&mut self) {
        self.place = self.builder.start.clone();
        self.builder = Builder::new(Arc::clone(&self.layouts), self.place.clone());
        self.group = None;
        self.maps.clear();
    }

    /// Notes a watched table that is in this database.
    pub(super) fn saw(&mut self, database: &str, layout: usize) {
        match self.databases.get_mut(database) {
            Some(layouts) => {
                layouts.insert(layout);
            }
            None => {
                self.databases.insert(database.to_owned(), [layout].into());
            }
        }
    }

    /// Whether no transaction is half read.
    pub(super) fn between_transactions(&self) -> bool {
        self.group.is_none()
    }

    /// Whether rows, or the end of transactions without any, wait to be given out.
    pub(super) fn has_news(&self) -> bool {
        !self.builder.is_empty() || self.place.transactions != self.builder.start.transactions
    }

    /// The chunks that became full.
    pub(super) fn take_ready(&mut self) -> Vec<DecodedChunk> {
        std::mem::take(&mut self.ready)
    }

    /// Takes in the next event of the log; `now` is the server's clock.
    pub(super) fn event(&mut self, event: RawEvent, now: i64) -> Result<(), Failure> {
        match event.kind {
            kind if Begin::is(kind) => self.begin(event, now),
            kinds::MYSQL_ANONYMOUS => Err(Failure::lasting(
                "the log holds transactions without a GTID, from before gtid_mode was ON",
                "run FLUSH BINARY LOGS, and begin with an empty state and a snapshot",
            )),
            kinds::QUERY | kinds::QUERY_COMPRESSED | kinds::EXECUTE_LOAD => self.query(event),
            kinds::ROWS_QUERY | kinds::ANNOTATE_ROWS => {
                self.states(event);
                Ok(())
            }
            kinds::XID | kinds::XA_PREPARE => self.commit(),
            kinds::TABLE_MAP => self.table_map(event.body),
            kinds::PARTIAL_UPDATE_ROWS => self.rows(event),
            kind if Rows::form(kind).is_some() => self.rows(event),
            kinds::INCIDENT => self.incident(),
            kinds::TRANSACTION_PAYLOAD => self.payload(event, now),
            kinds::FORMAT => self.new_log(),
            kinds::STOP
            | kinds::ROTATE
            | kinds::INTVAR
            | kinds::RAND
            | kinds::USER_VAR
            | kinds::BEGIN_LOAD
            | kinds::IGNORABLE
            | kinds::CHECKPOINT
            | kinds::GTID_LIST
            | kinds::MYSQL_PREVIOUS_GTIDS
            | kinds::TRANSACTION_CONTEXT
            | kinds::VIEW_CHANGE
            | kinds::HEARTBEAT
            | kinds::HEARTBEAT_2 => Ok(()),
            _ if event.ignorable => Ok(()),
            kind => Err(Failure::lasting(
                format!("the log holds an event of type {kind}, which this version does not know"),
                "read this server with a newer version of Centinel",
            )),
        }
    }

    /// Nothing newer was committed when the server's clock showed this.
    pub(super) fn idle(&mut self, clock: Option<i64>) -> Result<(), Failure> {
        if self.group.is_some() {
            return Ok(());
        }
        let before = self.place.clock;
        // Rows that are read again from before must get the times they had, so this begins a chunk.
        if self.has_news() {
            self.flush()?;
        }
        if let Some(clock) = clock.filter(|_| self.place.settled) {
            self.place.clock = before.max(clock);
            if self.place.clock > before {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Gives out what there is. The rows of a transaction that has not ended stay its rows: more follow.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let progress = (self.source, Timestamp(self.place.clock));
        let progress = self.place.settled.then_some(progress);
        self.torn = true;
        let chunk = self
            .builder
            .finish(&self.input, self.place.clone(), progress)?;
        self.ready.push(chunk);
        self.torn = false;
        self.handed = self.group.as_ref().map(|group| Handed {
            sequence: self.place.transactions,
            gtid: group.begin.gtid.clone(),
            rows: group.ordinal.max(group.skip),
        });
        Ok(())
    }

    fn query(&mut self, event: RawEvent) -> Result<(), Failure> {
        let query = Query::read(event)?;
        let (statement, names) = statement::read(&query.text);
        let alone = self.is_alone(statement, &query.text);
        let mut layouts = BTreeSet::new();
        for (database, name) in names {
            let database = database.as_deref().unwrap_or(query.database);
            layouts.extend(
                self.physical
                    .find(database, &name)
                    .map(|physical| physical.layout),
            );
            if statement == Statement::Replace
                && query.text.to_ascii_uppercase().contains("DATABASE")
            {
                layouts.extend(self.databases.get(&name).into_iter().flatten());
            }
        }
        let why = match statement {
            Statement::Commit => return self.commit(),
            Statement::EndOfPrepared => return self.end_of_prepared(&query.text),
            Statement::Begin | Statement::Prepare => {
                if let Some(group) = &mut self.group {
                    group.made_by(query.thread);
                }
                ""
            }
            Statement::Other => "",
            Statement::Rollback => {
                let group = self.group.as_ref();
                layouts.extend(group.into_iter().flat_map(|group| &group.touched));
                "were changed in a transaction that was rolled back only in part, since not all its tables \
                 are InnoDB's; make them InnoDB"
            }
            Statement::Rows => {
                "were changed by a statement that stands in the log as text; run SET GLOBAL binlog_format = \
                 'ROW', and set no other binlog_format in sessions"
            }
            Statement::Truncate => {
                "were all taken away by TRUNCATE, which does not say which; DELETE does"
            }
            Statement::Replace => {
                "went or came with the whole table (DROP, RENAME or CREATE OR REPLACE), which does not say which"
            }
            Statement::Alter => {
                "may have got other values by ALTER TABLE, which does not say which; compare them by an audit"
            }
        };
        for layout in layouts {
            let name = &self.layouts[layout].name;
            let refusal = unobservable(format!("rows of `{name}` {why}"));
            self.table_hole(layout, refusal, query.text.as_bytes());
        }
        if alone || statement == Statement::Rollback {
            return self.commit();
        }
        Ok(())
    }

    /// The text of the statement whose rows follow. MySQL puts its length, cut to a byte, before it.
    fn states(&mut self, event: RawEvent) {
        let head = usize::from(event.kind == kinds::ROWS_QUERY);
        if let (Some(group), Some(text)) = (&mut self.group, event.body.get(head..)) {
            group.states(&String::from_utf8_lossy(text));
        }
    }

    fn table_map(&mut self, body: &[u8]) -> Result<(), Failure> {
        let named = Named::read(body)?;
        if self
            .maps
            .get(&named.id)
            .is_some_and(|mapped| mapped.body == body)
        {
            return Ok(());
        }
        let physical = self.physical.find(named.database, named.table);
        let bound = match physical {
            Some(physical) => Some(Arc::new(self.bind(&named, physical)?)),
            None => None,
        };
        if self.maps.len() >= MAX_MAPS {
            self.maps.clear();
        }
        let mapped = Mapped {
            body: body.to_vec(),
            bound,
        };
        self.maps.insert(named.id, mapped);
        Ok(())
    }

    fn bind(&mut self, named: &Named, physical: Physical) -> Result<Bound, Failure> {
        self.saw(named.database, physical.layout);
        let layout = &self.layouts[physical.layout];
        let flavour = match &self.group {
            Some(group) if matches!(group.begin.gtid, Gtid::MySql(_)) => Flavour::MySql,
            _ => Flavour::MariaDb,
        };
        let columns = named.columns(&self.collations, flavour)?;
        let disputed = self.physical.check(&physical).err();
        let mut bound = Bound::new(columns, physical, layout);
        bound.refused = disputed.or(bound.refused);
        Ok(bound)
    }

    fn rows(&mut self, event: RawEvent) -> Result<(), Failure> {
        let table = Rows::table_of(event.body)?;
        if table == NO_TABLE {
            return Ok(());
        }
        let Some(mapped) = self.maps.get(&table) else {
            return Err(Failure::passing(
                "rows of the log belong to a table that it did not name",
            ));
        };
        let Some(bound) = mapped.bound.clone() else {
            return Ok(());
        };
        let Some(group) = &mut self.group else {
            return Err(Failure::passing(
                "rows of the log stand outside of a transaction",
            ));
        };
        if group.interrupted {
            return Ok(());
        }
        let layout = bound.physical.layout;
        group.touched.insert(layout);
        if event.kind == kinds::PARTIAL_UPDATE_ROWS {
            let refusal = unobservable(format!(
                "rows of `{}` hold only what changed in their JSON; run SET PERSIST binlog_row_value_options = \
                 '', and set no other binlog_row_value_options in sessions",
                self.layouts[layout].name
            ));
            self.table_hole(layout, refusal, event.body);
            return Ok(());
        }
        let rows = Rows::read(event)?;
        if bound.columns() == 0 || rows.columns != bound.columns() {
            return Err(Failure::passing(
                "rows of the log have other columns than their table",
            ));
        }
        let refused = bound.refused.clone().or_else(|| {
            let message = format!(
                "rows of `{}` do not hold all columns; run SET GLOBAL binlog_row_image = 'FULL', and set no \
                 other binlog_row_image in sessions",
                self.layouts[layout].name
            );
            (!rows.whole).then(|| unobservable(message))
        });
        if let Some(refusal) = refused {
            self.table_hole(layout, refusal, event.body);
            return Ok(());
        }
        let mut bytes = Bytes(&rows.data);
        while !bytes.is_empty() {
            let first = bound.take(&mut bytes)?;
            let (operation, images) = match rows.change {
                RowChange::Write => (Operation::Insert, [None, Some(first)]),
                RowChange::Delete => (Operation::Delete, [Some(first), None]),
                RowChange::Update => (
                    Operation::Update,
                    [Some(first), Some(bound.take(&mut bytes)?)],
                ),
            };
            self.row(&bound, operation, images)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        bound: &Bound,
        operation: Operation,
        images: [Option<&[u8]>; 2],
    ) -> Result<(), Failure> {
        let Some((ordinal, group_time, prepared)) = self.next_ordinal()? else {
            return Ok(());
        };
        let layouts = Arc::clone(&self.layouts);
        let layout = &layouts[bound.physical.layout];
        let version = Version {
            epoch: 0,
            sequence: self.place.transactions,
            ordinal,
        };
        let (table, buffer) = self.builder.table(bound.physical.layout);
        let [before, after] = images;
        let mut read = || -> Result<u32, Refusal> {
            if prepared {
                return Err(unobservable(format!(
                    "the row of `{}` belongs to a distributed transaction (XA), whose end the log tells \
                     elsewhere; change the watched tables without XA",
                    layout.name
                )));
            }
            if let Some(image) = before {
                bound.read(image, &mut buffer.before, layout)?;
            }
            if let Some(image) = after {
                bound.read(image, &mut buffer.after, layout)?;
            }
            buffer.lost.clone_from(&bound.lost);
            let row = buffer.complete(layout, operation, version, Timestamp(group_time))?;
            buffer.made_by(self.group.as_ref().map(|group| &group.origin));
            Ok(row)
        };
        let length = images.iter().flatten().map(|image| image.len()).sum();
        match read() {
            Ok(row) => {
                let transaction = self.transaction();
                self.builder
                    .row(table, row, transaction, length, self.place.transactions);
                self.saw_shape(bound, layout, ordinal, Timestamp(group_time));
            }
            Err(refusal) => {
                buffer.cut_back();
                let images: Vec<&[u8]> = images.into_iter().flatten().collect();
                let entities = hole::entities(&images, bound, layout);
                self.hole(ordinal, refusal, Some(layout), &images.concat(), entities);
            }
        }
        Ok(())
    }

    /// Notes the shape of the table that a row is of.
    fn saw_shape(&mut self, bound: &Bound, layout: &Layout, row: u32, at: Timestamp) {
        let place = || (self.input.clone(), self.place.position(row));
        let (shapes, physical) = (&mut self.builder.shapes, &bound.physical);
        shapes.see(layout, &physical.name, at, &bound.lost, place);
        for name in &bound.extra {
            let notes = &mut self.builder.notes;
            notes.extra_column(physical.layout, layout, name);
        }
    }

    /// The number of the next row of the transaction, its time, and whether it is only prepared; `None` for a row
    /// that was given out before. Makes room for it.
    fn next_ordinal(&mut self) -> Result<Option<(u32, i64, bool)>, Failure> {
        if self.builder.is_full() {
            self.flush()?;
        }
        let Some(group) = &mut self.group else {
            return Ok(None);
        };
        let ordinal = group.ordinal;
        group.ordinal += 1;
        Ok((ordinal >= group.skip).then_some((ordinal, group.committed_at, group.begin.prepared)))
    }

    fn transaction(&self) -> TransactionRow {
        TransactionRow {
            source: self.source,
            epoch: 0,
            sequence: self.place.transactions,
            last: false,
        }
    }

    /// A hole for a whole table, once in a transaction.
    fn table_hole(&mut self, layout: usize, refusal: Refusal, bytes: &[u8]) {
        let Some(group) = &mut self.group else { return };
        if group.interrupted || !group.told.insert(layout) {
            return;
        }
        let ordinal = group.ordinal;
        group.ordinal += 1;
        if ordinal >= group.skip {
            let layouts = Arc::clone(&self.layouts);
            self.hole(ordinal, refusal, Some(&layouts[layout]), bytes, Vec::new());
        }
    }

    /// A hole in all that the source has. It stands before the next transaction.
    pub(super) fn source_hole(&mut self, refusal: Refusal) {
        let place = hole::Place {
            input: &self.input,
            source: self.source,
            position: self.place.position(0),
        };
        let hole = hole::make(place, refusal, None, &[], Vec::new());
        self.builder.hole(hole, None, self.place.transactions);
    }

    fn hole(
        &mut self,
        row: u32,
        refusal: Refusal,
        layout: Option<&Layout>,
        bytes: &[u8],
        entities: Vec<(EntityId, EntityKey)>,
    ) {
        let place = hole::Place {
            input: &self.input,
            source: self.source,
            position: self.place.position(row),
        };
        let hole = hole::make(place, refusal, layout, bytes, entities);
        let transaction = self.transaction();
        self.builder
            .hole(hole, Some(transaction), self.place.transactions);
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "mysql_log_tests.rs"]
mod mysql_log_tests;
