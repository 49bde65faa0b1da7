//! Where secrets are, and what is in them.

use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// The longest secret.
const MOST_BYTES: u64 = 64 << 10;

/// Where a secret is: `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Variable(String),
    /// A file that holds nothing else; one newline at its end does not belong to it.
    File(PathBuf),
}

/// A secret that was read. It is shown only by [`SecretText::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself, for the one who must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("****")
    }
}

/// A text, or where a secret is: an address may be one.
#[derive(Clone, PartialEq, Eq)]
pub enum TextOrSecret {
    /// The text.
    Text(String),
    /// Where it is.
    Secret(Secret),
}

impl fmt::Debug for TextOrSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It may have been meant to be a secret.
            TextOrSecret::Text(_) => out.write_str("****"),
            TextOrSecret::Secret(secret) => secret.fmt(out),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Table {
        env: Option<String>,
        file: Option<PathBuf>,
    },
}

impl<'de> Deserialize<'de> for TextOrSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TextOrSecret, D::Error> {
        let refuse = || {
            serde::de::Error::custom(
                "where a secret is, is written { env = \"NAME\" } or { file = \"/path\" }; the name has capital letters, digits and _ only",
            )
        };
        let name = |name: &String| {
            let letters = name.bytes();
            let mut odd = letters.filter(|letter| {
                !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || *letter == b'_')
            });
            !name.is_empty() && odd.next().is_none()
        };
        // What was read is not shown: it may be the secret.
        match Form::deserialize(from).map_err(|_| refuse())? {
            Form::Text(text) => Ok(TextOrSecret::Text(text)),
            Form::Table {
                env: Some(env),
                file: None,
            } if name(&env) => Ok(TextOrSecret::Secret(Secret::Variable(env))),
            Form::Table {
                env: None,
                file: Some(file),
            } => Ok(TextOrSecret::Secret(Secret::File(file))),
            Form::Table { .. } => Err(refuse()),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        match TextOrSecret::deserialize(from)? {
            TextOrSecret::Secret(secret) => Ok(secret),
            TextOrSecret::Text(_) => Err(serde::de::Error::custom(
                "a secret does not stand in this file: write { env = \"NAME\" } or { file = \"/path\" }",
            )),
        }
    }
}

impl Secret {
    /// Reads the secret. `variable` is the environment; relative paths begin at `folder`.
    ///
    /// # Errors
    /// When it is missing, empty, not text, or longer than 64 KiB, with what to do.
    pub fn read(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
        folder: &Path,
    ) -> Result<SecretText, String> {
        let (place, value) = match self {
            Secret::Variable(name) => {
                let place = format!("the environment variable `{name}`");
                let value = variable(name).ok_or_else(|| {
                    format!("{place} is not set: set it where Centinel is started")
                })?;
                let value = value.into_string();
                (
                    place.clone(),
                    value.map_err(|_| format!("{place} does not hold UTF-8 text"))?,
                )
            }
            Secret::File(path) => {
                let path = folder.join(path);
                let place = format!("the file {}", path.display());
                (
                    place.clone(),
                    read_file(&path).map_err(|why| format!("{place} {why}"))?,
                )
            }
        };
        match value.is_empty() {
            true => Err(format!("{place} is empty: put the secret there")),
            false => Ok(SecretText(value)),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| {
        format!(
            "cannot be read: {error}; write the secret there, in a file that the account that runs Centinel may read"
        )
    };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is no file: name one".into());
    }
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!(
            "is longer than {MOST_BYTES} bytes: name one that holds the secret and nothing else"
        ));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "does not hold UTF-8 text".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
