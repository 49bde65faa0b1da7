//! Lines of the change log → rows of orders, under numbers that only count them. What is personal is left behind.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Order, change, event};
use crate::key::{DRILL_MARK, Key, KeyKind};
use crate::record::Record;
use crate::row::{
    Account, AccountType, Bill, CashOut, Channel, DRILL_MERCHANT, Detail, Direction, Entry,
    Message, Payment, Refund, Row, Settlement, SettlementKind, Status,
};
use crate::table::{Source, Table};

/// More things of one kind than an order's numbers count.
const MOST_OF_A_KIND: u16 = 80;

/// Amounts beyond this, in fen, and rates beyond one are left alone: what faults and rules multiply must fit.
const MOST_FEN: i64 = 1_000_000_000_000;

/// The ordinal of the message that tells of a cash-out: above all others of its order.
const OF_CASH_OUT: u16 = MOST_OF_A_KIND + 1;

/// A log that cannot be copied from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LineError {
    /// It has rows of a drill already.
    #[error("it has rows of a drill already: take a log of real traffic")]
    Drill,
}

/// What a line was.
pub(super) enum Seen {
    /// Nothing that can be read.
    Nothing,
    /// A change or an event, by its commit time.
    Record(i64),
    /// How far a source was read.
    Heartbeat(Source, i64),
}

#[derive(Default)]
struct Building {
    order: Order,
    /// Whether something of it cannot be copied.
    spoilt: bool,
    /// How many numbers there are of each kind.
    counts: HashMap<KeyKind, u16>,
    /// The cash-outs that take its settlements, by their real numbers.
    cash_outs: BTreeMap<String, Key>,
}

/// A line of accounting, which names a settlement and not its order.
struct Accounting {
    at: i64,
    table: Table,
    before: Option<Map<String, Value>>,
    after: Map<String, Value>,
    message_id: Option<String>,
}

/// Reads lines, in any order across sources.
#[derive(Default)]
pub(super) struct Reader {
    orders: Vec<Building>,
    by_number: HashMap<String, usize>,
    names: HashMap<(KeyKind, String), Key>,
    merchants: HashMap<String, u32>,
    accounting: Vec<Accounting>,
    /// By the cash-out's real number; amounts are zero, because orders have shares of them.
    cash_outs: HashMap<String, Vec<Record>>,
    /// Versions and messages that were delivered before.
    delivered: HashSet<(Table, [u64; 3])>,
}

impl Reader {
    pub fn read(&mut self, line: &[u8]) -> Result<Seen, LineError> {
        let Ok(Value::Object(mut line)) = serde_json::from_slice(line) else {
            return Ok(Seen::Nothing);
        };
        let Some(at) = line.get("committed_at").and_then(time) else {
            return Ok(Seen::Nothing);
        };
        if let Some(name) = line.get("heartbeat").and_then(Value::as_str) {
            let source = Source::ALL.into_iter().find(|source| source.name() == name);
            return Ok(source.map_or(Seen::Nothing, |source| Seen::Heartbeat(source, at)));
        }
        let named = line
            .get("table")
            .or(line.get("event"))
            .and_then(Value::as_str);
        let table =
            named.and_then(|name| Table::ALL.into_iter().find(|table| table.name() == name));
        let Some(table) = table else {
            return Ok(Seen::Record(at));
        };
        let version = ["epoch", "sequence", "ordinal"]
            .map(|field| line.get(field).and_then(Value::as_u64).unwrap_or(0));
        if !table.is_event() && !self.delivered.insert((table, version)) {
            return Ok(Seen::Record(at));
        }
        let message_id = line
            .get("message_id")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut object = |field: &str| match line.remove(field) {
            Some(Value::Object(row)) => Some(row),
            _ => None,
        };
        let (before, after) = (object("before"), object("after"));
        let named = [&before, &after]
            .into_iter()
            .flatten()
            .flat_map(Map::values);
        if named
            .filter_map(Value::as_str)
            .any(|text| text.starts_with(DRILL_MARK))
        {
            return Err(LineError::Drill);
        }
        let deleted = after.is_none();
        let Some(row) = after.or(before.clone()) else {
            return Ok(Seen::Record(at));
        };
        let read = Accounting {
            at,
            table,
            before,
            after: row,
            message_id,
        };
        match table {
            Table::AccountingEntry | Table::AccountingEntryBooked => self.accounting.push(read),
            Table::CashOut | Table::CashOutSent => self.cash_out(&read),
            _ => {
                let order = text(&read.after, "order_no").map(|number| self.order(&number));
                if let Some(order) = order {
                    self.take(order, &read);
                    self.orders[order].spoilt |= deleted;
                }
            }
        }
        Ok(Seen::Record(at))
    }

