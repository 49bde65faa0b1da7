//! Text that came from outside, within limits.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A request id, a merchant number, an owner: 1 to 128 bytes without control characters and without blanks at its
/// ends. Compared byte by byte: callers and rules must write the same thing alike. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(std::sync::Arc<str>);

/// A text that is no [`Name`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a name has 1 to 128 bytes, no control characters, and no blanks at its ends")]
pub struct NameError;

impl Name {
    /// Checks a text.
    pub fn new(text: &str) -> Result<Name, NameError> {
        let fits = (1..=128).contains(&text.len())
            && text.trim().len() == text.len()
            && !text.chars().any(char::is_control);
        fits.then(|| Name(text.into())).ok_or(NameError)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which the breaker itself acts.
    pub fn itself() -> Name {
        Name::own(crate::ITSELF.to_owned())
    }

    /// A name that the breaker makes by itself.
    pub(crate) fn own(text: String) -> Name {
        Name(text.into())
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Name, NameError> {
        Name::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A reason, for people: 1 to 1,000 bytes that are not all blank, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(std::sync::Arc<str>);

/// A text that is no [`Text`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a reason has 1 to 1,000 bytes and no control characters")]
pub struct TextError;

impl Text {
    /// Checks a text, and takes blanks from its ends.
    pub fn new(text: &str) -> Result<Text, TextError> {
        let text = text.trim();
        let fits = (1..=1_000).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Text(text.into())).ok_or(TextError)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the breaker says by itself: as long as fits.
    pub(crate) fn own(text: &str) -> Text {
        let end = (0..=text.len().min(1_000))
            .rev()
            .find(|end| text.is_char_boundary(*end));
        Text(text[..end.unwrap_or(0)].into())
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;

    fn try_from(text: String) -> Result<Text, TextError> {
        Text::new(&text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0.as_ref().to_owned()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
