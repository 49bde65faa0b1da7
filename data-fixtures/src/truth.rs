//! The planted truth: what the rules must find because of each planted fault.

use std::collections::{HashMap, HashSet};

use crate::auditor::{Ledger, Violation};
use crate::key::{Key, KeyKind};
use crate::record::Record;
use crate::row::Row;
use crate::simulation::Planted;
use crate::text::{TimeStyle, push_integer, push_json_text, push_time};

/// Follows a history and keeps the rows that planted faults touch, and no others.
#[derive(Default)]
pub struct Truth {
    planted: Vec<Planted>,
    orders: HashSet<u64>,
    cash_outs: HashSet<u64>,
    ledger: Ledger,
}

/// A planted fault and what the rules must find.
#[derive(Clone, Debug)]
pub struct PlantedTruth {
    /// The fault.
    pub planted: Planted,
    /// Every violation of its order or cash-out.
    pub expected: Vec<Violation>,
}

impl Truth {
    /// Tells of faults, before the first record of their orders and cash-outs.
    pub fn plant(&mut self, planted: Vec<Planted>) {
        for fault in planted {
            let numbers = if fault.fault.is_on_cash_out() {
                &mut self.cash_outs
            } else {
                &mut self.orders
            };
            numbers.insert(fault.key.number());
            self.planted.push(fault);
        }
    }

    /// Takes the next record of the history. For the truth as of a moment, leave out what is committed later.
    pub fn observe(&mut self, record: &Record) {
        let Some(row) = record.row() else { return };
        if order_number(row).is_some_and(|number| self.orders.contains(&number)) {
            self.ledger.apply(record);
        } else if cash_out_no(row).is_some_and(|key| self.cash_outs.contains(&key.number())) {
            self.ledger.apply_to_cash_out(record);
        }
    }

    /// What the rules must find as of `as_of` (microseconds), by fault. A fault whose violations are all in
    /// flight, or that has not struck yet, expects nothing.
    pub fn judge(&self, as_of: i64) -> Vec<PlantedTruth> {
        let mut by_entity: HashMap<Key, Vec<Violation>> = HashMap::new();
        for violation in self.ledger.violations(as_of) {
            if violation.is_certain(as_of) {
                by_entity
                    .entry(violation.entity)
                    .or_default()
                    .push(violation);
            }
        }
        let expected = |planted: &Planted| by_entity.get(&planted.key).cloned().unwrap_or_default();
        self.planted
            .iter()
            .map(|planted| PlantedTruth {
                planted: *planted,
                expected: expected(planted),
            })
            .collect()
    }
}

/// The order that a row belongs to, by its number.
pub(crate) fn order_number(row: &Row) -> Option<u64> {
    match row {
        Row::CashOut(_) | Row::CashOutSent(_) => None,
        other => Some(other.primary_key().number()),
    }
}

/// The cash-out that a row belongs to.
pub(crate) fn cash_out_no(row: &Row) -> Option<Key> {
    match row {
        Row::CashOut(row) => Some(row.cash_out_no),
        Row::CashOutSent(message) => Some(message.subject),
        Row::Settlement(row) => row.cash_out_no,
        _ => None,
    }
}

impl PlantedTruth {
    /// Appends the line of `truth.jsonl`, with its `\n`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let fault = self.planted.fault;
        let entity = if fault.is_on_cash_out() {
            KeyKind::CashOut
        } else {
            KeyKind::Order
        };
        push_field(out, b"{\"fault\":", fault.name());
        push_field(out, b",\"loss_class\":", fault.loss_class().name());
        push_field(
            out,
            b",\"entity\":",
            if entity == KeyKind::CashOut {
                "cash_out"
            } else {
                "order"
            },
        );
        push_field(out, b",\"entity_key\":", &self.planted.key.text());
        push_moment(out, b",\"planted_at\":", self.planted.planted_at);
        out.extend_from_slice(b",\"expected\":[");
        for (index, violation) in self.expected.iter().enumerate() {
            push_field(
                out,
                if index > 0 {
                    b",{\"rule\":"
                } else {
                    b"{\"rule\":"
                },
                violation.rule,
            );
            for (index, part) in violation.key.iter().enumerate() {
                push_field(out, if index > 0 { b"," } else { b",\"key\":[" }, part);
            }
            push_field(out, b"],\"amount\":", &violation.amount_text());
            push_field(out, b",\"currency\":", "CNY");
            push_moment(out, b",\"anchor\":", violation.anchor);
            out.extend_from_slice(b",\"patience_seconds\":");
            push_integer(out, violation.patience / crate::text::SECOND);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}\n");
    }
}

fn push_field(out: &mut Vec<u8>, before: &[u8], text: &str) {
    out.extend_from_slice(before);
    push_json_text(out, text);
}

fn push_moment(out: &mut Vec<u8>, before: &[u8], at: i64) {
    out.extend_from_slice(before);
    out.push(b'"');
    push_time(out, at, TimeStyle::Rfc3339);
    out.push(b'"');
}
