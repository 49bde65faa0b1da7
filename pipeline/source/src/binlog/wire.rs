//! One value as it stands in a row image → a cell.

use std::borrow::Cow;
use std::sync::Arc;

use centinel_model::HoleReason;

use super::bytes::{Bytes, Malformed, big_endian, little_endian};
use super::charset::Charset;
use super::kind::{Clock, Kind, day, hexadecimal, moment, time_of_day};
use crate::column::Cell;
use crate::value::Refusal;

/// How the values of one column stand in row images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Integer {
        bytes: usize,
        unsigned: bool,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    Year,
    Date,
    /// `digits` behind the second.
    Time {
        digits: u8,
    },
    DateTime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Bit {
        bytes: usize,
    },
    Enum {
        bytes: usize,
        labels: Option<Arc<[String]>>,
    },
    Set {
        bytes: usize,
        labels: Option<Arc<[String]>>,
    },
    /// Behind a length of so many bytes.
    Text {
        prefix: usize,
        charset: Charset,
    },
    /// Likewise; the server cuts zero bytes off the end of one of fixed `width`.
    Binary {
        prefix: usize,
        width: Option<usize>,
    },
    /// Likewise, in MySQL's binary form of JSON.
    Json {
        prefix: usize,
    },
    /// Likewise, of a type that cannot be read, but passed over.
    Opaque {
        prefix: usize,
        name: &'static str,
    },
    /// A type of unknown length, by its number.
    Unknown(u8),
}

