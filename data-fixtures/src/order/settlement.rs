//! Settlement of payments and refunds.

use super::Script;
use crate::fault::FaultKind;
use crate::key::KeyKind;
use crate::row::{Row, Settlement, SettlementKind, Status};

impl Script<'_> {
    /// Settles a payment that was committed at `cause`.
    pub(super) fn settle_payment(&mut self, cause: i64, amount: i64) {
        let amount = if self.has(FaultKind::SettlementTimesHundred) {
            amount * 100
        } else if self.has(FaultKind::SettlementOffByOneCent) {
            amount + if self.draw.chance(5_000) { 1 } else { -1 }
        } else {
            amount
        };
        self.settle(cause, SettlementKind::Payment, amount);
    }

    /// Settles `amount` fen and books it; now and then so fast that the entries overtake the settlement.
    pub(super) fn settle(&mut self, cause: i64, kind: SettlementKind, amount: i64) {
        self.settlements += 1;
        let quick = self.draw.chance(1_000);
        let created_at = cause + self.delay();
        let created = Settlement {
            settlement_no: self.keys.key(KeyKind::Settlement, self.settlements),
            order_no: self.order_no,
            merchant: self.merchant,
            kind,
            amount,
            status: Status::Created,
            cash_out_no: None,
            settled_at: None,
            updated_at: created_at,
        };
        self.insert(created_at, Row::Settlement(created));
        let of_payment = kind == SettlementKind::Payment;
        if of_payment && self.has(FaultKind::StuckSettlement) {
            return;
        }
        let settled_at = created_at + self.quick_or_delay(quick);
        let settled = Settlement {
            status: Status::Settled,
            settled_at: Some(settled_at),
            updated_at: settled_at,
            ..created
        };
        self.update(
            settled_at,
            Row::Settlement(created),
            Row::Settlement(settled),
        );
        let wrong = if of_payment && self.has(FaultKind::SettlementEventAmount) {
            100
        } else {
            0
        };
        self.publish(
            settled_at,
            Row::SettlementCompleted,
            settled.settlement_no,
            self.order_no,
            amount + wrong,
        );
        self.release(settled_at, settled);
        let booked_at = settled_at + self.quick_or_delay(quick);
        self.book(booked_at, &settled);
    }

    fn quick_or_delay(&mut self, quick: bool) -> i64 {
        if quick {
            self.draw.between(1_000, 20_000)
        } else {
            self.delay()
        }
    }

    /// Lets the row wait for a cash-out from its last change on, which may be one by hand.
    fn release(&mut self, settled_at: i64, settled: Settlement) {
        let mut row = settled;
        if settled.kind == SettlementKind::Payment && self.has(FaultKind::ManualSettlementAmount) {
            let at = settled_at + self.manual_delay();
            row = Settlement {
                amount: settled.amount + 1_000,
                updated_at: at,
                ..settled
            };
            self.amend(at, Row::Settlement(settled), Row::Settlement(row));
        }
        let change = Row::Settlement(row);
        // The event was planned after the settlement's own update, so look for the change itself.
        if let Some(step) = self
            .steps
            .iter_mut()
            .rev()
            .find(|step| step.changes[0].after == change)
        {
            step.pools = true;
        }
    }
}
