//! What each fault does to a copy of a healthy order.

use super::{Order, change, event};
use crate::fault::FaultKind;
use crate::key::{Key, KeyKind};
use crate::record::Record;
use crate::row::{
    Account, AccountType, Bill, Channel, Detail, Direction, Entry, Message, Payment, Row,
    Settlement, SettlementKind, Status,
};
use crate::text::SECOND;

/// Numbers of what a fault adds begin here.
const ADDED: u16 = 90;
/// How long after the fact somebody changes a row by hand.
const BY_HAND_AFTER: i64 = 60 * SECOND;
/// How long after the first time something is done again.
const AGAIN_AFTER: i64 = 5 * SECOND;

/// A fee in fen, half a fen rounded up.
fn fee(base: i64, rate: i64) -> i64 {
    (base * rate + 500_000) / 1_000_000
}

impl Order {
    /// Lets the fault befall it.
    pub(super) fn mutate(&mut self, fault: FaultKind) {
        use FaultKind::*;
        match fault {
            SettlementTimesHundred => self.scale_settlement(|amount| amount * 100),
            SettlementOffByOneCent => self.scale_settlement(|amount| amount + 1),
            EntriesInWrongUnit => self.entries(|amount| amount / 100),
            PaymentEventAmount | RefundEventAmount | SettlementEventAmount | CashOutEventAmount => {
                self.tell_otherwise(fault);
            }
            FeeOnWrongBase => self.bill(|bill| {
                bill.fee_base = bill.fee_base * 9 / 10;
                bill.fee = fee(bill.fee_base, bill.fee_rate);
            }),
            FeeRateOfOtherChannel => self.bill(|bill| {
                bill.fee_rate = if bill.fee_rate == 8_000 { 6_000 } else { 8_000 };
                bill.fee = fee(bill.fee_base, bill.fee_rate);
            }),
            FeeOffByOneCent => self.bill(|bill| bill.fee += 1),
            MissingSettlement => self.forget_settlement(SettlementKind::Payment, |_| true),
            LostRefund => self.forget_settlement(SettlementKind::Refund, |_| true),
            StuckSettlement => {
                self.forget_settlement(SettlementKind::Payment, |status| status != Status::Created);
            }
            StuckRefund => {
                self.forget_settlement(SettlementKind::Refund, |_| true);
                self.remove(|row| match row {
                    Row::Refund(row) => row.status == Status::Success,
                    Row::RefundCompleted(_) => true,
                    _ => false,
                });
            }
            StuckPayment => self
                .remove(|row| !matches!(row, Row::Payment(row) if row.status == Status::Created)),
            StuckCashOut => {
                self.remove(|row| matches!(row, Row::CashOut(row) if row.status == Status::Success))
            }
            MissingEntries => self.forget_entries(),
            MissingPaymentEvent => self.remove(|row| matches!(row, Row::PaymentCompleted(_))),
            MissingRefundEvent => self.remove(|row| matches!(row, Row::RefundCompleted(_))),
            MissingBilling => self.remove(|row| matches!(row, Row::Bill(_))),
            ClosedPaymentSettled => self.close_payment(),
            EventWithoutPayment => self.repeat(|row| match row {
                Row::PaymentCompleted(message) => Some(Row::PaymentCompleted(Message {
                    subject: message.subject.sibling(ADDED),
                    ..*message
                })),
                _ => None,
            }),
            DuplicatePayment => self.repeat(|row| match row {
                Row::Payment(row) => Some(Row::Payment(Payment {
                    payment_no: row.payment_no.sibling(ADDED),
                    ..*row
                })),
                Row::PaymentCompleted(message) => Some(Row::PaymentCompleted(Message {
                    subject: message.subject.sibling(ADDED),
                    ..*message
                })),
                _ => None,
            }),
            DuplicateSettlement => self.settle_again(),
            DuplicateEntries => self.book_again(),
            DuplicateRefund => self.repeat(|row| match row {
                Row::Refund(row) => {
                    let mut again = *row;
                    again.refund_no = row.refund_no.sibling(ADDED);
                    Some(Row::Refund(again))
                }
                Row::RefundCompleted(message) => Some(Row::RefundCompleted(Message {
                    subject: message.subject.sibling(ADDED),
                    ..*message
                })),
                _ => None,
            }),
            DuplicateRefundEvent => self.repeat(|row| match row {
                Row::RefundCompleted(_) => Some(*row),
                _ => None,
            }),
            RefundAbovePayment => self.edit(|row| match row {
                Row::Refund(row) => row.amount *= 2,
                Row::RefundCompleted(message) => message.amount *= 2,
                _ => {}
            }),
            RefundOfUnknownPayment => self.edit(|row| {
                if let Row::Refund(row) = row {
                    row.payment_no = row.payment_no.sibling(ADDED);
                }
            }),
            VoucherAccounted => self.account_voucher(),
            VoucherBilled => self.bill_voucher(),
            WrongMerchantAccount => self.payable(|entry| {
                if let Account::MerchantPayable(merchant) = entry.account {
                    entry.account = Account::MerchantPayable(merchant + 1);
                }
            }),
            WrongAccountType => self.payable(|entry| entry.account_type = AccountType::Clearing),
            WrongDirection => self.payable(|entry| entry.direction = Direction::Debit),
            OneSidedEntry => self.forget_payable(),
            ZeroPayment => self.pay_nothing(),
            CashOutAboveSettlements => self.edit(|row| match row {
                Row::CashOut(row) => row.amount += 10_000,
                Row::CashOutSent(message) => message.amount += 10_000,
                _ => {}
            }),
            ManualSettlementAmount
            | ManualPaymentAmount
            | ManualRefundAmount
            | ManualEntryAmount
            | ManualCashOutAmount => self.amend(fault),
        }
    }