impl Wire {
    /// What its values are.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Wire::Integer { .. } | Wire::Year | Wire::Bit { .. } => Kind::Integer,
            Wire::Decimal { scale, .. } => Kind::Decimal { scale: *scale },
            Wire::Float | Wire::Double => Kind::Float,
            Wire::Date => Kind::Date,
            Wire::Time { .. } => Kind::Time,
            Wire::DateTime { .. } => Kind::DateTime,
            Wire::Timestamp { .. } => Kind::Timestamp,
            Wire::Enum { labels, .. } | Wire::Set { labels, .. } => match labels {
                Some(_) => Kind::Text,
                None => Kind::Unreadable("an ENUM or SET whose labels cannot be read"),
            },
            Wire::Text { charset, .. } => match charset {
                Charset::Unknown => Kind::Unreadable("text in an unsupported character set"),
                _ => Kind::Text,
            },
            Wire::Binary { .. } => Kind::Binary,
            Wire::Json { .. } => Kind::Text,
            Wire::Opaque { name, .. } => Kind::Unreadable(name),
            Wire::Unknown(_) => Kind::Unreadable("of an unknown type"),
        }
    }

    /// Takes the bytes of one value.
    pub(super) fn take<'a>(&self, bytes: &mut Bytes<'a>) -> Result<&'a [u8], Malformed> {
        let length = match self {
            Wire::Integer { bytes: length, .. }
            | Wire::Bit { bytes: length }
            | Wire::Enum { bytes: length, .. }
            | Wire::Set { bytes: length, .. } => *length,
            Wire::Decimal { precision, scale } => {
                digit_bytes(precision.saturating_sub(*scale)) + digit_bytes(*scale)
            }
            Wire::Float => 4,
            Wire::Double => 8,
            Wire::Year => 1,
            Wire::Date => 3,
            Wire::Time { digits } => 3 + fraction_bytes(*digits),
            Wire::DateTime { digits } => 5 + fraction_bytes(*digits),
            Wire::Timestamp { digits } => 4 + fraction_bytes(*digits),
            Wire::Text { prefix, .. }
            | Wire::Binary { prefix, .. }
            | Wire::Json { prefix }
            | Wire::Opaque { prefix, .. } => {
                usize::try_from(bytes.number(*prefix)?).map_err(|_| Malformed)?
            }
            Wire::Unknown(_) => return Err(Malformed),
        };
        bytes.take(length)
    }

    /// What the bytes of one value mean.
    pub(super) fn cell<'a>(&'a self, value: &'a [u8], clock: Clock) -> Result<Cell<'a>, Refusal> {
        Ok(match self {
            Wire::Integer { bytes, unsigned } => {
                let number = little_endian(value);
                let unused = 64 - 8 * bytes.clamp(&1, &8);
                Cell::Integer(match unsigned {
                    true => i128::from(number),
                    false => i128::from(((number << unused) as i64) >> unused),
                })
            }
            Wire::Bit { .. } => Cell::Integer(i128::from(big_endian(value))),
            Wire::Year => Cell::Integer(match value {
                [0] | [] => 0,
                [year, ..] => 1900 + i128::from(*year),
            }),
            Wire::Decimal { precision, scale } => decimal(value, *precision, *scale),
            // Only text columns take these, for which the shortest text that reads back is exact.
            Wire::Float => Cell::Text(f32::from_le_bytes(fixed(value)).to_string().into()),
            Wire::Double => Cell::Text(f64::from_le_bytes(fixed(value)).to_string().into()),
            Wire::Date => {
                let packed = little_endian(value);
                Cell::Date(day((packed >> 9) as i64, packed >> 5 & 15, packed & 31)?)
            }
            Wire::DateTime { digits } => {
                let (whole, fraction) = value.split_at(value.len().min(5));
                let packed = (big_endian(whole) & 0x7f_ffff_ffff) as i64;
                let (days, time) = (packed >> 17, packed & 0x1_ffff);
                let date = day(days / 32 / 13, (days / 32 % 13) as u64, (days % 32) as u64)?;
                let seconds = (time >> 12) * 3600 + (time >> 6 & 63) * 60 + (time & 63);
                moment(date, seconds, micros(fraction, *digits), clock)
            }
            Wire::Timestamp { digits } => {
                let (whole, fraction) = value.split_at(value.len().min(4));
                match (big_endian(whole) as i64, micros(fraction, *digits)) {
                    (0, 0) => return Err(super::kind::zero_date()),
                    (seconds, micros) => Cell::Timestamp(seconds * 1_000_000 + micros),
                }
            }
            Wire::Time { digits } => Cell::Text(packed_time(value, *digits).into()),
            Wire::Enum { labels, .. } => {
                Cell::Text(enum_label(labels, little_endian(value))?.into())
            }
            Wire::Set { labels, .. } => Cell::Text(set_labels(labels, little_endian(value))?),
            Wire::Text { charset, .. } => Cell::Text(charset.read(value)?),
            Wire::Binary { width, .. } => Cell::Text(hexadecimal(value, width.unwrap_or(0)).into()),
            Wire::Json { .. } => Cell::Text(super::document::text(value)?.into()),
            Wire::Opaque { .. } | Wire::Unknown(_) => {
                return Err(Refusal::new(
                    HoleReason::WrongType,
                    "is of a type that cannot be read",
                ));
            }
        })
    }
}

/// The first bytes as an array, with zeros where they are too few.
fn fixed<const LENGTH: usize>(value: &[u8]) -> [u8; LENGTH] {
    let mut array = [0; LENGTH];
    let there = value.len().min(LENGTH);
    array[..there].copy_from_slice(&value[..there]);
    array
}

/// What 65 digits take at most.
const MAX_DECIMAL_BYTES: usize = 32;

/// How many bytes so many decimal digits take: four for nine, fewer for what is left.
pub(super) fn digit_bytes(digits: u8) -> usize {
    const OF_REST: [usize; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];
    usize::from(digits / 9) * 4 + OF_REST[usize::from(digits % 9)]
}

