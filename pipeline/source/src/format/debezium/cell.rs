//! Values as Debezium writes them → what columns take.

use std::borrow::Cow;

use centinel_catalog::ColumnType;
use centinel_model::HoleReason;

use super::options::{Decimals, IntegerTimes};
use super::schema::Kind;
use crate::column::Cell;
use crate::format::number::{base64_number, decimal_of_bytes, plain_digits};
use crate::format::time::{Unit, refuse_zero_date, since_1970, without_zone};
use crate::json::{Cursor, Text, Value};
use crate::rows::ColumnLayout;
use crate::value::{self, Refusal};

/// What PostgreSQL's connector writes for a long value that did not change.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// How values are written where no schema says so.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) decimals: Option<Decimals>,
    pub(super) times: Option<IntegerTimes>,
}

/// Whether a column can take a value of this form, where no schema says what it is.
pub(super) fn takes(kind: ColumnType, value: Value<'_>) -> bool {
    match (kind, value) {
        (_, Value::Null) | (ColumnType::Json, _) => true,
        (ColumnType::Text, value) => matches!(value, Value::Text(_)),
        (ColumnType::Integer, value) => !matches!(value, Value::Nested(_)),
        (ColumnType::Decimal { .. }, value) => !matches!(value, Value::Boolean(_)),
        (ColumnType::Boolean, value) => matches!(value, Value::Boolean(_) | Value::Number(_)),
        (ColumnType::Timestamp | ColumnType::Date, value) => {
            matches!(value, Value::Text(_) | Value::Number(_))
        }
    }
}

impl Cells {
    /// The value as its column takes it; `kind` is what a schema beside the message says of it, `zone` how far
    /// the table's clock runs ahead of UTC, in microseconds.
    pub(super) fn cell<'a>(
        &self,
        value: Value<'a>,
        column: &ColumnLayout,
        kind: Option<Kind>,
        zone: Option<i64>,
    ) -> Result<Cell<'a>, Refusal> {
        let zone = zone.unwrap_or(0);
        match (column.kind, value) {
            (_, Value::Null) => Ok(Cell::Null),
            (ColumnType::Text | ColumnType::Json, Value::Text(text)) => {
                if text.is(UNAVAILABLE) {
                    return Err(unavailable());
                }
                Ok(Cell::Json(value))
            }
            (ColumnType::Integer, Value::Boolean(truth)) => Ok(Cell::Integer(i128::from(truth))),
            (ColumnType::Integer, Value::Text(text)) => self.decimal_text(text, 0, kind),
            (ColumnType::Decimal { scale, .. }, Value::Text(text)) => {
                self.decimal_text(text, scale, kind)
            }
            (ColumnType::Decimal { .. }, Value::Number(number)) => self.number(number, kind),
            (ColumnType::Decimal { .. }, Value::Nested(object)) => variable_scale(object),
            (ColumnType::Boolean, Value::Number(number)) => Ok(Cell::Number(number.into())),
            (ColumnType::Timestamp, Value::Text(text)) => {
                time_text(&content(text)?, kind, zone).map(Cell::Timestamp)
            }
            (ColumnType::Timestamp, Value::Number(number)) => self.time(number, kind, zone),
            (ColumnType::Date, Value::Number(_)) => days(value),
            (ColumnType::Date, Value::Text(text)) => {
                let text = content(text)?;
                refuse_zero_date(&text)?;
                Ok(Cell::Text(match text {
                    Cow::Borrowed(text) => text.strip_suffix('Z').unwrap_or(text).into(),
                    Cow::Owned(text) => text.trim_end_matches('Z').to_owned().into(),
                }))
            }
            _ => Ok(Cell::Json(value)),
        }
    }

    /// A decimal in text: its bytes, or its digits.
    fn decimal_text<'a>(
        &self,
        text: Text<'a>,
        scale: u8,
        kind: Option<Kind>,
    ) -> Result<Cell<'a>, Refusal> {
        let text = content(text)?;
        match (kind, self.decimals) {
            (Some(Kind::Decimal { scale }), _) => decimal_of_bytes(&text, scale),
            (Some(Kind::Bytes), _) => {
                let message = "is bytes that its schema does not call a decimal";
                Err(Refusal::new(HoleReason::WrongType, message))
            }
            (Some(_), _) | (None, Some(Decimals::String)) => digits(text),
            (None, Some(Decimals::Precise)) => decimal_of_bytes(&text, i32::from(scale)),
            (None, Some(Decimals::Numeric)) => {
                let message = "is text, though its topic says `decimals = \"numeric\"`";
                Err(Refusal::new(HoleReason::WrongType, message))
            }
            (None, None) => match (base64_number(&text), plain_digits(&text).is_some()) {
                (Some(_), false) => decimal_of_bytes(&text, i32::from(scale)),
                (None, _) => digits(text),
                (Some(_), true) => {
                    let message = "may be digits or bytes (base 64); say which with `decimals = \"string\"` or \
                                   `\"precise\"` of its topic";
                    Err(Refusal::new(HoleReason::WrongType, message))
                }
            },
        }
    }

    /// A decimal that is a JSON number, which is exact unless it was a float on the way.
    fn number<'a>(&self, number: &'a str, kind: Option<Kind>) -> Result<Cell<'a>, Refusal> {
        let float = kind == Some(Kind::Float);
        let whole = number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
        let exact = matches!(kind, Some(Kind::Decimal { .. }))
            || (kind.is_none() && self.decimals == Some(Decimals::Numeric));
        if float || !(whole || exact) {
            let message = "is a number that may have been a float on its way, which cannot hold money; set \
                           decimal.handling.mode=precise or string, or say `decimals = \"numeric\"` of its topic if its \
                           converter has decimal.format=NUMERIC";
            return Err(Refusal::new(HoleReason::WrongType, message));
        }
        digits(number.into())
    }

    /// A time that is a whole number.
    fn time<'a>(
        &self,
        number: &'a str,
        kind: Option<Kind>,
        zone: i64,
    ) -> Result<Cell<'a>, Refusal> {
        let unit = match (kind, self.times) {
            (Some(Kind::Millis), _) | (None, Some(IntegerTimes::Millis)) => Unit::Millis,
            (Some(Kind::Micros), _) | (None, Some(IntegerTimes::Micros)) => Unit::Micros,
            (Some(Kind::Nanos), _) | (None, Some(IntegerTimes::Nanos)) => Unit::Nanos,
            (None, None) => {
                let message = "is a whole number of which nothing says what it counts; say `times = \"millis\"` or \
                               `\"micros\"` of its topic, or let the converter add schemas";
                return Err(Refusal::new(HoleReason::WrongType, message));
            }
            (Some(_), _) => {
                let message = "is a whole number that its schema does not call a time";
                return Err(Refusal::new(HoleReason::WrongType, message));
            }
        };
        let micros = since_1970(number, unit)?;
        Ok(Cell::Timestamp(micros.saturating_sub(zone)))
    }
}

