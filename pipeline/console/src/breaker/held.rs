//! What is held now, by point and money.

use std::collections::BTreeMap;

use centinel_model::Amount;

use super::forms::{Cause, Hold, Money, Point};
use super::{Breaker, BreakerProblem};

/// Holds that are added up; of more the figures say that they are not whole.
const MOST_ADDED_UP: usize = 5_000;
const PAGE: usize = 1_000;

/// What is held at one point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldAt {
    /// Requests.
    pub requests: u64,
    /// Their money; a sum of more than 38 digits is left out.
    pub money: Money,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// By point.
    pub at: BTreeMap<Point, HeldAt>,
    /// Whether there is more than was added up.
    pub more: bool,
}

impl Held {
    /// Adds up some.
    pub fn of<'a>(holds: impl IntoIterator<Item = &'a Hold>) -> Held {
        let mut sums: BTreeMap<(Point, String), Option<Amount>> = BTreeMap::new();
        let mut held = Held::default();
        for hold in holds {
            let request = &hold.request;
            held.at.entry(request.point).or_default().requests += 1;
            let sum = sums
                .entry((request.point, request.currency.clone()))
                .or_insert(Some(Amount { units: 0, scale: 0 }));
            *sum = (*sum)
                .zip(Amount::exact(&request.amount).ok())
                .and_then(|(sum, more)| sum.checked_add(more));
        }
        for ((point, currency), sum) in sums {
            if let Some(sum) = sum {
                let at = held.at.entry(point).or_default();
                at.money.insert(currency, sum.to_string());
            }
        }
        held
    }
}

impl Breaker {
    /// What is held now, by point.
    pub async fn held(&self, token: &str) -> Result<Held, BreakerProblem> {
        let mut holds: Vec<Hold> = Vec::new();
        let mut more = false;
        for cause in self.causes(token).await? {
            if holds.len() >= MOST_ADDED_UP {
                more = true;
                break;
            }
            more |= self.add_those_of(token, &cause.cause, &mut holds).await?;
        }
        Ok(Held {
            more,
            ..Held::of(&holds)
        })
    }

    /// Says whether there are more.
    async fn add_those_of(
        &self,
        token: &str,
        cause: &Cause,
        holds: &mut Vec<Hold>,
    ) -> Result<bool, BreakerProblem> {
        let mut after = 0;
        while holds.len() < MOST_ADDED_UP {
            let (page, next) = self.holds(token, cause, after, PAGE).await?;
            holds.extend(page);
            match next {
                Some(next) => after = next,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hold(point: &str, amount: &str, currency: &str) -> Hold {
        let text = format!(
            r#"{{"request":{{"request_id":"r","point":"{point}","business_code":"B","merchant_no":"M","order_no":"O",
            "amount":"{amount}","currency":"{currency}"}},"cause":"stale","claim":1,"state":"held","round":1,
            "held_at":"2026-11-22T08:00:00Z","passed":[],"decided":null}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn money_is_added_up_by_point_and_currency() {
        let held = Held::of(&[
            hold("refund", "1.5", "CNY"),
            hold("refund", "0.75", "CNY"),
            hold("refund", "2", "USD"),
            hold("cash_out", "3.00", "CNY"),
        ]);
        let refund = &held.at[&Point::Refund];
        assert_eq!(refund.requests, 3);
        assert_eq!(refund.money["CNY"], "2.25");
        assert_eq!(refund.money["USD"], "2");
        assert_eq!(held.at[&Point::CashOut].money["CNY"], "3.00");
        assert!(!held.at.contains_key(&Point::Settlement));
    }
}
