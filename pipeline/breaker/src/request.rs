use std::fmt;

use centinel_model::Amount;
use serde::{Deserialize, Serialize};

use crate::{Name, money};

/// Where the platform asks before it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Money goes back to a payer.
    Refund,
    /// Money is booked to a merchant.
    Settlement,
    /// Money leaves the platform.
    CashOut,
}

impl Point {
    /// All of them. Payment is none.
    pub const ALL: [Point; 3] = [Point::Refund, Point::Settlement, Point::CashOut];

    /// The word used in JSON and in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Point::Refund => "refund",
            Point::Settlement => "settlement",
            Point::CashOut => "cash_out",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A set of points, at least one; a list in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Point>", into = "Vec<Point>")]
pub struct Points(u8);

impl Points {
    /// The set of these, or `None` where there are none.
    pub fn new(points: &[Point]) -> Option<Points> {
        let bits = points
            .iter()
            .fold(0, |bits, point| bits | 1 << *point as u8);
        (bits != 0).then_some(Points(bits))
    }

    /// Whether a point is in it.
    pub fn contains(self, point: Point) -> bool {
        self.0 & 1 << point as u8 != 0
    }

    /// Its points, in their order.
    pub fn iter(self) -> impl Iterator<Item = Point> {
        Point::ALL
            .into_iter()
            .filter(move |point| self.contains(*point))
    }
}

impl TryFrom<Vec<Point>> for Points {
    type Error = &'static str;

    fn try_from(points: Vec<Point>) -> Result<Points, &'static str> {
        Points::new(&points).ok_or("name at least one point: refund, settlement or cash_out")
    }
}

impl From<Points> for Vec<Point> {
    fn from(points: Points) -> Vec<Point> {
        points.iter().collect()
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A text that is no [`Currency`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a currency is an ISO 4217 code of three capital letters, such as CNY")]
pub struct CurrencyError;

impl Currency {
    /// Checks a text.
    pub fn new(text: &str) -> Result<Currency, CurrencyError> {
        match text.as_bytes().try_into() {
            Ok(code) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(Currency(code)),
            _ => Err(CurrencyError),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;

    fn try_from(text: String) -> Result<Currency, CurrencyError> {
        Currency::new(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// "May this go?"
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Names the request for ever: asked again, it is the same request.
    pub request_id: Name,
    /// Where it is asked.
    pub point: Point,
    /// Business code of the order.
    pub business_code: Name,
    /// Merchant number.
    pub merchant_no: Name,
    /// Order number.
    pub order_no: Name,
    /// What would move, in major units, as text in JSON. Not negative, at most 4 digits behind the point.
    #[serde(serialize_with = "money::write", deserialize_with = "money::read")]
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
}
