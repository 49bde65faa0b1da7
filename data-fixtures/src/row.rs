//! The rows of the platform's tables, typed, with money in fen throughout.

use crate::key::Key;
use crate::table::Table;
use crate::text::{TimeStyle, push_decimal, push_integer, push_padded, push_time};

/// A word from a fixed list, as columns such as `status` hold.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// What the word stands for.
            pub fn by_text(text: &str) -> Option<$name> {
                [$($name::$variant),+].into_iter().find(|word| word.text() == text)
            }

            /// The word as the column holds it.
            pub fn text(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
    };
}

words!(
    /// How an order was paid.
    Channel { Wx = "WX", Ali = "ALI", Card = "CARD", Voucher = "VOUCHER", Cash = "CASH" }
);
words!(
    /// The state of a row; which states a table uses is the platform's contract.
    Status {
        Created = "CREATED", Paid = "PAID", Closed = "CLOSED", Processing = "PROCESSING",
        Success = "SUCCESS", Failed = "FAILED", Settled = "SETTLED", Billed = "BILLED",
        Booked = "BOOKED", Sent = "SENT",
    }
);
words!(
    /// What a settlement row settles.
    SettlementKind { Payment = "PAYMENT", Refund = "REFUND" }
);
words!(
    /// The two kinds of account.
    AccountType { Clearing = "CLEARING", MerchantPayable = "MERCHANT_PAYABLE" }
);
words!(
    /// The side of an account.
    Direction { Debit = "DEBIT", Credit = "CREDIT" }
);

impl Channel {
    /// Whether money moves electronically: only then are there fees and accounting entries.
    pub fn is_electronic(self) -> bool {
        matches!(self, Channel::Wx | Channel::Ali | Channel::Card)
    }
}

/// The account that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// `CLR-<channel>`
    Clearing(Channel),
    /// `MP-<merchant_no>`
    MerchantPayable(u32),
}

/// A payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Payment {
    pub payment_no: Key,
    pub order_no: Key,
    pub merchant: u32,
    pub channel: Channel,
    /// Fen.
    pub amount: i64,
    pub status: Status,
    pub payer_account: u64,
    pub card_no: Option<u64>,
    pub paid_at: Option<i64>,
    pub updated_at: i64,
}

/// A refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Refund {
    pub refund_no: Key,
    pub order_no: Key,
    pub payment_no: Key,
    pub merchant: u32,
    /// Fen.
    pub amount: i64,
    pub status: Status,
    pub reason: Option<&'static str>,
    pub refunded_at: Option<i64>,
    pub updated_at: i64,
}

/// A settlement of a payment or of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Settlement {
    pub settlement_no: Key,
    pub order_no: Key,
    pub merchant: u32,
    pub kind: SettlementKind,
    /// Fen; negative for a refund.
    pub amount: i64,
    pub status: Status,
    pub cash_out_no: Option<Key>,
    pub settled_at: Option<i64>,
    pub updated_at: i64,
}

/// The fee for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Bill {
    pub bill_no: Key,
    pub order_no: Key,
    pub merchant: u32,
    /// Fen.
    pub fee_base: i64,
    /// Millionths.
    pub fee_rate: i64,
    /// Fen.
    pub fee: i64,
    pub status: Status,
    pub updated_at: i64,
}

/// One side of a double entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Entry {
    pub entry_no: Key,
    pub settlement_no: Key,
    pub account: Account,
    pub account_type: AccountType,
    pub direction: Direction,
    /// Fen.
    pub amount: i64,
    pub status: Status,
    pub booked_at: i64,
    pub updated_at: i64,
}

/// Settled money on its way to the merchant's bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CashOut {
    pub cash_out_no: Key,
    pub merchant: u32,
    /// Fen.
    pub amount: i64,
    pub status: Status,
    pub bank_card: u64,
    pub sent_at: Option<i64>,
    pub updated_at: i64,
}

/// What a business event says: `subject` is the row's number, `context` the second number it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message id.
    pub message_id: Key,
    /// The payment, refund, settlement, entry or cash-out.
    pub subject: Key,
    /// The order, or for an accounting entry its settlement; `None` for a cash-out.
    pub context: Option<Key>,
    /// Fen.
    pub amount: i64,
    /// The channel (payments only) or merchant (cash-outs only).
    pub detail: Detail,
    /// When it was published, microseconds.
    pub published_at: i64,
}

/// The part of a message that only some events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Detail {
    None,
    Channel(Channel),
    Merchant(u32),
}

/// A row of any table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Row {
    Payment(Payment),
    Refund(Refund),
    Settlement(Settlement),
    Bill(Bill),
    Entry(Entry),
    CashOut(CashOut),
    PaymentCompleted(Message),
    RefundCompleted(Message),
    SettlementCompleted(Message),
    EntryBooked(Message),
    CashOutSent(Message),
}

