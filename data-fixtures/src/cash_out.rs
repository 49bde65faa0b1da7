//! Settled money that waits for its cash-out, and the cash-out itself.

use crate::fault::FaultKind;
use crate::key::{Key, KeyKind, KeyMaker};
use crate::order::{Planned, PlannedChange, delay};
use crate::parameters::SimulationParameters;
use crate::random::Draw;
use crate::row::{CashOut, Detail, Message, Row, Settlement, Status};
use crate::text::SECOND;

/// The settled rows of one merchant that no cash-out has taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    pub rows: Vec<Settlement>,
    /// When the next cash-out is due, microseconds.
    pub due: i64,
}

impl Pool {
    /// The sum of the rows in fen.
    pub fn sum(&self) -> i64 {
        self.rows.iter().map(|row| row.amount).sum()
    }
}

/// Everything that happens to one cash-out of `rows`, in commit order. `rows` is not empty.
pub(crate) fn script(
    parameters: &SimulationParameters,
    keys: KeyMaker,
    rows: &[Settlement],
    start: i64,
    fault: Option<FaultKind>,
    draw: &mut Draw,
) -> Vec<Planned> {
    let cash_out_no = keys.key(KeyKind::CashOut, 0);
    let created = CashOut {
        cash_out_no,
        merchant: rows[0].merchant,
        amount: rows.iter().map(|row| row.amount).sum(),
        status: Status::Created,
        bank_card: draw.below(1_000_000_000_000_000),
        sent_at: None,
        updated_at: start + delay(draw, parameters.max_delay),
    };
    let mut steps = vec![take(rows, cash_out_no, start)];
    let states = states(created, fault, parameters.max_delay, draw);
    let mut before = None;
    for (index, state) in states.iter().enumerate() {
        let closes = index + 1 == states.len();
        let mut step = one(state.updated_at, before, Row::CashOut(*state), closes);
        let by_hand = closes && fault == Some(FaultKind::ManualCashOutAmount);
        step.changes[0].by_hand = by_hand;
        steps.push(step);
        before = Some(Row::CashOut(*state));
    }
    let sent = states[1];
    let wrong = if fault == Some(FaultKind::CashOutEventAmount) {
        100
    } else {
        0
    };
    let at = sent.updated_at + delay(draw, parameters.max_delay);
    let event = Message {
        message_id: keys.key(KeyKind::Message, u16::MAX),
        subject: cash_out_no,
        context: None,
        amount: sent.amount + wrong,
        detail: Detail::Merchant(sent.merchant),
        published_at: at,
    };
    steps.push(one(at, None, Row::CashOutSent(event), true));
    steps.sort_by_key(|step| step.at);
    steps
}

fn one(at: i64, before: Option<Row>, after: Row, closes: bool) -> Planned {
    Planned {
        at,
        changes: vec![PlannedChange {
            before,
            after,
            closes,
            by_hand: false,
        }],
        pools: false,
    }
}

/// Marks the settlements as taken, in one transaction.
fn take(rows: &[Settlement], cash_out_no: Key, at: i64) -> Planned {
    let taken = rows.iter().map(|row| {
        let after = Settlement {
            cash_out_no: Some(cash_out_no),
            updated_at: at,
            ..*row
        };
        let (before, after) = (Some(Row::Settlement(*row)), Row::Settlement(after));
        PlannedChange {
            before,
            after,
            closes: true,
            by_hand: false,
        }
    });
    Planned {
        at,
        changes: taken.collect(),
        pools: false,
    }
}

/// The states that the row goes through: created, sent, and mostly more.
fn states(
    mut created: CashOut,
    fault: Option<FaultKind>,
    longest: i64,
    draw: &mut Draw,
) -> Vec<CashOut> {
    if fault == Some(FaultKind::CashOutAboveSettlements) {
        created.amount += 10_000;
    }
    let sent_at = created.updated_at + delay(draw, longest);
    let (status, updated_at) = (Status::Sent, sent_at);
    let sent = CashOut {
        status,
        sent_at: Some(sent_at),
        updated_at,
        ..created
    };
    let updated_at = sent_at + delay(draw, longest);
    let done = CashOut {
        status: Status::Success,
        updated_at,
        ..sent
    };
    match fault {
        Some(FaultKind::StuckCashOut) => vec![created, sent],
        Some(FaultKind::ManualCashOutAmount) => {
            let updated_at = updated_at + draw.between(60 * SECOND, 300 * SECOND);
            vec![
                created,
                sent,
                done,
                CashOut {
                    amount: done.amount + 1_000,
                    updated_at,
                    ..done
                },
            ]
        }
        _ => vec![created, sent, done],
    }
}