    /// Every order of which all could be read.
    pub fn orders(mut self) -> Vec<Order> {
        for read in std::mem::take(&mut self.accounting) {
            let settlement = text(&read.after, "settlement_no");
            let known = settlement.and_then(|text| self.names.get(&(KeyKind::Settlement, text)));
            if let Some(order) = known.map(|key| key.number() as usize) {
                self.take(order, &read);
            }
        }
        let cash_outs = self.cash_outs;
        let whole = self.orders.into_iter().filter(|building| !building.spoilt);
        whole
            .map(|building| {
                let mut order = building.order;
                for (number, key) in building.cash_outs {
                    let mut records = cash_outs.get(&number).cloned().unwrap_or_default();
                    let mut renamed = Order {
                        records: std::mem::take(&mut records),
                    };
                    renamed.edit(|row| match row {
                        Row::CashOut(row) => row.cash_out_no = key,
                        Row::CashOutSent(row) => row.subject = key,
                        _ => {}
                    });
                    order.records.append(&mut renamed.records);
                }
                order.records.sort_by_key(Record::committed_at);
                order
            })
            .collect()
    }

    fn order(&mut self, number: &str) -> usize {
        // As the entity is normalised: without blanks at its ends, in capital letters.
        let number = number.trim().to_uppercase();
        let next = self.orders.len();
        let order = *self.by_number.entry(number).or_insert(next);
        if order == next {
            self.orders.push(Building::default());
        }
        order
    }

    fn take(&mut self, order: usize, read: &Accounting) {
        let message = match (read.table.is_event(), &read.message_id) {
            (true, Some(id)) => match self.names.contains_key(&(KeyKind::Message, id.clone())) {
                // Delivered again.
                true => return,
                false => self.name(order, KeyKind::Message, id, read.at),
            },
            (true, None) => None,
            (false, _) => Some(Key::of_copy(0, KeyKind::Message, 0, 0)),
        };
        let record = message.and_then(|message| {
            let after = self.row(order, read.table, &read.after, message, read.at)?;
            if read.table.is_event() {
                return Some(event(read.at, after));
            }
            let before = match &read.before {
                None => None,
                Some(before) => Some(self.row(order, read.table, before, message, read.at)?),
            };
            Some(change(read.at, before, after, false))
        });
        match record {
            Some(record) => self.orders[order].order.records.push(record),
            None => self.orders[order].spoilt = true,
        }
    }

    fn cash_out(&mut self, read: &Accounting) {
        let Some(number) = text(&read.after, "cash_out_no") else {
            return;
        };
        let key = Key::of_copy(0, KeyKind::CashOut, 0, read.at);
        let row = |reader: &mut Reader, map: &Map<String, Value>| {
            let merchant = reader.merchant(&text(map, "merchant_no")?);
            Some(Row::CashOut(CashOut {
                cash_out_no: key,
                merchant,
                amount: 0,
                status: Status::by_text(&text(map, "status")?)?,
                bank_card: 0,
                sent_at: map.get("sent_at").and_then(time),
                updated_at: map.get("updated_at").and_then(time)?,
            }))
        };
        let record = match read.table {
            Table::CashOut => row(self, &read.after).map(|after| {
                let before = read.before.as_ref().and_then(|before| row(self, before));
                change(read.at, before, after, false)
            }),
            _ => text(&read.after, "merchant_no").map(|merchant| {
                let message = Message {
                    message_id: Key::of_copy(0, KeyKind::Message, OF_CASH_OUT, read.at),
                    subject: key,
                    context: None,
                    amount: 0,
                    detail: Detail::Merchant(self.merchant(&merchant)),
                    published_at: read.at,
                };
                event(read.at, Row::CashOutSent(message))
            }),
        };
        let records = self.cash_outs.entry(number).or_default();
        let again = |record: &Record| {
            let is_told = matches!(record.row(), Some(Row::CashOutSent(_)));
            is_told
                && records
                    .iter()
                    .any(|known| matches!(known.row(), Some(Row::CashOutSent(_))))
        };
        let record = record.filter(|record| !again(record));
        records.extend(record);
    }

