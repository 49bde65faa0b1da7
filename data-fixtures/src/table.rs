//! The platform's tables, their columns and the sources they are read from.

/// One stream of changes in an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Source {
    PaymentDb,
    RefundDb,
    SettlementDb,
    BillingDb,
    AccountingDb,
    CashOutDb,
    BusinessEvents,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 7] = [
        Source::PaymentDb,
        Source::RefundDb,
        Source::SettlementDb,
        Source::BillingDb,
        Source::AccountingDb,
        Source::CashOutDb,
        Source::BusinessEvents,
    ];

    /// The source's name in the change log.
    pub fn name(self) -> &'static str {
        match self {
            Source::PaymentDb => "payment-db",
            Source::RefundDb => "refund-db",
            Source::SettlementDb => "settlement-db",
            Source::BillingDb => "billing-db",
            Source::AccountingDb => "accounting-db",
            Source::CashOutDb => "cash-out-db",
            Source::BusinessEvents => "business-events",
        }
    }
}

/// A table or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Table {
    Payment,
    Refund,
    Settlement,
    Billing,
    AccountingEntry,
    CashOut,
    PaymentCompleted,
    RefundCompleted,
    SettlementCompleted,
    AccountingEntryBooked,
    CashOutSent,
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// An exact decimal of this many digits, of which `scale` stand behind the point.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// A 64-bit integer.
    Integer,
    /// Microseconds since 1970-01-01 UTC.
    Timestamp,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
}

const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Text,
        nullable: false,
    }
}

const fn yuan(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Decimal {
            precision: 18,
            scale: 2,
        },
        nullable: false,
    }
}

const fn fen(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Integer,
        nullable: false,
    }
}

const fn time(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Timestamp,
        nullable: false,
    }
}

const fn nullable(column: Column) -> Column {
    Column {
        nullable: true,
        ..column
    }
}

const PAYMENT: &[Column] = &[
    text("payment_no"),
    text("order_no"),
    text("merchant_no"),
    text("business_code"),
    text("channel"),
    yuan("amount"),
    text("status"),
    text("payer_account"),
    nullable(text("card_no")),
    nullable(time("paid_at")),
    time("updated_at"),
];
const REFUND: &[Column] = &[
    text("refund_no"),
    text("order_no"),
    text("payment_no"),
    text("merchant_no"),
    yuan("amount"),
    text("status"),
    nullable(text("reason")),
    nullable(time("refunded_at")),
    time("updated_at"),
];
const SETTLEMENT: &[Column] = &[
    text("settlement_no"),
    text("order_no"),
    text("merchant_no"),
    text("kind"),
    fen("amount"),
    text("status"),
    nullable(text("cash_out_no")),
    nullable(time("settled_at")),
    time("updated_at"),
];
const BILLING: &[Column] = &[
    text("bill_no"),
    text("order_no"),
    text("merchant_no"),
    yuan("fee_base"),
    Column {
        name: "fee_rate",
        kind: ColumnKind::Decimal {
            precision: 9,
            scale: 6,
        },
        nullable: false,
    },
    yuan("fee"),
    text("status"),
    time("updated_at"),
];
const ACCOUNTING_ENTRY: &[Column] = &[
    text("entry_no"),
    text("settlement_no"),
    text("account_no"),
    text("account_type"),
    text("direction"),
    fen("amount"),
    text("status"),
    time("booked_at"),
    time("updated_at"),
];
const CASH_OUT: &[Column] = &[
    text("cash_out_no"),
    text("merchant_no"),
    yuan("amount"),
    text("status"),
    text("bank_card"),
    nullable(time("sent_at")),
    time("updated_at"),
];
const PAYMENT_COMPLETED: &[Column] = &[
    text("message_id"),
    text("payment_no"),
    text("order_no"),
    yuan("amount"),
    text("channel"),
    time("published_at"),
];
const REFUND_COMPLETED: &[Column] = &[
    text("message_id"),
    text("refund_no"),
    text("order_no"),
    yuan("amount"),
    time("published_at"),
];
const SETTLEMENT_COMPLETED: &[Column] = &[
    text("message_id"),
    text("settlement_no"),
    text("order_no"),
    fen("amount"),
    time("published_at"),
];
const ACCOUNTING_ENTRY_BOOKED: &[Column] = &[
    text("message_id"),
    text("entry_no"),
    text("settlement_no"),
    fen("amount"),
    time("published_at"),
];
const CASH_OUT_SENT: &[Column] = &[
    text("message_id"),
    text("cash_out_no"),
    text("merchant_no"),
    yuan("amount"),
    time("published_at"),
];

impl Table {
    /// All tables, then all events.
    pub const ALL: [Table; 11] = [
        Table::Payment,
        Table::Refund,
        Table::Settlement,
        Table::Billing,
        Table::AccountingEntry,
        Table::CashOut,
        Table::PaymentCompleted,
        Table::RefundCompleted,
        Table::SettlementCompleted,
        Table::AccountingEntryBooked,
        Table::CashOutSent,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Payment => "payment",
            Table::Refund => "refund",
            Table::Settlement => "settlement",
            Table::Billing => "billing",
            Table::AccountingEntry => "accounting_entry",
            Table::CashOut => "cash_out",
            Table::PaymentCompleted => "payment_completed",
            Table::RefundCompleted => "refund_completed",
            Table::SettlementCompleted => "settlement_completed",
            Table::AccountingEntryBooked => "accounting_entry_booked",
            Table::CashOutSent => "cash_out_sent",
        }
    }

    /// Its columns, the primary key first.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Payment => PAYMENT,
            Table::Refund => REFUND,
            Table::Settlement => SETTLEMENT,
            Table::Billing => BILLING,
            Table::AccountingEntry => ACCOUNTING_ENTRY,
            Table::CashOut => CASH_OUT,
            Table::PaymentCompleted => PAYMENT_COMPLETED,
            Table::RefundCompleted => REFUND_COMPLETED,
            Table::SettlementCompleted => SETTLEMENT_COMPLETED,
            Table::AccountingEntryBooked => ACCOUNTING_ENTRY_BOOKED,
            Table::CashOutSent => CASH_OUT_SENT,
        }
    }

    /// The source that orders its changes.
    pub fn source(self) -> Source {
        match self {
            Table::Payment => Source::PaymentDb,
            Table::Refund => Source::RefundDb,
            Table::Settlement => Source::SettlementDb,
            Table::Billing => Source::BillingDb,
            Table::AccountingEntry => Source::AccountingDb,
            Table::CashOut => Source::CashOutDb,
            _ => Source::BusinessEvents,
        }
    }

    /// Whether it is an append-only event.
    pub fn is_event(self) -> bool {
        self.source() == Source::BusinessEvents
    }
}