/// Days since 1970-01-01, in the years 1 to 9999.
fn days(value: Value<'_>) -> Result<Cell<'_>, Refusal> {
    let days = value::integer::<i32>(value)?;
    if (-719_162..=2_932_896).contains(&days) {
        return Ok(Cell::Date(days));
    }
    let message = "lies outside the years 1 to 9999; it is not a number of days";
    Err(Refusal::new(HoleReason::AbsurdTime, message))
}

fn content(text: Text<'_>) -> Result<Cow<'_, str>, Refusal> {
    value::text(Value::Text(text))
}

/// Digits, with an exponent where the tool wrote one.
fn digits(text: Cow<'_, str>) -> Result<Cell<'_>, Refusal> {
    let plain = match &text {
        Cow::Borrowed(text) => plain_digits(text),
        Cow::Owned(text) => plain_digits(text).map(|plain| Cow::Owned(plain.into_owned())),
    };
    plain.map(Cell::Number).ok_or_else(|| {
        let message = "is neither a plain decimal number nor one with an exponent";
        Refusal::new(HoleReason::WrongType, message)
    })
}

/// A time as text. Without a zone, or with one that only seems to be there, it is the table's clock that shows it.
fn time_text(text: &str, kind: Option<Kind>, zone: i64) -> Result<i64, Refusal> {
    let local = match kind {
        Some(Kind::LocalText) => text.strip_suffix('Z').unwrap_or(text),
        _ => text,
    };
    if let Some(micros) = without_zone(local) {
        return Ok(micros.saturating_sub(zone));
    }
    refuse_zero_date(text)?;
    value::timestamp_text(text).map(|time| time.0)
}

/// PostgreSQL's NUMERIC without a scale carries one in each value.
fn variable_scale(object: &str) -> Result<Cell<'static>, Refusal> {
    let wrong = || {
        let message = "is an object, but not a decimal with its scale";
        Refusal::new(HoleReason::WrongType, message)
    };
    let (mut scale, mut bytes) = (None, None);
    let mut cursor = Cursor::new(object);
    cursor.begin_object().map_err(|_| wrong())?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        match (&*key, cursor.value()?) {
            ("scale", value) => scale = value::integer::<i32>(value).ok(),
            ("value", value) => bytes = value::text(value).ok(),
            _ => return Err(wrong()),
        }
    }
    decimal_of_bytes(&bytes.ok_or_else(wrong)?, scale.ok_or_else(wrong)?)
}

fn unavailable() -> Refusal {
    let message = "was left out by PostgreSQL because it did not change; set REPLICA IDENTITY FULL on the table";
    Refusal::new(HoleReason::MissingColumn, message)
}
