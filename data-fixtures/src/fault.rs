//! The faults that the simulator can plant, and the rules that see them.

/// The five ways to lose money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossClass {
    /// The input was right, the output was wrong.
    WrongOutput,
    /// Upstream and downstream disagree.
    Disagreement,
    /// Something was done more than once.
    Repetition,
    /// A logic error inside one system.
    Logic,
    /// A manual fix made a new loss.
    ManualChange,
}

impl LossClass {
    /// The name in `truth.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            LossClass::WrongOutput => "wrong-output",
            LossClass::Disagreement => "disagreement",
            LossClass::Repetition => "repetition",
            LossClass::Logic => "logic",
            LossClass::ManualChange => "manual-change",
        }
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident $name:literal $class:ident [$($rule:literal),+];)+) => {
        /// One way to go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[$doc])* $variant),+ }

        impl FaultKind {
            /// All faults.
            pub const ALL: &[FaultKind] = &[$(FaultKind::$variant),+];

            /// The name in `truth.jsonl` and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(FaultKind::$variant => $name),+ }
            }

            /// The kind of loss it makes.
            pub fn loss_class(self) -> LossClass {
                match self { $(FaultKind::$variant => LossClass::$class),+ }
            }

            /// The rules that always see it. Others may too; the truth lists them all.
            pub fn rules(self) -> &'static [&'static str] {
                match self { $(FaultKind::$variant => &[$($rule),+]),+ }
            }
        }
    };
}

