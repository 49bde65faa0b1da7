//! A strict reader of one JSON line: what RFC 8259 does not allow is an error, nothing is skipped.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Not JSON from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// One value of a JSON object, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    Text(Text<'a>),
    /// An object or a list.
    Nested(&'a str),
}

/// A JSON string between its quotes, not yet unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    quoted: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Whether it was written without escapes and is this text.
    pub(crate) fn is(self, text: &str) -> bool {
        !self.escaped && self.quoted[1..self.quoted.len() - 1] == *text
    }

    /// The string's content. Escapes that name no character are refused.
    pub(crate) fn content(self) -> Result<Cow<'a, str>, NotJson> {
        if self.escaped {
            serde_json::from_str(self.quoted)
                .map(Cow::Owned)
                .map_err(|_| NotJson)
        } else {
            Ok(Cow::Borrowed(&self.quoted[1..self.quoted.len() - 1]))
        }
    }
}

/// Reads one line from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// Steps over these exact bytes if they come next.
    pub(crate) fn skip(&mut self, expected: &[u8]) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Steps into an object.
    pub(crate) fn begin_object(&mut self) -> Result<(), NotJson> {
        self.expect(b'{')
    }

    /// Steps to the next member of the object; `false` at its end.
    pub(crate) fn next_member(&mut self, first: bool) -> Result<bool, NotJson> {
        match (self.peek(), first) {
            (Some(b'}'), _) => {
                self.at += 1;
                Ok(false)
            }
            (Some(b','), false) => {
                self.at += 1;
                self.peek();
                Ok(true)
            }
            (Some(b'"'), true) => Ok(true),
            _ => Err(NotJson),
        }
    }

    /// The member's name and its colon.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, NotJson> {
        let key = self.text()?;
        self.expect(b':')?;
        key.content()
    }

    /// The member's value.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, NotJson> {
        match self.peek() {
            Some(b'"') => self.text().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'{' | b'[') => self.nested().map(Value::Nested),
            _ if self.skip(b"null") => Ok(Value::Null),
            _ if self.skip(b"true") => Ok(Value::Boolean(true)),
            _ if self.skip(b"false") => Ok(Value::Boolean(false)),
            _ => Err(NotJson),
        }
    }

    /// Steps into a list.
    pub(crate) fn begin_list(&mut self) -> Result<(), NotJson> {
        self.expect(b'[')
    }

    /// Steps to the next item of the list; `false` at its end.
    pub(crate) fn next_item(&mut self, first: bool) -> Result<bool, NotJson> {
        match (self.peek(), first) {
            (Some(b']'), _) => {
                self.at += 1;
                Ok(false)
            }
            (Some(b','), false) => {
                self.at += 1;
                Ok(true)
            }
            (Some(_), true) => Ok(true),
            _ => Err(NotJson),
        }
    }

    /// Whether the next value is an object.
    pub(crate) fn at_object(&mut self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn text(&mut self) -> Result<Text<'a>, NotJson> {
        self.expect(b'"')?;
        let start = self.at - 1;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(self.rest());
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(Text {
                        quoted: &self.text[start..self.at],
                        escaped,
                    });
                }
                [b'\\', next, ..] if next.is_ascii() => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return Err(NotJson),
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at;
        self.skip(b"-");
        match self.digits() {
            [] => return Err(NotJson),
            [b'0', _, ..] => return Err(NotJson),
            _ => {}
        }
        if self.skip(b".") && self.digits().is_empty() {
            return Err(NotJson);
        }
        if self.skip(b"e") || self.skip(b"E") {
            let _sign = self.skip(b"-") || self.skip(b"+");
            if self.digits().is_empty() {
                return Err(NotJson);
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        &rest[..count]
    }

    fn nested(&mut self) -> Result<&'a str, NotJson> {
        let mut values =
            serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value.get())
            }
            _ => Err(NotJson),
        }
    }
}

/// How many bytes stand before the first quote, backslash or control character; eight at a time.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest high bit that is set marks the first byte that is zero after the XOR; a byte
        // above it may be marked by a borrow, which does not matter.
        let equals = |byte: u8| {
            let different = word ^ (ONES * u64::from(byte));
            different.wrapping_sub(ONES) & !different
        };
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = (equals(b'"') | equals(b'\\') | control) & HIGHS;
        if special != 0 {
            return index * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let tail = rest
        .iter()
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
        .count();
    words.len() * 8 + tail
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first_value(text: &str) -> Result<Value<'_>, NotJson> {
        let mut cursor = Cursor::new(text);
        let value = cursor.value()?;
        cursor.end()?;
        Ok(value)
    }

    #[test]
    fn what_json_does_not_allow_is_refused() {
        for text in [
            "01", "-", "1.", ".5", "+1", "1e", "\"a", "\"\t\"", "nul", "tru", "[1", "{\"a\":}",
            "1 2", "\"\\x\"x", "NaN", "'a'", "",
        ] {
            assert_eq!(first_value(text), Err(NotJson), "{text}");
        }
        assert_eq!(first_value("-0.50e+7 "), Ok(Value::Number("-0.50e+7")));
        assert_eq!(
            first_value(r#"{"a":[1]}"#),
            Ok(Value::Nested(r#"{"a":[1]}"#))
        );
    }

    proptest! {
        #[test]
        fn every_string_is_read_as_serde_json_reads_it(content in any::<String>()) {
            let text = serde_json::to_string(&content).unwrap();
            let Ok(Value::Text(read)) = first_value(&text) else { panic!("{text}") };
            prop_assert_eq!(read.content(), Ok(Cow::Owned::<str>(content)));
        }

        #[test]
        fn plain_bytes_stops_at_the_first_special_byte(bytes in any::<Vec<u8>>()) {
            let slow = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_bytes(&bytes), slow.unwrap_or(bytes.len()));
        }

        #[test]
        fn accepts_exactly_what_serde_json_accepts(text in r#"[\[\]{}",:0-9eE.+\-a\\ ntruefalsd]{0,12}"#) {
            let ours = first_value(&text).and_then(|value| match value {
                Value::Text(text) => text.content().map(drop),
                _ => Ok(()),
            });
            let theirs = serde_json::from_str::<&RawValue>(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
        }
    }
}
