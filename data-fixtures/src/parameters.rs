//! What shapes a simulated history.

use crate::fault::FaultKind;
use crate::key::KeyStyle;
use crate::text::SECOND;

/// What shapes a simulated history. Times are microseconds of source time, shares are of ten thousand.
#[derive(Clone, Debug)]
pub struct SimulationParameters {
    /// Equal parameters and seed give equal bytes.
    pub seed: u64,
    /// How many orders.
    pub orders: u64,
    /// When the first order begins, microseconds since 1970-01-01 UTC.
    pub start: i64,
    /// Orders begun in a second of source time, at least 1. Memory grows with it.
    pub orders_per_second: u64,
    /// How business numbers look.
    pub key_style: KeyStyle,
    /// How many merchants, at least 2.
    pub merchants: u32,
    /// The longest delay between a cause's commit and its effect's.
    pub max_delay: i64,
    /// Time between two heartbeats of a source, at least 1 ms.
    pub heartbeat_every: i64,
    /// How long heartbeats go on after the last row, so that patience can end.
    pub tail: i64,
    /// Share of payments that are closed unpaid.
    pub closed_share: u32,
    /// Share of paid orders that are refunded.
    pub refund_share: u32,
    /// Share of refunds that fail.
    pub refund_failed_share: u32,
    /// How long after the payment the first refund may begin.
    pub refund_within: i64,
    /// Time between two cash-outs of a merchant.
    pub cash_out_every: i64,
    /// Settlements that make a cash-out due before its time.
    pub cash_out_rows: usize,
    /// Share of orders that get a fault drawn from all kinds.
    pub fault_share: u32,
    /// Share of healthy paid orders whose payment somebody changes by hand, so that no balance breaks.
    pub manual_share: u32,
    /// Faults planted once each, spread over the history.
    pub faults: Vec<FaultKind>,
}

impl Default for SimulationParameters {
    /// A healthy history that begins on 2026-11-22 at 08:00 UTC.
    fn default() -> Self {
        SimulationParameters {
            seed: 1,
            orders: 1_000,
            start: 1_795_334_400 * SECOND,
            orders_per_second: 20,
            key_style: KeyStyle::TimeOrdered,
            merchants: 200,
            max_delay: 20 * SECOND,
            heartbeat_every: SECOND,
            tail: 900 * SECOND,
            closed_share: 300,
            refund_share: 1_200,
            refund_failed_share: 500,
            refund_within: 600 * SECOND,
            cash_out_every: 3_600 * SECOND,
            cash_out_rows: 200,
            fault_share: 0,
            manual_share: 0,
            faults: Vec::new(),
        }
    }
}

impl SimulationParameters {
    /// The same with every value inside its bounds.
    pub(crate) fn bounded(mut self) -> SimulationParameters {
        self.orders_per_second = self.orders_per_second.clamp(1, 1_000_000);
        self.merchants = self.merchants.max(2);
        self.max_delay = self.max_delay.max(1_000);
        self.heartbeat_every = self.heartbeat_every.max(1_000);
        self.cash_out_rows = self.cash_out_rows.max(1);
        self
    }

    /// The fault that was asked for on this order by name: the n-th one stands at its share of the history.
    pub(crate) fn fault_asked_for(&self, order: u64) -> Option<FaultKind> {
        let count = self.faults.len() as u64;
        if count == 0 {
            return None;
        }
        let place =
            |nth: u64| (u128::from(nth) * u128::from(self.orders) / u128::from(count)) as u64;
        let nth = (u128::from(order) * u128::from(count)).div_ceil(u128::from(self.orders)) as u64;
        (nth < count && place(nth) == order).then(|| self.faults[nth as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_asked_for_has_an_order() {
        for orders in [42, 100, 1_001] {
            let parameters = SimulationParameters {
                orders,
                faults: FaultKind::ALL.to_vec(),
                ..SimulationParameters::default()
            };
            let planted: Vec<FaultKind> = (0..orders)
                .filter_map(|order| parameters.fault_asked_for(order))
                .collect();
            assert_eq!(planted, FaultKind::ALL);
        }
    }
}
