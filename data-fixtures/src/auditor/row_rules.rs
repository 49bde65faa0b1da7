//! Rules about single rows.

use crate::auditor::ledger::Order;
use crate::auditor::{Findings, PAYMENT_DEADLINE, RETRIES};
use crate::row::{Channel, Status};
use crate::table::Table::{Billing, Payment, Refund, Settlement};

pub(super) fn check(order: &Order, as_of: i64, findings: &mut Findings) {
    final_states(order, as_of, findings);
    payments(order, findings);
    fees(order, findings);
}

fn final_states(order: &Order, as_of: i64, findings: &mut Findings) {
    for row in order
        .rows
        .settlements
        .values()
        .filter(|row| row.status == Status::Created)
    {
        let key = [row.settlement_no.text()];
        findings.add(
            "settlement-reaches-final-state",
            &key,
            row.amount.abs(),
            order.newest.of(&[Settlement]),
        );
    }
    let open = |status| matches!(status, Status::Created | Status::Processing);
    for row in order.rows.refunds.values().filter(|row| open(row.status)) {
        let key = [row.refund_no.text()];
        findings.add(
            "refund-reaches-final-state",
            &key,
            row.amount,
            order.newest.of(&[Refund]),
        );
    }
    let late = |updated_at| updated_at < as_of - PAYMENT_DEADLINE;
    for row in order
        .rows
        .payments
        .values()
        .filter(|row| row.status == Status::Created && late(row.updated_at))
    {
        let key = [row.payment_no.text()];
        findings.add(
            "payment-reaches-final-state",
            &key,
            row.amount,
            row.updated_at + PAYMENT_DEADLINE,
        );
        if let Some(added) = findings.found.last_mut() {
            added.patience = RETRIES;
        }
    }
}

fn payments(order: &Order, findings: &mut Findings) {
    for row in order.paid().filter(|row| row.amount <= 0) {
        let key = [row.payment_no.text()];
        findings.add(
            "payment-amount-is-positive",
            &key,
            row.amount,
            order.newest.of(&[Payment]),
        );
    }
    for row in order.refunded() {
        if !order
            .paid()
            .any(|payment| payment.payment_no == row.payment_no)
        {
            let key = [row.refund_no.text()];
            let anchor = order.newest.of(&[Payment, Refund]);
            findings.add("refund-belongs-to-paid-payment", &key, row.amount, anchor);
        }
    }
}

/// base × rate in fen, half away from zero.
fn rounded_fee(base: i64, rate_millionths: i64) -> i64 {
    let exact = i128::from(base) * i128::from(rate_millionths);
    let rounded = (exact.abs() + 500_000) / 1_000_000;
    (rounded * exact.signum()) as i64
}

fn fees(order: &Order, findings: &mut Findings) {
    let channel = order
        .paid()
        .map(|row| row.channel)
        .min_by_key(|channel| channel.text());
    let right_rate = match channel {
        Some(Channel::Wx) => Some(6_000),
        Some(Channel::Ali) => Some(5_500),
        Some(Channel::Card) => Some(8_000),
        Some(Channel::Voucher | Channel::Cash) | None => None,
    };
    for row in order.billed() {
        let key = [row.bill_no.text()];
        let wrong = row.fee - rounded_fee(row.fee_base, row.fee_rate);
        if wrong != 0 {
            findings.add(
                "fee-equals-base-times-rate",
                &key,
                wrong,
                order.newest.of(&[Billing]),
            );
        }
        if let Some(rate) = right_rate.filter(|rate| *rate != row.fee_rate) {
            let amount = row.fee - rounded_fee(row.fee_base, rate);
            findings.add(
                "fee-rate-matches-channel",
                &key,
                amount,
                order.newest.of(&[Billing, Payment]),
            );
        }
    }
}
