//! The life of one order, written down as the transactions that the platform will commit.

use crate::fault::FaultKind;
use crate::key::{Key, KeyKind, KeyMaker, KeyStyle};
use crate::parameters::SimulationParameters;
use crate::random::Draw;
use crate::row::{Channel, DRILL_MERCHANT, Detail, Message, Payment, Row};
use crate::table::Table;
use crate::text::SECOND;

mod accounting;
mod payment;
mod refund;
mod settlement;

/// A transaction that will be committed.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// When, microseconds.
    pub at: i64,
    /// Its rows, all of one source; never empty.
    pub changes: Vec<PlannedChange>,
    /// Whether its one row, a settlement, waits for a cash-out from then on.
    pub pools: bool,
}

/// One row of a planned transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedChange {
    pub before: Option<Row>,
    pub after: Row,
    pub closes: bool,
    /// Whether somebody made it by hand.
    pub by_hand: bool,
}

/// Draws how long an effect waits for its cause: mostly below two seconds, never above `longest`.
pub(crate) fn delay(draw: &mut Draw, longest: i64) -> i64 {
    let (from, to) = match draw.below(100) {
        0..70 => (20_000, 2 * SECOND),
        70..95 => (2 * SECOND, 6 * SECOND),
        _ => (6 * SECOND, longest),
    };
    draw.between(from.min(longest), to.min(longest))
}

/// Writes one order's transactions.
pub(crate) struct Script<'a> {
    parameters: &'a SimulationParameters,
    draw: Draw,
    keys: KeyMaker,
    order_no: Key,
    fault: Option<FaultKind>,
    merchant: u32,
    channel: Channel,
    steps: Vec<Planned>,
    messages: u16,
    settlements: u16,
    entries: u16,
}

/// Everything that happens to one order, in commit order.
pub(crate) fn script(
    parameters: &SimulationParameters,
    number: u64,
    start: i64,
    fault: Option<FaultKind>,
    mut draw: Draw,
) -> Vec<Planned> {
    let keys = KeyMaker::new(parameters.key_style, parameters.seed, number, start);
    let merchant = draw
        .below(u64::from(parameters.merchants))
        .min(draw.below(u64::from(parameters.merchants))) as u32;
    let merchant = match parameters.key_style {
        KeyStyle::Drill => merchant | DRILL_MERCHANT,
        _ => merchant,
    };
    let channel = match (fault, draw.below(100)) {
        (Some(fault), _) if fault.needs_voucher() => Channel::Voucher,
        (_, 0..45) => Channel::Wx,
        (_, 45..80) => Channel::Ali,
        (None, 90..95) => Channel::Voucher,
        (None, 95..) => Channel::Cash,
        _ => Channel::Card,
    };
    let mut script = Script {
        parameters,
        draw,
        keys,
        order_no: keys.key(KeyKind::Order, 0),
        fault,
        merchant,
        channel,
        steps: Vec::with_capacity(16),
        messages: 0,
        settlements: 0,
        entries: 0,
    };
    script.play(start);
    script.seal()
}

impl Script<'_> {
    fn play(&mut self, start: i64) {
        let amount = self.draw_amount();
        let payment = self.pay(start, 1, amount);
        let Some(paid_at) = payment.paid_at else {
            if self.has(FaultKind::ClosedPaymentSettled) {
                self.settle_payment(payment.updated_at, amount);
            }
            return;
        };
        if self.has(FaultKind::DuplicatePayment) {
            let again = paid_at + self.draw.between(SECOND, 10 * SECOND);
            self.pay(again, 2, amount);
        }
        self.bill(&payment, paid_at);
        if !self.has(FaultKind::MissingSettlement) {
            self.settle_payment(paid_at, amount);
        }
        if self.has(FaultKind::DuplicateSettlement) {
            self.settle_payment(paid_at + 5 * SECOND, amount);
        }
        self.refund_some(&payment, paid_at);
        if self.parameters.manual_share > 0 && self.draw.chance(self.parameters.manual_share) {
            self.touch(&payment, paid_at);
        }
    }

    /// Somebody changes the paid payment by hand in a way that moves no money and breaks no balance, at any time: at
    /// once, while all else is still on its way, or much later.
    fn touch(&mut self, payment: &Payment, paid_at: i64) {
        if self.fault.is_some() {
            return;
        }
        let at = paid_at + self.draw.between(1_000, 600 * SECOND);
        let mut touched = Payment {
            updated_at: at,
            ..*payment
        };
        if self.draw.chance(5_000) {
            touched.payer_account = self.draw.below(10_000_000_000);
        }
        self.amend(at, Row::Payment(*payment), Row::Payment(touched));
    }

    fn draw_amount(&mut self) -> i64 {
        if self.has(FaultKind::ZeroPayment) {
            return 0;
        }
        match self.draw.below(100) {
            0..80 => self.draw.between(500, 50_000),
            80..97 => self.draw.between(50_000, 500_000),
            _ => self.draw.between(500_000, 5_000_000),
        }
    }

    fn has(&self, fault: FaultKind) -> bool {
        self.fault == Some(fault)
    }

    fn delay(&mut self) -> i64 {
        delay(&mut self.draw, self.parameters.max_delay)
    }

    /// How long after the fact somebody changes a row by hand.
    fn manual_delay(&mut self) -> i64 {
        self.draw.between(60 * SECOND, 300 * SECOND)
    }

    fn insert(&mut self, at: i64, after: Row) {
        self.commit(
            at,
            vec![PlannedChange {
                before: None,
                after,
                closes: false,
                by_hand: false,
            }],
        );
    }

    fn update(&mut self, at: i64, before: Row, after: Row) {
        self.commit(
            at,
            vec![PlannedChange {
                before: Some(before),
                after,
                closes: false,
                by_hand: false,
            }],
        );
    }

    /// An update that somebody makes by hand.
    fn amend(&mut self, at: i64, before: Row, after: Row) {
        let change = PlannedChange {
            before: Some(before),
            after,
            closes: false,
            by_hand: true,
        };
        self.commit(at, vec![change]);
    }

    fn commit(&mut self, at: i64, changes: Vec<PlannedChange>) {
        self.steps.push(Planned {
            at,
            changes,
            pools: false,
        });
    }

    /// Publishes an event about what was committed at `cause`: now and then shortly before the row itself.
    fn publish(
        &mut self,
        cause: i64,
        event: impl FnOnce(Message) -> Row,
        subject: Key,
        context: Key,
        amount: i64,
    ) {
        self.messages += 1;
        let early = self.draw.chance(1_000);
        let at = if early {
            cause - self.draw.between(1_000, 300_000)
        } else {
            cause + self.delay()
        };
        let message = Message {
            message_id: self.keys.key(KeyKind::Message, self.messages),
            subject,
            context: Some(context),
            amount,
            detail: Detail::None,
            published_at: at,
        };
        self.insert(at, event(message));
    }

    /// Puts the transactions into commit order and marks each row's last change.
    fn seal(mut self) -> Vec<Planned> {
        self.steps.sort_by_key(|step| step.at);
        let mut seen: Vec<(Table, Key)> = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter_mut().rev() {
            for change in &mut step.changes {
                let row = (change.after.table(), change.after.primary_key());
                let known = seen.contains(&row);
                change.closes = !known && !step.pools;
                if !known {
                    seen.push(row);
                }
            }
        }
        self.steps
    }
}
