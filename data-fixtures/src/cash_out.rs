//! Settled money that waits for its cash-out, and the cash-out itself.

use crate::fault::FaultKind;
use crate::key::{KeyKind, KeyMaker};
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
    let taken = rows.iter().map(|row| PlannedChange {
        before: Some(Row::Settlement(*row)),
        after: Row::Settlement(Settlement {
            cash_out_no: Some(cash_out_no),
            updated_at: start,
            ..*row
        }),
        closes: true,
    });
    let mut steps = vec![Planned {
        at: start,
        changes: taken.collect(),
        pools: false,
    }];
    let has = |wanted| fault == Some(wanted);
    let sum: i64 = rows.iter().map(|row| row.amount).sum();
    let created_at = start + delay(draw, parameters.max_delay);
    let created = CashOut {
        cash_out_no,
        merchant: rows[0].merchant,
        amount: if has(FaultKind::CashOutAboveSettlements) {
            sum + 10_000
        } else {
            sum
        },
        status: Status::Created,
        bank_card: draw.below(1_000_000_000_000_000),
        sent_at: None,
        updated_at: created_at,
    };
    let mut step = |at, before, after, closes| {
        steps.push(Planned {
            at,
            changes: vec![PlannedChange {
                before,
                after,
                closes,
            }],
            pools: false,
        });
    };
    step(created_at, None, Row::CashOut(created), false);
    let sent_at = created_at + delay(draw, parameters.max_delay);
    let sent = CashOut {
        status: Status::Sent,
        sent_at: Some(sent_at),
        updated_at: sent_at,
        ..created
    };
    let stuck = has(FaultKind::StuckCashOut);
    step(
        sent_at,
        Some(Row::CashOut(created)),
        Row::CashOut(sent),
        stuck,
    );
    let event = Message {
        message_id: keys.key(KeyKind::Message, u16::MAX),
        subject: cash_out_no,
        context: None,
        amount: created.amount
            + if has(FaultKind::CashOutEventAmount) {
                100
            } else {
                0
            },
        detail: Detail::Merchant(created.merchant),
        occurred_at: sent_at,
    };
    step(
        sent_at + delay(draw, parameters.max_delay),
        None,
        Row::CashOutSent(event),
        true,
    );
    if !stuck {
        let done_at = sent_at + delay(draw, parameters.max_delay);
        let manual = has(FaultKind::ManualCashOutAmount);
        let done = CashOut {
            status: Status::Success,
            updated_at: done_at,
            ..sent
        };
        step(
            done_at,
            Some(Row::CashOut(sent)),
            Row::CashOut(done),
            !manual,
        );
        if manual {
            let at = done_at + draw.between(60 * SECOND, 300 * SECOND);
            let changed = CashOut {
                amount: done.amount + 1_000,
                updated_at: at,
                ..done
            };
            step(at, Some(Row::CashOut(done)), Row::CashOut(changed), true);
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}