/// One column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Null.
    Null,
    /// A business number.
    Key(Key),
    /// A fixed text.
    Text(&'static str),
    /// A text of a prefix and a number of at least `width` digits.
    Numbered {
        /// What stands before the number.
        prefix: &'static str,
        /// The number.
        number: u64,
        /// Its least number of digits.
        width: u8,
    },
    /// An exact decimal, `units` × 10^−`scale`.
    Decimal {
        /// The number without its point.
        units: i64,
        /// Digits behind the point.
        scale: u8,
    },
    /// An integer.
    Integer(i64),
    /// Microseconds since 1970-01-01 UTC.
    Timestamp(i64),
}

impl Value {
    /// Appends the value's plain text; nothing for null.
    pub fn push_text(&self, out: &mut Vec<u8>, style: TimeStyle) {
        match *self {
            Value::Null => {}
            Value::Key(key) => key.push_text(out),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Numbered {
                prefix,
                number,
                width,
            } => {
                out.extend_from_slice(prefix.as_bytes());
                push_padded(out, number, usize::from(width));
            }
            Value::Decimal { units, scale } => push_decimal(out, units, scale),
            Value::Integer(number) => push_integer(out, number),
            Value::Timestamp(micros) => push_time(out, micros, style),
        }
    }
}

fn yuan(fen: i64) -> Value {
    Value::Decimal {
        units: fen,
        scale: 2,
    }
}

/// Merchants of a drill have this bit; their numbers and business codes bear its mark.
pub(crate) const DRILL_MERCHANT: u32 = 1 << 31;

/// A merchant's number behind one of two prefixes, the second for merchants of a drill.
fn merchant_behind([prefix, of_drill]: [&'static str; 2], merchant: u32) -> Value {
    let is_drill = merchant & DRILL_MERCHANT != 0;
    Value::Numbered {
        prefix: if is_drill { of_drill } else { prefix },
        number: u64::from(merchant & !DRILL_MERCHANT),
        width: 8,
    }
}

fn merchant_no(merchant: u32) -> Value {
    merchant_behind(["M", "DRILL-M"], merchant)
}

fn time(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, Value::Timestamp)
}

fn digits(prefix: &'static str, number: u64, width: u8) -> Value {
    Value::Numbered {
        prefix,
        number,
        width,
    }
}

impl Account {
    fn value(self) -> Value {
        match self {
            Account::Clearing(Channel::Wx) => Value::Text("CLR-WX"),
            Account::Clearing(Channel::Ali) => Value::Text("CLR-ALI"),
            Account::Clearing(Channel::Card) => Value::Text("CLR-CARD"),
            Account::Clearing(Channel::Voucher) => Value::Text("CLR-VOUCHER"),
            Account::Clearing(Channel::Cash) => Value::Text("CLR-CASH"),
            Account::MerchantPayable(merchant) => merchant_behind(["MP-M", "MP-DRILL-M"], merchant),
        }
    }

    /// The account number as the column holds it.
    pub fn text(self) -> String {
        crate::text::to_text(|out| self.value().push_text(out, TimeStyle::Rfc3339))
    }
}

impl Row {
    /// The table it belongs to.
    pub fn table(&self) -> Table {
        match self {
            Row::Payment(_) => Table::Payment,
            Row::Refund(_) => Table::Refund,
            Row::Settlement(_) => Table::Settlement,
            Row::Bill(_) => Table::Billing,
            Row::Entry(_) => Table::AccountingEntry,
            Row::CashOut(_) => Table::CashOut,
            Row::PaymentCompleted(_) => Table::PaymentCompleted,
            Row::RefundCompleted(_) => Table::RefundCompleted,
            Row::SettlementCompleted(_) => Table::SettlementCompleted,
            Row::EntryBooked(_) => Table::AccountingEntryBooked,
            Row::CashOutSent(_) => Table::CashOutSent,
        }
    }

    /// The primary key.
    pub fn primary_key(&self) -> Key {
        match self {
            Row::Payment(row) => row.payment_no,
            Row::Refund(row) => row.refund_no,
            Row::Settlement(row) => row.settlement_no,
            Row::Bill(row) => row.bill_no,
            Row::Entry(row) => row.entry_no,
            Row::CashOut(row) => row.cash_out_no,
            Row::PaymentCompleted(message)
            | Row::RefundCompleted(message)
            | Row::SettlementCompleted(message)
            | Row::EntryBooked(message)
            | Row::CashOutSent(message) => message.message_id,
        }
    }

    /// Changes every business number that it holds.
    pub(crate) fn each_key(&mut self, mut change: impl FnMut(&mut Key)) {
        let all = match self {
            Row::Payment(row) => vec![&mut row.payment_no, &mut row.order_no],
            Row::Refund(row) => vec![&mut row.refund_no, &mut row.order_no, &mut row.payment_no],
            Row::Settlement(row) => [&mut row.settlement_no, &mut row.order_no]
                .into_iter()
                .chain(row.cash_out_no.as_mut())
                .collect(),
            Row::Bill(row) => vec![&mut row.bill_no, &mut row.order_no],
            Row::Entry(row) => vec![&mut row.entry_no, &mut row.settlement_no],
            Row::CashOut(row) => vec![&mut row.cash_out_no],
            Row::PaymentCompleted(message)
            | Row::RefundCompleted(message)
            | Row::SettlementCompleted(message)
            | Row::EntryBooked(message)
            | Row::CashOutSent(message) => [&mut message.message_id, &mut message.subject]
                .into_iter()
                .chain(message.context.as_mut())
                .collect(),
        };
        all.into_iter().for_each(&mut change);
    }

