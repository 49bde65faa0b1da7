//! MySQL's binary form of JSON → the text that the server itself would show.
//!
//! Decimals keep their digits, and keys the order in which the server keeps them, so that a document in the log
//! reads as it does in a snapshot. What has no text of its own (bits and bytes in a document) is refused.

use std::fmt::Write;

use centinel_model::HoleReason;

use super::bytes::{Bytes, Malformed};
use super::wire::{decimal, digit_bytes};
use crate::column::Cell;
use crate::value::Refusal;

/// Documents are not nested deeper by the server.
const MAX_DEPTH: u32 = 100;
/// A text is longer than its binary form by less than this factor, unless parts of it are pointed at twice.
const MAX_GROWTH: usize = 16;

/// Why a document cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Malformed,
    /// It holds a value of a type of the database that JSON does not have.
    Foreign(u8),
}

impl From<Malformed> for Fault {
    fn from(Malformed: Malformed) -> Fault {
        Fault::Malformed
    }
}

/// The document as text.
pub(super) fn text(document: &[u8]) -> Result<String, Refusal> {
    let mut writer = Writer {
        text: String::with_capacity(document.len()),
        longest: document.len() * MAX_GROWTH + 64,
    };
    let written = match document.split_first() {
        // The server takes an empty value for null, too.
        None => writer.push("null"),
        Some((kind, value)) => writer.value(*kind, value, 0),
    };
    match written {
        Ok(()) => Ok(writer.text),
        Err(Fault::Malformed) => Err(Refusal::new(
            HoleReason::Malformed,
            "is no JSON in MySQL's binary form",
        )),
        Err(Fault::Foreign(kind)) => Err(Refusal::new(
            HoleReason::WrongType,
            format!("holds a value of MySQL's type {kind} in its JSON; store it as text there"),
        )),
    }
}

struct Writer {
    text: String,
    longest: usize,
}

/// Types of values.
mod kinds {
    pub(super) const SMALL_OBJECT: u8 = 0;
    pub(super) const LARGE_OBJECT: u8 = 1;
    pub(super) const SMALL_ARRAY: u8 = 2;
    pub(super) const LARGE_ARRAY: u8 = 3;
    pub(super) const LITERAL: u8 = 4;
    pub(super) const INT16: u8 = 5;
    pub(super) const UINT16: u8 = 6;
    pub(super) const INT32: u8 = 7;
    pub(super) const UINT32: u8 = 8;
    pub(super) const INT64: u8 = 9;
    pub(super) const UINT64: u8 = 10;
    pub(super) const DOUBLE: u8 = 11;
    pub(super) const STRING: u8 = 12;
    pub(super) const OPAQUE: u8 = 15;
}

impl Writer {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.text.len() + text.len() > self.longest {
            return Err(Fault::Malformed);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Writes the value of this type at the beginning of `bytes`.
    fn value(&mut self, kind: u8, bytes: &[u8], depth: u32) -> Result<(), Fault> {
        let mut bytes = Bytes(bytes);
        match kind {
            kinds::SMALL_OBJECT | kinds::LARGE_OBJECT | kinds::SMALL_ARRAY | kinds::LARGE_ARRAY => {
                if depth >= MAX_DEPTH {
                    return Err(Fault::Malformed);
                }
                Container::read(kind, bytes)?.write(self, depth + 1)
            }
            kinds::LITERAL => match bytes.u8()? {
                0 => self.push("null"),
                1 => self.push("true"),
                2 => self.push("false"),
                _ => Err(Fault::Malformed),
            },
            kinds::INT16 => {
                let number = bytes.number(2)? as i16;
                self.push(&number.to_string())
            }
            kinds::INT32 => {
                let number = bytes.number(4)? as i32;
                self.push(&number.to_string())
            }
            kinds::INT64 => {
                let number = bytes.number(8)? as i64;
                self.push(&number.to_string())
            }
            kinds::UINT16 => self.unsigned(bytes.number(2)?),
            kinds::UINT32 => self.unsigned(bytes.number(4)?),
            kinds::UINT64 => self.unsigned(bytes.number(8)?),
            kinds::DOUBLE => self.double(f64::from_bits(bytes.number(8)?)),
            kinds::STRING => {
                let length = length(&mut bytes)?;
                self.string(bytes.take(length)?)
            }
            kinds::OPAQUE => {
                let kind = bytes.u8()?;
                let length = length(&mut bytes)?;
                self.opaque(kind, bytes.take(length)?)
            }
            _ => Err(Fault::Malformed),
        }
    }

    fn unsigned(&mut self, number: u64) -> Result<(), Fault> {
        self.push(&number.to_string())
    }

    /// The fewest digits that read back, with an exponent where the server writes one.
    fn double(&mut self, number: f64) -> Result<(), Fault> {
        if !number.is_finite() {
            return Err(Fault::Malformed);
        }
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e').ok_or(Fault::Malformed)?;
        let exponent: i32 = exponent.parse().map_err(|_| Fault::Malformed)?;
        let text = match exponent {
            -15..=14 => match number.to_string() {
                whole if !whole.contains('.') => format!("{whole}.0"),
                text => text,
            },
            _ => format!("{digits}e{exponent}"),
        };
        self.push(&text)
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let content = std::str::from_utf8(bytes).map_err(|_| Fault::Malformed)?;
        self.push("\"")?;
        let mut rest = content;
        while let Some(at) = rest.find(|next: char| next < ' ' || next == '"' || next == '\\') {
            self.push(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.push("\\\"")?,
                b'\\' => self.push("\\\\")?,
                b'\n' => self.push("\\n")?,
                b'\r' => self.push("\\r")?,
                b'\t' => self.push("\\t")?,
                8 => self.push("\\b")?,
                12 => self.push("\\f")?,
                control => self.push(&format!("\\u{control:04x}"))?,
            }
            rest = &rest[at + 1..];
        }
        self.push(rest)?;
        self.push("\"")
    }

