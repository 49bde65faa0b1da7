//! Rows as people may see them: each value as text, money in major units, sensitive values masked.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_catalog::{Currency, Table, mask};
use centinel_model::{Amount, Timestamp};
use centinel_trace::{MoneyValue, Value};

/// The values of a row in the order of its table's columns, none of them masked: to compare, never to show.
pub(crate) type Values = Vec<Option<String>>;

/// Reads a row of columns in storage types or as rules see them: a whole number of money is the same in both.
pub(crate) fn values(table: &Table, columns: &[ArrayRef], row: usize) -> Values {
    let cells = table.columns.iter().zip(columns);
    cells
        .map(|(column, array)| {
            let scale = match (&column.money, column.rule_type()) {
                (Some(_), DataType::Decimal128(_, scale)) => u8::try_from(scale).ok(),
                _ => None,
            };
            text(array, row, scale)
        })
        .collect()
}

/// `scale`: of money, the digits behind the point of its major unit.
fn text(array: &ArrayRef, row: usize, scale: Option<u8>) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match (array.data_type(), scale) {
        (DataType::Utf8, _) => array.as_string::<i32>().value(row).to_owned(),
        (DataType::Int64, Some(scale)) => {
            let units = i128::from(array.as_primitive::<Int64Type>().value(row));
            Amount { units, scale }.to_string()
        }
        (DataType::Decimal128(_, own), scale) => {
            let units = array.as_primitive::<Decimal128Type>().value(row);
            let own = u8::try_from(*own).unwrap_or_default();
            let scale = scale.unwrap_or(own);
            Amount { units, scale }.to_string()
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), _) => {
            Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)).to_string()
        }
        _ => ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())
            .and_then(|formatter| formatter.value(row).try_to_string())
            .unwrap_or_else(|error| format!("unreadable: {error}")),
    })
}

/// The row with the names of its columns, sensitive values masked.
pub(crate) fn shown(table: &Table, row: &Values) -> Vec<Value> {
    let cells = table.columns.iter().zip(row);
    cells
        .map(|(column, value)| {
            let shown = match column.sensitive {
                true => value.as_deref().map(mask),
                false => value.clone(),
            };
            (column.name.clone(), shown)
        })
        .collect()
}

/// The money columns of a row, with their currencies.
pub(crate) fn money(table: &Table, row: &Values) -> Vec<MoneyValue> {
    let cells = table.columns.iter().zip(row);
    cells
        .filter(|(column, _)| !column.sensitive)
        .filter_map(|(column, value)| {
            let currency = match &column.money.as_ref()?.currency {
                Currency::Fixed(code) => code.clone(),
                Currency::Column(name) => {
                    let index = table.column_index(name)?;
                    row.get(index)?.clone().unwrap_or_default()
                }
            };
            Some((column.name.clone(), value.clone(), currency))
        })
        .collect()
}

/// The columns in which two rows differ.
pub(crate) fn differing(table: &Table, before: &Values, after: &Values) -> Vec<String> {
    let cells = table.columns.iter().zip(before.iter().zip(after));
    cells
        .filter(|(_, (before, after))| before != after)
        .map(|(column, _)| column.name.clone())
        .collect()
}

/// A primary key as state and change ids write it → as it is shown.
pub(crate) fn shown_key(table: &Table, key: &str) -> String {
    let parts: Vec<String> = key
        .split('\u{1f}')
        .zip(&table.primary_key)
        .map(|(part, column)| match table.columns[*column].sensitive {
            true => mask(part),
            false => part.to_owned(),
        })
        .collect();
    parts.join(",")
}
