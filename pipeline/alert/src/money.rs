//! Exact sums of money by currency, never across.

use std::collections::BTreeMap;
use std::fmt;

use centinel_model::Amount;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A currency can be a column of the data: so many are told apart.
const MOST_CURRENCIES: usize = 16;

/// Sums by currency in major units, and how many amounts are not in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// ISO 4217 code → sum.
    by_currency: BTreeMap<String, Sum>,
    /// Findings whose amount is in none of the sums: unreadable, without a currency, or one currency too many.
    #[serde(default)]
    uncounted: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum(Amount);

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Sum, D::Error> {
        let text = String::deserialize(from)?;
        Amount::exact(&text).map(Sum).map_err(D::Error::custom)
    }
}

/// What one finding says of its money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtRisk {
    /// Its rule names no amount.
    Nothing,
    /// So much, with its currency's code.
    Some(String, String),
    /// It names an amount that cannot be added up.
    Unclear,
}

impl AtRisk {
    /// Of a finding's `amount` and `currency`.
    pub fn of(amount: Option<&str>, currency: Option<&str>) -> AtRisk {
        match (amount, currency) {
            (None, _) => AtRisk::Nothing,
            (Some(amount), Some(currency)) if Amount::exact(amount).is_ok() => {
                AtRisk::Some(amount.to_owned(), currency.to_owned())
            }
            _ => AtRisk::Unclear,
        }
    }

    /// The amount, where it can be read.
    pub fn amount(&self) -> Option<Amount> {
        match self {
            AtRisk::Some(amount, _) => Amount::exact(amount).ok(),
            AtRisk::Nothing | AtRisk::Unclear => None,
        }
    }

    /// The currency, where there is an amount.
    pub fn currency(&self) -> Option<&str> {
        match self {
            AtRisk::Some(_, currency) => Some(currency),
            AtRisk::Nothing | AtRisk::Unclear => None,
        }
    }
}

impl Money {
    /// Adds what a finding has at risk.
    pub fn add(&mut self, risk: &AtRisk) {
        match (risk, risk.amount()) {
            (AtRisk::Nothing, _) => {}
            (AtRisk::Some(_, currency), Some(amount)) => self.put(currency, amount, 1),
            _ => self.uncounted += 1,
        }
    }

    /// Takes away what a finding had at risk; of one that was not added, the sum becomes negative.
    pub fn remove(&mut self, risk: &AtRisk) {
        match (risk, risk.amount()) {
            (AtRisk::Nothing, _) => {}
            (AtRisk::Some(_, currency), Some(amount)) if self.has_room(currency) => {
                let taken = Amount {
                    units: -amount.units,
                    scale: amount.scale,
                };
                self.put(currency, taken, 1);
            }
            _ => self.uncounted = self.uncounted.saturating_sub(1),
        }
    }

    /// Adds another's sums.
    pub fn add_all(&mut self, other: &Money) {
        for (currency, sum) in &other.by_currency {
            self.put(currency, sum.0, 1);
        }
        self.uncounted += other.uncounted;
    }

    fn has_room(&self, currency: &str) -> bool {
        self.by_currency.len() < MOST_CURRENCIES || self.by_currency.contains_key(currency)
    }

    fn put(&mut self, currency: &str, amount: Amount, findings: u64) {
        if !self.has_room(currency) {
            self.uncounted += findings;
            return;
        }
        let sum = self.by_currency.entry(currency.to_owned()).or_default();
        match sum.0.checked_add(amount) {
            Some(added) => sum.0 = added,
            None => self.uncounted += findings,
        }
    }

    /// Currency and sum, without those that are zero.
    pub fn sums(&self) -> impl Iterator<Item = (&str, Amount)> {
        let sums = self.by_currency.iter();
        sums.map(|(currency, sum)| (currency.as_str(), sum.0))
            .filter(|(_, sum)| sum.units != 0)
    }

    /// Findings whose amount is in none of the sums.
    pub fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.uncounted == 0 && self.sums().next().is_none()
    }
}

/// An amount with its thousands apart: `1,234,567.80`.
pub(crate) fn grouped(amount: Amount) -> String {
    let text = amount.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

impl fmt::Display for Money {
    /// `CNY 1,234.50, USD 7`, or nothing.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self
            .sums()
            .map(|(currency, sum)| format!("{currency} {}", grouped(sum)))
            .collect();
        if self.uncounted > 0 {
            parts.push(format!("{} amounts not added up", self.uncounted));
        }
        out.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(amount: &str, currency: &str) -> AtRisk {
        AtRisk::of(Some(amount), Some(currency))
    }

    #[test]
    fn sums_are_exact_and_never_cross_currencies() {
        let mut money = Money::default();
        for (amount, currency) in [("0.10", "CNY"), ("0.20", "CNY"), ("1000000", "JPY")] {
            money.add(&risk(amount, currency));
        }
        assert_eq!(money.to_string(), "CNY 0.30, JPY 1,000,000");
        money.remove(&risk("0.30", "CNY"));
        assert_eq!(money.to_string(), "JPY 1,000,000");
        money.remove(&risk("1234.5", "USD"));
        assert_eq!(money.to_string(), "JPY 1,000,000, USD -1,234.5");
    }

    #[test]
    fn what_cannot_be_added_up_is_counted() {
        let mut money = Money::default();
        money.add(&AtRisk::of(Some("much"), Some("CNY")));
        money.add(&AtRisk::of(Some("5"), None));
        money.add(&AtRisk::of(None, None));
        for number in 0..20 {
            money.add(&risk("1", &format!("C{number}")));
        }
        assert_eq!(money.uncounted(), 2 + 4);
        assert_eq!(money.sums().count(), 16);
        let written = serde_json::to_string(&money).expect("serializes");
        assert_eq!(
            serde_json::from_str::<Money>(&written).expect("reads"),
            money
        );
    }
}
