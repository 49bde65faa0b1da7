//! One value of one column: read from a plan, compared with a snapshot, written into one.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use centinel_catalog::{Column, ColumnType};
use centinel_model::{Amount, Timestamp};
use chrono::{NaiveDate, TimeDelta};

/// A value in the storage type of its column. Money is in the unit that the column declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// Text, and JSON as text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An exact number, in the column's scale.
    Decimal(Amount),
    /// True or false.
    Boolean(bool),
    /// Microseconds since 1970, in UTC.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
}

/// Why a text is not a value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAValue {
    /// It is of another type.
    Malformed(String),
    /// It is a number that the column cannot hold exactly.
    OutOfRange(String),
}

impl Value {
    /// Reads a text as plans write it: plain decimals, RFC 3339 times, `2026-11-22`, `true` or `false`.
    pub fn read(column: &Column, text: &str) -> Result<Value, NotAValue> {
        let malformed = || NotAValue::Malformed(format!("is not of type {}", column.kind));
        Ok(match column.kind {
            ColumnType::Text => Value::Text(text.to_owned()),
            ColumnType::Json => {
                serde_json::from_str::<serde::de::IgnoredAny>(text)
                    .map_err(|_| NotAValue::Malformed("is not JSON".into()))?;
                Value::Text(text.to_owned())
            }
            ColumnType::Integer => {
                let amount = Amount::parse(text, 38, 0).map_err(|error| match error {
                    centinel_model::AmountError::Malformed => malformed(),
                    error => NotAValue::OutOfRange(format!("has {error}")),
                })?;
                let number = i64::try_from(amount.units);
                Value::Integer(number.map_err(|_| {
                    NotAValue::OutOfRange("is beyond 64 bits, which the column holds".into())
                })?)
            }
            ColumnType::Decimal { precision, scale } => {
                let amount =
                    Amount::parse(text, precision, scale).map_err(|error| match error {
                        centinel_model::AmountError::Malformed => malformed(),
                        error => NotAValue::OutOfRange(format!(
                            "has {error}, and the column is {}",
                            column.kind
                        )),
                    })?;
                Value::Decimal(amount)
            }
            ColumnType::Boolean => match text {
                "true" | "1" => Value::Boolean(true),
                "false" | "0" => Value::Boolean(false),
                _ => return Err(malformed()),
            },
            ColumnType::Timestamp => Timestamp::parse(text)
                .map(|time| Value::Timestamp(time.0))
                .map_err(|error| NotAValue::Malformed(error.to_string()))?,
            ColumnType::Date => {
                let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| malformed())?;
                let since = day.signed_duration_since(NaiveDate::default()).num_days();
                Value::Date(i32::try_from(since).map_err(|_| malformed())?)
            }
        })
    }

    /// The value in a row of an array in storage types, or in a dictionary of texts.
    pub fn of(array: &dyn Array, row: usize) -> Value {
        if array.is_null(row) {
            return Value::Null;
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Value::Text(texts.value(row).to_owned());
        }
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
            return Value::Integer(numbers.value(row));
        }
        if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>() {
            return Value::Decimal(Amount {
                units: decimals.value(row),
                scale: u8::try_from(decimals.scale()).unwrap_or(0),
            });
        }
        if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
            return Value::Timestamp(times.value(row));
        }
        if let Some(days) = array.as_primitive_opt::<Date32Type>() {
            return Value::Date(days.value(row));
        }
        if let Some(flags) = array.as_boolean_opt() {
            return Value::Boolean(flags.value(row));
        }
        if let Some(numbers) = array.as_dictionary_opt::<Int32Type>() {
            return match numbers.key(row) {
                Some(number) => Value::of(numbers.values().as_ref(), number),
                None => Value::Null,
            };
        }
        Value::Null
    }

    /// An array of these values in the column's storage type. Values of another type become null.
    pub fn array<'a>(column: &Column, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
        match column.kind {
            ColumnType::Text | ColumnType::Json => {
                Arc::new(StringArray::from_iter(values.map(Value::text)))
            }
            ColumnType::Integer => {
                Arc::new(Int64Array::from_iter(values.map(|value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                })))
            }
            ColumnType::Decimal { .. } => Arc::new(
                Decimal128Array::from_iter(values.map(|value| match value {
                    Value::Decimal(amount) => Some(amount.units),
                    _ => None,
                }))
                .with_data_type(column.storage_type()),
            ),
            ColumnType::Boolean => {
                Arc::new(BooleanArray::from_iter(values.map(|value| match value {
                    Value::Boolean(flag) => Some(*flag),
                    _ => None,
                })))
            }
            ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from_iter(values.map(
                |value| match value {
                    Value::Timestamp(micros) => Some(*micros),
                    _ => None,
                },
            ))),
            ColumnType::Date => Arc::new(Date32Array::from_iter(values.map(|value| match value {
                Value::Date(day) => Some(*day),
                _ => None,
            }))),
        }
    }

    /// The text of a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As an exact number, if it is one.
    pub fn number(&self) -> Option<Amount> {
        match self {
            Value::Integer(number) => Some(Amount {
                units: i128::from(*number),
                scale: 0,
            }),
            Value::Decimal(amount) => Some(*amount),
            _ => None,
        }
    }

    /// As plans hold it: whole numbers and booleans as such, everything else as text.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Integer(number) => (*number).into(),
            Value::Boolean(flag) => (*flag).into(),
            other => other.to_string().into(),
        }
    }
}

impl fmt::Display for Value {
    /// As [`Value::read`] reads it; null is `null`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Text(text) => out.write_str(text),
            Value::Integer(number) => write!(out, "{number}"),
            Value::Decimal(amount) => write!(out, "{amount}"),
            Value::Boolean(flag) => write!(out, "{flag}"),
            Value::Timestamp(micros) => write!(out, "{}", Timestamp(*micros)),
            Value::Date(day) => {
                let span = TimeDelta::days(i64::from(*day));
                match NaiveDate::default().checked_add_signed(span) {
                    Some(day) => write!(out, "{}", day.format("%Y-%m-%d")),
                    None => write!(out, "{day} days"),
                }
            }
        }
    }
}

impl fmt::Display for NotAValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAValue::Malformed(why) | NotAValue::OutOfRange(why) => out.write_str(why),
        }
    }
}
