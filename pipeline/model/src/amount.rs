//! Exact decimal amounts, as Arrow's `Decimal128` holds them.

use std::cmp::Ordering;
use std::fmt;

/// An exact decimal number: `units` × 10^−`scale`. Never a float.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    /// The number without its decimal point.
    pub units: i128,
    /// How many of its digits stand behind the point; at most 38.
    pub scale: u8,
}

/// Why a text is not an exact amount of the wanted precision and scale.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AmountError {
    /// Not digits with an optional sign and point.
    #[error("not a plain decimal number")]
    Malformed,
    /// Non-zero digits beyond the declared scale: rounding money would hide a loss.
    #[error("more than {0} digits after the decimal point")]
    TooFine(u8),
    /// More digits than the declared precision holds.
    #[error("more than {0} digits")]
    TooLarge(u8),
}

impl Amount {
    /// Reads plain decimal text exactly into `scale` digits after the point and at most
    /// `precision` (≤ 38) digits in all. Exponents, blanks, and digits that would be lost are refused.
    pub fn parse(text: &str, precision: u8, scale: u8) -> Result<Amount, AmountError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mut units: i128 = 0;
        let mut behind_point: Option<u8> = None;
        let mut seen = false;
        for byte in digits {
            match byte {
                b'.' if behind_point.is_none() && seen => behind_point = Some(0),
                b'0'..=b'9' => {
                    seen = true;
                    if let Some(count) = behind_point.as_mut() {
                        if *count == scale {
                            if *byte == b'0' {
                                continue;
                            }
                            return Err(AmountError::TooFine(scale));
                        }
                        *count += 1;
                    }
                    units = units
                        .checked_mul(10)
                        .and_then(|units| units.checked_add(i128::from(byte - b'0')))
                        .ok_or(AmountError::TooLarge(precision))?;
                }
                _ => return Err(AmountError::Malformed),
            }
        }
        if !seen || digits.last() == Some(&b'.') {
            return Err(AmountError::Malformed);
        }
        let missing = scale - behind_point.unwrap_or(0);
        let units = 10i128
            .checked_pow(u32::from(missing))
            .and_then(|factor| units.checked_mul(factor))
            .filter(|units| precision >= 38 || *units < 10i128.pow(u32::from(precision)))
            .ok_or(AmountError::TooLarge(precision))?;
        Ok(Amount {
            units: if negative { -units } else { units },
            scale,
        })
    }

    /// Reads plain decimal text with as many digits behind the point as it has.
    pub fn exact(text: &str) -> Result<Amount, AmountError> {
        let behind_point = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let scale = u8::try_from(behind_point).map_err(|_| AmountError::TooLarge(38))?;
        if scale > 38 {
            return Err(AmountError::TooLarge(38));
        }
        Amount::parse(text, 38, scale)
    }

    /// The same amount without its sign, or `None` where that does not exist.
    pub fn absolute(self) -> Option<Amount> {
        Some(Amount {
            units: self.units.checked_abs()?,
            scale: self.scale,
        })
    }

    /// The exact sum, or `None` on overflow.
    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        let scale = self.scale.max(other.scale);
        let units = self.rescaled(scale)?.checked_add(other.rescaled(scale)?)?;
        Some(Amount { units, scale })
    }

    fn rescaled(self, scale: u8) -> Option<i128> {
        10i128
            .checked_pow(u32::from(scale - self.scale))?
            .checked_mul(self.units)
    }

    /// Without trailing zeros behind the point, so that equal amounts are written alike.
    pub fn normalised(mut self) -> Amount {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Amount) -> bool {
        let (left, right) = (self.normalised(), other.normalised());
        left.units == right.units && left.scale == right.scale
    }
}

impl Eq for Amount {}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Amount) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        Some(self.rescaled(scale)?.cmp(&other.rescaled(scale)?))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        match fraction {
            "" => write!(out, "{sign}{whole}"),
            _ => write!(out, "{sign}{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_or_not_at_all() {
        let read = |text| Amount::parse(text, 5, 2).map(|amount| amount.to_string());
        assert_eq!(read("12.3"), Ok("12.30".into()));
        assert_eq!(read("-0.05"), Ok("-0.05".into()));
        assert_eq!(read("7.1000"), Ok("7.10".into()));
        assert_eq!(read("7.105"), Err(AmountError::TooFine(2)));
        assert_eq!(read("1000"), Err(AmountError::TooLarge(5)));
        for text in [
            "", "-", ".", "1.", ".5", "1e2", " 1", "+1", "1,0", "NaN", "٣",
        ] {
            assert_eq!(read(text), Err(AmountError::Malformed), "{text}");
        }
    }

    #[test]
    fn text_is_read_with_all_its_digits() {
        let read = |text| Amount::exact(text).map(|amount| (amount.units, amount.scale));
        assert_eq!(read("12.30"), Ok((1_230, 2)));
        assert_eq!(read("-7"), Ok((-7, 0)));
        assert_eq!(read("1."), Err(AmountError::Malformed));
        let fine = format!("0.{}1", "0".repeat(300));
        assert_eq!(read(&fine), Err(AmountError::TooLarge(38)));
    }

    #[test]
    fn equal_amounts_of_different_scales_are_equal() {
        let left = Amount {
            units: 1_500,
            scale: 3,
        };
        let right = Amount {
            units: 15,
            scale: 1,
        };
        assert_eq!(left, right);
        assert_eq!(left.checked_add(right), Some(Amount { units: 3, scale: 0 }));
        assert!(
            Amount {
                units: -1,
                scale: 2
            } < right
        );
    }
}
