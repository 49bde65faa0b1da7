//! When the platform of a drill moves money: there it asks the breaker first.

use std::collections::{BTreeMap, HashMap};

use data_fixtures::{
    CashOut, Change, Key, Record, Refund, Row, Settlement, SettlementKind, Status,
};

/// Where the platform asks. The words are those of rules and of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Money goes back to a payer.
    Refund,
    /// Money is booked to a merchant.
    Settlement,
    /// Money leaves the platform.
    CashOut,
}

impl Point {
    /// The word for it in rules, in configurations and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Point::Refund => "refund",
            Point::Settlement => "settlement",
            Point::CashOut => "cash_out",
        }
    }
}

/// The question whether some money may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// When it moves, by the commit that says so, microseconds.
    pub at: i64,
    /// Where it is asked.
    pub point: Point,
    /// Names the movement: the row's number, and for a cash-out that of the order whose share it is.
    pub id: String,
    /// The order; the cash-out's own number for what no order accounts for.
    pub order_no: String,
    /// The merchant.
    pub merchant_no: String,
    /// The business code.
    pub business_code: String,
    /// The cash-out, where it is one.
    pub cash_out_no: Option<String>,
    /// What moves, fen; above zero.
    pub fen: i64,
}

/// Follows a history for what moves money.
#[derive(Default)]
pub struct Acts {
    asks: Vec<Ask>,
    sent: Vec<(i64, CashOut)>,
    /// By cash-out and settlement: the order and the amount that it takes out, fen.
    taken: HashMap<Key, BTreeMap<Key, (Key, i64)>>,
    /// By merchant.
    codes: HashMap<u32, String>,
}

impl Acts {
    /// Takes the next record.
    pub fn observe(&mut self, record: &Record) {
        let Record::Change(change) = record else {
            return;
        };
        match &change.after {
            Row::Payment(row) => {
                let code = || change.after.text("business_code").unwrap_or_default();
                self.codes.entry(row.merchant).or_insert_with(code);
            }
            Row::Refund(row) if becomes(change, Status::Success) => self.refund(change, row),
            Row::Settlement(row) => {
                if let Some(cash_out) = row.cash_out_no {
                    let rows = self.taken.entry(cash_out).or_default();
                    rows.insert(row.settlement_no, (row.order_no, row.amount));
                }
                if becomes(change, Status::Settled) {
                    self.settlement(change, row);
                }
            }
            Row::CashOut(row) if becomes(change, Status::Sent) => {
                self.sent.push((change.committed_at, *row));
            }
            _ => {}
        }
    }

    fn refund(&mut self, change: &Change, row: &Refund) {
        let ask = Ask {
            at: change.committed_at,
            point: Point::Refund,
            id: row.refund_no.text(),
            order_no: row.order_no.text(),
            merchant_no: merchant_no(&change.after),
            business_code: String::new(),
            cash_out_no: None,
            fen: row.amount,
        };
        self.ask(row.merchant, ask);
    }

    /// A refund's settlement takes money back from the merchant: nobody would hold that.
    fn settlement(&mut self, change: &Change, row: &Settlement) {
        if row.kind == SettlementKind::Refund {
            return;
        }
        let ask = Ask {
            at: change.committed_at,
            point: Point::Settlement,
            id: row.settlement_no.text(),
            order_no: row.order_no.text(),
            merchant_no: merchant_no(&change.after),
            business_code: String::new(),
            cash_out_no: None,
            fen: row.amount,
        };
        self.ask(row.merchant, ask);
    }

    /// A cash-out asks for the share of each order in it, and for what no order accounts for under its own number.
    fn cash_out(&mut self, at: i64, row: &CashOut) {
        let number = row.cash_out_no.text();
        let mut shares: BTreeMap<Key, i64> = BTreeMap::new();
        for (order, fen) in self
            .taken
            .remove(&row.cash_out_no)
            .unwrap_or_default()
            .into_values()
        {
            *shares.entry(order).or_default() += fen;
        }
        let rest = row.amount - shares.values().sum::<i64>();
        let shares = shares.into_iter().map(|(order, fen)| (order.text(), fen));
        let all: Vec<(String, i64)> = shares.chain([(number.clone(), rest)]).collect();
        for (order_no, fen) in all {
            let ask = Ask {
                at,
                point: Point::CashOut,
                id: format!("{number}/{order_no}"),
                order_no,
                merchant_no: merchant_no(&Row::CashOut(*row)),
                business_code: String::new(),
                cash_out_no: Some(number.clone()),
                fen,
            };
            self.ask(row.merchant, ask);
        }
    }

    fn ask(&mut self, merchant: u32, mut ask: Ask) {
        if ask.fen <= 0 {
            return;
        }
        // A merchant without a payment has no business code; its number then stands for it.
        let code = self.codes.get(&merchant);
        ask.business_code = code.cloned().unwrap_or_else(|| ask.merchant_no.clone());
        self.asks.push(ask);
    }

    /// Every question, in the order in which they are asked.
    pub fn finish(mut self) -> Vec<Ask> {
        // What a cash-out takes may be read after it was sent.
        for (at, row) in std::mem::take(&mut self.sent) {
            self.cash_out(at, &row);
        }
        self.asks
            .sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
        self.asks
    }
}

/// Whether the change brings the row into this state.
fn becomes(change: &Change, status: Status) -> bool {
    let of = |row: &Row| match row {
        Row::Refund(row) => Some(row.status),
        Row::Settlement(row) => Some(row.status),
        Row::CashOut(row) => Some(row.status),
        _ => None,
    };
    of(&change.after) == Some(status) && change.before.as_ref().and_then(of) != Some(status)
}

fn merchant_no(row: &Row) -> String {
    row.text("merchant_no").unwrap_or_default()
}
