//! Money as it is ordered and added up in the store: exact, never a float.

use std::fmt;

use centinel_model::Amount;

/// Bytes that sort as amounts do: `memcmp` over them is the order of the numbers, and equal numbers have equal bytes.
/// No amount is the empty text, before zero. Never given a negative amount.
///
/// The first byte is where the decimal point stands before or behind the first digit that is not zero (plus 64), the
/// others are two digits each (plus 1), without the zeros at the end.
pub fn sortable(amount: Option<Amount>) -> Vec<u8> {
    let Some(amount) = amount else {
        return Vec::new();
    };
    if amount.units == 0 {
        return vec![1];
    }
    let digits = amount.units.unsigned_abs().to_string();
    let point = digits.len() as i16 - i16::from(amount.scale) + 64;
    let mut bytes = vec![point as u8];
    let digits = digits.trim_end_matches('0').as_bytes();
    for pair in digits.chunks(2) {
        let digit = |at: usize| pair.get(at).map_or(0, |digit| digit - b'0');
        bytes.push(digit(0) * 10 + digit(1) + 1);
    }
    bytes
}

/// Nine decimal digits in each limb.
const BASE: u32 = 1_000_000_000;
const DIGITS: usize = 9;
/// Limbs behind the point: 45 digits, and an [`Amount`] has at most 38.
const BEHIND: usize = 5;
/// Limbs before it: 63 digits, so that 10^25 of the largest amounts fit.
const BEFORE: usize = 7;

/// An exact sum of amounts that are not negative: a decimal number with 63 digits before the point and 45 behind it.
/// Every amount fits without being rounded, and no sum of them overflows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The smallest first.
    limbs: [u32; BEHIND + BEFORE],
}

impl Sum {
    /// Reads plain decimal text without a sign; nothing where it is none, or too long.
    pub fn parse(text: &str) -> Option<Sum> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let whole = match plain(whole) {
            true => whole.trim_start_matches('0'),
            false => return None,
        };
        if !plain(fraction) || whole.len() > BEFORE * DIGITS || fraction.len() > BEHIND * DIGITS {
            return None;
        }
        let mut sum = Sum::default();
        let limb = |digits: &[u8], scale: usize| {
            let read = digits
                .iter()
                .fold(0, |limb, digit| limb * 10 + u32::from(digit - b'0'));
            read * 10_u32.pow((scale - digits.len()) as u32)
        };
        for (at, digits) in fraction.as_bytes().chunks(DIGITS).enumerate() {
            sum.limbs[BEHIND - 1 - at] = limb(digits, DIGITS);
        }
        for (at, digits) in whole.as_bytes().rchunks(DIGITS).enumerate() {
            sum.limbs[BEHIND + at] = limb(digits, digits.len());
        }
        Some(sum)
    }

    /// This amount; nothing where it is negative.
    pub fn of(amount: Amount) -> Option<Sum> {
        Sum::parse(&amount.to_string())
    }

    /// Adds another; false beyond 63 digits, which no number of findings reaches.
    #[must_use]
    pub fn add(&mut self, other: &Sum) -> bool {
        let mut carry = 0;
        for (limb, other) in self.limbs.iter_mut().zip(other.limbs) {
            let sum = *limb + other + carry;
            (*limb, carry) = (sum % BASE, sum / BASE);
        }
        carry == 0
    }

    /// Takes another away; false where that is larger.
    #[must_use]
    pub fn subtract(&mut self, other: &Sum) -> bool {
        let mut borrow = 0;
        for (limb, other) in self.limbs.iter_mut().zip(other.limbs) {
            let less = other + borrow;
            (*limb, borrow) = match *limb >= less {
                true => (*limb - less, 0),
                false => (*limb + BASE - less, 1),
            };
        }
        borrow == 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.limbs.iter().all(|limb| *limb == 0)
    }
}

/// Plain decimal text, without zeros that say nothing.
impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |limbs: &[u32]| -> String {
            limbs
                .iter()
                .rev()
                .map(|limb| format!("{limb:09}"))
                .collect()
        };
        let (whole, fraction) = (text(&self.limbs[BEHIND..]), text(&self.limbs[..BEHIND]));
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        match fraction.trim_end_matches('0') {
            "" => out.write_str(whole),
            fraction => write!(out, "{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount() -> impl Strategy<Value = Amount> {
        let units = prop_oneof![0..1_000_i128, 0..10_i128.pow(38), Just(10_i128.pow(38) - 1)];
        (units, 0..=38_u8).prop_map(|(units, scale)| Amount { units, scale })
    }

    #[test]
    fn bytes_sort_as_numbers_do() {
        let rising = [
            "0",
            "0.00000001",
            "0.05",
            "0.5",
            "1",
            "1.0000001",
            "9.99",
            "10",
            "12.5",
            "100",
            "100.5",
            "99999",
        ];
        let bytes: Vec<Vec<u8>> = rising
            .iter()
            .map(|text| sortable(Some(Amount::exact(text).unwrap())))
            .collect();
        assert!(bytes.is_sorted_by(|left, right| left < right), "{bytes:?}");
        assert!(sortable(None) < bytes[0]);
        assert_eq!(sortable(Some(Amount::exact("12.50").unwrap())), bytes[8]);
        // Nothing in them is a zero byte, which ends them where they are parts of a key.
        assert!(bytes.iter().flatten().all(|byte| *byte > 0));
    }

    proptest! {
        #[test]
        fn any_two_amounts_sort_as_their_numbers(left in amount(), right in amount()) {
            // `Amount` compares at a common scale, where that fits; `Sum` at its own, where everything does.
            let numbers = Sum::of(left).unwrap().limbs.iter().rev().cmp(Sum::of(right).unwrap().limbs.iter().rev());
            prop_assert_eq!(sortable(Some(left)).cmp(&sortable(Some(right))), numbers);
            if let Some(order) = left.partial_cmp(&right) {
                prop_assert_eq!(numbers, order);
            }
        }

        #[test]
        fn sums_are_exact_and_come_apart_again(amounts in proptest::collection::vec(amount(), 1..20)) {
            let mut sum = Sum::default();
            for amount in &amounts {
                prop_assert!(sum.add(&Sum::of(*amount).unwrap()));
            }
            prop_assert_eq!(&Sum::parse(&sum.to_string()).unwrap(), &sum);
            for amount in &amounts {
                prop_assert!(sum.subtract(&Sum::of(*amount).unwrap()));
            }
            prop_assert!(sum.is_zero());
        }

        /// Against whole numbers of the machine.
        #[test]
        fn small_sums_are_those_of_whole_numbers(cents in proptest::collection::vec(0..10_u64.pow(12), 0..50)) {
            let mut sum = Sum::default();
            for cent in &cents {
                let amount = Amount { units: i128::from(*cent), scale: 2 };
                prop_assert!(sum.add(&Sum::of(amount).unwrap()));
            }
            let total = i128::from(cents.iter().sum::<u64>());
            prop_assert_eq!(sum.to_string(), Amount { units: total, scale: 2 }.normalised().to_string());
        }
    }

    #[test]
    fn what_is_no_number_is_none_and_nothing_goes_below_zero() {
        for text in ["", "-1", "1e3", "1.", ".5", " 1", "NaN", &"9".repeat(64)] {
            assert_eq!(Sum::parse(text), None, "{text}");
        }
        let mut sum = Sum::parse("1.5").unwrap();
        assert!(!sum.clone().subtract(&Sum::parse("1.50000001").unwrap()));
        assert!(sum.subtract(&Sum::parse("1.5").unwrap()) && sum.is_zero());
    }
}
