//! One round: an order that is right and one with a planted loss. What detection says of them decides.

use centinel_model::{Finding, Verdict};

/// Orders are written again and again under so many numbers, so that state keeps only these.
pub const RING: u64 = 16;
/// What each order paid, in fen.
const PAID: u64 = 10_000;

/// Which orders a round is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    place: u64,
    /// What the one order lacks, in fen.
    missing: u64,
}

/// One synthetic order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub number: String,
    /// In fen.
    pub paid: u64,
    /// In fen.
    pub settled: u64,
}

impl Planted {
    /// The round of this number. The loss differs from that of the last round with the same orders.
    pub fn new(round: u64) -> Planted {
        Planted {
            place: round % RING,
            missing: 1 + round % 97,
        }
    }

    /// The right one and the one with the loss.
    pub fn orders(self) -> [Order; 2] {
        let order = |what: &str, missing| Order {
            number: format!("SELF-CHECK-{what}-{}", self.place),
            paid: PAID,
            settled: PAID - missing,
        };
        [order("RIGHT", 0), order("LOSS", self.missing)]
    }

    /// The loss as detection has to tell it.
    pub fn amount(self) -> String {
        format!("{}.{:02}", self.missing / 100, self.missing % 100)
    }
}

/// What was seen of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The loss was told as it is.
    pub found: bool,
    /// It was told to be mended after the rows were taken back.
    pub recovered: bool,
    /// What was told and is not so.
    pub wrong: Option<String>,
}

impl Seen {
    /// Takes in what detection says of the synthetic orders.
    pub fn take_in(&mut self, planted: Planted, finding: &Finding) {
        let [right, loss] = planted.orders();
        let told = |what: &str| format!("{what} (order {})", finding.entity_key);
        let breaks = matches!(finding.verdict, Verdict::Confirmed | Verdict::Undetermined);
        if finding.entity_key == right.number && breaks {
            self.wrong = Some(told("an order that is right was told as broken"));
        }
        if finding.entity_key != loss.number {
            return;
        }
        match finding.verdict {
            Verdict::Confirmed if finding.amount.as_deref() == Some(&planted.amount()) => {
                self.found = true;
            }
            Verdict::Confirmed => {
                self.wrong = Some(told("a planted loss was told with another amount"));
            }
            Verdict::Undetermined => {
                self.wrong = Some(told("a planted loss could not be judged"));
            }
            // Before it was found, this is of a round before.
            Verdict::Recovered => self.recovered |= self.found,
            Verdict::Suspected | Verdict::Cleared | Verdict::RuleChanged => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn told(key: &str, verdict: &str, amount: &str) -> Finding {
        serde_json::from_value(json!({
            "schema": "centinel/finding/1", "finding_id": "5c1de0f2a3b44c5d9e8f7a6b5c4d3e2f", "sequence": 1,
            "rule": "centinel-self-check", "rule_version": "0", "title": "t", "entity": "self_check_order",
            "entity_key": key, "key": [["order_no", key]], "verdict": verdict, "occurrence": 1, "severity": "info",
            "owner": "centinel", "amount": amount, "currency": "CNY", "hint": null,
            "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "", "judged_at": "",
        }))
        .unwrap()
    }

    #[test]
    fn the_planted_loss_must_be_told_as_it_is_and_end() {
        let planted = Planted::new(19);
        let [right, loss] = planted.orders();
        assert_eq!(
            (
                right.number.as_str(),
                loss.number.as_str(),
                planted.amount().as_str()
            ),
            ("SELF-CHECK-RIGHT-3", "SELF-CHECK-LOSS-3", "0.20")
        );
        assert_eq!((right.settled, loss.settled), (right.paid, loss.paid - 20));
        let mut seen = Seen::default();
        let mut take = |key: &str, verdict, amount| {
            seen.take_in(planted, &told(key, verdict, amount));
            seen.clone()
        };
        // What is left of a round before says nothing.
        assert_eq!(take(&loss.number, "recovered", "0.04"), Seen::default());
        assert_eq!(
            take("SELF-CHECK-LOSS-4", "confirmed", "0.21"),
            Seen::default()
        );
        assert!(take(&loss.number, "confirmed", "0.20").found);
        let seen = take(&loss.number, "recovered", "0.20");
        assert!(seen.recovered && seen.wrong.is_none());
    }

    #[test]
    fn what_is_not_so_is_wrong() {
        let planted = Planted::new(0);
        let [right, loss] = planted.orders();
        for (key, verdict, amount, said) in [
            (
                &right.number,
                "confirmed",
                "0.01",
                "right was told as broken",
            ),
            (
                &right.number,
                "undetermined",
                "0.01",
                "right was told as broken",
            ),
            (&loss.number, "confirmed", "1.00", "another amount"),
            (&loss.number, "undetermined", "0.01", "could not be judged"),
        ] {
            let mut seen = Seen::default();
            seen.take_in(planted, &told(key, verdict, amount));
            assert!(!seen.found && seen.wrong.unwrap().contains(said), "{said}");
        }
    }

    #[test]
    fn the_next_round_with_the_same_orders_has_another_loss() {
        for round in 0..1_000 {
            let (this, next) = (Planted::new(round), Planted::new(round + RING));
            assert_eq!(this.place, next.place);
            assert_ne!(this.missing, next.missing);
        }
    }
}
