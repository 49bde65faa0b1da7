#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn cell<'a>(wire: &'a Wire, value: &'a [u8]) -> Cell<'a> {
    let mut bytes = Bytes(value);
    let taken = wire.take(&mut bytes).unwrap();
    assert!(bytes.is_empty());
    wire.cell(taken, Clock::default()).unwrap()
}

#[test]
fn integers_keep_their_sign() {
    let wire = |bytes, unsigned| Wire::Integer { bytes, unsigned };
    assert_eq!(cell(&wire(1, false), b"\xff"), Cell::Integer(-1));
    assert_eq!(cell(&wire(1, true), b"\xff"), Cell::Integer(255));
    assert_eq!(
        cell(&wire(3, false), b"\0\0\x80"),
        Cell::Integer(-8_388_608)
    );
    assert_eq!(
        cell(&wire(8, true), &[0xff; 8]),
        Cell::Integer(u64::MAX.into())
    );
    assert_eq!(cell(&wire(8, false), &[0xff; 8]), Cell::Integer(-1));
}

/// From MySQL's manual of the binary form: 1234567890.1234 and its negative as DECIMAL(14,4).
#[test]
fn decimals_are_read_as_the_manual_writes_them() {
    let wire = Wire::Decimal {
        precision: 14,
        scale: 4,
    };
    let positive = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
    let negative = positive.map(|byte: u8| !byte);
    let units = 12_345_678_901_234;
    assert_eq!(cell(&wire, &positive), Cell::Decimal { units, scale: 4 });
    assert_eq!(
        cell(&wire, &negative),
        Cell::Decimal {
            units: -units,
            scale: 4
        }
    );
}

#[test]
fn decimals_beyond_128_bits_stay_text() {
    let wire = Wire::Decimal {
        precision: 65,
        scale: 30,
    };
    let mut value = [0u8; 30];
    value[0] = 0x80;
    value[3] = 5;
    let Cell::Number(text) = cell(&wire, &value) else {
        panic!("not text")
    };
    assert_eq!(text, format!("5{}.{}", "0".repeat(27), "0".repeat(30)));
}

#[test]
fn times_are_read_with_their_fractions() {
    // 2026-11-22 08:00:01.25 with two digits.
    let days = (2026 * 13 + 11) << 5 | 22u64;
    let packed = 1 << 39 | (days << 17 | 8 << 12 | 1);
    let mut value = packed.to_be_bytes()[3..].to_vec();
    value.push(25);
    let expected = Cell::Timestamp(1_795_334_401_250_000);
    assert_eq!(cell(&Wire::DateTime { digits: 2 }, &value), expected);
    let mut value = 1_795_334_401u32.to_be_bytes().to_vec();
    value.extend([0x03, 0xd0, 0x90]);
    assert_eq!(cell(&Wire::Timestamp { digits: 6 }, &value), expected);
    let zero = Wire::Timestamp { digits: 0 }
        .cell(&[0; 4], Clock::default())
        .unwrap_err();
    assert_eq!(zero.reason, HoleReason::AbsurdTime);
    // -00:00:00.5 and -838:59:59 of one digit and of none.
    let half = (0x8000_0000_u32 - 50).to_be_bytes();
    assert_eq!(
        cell(&Wire::Time { digits: 1 }, &half),
        Cell::Text("-00:00:00.500000".into())
    );
    let least = 0x80_0000 - (838 << 12 | 59 << 6 | 59_u32);
    let value = &least.to_be_bytes()[1..];
    assert_eq!(
        cell(&Wire::Time { digits: 0 }, value),
        Cell::Text("-838:59:59".into())
    );
}

#[test]
fn labels_stand_for_numbers() {
    let labels: Option<Arc<[String]>> = Some(["a".to_owned(), "b".into(), "c".into()].into());
    let choice = Wire::Enum {
        bytes: 1,
        labels: labels.clone(),
    };
    assert_eq!(cell(&choice, &[2]), Cell::Text("b".into()));
    for unknown in [0, 4] {
        assert!(choice.cell(&[unknown], Clock::default()).is_err());
    }
    let set = Wire::Set { bytes: 1, labels };
    assert_eq!(cell(&set, &[0b101]), Cell::Text("a,c".into()));
    assert_eq!(cell(&set, &[0]), Cell::Text("".into()));
    assert!(set.cell(&[0b1000], Clock::default()).is_err());
}

