//! Numbers as tools write them, exactly.

use std::borrow::Cow;

use centinel_model::HoleReason;

use crate::column::Cell;
use crate::value::Refusal;

/// More digits than this are no number of a database.
const MAX_DIGITS: usize = 200;

/// A number with or without exponent in plain digits; `None` if the text is not a number. Databases' decimals
/// come as `0E-8` when their tool writes them as Java does.
pub(super) fn plain_digits(text: &str) -> Option<Cow<'_, str>> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return is_plain(text).then_some(Cow::Borrowed(text));
    };
    if !is_plain(mantissa) || mantissa.len() > MAX_DIGITS {
        return None;
    }
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    if exponent.unsigned_abs() as usize > MAX_DIGITS {
        return None;
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let plain = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => format!("{sign}{digits:0<point$}"),
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _ => format!(
            "{sign}0.{}{digits}",
            "0".repeat(point.unsigned_abs() as usize)
        ),
    };
    Some(Cow::Owned(plain))
}

/// Digits with an optional sign and point.
fn is_plain(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// The whole number whose bytes, two's complement and the highest first, this text holds in base 64; `None` if
/// it is not base 64, or the number has more than 128 bits.
pub(super) fn base64_number(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut number: i128 = 0;
    let mut pending: u32 = 0;
    let mut bits = 0;
    let mut first = true;
    for byte in &bytes[..bytes.len() - padding] {
        pending = pending << 6 | u32::from(sextet(*byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let next = (pending >> bits) as u8;
            pending &= (1 << bits) - 1;
            number = match std::mem::take(&mut first) {
                true => i128::from(next as i8),
                false => number.checked_mul(256)? | i128::from(next),
            };
        }
    }
    // What is left of the last character says nothing.
    (pending == 0 && !first).then_some(number)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// The decimal with these bytes in base 64 and so many digits behind the point, which may be negative.
pub(super) fn decimal_of_bytes(text: &str, scale: i32) -> Result<Cell<'static>, Refusal> {
    let wrong = || {
        let message = "is not a decimal in bytes (base 64) of at most 128 bits";
        Refusal::new(HoleReason::WrongType, message)
    };
    let units = base64_number(text).ok_or_else(wrong)?;
    let out_of_range = || {
        Refusal::new(
            HoleReason::OutOfRange,
            "has more digits than its type holds",
        )
    };
    match u8::try_from(scale) {
        Ok(0) => return Ok(Cell::Integer(units)),
        Ok(scale) => return Ok(Cell::Decimal { units, scale }),
        Err(_) => {}
    }
    let factor = u32::try_from(scale.saturating_neg())
        .ok()
        .and_then(|digits| 10_i128.checked_pow(digits))
        .ok_or_else(out_of_range)?;
    Ok(Cell::Integer(
        units.checked_mul(factor).ok_or_else(out_of_range)?,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponents_become_plain_digits() {
        let table = [
            ("12.50", "12.50"),
            ("-7", "-7"),
            ("0E-8", "0.00000000"),
            ("1E+3", "1000"),
            ("-1.25e2", "-125"),
            ("-1.25e1", "-12.5"),
            ("1.25E-3", "0.00125"),
            ("120e-2", "1.20"),
        ];
        for (text, plain) in table {
            assert_eq!(plain_digits(text).as_deref(), Some(plain), "{text}");
        }
        for text in [
            "",
            "-",
            "NaN",
            "1e",
            "1e+",
            "e5",
            "1e999999999",
            "1.",
            ".5",
            "+1",
            "1e+-5",
            "0x1",
        ] {
            assert_eq!(plain_digits(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_numbers_in_twos_complement() {
        let table = [
            ("AA==", 0),
            ("fw==", 127),
            ("gA==", -128),
            ("/w==", -1),
            ("AIA=", 128),
            ("Te4=", 19_950),
            ("nA==", -100),
            ("////", -1),
            ("CjZMmCJ+qmrcusA=", 12_345_678_901_234_567_890_123_456),
            // The highest and the lowest of 128 bits.
            ("f////////////////////w==", i128::MAX),
            ("gAAAAAAAAAAAAAAAAAAAAA==", i128::MIN),
        ];
        for (text, number) in table {
            assert_eq!(base64_number(text), Some(number), "{text}");
        }
        for text in [
            "",
            "A",
            "AA",
            "AA=",
            "A===",
            "====",
            "A-==",
            "AB==",
            "AA==AA==",
            "AIAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert_eq!(base64_number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back_from_its_bytes(number in any::<i128>(), more in 0_usize..3) {
            // Java writes as few bytes as possible, other tools more.
            let all = number.to_be_bytes();
            let fewest = (0..15).find(|skip| {
                let rest = &all[*skip..];
                rest[0] != if number < 0 { 0xff } else { 0 } || (rest[1] & 0x80 == 0) == (number < 0)
            });
            let bytes = &all[fewest.unwrap_or(15).saturating_sub(more)..];
            prop_assert_eq!(base64_number(&base64(bytes)), Some(number));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"[A-Za-z0-9+/=eE.\-]{0,30}") {
            let _ = base64_number(&text);
            if let Some(plain) = plain_digits(&text) {
                prop_assert!(is_plain(&plain), "{}", plain);
            }
        }
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let mut three = [0; 3];
            three[..chunk.len()].copy_from_slice(chunk);
            let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for index in 0..4 {
                let digit = DIGITS[(word >> (18 - 6 * index) & 63) as usize];
                text.push(if index <= chunk.len() {
                    char::from(digit)
                } else {
                    '='
                });
            }
        }
        text
    }
}
