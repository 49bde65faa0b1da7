use std::collections::BTreeMap;

use centinel_model::Amount;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::Currency;

const PRECISION: u8 = 24;
const SCALE: u8 = 4;

/// Reads an amount in major units: plain decimal text, not negative, at most 4 digits behind the point.
pub fn read_amount(text: &str) -> Result<Amount, String> {
    let refuse = |why: &dyn std::fmt::Display| {
        format!("the amount is {why}: write it in major units as text, such as \"12.50\"")
    };
    let amount = Amount::parse(text, PRECISION, SCALE).map_err(|error| refuse(&error))?;
    match amount.units < 0 {
        true => Err(refuse(&"negative")),
        false => Ok(amount.normalised()),
    }
}

/// Writes an amount as it is read.
pub fn write_amount(amount: Amount) -> String {
    let amount = amount.normalised();
    // Most currencies have two digits behind the point.
    let missing = 2u8.saturating_sub(amount.scale);
    match amount.units.checked_mul(10i128.pow(u32::from(missing))) {
        Some(units) => Amount {
            units,
            scale: amount.scale + missing,
        }
        .to_string(),
        None => amount.to_string(),
    }
}

pub(crate) fn write<S: Serializer>(amount: &Amount, out: S) -> Result<S::Ok, S::Error> {
    write_amount(*amount).serialize(out)
}

pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Amount, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
    read_amount(&text).map_err(D::Error::custom)
}

/// Sums by currency, never across: an object in JSON, such as `{"CNY": "12.50"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money(BTreeMap<Currency, Amount>);

impl Money {
    /// One amount.
    pub fn of(amount: Amount, currency: Currency) -> Money {
        Money(BTreeMap::from([(currency, amount)]))
    }

    /// Adds an amount. A sum beyond 38 digits stays at the greatest that there is, so that it is above every limit.
    pub fn add(&mut self, amount: Amount, currency: Currency) {
        const GREATEST: Amount = Amount {
            units: i128::MAX,
            scale: 0,
        };
        let sum = self.0.entry(currency).or_default();
        *sum = sum.checked_add(amount).unwrap_or(GREATEST);
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Money) {
        for (currency, amount) in other.iter() {
            self.add(amount, currency);
        }
    }

    /// The sums, by currency.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Amount)> {
        self.0.iter().map(|(currency, amount)| (*currency, *amount))
    }

    /// The currencies whose sum is above the limit. A sum in a currency without a limit is above it, unless it is zero.
    pub fn above(&self, limits: &Money) -> Vec<Currency> {
        let zero = Amount::default();
        let above = |(currency, amount): &(Currency, Amount)| {
            let limit = limits.0.get(currency).copied().unwrap_or(zero);
            // What cannot be compared is too large to compare.
            amount.partial_cmp(&limit) != Some(std::cmp::Ordering::Less) && *amount != limit
        };
        self.iter()
            .filter(above)
            .map(|(currency, _)| currency)
            .collect()
    }

    /// The sum in a currency, zero where there is none.
    pub fn get(&self, currency: Currency) -> Amount {
        self.0.get(&currency).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = self
            .iter()
            .map(|(currency, amount)| format!("{} {currency}", write_amount(amount)));
        out.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(
            self.iter()
                .map(|(currency, amount)| (currency, write_amount(amount))),
        )
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let texts = BTreeMap::<Currency, String>::deserialize(from)?;
        let read = |(currency, text): (Currency, String)| {
            let amount = read_sum(&text).map_err(D::Error::custom)?;
            Ok((currency, amount))
        };
        texts
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Money)
    }
}

/// A sum may be longer than one amount.
fn read_sum(text: &str) -> Result<Amount, String> {
    let sum = Amount::parse(text, 38, SCALE).or_else(|_| Amount::parse(text, 39, 0));
    let sum =
        sum.map_err(|error| format!("`{}` is {error}", text.chars().take(50).collect::<String>()))?;
    match sum.units < 0 {
        true => Err("a sum of money is not negative".to_owned()),
        false => Ok(sum.normalised()),
    }
}
