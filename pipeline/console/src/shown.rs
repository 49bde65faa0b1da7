//! How values look: money, times, badges, names.

use std::collections::BTreeMap;

use centinel_findings::Handling;
use centinel_model::{Severity, Timestamp, Verdict};
use maud::{Markup, html};

use crate::visit::Person;
use crate::words;

/// An amount with its digits in groups of three; exact, as it was told. What is no plain number stays as it is.
pub fn grouped(amount: &str) -> String {
    let (whole, fraction) = match amount.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (amount, None),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(digits) || !fraction.is_none_or(plain) {
        return amount.to_owned();
    }
    let mut out = String::with_capacity(amount.len() * 4 / 3 + 1);
    if digits.len() < whole.len() {
        out.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// The same of a sum, which comes without zeros at its end: with two digits behind the point where there is one.
pub fn grouped_sum(sum: &str) -> String {
    let mut shown = grouped(sum);
    if let Some((_, fraction)) = sum.split_once('.')
        && fraction.len() == 1
    {
        shown.push('0');
    }
    shown
}

/// Sums by currency.
pub fn money(sums: &BTreeMap<String, String>) -> Markup {
    html! {
        @if sums.is_empty() { span.number { "0" } }
        @else {
            ul.money { @for (currency, amount) in sums { li { span.number { (grouped_sum(amount)) } " " abbr { (currency) } } } }
        }
    }
}

/// An amount and its currency, where there is one.
pub fn amount(amount: Option<&str>, currency: Option<&str>) -> Markup {
    html! {
        @match amount {
            Some(amount) => { span.number { (grouped(amount)) } @if let Some(currency) = currency { " " abbr { (currency) } } },
            None => "—",
        }
    }
}

/// A time (RFC 3339, UTC) to the second; the rest in the attribute.
pub fn time(time: &str) -> Markup {
    // The clock of a source that has ended stands at the end of time.
    let known = Timestamp::parse(time).is_ok() && time.len() >= 19 && time.is_ascii();
    html! {
        @match known {
            true => time datetime=(time) { (&time[..10]) " " (&time[11..19]) },
            false => (time),
        }
    }
}

/// How long something is ago or takes, in two units at most.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

pub fn severity(person: &Person, severity: Severity) -> Markup {
    html! { span class={ "badge severity-" (severity.as_str()) } { (person.say(words::severity(severity))) } }
}

pub fn verdict(person: &Person, verdict: Verdict) -> Markup {
    let class = match verdict {
        Verdict::Confirmed => "bad",
        Verdict::Suspected | Verdict::Undetermined => "doubt",
        Verdict::Cleared | Verdict::Recovered => "good",
        Verdict::RuleChanged => "plain",
    };
    html! { span class={ "badge " (class) } { (person.say(words::verdict(verdict))) } }
}

pub fn handling(person: &Person, handling: Handling) -> Markup {
    let class = match handling {
        Handling::New => "new",
        Handling::Acknowledged => "doubt",
        Handling::Resolved | Handling::FalseAlarm => "plain",
    };
    html! { span class={ "badge " (class) } { (person.say(words::handling(handling))) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_and_none_is_lost() {
        for (amount, expected) in [
            ("0", "0"),
            ("999.50", "999.50"),
            ("1250.00", "1,250.00"),
            ("1234567.1234", "1,234,567.1234"),
            ("-1000", "-1,000"),
            (
                "12345678901234567890123456789012345678",
                "12,345,678,901,234,567,890,123,456,789,012,345,678",
            ),
            ("<b>1000</b>", "<b>1000</b>"),
            ("", ""),
        ] {
            assert_eq!(grouped(amount), expected);
        }
    }

    #[test]
    fn sums_have_two_digits_behind_the_point_or_none() {
        for (sum, expected) in [("1228.5", "1,228.50"), ("90", "90"), ("0.125", "0.125")] {
            assert_eq!(grouped_sum(sum), expected);
        }
    }

    #[test]
    fn times_are_shown_to_the_second_and_other_texts_as_they_are() {
        assert_eq!(
            time("2026-11-22T08:00:00.5Z").into_string(),
            "<time datetime=\"2026-11-22T08:00:00.5Z\">2026-11-22 08:00:00</time>"
        );
        assert_eq!(time("<i>").into_string(), "&lt;i&gt;");
        assert_eq!(
            (span(59), span(61), span(7_260), span(90_000)),
            (
                "59 s".into(),
                "1 min 1 s".into(),
                "2 h 1 min".into(),
                "1 d 1 h".into()
            )
        );
    }
}