faults! {
    /// The settlement took yuan for fen: its amount and its entries are 100 times too large.
    SettlementTimesHundred "settlement-times-hundred" WrongOutput
        ["settled-equals-paid-minus-refunded", "accounting-adds-up-to-payment"];
    /// The settlement is one fen too high or too low, and its entries with it.
    SettlementOffByOneCent "settlement-off-by-one-cent" WrongOutput
        ["settled-equals-paid-minus-refunded", "accounting-adds-up-to-payment"];
    /// Accounting took fen for yuan: both entries are a hundredth of the settlement.
    EntriesInWrongUnit "entries-in-wrong-unit" WrongOutput
        ["settlement-entries-add-up", "accounting-adds-up-to-payment"];
    /// The payment event names another amount than the payment.
    PaymentEventAmount "payment-event-amount" WrongOutput ["payment-event-matches-row"];
    /// The refund event names another amount than the refund.
    RefundEventAmount "refund-event-amount" WrongOutput ["refund-event-matches-row"];
    /// The settlement event names another amount than the settlement.
    SettlementEventAmount "settlement-event-amount" WrongOutput ["settlement-event-matches-row"];
    /// The fee was computed on nine tenths of the payment.
    FeeOnWrongBase "fee-on-wrong-base" WrongOutput ["fee-base-equals-paid"];
    /// The fee has another channel's rate.
    FeeRateOfOtherChannel "fee-rate-of-other-channel" WrongOutput ["fee-rate-matches-channel"];

    /// The payment was never settled.
    MissingSettlement "missing-settlement" Disagreement ["paid-order-is-settled"];
    /// The settlement stays CREATED.
    StuckSettlement "stuck-settlement" Disagreement
        ["settlement-reaches-final-state", "paid-order-is-settled"];
    /// The refund stays PROCESSING.
    StuckRefund "stuck-refund" Disagreement ["refund-reaches-final-state"];
    /// The payment stays CREATED.
    StuckPayment "stuck-payment" Disagreement ["payment-reaches-final-state"];
    /// The refund succeeded and was never settled back.
    LostRefund "lost-refund" Disagreement
        ["refund-is-settled-back", "settled-equals-paid-minus-refunded", "accounting-adds-up-to-payment"];
    /// The settlement never reached accounting.
    MissingEntries "missing-entries" Disagreement ["settlement-is-accounted"];
    /// The payment became PAID and no event says so.
    MissingPaymentEvent "missing-payment-event" Disagreement ["paid-row-has-event"];
    /// The refund succeeded and no event says so.
    MissingRefundEvent "missing-refund-event" Disagreement ["refund-row-has-event"];
    /// An event tells of a payment that does not exist.
    EventWithoutPayment "event-without-payment" Disagreement ["payment-event-has-row"];
    /// The payment was never billed.
    MissingBilling "missing-billing" Disagreement ["paid-order-is-billed"];
    /// A payment that was closed is settled all the same.
    ClosedPaymentSettled "closed-payment-settled" Disagreement ["settlement-has-payment"];
    /// The cash-out stays SENT.
    StuckCashOut "stuck-cash-out" Disagreement ["cash-out-reaches-final-state"];

    /// The order was paid twice; only one payment went on.
    DuplicatePayment "duplicate-payment" Repetition
        ["order-paid-once", "settled-equals-paid-minus-refunded", "fee-base-equals-paid", "accounting-adds-up-to-payment"];
    /// The payment was settled twice, with entries each time.
    DuplicateSettlement "duplicate-settlement" Repetition
        ["settlement-settled-once", "settled-equals-paid-minus-refunded", "accounting-adds-up-to-payment"];
    /// Both entries of the settlement were booked twice.
    DuplicateEntries "duplicate-entries" Repetition
        ["entry-booked-once", "settlement-entries-add-up", "accounting-adds-up-to-payment"];
    /// The whole payment was refunded twice.
    DuplicateRefund "duplicate-refund" Repetition ["refunded-not-above-paid"];
    /// Two messages tell of one refund.
    DuplicateRefundEvent "duplicate-refund-event" Repetition ["refund-completed-once"];

    /// More was refunded than paid.
    RefundAbovePayment "refund-above-payment" Logic ["refunded-not-above-paid"];
    /// A voucher payment reached accounting.
    VoucherAccounted "voucher-accounted" Logic ["voucher-and-cash-are-not-accounted"];
    /// A voucher payment was charged a fee.
    VoucherBilled "voucher-billed" Logic ["voucher-and-cash-are-not-billed"];
    /// The entry went to another merchant's account.
    WrongMerchantAccount "wrong-merchant-account" Logic ["entry-account-is-right"];
    /// The merchant's entry was typed as a clearing entry.
    WrongAccountType "wrong-account-type" Logic
        ["entry-account-is-right", "entry-direction-is-right", "accounting-adds-up-to-payment"];
    /// Both entries are on the same side.
    WrongDirection "wrong-direction" Logic
        ["entry-direction-is-right", "settlement-entries-balance", "settlement-entries-add-up"];
    /// The merchant's side of the double entry was never booked.
    OneSidedEntry "one-sided-entry" Logic ["settlement-entries-balance"];
    /// The fee is one fen too high: rounded wrongly.
    FeeOffByOneCent "fee-off-by-one-cent" Logic ["fee-equals-base-times-rate"];
    /// The refund names a payment that the order does not have.
    RefundOfUnknownPayment "refund-of-unknown-payment" Logic ["refund-belongs-to-paid-payment"];
    /// A payment of nothing went through.
    ZeroPayment "zero-payment" Logic ["payment-amount-is-positive"];
    /// The cash-out is larger than the settlements in it.
    CashOutAboveSettlements "cash-out-above-settlements" Logic ["cash-out-equals-settlements"];
    /// The bank was told another amount than the cash-out's.
    CashOutEventAmount "cash-out-event-amount" Logic ["cash-out-event-matches-row"];

    /// Somebody changed the settlement's amount by hand, and nothing else.
    ManualSettlementAmount "manual-settlement-amount" ManualChange
        ["settled-equals-paid-minus-refunded", "settlement-event-matches-row", "settlement-entries-add-up"];
    /// Somebody changed the payment's amount by hand, and nothing else.
    ManualPaymentAmount "manual-payment-amount" ManualChange
        ["settled-equals-paid-minus-refunded", "fee-base-equals-paid", "payment-event-matches-row", "accounting-adds-up-to-payment"];
    /// Somebody changed the refund's amount by hand, and nothing else.
    ManualRefundAmount "manual-refund-amount" ManualChange
        ["settled-equals-paid-minus-refunded", "refund-is-settled-back", "refund-event-matches-row", "accounting-adds-up-to-payment"];
    /// Somebody changed one accounting entry by hand: the accounts no longer balance.
    ManualEntryAmount "manual-entry-amount" ManualChange
        ["settlement-entries-balance", "entry-event-matches-row"];
    /// Somebody changed the cash-out's amount by hand after it was sent.
    ManualCashOutAmount "manual-cash-out-amount" ManualChange
        ["cash-out-equals-settlements", "cash-out-event-matches-row"];
}

impl FaultKind {
    /// The fault of that name.
    pub fn by_name(name: &str) -> Option<FaultKind> {
        FaultKind::ALL
            .iter()
            .copied()
            .find(|fault| fault.name() == name)
    }

    /// Whether it befalls a cash-out; all others befall an order.
    pub fn is_on_cash_out(self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            StuckCashOut | CashOutAboveSettlements | CashOutEventAmount | ManualCashOutAmount
        )
    }

    /// Whether the order must have a refund for it.
    pub(crate) fn needs_refund(self) -> bool {
        use FaultKind::*;
        self.needs_full_refund()
            || matches!(
                self,
                RefundEventAmount
                    | StuckRefund
                    | LostRefund
                    | MissingRefundEvent
                    | DuplicateRefundEvent
                    | RefundOfUnknownPayment
                    | ManualRefundAmount
            )
    }

    /// Whether the order must have exactly one refund, of the whole payment.
    pub(crate) fn needs_full_refund(self) -> bool {
        matches!(
            self,
            FaultKind::DuplicateRefund | FaultKind::RefundAbovePayment
        )
    }

    /// Whether the order must be paid by voucher; for all others it is paid electronically.
    pub(crate) fn needs_voucher(self) -> bool {
        matches!(self, FaultKind::VoucherAccounted | FaultKind::VoucherBilled)
    }
}