    /// The number of the payment's settlement.
    fn of_payment(&self) -> Option<Key> {
        self.rows().find_map(|row| match row {
            Row::Settlement(row) if row.kind == SettlementKind::Payment => Some(row.settlement_no),
            _ => None,
        })
    }

    /// The merchant's entry of the payment's settlement.
    fn payable_of_payment(&self) -> Option<Key> {
        let settlement = self.of_payment();
        self.rows().find_map(|row| match row {
            Row::Entry(row) if Some(row.settlement_no) == settlement => {
                (row.account_type == AccountType::MerchantPayable).then_some(row.entry_no)
            }
            _ => None,
        })
    }

    fn scale_settlement(&mut self, scale: impl Fn(i64) -> i64) {
        let settlement = self.of_payment();
        self.edit(|row| match row {
            Row::Settlement(row) if Some(row.settlement_no) == settlement => {
                row.amount = scale(row.amount);
            }
            Row::SettlementCompleted(message) if Some(message.subject) == settlement => {
                message.amount = scale(message.amount);
            }
            _ => {}
        });
        self.entries(scale);
    }

    /// Changes what accounting booked for the payment's settlement, and told of it.
    fn entries(&mut self, scale: impl Fn(i64) -> i64) {
        let settlement = self.of_payment();
        self.edit(|row| match row {
            Row::Entry(row) if Some(row.settlement_no) == settlement => {
                row.amount = scale(row.amount);
            }
            Row::EntryBooked(message) if message.context == settlement => {
                message.amount = scale(message.amount);
            }
            _ => {}
        });
    }

    fn tell_otherwise(&mut self, fault: FaultKind) {
        let settlement = self.of_payment();
        self.edit(|row| match (row, fault) {
            (Row::PaymentCompleted(message), FaultKind::PaymentEventAmount)
            | (Row::RefundCompleted(message), FaultKind::RefundEventAmount)
            | (Row::CashOutSent(message), FaultKind::CashOutEventAmount) => message.amount += 100,
            (Row::SettlementCompleted(message), FaultKind::SettlementEventAmount)
                if Some(message.subject) == settlement =>
            {
                message.amount += 100;
            }
            _ => {}
        });
    }

    fn bill(&mut self, edit: impl Fn(&mut Bill)) {
        self.edit(|row| {
            if let Row::Bill(row) = row {
                edit(row);
            }
        });
    }

    /// The settlement never got into these states, and nothing followed.
    fn forget_settlement(&mut self, kind: SettlementKind, gone: impl Fn(Status) -> bool) {
        let of_kind: Vec<Key> = self
            .settlements()
            .iter()
            .filter(|row| row.kind == kind)
            .map(|row| row.settlement_no)
            .collect();
        self.remove(|row| match row {
            Row::Settlement(row) => row.kind == kind && gone(row.status),
            Row::SettlementCompleted(message) => of_kind.contains(&message.subject),
            Row::Entry(row) => of_kind.contains(&row.settlement_no),
            Row::EntryBooked(message) => message.context.is_some_and(|key| of_kind.contains(&key)),
            _ => false,
        });
    }