    /// The text of a column; `None` for a null and for a column that the table does not have.
    pub fn text(&self, column: &str) -> Option<String> {
        let mut values = Vec::new();
        self.values(&mut values);
        let mut columns = self.table().columns().iter().zip(values);
        let (_, value) = columns.find(|(known, _)| known.name == column)?;
        let text = crate::text::to_text(|out| value.push_text(out, TimeStyle::Rfc3339));
        (value != Value::Null).then_some(text)
    }

    /// Fills `out` with the values of [`Table::columns`], in that order.
    pub fn values(&self, out: &mut Vec<Value>) {
        out.clear();
        match self {
            Row::Payment(row) => payment_values(row, out),
            Row::Refund(row) => refund_values(row, out),
            Row::Settlement(row) => settlement_values(row, out),
            Row::Bill(row) => bill_values(row, out),
            Row::Entry(row) => entry_values(row, out),
            Row::CashOut(row) => cash_out_values(row, out),
            Row::PaymentCompleted(message)
            | Row::RefundCompleted(message)
            | Row::CashOutSent(message) => {
                message_values(message, yuan(message.amount), out);
            }
            Row::SettlementCompleted(message) | Row::EntryBooked(message) => {
                message_values(message, Value::Integer(message.amount), out);
            }
        }
    }
}

const BUSINESS_CODES: [&str; 4] = ["MARKET", "GROCERY", "TRAVEL", "DIGITAL"];
const DRILL_BUSINESS_CODES: [&str; 4] = [
    "DRILL-MARKET",
    "DRILL-GROCERY",
    "DRILL-TRAVEL",
    "DRILL-DIGITAL",
];

fn business_code(merchant: u32) -> &'static str {
    let codes = match merchant & DRILL_MERCHANT {
        0 => BUSINESS_CODES,
        _ => DRILL_BUSINESS_CODES,
    };
    codes[(merchant & !DRILL_MERCHANT) as usize % codes.len()]
}

fn payment_values(row: &Payment, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.payment_no),
        Value::Key(row.order_no),
        merchant_no(row.merchant),
        Value::Text(business_code(row.merchant)),
        Value::Text(row.channel.text()),
        yuan(row.amount),
        Value::Text(row.status.text()),
        digits("U", row.payer_account, 10),
        row.card_no
            .map_or(Value::Null, |number| digits("6222", number, 12)),
        time(row.paid_at),
        Value::Timestamp(row.updated_at),
    ]);
}

fn refund_values(row: &Refund, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.refund_no),
        Value::Key(row.order_no),
        Value::Key(row.payment_no),
        merchant_no(row.merchant),
        yuan(row.amount),
        Value::Text(row.status.text()),
        row.reason.map_or(Value::Null, Value::Text),
        time(row.refunded_at),
        Value::Timestamp(row.updated_at),
    ]);
}

fn settlement_values(row: &Settlement, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.settlement_no),
        Value::Key(row.order_no),
        merchant_no(row.merchant),
        Value::Text(row.kind.text()),
        Value::Integer(row.amount),
        Value::Text(row.status.text()),
        row.cash_out_no.map_or(Value::Null, Value::Key),
        time(row.settled_at),
        Value::Timestamp(row.updated_at),
    ]);
}

fn bill_values(row: &Bill, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.bill_no),
        Value::Key(row.order_no),
        merchant_no(row.merchant),
        yuan(row.fee_base),
        Value::Decimal {
            units: row.fee_rate,
            scale: 6,
        },
        yuan(row.fee),
        Value::Text(row.status.text()),
        Value::Timestamp(row.updated_at),
    ]);
}

fn entry_values(row: &Entry, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.entry_no),
        Value::Key(row.settlement_no),
        row.account.value(),
        Value::Text(row.account_type.text()),
        Value::Text(row.direction.text()),
        Value::Integer(row.amount),
        Value::Text(row.status.text()),
        Value::Timestamp(row.booked_at),
        Value::Timestamp(row.updated_at),
    ]);
}

fn cash_out_values(row: &CashOut, out: &mut Vec<Value>) {
    out.extend([
        Value::Key(row.cash_out_no),
        merchant_no(row.merchant),
        yuan(row.amount),
        Value::Text(row.status.text()),
        digits("6228", row.bank_card, 15),
        time(row.sent_at),
        Value::Timestamp(row.updated_at),
    ]);
}

fn message_values(message: &Message, amount: Value, out: &mut Vec<Value>) {
    out.extend([Value::Key(message.message_id), Value::Key(message.subject)]);
    out.extend(message.context.map(Value::Key));
    if let Detail::Merchant(merchant) = message.detail {
        out.push(merchant_no(merchant));
    }
    out.push(amount);
    if let Detail::Channel(channel) = message.detail {
        out.push(Value::Text(channel.text()));
    }
    out.push(Value::Timestamp(message.published_at));
}