    /// The number that stands for a real one; nothing when an order has too many.
    fn name(&mut self, order: usize, kind: KeyKind, text: &str, at: i64) -> Option<Key> {
        let name = (kind, text.to_owned());
        if let Some(known) = self.names.get(&name) {
            return (known.number() == order as u64).then_some(*known);
        }
        let count = self.orders[order].counts.entry(kind).or_default();
        *count += 1;
        let key = Key::of_copy(order as u64, kind, *count, at);
        let fits = *count <= MOST_OF_A_KIND;
        self.names.insert(name, key);
        fits.then_some(key)
    }

    fn merchant(&mut self, number: &str) -> u32 {
        let next = DRILL_MERCHANT | self.merchants.len() as u32;
        *self.merchants.entry(number.to_owned()).or_insert(next)
    }

    fn account(&mut self, text: &str) -> Option<Account> {
        match text.split_once('-')? {
            ("CLR", channel) => Channel::by_text(channel).map(Account::Clearing),
            ("MP", merchant) => Some(Account::MerchantPayable(self.merchant(merchant))),
            _ => None,
        }
    }

    #[allow(clippy::too_many_lines)]
    fn row(
        &mut self,
        order: usize,
        table: Table,
        map: &Map<String, Value>,
        message_id: Key,
        at: i64,
    ) -> Option<Row> {
        let began = self.orders[order].order.records.first();
        let began = began.map_or(at, Record::committed_at);
        let order_no = Key::of_copy(order as u64, KeyKind::Order, 0, began);
        let of = |field: &str| text(map, field);
        let moment = |field: &str| map.get(field).and_then(time);
        let name = |reader: &mut Reader, kind, field: &str| {
            reader.name(order, kind, &text(map, field)?, began)
        };
        Some(match table {
            Table::Payment => Row::Payment(Payment {
                payment_no: name(self, KeyKind::Payment, "payment_no")?,
                order_no: self.order_no(order, order_no),
                merchant: self.merchant(&of("merchant_no")?),
                channel: Channel::by_text(&of("channel")?)?,
                amount: fen(map.get("amount")?)?,
                status: Status::by_text(&of("status")?)?,
                payer_account: 0,
                card_no: None,
                paid_at: moment("paid_at"),
                updated_at: moment("updated_at")?,
            }),
            Table::Refund => Row::Refund(Refund {
                refund_no: name(self, KeyKind::Refund, "refund_no")?,
                order_no: self.order_no(order, order_no),
                payment_no: name(self, KeyKind::Payment, "payment_no")?,
                merchant: self.merchant(&of("merchant_no")?),
                amount: fen(map.get("amount")?)?,
                status: Status::by_text(&of("status")?)?,
                reason: None,
                refunded_at: moment("refunded_at"),
                updated_at: moment("updated_at")?,
            }),
            Table::Settlement => Row::Settlement(Settlement {
                settlement_no: name(self, KeyKind::Settlement, "settlement_no")?,
                order_no: self.order_no(order, order_no),
                merchant: self.merchant(&of("merchant_no")?),
                kind: SettlementKind::by_text(&of("kind")?)?,
                amount: whole(map.get("amount")?)?,
                status: Status::by_text(&of("status")?)?,
                cash_out_no: self.cash_out_no(order, of("cash_out_no"), began),
                settled_at: moment("settled_at"),
                updated_at: moment("updated_at")?,
            }),
            Table::Billing => Row::Bill(Bill {
                bill_no: name(self, KeyKind::Bill, "bill_no")?,
                order_no: self.order_no(order, order_no),
                merchant: self.merchant(&of("merchant_no")?),
                fee_base: fen(map.get("fee_base")?)?,
                fee_rate: rate(map.get("fee_rate")?)?,
                fee: fen(map.get("fee")?)?,
                status: Status::by_text(&of("status")?)?,
                updated_at: moment("updated_at")?,
            }),
            Table::AccountingEntry => Row::Entry(Entry {
                entry_no: name(self, KeyKind::Entry, "entry_no")?,
                settlement_no: name(self, KeyKind::Settlement, "settlement_no")?,
                account: self.account(&of("account_no")?)?,
                account_type: AccountType::by_text(&of("account_type")?)?,
                direction: Direction::by_text(&of("direction")?)?,
                amount: whole(map.get("amount")?)?,
                status: Status::by_text(&of("status")?)?,
                booked_at: moment("booked_at")?,
                updated_at: moment("updated_at")?,
            }),
            Table::PaymentCompleted => Row::PaymentCompleted(Message {
                message_id,
                subject: name(self, KeyKind::Payment, "payment_no")?,
                context: Some(self.order_no(order, order_no)),
                amount: fen(map.get("amount")?)?,
                detail: Detail::Channel(Channel::by_text(&of("channel")?)?),
                published_at: moment("published_at")?,
            }),
            Table::RefundCompleted => Row::RefundCompleted(Message {
                message_id,
                subject: name(self, KeyKind::Refund, "refund_no")?,
                context: Some(self.order_no(order, order_no)),
                amount: fen(map.get("amount")?)?,
                detail: Detail::None,
                published_at: moment("published_at")?,
            }),
            Table::SettlementCompleted => Row::SettlementCompleted(Message {
                message_id,
                subject: name(self, KeyKind::Settlement, "settlement_no")?,
                context: Some(self.order_no(order, order_no)),
                amount: whole(map.get("amount")?)?,
                detail: Detail::None,
                published_at: moment("published_at")?,
            }),
            Table::AccountingEntryBooked => Row::EntryBooked(Message {
                message_id,
                subject: name(self, KeyKind::Entry, "entry_no")?,
                context: Some(name(self, KeyKind::Settlement, "settlement_no")?),
                amount: whole(map.get("amount")?)?,
                detail: Detail::None,
                published_at: moment("published_at")?,
            }),
            Table::CashOut | Table::CashOutSent => return None,
        })
    }

