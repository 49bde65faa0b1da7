//! Copies of real orders with faults in them: read from a change log of the reference platform, under numbers of their
//! own that bear a drill's mark, and without anything personal.
//!
//! Each fault gets a copy of an order that was healthy and had come to rest, with a cash-out of its own share. What must
//! be found of it is not known here: the [`auditor`](crate::auditor) says it of the copies as of any other rows.

mod mutate;
mod read;

use std::collections::BTreeMap;

use crate::auditor::Ledger;
use crate::fault::FaultKind;
use crate::key::{Key, KeyKind};
use crate::record::{Change, Delivered, Event, Record};
use crate::row::{Channel, Row, Settlement, SettlementKind, Status};
use crate::simulation::Planted;
use crate::table::Source;
use crate::text::SECOND;

pub use read::LineError;
use read::{Reader, Seen};

/// Versions of copies begin here, so that they are told apart from those of real transactions.
const FIRST_SEQUENCE: u64 = 1 << 40;
/// A log must go on for so long after an order's last row: changes by hand come up to a minute later, deadlines after
/// five, and patience after that.
const REST: i64 = 600 * SECOND;

/// What a change log says of a platform, as far as orders can be copied from it.
#[derive(Default)]
pub struct Traffic {
    reader: Reader,
    progress: BTreeMap<Source, i64>,
}

/// Copies of orders, each with one fault.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    /// Their records, in commit order.
    pub records: Vec<Delivered>,
    /// The faults in them.
    pub planted: Vec<Planted>,
    /// Faults for which the log has no order to copy.
    pub unplanted: Vec<FaultKind>,
}

/// One order as it was, or as it is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// In commit order.
    pub records: Vec<Record>,
}

impl Traffic {
    /// Takes the next line. Its commit time; nothing for one that says no time. A line that an order cannot be copied
    /// from spoils that order alone.
    ///
    /// # Errors
    /// When it is of another drill.
    pub fn read(&mut self, line: &[u8]) -> Result<Option<i64>, LineError> {
        match self.reader.read(line)? {
            Seen::Nothing => Ok(None),
            Seen::Record(at) => Ok(Some(at)),
            Seen::Heartbeat(source, at) => {
                let known = self.progress.entry(source).or_insert(at);
                *known = at.max(*known);
                Ok(Some(at))
            }
        }
    }

    /// Up to when every source was read, microseconds; or a source that never says so.
    pub fn end(&self) -> Result<i64, Source> {
        let at = |source| self.progress.get(&source).copied().ok_or(source);
        Source::ALL
            .into_iter()
            .map(at)
            .try_fold(i64::MAX, |least, at| Ok(least.min(at?)))
    }

    /// A copy for each fault, of an order that can have it; `end` is as above.
    pub fn copies(self, faults: &[FaultKind], end: i64) -> Copies {
        let orders: Vec<Order> = self
            .reader
            .orders()
            .into_iter()
            .filter(|order| order.is_at_rest(end) && order.is_healthy(end))
            .collect();
        let mut copies = Copies::default();
        let mut sequence = FIRST_SEQUENCE;
        for (number, fault) in (1..).zip(faults) {
            let mut fitting = orders.iter().filter(|order| order.fits(*fault));
            // Not all of the same order, where there are several.
            let turn = number as usize % fitting.clone().count().max(1);
            let Some(order) = fitting.nth(turn) else {
                copies.unplanted.push(*fault);
                continue;
            };
            let mut copy = order.renumbered(number);
            copy.mutate(*fault);
            copy.take_share();
            copy.records.sort_by_key(Record::committed_at);
            let kind = match fault.is_on_cash_out() {
                true => KeyKind::CashOut,
                false => KeyKind::Order,
            };
            let key = copy
                .records
                .iter()
                .find_map(|record| key_of(record.row()?, kind));
            let last = copy.records.last().map(Record::committed_at);
            let (Some(key), Some(planted_at)) = (key, last) else {
                copies.unplanted.push(*fault);
                continue;
            };
            copies.planted.push(Planted {
                fault: *fault,
                key,
                planted_at,
            });
            for mut record in copy.records {
                if let Record::Change(change) = &mut record {
                    sequence += 1;
                    change.sequence = sequence;
                }
                copies.records.push(Delivered {
                    arrival: record.committed_at(),
                    source: record
                        .row()
                        .map_or(Source::PaymentDb, |row| row.table().source()),
                    record,
                });
            }
        }
        copies.records.sort_by_key(|delivered| delivered.arrival);
        copies
    }
}

/// The number of the order or the cash-out that a row names as its own.
fn key_of(row: &Row, kind: KeyKind) -> Option<Key> {
    match (row, kind) {
        (Row::Payment(row), KeyKind::Order) => Some(row.order_no),
        (Row::CashOut(row), KeyKind::CashOut) => Some(row.cash_out_no),
        _ => None,
    }
}

