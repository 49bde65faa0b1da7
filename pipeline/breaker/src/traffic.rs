//! What passed lately, to tell what a trip would hold.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use centinel_model::Duration;
use serde::Serialize;

use crate::{Instant, Money, Name, Points, Request, Scope};

/// Requests are kept in pieces, so that a look takes hold of the pieces and reads them without stopping the traffic.
const PIECE: usize = 4_096;

/// The newest requests, up to a number and an age.
#[derive(Clone, Debug)]
pub struct Traffic {
    pieces: VecDeque<Arc<Vec<(Instant, Request)>>>,
    open: Vec<(Instant, Request)>,
    most: usize,
    keep: Duration,
}

/// What a trip would have held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Different requests.
    pub requests: u64,
    /// Their money.
    pub money: Money,
    /// Different merchants.
    pub merchants: u64,
    /// Those merchants with the most requests first, at most ten.
    pub most_concerned: Vec<(Name, u64)>,
    /// From how far back the traffic is known, in microseconds.
    pub known_for_us: i64,
    /// How many requests are known of all scopes and points.
    pub known_requests: u64,
}

impl Traffic {
    /// Keeps at most so many requests, none older than `keep`.
    pub fn new(most: usize, keep: Duration) -> Traffic {
        Traffic {
            pieces: VecDeque::new(),
            open: Vec::new(),
            most: most.max(PIECE),
            keep,
        }
    }

    /// One more request. Gives back what is too old now, so that it can be dropped where nobody waits.
    pub fn saw(
        &mut self,
        clock: Instant,
        request: Request,
    ) -> Option<Arc<Vec<(Instant, Request)>>> {
        if self.open.capacity() == 0 {
            self.open.reserve(PIECE);
        }
        self.open.push((clock, request));
        if self.open.len() < PIECE {
            return None;
        }
        self.pieces
            .push_back(Arc::new(std::mem::take(&mut self.open)));
        let full = self.pieces.len() > self.most / PIECE;
        full.then(|| self.pieces.pop_front()).flatten()
    }

    /// The same as it is now, to be read while traffic goes on.
    pub fn now(&self) -> Traffic {
        self.clone()
    }

    /// What a trip over this scope at these points would have held.
    pub fn preview(&self, clock: Instant, scope: &Scope, points: Points) -> Preview {
        let earliest = Instant(clock.0.saturating_sub(self.keep.0));
        let pieces = self.pieces.iter().flat_map(|piece| piece.iter());
        let known = pieces.chain(&self.open).filter(|(at, _)| *at >= earliest);
        let mut preview = Preview::default();
        let (mut seen, mut merchants) = (HashSet::new(), HashMap::new());
        for (at, request) in known {
            if preview.known_requests == 0 {
                preview.known_for_us = clock.since(*at).0;
            }
            preview.known_requests += 1;
            let held = points.contains(request.point) && scope.covers(request);
            if held && seen.insert(&request.request_id) {
                preview.money.add(request.amount, request.currency);
                *merchants.entry(&request.merchant_no).or_insert(0u64) += 1;
            }
        }
        preview.requests = seen.len() as u64;
        preview.merchants = merchants.len() as u64;
        let mut most: Vec<_> = merchants.into_iter().collect();
        most.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        let most = most.into_iter().take(10);
        preview.most_concerned = most.map(|(name, count)| (name.clone(), count)).collect();
        preview
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, Point, read_amount};

    fn request(number: usize, merchant: &str) -> Request {
        let name = |text: String| Name::new(&text).expect("a name");
        Request {
            request_id: name(format!("r{number}")),
            point: Point::Refund,
            business_code: name("B".into()),
            merchant_no: name(merchant.into()),
            order_no: name(format!("o{number}")),
            amount: read_amount("1.50").expect("an amount"),
            currency: Currency::new("CNY").expect("a currency"),
        }
    }

    #[test]
    fn counts_each_request_once_within_the_time_and_the_points() {
        let mut traffic = Traffic::new(10_000, Duration::seconds(60));
        traffic.saw(Instant(0), request(0, "M1"));
        for number in 0..10_000 {
            traffic.saw(Instant(30_000_000), request(number / 2, "M1"));
        }
        traffic.saw(Instant(40_000_000), request(7_000, "M2"));
        let refund = Points::new(&[Point::Refund]).expect("a point");
        let preview = traffic.preview(Instant(70_000_000), &Scope::All, refund);
        assert_eq!(preview.merchants, 2);
        assert!(
            preview.requests > 2_000 && preview.requests <= 5_001,
            "{preview:?}"
        );
        assert_eq!(preview.most_concerned[0].0.as_str(), "M1");
        let merchant = Scope::Merchant(Name::new("M2").expect("a name"));
        let preview = traffic.preview(Instant(70_000_000), &merchant, refund);
        assert_eq!(
            (preview.requests, preview.money.to_string()),
            (1, "1.50 CNY".into())
        );
        let late = traffic.preview(Instant(95_000_000), &Scope::All, refund);
        assert_eq!(late.requests, 1);
        let cash_out = Points::new(&[Point::CashOut]).expect("a point");
        assert_eq!(
            traffic
                .preview(Instant(70_000_000), &Scope::All, cash_out)
                .requests,
            0
        );
    }
}
