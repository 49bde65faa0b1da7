//! The independent auditor: each shipped rule once more, in plain Rust over plain rows.
//!
//! It shares nothing with the engine; where both agree, both are likely right. Amounts are fen here and
//! yuan in what it reports.

use crate::key::Key;
use crate::text::{SECOND, push_decimal, to_text};

mod cash_out_rules;
mod entry_rules;
mod event_rules;
mod ledger;
mod order_rules;
mod row_rules;

pub use ledger::Ledger;

/// Settle time, and three retries ten seconds apart.
const PATIENCE: i64 = 150 * SECOND;
/// The retries alone, for a rule that has a deadline of its own and no settle time.
const RETRIES: i64 = 30 * SECOND;
/// How long a payment may stay CREATED.
const PAYMENT_DEADLINE: i64 = 300 * SECOND;

/// A rule that the rows break.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule's id.
    pub rule: &'static str,
    /// The order or cash-out.
    pub entity: Key,
    /// The finding's key: the entity's number and what else the rule names.
    pub key: Vec<String>,
    /// Money at risk, fen, with the rule's sign.
    pub amount: i64,
    /// The newest commit among the rows the rule looks at, or the rule's own deadline, microseconds.
    pub anchor: i64,
    /// How long after the anchor it is certain, microseconds.
    pub patience: i64,
}

impl Violation {
    /// The amount in yuan, such as `-12.50`.
    pub fn amount_text(&self) -> String {
        to_text(|out| push_decimal(out, self.amount, 2))
    }

    /// Whether patience has ended at `as_of`; before, it is in flight.
    pub fn is_certain(&self, as_of: i64) -> bool {
        self.anchor + self.patience <= as_of
    }
}

/// Gathers the violations of one entity.
struct Findings<'a> {
    entity: Key,
    found: &'a mut Vec<Violation>,
}

impl Findings<'_> {
    fn add(&mut self, rule: &'static str, rest: &[String], amount: i64, anchor: i64) {
        let mut key = vec![self.entity.text()];
        key.extend_from_slice(rest);
        self.found.push(Violation {
            rule,
            entity: self.entity,
            key,
            amount,
            anchor,
            patience: PATIENCE,
        });
    }

    /// Adds a violation of the rule if `broken`, with no key but the entity.
    fn add_if(&mut self, broken: bool, rule: &'static str, amount: i64, anchor: i64) {
        if broken {
            self.add(rule, &[], amount, anchor);
        }
    }
}
