//! Refunds: one full, or several partial ones in quick succession.

use super::Script;
use crate::fault::FaultKind;
use crate::key::KeyKind;
use crate::row::{Payment, Refund, Row, SettlementKind, Status};
use crate::text::SECOND;

const REASONS: [Option<&str>; 5] = [
    None,
    Some("damaged"),
    Some("七天无理由退货"),
    Some("late delivery"),
    Some("says \"too small\""),
];

impl Script<'_> {
    /// Refunds the payment, or leaves it alone.
    pub(super) fn refund_some(&mut self, payment: &Payment, paid_at: i64) {
        let needed = self.fault.is_some_and(FaultKind::needs_refund);
        let refunded = self.draw.chance(self.parameters.refund_share);
        if payment.amount == 0 || !(needed || refunded) {
            return;
        }
        let mut at = paid_at
            + if self.draw.chance(3_000) {
                self.draw.between(0, 5 * SECOND)
            } else {
                self.draw.between(5 * SECOND, self.parameters.refund_within)
            };
        for (index, amount) in self.draw_parts(payment.amount).into_iter().enumerate() {
            self.refund(at, index as u16 + 1, amount, payment);
            at += if self.draw.chance(5_000) {
                self.draw.between(100_000, 2 * SECOND)
            } else {
                self.draw.between(2 * SECOND, 60 * SECOND)
            };
        }
    }

    /// The amounts of the refunds, in fen; healthy ones are never above `paid` together.
    fn draw_parts(&mut self, paid: i64) -> Vec<i64> {
        let full = self.draw.chance(4_000);
        if self.has(FaultKind::RefundAbovePayment) {
            return vec![paid + self.draw.between(1, paid)];
        }
        if self.has(FaultKind::DuplicateRefund) {
            return vec![paid, paid];
        }
        if full {
            return vec![paid];
        }
        let count = self.draw.between(1, 4);
        (0..count)
            .map(|_| self.draw.between(1, paid / count))
            .collect()
    }

    fn refund(&mut self, start: i64, ordinal: u16, amount: i64, payment: &Payment) {
        let faulty = ordinal == 1 && self.fault.is_some_and(FaultKind::needs_refund);
        let unknown = faulty && self.has(FaultKind::RefundOfUnknownPayment);
        let created = Refund {
            refund_no: self.keys.key(KeyKind::Refund, ordinal),
            order_no: self.order_no,
            payment_no: if unknown {
                self.keys.key(KeyKind::Payment, 9)
            } else {
                payment.payment_no
            },
            merchant: self.merchant,
            amount,
            status: Status::Created,
            reason: *self.draw.pick(&REASONS),
            refunded_at: None,
            updated_at: start,
        };
        self.insert(start, Row::Refund(created));
        let processing_at = start + self.delay();
        let processing = Refund {
            status: Status::Processing,
            updated_at: processing_at,
            ..created
        };
        self.update(processing_at, Row::Refund(created), Row::Refund(processing));
        if faulty && self.has(FaultKind::StuckRefund) {
            return;
        }
        let at = processing_at + self.delay();
        let fails = self.draw.chance(self.parameters.refund_failed_share);
        if fails && !self.fault.is_some_and(FaultKind::needs_refund) {
            let failed = Refund {
                status: Status::Failed,
                updated_at: at,
                ..processing
            };
            self.update(at, Row::Refund(processing), Row::Refund(failed));
            return;
        }
        let success = Refund {
            status: Status::Success,
            refunded_at: Some(at),
            updated_at: at,
            ..processing
        };
        self.update(at, Row::Refund(processing), Row::Refund(success));
        self.after_refund(at, &success, faulty);
    }

    fn after_refund(&mut self, at: i64, refund: &Refund, faulty: bool) {
        self.announce_refund(at, refund, faulty);
        if faulty && self.has(FaultKind::ManualRefundAmount) {
            let changed_at = at + self.manual_delay();
            let changed = Refund {
                amount: refund.amount + 1_000,
                updated_at: changed_at,
                ..*refund
            };
            self.amend(changed_at, Row::Refund(*refund), Row::Refund(changed));
        }
        if !(faulty && self.has(FaultKind::LostRefund)) {
            self.settle(at, SettlementKind::Refund, -refund.amount);
        }
    }

    fn announce_refund(&mut self, at: i64, refund: &Refund, faulty: bool) {
        if faulty && self.has(FaultKind::MissingRefundEvent) {
            return;
        }
        let wrong = if faulty && self.has(FaultKind::RefundEventAmount) {
            100
        } else {
            0
        };
        let times = if faulty && self.has(FaultKind::DuplicateRefundEvent) {
            2
        } else {
            1
        };
        for _ in 0..times {
            self.publish(
                at,
                Row::RefundCompleted,
                refund.refund_no,
                self.order_no,
                refund.amount + wrong,
            );
        }
    }
}
