use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far one input has been read: where to resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Position {
    /// A file: bytes read, always at the start of a line, and a fingerprint of its first line by
    /// which a replaced file is told apart.
    File {
        /// Bytes from the start of the file.
        offset: u64,
        /// SHA-256 of the first line, in hexadecimal; empty until a whole line was read.
        first_line: String,
    },
}

/// Positions by input name, as one micro-batch reaches them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions(pub BTreeMap<String, Position>);
