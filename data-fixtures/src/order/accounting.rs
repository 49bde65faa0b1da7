//! Double entries.

use super::{PlannedChange, Script};
use crate::fault::FaultKind;
use crate::key::KeyKind;
use crate::row::{Account, AccountType, Direction, Entry, Row, Settlement, SettlementKind, Status};

impl Script<'_> {
    /// Books a settled row: two entries in one transaction.
    pub(super) fn book(&mut self, at: i64, settlement: &Settlement) {
        let booked = self.channel.is_electronic() || self.has(FaultKind::VoucherAccounted);
        if !booked || self.strikes(FaultKind::MissingEntries, settlement) {
            return;
        }
        self.book_once(at, settlement);
        if self.strikes(FaultKind::DuplicateEntries, settlement) {
            let again = at + self.delay();
            self.book_once(again, settlement);
        }
    }

    /// Whether a fault of accounting befalls this settlement: those befall the payment's, not a refund's.
    fn strikes(&self, fault: FaultKind, settlement: &Settlement) -> bool {
        self.has(fault) && settlement.kind == SettlementKind::Payment
    }

    fn book_once(&mut self, at: i64, settlement: &Settlement) {
        let clearing = self.clearing_entry(at, settlement);
        let payable = self.payable_entry(at, settlement, &clearing);
        let mut entries = vec![clearing];
        if !self.strikes(FaultKind::OneSidedEntry, settlement) {
            entries.push(payable);
        }
        let insert = |entry: &Entry| PlannedChange {
            before: None,
            after: Row::Entry(*entry),
            closes: false,
            by_hand: false,
        };
        self.commit(at, entries.iter().map(insert).collect());
        for entry in &entries {
            self.publish(
                at,
                Row::EntryBooked,
                entry.entry_no,
                settlement.settlement_no,
                entry.amount,
            );
        }
        if self.strikes(FaultKind::ManualEntryAmount, settlement) {
            let changed_at = at + self.manual_delay();
            let changed = Entry {
                amount: payable.amount + 1_000,
                updated_at: changed_at,
                ..payable
            };
            self.amend(changed_at, Row::Entry(payable), Row::Entry(changed));
        }
    }

    fn clearing_entry(&mut self, at: i64, settlement: &Settlement) -> Entry {
        self.entries += 2;
        let amount = settlement.amount.abs();
        let direction = match settlement.kind {
            SettlementKind::Payment => Direction::Debit,
            SettlementKind::Refund => Direction::Credit,
        };
        Entry {
            entry_no: self.keys.key(KeyKind::Entry, self.entries - 1),
            settlement_no: settlement.settlement_no,
            account: Account::Clearing(self.channel),
            account_type: AccountType::Clearing,
            direction,
            amount: if self.strikes(FaultKind::EntriesInWrongUnit, settlement) {
                amount / 100
            } else {
                amount
            },
            status: Status::Booked,
            booked_at: at,
            updated_at: at,
        }
    }

    fn payable_entry(&self, at: i64, settlement: &Settlement, clearing: &Entry) -> Entry {
        let other_side = match clearing.direction {
            Direction::Debit => Direction::Credit,
            Direction::Credit => Direction::Debit,
        };
        let same_side = self.strikes(FaultKind::WrongDirection, settlement);
        let wrong_merchant = self.strikes(FaultKind::WrongMerchantAccount, settlement);
        let wrong_type = self.strikes(FaultKind::WrongAccountType, settlement);
        Entry {
            entry_no: self.keys.key(KeyKind::Entry, self.entries),
            account: Account::MerchantPayable(settlement.merchant + u32::from(wrong_merchant)),
            account_type: if wrong_type {
                AccountType::Clearing
            } else {
                AccountType::MerchantPayable
            },
            direction: if same_side {
                clearing.direction
            } else {
                other_side
            },
            booked_at: at,
            ..*clearing
        }
    }
}
