//! Currencies and their minor units, after ISO 4217:2015, list one (current currencies and funds), with its
//! amendments to 2026. Codes without a minor unit (metals, testing, units of account) are left out.

/// Codes whose minor unit is a hundredth.
const HUNDREDTHS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF \
    CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL \
    HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR \
    MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER \
    ZAR ZMW ZWG";
/// Codes without a smaller unit.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Codes whose minor unit is a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Codes whose minor unit is a ten-thousandth.
const TEN_THOUSANDTHS: &str = "CLF UYW";

/// How many digits the major unit of this currency has behind the point, or `None` if ISO 4217 has no such
/// current currency with a minor unit.
pub(crate) fn minor_digits(code: &str) -> Option<u8> {
    [
        (HUNDREDTHS, 2),
        (WHOLE, 0),
        (THOUSANDTHS, 3),
        (TEN_THOUSANDTHS, 4),
    ]
    .into_iter()
    .find(|(codes, _)| codes.split_ascii_whitespace().any(|known| known == code))
    .map(|(_, digits)| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_follow_iso_4217() {
        let table = [
            ("CNY", 2),
            ("USD", 2),
            ("EUR", 2),
            ("JPY", 0),
            ("KRW", 0),
            ("KWD", 3),
            ("TND", 3),
            ("CLF", 4),
        ];
        for (code, digits) in table {
            assert_eq!(minor_digits(code), Some(digits), "{code}");
        }
        for code in ["", "cny", "RMB", "XAU", "XXX", "HRK", "CNY EUR"] {
            assert_eq!(minor_digits(code), None, "{code}");
        }
    }

    #[test]
    fn every_code_is_three_letters_and_stands_once() {
        let all = [HUNDREDTHS, WHOLE, THOUSANDTHS, TEN_THOUSANDTHS].join(" ");
        let codes: Vec<&str> = all.split_ascii_whitespace().collect();
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
    }
}
