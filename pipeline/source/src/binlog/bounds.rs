//! Where transactions begin and end in the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use centinel_model::{HoleReason, Origin};

use super::begin::Begin;
use super::event::RawEvent;
use super::failure::Failure;
use super::gtid::Gtid;
use super::statement::{self, Statement};
use super::transaction::Assembler;
use crate::format::made_by::statement;
use crate::value::Refusal;

/// A commit time this far ahead of the server's clock is a mistake; the clock is believed instead.
const TOLERANCE: i64 = 86_400 * 1_000_000;

/// Distributed transactions that are prepared at a time, at most; more are not known at their end.
const MAX_PREPARED: usize = 10_000;

/// The transaction that is being read.
pub(super) struct Group {
    pub(super) begin: Begin,
    /// Whether a statement opened it, so that others may follow: only of interest in MySQL's log.
    pub(super) opened: bool,
    pub(super) committed_at: i64,
    /// The number of its next row.
    pub(super) ordinal: u32,
    /// So many of its rows were given out when it was read before.
    pub(super) skip: u32,
    /// Tables whose rows cannot be read, and that was said.
    pub(super) told: BTreeSet<usize>,
    /// Watched tables that it changed.
    pub(super) touched: BTreeSet<usize>,
    /// Whether it was found before that its end is missing.
    pub(super) interrupted: bool,
    /// Who makes the rows that come next.
    pub(super) origin: Arc<Origin>,
}

impl Group {
    /// The thread that made it is told.
    pub(super) fn made_by(&mut self, thread: u32) {
        let thread = Some(u64::from(thread));
        if self.origin.thread != thread {
            Arc::make_mut(&mut self.origin).thread = thread;
        }
    }

    /// A statement follows whose rows come next.
    pub(super) fn states(&mut self, text: &str) {
        Arc::make_mut(&mut self.origin).statement = statement(text);
    }
}

/// The rows of a transaction that were given out before its end was there.
pub(super) struct Handed {
    pub(super) sequence: u64,
    pub(super) gtid: Gtid,
    pub(super) rows: u32,
}

impl Assembler {
    pub(super) fn begin(&mut self, event: RawEvent, now: i64) -> Result<(), Failure> {
        if self.group.is_some() {
            let message = "a transaction of the log begins before the one before it ended";
            return Err(Failure::passing(message));
        }
        let begin = Begin::read(event)?;
        let skip = match &self.handed {
            Some(handed) if handed.sequence == self.place.transactions => {
                if handed.gtid != begin.gtid {
                    return Err(Failure::lasting(
                        format!(
                            "transaction {} was half read, and this server has {} in its place",
                            handed.gtid, begin.gtid
                        ),
                        "start Centinel again: it goes on behind the last whole transaction",
                    ));
                }
                handed.rows
            }
            _ => 0,
        };
        let whole_seconds = i64::from(event.seconds) * 1_000_000;
        let written = begin.committed_at.unwrap_or(whole_seconds);
        let written = if written > now + TOLERANCE {
            now
        } else {
            written
        };
        let interrupted = self.interrupted.as_ref() == Some(&begin.gtid);
        let origin = Origin {
            transaction: Some(begin.gtid.to_string()),
            thread: begin.thread.map(u64::from),
            ..Origin::default()
        };
        self.group = Some(Group {
            origin: Arc::new(origin),
            begin,
            opened: false,
            committed_at: written.max(self.place.clock + 1),
            ordinal: 0,
            skip,
            told: BTreeSet::new(),
            touched: BTreeSet::new(),
            interrupted,
        });
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        let Some(group) = self.group.take() else {
            return Err(Failure::passing(
                "a transaction of the log ends that never began",
            ));
        };
        if group.interrupted {
            // This server wrote it whole, under the same id.
            self.interrupted = None;
            return Err(Failure::passing(
                "a transaction that was interrupted before is whole now",
            ));
        }
        self.builder.end(self.place.transactions);
        self.place.gtids.advance(&group.begin.gtid);
        self.place.transactions += 1;
        self.place.clock = group.committed_at;
        self.settle();
        if self.builder.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// A log begins. Where a transaction has no end before it, the server was interrupted while it wrote it, and
    /// took it back when it started again.
    pub(super) fn new_log(&mut self) -> Result<(), Failure> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let gtid = group.begin.gtid;
        if self
            .handed
            .as_ref()
            .is_some_and(|handed| handed.gtid == gtid)
        {
            return Err(Failure::lasting(
                format!(
                    "the server was interrupted in transaction {gtid}, of which a part was given out"
                ),
                "start Centinel again: it goes on behind the last whole transaction",
            ));
        }
        if group.ordinal == 0 || group.interrupted {
            self.interrupted = None;
            return Ok(());
        }
        // Its rows stand between others; read all of them again without it.
        let message = format!("the server was interrupted in transaction {gtid}");
        self.interrupted = Some(gtid);
        Err(Failure::passing(message))
    }

    /// Progress counts once the log was read up to where the last snapshot stood.
    pub(super) fn settle(&mut self) {
        self.place.settled = self.place.settled || self.place.gtids.covers(&self.settle_at);
    }

    /// Whether this statement is all of its transaction. MariaDB says so where the transaction begins; in MySQL's
    /// log one of several events is opened by BEGIN, by XA START, or by a CREATE TABLE whose rows follow.
    pub(super) fn is_alone(&mut self, statement: Statement, text: &str) -> bool {
        let Some(group) = &mut self.group else {
            return false;
        };
        if matches!(group.begin.gtid, Gtid::MariaDb(_)) {
            return group.begin.standalone;
        }
        if statement == Statement::Prepare {
            group.begin.prepared = true;
            if self.prepared.len() >= MAX_PREPARED {
                self.prepared.clear();
            }
            self.prepared.insert(statement::prepared_id(text));
        }
        group.opened |= matches!(statement, Statement::Begin | Statement::Prepare)
            || statement::is_opening(text);
        !group.opened
    }

    /// A distributed transaction ends that was prepared in another one. Where that was before reading began,
    /// nothing is known of its rows.
    pub(super) fn end_of_prepared(&mut self, text: &str) -> Result<(), Failure> {
        let mysql = self
            .group
            .as_ref()
            .is_some_and(|group| matches!(group.begin.gtid, Gtid::MySql(_)));
        let known = self.prepared.remove(&statement::prepared_id(text));
        if mysql && !known && statement::keeps_prepared(text) {
            let message = "a distributed transaction (XA) was committed that was prepared before reading began, \
                           so its rows are not known; compare the watched tables by an audit, and change them \
                           without XA";
            self.source_hole(Refusal::new(HoleReason::Unobservable, message));
        }
        self.commit()
    }

    /// The server lost events of its log. In MySQL's it stands in a transaction of its own.
    pub(super) fn incident(&mut self) -> Result<(), Failure> {
        let message = "the server says that it lost events of its log (an incident); compare the watched tables \
                       by an audit";
        self.source_hole(Refusal::new(HoleReason::Gap, message));
        let own = self
            .group
            .as_ref()
            .is_some_and(|group| matches!(group.begin.gtid, Gtid::MySql(_)) && !group.opened);
        if own { self.commit() } else { Ok(()) }
    }
}
