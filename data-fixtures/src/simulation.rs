//! The platform at work: transactions are committed in source time and delivered as they arrive.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use crate::cash_out::{self, Pool};
use crate::fault::FaultKind;
use crate::key::{Key, KeyKind, KeyMaker};
use crate::order::{self, Planned};
use crate::parameters::SimulationParameters;
use crate::random::{Draw, mix};
use crate::record::{Change, Delivered, Event, Record};
use crate::row::{DRILL_MERCHANT, Row};
use crate::table::Source;
use crate::text::SECOND;

/// Streams of randomness that belong to no order; orders use the streams from 0 on.
const CASH_OUT_STREAM: u64 = u64::MAX;
const DELIVERY_STREAM: u64 = u64::MAX - 1;

/// A fault that was planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// What went wrong.
    pub fault: FaultKind,
    /// The order or the cash-out it befell.
    pub key: Key,
    /// When the last transaction of that order's or cash-out's own life is committed, microseconds.
    pub planted_at: i64,
}

/// What is still to come of one order or cash-out; the one whose next transaction is due first ranks highest.
struct Life {
    /// When its next transaction commits, microseconds.
    at: i64,
    serial: u64,
    steps: std::vec::IntoIter<Planned>,
}

impl Life {
    fn rank(&self) -> Reverse<(i64, u64)> {
        Reverse((self.at, self.serial))
    }
}

impl PartialEq for Life {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Life {}
impl PartialOrd for Life {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Life {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// What a source has committed and not yet delivered.
#[derive(Default)]
struct Stream {
    sequence: u64,
    last_arrival: i64,
    queue: VecDeque<Delivered>,
}

/// A history that unfolds: an iterator over everything that is delivered, in order of arrival.
///
/// Each source's own commit order is kept. Memory holds the orders in flight, not the history.
pub struct Simulation {
    parameters: SimulationParameters,
    next_order: u64,
    lives: BinaryHeap<Life>,
    serial: u64,
    streams: [Stream; Source::ALL.len()],
    pools: Vec<Pool>,
    cash_outs: u64,
    cash_out_faults: VecDeque<FaultKind>,
    cash_out_draw: Draw,
    delivery_draw: Draw,
    order_seed: u64,
    planted: Vec<Planted>,
    /// Everything before this time is committed.
    clock: i64,
    next_heartbeat: i64,
    /// When the last heartbeats are due; known once the last row is committed.
    end: Option<i64>,
    swept: bool,
}

impl Simulation {
    /// A platform before its first order. Values out of bounds are moved to the nearest bound.
    pub fn new(parameters: SimulationParameters) -> Simulation {
        let parameters = parameters.bounded();
        let merchants = i64::from(parameters.merchants);
        let due =
            |merchant| parameters.start + parameters.cash_out_every / merchants * (merchant + 1);
        let pools = (0..merchants)
            .map(|merchant| Pool {
                rows: Vec::new(),
                due: due(merchant),
            })
            .collect();
        Simulation {
            next_order: 0,
            lives: BinaryHeap::new(),
            serial: 0,
            streams: std::array::from_fn(|_| Stream::default()),
            pools,
            cash_outs: 0,
            cash_out_faults: VecDeque::new(),
            cash_out_draw: Draw::new(parameters.seed, CASH_OUT_STREAM),
            delivery_draw: Draw::new(parameters.seed, DELIVERY_STREAM),
            order_seed: mix(parameters.seed),
            planted: Vec::new(),
            clock: parameters.start,
            next_heartbeat: parameters.start + parameters.heartbeat_every,
            end: None,
            swept: false,
            parameters,
        }
    }

    /// The faults planted since the last call. A fault is known before its first record is delivered.
    pub fn take_planted(&mut self) -> Vec<Planted> {
        std::mem::take(&mut self.planted)
    }

    /// The time that every source has reached with its last heartbeat; `None` before the end is known.
    pub fn end(&self) -> Option<i64> {
        self.end
    }

    /// Does what comes next in source time: an order begins, a transaction commits, or heartbeats are due.
    fn step(&mut self) {
        let order = (self.next_order < self.parameters.orders).then(|| self.order_start());
        let commit = self.lives.peek().map(|life| life.at);
        let next_change = order.into_iter().chain(commit).min();
        match next_change {
            Some(at) if at > self.next_heartbeat => self.beat(),
            Some(at) if order == Some(at) => self.begin_order(at),
            Some(_) => self.commit_next(),
            None if !self.swept => self.sweep(),
            None => self.beat(),
        }
    }

    /// When the next order begins: evenly spread, moved about within its share of the second.
    fn order_start(&self) -> i64 {
        let rate = self.parameters.orders_per_second;
        let gap = (SECOND as u64 / rate).max(1);
        let even = u128::from(self.next_order) * SECOND as u128 / u128::from(rate);
        self.parameters.start
            + even as i64
            + (mix(self.parameters.seed ^ self.next_order) % gap) as i64
    }

    fn begin_order(&mut self, at: i64) {
        self.clock = at;
        let number = self.next_order;
        self.next_order += 1;
        let mut draw = Draw::new(self.order_seed, number);
        let drawn = draw
            .chance(self.parameters.fault_share)
            .then(|| *draw.pick(FaultKind::ALL));
        let fault = self.parameters.fault_asked_for(number).or(drawn);
        let (of_cash_out, of_order) = match fault {
            Some(fault) if fault.is_on_cash_out() => (Some(fault), None),
            other => (None, other),
        };
        self.cash_out_faults.extend(of_cash_out);
        let steps = order::script(&self.parameters, number, at, of_order, draw);
        if let (Some(fault), Some(last)) = (of_order, steps.last()) {
            let keys = KeyMaker::new(self.parameters.key_style, self.parameters.seed, number, at);
            self.planted.push(Planted {
                fault,
                key: keys.key(KeyKind::Order, 0),
                planted_at: last.at,
            });
        }
        self.plan(steps);
    }

