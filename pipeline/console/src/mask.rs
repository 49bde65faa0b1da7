//! What people see who may not see identifiers and names.

use std::borrow::Cow;

use centinel_model::Timestamp;

/// A value as it is read, with marks in the place of what would steer the display: control characters, those that turn the
/// direction of writing, those that are not seen.
pub fn visible(value: &str) -> Cow<'_, str> {
    let steers = |character: char| match character {
        '\n' | '\t' => false,
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => true,
        other => other.is_control(),
    };
    match value.contains(steers) {
        true => Cow::Owned(value.replace(steers, "\u{fffd}")),
        false => Cow::Borrowed(value),
    }
}

/// An identifier or a name: its first and its last two characters, if it has more than four.
pub fn masked(value: &str) -> String {
    let count = value.chars().count();
    if count <= 4 {
        return "****".into();
    }
    let first = value.chars().take(2);
    first
        .chain("****".chars())
        .chain(value.chars().skip(count - 2))
        .collect()
}

/// Whether a column of this name holds amounts.
pub fn is_of_money(column: &str) -> bool {
    const WORDS: [&str; 13] = [
        "amount",
        "fee",
        "total",
        "sum",
        "balance",
        "discount",
        "price",
        "refunded",
        "paid",
        "settled",
        "booked",
        "difference",
        "expected",
    ];
    let column = column.to_ascii_lowercase();
    // When something was paid, and to whom, is no amount.
    let other = ["_at", "_to", "_no", "_id", "_by"]
        .iter()
        .any(|ending| column.ends_with(ending));
    !other && WORDS.iter().any(|word| column.contains(word))
}

/// A value of evidence by its column: amounts, times and words of state stay, all else may name somebody.
pub fn masked_column<'a>(column: &str, value: &'a str) -> Cow<'a, str> {
    const OF_STATE: [&str; 6] = ["status", "state", "currency", "kind", "type", "count"];
    let is_of_state = || {
        let column = column.to_ascii_lowercase();
        OF_STATE.iter().any(|word| column.contains(word))
    };
    let is_number = || {
        value.len() <= 40
            && value
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
    };
    let is_word = || {
        value.len() <= 32
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    let stays = (is_of_money(column) && is_number())
        || (is_of_state() && (is_word() || value.len() <= 3))
        || Timestamp::parse(value).is_ok();
    match stays {
        true => Cow::Borrowed(value),
        false => Cow::Owned(masked(value)),
    }
}

/// What somebody wrote: words of six characters and more with a digit, and everything around an `@`, may be identifiers.
pub fn masked_text(text: &str) -> String {
    let part_of_word =
        |character: char| character.is_ascii_alphanumeric() || "-_.@:".contains(character);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.trim_start_matches(part_of_word);
        let (word, after) = rest.split_at(rest.len() - word.len());
        if word.is_empty() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let names = word.contains('@')
            || (word.len() >= 6 && word.bytes().any(|byte| byte.is_ascii_digit()));
        match names && Timestamp::parse(word).is_err() {
            true => out.push_str(&masked(word)),
            false => out.push_str(word),
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_two_characters_stay_of_what_is_long_enough() {
        for (value, expected) in [
            ("ORDER-2026-77", "OR****77"),
            ("张三丰道长", "张三****道长"),
            ("12345", "12****45"),
            ("1234", "****"),
            ("", "****"),
        ] {
            assert_eq!(masked(value), expected);
        }
    }

    #[test]
    fn amounts_times_and_states_stay_and_all_else_is_masked() {
        for (column, value, expected) in [
            ("paid_amount", "1250.00", "1250.00"),
            ("paid_amount", "62220001234", "62220001234"),
            ("paid_amount", "card 6222", "ca****22"),
            ("account", "6222000123412345", "62****45"),
            ("order_no", "12.50", "12****50"),
            ("status", "REFUNDED", "REFUNDED"),
            ("status", "张三的订单", "张三****订单"),
            ("created_at", "2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
            ("merchant", "2026112208", "20****08"),
        ] {
            assert_eq!(masked_column(column, value), expected, "{column}");
        }
    }

    #[test]
    fn nothing_steers_the_display() {
        assert_eq!(
            visible("a\u{1b}[2Jb\u{202e}c\u{200b}\r\nd"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}\nd"
        );
        assert!(matches!(visible("订单 1 <b>\t"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_looks_like_an_identifier_is_masked_within_a_text() {
        assert_eq!(
            masked_text("refund R20261122 of ann@example.com, 12 times (订单O99887766)"),
            "refund R2****22 of an****om, 12 times (订单O9****66)"
        );
        assert_eq!(masked_text("mended in release 41"), "mended in release 41");
    }
}
