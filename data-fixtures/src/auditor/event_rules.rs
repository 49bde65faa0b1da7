//! Rules that compare rows with events.

use std::collections::BTreeSet;

use crate::auditor::Findings;
use crate::auditor::ledger::Order;
use crate::key::Key;
use crate::row::Message;
use crate::table::Table;

pub(super) fn check(order: &Order, findings: &mut Findings) {
    payments(order, findings);
    refunds(order, findings);
    let settlements = order
        .newest
        .of(&[Table::Settlement, Table::SettlementCompleted]);
    for row in order.settled() {
        let told = largest(&order.rows.settlement_events, row.settlement_no);
        differs(
            "settlement-event-matches-row",
            row.settlement_no,
            row.amount,
            told,
            settlements,
            findings,
        );
    }
    let entries = order.newest.of(&[
        Table::Settlement,
        Table::AccountingEntry,
        Table::AccountingEntryBooked,
    ]);
    for row in order.entries() {
        let told = order
            .booked
            .get(&row.settlement_no)
            .and_then(|booked| largest(&booked.events, row.entry_no));
        differs(
            "entry-event-matches-row",
            row.entry_no,
            row.amount,
            told,
            entries,
            findings,
        );
    }
}

/// The largest amount that events tell of this row, fen.
fn largest(events: &[Message], subject: Key) -> Option<i64> {
    events
        .iter()
        .filter(|event| event.subject == subject)
        .map(|event| event.amount)
        .max()
}

fn differs(
    rule: &'static str,
    key: Key,
    amount: i64,
    told: Option<i64>,
    anchor: i64,
    findings: &mut Findings,
) {
    if let Some(told) = told.filter(|told| *told != amount) {
        findings.add(rule, &[key.text()], amount - told, anchor);
    }
}

fn subjects(events: &[Message]) -> BTreeSet<Key> {
    events.iter().map(|event| event.subject).collect()
}

fn payments(order: &Order, findings: &mut Findings) {
    let events = &order.rows.payment_events;
    let anchor = order.newest.of(&[Table::Payment, Table::PaymentCompleted]);
    for row in order.paid() {
        let told = largest(events, row.payment_no);
        differs(
            "payment-event-matches-row",
            row.payment_no,
            row.amount,
            told,
            anchor,
            findings,
        );
        if told.is_none() {
            findings.add(
                "paid-row-has-event",
                &[row.payment_no.text()],
                row.amount,
                anchor,
            );
        }
    }
    for subject in subjects(events) {
        if !order.paid().any(|row| row.payment_no == subject) {
            let amount = largest(events, subject).unwrap_or(0);
            findings.add("payment-event-has-row", &[subject.text()], amount, anchor);
        }
    }
}

fn refunds(order: &Order, findings: &mut Findings) {
    let events = &order.rows.refund_events;
    let anchor = order.newest.of(&[Table::Refund, Table::RefundCompleted]);
    for row in order.refunded() {
        let told = largest(events, row.refund_no);
        differs(
            "refund-event-matches-row",
            row.refund_no,
            row.amount,
            told,
            anchor,
            findings,
        );
        if told.is_none() {
            findings.add(
                "refund-row-has-event",
                &[row.refund_no.text()],
                row.amount,
                anchor,
            );
        }
    }
    for subject in subjects(events) {
        let amounts: Vec<i64> = events
            .iter()
            .filter(|event| event.subject == subject)
            .map(|event| event.amount)
            .collect();
        if amounts.len() > 1 {
            let again = amounts.iter().sum::<i64>() - amounts.iter().max().copied().unwrap_or(0);
            let anchor = order.newest.of(&[Table::RefundCompleted]);
            findings.add("refund-completed-once", &[subject.text()], again, anchor);
        }
    }
}
