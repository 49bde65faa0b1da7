//! Payment and fee.

use super::Script;
use crate::fault::FaultKind;
use crate::key::KeyKind;
use crate::row::{Bill, Channel, Detail, Message, Payment, Row, Status};
use crate::text::SECOND;

/// The fee rate of a channel in millionths; channels without fees have none.
fn fee_rate(channel: Channel) -> Option<i64> {
    match channel {
        Channel::Wx => Some(6_000),
        Channel::Ali => Some(5_500),
        Channel::Card => Some(8_000),
        Channel::Voucher | Channel::Cash => None,
    }
}

/// A fee in fen, half a fen rounded up. `base` is not negative.
fn fee(base: i64, rate: i64) -> i64 {
    (base * rate + 500_000) / 1_000_000
}

impl Script<'_> {
    /// Creates a payment and lets it be paid or closed; the row as it ends.
    pub(super) fn pay(&mut self, start: i64, ordinal: u16, amount: i64) -> Payment {
        let card = (self.channel == Channel::Card).then(|| self.draw.below(1_000_000_000_000));
        let created = Payment {
            payment_no: self.keys.key(KeyKind::Payment, ordinal),
            order_no: self.order_no,
            merchant: self.merchant,
            channel: self.channel,
            amount,
            status: Status::Created,
            payer_account: self.draw.below(10_000_000_000),
            card_no: card,
            paid_at: None,
            updated_at: start,
        };
        self.insert(start, Row::Payment(created));
        if self.has(FaultKind::StuckPayment) {
            return created;
        }
        let closed = self.draw.chance(self.parameters.closed_share);
        if self.has(FaultKind::ClosedPaymentSettled) || (closed && self.fault.is_none()) {
            return self.close(created);
        }
        let paid_at = start + self.draw.between(SECOND, 8 * SECOND);
        let paid = Payment {
            status: Status::Paid,
            paid_at: Some(paid_at),
            updated_at: paid_at,
            ..created
        };
        self.update(paid_at, Row::Payment(created), Row::Payment(paid));
        self.announce_payment(&paid, paid_at);
        if self.has(FaultKind::ManualPaymentAmount) {
            let at = paid_at + self.manual_delay();
            let changed = Payment {
                amount: amount + 1_000,
                updated_at: at,
                ..paid
            };
            self.amend(at, Row::Payment(paid), Row::Payment(changed));
        }
        paid
    }

    fn close(&mut self, created: Payment) -> Payment {
        let at = created.updated_at + self.draw.between(20 * SECOND, 120 * SECOND);
        let closed = Payment {
            status: Status::Closed,
            updated_at: at,
            ..created
        };
        self.update(at, Row::Payment(created), Row::Payment(closed));
        closed
    }

    fn announce_payment(&mut self, payment: &Payment, paid_at: i64) {
        let detail = Detail::Channel(payment.channel);
        let event = move |message| Row::PaymentCompleted(Message { detail, ..message });
        if self.has(FaultKind::EventWithoutPayment) {
            let unknown = self.keys.key(KeyKind::Payment, 9);
            self.publish(paid_at, event, unknown, self.order_no, payment.amount);
        }
        if self.has(FaultKind::MissingPaymentEvent) {
            return;
        }
        let wrong = if self.has(FaultKind::PaymentEventAmount) {
            100
        } else {
            0
        };
        self.publish(
            paid_at,
            event,
            payment.payment_no,
            self.order_no,
            payment.amount + wrong,
        );
    }

    /// Bills the fee of a paid payment.
    pub(super) fn bill(&mut self, payment: &Payment, paid_at: i64) {
        let rate = match fee_rate(payment.channel) {
            _ if self.has(FaultKind::MissingBilling) => return,
            Some(_) if self.has(FaultKind::FeeRateOfOtherChannel) => {
                if payment.channel == Channel::Card {
                    6_000
                } else {
                    8_000
                }
            }
            Some(rate) => rate,
            None if self.has(FaultKind::VoucherBilled) => 6_000,
            None => return,
        };
        let base = if self.has(FaultKind::FeeOnWrongBase) {
            payment.amount * 9 / 10
        } else {
            payment.amount
        };
        let wrong = i64::from(self.has(FaultKind::FeeOffByOneCent));
        let at = paid_at + self.delay();
        self.insert(
            at,
            Row::Bill(Bill {
                bill_no: self.keys.key(KeyKind::Bill, 1),
                order_no: self.order_no,
                merchant: self.merchant,
                fee_base: base,
                fee_rate: rate,
                fee: fee(base, rate) + wrong,
                status: Status::Billed,
                updated_at: at,
            }),
        );
    }
}