    /// The order's own number: the first that was made stays.
    fn order_no(&mut self, order: usize, made: Key) -> Key {
        let name = (KeyKind::Order, order.to_string());
        *self.names.entry(name).or_insert(made)
    }

    fn cash_out_no(&mut self, order: usize, number: Option<String>, at: i64) -> Option<Key> {
        let cash_outs = &mut self.orders[order].cash_outs;
        let ordinal = cash_outs.len() as u16;
        let made = Key::of_copy(order as u64, KeyKind::CashOut, ordinal, at);
        Some(*cash_outs.entry(number?).or_insert(made))
    }
}

fn text(map: &Map<String, Value>, field: &str) -> Option<String> {
    map.get(field)?.as_str().map(str::to_owned)
}

/// Microseconds of an RFC 3339 text.
fn time(value: &Value) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.timestamp_micros())
}

fn fen(yuan: &Value) -> Option<i64> {
    scaled(yuan, 2).filter(|fen| fen.unsigned_abs() <= MOST_FEN.unsigned_abs())
}

fn whole(fen: &Value) -> Option<i64> {
    fen.as_i64()
        .filter(|fen| fen.unsigned_abs() <= MOST_FEN.unsigned_abs())
}

/// In millionths.
fn rate(value: &Value) -> Option<i64> {
    scaled(value, 6).filter(|rate| (0..=1_000_000).contains(rate))
}

/// A decimal, as text or as a plain number, times ten to this power; nothing where digits would be lost.
fn scaled(value: &Value, scale: usize) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (whole, behind) = text.split_once('.').unwrap_or((&text, ""));
    let behind = behind.trim_end_matches('0');
    let right = behind.len() <= scale && behind.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| format!("{whole}{behind:0<scale$}").parse().ok())?
}
