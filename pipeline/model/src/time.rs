//! Instants and spans in whole microseconds, the resolution that binlogs and Kafka have.

use std::fmt;

use chrono::{DateTime, SecondsFormat};

/// An instant: microseconds since 1970-01-01T00:00:00Z, on a source's clock unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A text that is not an RFC 3339 instant, or one outside the years 1970 to 9999.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time such as 2026-11-22T08:00:00Z, in the years 1970 to 9999")]
pub struct TimestampError(String);

impl Timestamp {
    /// Before every real instant: nothing is known of a source yet.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After every real instant: a source has ended.
    pub const MAX: Timestamp = Timestamp(i64::MAX);
    /// The last instant that a row or a message may carry: the end of the year 9999.
    pub const LATEST: Timestamp = Timestamp(253_402_300_799_999_999);

    /// Reads RFC 3339 text, in any offset.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Timestamp(time.timestamp_micros()))
            .filter(|time| (0..=Self::LATEST.0).contains(&time.0))
            .ok_or_else(|| TimestampError(text.chars().take(40).collect()))
    }

    /// This instant moved later by `span`; stays within the representable range.
    pub fn plus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this instant, zero if it is not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration(self.0.saturating_sub(earlier.0).max(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => out.write_str("before everything"),
            Timestamp::MAX => out.write_str("the end"),
            Timestamp(micros) => match DateTime::from_timestamp_micros(micros) {
                Some(time) => out.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
                None => write!(out, "{micros} µs"),
            },
        }
    }
}

/// A span of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub i64);

/// A text that is not a span such as `30s`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a span: write a whole number and ms, s, m, h or d, such as 30s or 24h")]
pub struct DurationError(String);

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// A span of whole seconds.
    pub const fn seconds(seconds: i64) -> Duration {
        Duration(seconds * 1_000_000)
    }

    /// Reads `500ms`, `30s`, `10m`, `24h` or `7d`; at most 3650 days.
    pub fn parse(text: &str) -> Result<Duration, DurationError> {
        let refuse = || DurationError(text.chars().take(40).collect());
        let digits = text
            .trim()
            .trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let micros_per_unit: i64 = match &text.trim()[digits.len()..] {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return Err(refuse()),
        };
        let count: u32 = digits.parse().map_err(|_| refuse())?;
        i64::from(count)
            .checked_mul(micros_per_unit)
            .filter(|micros| *micros <= 3_650 * 86_400_000_000)
            .map(Duration)
            .ok_or_else(refuse)
    }

    /// This span `count` times over.
    pub fn times(self, count: u32) -> Duration {
        Duration(self.0.saturating_mul(i64::from(count)))
    }

    /// Both spans one after the other.
    pub fn plus(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (86_400_000_000, "d"),
            (3_600_000_000, "h"),
            (60_000_000, "m"),
            (1_000_000, "s"),
        ];
        for (micros, unit) in units {
            if self.0 != 0 && self.0 % micros == 0 {
                return write!(out, "{}{unit}", self.0 / micros);
            }
        }
        write!(out, "{}ms", self.0 / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_in_any_offset_and_written_in_utc() {
        let time = Timestamp::parse("2026-11-22T16:00:00.5+08:00").expect("valid");
        assert_eq!(time.to_string(), "2026-11-22T08:00:00.500Z");
        assert!(Timestamp::parse("1969-12-31T23:59:59Z").is_err());
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn durations_are_read_and_written_alike() {
        for text in ["500ms", "30s", "10m", "24h", "7d"] {
            let span = Duration::parse(text).expect("valid");
            assert_eq!(Duration::parse(&span.to_string()), Ok(span), "{text}");
        }
        for text in ["", "30", "s", "-5s", "1.5h", "4000d", "3 weeks"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }
}
