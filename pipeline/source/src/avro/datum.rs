//! Values in Avro's binary form → JSON. Every byte must be what the schema says, and none may be left over.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use centinel_model::HoleReason;

use super::connect::write_text;
use super::schema::{Field, Schema, Shape};
use crate::value::Refusal;

/// Values within values; no row is deeper.
const MAX_DEPTH: usize = 64;
/// A longer text is no message: a few bytes of Avro can stand for any number of empty values.
const MAX_TEXT: usize = 64 << 20;

impl Schema {
    /// Writes the value that these bytes hold as JSON with its schema, in the place of what `out` held.
    pub(crate) fn write_json(&self, bytes: &[u8], out: &mut String) -> Result<(), Refusal> {
        out.clear();
        out.push_str(self.prefix());
        let mut datum = Datum {
            schema: self,
            bytes,
            out,
        };
        datum.value(self.root(), 0)?;
        if !datum.bytes.is_empty() {
            return Err(malformed("the message is longer than its schema says"));
        }
        out.push('}');
        Ok(())
    }
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::new(HoleReason::Malformed, message)
}

/// A value on its way.
struct Datum<'s, 'b, 'o> {
    schema: &'s Schema,
    /// What is left to read.
    bytes: &'b [u8],
    out: &'o mut String,
}

impl<'b> Datum<'_, 'b, '_> {
    fn value(&mut self, place: usize, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(malformed("the message is nested too deep"));
        }
        if self.out.len() > MAX_TEXT {
            let message = "the message stands for more values than a row has";
            return Err(Refusal::new(HoleReason::TooLong, message));
        }
        let schema = self.schema;
        match &schema.node(place).shape {
            Shape::Null => self.out.push_str("null"),
            Shape::Boolean => {
                let text = match self.take(1)? {
                    [0] => "false",
                    [1] => "true",
                    _ => return Err(malformed("a truth value in the message is neither 0 nor 1")),
                };
                self.out.push_str(text);
            }
            Shape::Int => {
                let number = i32::try_from(self.long()?);
                let number = number.map_err(|_| malformed("a number has more than 32 bits"))?;
                self.show(format_args!("{number}"));
            }
            Shape::Long => {
                let number = self.long()?;
                self.show(format_args!("{number}"));
            }
            Shape::Float => {
                let number = f32::from_le_bytes(self.array()?);
                self.float(number.is_finite(), format_args!("{number:?}"));
            }
            Shape::Double => {
                let number = f64::from_le_bytes(self.array()?);
                self.float(number.is_finite(), format_args!("{number:?}"));
            }
            Shape::Bytes => {
                let bytes = self.counted()?;
                self.base64(bytes);
            }
            Shape::Fixed(size) => {
                let bytes = self.take(*size)?;
                self.base64(bytes);
            }
            Shape::Text => {
                let text = self.text()?;
                write_text(text, self.out);
            }
            Shape::Enum(symbols) => {
                let symbol = usize::try_from(self.long()?).ok();
                let symbol = symbol.and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or_else(|| malformed("an enum has no such symbol"))?;
                write_text(symbol, self.out);
            }
            Shape::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok();
                let branch = branch.and_then(|index| branches.get(index));
                let branch = branch.ok_or_else(|| malformed("a union has no such type"))?;
                self.value(*branch, depth + 1)?;
            }
            Shape::Record(fields) => self.record(fields, depth)?,
            Shape::Array(item) => self.blocks(['[', ']'], |datum| datum.value(*item, depth + 1))?,
            Shape::Map(value) => self.blocks(['{', '}'], |datum| {
                let key = datum.text()?;
                write_text(key, datum.out);
                datum.out.push(':');
                datum.value(*value, depth + 1)
            })?,
        }
        Ok(())
    }

    fn record(&mut self, fields: &[Field], depth: usize) -> Result<(), Refusal> {
        self.out.push('{');
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_text(&field.name, self.out);
            self.out.push(':');
            self.value(field.node, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// Items in blocks, each with its count before it; a negative one has the block's length behind it.
    fn blocks(
        &mut self,
        around: [char; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.out.push(around[0]);
        let mut first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
            }
            // Each item adds to the text, which has a limit.
            for _ in 0..count.unsigned_abs() {
                if !std::mem::take(&mut first) {
                    self.out.push(',');
                }
                item(self)?;
            }
        }
        self.out.push(around[1]);
        Ok(())
    }

    fn show(&mut self, number: std::fmt::Arguments<'_>) {
        // Writing into a text does not fail.
        let _ = self.out.write_fmt(number);
    }

    /// Connect writes what is no number in JSON as text.
    fn float(&mut self, finite: bool, number: std::fmt::Arguments<'_>) {
        let quote = if finite { "" } else { "\"" };
        self.show(format_args!("{quote}{number}{quote}"));
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push('"');
        STANDARD.encode_string(bytes, self.out);
        self.out.push('"');
    }

    fn text(&mut self) -> Result<&'b str, Refusal> {
        std::str::from_utf8(self.counted()?).map_err(|_| {
            let message = "a text in the message is not UTF-8";
            Refusal::new(HoleReason::InvalidUtf8, message)
        })
    }

    /// Bytes with their count before them.
    fn counted(&mut self) -> Result<&'b [u8], Refusal> {
        let count = usize::try_from(self.long()?);
        self.take(count.map_err(|_| malformed("a text or bytes have a negative length"))?)
    }

    /// A whole number of at most 64 bits, seven in each byte, the lowest first, its sign in the lowest bit.
    fn long(&mut self) -> Result<i64, Refusal> {
        let mut folded = 0_u64;
        for index in 0..10 {
            let [byte] = self.array()?;
            // The tenth byte has room for one bit.
            if index == 9 && byte > 1 {
                break;
            }
            folded |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok((folded >> 1) as i64 ^ -((folded & 1) as i64));
            }
        }
        Err(malformed("a number has more than 64 bits"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(ends)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Refusal> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(ends)?;
        self.bytes = rest;
        Ok(taken)
    }
}

fn ends() -> Refusal {
    malformed("the message ends before its schema does")
}