    fn forget_entries(&mut self) {
        let settlement = self.of_payment();
        self.remove(|row| match row {
            Row::Entry(row) => Some(row.settlement_no) == settlement,
            Row::EntryBooked(message) => message.context == settlement,
            _ => false,
        });
    }

    fn forget_payable(&mut self) {
        let entry = self.payable_of_payment();
        self.remove(|row| match row {
            Row::Entry(row) => Some(row.entry_no) == entry,
            Row::EntryBooked(message) => Some(message.subject) == entry,
            _ => false,
        });
    }

    fn payable(&mut self, edit: impl Fn(&mut Entry)) {
        let entry = self.payable_of_payment();
        self.edit(|row| match row {
            Row::Entry(row) if Some(row.entry_no) == entry => edit(row),
            _ => {}
        });
    }

    /// It is closed where it was paid, and settled all the same.
    fn close_payment(&mut self) {
        self.remove(|row| matches!(row, Row::PaymentCompleted(_) | Row::Bill(_)));
        self.edit(|row| match row {
            Row::Payment(row) if row.status == Status::Paid => {
                row.status = Status::Closed;
                row.paid_at = None;
            }
            _ => {}
        });
    }

    fn pay_nothing(&mut self) {
        self.scale_settlement(|_| 0);
        self.edit(|row| match row {
            Row::Payment(row) => row.amount = 0,
            Row::PaymentCompleted(message) => message.amount = 0,
            Row::Bill(row) => (row.fee_base, row.fee) = (0, 0),
            _ => {}
        });
    }

    /// Does again what `again` says of a row, some seconds later; messages get an id of their own.
    fn repeat(&mut self, again: impl Fn(&Row) -> Option<Row>) {
        let mut messages = ADDED;
        let mut added = Vec::new();
        for record in &self.records {
            let Some(mut row) = record.row().and_then(&again) else {
                continue;
            };
            let at = record.committed_at() + AGAIN_AFTER;
            if let Row::PaymentCompleted(message)
            | Row::RefundCompleted(message)
            | Row::SettlementCompleted(message)
            | Row::EntryBooked(message) = &mut row
            {
                message.message_id = message.message_id.sibling(messages);
                messages += 1;
                added.push(event(at, row));
            } else if let Record::Change(known) = record {
                let before = known.before.as_ref().and_then(&again);
                added.push(change(at, before, row, false));
            }
        }
        self.records.append(&mut added);
    }

    fn book_again(&mut self) {
        let settlement = self.of_payment();
        self.repeat(|row| match row {
            Row::Entry(row) if Some(row.settlement_no) == settlement => {
                let entry_no = added(row.entry_no);
                Some(Row::Entry(Entry { entry_no, ..*row }))
            }
            Row::EntryBooked(message) if message.context == settlement => {
                let subject = added(message.subject);
                Some(Row::EntryBooked(Message {
                    subject,
                    ..*message
                }))
            }
            _ => None,
        });
    }

    /// Settles the payment again, with entries; no cash-out takes it.
    fn settle_again(&mut self) {
        let settlement = self.of_payment();
        let is = |key: Key| Some(key) == settlement;
        self.repeat(|row| match row {
            Row::Settlement(row) if is(row.settlement_no) && row.cash_out_no.is_none() => {
                let settlement_no = row.settlement_no.sibling(ADDED);
                Some(Row::Settlement(Settlement {
                    settlement_no,
                    ..*row
                }))
            }
            Row::SettlementCompleted(message) if is(message.subject) => {
                let subject = message.subject.sibling(ADDED);
                Some(Row::SettlementCompleted(Message {
                    subject,
                    ..*message
                }))
            }
            Row::Entry(row) if is(row.settlement_no) => Some(Row::Entry(Entry {
                entry_no: added(row.entry_no),
                settlement_no: row.settlement_no.sibling(ADDED),
                ..*row
            })),
            Row::EntryBooked(message) if message.context.is_some_and(is) => {
                Some(Row::EntryBooked(Message {
                    subject: added(message.subject),
                    context: message.context.map(|key| key.sibling(ADDED)),
                    ..*message
                }))
            }
            _ => None,
        });
    }

