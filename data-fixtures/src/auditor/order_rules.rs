//! Rules about the sums of one order.

use crate::auditor::Findings;
use crate::auditor::ledger::Order;
use crate::row::{AccountType, Channel, Direction, SettlementKind};
use crate::table::Table::{AccountingEntry, Billing, Payment, Refund, Settlement};

pub(super) fn check(order: &Order, findings: &mut Findings) {
    settlement(order, findings);
    refund(order, findings);
    repetition(order, findings);
    billing(order, findings);
    accounting(order, findings);
}

fn sum_and_max(amounts: impl Iterator<Item = i64>) -> (usize, i64, i64) {
    amounts.fold((0, 0, i64::MIN), |(count, sum, max), amount| {
        (count + 1, sum + amount, max.max(amount))
    })
}

fn settlement(order: &Order, findings: &mut Findings) {
    let has_payment = order.paid().next().is_some();
    let of_payment = order
        .settled()
        .any(|row| row.kind == SettlementKind::Payment);
    let settled: i64 = order.settled().map(|row| row.amount).sum();
    let difference = order.paid_sum() - order.refunded_sum() - settled;
    findings.add_if(
        has_payment && of_payment && difference != 0,
        "settled-equals-paid-minus-refunded",
        difference,
        order.newest.of(&[Payment, Refund, Settlement]),
    );
    findings.add_if(
        has_payment && !of_payment,
        "paid-order-is-settled",
        order.paid_sum(),
        order.newest.of(&[Payment, Settlement]),
    );
    findings.add_if(
        !has_payment && order.settled().next().is_some(),
        "settlement-has-payment",
        settled,
        order.newest.of(&[Payment, Settlement]),
    );
}

fn refund(order: &Order, findings: &mut Findings) {
    let above = order.refunded_sum() - order.paid_sum();
    findings.add_if(
        above > 0,
        "refunded-not-above-paid",
        above,
        order.newest.of(&[Payment, Refund]),
    );
    let back: i64 = order
        .settled()
        .filter(|row| row.kind == SettlementKind::Refund)
        .map(|row| row.amount)
        .sum();
    let open = order.refunded_sum() + back;
    findings.add_if(
        order.refunded().next().is_some() && open != 0,
        "refund-is-settled-back",
        open,
        order.newest.of(&[Refund, Settlement]),
    );
}

fn repetition(order: &Order, findings: &mut Findings) {
    let (count, sum, max) = sum_and_max(order.paid().map(|row| row.amount));
    findings.add_if(
        count > 1,
        "order-paid-once",
        sum.saturating_sub(max),
        order.newest.of(&[Payment]),
    );
    let of_payment = order
        .settled()
        .filter(|row| row.kind == SettlementKind::Payment);
    let (count, sum, max) = sum_and_max(of_payment.map(|row| row.amount));
    findings.add_if(
        count > 1,
        "settlement-settled-once",
        sum.saturating_sub(max),
        order.newest.of(&[Settlement]),
    );
}

fn billing(order: &Order, findings: &mut Findings) {
    let has_bill = order.billed().next().is_some();
    let anchor = order.newest.of(&[Payment, Billing]);
    let electronic: i64 = order
        .paid()
        .filter(|row| row.channel.is_electronic())
        .map(|row| row.amount)
        .sum();
    let base: i64 = order.billed().map(|row| row.fee_base).sum();
    findings.add_if(
        has_bill && order.paid().next().is_some() && base != electronic,
        "fee-base-equals-paid",
        base - electronic,
        anchor,
    );
    findings.add_if(
        order.is_electronic() && !has_bill,
        "paid-order-is-billed",
        electronic,
        anchor,
    );
    findings.add_if(
        paid_without_money(order) && has_bill,
        "voucher-and-cash-are-not-billed",
        order.billed().map(|row| row.fee).sum(),
        anchor,
    );
}

fn paid_without_money(order: &Order) -> bool {
    order
        .paid()
        .any(|row| matches!(row.channel, Channel::Voucher | Channel::Cash))
}

fn accounting(order: &Order, findings: &mut Findings) {
    if order.entries().next().is_none() {
        return;
    }
    findings.add_if(
        paid_without_money(order),
        "voucher-and-cash-are-not-accounted",
        order.entries().map(|row| row.amount).sum(),
        order.newest.of(&[Payment, Settlement, AccountingEntry]),
    );
    let cleared: i64 = order
        .entries()
        .filter(|row| row.account_type == AccountType::Clearing)
        .map(|row| {
            if row.direction == Direction::Debit {
                row.amount
            } else {
                -row.amount
            }
        })
        .sum();
    let difference = cleared - (order.paid_sum() - order.refunded_sum());
    findings.add_if(
        order.is_electronic() && difference != 0,
        "accounting-adds-up-to-payment",
        difference,
        order
            .newest
            .of(&[Payment, Refund, Settlement, AccountingEntry]),
    );
}
