//! Rows as bytes: the persisted form of row images, `row/1`.
//!
//! A row is a bitmap of its nulls (bit `i % 8` of byte `i / 8` is set where column `i` is null), then
//! its other cells in column order: text as length and bytes, numbers as zigzag varints (base 128,
//! least significant first), booleans as one byte. Lengths are varints too.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Date32Array, Date32Builder,
    Decimal128Array, Decimal128Builder, Int64Array, Int64Builder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use centinel_catalog::{Column, ColumnType, Table};

use crate::StateError;

/// Appends a number as a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i128) {
    put_varint(out, ((value << 1) ^ (value >> 127)) as u128);
}

/// Takes a varint off the front of `bytes`.
pub fn take_varint(bytes: &mut &[u8]) -> Result<u128, StateError> {
    let mut value: u128 = 0;
    for (index, byte) in bytes.iter().enumerate().take(19) {
        value |= u128::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(StateError::corrupt("a number has no end"))
}

/// Takes a varint that fits 64 bits; the path that nearly all numbers go.
pub fn take_u64(bytes: &mut &[u8]) -> Result<u64, StateError> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index as u32);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(StateError::corrupt("a number has no end"))
}

fn take_i64(bytes: &mut &[u8]) -> Result<i64, StateError> {
    let raw = take_u64(bytes)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn take_i128(bytes: &mut &[u8]) -> Result<i128, StateError> {
    let raw = take_varint(bytes)?;
    Ok((raw >> 1) as i128 ^ -((raw & 1) as i128))
}

/// Takes `length` bytes off the front.
pub fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], StateError> {
    if bytes.len() < length {
        return Err(StateError::corrupt("a text is cut short"));
    }
    let (front, rest) = bytes.split_at(length);
    *bytes = rest;
    Ok(front)
}

enum Cells<'a> {
    Text(&'a StringArray),
    Integer(&'a Int64Array),
    Decimal(&'a Decimal128Array),
    Boolean(&'a BooleanArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Date(&'a Date32Array),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Cells<'a>, StateError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Cells::Text(array.as_string()),
            DataType::Int64 => Cells::Integer(array.as_primitive::<Int64Type>()),
            DataType::Decimal128(_, _) => Cells::Decimal(array.as_primitive::<Decimal128Type>()),
            DataType::Boolean => Cells::Boolean(array.as_boolean()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Cells::Timestamp(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Date32 => Cells::Date(array.as_primitive::<Date32Type>()),
            other => {
                return Err(StateError::corrupt(format!(
                    "rows cannot hold the type {other}"
                )));
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Text(array) => array.is_null(row),
            Cells::Integer(array) => array.is_null(row),
            Cells::Decimal(array) => array.is_null(row),
            Cells::Boolean(array) => array.is_null(row),
            Cells::Timestamp(array) => array.is_null(row),
            Cells::Date(array) => array.is_null(row),
        }
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Cells::Text(array) => {
                let text = array.value(row);
                put_varint(out, text.len() as u128);
                out.extend_from_slice(text.as_bytes());
            }
            Cells::Integer(array) => put_signed(out, i128::from(array.value(row))),
            Cells::Decimal(array) => put_signed(out, array.value(row)),
            Cells::Boolean(array) => out.push(u8::from(array.value(row))),
            Cells::Timestamp(array) => put_signed(out, i128::from(array.value(row))),
            Cells::Date(array) => put_signed(out, i128::from(array.value(row))),
        }
    }
}

/// Writes rows of one record batch in storage types.
pub struct RowEncoder<'a> {
    columns: Vec<Cells<'a>>,
}

impl<'a> RowEncoder<'a> {
    /// Prepares to write rows of `rows`.
    pub fn new(rows: &'a RecordBatch) -> Result<RowEncoder<'a>, StateError> {
        Ok(RowEncoder {
            columns: rows
                .columns()
                .iter()
                .map(Cells::of)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Appends row number `row` to `out`.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        let bitmap = out.len();
        out.resize(bitmap + self.columns.len().div_ceil(8), 0);
        for (index, cells) in self.columns.iter().enumerate() {
            if cells.is_null(row) {
                out[bitmap + index / 8] |= 1 << (index % 8);
            } else {
                cells.put(row, out);
            }
        }
    }
}

/// The cells of an encoded row as they stand in it, `None` where null.
pub(crate) fn take_cells<'a>(
    kinds: &[ColumnType],
    row: &'a [u8],
) -> Result<Vec<Option<&'a [u8]>>, StateError> {
    let mut rest = row;
    let bitmap = take_bytes(&mut rest, kinds.len().div_ceil(8))?;
    let cell = |(index, kind): (usize, &ColumnType)| {
        if bitmap[index / 8] & (1 << (index % 8)) != 0 {
            return Ok(None);
        }
        let from = rest;
        skip_cell(*kind, &mut rest)?;
        Ok(Some(&from[..from.len() - rest.len()]))
    };
    kinds.iter().enumerate().map(cell).collect()
}

/// Appends a row of such cells.
pub(crate) fn put_cells(cells: &[Option<&[u8]>], out: &mut Vec<u8>) {
    let bitmap = out.len();
    out.resize(bitmap + cells.len().div_ceil(8), 0);
    for (index, cell) in cells.iter().enumerate() {
        match cell {
            Some(bytes) => out.extend_from_slice(bytes),
            None => out[bitmap + index / 8] |= 1 << (index % 8),
        }
    }
}

/// The texts of some columns of one row, joined by U+001F: how keys of several columns are written.
/// `None` where one of them is null.
pub fn key_text(rows: &RecordBatch, columns: &[usize], row: usize, out: &mut String) -> Option<()> {
    use std::fmt::Write;
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            out.push('\u{1f}');
        }
        let array = rows.column(*column);
        if array.is_null(row) {
            return None;
        }
        match array.data_type() {
            DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
            DataType::Int64 => {
                write!(out, "{}", array.as_primitive::<Int64Type>().value(row)).ok()?
            }
            _ => out.push_str(&arrow::util::display::array_value_to_string(array, row).ok()?),
        }
    }
    Some(())
}