    /// The settlement of the payment as it was settled, and when.
    fn settled(&self) -> Option<(i64, Settlement)> {
        self.records.iter().find_map(|record| match record.row()? {
            Row::Settlement(row)
                if row.kind == SettlementKind::Payment && row.status == Status::Settled =>
            {
                Some((record.committed_at(), *row))
            }
            _ => None,
        })
    }

    fn account_voucher(&mut self) {
        let Some((at, settlement)) = self.settled() else {
            return;
        };
        let at = at + SECOND;
        let sides = [
            (
                Account::Clearing(Channel::Voucher),
                AccountType::Clearing,
                Direction::Debit,
            ),
            (
                Account::MerchantPayable(settlement.merchant),
                AccountType::MerchantPayable,
                Direction::Credit,
            ),
        ];
        for (ordinal, (account, account_type, direction)) in (ADDED..).zip(sides) {
            let entry = Entry {
                entry_no: settlement.settlement_no.other(KeyKind::Entry, ordinal),
                settlement_no: settlement.settlement_no,
                account,
                account_type,
                direction,
                amount: settlement.amount,
                status: Status::Booked,
                booked_at: at,
                updated_at: at,
            };
            self.records
                .push(change(at, None, Row::Entry(entry), false));
            let message = Message {
                message_id: settlement.settlement_no.other(KeyKind::Message, ordinal),
                subject: entry.entry_no,
                context: Some(settlement.settlement_no),
                amount: entry.amount,
                detail: Detail::None,
                published_at: at,
            };
            self.records.push(event(at, Row::EntryBooked(message)));
        }
    }

    fn bill_voucher(&mut self) {
        let paid = self.records.iter().find_map(|record| match record.row()? {
            Row::Payment(row) if row.status == Status::Paid => Some((record.committed_at(), *row)),
            _ => None,
        });
        let Some((at, payment)) = paid else { return };
        let at = at + SECOND;
        let bill = Bill {
            bill_no: payment.payment_no.other(KeyKind::Bill, 1),
            order_no: payment.order_no,
            merchant: payment.merchant,
            fee_base: payment.amount,
            fee_rate: 6_000,
            fee: fee(payment.amount, 6_000),
            status: Status::Billed,
            updated_at: at,
        };
        self.records.push(change(at, None, Row::Bill(bill), false));
    }

    /// Somebody adds ten yuan to a row by hand, once it is as it ends.
    fn amend(&mut self, fault: FaultKind) {
        if fault == FaultKind::ManualSettlementAmount {
            // A cash-out would take what is there then; this change comes after it.
            self.edit(|row| {
                if let Row::Settlement(row) = row {
                    row.cash_out_no = None;
                }
            });
        }
        let (settlement, entry) = (self.of_payment(), self.payable_of_payment());
        let last = self.records.iter().rev().find_map(|record| {
            let row = record.row()?;
            let wanted = match (row, fault) {
                (Row::Settlement(row), FaultKind::ManualSettlementAmount) => {
                    Some(row.settlement_no) == settlement
                }
                (Row::Payment(_), FaultKind::ManualPaymentAmount)
                | (Row::Refund(_), FaultKind::ManualRefundAmount)
                | (Row::CashOut(_), FaultKind::ManualCashOutAmount) => true,
                (Row::Entry(row), FaultKind::ManualEntryAmount) => Some(row.entry_no) == entry,
                _ => false,
            };
            wanted.then(|| (record.committed_at(), *row))
        });
        let Some((at, before)) = last else { return };
        let at = at + BY_HAND_AFTER;
        let mut after = before;
        let (amount, updated_at) = match &mut after {
            Row::Settlement(row) => (&mut row.amount, &mut row.updated_at),
            Row::Payment(row) => (&mut row.amount, &mut row.updated_at),
            Row::Refund(row) => (&mut row.amount, &mut row.updated_at),
            Row::CashOut(row) => (&mut row.amount, &mut row.updated_at),
            Row::Entry(row) => (&mut row.amount, &mut row.updated_at),
            _ => return,
        };
        *amount += 1_000;
        *updated_at = at;
        self.records.push(change(at, Some(before), after, true));
    }
}

/// The number of what is done again.
fn added(key: Key) -> Key {
    key.sibling(ADDED + key.ordinal())
}
