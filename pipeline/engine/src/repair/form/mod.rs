//! Files of row changes: JSON Lines with one row in each line, CSV and Parquet with one column of a row in each.

mod cells;
mod csv;
mod json_lines;
mod parquet;

use std::io::Read;
use std::path::Path;

use centinel_catalog::{Catalog, open_file};

use super::change::{Changes, MOST_CHANGES, Mistake};

/// The most bytes of a file of changes, and of SQL.
pub const MOST_BYTES: u64 = 1 << 30;

/// Reads a file of row changes by the end of its name: `.jsonl`, `.csv` or `.parquet`.
pub fn read_changes(catalog: &Catalog, path: &Path) -> Result<Changes, Vec<Mistake>> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or("");
    let changes = match end {
        "jsonl" | "ndjson" => json_lines::read(catalog, &read_text(path)?),
        "csv" => csv::read(catalog, &read_text(path)?),
        "parquet" => parquet::read(catalog, path),
        _ => Err(vec![Mistake::new(
            "",
            "the file's name does not say what it is",
            "end it with .jsonl, .csv or .parquet",
        )]),
    }?;
    if changes.rows.is_empty() && changes.unfit.is_empty() {
        return Err(vec![Mistake::new(
            "",
            "the file plans nothing",
            "write at least one change",
        )]);
    }
    if changes.rows.len() > MOST_CHANGES {
        return Err(vec![Mistake::new(
            "",
            format!("the file changes {} rows", changes.rows.len()),
            format!("plan at most {MOST_CHANGES} at a time"),
        )]);
    }
    Ok(changes)
}

/// A file's text, in UTF-8, without a mark of byte order.
pub fn read_text(path: &Path) -> Result<String, Vec<Mistake>> {
    let refuse = |problem: String| vec![Mistake::new("", problem, "name a file of UTF-8 text")];
    let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
    let mut file = open_file(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MOST_BYTES {
        return Err(refuse("is larger than 1 GiB".into()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(text),
    }
}
