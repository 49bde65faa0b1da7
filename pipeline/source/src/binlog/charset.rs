//! Texts in the character sets of a database.

use std::borrow::Cow;
use std::collections::HashMap;

use centinel_model::HoleReason;

use crate::value::Refusal;

/// How a text column's bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// utf8mb3 and utf8mb4.
    Utf8,
    Ascii,
    /// What MySQL and MariaDB call latin1 is Windows code page 1252.
    Latin1,
    /// gb2312, gbk and gb18030, each a part of the next.
    Chinese,
    /// No text.
    Binary,
    /// Every other: refused, because a wrong reading would look like a right one.
    Unknown,
}

impl Charset {
    pub(super) fn of_name(name: &str) -> Charset {
        match name {
            "utf8" | "utf8mb3" | "utf8mb4" => Charset::Utf8,
            "ascii" => Charset::Ascii,
            "latin1" => Charset::Latin1,
            "gb2312" | "gbk" | "gb18030" => Charset::Chinese,
            "binary" => Charset::Binary,
            _ => Charset::Unknown,
        }
    }

    /// The text, or a refusal where the bytes are none.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
        let read = match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Charset::Ascii => std::str::from_utf8(bytes)
                .ok()
                .filter(|text| text.is_ascii())
                .map(Cow::Borrowed),
            Charset::Latin1 => {
                encoding_rs::WINDOWS_1252.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Charset::Chinese => {
                encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Charset::Binary | Charset::Unknown => None,
        };
        read.ok_or_else(|| {
            Refusal::new(
                HoleReason::InvalidUtf8,
                "is not text in the character set of its column",
            )
        })
    }
}

/// The character sets of collations, by which events name them.
#[derive(Clone, Debug, Default)]
pub(super) struct Collations(HashMap<u64, Charset>);

/// Stands for no character set at all, in every server.
pub(super) const BINARY_COLLATION: u64 = 63;

impl Collations {
    /// By the server's own list: numbers and names of character sets.
    pub(super) fn new<'a>(list: impl Iterator<Item = (u64, &'a str)>) -> Collations {
        Collations(
            list.map(|(id, name)| (id, Charset::of_name(name)))
                .collect(),
        )
    }

    pub(super) fn charset(&self, collation: u64) -> Charset {
        match self.0.get(&collation) {
            Some(charset) => *charset,
            None if collation == BINARY_COLLATION => Charset::Binary,
            None => Charset::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_their_charset_or_refused() {
        let read = |charset: Charset, bytes: &[u8]| charset.read(bytes).ok().map(Cow::into_owned);
        assert_eq!(read(Charset::Utf8, "付款".as_bytes()), Some("付款".into()));
        assert_eq!(read(Charset::Utf8, b"\xb8\xb6"), None);
        assert_eq!(
            read(Charset::Chinese, b"\xb8\xb6\xbf\xee"),
            Some("付款".into())
        );
        assert_eq!(read(Charset::Chinese, b"\xb8"), None);
        assert_eq!(
            read(Charset::Latin1, b"caf\xe9 \x80"),
            Some("café €".into())
        );
        assert_eq!(read(Charset::Ascii, b"plain"), Some("plain".into()));
        assert_eq!(read(Charset::Ascii, b"caf\xe9"), None);
        assert_eq!(read(Charset::Unknown, b"a"), None);
    }

    #[test]
    fn a_collation_that_nobody_names_is_unknown() {
        let collations =
            Collations::new([(45, "utf8mb4"), (8, "latin1"), (11, "sjis")].into_iter());
        let charsets = [45, 8, 11, 12, 63].map(|id| collations.charset(id));
        use Charset::*;
        assert_eq!(charsets, [Utf8, Latin1, Unknown, Unknown, Binary]);
    }
}
