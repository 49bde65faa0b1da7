//! What findings are searched by: key, hint, evidence and notes, as words.

use centinel_model::Finding;
use rusqlite::{Transaction, params};

use crate::FindingsError;
use crate::history;

/// Of what detection told of a finding so many bytes are searched,
const MOST_OF_A_FINDING: usize = 4_000;
/// and of its notes, the newest first, so many.
pub(crate) const MOST_OF_NOTES: usize = 64 << 10;
/// Words of one search.
const MOST_WORDS: usize = 10;
/// The longest search, in bytes.
const LONGEST_SEARCH: usize = 200;

/// Writes the words of a finding, whose newest message is the entry of this number.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    id: i64,
    newest: u64,
) -> Result<(), FindingsError> {
    let body: String = transaction
        .prepare_cached("SELECT body FROM entries WHERE number = ?1")?
        .query_row([newest], |row| row.get(0))?;
    let finding: Finding = serde_json::from_str(&body).map_err(FindingsError::damaged)?;
    let notes = history::notes(transaction, id, MOST_OF_NOTES)?;
    put(transaction, id, &finding, &notes)
}

/// The same where both are at hand.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    id: i64,
    finding: &Finding,
    notes: &[String],
) -> Result<(), FindingsError> {
    let mut words = String::new();
    let parts = std::iter::once(finding.entity_key.as_str())
        .chain(
            finding
                .key
                .iter()
                .map(|(_, value)| value.as_str())
                .filter(|value| *value != finding.entity_key),
        )
        .chain(finding.hint.as_deref())
        .chain(
            finding
                .evidence
                .rows
                .iter()
                .flat_map(|row| row.values().flatten().map(String::as_str)),
        );
    for part in parts {
        let left = MOST_OF_A_FINDING.saturating_sub(words.len());
        if left == 0 {
            break;
        }
        apart(
            part.get(..part.floor_char_boundary(left))
                .unwrap_or_default(),
            &mut words,
        );
    }
    notes.iter().for_each(|note| apart(note, &mut words));
    transaction
        .prepare_cached("INSERT OR REPLACE INTO words (rowid, text) VALUES (?1, ?2)")?
        .execute(params![id, words])?;
    Ok(())
}

/// Adds a text, with characters that are words by themselves set apart: nothing else tells Chinese words from each other.
fn apart(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => into.extend([' ', character, ' ']),
            steers if steers.is_control() => into.push(' '),
            plain => into.push(plain),
        }
    }
    into.push(' ');
}

/// A search as the index asks for it: every word must be there, and each may go on.
///
/// # Errors
/// A search that is too long, or has no word.
pub(crate) fn search(text: &str) -> Result<String, FindingsError> {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .collect();
    if words.is_empty() || words.len() > MOST_WORDS || text.len() > LONGEST_SEARCH {
        return Err(FindingsError::refused(
            "this cannot be searched for",
            format!(
                "write 1 to {MOST_WORDS} words with letters or digits, at most {LONGEST_SEARCH} bytes"
            ),
        ));
    }
    let quoted = words.iter().map(|word| {
        let mut parts = String::new();
        apart(word, &mut parts);
        format!("\"{}\"*", parts.trim().replace('"', "\"\""))
    });
    Ok(quoted.collect::<Vec<_>>().join(" AND "))
}