/// The top bit is set for what is not negative; a negative number has all its bits turned over.
pub(super) fn decimal<'a>(value: &[u8], precision: u8, scale: u8) -> Cell<'a> {
    let negative = value.first().is_none_or(|first| first & 0x80 == 0);
    let mut plain = [0; MAX_DECIMAL_BYTES];
    let length = value.len().min(MAX_DECIMAL_BYTES);
    for (plain, byte) in plain.iter_mut().zip(value) {
        *plain = if negative { !byte } else { *byte };
    }
    plain[0] ^= 0x80;
    let whole_digits = precision.saturating_sub(scale);
    let (whole, fraction) = plain[..length].split_at(digit_bytes(whole_digits).min(length));
    // A whole part begins with what is left over of nine digits, a fraction ends with it.
    let (rest, nines) = whole.split_at(digit_bytes(whole_digits % 9).min(whole.len()));
    let (nines_behind, rest_behind) =
        fraction.split_at((usize::from(scale / 9) * 4).min(fraction.len()));
    let group = |bytes, digits| (big_endian(bytes), usize::from(digits));
    let groups = std::iter::once(group(rest, whole_digits % 9))
        .chain(nines.chunks(4).map(|bytes| group(bytes, 9)))
        .chain(nines_behind.chunks(4).map(|bytes| group(bytes, 9)))
        .chain(std::iter::once(group(rest_behind, scale % 9)))
        .filter(|(_, digits)| *digits > 0);
    let units = groups.clone().try_fold(0i128, |units, (number, digits)| {
        units
            .checked_mul(10i128.pow(digits as u32))?
            .checked_add(number.into())
    });
    match units.map(|units| if negative { -units } else { units }) {
        Some(units) if scale == 0 => Cell::Integer(units),
        Some(units) => Cell::Decimal { units, scale },
        // More than 38 digits: the column decides whether it takes them.
        None => {
            let digits = groups.map(|(number, digits)| format!("{number:0digits$}"));
            let digits: String = digits.collect();
            let (whole, fraction) =
                digits.split_at(digits.len().saturating_sub(usize::from(scale)));
            let sign = if negative { "-" } else { "" };
            let whole = match whole.trim_start_matches('0') {
                "" => "0",
                whole => whole,
            };
            let point = if fraction.is_empty() { "" } else { "." };
            Cell::Number(format!("{sign}{whole}{point}{fraction}").into())
        }
    }
}

fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.div_ceil(2)).min(3)
}

/// A fraction of a second: one byte for two digits.
fn micros(fraction: &[u8], digits: u8) -> i64 {
    let number = big_endian(fraction) as i64;
    match fraction_bytes(digits) {
        0 => 0,
        1 => number * 10_000,
        2 => number * 100,
        _ => number,
    }
}

/// The whole number counts from the middle of its range, and its fraction along with it.
fn packed_time(value: &[u8], digits: u8) -> String {
    let bits = 8 * fraction_bytes(digits);
    let middle = 0x80_0000_i64 << bits;
    let number = big_endian(value) as i64 - middle;
    let (negative, number) = (number < 0, number.abs());
    let whole = number >> bits;
    let fraction = number & ((1 << bits) - 1);
    let micros = match fraction_bytes(digits) {
        1 => fraction * 10_000,
        2 => fraction * 100,
        _ => fraction,
    };
    time_of_day(
        negative,
        whole >> 12 & 0x3ff,
        whole >> 6 & 63,
        whole & 63,
        micros,
    )
}

fn no_label() -> Refusal {
    let message = "has no label: an empty or unknown value of its ENUM or SET; correct the row";
    Refusal::new(HoleReason::WrongType, message)
}

fn enum_label(labels: &Option<Arc<[String]>>, number: u64) -> Result<&str, Refusal> {
    let index = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let label = index.and_then(|index| labels.as_ref()?.get(index));
    label.map(String::as_str).ok_or_else(no_label)
}

/// The labels that are set, in the order of their declaration, with commas between them.
fn set_labels(labels: &Option<Arc<[String]>>, bits: u64) -> Result<Cow<'_, str>, Refusal> {
    let labels = labels.as_deref().ok_or_else(no_label)?;
    let chosen = labels
        .iter()
        .enumerate()
        .filter(|(index, _)| bits >> index.min(&63) & 1 == 1);
    let chosen: Vec<&str> = chosen.map(|(_, label)| label.as_str()).collect();
    if chosen.len() != bits.count_ones() as usize {
        return Err(no_label());
    }
    Ok(chosen.join(",").into())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
