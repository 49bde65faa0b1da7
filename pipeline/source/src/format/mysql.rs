//! What tools for MySQL have in common: places in its binary log, and values as text.

use std::borrow::Cow;

use centinel_catalog::ColumnType;
use centinel_model::HoleReason;

use super::number::plain_digits;
use super::time::{refuse_zero_date, without_zone};
use crate::binlog::{Kind, kind_of};
use crate::column::Cell;
use crate::rows::ColumnLayout;
use crate::value::{self, Refusal};

/// Bits of a position within a log file; the file's number stands above them.
const POSITION_BITS: u32 = 40;

/// Why a column cannot take the values of one of this type of MySQL, as tools write it: `decimal(18,2) unsigned`.
/// Text can take all that is written as text; of types that are not known nothing is said.
pub(super) fn misfit(written: &str, declared: ColumnType) -> Option<Cow<'static, str>> {
    if matches!(declared, ColumnType::Text | ColumnType::Json) {
        return None;
    }
    let written = written.trim().to_ascii_lowercase();
    let (name, rest) = match written.find(['(', ' ']) {
        Some(end) => written.split_at(end),
        None => (written.as_str(), ""),
    };
    let name = match name {
        "real" => "double",
        "integer" => "int",
        "numeric" | "dec" => "decimal",
        "bool" | "boolean" => "tinyint",
        name => name,
    };
    let inside = rest
        .strip_prefix('(')
        .and_then(|rest| rest.split(')').next());
    let scale = inside.and_then(|inside| inside.split_once(','));
    let scale = scale.and_then(|(_, scale)| scale.trim().parse().ok());
    match kind_of(name, "utf8mb4", scale.unwrap_or(0)) {
        Kind::Unreadable(_) => None,
        kind => kind.misfit(declared),
    }
}

/// One number that rises along a server's binary log: from `mysql-bin.000003` and a position in it.
pub(super) fn binlog_place(file: &str, position: u64) -> Result<u64, Refusal> {
    let number = file.rsplit_once('.').and_then(|(_, digits)| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)
    });
    let number = number.ok_or_else(|| {
        let message = "does not end in the number of a binary log file, such as binlog.000003";
        Refusal::new(HoleReason::WrongType, message).of("file")
    })?;
    if number >= 1 << (64 - POSITION_BITS) || position >= 1 << POSITION_BITS {
        let message = "and the position in it are larger than those of a binary log";
        return Err(Refusal::new(HoleReason::OutOfRange, message).of("file"));
    }
    Ok(number << POSITION_BITS | position)
}

/// A value as MySQL shows it in text; `zone` is how far the table's clock runs ahead of UTC, in microseconds.
pub(super) fn cell_of_text<'a>(
    text: Cow<'a, str>,
    column: &ColumnLayout,
    zone: Option<i64>,
) -> Result<Cell<'a>, Refusal> {
    match column.kind {
        ColumnType::Text | ColumnType::Json => Ok(Cell::Text(text)),
        ColumnType::Integer | ColumnType::Boolean => Ok(Cell::Number(text)),
        ColumnType::Decimal { .. } => Ok(Cell::Number(match plain_digits(&text) {
            Some(Cow::Owned(plain)) => Cow::Owned(plain),
            _ => text,
        })),
        ColumnType::Timestamp => {
            refuse_zero_date(&text)?;
            match without_zone(&text) {
                Some(micros) => Ok(Cell::Timestamp(micros.saturating_sub(zone.unwrap_or(0)))),
                None => value::timestamp_text(&text).map(|time| Cell::Timestamp(time.0)),
            }
        }
        ColumnType::Date => {
            refuse_zero_date(&text)?;
            Ok(Cell::Text(text))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn types_fit_what_can_take_their_values() {
        let decimal = ColumnType::Decimal {
            precision: 18,
            scale: 2,
        };
        for (written, declared, fits) in [
            ("decimal(18,2)", decimal, true),
            ("NUMERIC(18, 2) unsigned", decimal, true),
            ("varchar(32)", decimal, true),
            ("bigint(20) unsigned", decimal, true),
            ("double", decimal, false),
            ("REAL", decimal, false),
            ("datetime(6)", decimal, false),
            ("decimal(18,0)", ColumnType::Integer, true),
            ("decimal(18,2)", ColumnType::Integer, false),
            ("tinyint(1)", ColumnType::Boolean, true),
            ("datetime(6)", ColumnType::Timestamp, true),
            ("date", ColumnType::Timestamp, false),
            ("bigint", ColumnType::Text, true),
            ("something new", ColumnType::Date, true),
            ("", ColumnType::Date, true),
        ] {
            let found = misfit(written, declared);
            assert_eq!(found.is_none(), fits, "{written}: {found:?}");
        }
    }

    #[test]
    fn places_rise_along_the_log() {
        let place = |file, position| binlog_place(file, position).unwrap();
        assert!(place("mysql-bin.000003", 154) < place("mysql-bin.000003", 155));
        assert!(place("mysql-bin.000003", u64::from(u32::MAX) + 5) < place("mysql-bin.000004", 4));
        assert!(place("a.b.999999", 4) < place("a.b.1000000", 4));
        for (file, position) in [
            ("", 4),
            ("binlog", 4),
            ("binlog.", 4),
            ("binlog.x1", 4),
            ("binlog.+1", 4),
            ("b.16777216", 4),
            ("b.1", 1 << 40),
        ] {
            assert!(binlog_place(file, position).is_err(), "{file} {position}");
        }
    }
}
