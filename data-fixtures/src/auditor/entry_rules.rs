//! Rules about accounting entries.

use std::collections::BTreeMap;

use crate::auditor::Findings;
use crate::auditor::ledger::{Booked, Order};
use crate::row::{AccountType, Direction, Entry, Row, Settlement, SettlementKind, Status};
use crate::table::Table::{AccountingEntry, Payment, Settlement as SettlementTable};

pub(super) fn check(order: &Order, findings: &mut Findings) {
    for settlement in order.rows.settlements.values() {
        let booked = order.booked.get(&settlement.settlement_no);
        let entries: Vec<&Entry> = booked.map(|booked| live(booked)).unwrap_or_default();
        let is_settled = settlement.status == Status::Settled;
        if entries.is_empty() {
            if is_settled && order.is_electronic() {
                let anchor = order
                    .newest
                    .of(&[Payment, SettlementTable, AccountingEntry]);
                let key = [settlement.settlement_no.text()];
                findings.add(
                    "settlement-is-accounted",
                    &key,
                    settlement.amount.abs(),
                    anchor,
                );
            }
            continue;
        }
        sums(order, settlement, &entries, findings);
        repetition(order, settlement, &entries, findings);
        for entry in entries {
            account(order, settlement, entry, findings);
            direction(order, settlement, entry, findings);
        }
    }
}

fn live(booked: &Booked) -> Vec<&Entry> {
    booked
        .entries
        .values()
        .filter(|row| row.status == Status::Booked)
        .collect()
}

fn sums(order: &Order, settlement: &Settlement, entries: &[&Entry], findings: &mut Findings) {
    let side = |wanted| {
        entries
            .iter()
            .filter(|row| row.direction == wanted)
            .map(|row| row.amount)
            .sum::<i64>()
    };
    let (debit, credit) = (side(Direction::Debit), side(Direction::Credit));
    let key = [settlement.settlement_no.text()];
    let anchor = order.newest.of(&[SettlementTable, AccountingEntry]);
    if debit != credit {
        findings.add("settlement-entries-balance", &key, debit - credit, anchor);
    }
    let amount = settlement.amount.abs();
    if settlement.status == Status::Settled && debit != amount {
        findings.add("settlement-entries-add-up", &key, debit - amount, anchor);
    }
}

fn repetition(order: &Order, settlement: &Settlement, entries: &[&Entry], findings: &mut Findings) {
    let mut alike: BTreeMap<(String, Direction), Vec<i64>> = BTreeMap::new();
    for entry in entries {
        alike
            .entry((entry.account.text(), entry.direction))
            .or_default()
            .push(entry.amount);
    }
    for ((account_no, direction), amounts) in alike {
        if amounts.len() > 1 {
            let key = [
                settlement.settlement_no.text(),
                account_no,
                direction.text().to_owned(),
            ];
            let again = amounts.iter().sum::<i64>() - amounts.iter().max().copied().unwrap_or(0);
            findings.add(
                "entry-booked-once",
                &key,
                again,
                order.newest.of(&[SettlementTable, AccountingEntry]),
            );
        }
    }
}

fn account(order: &Order, settlement: &Settlement, entry: &Entry, findings: &mut Findings) {
    let right = match entry.account_type {
        AccountType::MerchantPayable => Row::Settlement(*settlement)
            .text("merchant_no")
            .map(|merchant| format!("MP-{merchant}")),
        AccountType::Clearing => order
            .paid()
            .map(|row| row.channel.text())
            .min()
            .map(|channel| format!("CLR-{channel}")),
    };
    if right.is_some_and(|right| right != entry.account.text()) {
        let anchor = order
            .newest
            .of(&[Payment, SettlementTable, AccountingEntry]);
        findings.add(
            "entry-account-is-right",
            &[entry.entry_no.text()],
            entry.amount,
            anchor,
        );
    }
}

fn direction(order: &Order, settlement: &Settlement, entry: &Entry, findings: &mut Findings) {
    let right = match (settlement.kind, entry.account_type) {
        (SettlementKind::Payment, AccountType::Clearing) => Direction::Debit,
        (SettlementKind::Payment, AccountType::MerchantPayable) => Direction::Credit,
        (SettlementKind::Refund, AccountType::Clearing) => Direction::Credit,
        (SettlementKind::Refund, AccountType::MerchantPayable) => Direction::Debit,
    };
    if entry.direction != right {
        let anchor = order.newest.of(&[SettlementTable, AccountingEntry]);
        findings.add(
            "entry-direction-is-right",
            &[entry.entry_no.text()],
            entry.amount,
            anchor,
        );
    }
}