#[test]
fn bytes_that_the_server_cut_off_come_back() {
    let wire = Wire::Binary {
        prefix: 1,
        width: Some(4),
    };
    assert_eq!(cell(&wire, b"\x02\xca\xfe"), Cell::Text("cafe0000".into()));
    let wire = Wire::Binary {
        prefix: 2,
        width: None,
    };
    assert_eq!(cell(&wire, b"\x02\0\xca\xfe"), Cell::Text("cafe".into()));
}

fn any_wire() -> impl Strategy<Value = Wire> {
    let labels: Arc<[String]> = (0..64).map(|index| format!("l{index}")).collect();
    prop_oneof![
        (1..=8usize, any::<bool>()).prop_map(|(bytes, unsigned)| Wire::Integer { bytes, unsigned }),
        (any::<u8>(), any::<u8>())
            .prop_map(|(precision, scale)| Wire::Decimal { precision, scale }),
        (0..=9u8).prop_map(|digits| Wire::Time { digits }),
        (0..=9u8).prop_map(|digits| Wire::DateTime { digits }),
        (0..=9u8).prop_map(|digits| Wire::Timestamp { digits }),
        (1..=8usize).prop_map(|bytes| Wire::Bit { bytes }),
        (1..=8usize).prop_map({
            let labels = labels.clone();
            move |bytes| Wire::Set {
                bytes,
                labels: Some(labels.clone()),
            }
        }),
        (1..=2usize).prop_map(move |bytes| Wire::Enum {
            bytes,
            labels: Some(labels.clone())
        }),
        (1..=4usize).prop_map(|prefix| Wire::Text {
            prefix,
            charset: Charset::Chinese
        }),
        (1..=4usize).prop_map(|prefix| Wire::Binary {
            prefix,
            width: Some(16)
        }),
        Just(Wire::Float),
        Just(Wire::Double),
        Just(Wire::Year),
        Just(Wire::Date),
        Just(Wire::Unknown(77)),
    ]
}

proptest! {
    /// Whatever bytes come, they are read, refused or found too short.
    #[test]
    fn any_bytes_are_taken_or_refused(wire in any_wire(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut left = Bytes(&bytes);
        if let Ok(value) = wire.take(&mut left) {
            prop_assert!(value.len() + left.0.len() <= bytes.len());
            let _ = wire.cell(value, Clock::default());
        }
    }

    /// Every decimal comes back as it was written.
    #[test]
    fn decimals_come_back(units in -999_999_999_999_999_999i64..=999_999_999_999_999_999, scale in 1..=18u8) {
        let wire = Wire::Decimal { precision: 18, scale };
        let value = write_decimal(units, 18, scale);
        prop_assert_eq!(cell(&wire, &value), Cell::Decimal { units: units.into(), scale });
    }
}

/// Writes what [`decimal`] reads, digit group by digit group.
fn write_decimal(units: i64, precision: u8, scale: u8) -> Vec<u8> {
    let digits = format!(
        "{:0width$}",
        units.unsigned_abs(),
        width = usize::from(precision)
    );
    let (whole, fraction) = digits.split_at(usize::from(precision - scale));
    let mut value = Vec::new();
    let push = |value: &mut Vec<u8>, digits: &str| {
        let number: u64 = digits.parse().unwrap_or(0);
        let length = digit_bytes(digits.len() as u8);
        value.extend(&number.to_be_bytes()[8 - length..]);
    };
    let (rest, groups) = whole.split_at(whole.len() % 9);
    push(&mut value, rest);
    (0..groups.len() / 9).for_each(|index| push(&mut value, &groups[9 * index..][..9]));
    let (groups, rest) = fraction.split_at(fraction.len() / 9 * 9);
    (0..groups.len() / 9).for_each(|index| push(&mut value, &groups[9 * index..][..9]));
    push(&mut value, rest);
    value[0] ^= 0x80;
    if units < 0 {
        value.iter_mut().for_each(|byte| *byte = !*byte);
    }
    value
}
