//! Columns that grow row by row and can be cut back when a row turns out to be bad.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, NullBufferBuilder,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use centinel_catalog::{ColumnType, Entity};
use centinel_model::HoleReason;

use crate::json::Value;
use crate::value::{self, Refusal};

/// The values of one column, in its storage type.
#[derive(Debug)]
enum Values {
    Text {
        offsets: Vec<i32>,
        data: String,
    },
    Integer(Vec<i64>),
    Decimal {
        units: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Boolean(Vec<bool>),
    Timestamp(Vec<i64>),
    Date(Vec<i32>),
}

/// A value on its way into a column, as its format or database gives it. It must fit the column exactly,
/// or it is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No value.
    Null,
    /// As it stands in the project's own JSON.
    Json(Value<'a>),
    /// Text, for text and JSON columns.
    Text(Cow<'a, str>),
    /// A whole or decimal number in plain digits, for integers, decimals and (as 0 or 1) booleans.
    Number(Cow<'a, str>),
    /// A whole number, for integers, decimals and (as 0 or 1) booleans.
    Integer(i128),
    /// `units` of 10^-`scale`, for decimals.
    Decimal {
        /// The digits without their point.
        units: i128,
        /// How many of them stand behind the point.
        scale: u8,
    },
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
}

/// One growing column.
#[derive(Debug)]
pub(crate) struct ColumnBuffer {
    kind: ColumnType,
    values: Values,
    nulls: NullBufferBuilder,
}

impl ColumnBuffer {
    pub(crate) fn new(kind: ColumnType) -> ColumnBuffer {
        let values = match kind {
            ColumnType::Text | ColumnType::Json => Values::Text {
                offsets: vec![0],
                data: String::new(),
            },
            ColumnType::Integer => Values::Integer(Vec::new()),
            ColumnType::Decimal { precision, scale } => Values::Decimal {
                units: Vec::new(),
                precision,
                scale,
            },
            ColumnType::Boolean => Values::Boolean(Vec::new()),
            ColumnType::Timestamp => Values::Timestamp(Vec::new()),
            ColumnType::Date => Values::Date(Vec::new()),
        };
        ColumnBuffer {
            kind,
            values,
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Appends the value, which must fit exactly; texts are brought to the normal form of `keys`.
    pub(crate) fn push(&mut self, cell: Cell<'_>, keys: &[Entity]) -> Result<(), Refusal> {
        if matches!(cell, Cell::Null | Cell::Json(Value::Null)) {
            self.push_null();
            return Ok(());
        }
        match &mut self.values {
            Values::Text { offsets, data } => {
                let content = match self.kind {
                    ColumnType::Json => value::json(cell)?,
                    _ => value::text_of(cell)?,
                };
                push_text(offsets, data, &content, keys)?;
            }
            Values::Integer(integers) => integers.push(value::integer_of(cell)?),
            Values::Decimal {
                units,
                precision,
                scale,
            } => units.push(value::decimal(cell, *precision, *scale)?),
            Values::Boolean(booleans) => booleans.push(value::boolean_of(cell)?),
            Values::Timestamp(micros) => micros.push(value::timestamp_of(cell)?.0),
            Values::Date(days) => days.push(value::date(cell)?),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Text { offsets, .. } => offsets.extend_from_within(offsets.len() - 1..),
            Values::Integer(values) | Values::Timestamp(values) => values.push(0),
            Values::Decimal { units, .. } => units.push(0),
            Values::Boolean(booleans) => booleans.push(false),
            Values::Date(days) => days.push(0),
        }
        self.nulls.append_null();
    }

    /// Whether the last value is null.
    pub(crate) fn ends_with_null(&self) -> bool {
        self.nulls
            .len()
            .checked_sub(1)
            .is_some_and(|last| !self.nulls.is_valid(last))
    }

    /// Forgets all but the first `rows` values.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text { offsets, data } => {
                offsets.truncate(rows + 1);
                data.truncate(offsets.last().map_or(0, |end| *end as usize));
            }
            Values::Integer(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Decimal { units, .. } => units.truncate(rows),
            Values::Boolean(booleans) => booleans.truncate(rows),
            Values::Date(days) => days.truncate(rows),
        }
        self.nulls.truncate(rows);
    }

    /// The column as Arrow holds it, without copying numbers or text.
    pub(crate) fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let nulls: Option<NullBuffer> = self.nulls.finish();
        Ok(match self.values {
            Values::Text { offsets, data } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::try_new(
                    offsets,
                    data.into_bytes().into(),
                    nulls,
                )?)
            }
            Values::Integer(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Decimal {
                units,
                precision,
                scale,
            } => Arc::new(
                Decimal128Array::try_new(units.into(), nulls)?
                    .with_precision_and_scale(precision, scale as i8)?,
            ),
            Values::Boolean(values) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Values::Timestamp(values) => {
                Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?)
            }
            Values::Date(values) => Arc::new(Date32Array::try_new(values.into(), nulls)?),
        })
    }
}

fn push_text(
    offsets: &mut Vec<i32>,
    data: &mut String,
    content: &str,
    keys: &[Entity],
) -> Result<(), Refusal> {
    let start = data.len();
    match keys {
        [] => data.push_str(content),
        [entity] => data.push_str(&entity.normalise(content)),
        several => data.push_str(&several.iter().fold(content.to_owned(), |text, entity| {
            entity.normalise(&text).into_owned()
        })),
    }
    let Ok(end) = i32::try_from(data.len()) else {
        data.truncate(start);
        let message = "does not fit beside its neighbours";
        return Err(Refusal::new(HoleReason::TooLong, message));
    };
    offsets.push(end);
    Ok(())
}