    /// Values of types that JSON does not have: decimals stand as numbers, times as texts.
    fn opaque(&mut self, kind: u8, value: &[u8]) -> Result<(), Fault> {
        const TIMESTAMP: u8 = 7;
        const DATE: u8 = 10;
        const TIME: u8 = 11;
        const DATETIME: u8 = 12;
        const DECIMAL: u8 = 246;
        match kind {
            DECIMAL => {
                let mut bytes = Bytes(value);
                let (precision, scale) = (bytes.u8()?, bytes.u8()?);
                if scale > precision || precision > 65 {
                    return Err(Fault::Malformed);
                }
                let length = digit_bytes(precision - scale) + digit_bytes(scale);
                self.push(&digits(decimal(bytes.take(length)?, precision, scale)))
            }
            DATE | DATETIME | TIMESTAMP | TIME => {
                let packed = Bytes(value).number(8)? as i64;
                self.push(&packed_time(packed, kind == DATE, kind == TIME))
            }
            other => Err(Fault::Foreign(other)),
        }
    }
}

/// A decimal with all its digits.
fn digits(cell: Cell) -> String {
    match cell {
        Cell::Integer(number) => number.to_string(),
        Cell::Decimal { units, scale } => {
            let scale = usize::from(scale);
            let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if units < 0 { "-" } else { "" };
            format!("{sign}{whole}.{fraction}")
        }
        Cell::Number(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// Microseconds in the lowest 24 bits, the time of day above them, the day on top.
fn packed_time(packed: i64, only_date: bool, only_time: bool) -> String {
    let sign = if packed < 0 { "-" } else { "" };
    let packed = packed.unsigned_abs();
    let (whole, micros) = (packed >> 24, packed & 0xff_ffff);
    let mut text = format!("\"{sign}");
    let (minute, second) = (whole >> 6 & 63, whole & 63);
    // Writing to a text cannot fail.
    if only_time {
        let hour = whole >> 12 & 0x3ff;
        let _ = write!(text, "{hour:02}:{minute:02}:{second:02}.{micros:06}\"");
        return text;
    }
    let (days, hour) = (whole >> 17, whole >> 12 & 31);
    let (year, month, day) = (days / 32 / 13, days / 32 % 13, days % 32);
    let _ = write!(text, "{year:04}-{month:02}-{day:02}");
    if !only_date {
        let _ = write!(text, " {hour:02}:{minute:02}:{second:02}.{micros:06}");
    }
    text.push('"');
    text
}

/// A length in groups of seven bits, the lowest first; the highest bit says that more follow.
fn length(bytes: &mut Bytes) -> Result<usize, Malformed> {
    let mut length = 0u64;
    for group in 0..5 {
        let byte = bytes.u8()?;
        length |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return usize::try_from(length).map_err(|_| Malformed);
        }
    }
    Err(Malformed)
}

/// An array, or an object, whose parts stand at offsets from its beginning.
struct Container<'a> {
    whole: &'a [u8],
    object: bool,
    /// Bytes of a number in it: counts, sizes, offsets.
    number: usize,
    count: usize,
}

impl<'a> Container<'a> {
    fn read(kind: u8, mut bytes: Bytes<'a>) -> Result<Container<'a>, Malformed> {
        let start = bytes.0;
        let large = matches!(kind, kinds::LARGE_OBJECT | kinds::LARGE_ARRAY);
        let number = if large { 4 } else { 2 };
        let count = bytes.number(number)? as usize;
        let size = bytes.number(number)? as usize;
        Ok(Container {
            whole: start.get(..size).ok_or(Malformed)?,
            object: matches!(kind, kinds::SMALL_OBJECT | kinds::LARGE_OBJECT),
            number,
            count,
        })
    }

    fn write(&self, into: &mut Writer, depth: u32) -> Result<(), Fault> {
        let (open, close) = if self.object { ("{", "}") } else { ("[", "]") };
        into.push(open)?;
        for index in 0..self.count {
            if index > 0 {
                into.push(", ")?;
            }
            if self.object {
                let mut entry = self.at(2 * self.number + index * (self.number + 2))?;
                let (offset, length) = (entry.number(self.number)?, entry.number(2)?);
                let mut key = self.at(offset as usize)?;
                into.string(key.take(length as usize)?)?;
                into.push(": ")?;
            }
            self.element(index, into, depth)?;
        }
        into.push(close)
    }

    fn element(&self, index: usize, into: &mut Writer, depth: u32) -> Result<(), Fault> {
        let keys = if self.object { self.number + 2 } else { 0 };
        let mut entry = self.at(2 * self.number + self.count * keys + index * (self.number + 1))?;
        let kind = entry.u8()?;
        // Short values stand in the entry itself.
        let inlined = match kind {
            kinds::LITERAL | kinds::INT16 | kinds::UINT16 => true,
            kinds::INT32 | kinds::UINT32 => self.number == 4,
            _ => false,
        };
        if inlined {
            return into.value(kind, entry.take(self.number)?, depth);
        }
        let offset = entry.number(self.number)? as usize;
        into.value(kind, self.at(offset)?.0, depth)
    }

    fn at(&self, offset: usize) -> Result<Bytes<'a>, Malformed> {
        Ok(Bytes(self.whole.get(offset..).ok_or(Malformed)?))
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
