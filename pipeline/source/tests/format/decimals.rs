//! Decimals as Debezium writes them, by connector and converter.

use centinel_model::HoleReason;
use centinel_source::{DebeziumOptions, Decimals, Format};

use crate::debezium::create;
use crate::support::{decode, decoder, value_of};

fn options(decimals: Option<Decimals>) -> Format {
    Format::Debezium(DebeziumOptions {
        decimals,
        ..DebeziumOptions::default()
    })
}

/// The amount that is read from this JSON.
fn amount(decimals: Option<Decimals>, json: &str) -> Result<String, (HoleReason, String)> {
    let value = create(1, "?").replace(r#""?""#, json);
    value_of(
        &decode(&mut decoder(options(decimals)), &[&value]),
        "amount",
    )
}

#[test]
fn bytes_in_base_64_are_exact() {
    let table = [
        ("AA==", "0.00"),
        ("AQ==", "0.01"),
        ("/w==", "-0.01"),
        ("nA==", "-1.00"),
        ("AIA=", "1.28"),
        ("gA==", "-1.28"),
        ("Te4=", "199.50"),
        ("/3o=", "-1.34"),
        ("DeC2s6dj//8=", "9999999999999999.99"),
        ("8h9JTFicAAE=", "-9999999999999999.99"),
    ];
    for (bytes, expected) in table {
        let json = format!("\"{bytes}\"");
        assert_eq!(
            amount(Some(Decimals::Precise), &json).as_deref(),
            Ok(expected),
            "{bytes}"
        );
        assert_eq!(amount(None, &json).as_deref(), Ok(expected), "{bytes}");
    }
    // One more digit than the column holds.
    let (reason, _) = amount(Some(Decimals::Precise), r#""DeC2s6dkAAA=""#).unwrap_err();
    assert_eq!(reason, HoleReason::OutOfRange);
    let (reason, says) = amount(Some(Decimals::Precise), r#""12.50""#).unwrap_err();
    assert_eq!(reason, HoleReason::WrongType);
    assert!(says.contains("base 64"), "{says}");
}

#[test]
fn digits_in_text_are_exact() {
    let table = [
        ("12.50", "12.50"),
        ("-0.01", "-0.01"),
        ("7", "7.00"),
        ("0E-8", "0.00"),
        ("1.2E+3", "1200.00"),
        ("9999999999999999.99", "9999999999999999.99"),
        ("1234", "1234.00"),
    ];
    for (digits, expected) in table {
        let json = format!("\"{digits}\"");
        assert_eq!(
            amount(Some(Decimals::String), &json).as_deref(),
            Ok(expected),
            "{digits}"
        );
    }
    for digits in ["NaN", "Infinity", "", " 1", "1,5", "AIA="] {
        let (reason, _) = amount(Some(Decimals::String), &format!("\"{digits}\"")).unwrap_err();
        assert_eq!(reason, HoleReason::WrongType, "{digits}");
    }
}

#[test]
fn what_may_be_digits_or_bytes_is_refused_until_it_is_said() {
    assert_eq!(amount(None, r#""12.50""#).as_deref(), Ok("12.50"));
    assert_eq!(amount(None, r#""-7""#).as_deref(), Ok("-7.00"));
    assert_eq!(amount(None, r#""12345""#).as_deref(), Ok("12345.00"));
    for digits in ["1234", "12345678", "1E+3"] {
        let (reason, says) = amount(None, &format!("\"{digits}\"")).unwrap_err();
        assert_eq!(reason, HoleReason::WrongType);
        assert!(
            says.contains("may be digits or bytes") && says.contains("decimals"),
            "{says}"
        );
    }
}

#[test]
fn numbers_with_a_point_are_floats_until_it_is_said_that_they_are_not() {
    for number in ["199.5", "1e2", "0E-8", "12.50"] {
        for decimals in [None, Some(Decimals::Precise), Some(Decimals::String)] {
            let (reason, says) = amount(decimals, number).unwrap_err();
            assert_eq!(reason, HoleReason::WrongType);
            assert!(
                says.contains("decimal.handling.mode") && says.contains("numeric"),
                "{says}"
            );
        }
    }
    let numeric = |number| amount(Some(Decimals::Numeric), number);
    assert_eq!(numeric("199.5").as_deref(), Ok("199.50"));
    assert_eq!(numeric("0E-8").as_deref(), Ok("0.00"));
    assert_eq!(
        numeric("9999999999999999.99").as_deref(),
        Ok("9999999999999999.99")
    );
    assert_eq!(numeric("199.505").unwrap_err().0, HoleReason::OutOfRange);
    assert_eq!(numeric(r#""Te4=""#).unwrap_err().0, HoleReason::WrongType);
    // A column that is a whole number in the database.
    assert_eq!(amount(None, "-12").as_deref(), Ok("-12.00"));
}

/// The amount that is read beside a schema that calls it so.
fn amount_beside(field: &str, json: &str) -> Result<String, (HoleReason, String)> {
    let payload = create(1, "?").replace(r#""?""#, json);
    let value = format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{{"field":"amount",{field}}}]}}]}},"payload":{payload}}}"#
    );
    value_of(&decode(&mut decoder(options(None)), &[&value]), "amount")
}

#[test]
fn a_schema_says_what_a_decimal_is() {
    let decimal = |scale: &str| {
        format!(
            r#""type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{{"scale":"{scale}","connect.decimal.precision":"18"}}"#
        )
    };
    assert_eq!(
        amount_beside(&decimal("2"), r#""Te4=""#).as_deref(),
        Ok("199.50")
    );
    // Another scale than the schema file's: it counts.
    assert_eq!(
        amount_beside(&decimal("1"), r#""Te4=""#).as_deref(),
        Ok("1995.00")
    );
    assert_eq!(
        amount_beside(&decimal("-1"), r#""AQ==""#).as_deref(),
        Ok("10.00")
    );
    assert_eq!(
        amount_beside(&decimal("0"), r#""1234""#).as_deref(),
        Ok("-2658824.00")
    );
    assert_eq!(
        amount_beside(&decimal("3"), r#""Te4=""#).as_deref(),
        Ok("19.95")
    );
    assert_eq!(
        amount_beside(&decimal("5"), r#""Te4=""#).unwrap_err().0,
        HoleReason::OutOfRange
    );
    // `decimal.format=NUMERIC` is seen by the schema.
    assert_eq!(
        amount_beside(&decimal("2"), "199.5").as_deref(),
        Ok("199.50")
    );
    assert_eq!(
        amount_beside(r#""type":"string""#, r#""1234""#).as_deref(),
        Ok("1234.00")
    );
    for number in ["199.5", "199"] {
        let (reason, says) = amount_beside(r#""type":"double""#, number).unwrap_err();
        assert_eq!(reason, HoleReason::Drift);
        assert!(says.contains("float"), "{says}");
    }
    let (reason, _) = amount_beside(
        r#""type":"bytes","name":"io.debezium.data.Bits""#,
        r#""1234""#,
    )
    .unwrap_err();
    assert_eq!(reason, HoleReason::Drift);
    assert_eq!(
        amount_beside(r#""type":"int64""#, "12").as_deref(),
        Ok("12.00")
    );
}

#[test]
fn decimals_of_postgresql_carry_their_scale_where_the_column_has_none() {
    assert_eq!(
        amount(None, r#"{"scale":3,"value":"Te4="}"#).as_deref(),
        Ok("19.95")
    );
    assert_eq!(
        amount(None, r#"{"scale":0,"value":"AQ=="}"#).as_deref(),
        Ok("1.00")
    );
    for json in [
        r#"{"scale":3}"#,
        r#"{"scale":"x","value":"AQ=="}"#,
        "{}",
        "[]",
        r#"{"scale":3,"value":"AQ==","more":1}"#,
    ] {
        assert_eq!(
            amount(None, json).unwrap_err().0,
            HoleReason::WrongType,
            "{json}"
        );
    }
}

#[test]
fn whole_numbers_of_64_bits_come_as_numbers_or_bytes() {
    let fen = |json: &str| {
        let value = create(1, "AQ==").replace(r#""fen":null"#, &format!(r#""fen":{json}"#));
        value_of(&decode(&mut decoder(options(None)), &[&value]), "fen")
    };
    assert_eq!(
        fen("9223372036854775807").as_deref(),
        Ok("9223372036854775807")
    );
    assert_eq!(
        fen("-9223372036854775808").as_deref(),
        Ok("-9223372036854775808")
    );
    assert_eq!(fen("true").as_deref(), Ok("1"));
    // `bigint.unsigned.handling.mode=precise`.
    assert_eq!(fen(r#""fw==""#).as_deref(), Ok("127"));
    assert_eq!(
        fen(r#""AP//////////""#).unwrap_err().0,
        HoleReason::OutOfRange
    );
    assert_eq!(
        fen("18446744073709551615").unwrap_err().0,
        HoleReason::OutOfRange
    );
    assert_eq!(fen("1.0").unwrap_err().0, HoleReason::WrongType);
}
