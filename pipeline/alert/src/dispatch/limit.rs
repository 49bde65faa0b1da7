//! How many messages a channel takes in how much time.

use std::collections::VecDeque;

use centinel_model::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

/// So many messages in any stretch of time of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At least 1.
    pub messages: u32,
    /// How long the stretch is.
    pub per: Duration,
}

/// Limits over less than this only pace: a message waits. Above them messages are put together.
pub(crate) const PACE: Duration = Duration::seconds(30);

/// When messages were sent, attempts that failed among them, oldest first. As many as the limits look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent(VecDeque<i64>);

impl Sent {
    /// Notes that one is sent now.
    pub(crate) fn note(&mut self, limits: &[Limit], now: Timestamp) {
        let most = limits.iter().map(|limit| limit.messages).max().unwrap_or(0);
        self.0.push_back(now.0);
        while self.0.len() > most as usize {
            self.0.pop_front();
        }
    }

    /// The last one arrived at this time at the latest.
    pub(crate) fn arrived(&mut self, now: Timestamp) {
        if let Some(last) = self.0.back_mut() {
            *last = now.0.max(*last);
        }
    }

    /// When the clock was set back, what was sent counts as sent now.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        for sent in &mut self.0 {
            *sent = now.0.min(*sent);
        }
    }

    /// How many messages the long limits leave now.
    pub(crate) fn left(&self, limits: &[Limit], now: Timestamp) -> usize {
        let long = limits.iter().filter(|limit| limit.per >= PACE);
        let left = long.map(|limit| {
            let sent = self.0.iter().rev();
            let within = sent
                .take_while(|sent| now.since(Timestamp(**sent)) < limit.per)
                .count();
            (limit.messages as usize).saturating_sub(within)
        });
        left.min().unwrap_or(usize::MAX)
    }

    /// From when on one more is within all limits.
    pub(crate) fn free_at(&self, limits: &[Limit]) -> Timestamp {
        let free = limits.iter().map(|limit| {
            let before = self.0.len().checked_sub(limit.messages as usize);
            before
                .and_then(|index| self.0.get(index))
                .map_or(Timestamp::MIN, |sent| Timestamp(*sent).plus(limit.per))
        });
        free.max().unwrap_or(Timestamp::MIN)
    }
}