enum Builder {
    Skip,
    Text(StringBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

/// How a stored cell becomes what rules see. The whole number stays the same in every unit: minor units
/// only move the decimal point, and that stands in the rule type.
fn builder_for(kind: &DataType) -> Builder {
    match *kind {
        DataType::Decimal128(precision, scale) => Builder::Decimal(
            Decimal128Builder::new().with_data_type(DataType::Decimal128(precision, scale)),
        ),
        DataType::Int64 => Builder::Integer(Int64Builder::new()),
        DataType::Boolean => Builder::Boolean(BooleanBuilder::new()),
        DataType::Timestamp(_, _) => Builder::Timestamp(TimestampMicrosecondBuilder::new()),
        DataType::Date32 => Builder::Date(Date32Builder::new()),
        _ => Builder::Text(StringBuilder::new()),
    }
}

/// Reads stored rows of one table into columns: those that rules see, in rule types, or as they are stored.
pub struct RowDecoder {
    kinds: Vec<ColumnType>,
    /// By table column; `Skip` where nobody wants it.
    builders: Vec<Builder>,
    /// Table columns in the wanted order.
    wanted: Vec<usize>,
    last_wanted: usize,
    rows: usize,
}

impl RowDecoder {
    /// Prepares to read the `wanted` columns (indexes into the table's columns) of `table`.
    pub fn new(table: &Table, wanted: &[usize]) -> RowDecoder {
        RowDecoder::of(table, wanted, Column::rule_type)
    }

    /// The same into the columns as they are stored, in storage types.
    pub fn stored(table: &Table, wanted: &[usize]) -> RowDecoder {
        RowDecoder::of(table, wanted, Column::storage_type)
    }

    fn of(table: &Table, wanted: &[usize], kind: fn(&Column) -> DataType) -> RowDecoder {
        let builders = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                if wanted.contains(&index) {
                    builder_for(&kind(column))
                } else {
                    Builder::Skip
                }
            })
            .collect();
        RowDecoder {
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            builders,
            wanted: wanted.to_vec(),
            last_wanted: wanted.iter().max().map_or(0, |last| last + 1),
            rows: 0,
        }
    }

    /// Reads one more row.
    pub fn decode(&mut self, row: &[u8]) -> Result<(), StateError> {
        self.rows += 1;
        let bitmap_bytes = self.kinds.len().div_ceil(8);
        let mut rest = row;
        let bitmap = take_bytes(&mut rest, bitmap_bytes)?;
        for index in 0..self.last_wanted {
            let null = bitmap[index / 8] & (1 << (index % 8)) != 0;
            let builder = &mut self.builders[index];
            if null {
                builder.append_null();
            } else {
                builder.append_cell(self.kinds[index], &mut rest)?;
            }
        }
        Ok(())
    }

    /// How many rows were read since the last [`RowDecoder::finish`].
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was read since.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns in the wanted order; starts anew.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let builders = &mut self.builders;
        self.wanted
            .iter()
            .map(|index| builders[*index].finish())
            .collect()
    }
}

impl Builder {
    fn append_null(&mut self) {
        match self {
            Builder::Skip => {}
            Builder::Text(builder) => builder.append_null(),
            Builder::Integer(builder) => builder.append_null(),
            Builder::Decimal(builder) => builder.append_null(),
            Builder::Boolean(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
        }
    }

    fn append_cell(&mut self, kind: ColumnType, rest: &mut &[u8]) -> Result<(), StateError> {
        match self {
            Builder::Skip => skip_cell(kind, rest)?,
            Builder::Text(builder) => {
                let length = take_u64(rest)? as usize;
                let text = std::str::from_utf8(take_bytes(rest, length)?)
                    .map_err(|_| StateError::corrupt("a text is not UTF-8"))?;
                builder.append_value(text);
            }
            Builder::Integer(builder) => builder.append_value(take_i64(rest)?),
            Builder::Decimal(builder) => builder.append_value(take_i128(rest)?),
            Builder::Boolean(builder) => builder.append_value(take_bytes(rest, 1)?[0] != 0),
            Builder::Timestamp(builder) => builder.append_value(take_i64(rest)?),
            Builder::Date(builder) => builder.append_value(take_i64(rest)? as i32),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        use std::sync::Arc;
        match self {
            Builder::Skip => Arc::new(arrow::array::NullArray::new(0)),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Decimal(builder) => Arc::new(builder.finish()),
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
        }
    }
}

fn skip_cell(kind: ColumnType, rest: &mut &[u8]) -> Result<(), StateError> {
    match kind {
        ColumnType::Text | ColumnType::Json => {
            let length = take_u64(rest)? as usize;
            take_bytes(rest, length)?;
        }
        ColumnType::Boolean => {
            take_bytes(rest, 1)?;
        }
        ColumnType::Decimal { .. } => {
            take_varint(rest)?;
        }
        ColumnType::Integer | ColumnType::Timestamp | ColumnType::Date => {
            take_u64(rest)?;
        }
    }
    Ok(())
}
