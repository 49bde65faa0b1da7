//! What the values of a database's column are, and which declared columns can take them.

use std::borrow::Cow;

use centinel_catalog::ColumnType;
use centinel_model::HoleReason;
use chrono::{Datelike, NaiveDate};

use crate::column::Cell;
use crate::value::Refusal;

/// What the values of one column of a physical table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers, years and bits.
    Integer,
    Decimal {
        scale: u8,
    },
    /// Not a number for anything here: it cannot hold money.
    Float,
    /// Texts, enums, sets, JSON.
    Text,
    /// Bytes, shown as hexadecimal digits.
    Binary,
    Date,
    /// Without a zone.
    DateTime,
    /// In UTC.
    Timestamp,
    /// A time of day or a span.
    Time,
    /// With what it is.
    Unreadable(&'static str),
}

/// How far times without a zone run ahead of UTC, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) ahead: i64,
}

impl Kind {
    /// Says why a column of the schema cannot take these values, where it cannot.
    pub(crate) fn misfit(self, declared: ColumnType) -> Option<Cow<'static, str>> {
        use ColumnType as Declared;
        let fits = match (self, declared) {
            (Kind::Unreadable(what), _) => {
                return Some(format!("is {what}").into());
            }
            (Kind::Float, Declared::Decimal { .. } | Declared::Integer) => {
                let why = "is a FLOAT or DOUBLE, which does not hold amounts exactly; make it a DECIMAL \
                           in the database";
                return Some(why.into());
            }
            (Kind::Integer, Declared::Integer | Declared::Decimal { .. } | Declared::Boolean) => {
                true
            }
            (Kind::Decimal { scale }, Declared::Integer) => scale == 0,
            (Kind::Decimal { .. }, Declared::Decimal { .. }) => true,
            // Amounts that are kept as text are as exact as decimals.
            (Kind::Text, Declared::Text | Declared::Json | Declared::Decimal { .. }) => true,
            (Kind::Float | Kind::Binary | Kind::Time, Declared::Text) => true,
            (Kind::Date, Declared::Date) => true,
            (Kind::DateTime | Kind::Timestamp, Declared::Timestamp) => true,
            _ => false,
        };
        (!fits).then(|| format!("is {} in the database", self.name()).into())
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Integer => "a whole number",
            Kind::Decimal { .. } => "a DECIMAL",
            Kind::Float => "a FLOAT or DOUBLE",
            Kind::Text => "text",
            Kind::Binary => "binary",
            Kind::Date => "a DATE",
            Kind::DateTime => "a DATETIME",
            Kind::Timestamp => "a TIMESTAMP",
            Kind::Time => "a TIME",
            Kind::Unreadable(what) => what,
        }
    }
}

pub(super) fn zero_date() -> Refusal {
    let message = "is a zero date such as 0000-00-00, which is no day; set it to NULL or to a real date, and \
                   forbid more of them with SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, \
                   ',STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE')";
    Refusal::new(HoleReason::AbsurdTime, message)
}

/// A day as days since 1970-01-01; one with zeros in it is refused.
pub(super) fn day(year: i64, month: u64, day: u64) -> Result<i32, Refusal> {
    const DAYS_FROM_YEAR_ONE: i32 = 719_163;
    let date = i32::try_from(year).ok().filter(|_| month > 0 && day > 0);
    let date = date.and_then(|year| NaiveDate::from_ymd_opt(year, month as u32, day as u32));
    let date = date.ok_or_else(zero_date)?;
    Ok(date.num_days_from_ce() - DAYS_FROM_YEAR_ONE)
}

/// The instant at which a clock of the database showed this.
pub(super) fn moment<'a>(day: i32, seconds: i64, micros: i64, clock: Clock) -> Cell<'a> {
    let shown = (i64::from(day) * 86_400 + seconds) * 1_000_000 + micros;
    Cell::Timestamp(shown - clock.ahead)
}

/// A time of day or a span, as the database writes it with all six digits behind the second if there are any.
pub(super) fn time_of_day(
    negative: bool,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
) -> String {
    let sign = if negative { "-" } else { "" };
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}

/// Bytes as small hexadecimal digits, with zero bytes up to `width`.
pub(super) fn hexadecimal(value: &[u8], width: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let zeros = width.saturating_sub(value.len());
    let mut text = String::with_capacity(2 * (value.len() + zeros));
    for byte in value.iter().copied().chain(std::iter::repeat_n(0, zeros)) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_no_money() {
        let decimal = ColumnType::Decimal {
            precision: 18,
            scale: 2,
        };
        assert!(
            Kind::Float
                .misfit(decimal)
                .is_some_and(|why| why.contains("make it a DECIMAL"))
        );
        assert!(Kind::Float.misfit(ColumnType::Integer).is_some());
        assert_eq!(Kind::Float.misfit(ColumnType::Text), None);
        assert_eq!(Kind::Integer.misfit(decimal), None);
        assert_eq!(Kind::Decimal { scale: 0 }.misfit(ColumnType::Integer), None);
        assert!(
            Kind::Decimal { scale: 2 }
                .misfit(ColumnType::Integer)
                .is_some()
        );
        assert!(Kind::Text.misfit(ColumnType::Timestamp).is_some());
        assert!(
            Kind::Unreadable("a point")
                .misfit(ColumnType::Text)
                .is_some()
        );
    }

    #[test]
    fn days_with_zeros_in_them_are_refused() {
        assert_eq!(day(1970, 1, 1), Ok(0));
        assert_eq!(day(2026, 11, 22), Ok(20_779));
        for (year, month, number) in [(0, 0, 0), (2026, 0, 1), (2026, 2, 0), (2026, 2, 30)] {
            assert_eq!(day(year, month, number), Err(zero_date()));
        }
    }

    #[test]
    fn a_clock_ahead_of_utc_shows_an_earlier_instant() {
        let eight_hours = Clock {
            ahead: 8 * 3_600_000_000,
        };
        assert_eq!(moment(0, 8 * 3600, 5, eight_hours), Cell::Timestamp(5));
    }
}
