//! Text → typed values, exactly or not at all.

use std::borrow::Cow;

use arrow::datatypes::ArrowNativeType;
use centinel_catalog::ColumnType;
use centinel_model::{Amount, AmountError, HoleReason, Timestamp};
use chrono::{DateTime, Datelike, NaiveDate};

use crate::column::Cell;
use crate::json::{NotJson, Text, Value};

/// Why a value is refused, in words that do not repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: HoleReason,
    pub(crate) message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(reason: HoleReason, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            reason,
            message: message.into(),
        }
    }

    /// The same, said of the member with this name.
    pub(crate) fn of(self, member: &str) -> Refusal {
        Refusal {
            message: format!("`{member}` {}", self.message).into(),
            ..self
        }
    }
}

impl From<NotJson> for Refusal {
    fn from(_: NotJson) -> Refusal {
        Refusal::new(
            HoleReason::Malformed,
            "the line is not one whole JSON object",
        )
    }
}

fn wrong_type(wanted: &'static str) -> Refusal {
    Refusal::new(HoleReason::WrongType, wanted)
}

/// A JSON string as text.
pub(crate) fn text(value: Value<'_>) -> Result<Cow<'_, str>, Refusal> {
    match value {
        Value::Text(text) => unescaped(text),
        _ => Err(wrong_type("is not a string, as its type needs")),
    }
}

fn unescaped(text: Text<'_>) -> Result<Cow<'_, str>, Refusal> {
    let refusal = |NotJson| {
        Refusal::new(
            HoleReason::Malformed,
            "has an escape that names no character",
        )
    };
    text.content().map_err(refusal)
}

/// A text.
pub(crate) fn text_of(cell: Cell<'_>) -> Result<Cow<'_, str>, Refusal> {
    match cell {
        Cell::Json(value) => text(value),
        Cell::Text(text) => Ok(text),
        _ => Err(wrong_type("is not text, as its type needs")),
    }
}

/// JSON text: a string that holds it, or an object or list as it was written.
pub(crate) fn json(cell: Cell<'_>) -> Result<Cow<'_, str>, Refusal> {
    if let Cell::Json(Value::Nested(nested)) = cell {
        return Ok(Cow::Borrowed(nested));
    }
    let content = text_of(cell)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&content) {
        Ok(_) => Ok(content),
        Err(_) => Err(wrong_type(
            "is not a string that holds JSON, as its type needs",
        )),
    }
}

/// A JSON number without fraction and exponent, within the type's range.
pub(crate) fn integer<T: std::str::FromStr + ArrowNativeType>(
    value: Value<'_>,
) -> Result<T, Refusal> {
    let Value::Number(number) = value else {
        return Err(wrong_type("is not a number, as its type needs"));
    };
    if number
        .bytes()
        .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    {
        return Err(wrong_type(
            "is not a whole number without point and exponent",
        ));
    }
    number
        .parse()
        .map_err(|_| Refusal::new(HoleReason::OutOfRange, "does not fit its type"))
}

/// A whole number of 64 bits.
pub(crate) fn integer_of(cell: Cell<'_>) -> Result<i64, Refusal> {
    let out_of_range = || Refusal::new(HoleReason::OutOfRange, "does not fit its type");
    match cell {
        Cell::Json(value) => integer(value),
        Cell::Integer(number) => i64::try_from(number).map_err(|_| out_of_range()),
        Cell::Number(digits) => {
            let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong_type("is not a whole number in plain digits"));
            }
            digits.parse().map_err(|_| out_of_range())
        }
        _ => Err(wrong_type("is not a whole number, as its type needs")),
    }
}

/// A decimal, as digits or a number; digits that would be lost are refused.
pub(crate) fn decimal(cell: Cell<'_>, precision: u8, scale: u8) -> Result<i128, Refusal> {
    let parse = |digits: &str| match short_decimal(digits.as_bytes(), precision, scale) {
        Some(units) => Ok(i128::from(units)),
        None => Amount::parse(digits, precision, scale).map(|amount| amount.units),
    };
    let units = match cell {
        Cell::Json(Value::Number(number)) => parse(number),
        Cell::Json(Value::Text(text)) => parse(&unescaped(text)?),
        Cell::Number(digits) | Cell::Text(digits) => parse(&digits),
        Cell::Integer(number) => parse(&number.to_string()),
        Cell::Decimal { units, scale: own } if own == scale && fits(units, precision) => Ok(units),
        Cell::Decimal { units, scale } => parse(&plain_digits(units, scale)),
        _ => return Err(wrong_type("is neither a decimal string nor a number")),
    };
    units.map_err(|error| match error {
        AmountError::Malformed => wrong_type("is not a plain decimal number without exponent"),
        AmountError::TooFine(digits) => Refusal::new(
            HoleReason::OutOfRange,
            format!("has more than the {digits} digits behind the point that its type holds"),
        ),
        AmountError::TooLarge(digits) => Refusal::new(
            HoleReason::OutOfRange,
            format!("has more than the {digits} digits that its type holds"),
        ),
    })
}

/// Whether a number has at most so many digits.
fn fits(units: i128, precision: u8) -> bool {
    10_i128
        .checked_pow(u32::from(precision))
        .is_some_and(|limit| units.unsigned_abs() < limit.unsigned_abs())
}

/// `units` of 10^-`scale` as text.
fn plain_digits(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>1$}", units.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The common case of [`Amount::parse`] in 64 bits: at most 18 digits, all of them kept.
fn short_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let point = digits.len().checked_sub(usize::from(scale) + 1)?;
    let whole_digits = if scale == 0 { digits.len() } else { point };
    if whole_digits == 0 || whole_digits + usize::from(scale) > usize::from(precision.min(18)) {
        return None;
    }
    let mut units: i64 = 0;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' if scale == 0 || index != point => {
                units = units * 10 + i64::from(byte - b'0')
            }
            b'.' if scale != 0 && index == point => {}
            _ => return None,
        }
    }
    Some(if negative { -units } else { units })
}

