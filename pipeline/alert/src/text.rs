//! Text that came from data, before it stands in a message.

/// What stands for the rest of a text that is too long.
const CUT: char = '…';

/// The text in one line of at most `most` characters: control characters become blanks, and what reorders or hides
/// text in a display is taken out.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let shown = text.chars().filter(|letter| !hides(*letter));
    let mut out = String::with_capacity(text.len().min(most * 4));
    let mut blank = false;
    let mut length = 0;
    for letter in shown {
        let letter = match letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
            true => ' ',
            false => letter,
        };
        if letter == ' ' && blank {
            continue;
        }
        blank = letter == ' ';
        if length == most {
            out.pop();
            out.push(CUT);
            break;
        }
        out.push(letter);
        length += 1;
    }
    out.trim().to_owned()
}

/// Marks of direction, invisible blanks and the like: with them a text reads other than it is.
fn hides(letter: char) -> bool {
    matches!(letter,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text as one part of a URL: all but letters, digits and `-._~` as `%XX`.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Instants as RFC 3339 text in JSON.
pub(crate) mod rfc3339 {
    use centinel_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(time)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Timestamp::parse(&text).map_err(D::Error::custom)
    }
}

/// A map whose keys are no text, as a list of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_in_one_line_and_reads_as_it_is() {
        assert_eq!(clean("a\r\nb\u{1b}[31m\tc\0", 20), "a b [31m c");
        assert_eq!(clean("pay\u{202e}DIAP\u{200b}", 20), "payDIAP");
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("订单号码七个字", 4), "订单号…");
    }

    #[test]
    fn a_part_of_a_url_ends_nothing() {
        assert_eq!(percent("O/1?a=b#c d"), "O%2F1%3Fa%3Db%23c%20d");
        assert_eq!(percent("订"), "%E8%AE%A2");
    }
}
