//! The current rows, gathered by order and by cash-out.

use std::collections::{BTreeMap, HashMap};

use crate::auditor::{
    Findings, Violation, cash_out_rules, entry_rules, event_rules, order_rules, row_rules,
};
use crate::key::Key;
use crate::record::Record;
use crate::row::{Bill, CashOut, Entry, Message, Payment, Refund, Row, Settlement, Status};
use crate::table::Table;

/// The current rows of one table by primary key: few, so a list is small and fast enough.
pub(super) struct Rows<T>(Vec<(Key, T)>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows(Vec::new())
    }
}

impl<T> Rows<T> {
    fn insert(&mut self, key: Key, row: T) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, current)) => *current = row,
            None => self.0.push((key, row)),
        }
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, row)| row)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(|(key, _)| key)
    }
}

/// The rows of one order, without what accounting booked.
#[derive(Default)]
pub(super) struct OrderRows {
    pub payments: Rows<Payment>,
    pub refunds: Rows<Refund>,
    pub settlements: Rows<Settlement>,
    pub bills: Rows<Bill>,
    pub payment_events: Vec<Message>,
    pub refund_events: Vec<Message>,
    pub settlement_events: Vec<Message>,
    pub newest: Newest,
}

/// What accounting booked for one settlement.
#[derive(Default)]
pub(super) struct Booked {
    pub entries: Rows<Entry>,
    pub events: Vec<Message>,
    newest: Newest,
}

/// The rows of one cash-out.
#[derive(Default)]
pub(super) struct CashOutRows {
    pub cash_out: Option<CashOut>,
    pub settlements: BTreeMap<Key, Settlement>,
    pub events: Vec<Message>,
    pub newest: Newest,
}

/// The newest commit by table, microseconds.
#[derive(Clone, Copy)]
pub(super) struct Newest([i64; Table::ALL.len()]);

impl Default for Newest {
    fn default() -> Self {
        Newest([i64::MIN; Table::ALL.len()])
    }
}

impl Newest {
    fn note(&mut self, table: Table, at: i64) {
        let newest = &mut self.0[table as usize];
        *newest = (*newest).max(at);
    }

    fn merge(&mut self, other: &Newest) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(theirs);
        }
    }

    /// The newest commit in these tables.
    pub fn of(&self, tables: &[Table]) -> i64 {
        tables
            .iter()
            .map(|table| self.0[*table as usize])
            .max()
            .unwrap_or(i64::MIN)
    }
}

/// An order as the rules see it.
pub(super) struct Order<'a> {
    pub rows: &'a OrderRows,
    /// By settlement.
    pub booked: BTreeMap<Key, &'a Booked>,
    pub newest: Newest,
}

impl Order<'_> {
    /// Payments that are PAID.
    pub fn paid(&self) -> impl Iterator<Item = &Payment> {
        self.rows
            .payments
            .values()
            .filter(|row| row.status == Status::Paid)
    }

    /// Refunds that are SUCCESS.
    pub fn refunded(&self) -> impl Iterator<Item = &Refund> {
        self.rows
            .refunds
            .values()
            .filter(|row| row.status == Status::Success)
    }

    /// Settlements that are SETTLED.
    pub fn settled(&self) -> impl Iterator<Item = &Settlement> {
        self.rows
            .settlements
            .values()
            .filter(|row| row.status == Status::Settled)
    }

    /// Bills that are BILLED.
    pub fn billed(&self) -> impl Iterator<Item = &Bill> {
        self.rows
            .bills
            .values()
            .filter(|row| row.status == Status::Billed)
    }

    /// Entries that are BOOKED.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.booked
            .values()
            .flat_map(|booked| booked.entries.values())
            .filter(|row| row.status == Status::Booked)
    }

    /// The sum of the PAID payments, fen.
    pub fn paid_sum(&self) -> i64 {
        self.paid().map(|row| row.amount).sum()
    }

    /// The sum of the SUCCESS refunds, fen.
    pub fn refunded_sum(&self) -> i64 {
        self.refunded().map(|row| row.amount).sum()
    }

    /// Whether any PAID payment moved money electronically.
    pub fn is_electronic(&self) -> bool {
        self.paid().any(|row| row.channel.is_electronic())
    }
}

/// All rows that were shown to the auditor.
#[derive(Default)]
pub struct Ledger {
    orders: BTreeMap<Key, OrderRows>,
    booked: HashMap<Key, Booked>,
    cash_outs: BTreeMap<Key, CashOutRows>,
}

