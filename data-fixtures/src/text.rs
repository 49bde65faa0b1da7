//! Numbers, times and texts as bytes, without allocation.

/// Microseconds in one second.
pub const SECOND: i64 = 1_000_000;

/// Year, month and day of a number of days since 1970-01-01, by the proleptic Gregorian calendar.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends `number` with at least `width` digits.
pub(crate) fn push_padded(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut start = digits.len();
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    start = start.min(digits.len() - width.min(digits.len()));
    out.extend_from_slice(&digits[start..]);
}

/// Appends a whole number.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_padded(out, number.unsigned_abs(), 1);
}

/// Appends `units` × 10^−`scale` in plain decimal digits.
pub(crate) fn push_decimal(out: &mut Vec<u8>, units: i64, scale: u8) {
    if units < 0 {
        out.push(b'-');
    }
    let power = 10u64.pow(u32::from(scale));
    push_padded(out, units.unsigned_abs() / power, 1);
    if scale > 0 {
        out.push(b'.');
        push_padded(out, units.unsigned_abs() % power, usize::from(scale));
    }
}

/// How a timestamp is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStyle {
    /// `2026-11-22T08:00:00.000000Z`
    Rfc3339,
    /// `2026-11-22 08:00:00.000000`, as MySQL shows it; the zone is UTC
    Database,
    /// `20261122080000`
    Compact,
}

/// Appends a time given in microseconds since 1970-01-01 UTC.
pub fn push_time(out: &mut Vec<u8>, micros: i64, style: TimeStyle) {
    let seconds = micros.div_euclid(SECOND);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second_of_day = seconds.rem_euclid(86_400) as u64;
    let parts = [
        u64::from(month),
        u64::from(day),
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    ];
    let separators: [&[u8]; 5] = match style {
        TimeStyle::Rfc3339 => [b"-", b"-", b"T", b":", b":"],
        TimeStyle::Database => [b"-", b"-", b" ", b":", b":"],
        TimeStyle::Compact => [b""; 5],
    };
    push_padded(out, year.unsigned_abs(), 4);
    for (part, separator) in parts.into_iter().zip(separators) {
        out.extend_from_slice(separator);
        push_padded(out, part, 2);
    }
    if style != TimeStyle::Compact {
        out.push(b'.');
        push_padded(out, micros.rem_euclid(SECOND) as u64, 6);
    }
    if style == TimeStyle::Rfc3339 {
        out.push(b'Z');
    }
}

/// Appends a JSON string with its quotes.
pub(crate) fn push_json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0..=0x1F => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[
                    b'0' + (byte >> 4),
                    b"0123456789abcdef"[usize::from(byte & 15)],
                ]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Runs `write` on a fresh buffer and returns the text; everything written here is UTF-8.
pub(crate) fn to_text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(32);
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_with_the_calendar_library() {
        for micros in [
            0,
            951_782_400_000_000,
            1_795_334_400_123_456,
            4_102_444_799_999_999,
            1_709_164_800_000_001,
        ] {
            let expected = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            let text = to_text(|out| push_time(out, micros, TimeStyle::Rfc3339));
            assert_eq!(text, expected.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        }
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for (units, scale, text) in [
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (5_500, 6, "0.005500"),
            (-12, 0, "-12"),
        ] {
            assert_eq!(to_text(|out| push_decimal(out, units, scale)), text);
        }
    }

    #[test]
    fn json_texts_are_escaped() {
        let text = "a\"b\\c\u{1f}七";
        let written = to_text(|out| push_json_text(out, text));
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
