//! Findings for other programs: JSON Lines and CSV, written while they are read.

use std::io::{self, Write};

use serde::Serialize;

use crate::FindingsError;
use crate::filter::Filter;
use crate::life::verdict_word;
use crate::page::{MOST_ROWS, Order, page};
use crate::row::Row;
use crate::store::Store;

/// The schema id of an exported finding in JSON. Fields may be added within a version, never changed or removed.
pub const EXPORTED_SCHEMA: &str = "centinel/exported-finding/1";

/// The columns of the CSV, in order. Columns may be added at the end.
pub const CSV_COLUMNS: [&str; 24] = [
    "finding_id",
    "rule",
    "title",
    "severity",
    "open",
    "verdict",
    "handling",
    "worse",
    "owner",
    "entity",
    "entity_key",
    "key",
    "amount",
    "currency",
    "since",
    "judged_at",
    "occurrence",
    "sequence",
    "hint",
    "handled_by",
    "handled_at",
    "reason",
    "rule_version",
    "last_entry",
];

#[derive(Serialize)]
struct Exported<'a> {
    schema: &'static str,
    #[serde(flatten)]
    row: &'a Row,
}

impl Row {
    /// The finding as one line of JSON ([`EXPORTED_SCHEMA`]).
    pub fn exported(&self) -> Result<String, FindingsError> {
        let exported = Exported {
            schema: EXPORTED_SCHEMA,
            row: self,
        };
        serde_json::to_string(&exported).map_err(FindingsError::damaged)
    }
}

impl Store {
    /// Writes all findings that fit as JSON Lines ([`EXPORTED_SCHEMA`]), all as of one moment. Returns how many.
    ///
    /// # Errors
    /// As [`Store::page`], and [`FindingsError::Export`].
    pub fn export_jsonl(
        &self,
        filter: &Filter,
        order: Order,
        out: &mut dyn Write,
    ) -> Result<u64, FindingsError> {
        self.export(filter, order, &mut |row| {
            serde_json::to_writer(
                &mut *out,
                &Exported {
                    schema: EXPORTED_SCHEMA,
                    row,
                },
            )?;
            out.write_all(b"\n")
        })
    }

    /// Writes them as CSV (RFC 4180, UTF-8, [`CSV_COLUMNS`] in the first line), all as of one moment. Cells that a
    /// spreadsheet would take for formulas begin with an apostrophe. Returns how many findings there are.
    ///
    /// # Errors
    /// As [`Store::page`], and [`FindingsError::Export`].
    pub fn export_csv(
        &self,
        filter: &Filter,
        order: Order,
        out: &mut dyn Write,
    ) -> Result<u64, FindingsError> {
        record(out, &CSV_COLUMNS.map(str::to_owned)).map_err(FindingsError::Export)?;
        self.export(filter, order, &mut |row| record(out, &cells(row)))
    }

    fn export(
        &self,
        filter: &Filter,
        order: Order,
        write: &mut dyn FnMut(&Row) -> io::Result<()>,
    ) -> Result<u64, FindingsError> {
        let looked = self.connection.unchecked_transaction()?;
        let (mut after, mut written) = (None, 0);
        loop {
            let page = page(
                &looked,
                self.most_in_range,
                filter,
                order,
                after.as_ref(),
                MOST_ROWS,
            )?;
            for row in &page.rows {
                write(row).map_err(FindingsError::Export)?;
                written += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(written);
            }
        }
    }
}

fn cells(row: &Row) -> [String; CSV_COLUMNS.len()] {
    let finding = &row.finding;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let handled = row.handled.as_ref();
    let key: Vec<String> = finding
        .key
        .iter()
        .map(|(column, value)| format!("{column}={value}"))
        .collect();
    [
        finding.finding_id.to_string(),
        finding.rule.clone(),
        finding.title.clone(),
        finding.severity.to_string(),
        row.open.to_string(),
        verdict_word(finding.verdict).to_owned(),
        row.handling.as_str().to_owned(),
        row.worse.to_string(),
        row.owner.clone(),
        finding.entity.clone(),
        finding.entity_key.clone(),
        key.join("; "),
        text(&finding.amount),
        text(&finding.currency),
        row.since.clone(),
        finding.judged_at.clone(),
        finding.occurrence.to_string(),
        finding.sequence.to_string(),
        text(&finding.hint),
        handled
            .map(|handled| handled.by.clone())
            .unwrap_or_default(),
        handled
            .map(|handled| handled.at.clone())
            .unwrap_or_default(),
        handled
            .and_then(|handled| handled.reason.clone())
            .unwrap_or_default(),
        finding.rule_version.clone(),
        row.last_entry.to_string(),
    ]
}

fn record(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        let cell = harmless_cell(cell);
        match cell.contains([',', '"', '\n', '\r']) {
            true => write!(out, "\"{}\"", cell.replace('"', "\"\""))?,
            false => out.write_all(cell.as_bytes())?,
        }
    }
    out.write_all(b"\r\n")
}

/// A cell that no spreadsheet takes for a formula: what begins with `=`, `+`, `-`, `@` (in full width, too), behind blanks and
/// control characters that some pass over, gets an apostrophe before it.
pub fn harmless_cell(cell: &str) -> String {
    let steers = |character: char| {
        character.is_whitespace() || character.is_control() || character == '\u{feff}'
    };
    let begins = cell.trim_start_matches(steers);
    let formula = begins.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    // A tab or a line end at the beginning makes some split the cell before they look at it.
    match formula || cell.starts_with(['\t', '\r', '\n']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_made_harmless_and_other_cells_stay() {
        for formula in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            " =1",
            "\t=1",
            "\r-1",
            "\u{feff}=1",
            "＝1",
            "\u{0}@x",
            "\tplain",
            "=HYPERLINK(\"http://x\")",
        ] {
            assert_eq!(harmless_cell(formula), format!("'{formula}"));
        }
        for plain in [
            "",
            "E1",
            "12.50",
            "a=b",
            "2026-11-22",
            "'=1",
            "退款",
            "<script>",
        ] {
            assert_eq!(harmless_cell(plain), plain);
        }
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut out = Vec::new();
        let cells = ["a,b", "say \"x\"", "two\nlines", "=1,2", "plain"].map(str::to_owned);
        assert!(record(&mut out, &cells).is_ok());
        let text = String::from_utf8_lossy(&out);
        assert_eq!(
            text,
            "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"'=1,2\",plain\r\n"
        );
    }
}