/// An RFC 3339 instant to the microsecond, in the years 1970 to 9999.
pub(crate) fn timestamp(value: Value<'_>) -> Result<Timestamp, Refusal> {
    timestamp_text(&text(value)?)
}

/// As [`timestamp`], of its text.
pub(crate) fn timestamp_text(content: &str) -> Result<Timestamp, Refusal> {
    match utc_timestamp(content.as_bytes()) {
        Some(time) => Ok(time),
        None => any_timestamp(content),
    }
}

/// `YYYY-MM-DDTHH:MM:SS[.f…]Z` with at most six digits behind the point, from 1970 on.
fn utc_timestamp(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let [
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        fraction @ ..,
        b'Z',
    ] = rest
    else {
        return None;
    };
    let (hour, minute, second) = (
        number(&[*h1, *h2])?,
        number(&[*m1, *m2])?,
        number(&[*s1, *s2])?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            number(digits)? * 10i64.pow(6 - digits.len() as u32)
        }
        _ => return None,
    };
    let days = i64::from(days_since_epoch(date).filter(|days| *days >= 0)?);
    Some(Timestamp(
        ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros,
    ))
}

/// Every other form, and the reason why it is refused.
fn any_timestamp(text: &str) -> Result<Timestamp, Refusal> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| wrong_type("is not a time such as 2026-11-22T08:00:00.000000Z"))?;
    // Chrono reads second 60 as nanoseconds beyond the second.
    if time.timestamp_subsec_nanos() >= 1_000_000_000 {
        return Err(Refusal::new(
            HoleReason::OutOfRange,
            "is a leap second, which has no exact value",
        ));
    }
    let lost = text.split_once('.').and_then(|(_, fraction)| {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit);
        digits.skip(6).find(|digit| *digit != b'0')
    });
    if lost.is_some() {
        return Err(Refusal::new(
            HoleReason::OutOfRange,
            "is finer than a microsecond",
        ));
    }
    let micros = time.timestamp_micros();
    if !(0..=Timestamp::LATEST.0).contains(&micros) {
        return Err(Refusal::new(
            HoleReason::AbsurdTime,
            "lies outside the years 1970 to 9999",
        ));
    }
    Ok(Timestamp(micros))
}

/// An instant in the years 1970 to 9999.
pub(crate) fn timestamp_of(cell: Cell<'_>) -> Result<Timestamp, Refusal> {
    match cell {
        Cell::Json(value) => timestamp(value),
        Cell::Timestamp(micros) if (0..=Timestamp::LATEST.0).contains(&micros) => {
            Ok(Timestamp(micros))
        }
        Cell::Timestamp(_) => Err(Refusal::new(
            HoleReason::AbsurdTime,
            "lies outside the years 1970 to 9999",
        )),
        _ => Err(wrong_type("is not a time, as its type needs")),
    }
}

/// A calendar day, `YYYY-MM-DD` where it is text, as days since 1970-01-01.
pub(crate) fn date(cell: Cell<'_>) -> Result<i32, Refusal> {
    let content = match cell {
        Cell::Date(days) => return Ok(days),
        Cell::Json(value) => text(value)?,
        Cell::Text(text) => text,
        _ => return Err(wrong_type("is not a day, as its type needs")),
    };
    <&[u8; 10]>::try_from(content.as_bytes())
        .ok()
        .and_then(days_since_epoch)
        .ok_or_else(|| wrong_type("is not a day such as 2026-11-22"))
}

/// A JSON boolean.
pub(crate) fn boolean(value: Value<'_>) -> Result<bool, Refusal> {
    match value {
        Value::Boolean(value) => Ok(value),
        _ => Err(wrong_type("is neither true nor false")),
    }
}

/// A truth value; a database's 0 or 1 is one.
pub(crate) fn boolean_of(cell: Cell<'_>) -> Result<bool, Refusal> {
    match cell {
        Cell::Json(value) => boolean(value),
        Cell::Integer(0) => Ok(false),
        Cell::Integer(1) => Ok(true),
        Cell::Number(digits) if digits == "0" => Ok(false),
        Cell::Number(digits) if digits == "1" => Ok(true),
        _ => Err(wrong_type("is neither true nor false")),
    }
}

pub(crate) fn days_since_epoch(text: &[u8; 10]) -> Option<i32> {
    const DAYS_FROM_YEAR_ONE: i32 = 719_163;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let (year, month, day) = (
        number(&[*y1, *y2, *y3, *y4])?,
        number(&[*m1, *m2])?,
        number(&[*d1, *d2])?,
    );
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    Some(date.num_days_from_ce() - DAYS_FROM_YEAR_ONE)
}

/// A few ASCII digits as a number.
pub(crate) fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// What a column of this type wants, for messages about a missing one.
pub(crate) fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "text",
        ColumnType::Integer => "integer",
        ColumnType::Decimal { .. } => "decimal",
        ColumnType::Boolean => "boolean",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Date => "date",
        ColumnType::Json => "json",
    }
}