    /// Takes on an order's or cash-out's transactions, which stand in commit order.
    fn plan(&mut self, steps: Vec<Planned>) {
        if let Some(first) = steps.first() {
            self.serial += 1;
            self.lives.push(Life {
                at: first.at,
                serial: self.serial,
                steps: steps.into_iter(),
            });
        }
    }

    /// The transaction that is due first.
    fn take_next(&mut self) -> Option<Planned> {
        let mut life = self.lives.peek_mut()?;
        let planned = life.steps.next();
        match life.steps.as_slice().first().map(|next| next.at) {
            Some(next) => life.at = next,
            None => {
                PeekMut::pop(life);
            }
        }
        planned
    }

    fn commit_next(&mut self) {
        let Some(planned) = self.take_next() else {
            return;
        };
        self.clock = planned.at;
        if let (true, Row::Settlement(row)) = (planned.pools, planned.changes[0].after) {
            let pool = (row.merchant & !DRILL_MERCHANT) as usize;
            self.pools[pool].rows.push(row);
        }
        let source = planned.changes[0].after.table().source();
        let arrival = self.arrival(source, planned.at);
        let stream = &mut self.streams[source as usize];
        stream.sequence += 1;
        let rows = planned.changes.len();
        for (ordinal, change) in planned.changes.into_iter().enumerate() {
            let record = if source == Source::BusinessEvents {
                Record::Event(Event {
                    committed_at: planned.at,
                    row: change.after,
                })
            } else {
                Record::Change(Change {
                    epoch: 1,
                    sequence: stream.sequence,
                    ordinal: ordinal as u32,
                    last: ordinal + 1 == rows,
                    committed_at: planned.at,
                    before: change.before,
                    after: change.after,
                    closes: change.closes,
                    by_hand: change.by_hand,
                })
            };
            stream.queue.push_back(Delivered {
                arrival,
                source,
                record,
            });
        }
    }

    /// Draws when something committed at `at` arrives: mostly within two seconds, never before what its source
    /// committed earlier.
    fn arrival(&mut self, source: Source, at: i64) -> i64 {
        let slow = self.delivery_draw.chance(200);
        let delay = if slow {
            self.delivery_draw.between(2 * SECOND, 5 * SECOND)
        } else {
            self.delivery_draw.between(5_000, 2 * SECOND)
        };
        let stream = &mut self.streams[source as usize];
        stream.last_arrival = stream.last_arrival.max(at + delay);
        stream.last_arrival
    }

    fn beat(&mut self) {
        let at = self.next_heartbeat;
        self.clock = at;
        self.next_heartbeat = at + self.parameters.heartbeat_every;
        for source in Source::ALL {
            let arrival = self.arrival(source, at);
            let record = Record::Heartbeat(at);
            self.streams[source as usize].queue.push_back(Delivered {
                arrival,
                source,
                record,
            });
        }
        if !self.swept {
            self.cash_out_due(at);
        }
    }

    fn cash_out_due(&mut self, at: i64) {
        for merchant in 0..self.pools.len() {
            let pool = &mut self.pools[merchant];
            if pool.due <= at || pool.rows.len() >= self.parameters.cash_out_rows {
                pool.due = pool.due.max(at) + self.parameters.cash_out_every;
                self.cash_out(merchant, at);
            }
        }
    }

    /// After the last order: whatever waits goes out, then only heartbeats follow.
    fn sweep(&mut self) {
        for merchant in 0..self.pools.len() {
            self.cash_out(merchant, self.clock);
        }
        self.swept = true;
        let ends = self
            .lives
            .iter()
            .filter_map(|life| life.steps.as_slice().last());
        let last = ends.map(|step| step.at).max().unwrap_or(self.clock);
        let beats = (last + self.parameters.tail - self.next_heartbeat)
            .max(0)
            .div_euclid(self.parameters.heartbeat_every);
        self.end = Some(self.next_heartbeat + (beats + 1) * self.parameters.heartbeat_every);
    }

    fn cash_out(&mut self, merchant: usize, at: i64) {
        if self.pools[merchant].sum() <= 0 {
            return;
        }
        let rows = std::mem::take(&mut self.pools[merchant].rows);
        let start = at + self.cash_out_draw.between(1_000, 900_000);
        let keys = KeyMaker::new(
            self.parameters.key_style,
            self.parameters.seed,
            self.cash_outs,
            start,
        );
        self.cash_outs += 1;
        let fault = self.cash_out_faults.pop_front();
        let steps = cash_out::script(
            &self.parameters,
            keys,
            &rows,
            start,
            fault,
            &mut self.cash_out_draw,
        );
        if let Some(fault) = fault {
            let planted_at = steps.iter().map(|step| step.at).max().unwrap_or(start);
            self.planted.push(Planted {
                fault,
                key: keys.key(KeyKind::CashOut, 0),
                planted_at,
            });
        }
        self.plan(steps);
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.next_heartbeat > end)
    }
}

impl Iterator for Simulation {
    type Item = Delivered;

    fn next(&mut self) -> Option<Delivered> {
        loop {
            let first = self
                .streams
                .iter()
                .enumerate()
                .filter_map(|(index, stream)| {
                    stream.queue.front().map(|head| (head.arrival, index))
                })
                .min();
            match first {
                // Whatever is committed from now on arrives later than the clock.
                Some((arrival, index)) if arrival <= self.clock || self.is_over() => {
                    return self.streams[index].queue.pop_front();
                }
                None if self.is_over() => return None,
                _ => self.step(),
            }
        }
    }
}
