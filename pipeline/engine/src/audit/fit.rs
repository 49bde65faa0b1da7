//! Columns as files hold them → columns as the schema stores them, exactly or not at all.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use centinel_catalog::{Column, ColumnType, Entity};
use centinel_model::Amount;

use super::concat::dictionary;

/// Whether values of this type can stand in the column; else why not.
pub(crate) fn check(column: &Column, found: &DataType) -> Result<(), String> {
    let fits = match (column.kind, found) {
        (ColumnType::Text | ColumnType::Json, kind) => is_text(kind),
        (ColumnType::Integer, kind) => kind.is_integer() && *kind != DataType::UInt64,
        (
            ColumnType::Decimal { scale, .. },
            DataType::Decimal32(_, found)
            | DataType::Decimal64(_, found)
            | DataType::Decimal128(_, found)
            | DataType::Decimal256(_, found),
        ) => (0..=scale as i8).contains(found),
        (ColumnType::Boolean, DataType::Boolean) => true,
        (ColumnType::Timestamp, DataType::Timestamp(..)) => true,
        (ColumnType::Date, DataType::Date32 | DataType::Date64) => true,
        _ => false,
    };
    let float = found.is_floating() && column.money.is_some();
    match (fits, float) {
        (true, _) => Ok(()),
        (false, true) => Err(format!(
            "is {found}, and a float is never exact money; the schema says {}",
            column.kind
        )),
        (false, false) => Err(format!("is {found}; the schema says {}", column.kind)),
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        kind => matches!(
            kind,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        ),
    }
}

/// The values in the column's storage type, or as a dictionary of texts; an error where one does not fit.
pub(crate) fn to_storage(column: &Column, found: &ArrayRef) -> Result<ArrayRef, String> {
    let wanted = column.storage_type();
    let plain = *found.data_type() == wanted;
    if plain || (wanted == DataType::Utf8 && *found.data_type() == dictionary()) {
        return Ok(Arc::clone(found));
    }
    // A time's number counts from 1970 in UTC, whatever zone it is shown in.
    let found = match found.data_type() {
        DataType::Timestamp(unit, Some(_)) => without_zone(found, unit),
        _ => Arc::clone(found),
    };
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(&found, &wanted, &exact).map_err(|error| error.to_string())
}

fn without_zone(found: &ArrayRef, unit: &TimeUnit) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(
            found
                .as_primitive::<TimestampSecondType>()
                .clone()
                .with_timezone_opt(None::<&str>),
        ),
        TimeUnit::Millisecond => Arc::new(
            found
                .as_primitive::<TimestampMillisecondType>()
                .clone()
                .with_timezone_opt(None::<&str>),
        ),
        TimeUnit::Microsecond => Arc::new(
            found
                .as_primitive::<TimestampMicrosecondType>()
                .clone()
                .with_timezone_opt(None::<&str>),
        ),
        TimeUnit::Nanosecond => Arc::new(
            found
                .as_primitive::<TimestampNanosecondType>()
                .clone()
                .with_timezone_opt(None::<&str>),
        ),
    }
}

/// So many rows of a value that a file's path tells.
pub(crate) fn constant(
    column: &Column,
    text: Option<&str>,
    rows: usize,
) -> Result<ArrayRef, String> {
    let Some(text) = text else {
        return Ok(new_null_array(&column.storage_type(), rows));
    };
    let unfit = || format!("`{text}` is not of type {}", column.kind);
    Ok(match column.kind {
        ColumnType::Text | ColumnType::Json => Arc::new(StringArray::from_iter_values(
            std::iter::repeat_n(text, rows),
        )),
        ColumnType::Integer => Arc::new(Int64Array::from_value(
            text.parse().map_err(|_| unfit())?,
            rows,
        )),
        ColumnType::Boolean => Arc::new(BooleanArray::from(vec![
            text.parse::<bool>()
                .map_err(|_| unfit())?;
            rows
        ])),
        ColumnType::Decimal { precision, scale } => {
            let amount = Amount::parse(text, precision, scale).map_err(|_| unfit())?;
            Arc::new(
                Decimal128Array::from_value(amount.units, rows)
                    .with_data_type(column.storage_type()),
            )
        }
        ColumnType::Timestamp => {
            let time = centinel_model::Timestamp::parse(text).map_err(|_| unfit())?;
            Arc::new(TimestampMicrosecondArray::from_value(time.0, rows))
        }
        ColumnType::Date => {
            let one: ArrayRef = Arc::new(StringArray::from(vec![text]));
            let day = cast(&one, &DataType::Date32).map_err(|_| unfit())?;
            let day = day.as_primitive::<Date32Type>();
            if day.null_count() > 0 {
                return Err(unfit());
            }
            Arc::new(Date32Array::from_value(day.value(0), rows))
        }
    })
}

/// Key values in the normal form of the entities that they are keys of; the same array where they already are.
pub(crate) fn normalised(values: &ArrayRef, entities: &[&Entity]) -> ArrayRef {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Arc::clone(values);
    };
    if entities.iter().all(|entity| plainly_normal(texts, entity)) {
        return Arc::clone(values);
    }
    let normal: StringArray = texts
        .iter()
        .map(|text| {
            text.map(|text| {
                entities.iter().fold(text.to_owned(), |text, entity| {
                    entity.normalise(&text).into_owned()
                })
            })
        })
        .collect();
    Arc::new(normal)
}

/// Whether no value can need a change, seen from all bytes at once.
fn plainly_normal(texts: &StringArray, entity: &Entity) -> bool {
    use centinel_catalog::Normalisation::{Lower, StripZeros, Trim, Upper};
    let offsets = texts.value_offsets();
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return true;
    };
    let bytes = &texts.value_data()[*first as usize..*last as usize];
    entity.normalise.iter().all(|step| match step {
        Trim => all(bytes, |byte| byte.is_ascii_graphic()),
        Upper => all(bytes, |byte| byte.is_ascii() && !byte.is_ascii_lowercase()),
        Lower => all(bytes, |byte| byte.is_ascii() && !byte.is_ascii_uppercase()),
        StripZeros => bytes.is_empty(),
    })
}

/// Without an early exit, so that the loop runs over many bytes at a time.
fn all(bytes: &[u8], holds: impl Fn(u8) -> bool) -> bool {
    bytes
        .chunks(4_096)
        .all(|chunk| chunk.iter().fold(true, |all, byte| all & holds(*byte)))
}
