//! Times as tools write them.

use centinel_model::{HoleReason, Timestamp};

use crate::column::Cell;
use crate::value::{self, Refusal};

/// Microseconds in one unit of whole-number times, or units in a microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// A whole number of units since 1970 as microseconds, exactly.
pub(super) fn since_1970(number: &str, unit: Unit) -> Result<i64, Refusal> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "is not a whole number of seconds, or parts of one, since 1970";
        return Err(Refusal::new(HoleReason::WrongType, message));
    }
    let absurd = || {
        Refusal::new(
            HoleReason::AbsurdTime,
            "lies outside the years 1970 to 9999",
        )
    };
    let number: i64 = number.parse().map_err(|_| absurd())?;
    match unit {
        Unit::Seconds => number.checked_mul(1_000_000).ok_or_else(absurd),
        Unit::Millis => number.checked_mul(1_000).ok_or_else(absurd),
        Unit::Micros => Ok(number),
        Unit::Nanos if number % 1_000 == 0 => Ok(number / 1_000),
        Unit::Nanos => {
            let message = "is finer than a microsecond";
            Err(Refusal::new(HoleReason::OutOfRange, message))
        }
    }
}

/// The commit time that a whole number of units since 1970 means.
pub(super) fn committed_at(micros: i64) -> Result<Timestamp, Refusal> {
    value::timestamp_of(Cell::Timestamp(micros)).map_err(|refusal| refusal.of("committed_at"))
}

/// Text such as `2026-11-22 08:00:00.000001` or `2026-11-22T08:00:00` as microseconds since 1970 on the clock
/// that showed it; `None` if it is not of this form or no such time exists.
pub(super) fn without_zone(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_first_chunk::<10>()?;
    let (separator, rest) = rest.split_first_chunk::<1>()?;
    let (clock, fraction) = rest.split_first_chunk::<8>()?;
    if !matches!(separator, b" " | b"T") {
        return None;
    }
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else {
        return None;
    };
    let hour = value::number(&[*h1, *h2]).filter(|hour| *hour < 24)?;
    let minute = value::number(&[*m1, *m2]).filter(|minute| *minute < 60)?;
    let second = value::number(&[*s1, *s2]).filter(|second| *second < 60)?;
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let (kept, rest) = digits.split_at(digits.len().min(6));
            if rest.iter().any(|digit| *digit != b'0') {
                return None;
            }
            value::number(kept)? * 10_i64.pow(6 - kept.len() as u32)
        }
        _ => return None,
    };
    let days = i64::from(value::days_since_epoch(date)?);
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros)
}

/// Refuses what MySQL keeps for a day that does not exist.
pub(super) fn refuse_zero_date(text: &str) -> Result<(), Refusal> {
    let day = text.get(..10).unwrap_or(text);
    let zero = day.len() == 10 && (day.starts_with("0000") || day.contains("-00"));
    if !zero {
        return Ok(());
    }
    let message = "is a zero date, which is no time; let the platform write NULL for it, or the tool that captures \
                   changes";
    Err(Refusal::new(HoleReason::AbsurdTime, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_zone_are_exact() {
        assert_eq!(without_zone("1970-01-02 00:00:01"), Some(86_401_000_000));
        assert_eq!(without_zone("1970-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(without_zone("1970-01-01 00:00:00.123456"), Some(123_456));
        assert_eq!(without_zone("1970-01-01 00:00:00.123456000"), Some(123_456));
        assert_eq!(without_zone("1969-12-31 23:59:59"), Some(-1_000_000));
        for text in [
            "",
            "1970-01-01",
            "1970-01-01 00:00",
            "1970-01-01 24:00:00",
            "1970-01-01 00:60:00",
            "1970-01-01 00:00:60",
            "1970-02-30 00:00:00",
            "1970-01-01 00:00:00.",
            "1970-01-01 00:00:00.1234567",
            "1970-01-01 00:00:00Z",
            "1970-01-01  00:00:00",
            "0000-00-00 00:00:00",
        ] {
            assert_eq!(without_zone(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_times_of_their_unit() {
        assert_eq!(since_1970("1", Unit::Seconds), Ok(1_000_000));
        assert_eq!(
            since_1970("1700000000123", Unit::Millis),
            Ok(1_700_000_000_123_000)
        );
        assert_eq!(since_1970("-5", Unit::Micros), Ok(-5));
        assert_eq!(since_1970("5000", Unit::Nanos), Ok(5));
        for (text, unit) in [
            ("5001", Unit::Nanos),
            ("1.5", Unit::Millis),
            ("9223372036854775807", Unit::Millis),
            ("", Unit::Millis),
            ("1e3", Unit::Millis),
        ] {
            assert!(since_1970(text, unit).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_dates_are_told() {
        for text in [
            "0000-00-00",
            "0000-00-00 00:00:00.000",
            "2026-00-00",
            "2026-11-00 08:00:00",
        ] {
            assert!(refuse_zero_date(text).is_err(), "{text}");
        }
        for text in ["2026-11-22", "2026-10-10 00:00:00", "", "x"] {
            assert_eq!(refuse_zero_date(text), Ok(()), "{text}");
        }
    }
}