impl Ledger {
    /// Takes a record. Those of one row must come in commit order; across rows any order will do.
    pub fn apply(&mut self, record: &Record) {
        let Some(row) = record.row() else { return };
        let (table, at) = (row.table(), record.committed_at());
        match *row {
            Row::Payment(row) => {
                self.order(row.order_no, table, at)
                    .payments
                    .insert(row.payment_no, row);
            }
            Row::Refund(row) => {
                self.order(row.order_no, table, at)
                    .refunds
                    .insert(row.refund_no, row);
            }
            Row::Settlement(row) => {
                self.order(row.order_no, table, at)
                    .settlements
                    .insert(row.settlement_no, row);
                self.apply_to_cash_out(record);
            }
            Row::Bill(row) => {
                self.order(row.order_no, table, at)
                    .bills
                    .insert(row.bill_no, row);
            }
            Row::Entry(row) => {
                self.booked(row.settlement_no, table, at)
                    .entries
                    .insert(row.entry_no, row);
            }
            Row::CashOut(_) | Row::CashOutSent(_) => self.apply_to_cash_out(record),
            Row::PaymentCompleted(message) => {
                self.order(context(&message), table, at)
                    .payment_events
                    .push(message);
            }
            Row::RefundCompleted(message) => {
                self.order(context(&message), table, at)
                    .refund_events
                    .push(message);
            }
            Row::SettlementCompleted(message) => {
                self.order(context(&message), table, at)
                    .settlement_events
                    .push(message);
            }
            Row::EntryBooked(message) => self
                .booked(context(&message), table, at)
                .events
                .push(message),
        }
    }

    /// Takes a record for its cash-out alone, and not for its order.
    pub(crate) fn apply_to_cash_out(&mut self, record: &Record) {
        let at = record.committed_at();
        match record.row() {
            Some(Row::Settlement(row)) => {
                if let Some(cash_out_no) = row.cash_out_no {
                    let rows = self.cash_out(cash_out_no, Table::Settlement, at);
                    rows.settlements.insert(row.settlement_no, *row);
                }
            }
            Some(Row::CashOut(row)) => {
                self.cash_out(row.cash_out_no, Table::CashOut, at).cash_out = Some(*row);
            }
            Some(Row::CashOutSent(message)) => {
                self.cash_out(message.subject, Table::CashOutSent, at)
                    .events
                    .push(*message);
            }
            _ => {}
        }
    }

    /// Everything that breaks a rule as of `as_of` (microseconds), ordered by rule and key; in flight or not.
    pub fn violations(&self, as_of: i64) -> Vec<Violation> {
        let mut found = Vec::new();
        for (key, rows) in &self.orders {
            let order = self.view(rows);
            let findings = &mut Findings {
                entity: *key,
                found: &mut found,
            };
            order_rules::check(&order, findings);
            row_rules::check(&order, as_of, findings);
            entry_rules::check(&order, findings);
            event_rules::check(&order, findings);
        }
        for (key, rows) in &self.cash_outs {
            cash_out_rules::check(
                rows,
                &mut Findings {
                    entity: *key,
                    found: &mut found,
                },
            );
        }
        found.sort();
        found
    }

    fn view<'a>(&'a self, rows: &'a OrderRows) -> Order<'a> {
        let mut newest = rows.newest;
        let mut booked = BTreeMap::new();
        for settlement_no in rows.settlements.keys() {
            if let Some(of_settlement) = self.booked.get(settlement_no) {
                newest.merge(&of_settlement.newest);
                booked.insert(*settlement_no, of_settlement);
            }
        }
        Order {
            rows,
            booked,
            newest,
        }
    }

    fn order(&mut self, order_no: Key, table: Table, at: i64) -> &mut OrderRows {
        let rows = self.orders.entry(order_no).or_default();
        rows.newest.note(table, at);
        rows
    }

    fn booked(&mut self, settlement_no: Key, table: Table, at: i64) -> &mut Booked {
        let booked = self.booked.entry(settlement_no).or_default();
        booked.newest.note(table, at);
        booked
    }

    fn cash_out(&mut self, cash_out_no: Key, table: Table, at: i64) -> &mut CashOutRows {
        let rows = self.cash_outs.entry(cash_out_no).or_default();
        rows.newest.note(table, at);
        rows
    }
}

/// The second number a message names; all but cash-outs name one.
fn context(message: &Message) -> Key {
    message.context.unwrap_or(message.subject)
}