impl Order {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.records.iter().filter_map(Record::row)
    }

    /// The rows of settlements as they end.
    fn settlements(&self) -> Vec<Settlement> {
        let mut last: BTreeMap<Key, Settlement> = BTreeMap::new();
        for row in self.rows() {
            if let Row::Settlement(row) = row {
                last.insert(row.settlement_no, *row);
            }
        }
        last.into_values().collect()
    }

    fn is_at_rest(&self, end: i64) -> bool {
        let last = self.records.iter().map(Record::committed_at).max();
        last.is_some_and(|last| last + REST <= end)
    }

    fn is_healthy(&self, end: i64) -> bool {
        let mut ledger = Ledger::default();
        let orders =
            |record: &&Record| !matches!(record.row(), Some(Row::CashOut(_) | Row::CashOutSent(_)));
        self.records
            .iter()
            .filter(orders)
            .for_each(|record| ledger.apply(record));
        // Of a cash-out only this order's share is known here.
        let order = self.rows().find_map(|row| key_of(row, KeyKind::Order));
        let mut found = ledger.violations(end).into_iter();
        order.is_some_and(|order| !found.any(|violation| violation.entity == order))
    }

    /// Whether a copy of it can have this fault.
    fn fits(&self, fault: FaultKind) -> bool {
        let (mut payments, mut refunds, mut entries) = (Vec::new(), Vec::new(), 0);
        let (mut bills, mut events) = (0, 0);
        for row in self.rows() {
            match row {
                Row::Payment(row) if row.status == Status::Paid => payments.push(*row),
                Row::Refund(row) if row.status == Status::Success => refunds.push(*row),
                Row::Entry(_) => entries += 1,
                Row::Bill(_) => bills += 1,
                Row::PaymentCompleted(_) => events += 1,
                _ => {}
            }
        }
        let settlements = self.settlements();
        let settled = |kind: SettlementKind| {
            let of_kind = settlements.iter().filter(|row| row.kind == kind);
            of_kind.filter(|row| row.status == Status::Settled).count()
        };
        let [payment] = payments.as_slice() else {
            return false;
        };
        let sent = |row: &Row| matches!(row, Row::CashOut(row) if row.status == Status::Success);
        let told = |row: &Row| matches!(row, Row::CashOutSent(_));
        let cashed_out = self.rows().any(sent) && self.rows().any(told);
        let right_refunds = match refunds.as_slice() {
            [] => !fault.needs_refund(),
            [refund] => {
                fault.needs_refund()
                    && settled(SettlementKind::Refund) == 1
                    && (!fault.needs_full_refund() || refund.amount == payment.amount)
            }
            _ => false,
        };
        let right_channel = match payment.channel {
            Channel::Voucher => fault.needs_voucher(),
            Channel::Cash => false,
            _ => !fault.needs_voucher() && entries == 2 + 2 * refunds.len() && bills == 1,
        };
        right_refunds
            && right_channel
            && events == 1
            && settled(SettlementKind::Payment) == 1
            && (!fault.is_on_cash_out() || cashed_out)
    }

    /// The same under numbers of a drill.
    fn renumbered(&self, number: u64) -> Order {
        let mut copy = self.clone();
        copy.edit(|row| row.each_key(|key| *key = key.renumbered(number)));
        copy
    }

    /// Changes every row, as it is before and after each change.
    fn edit(&mut self, mut edit: impl FnMut(&mut Row)) {
        for record in &mut self.records {
            match record {
                Record::Change(change) => {
                    change.before.as_mut().into_iter().for_each(&mut edit);
                    edit(&mut change.after);
                }
                Record::Event(event) => edit(&mut event.row),
                Record::Heartbeat(_) => {}
            }
        }
    }

    /// Removes the records of rows.
    fn remove(&mut self, gone: impl Fn(&Row) -> bool) {
        self.records
            .retain(|record| !record.row().is_some_and(&gone));
    }

    /// Lets the cash-out hold what the order's settlements say now, and nothing else. Without a positive share there is
    /// none.
    fn take_share(&mut self) {
        let mut shares: BTreeMap<Key, i64> = BTreeMap::new();
        for row in self.settlements() {
            if let Some(cash_out) = row.cash_out_no {
                *shares.entry(cash_out).or_default() += row.amount;
            }
        }
        let kept = |key: &Key| shares.get(key).is_some_and(|share| *share > 0);
        self.remove(|row| match row {
            Row::CashOut(row) => !kept(&row.cash_out_no),
            Row::CashOutSent(row) => !kept(&row.subject),
            _ => false,
        });
        let whole: Vec<Key> = self
            .rows()
            .filter_map(|row| key_of(row, KeyKind::CashOut))
            .collect();
        self.edit(|row| match row {
            // What is said of it was changed by the fault relative to what it was.
            Row::CashOut(row) => row.amount += shares.get(&row.cash_out_no).unwrap_or(&0),
            Row::CashOutSent(row) => row.amount += shares.get(&row.subject).unwrap_or(&0),
            Row::Settlement(row) if row.cash_out_no.is_some_and(|key| !whole.contains(&key)) => {
                row.cash_out_no = None;
            }
            _ => {}
        });
    }
}

/// A change that is a transaction of its own.
pub(crate) fn change(at: i64, before: Option<Row>, after: Row, by_hand: bool) -> Record {
    Record::Change(Change {
        epoch: 1,
        sequence: 0,
        ordinal: 0,
        last: true,
        committed_at: at,
        before,
        after,
        closes: false,
        by_hand,
    })
}

/// An event.
pub(crate) fn event(at: i64, row: Row) -> Record {
    Record::Event(Event {
        committed_at: at,
        row,
    })
}
