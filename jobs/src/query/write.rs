//! An answer → a table for people, JSON Lines or CSV for programs.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_engine::query::Answer;
use centinel_findings::harmless_cell;
use centinel_model::Timestamp;
use clap::ValueEnum;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::findings::one_line;

/// Bytes of an answer as text.
const MOST_BYTES: usize = 256 << 20;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON object in each line; decimals and times are texts
    Jsonl,
    /// RFC 4180 in UTF-8, with the names of the columns in the first line
    Csv,
}

/// An answer as text.
pub struct Written {
    pub text: String,
    pub rows: usize,
    /// Whether it has fewer rows than the answer, because it would be too long.
    pub is_cut: bool,
}

/// Writes an answer; on a terminal nothing of it steers that.
pub fn write(answer: &Answer, format: Format, on_terminal: bool) -> Result<Written, String> {
    let names = names(answer);
    let mut writer = match format {
        Format::Table => Writer::Table(Box::new(table(answer, &names))),
        Format::Jsonl => Writer::Jsonl(names.iter().map(|name| json_text(name)).collect()),
        Format::Csv => Writer::Csv { on_terminal },
    };
    let mut written = Written {
        text: String::new(),
        rows: 0,
        is_cut: false,
    };
    if let Writer::Csv { .. } = writer {
        let names = names.iter().map(|name| Some(name.clone()));
        record(&mut written.text, names, on_terminal);
    }
    let mut bytes = 0;
    for batch in &answer.batches {
        let columns = batch.columns().iter();
        let columns: Vec<Values> = columns.map(Values::of).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let before = written.text.len();
            bytes += writer.row(&columns, row, &mut written.text)?;
            if bytes > MOST_BYTES {
                written.text.truncate(before);
                written.is_cut = true;
                break;
            }
            written.rows += 1;
        }
        if written.is_cut {
            break;
        }
    }
    if let Writer::Table(table) = writer {
        if written.is_cut {
            return Err(format!(
                "the answer has more than {} MiB as text: ask for fewer rows or columns, or --format jsonl",
                MOST_BYTES >> 20
            ));
        }
        written.text = format!("{table}\n");
    }
    Ok(written)
}

/// The names of the columns, each once: a second `rule` is `rule_2`.
fn names(answer: &Answer) -> Vec<String> {
    let mut seen = HashSet::new();
    let fields = answer.schema.fields().iter();
    let name = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let mut name = field.name().clone();
        let mut number = 2;
        while !seen.insert(name.clone()) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        name
    };
    fields.map(name).collect()
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

fn table(answer: &Answer, names: &[String]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_header(names.iter().map(|name| one_line(name)));
    for (index, field) in answer.schema.fields().iter().enumerate() {
        if is_number(field.data_type())
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

enum Writer {
    Table(Box<Table>),
    /// The names of the columns in JSON.
    Jsonl(Vec<String>),
    Csv {
        on_terminal: bool,
    },
}

impl Writer {
    /// Writes a row, and returns how long it is.
    fn row(&mut self, columns: &[Values], row: usize, out: &mut String) -> Result<usize, String> {
        let before = out.len();
        match self {
            Writer::Table(table) => {
                let cells = columns.iter().map(|column| {
                    let text = column.text(row)?;
                    Ok(one_line(&text.unwrap_or_default()))
                });
                let cells: Vec<String> = cells.collect::<Result<_, String>>()?;
                let bytes = cells.iter().map(|cell| cell.len() + 1).sum();
                table.add_row(cells);
                return Ok(bytes);
            }
            Writer::Jsonl(names) => {
                for (index, (name, column)) in names.iter().zip(columns).enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    out.push_str(name);
                    out.push(':');
                    out.push_str(&column.json(row)?);
                }
                out.push_str(if names.is_empty() { "{}\n" } else { "}\n" });
            }
            Writer::Csv { on_terminal } => {
                let cells = columns.iter().map(|column| column.text(row));
                let cells: Vec<Option<String>> = cells.collect::<Result<_, String>>()?;
                record(out, cells, *on_terminal);
            }
        }
        Ok(out.len() - before)
    }
}

/// A record of CSV. A text that is there and empty is quoted, so that it is told from none.
fn record(out: &mut String, cells: impl IntoIterator<Item = Option<String>>, on_terminal: bool) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let Some(cell) = cell else {
            continue;
        };
        let mut cell = harmless_cell(&cell);
        if on_terminal {
            cell = one_line(&cell);
        }
        match cell.is_empty() || cell.contains([',', '"', '\n', '\r']) {
            true => {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            }
            false => out.push_str(&cell),
        }
    }
    out.push_str("\r\n");
}

/// A text as JSON. What steers a terminal or turns the direction of writing is written as its number.
fn json_text(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        match one_line(character.encode_utf8(&mut [0; 4])) == character.to_string() {
            true => out.push(character),
            false => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// The values of a column.
struct Values<'a> {
    array: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));

impl Values<'_> {
    fn of(array: &ArrayRef) -> Result<Values<'_>, String> {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &OPTIONS);
        Ok(Values {
            array,
            formatter: formatter.map_err(|error| error.to_string())?,
        })
    }

    /// A value as text; none for null.
    fn text(&self, row: usize) -> Result<Option<String>, String> {
        if self.array.is_null(row) {
            return Ok(None);
        }
        if let DataType::Timestamp(TimeUnit::Microsecond, None) = self.array.data_type() {
            let times = self.array.as_primitive::<TimestampMicrosecondType>();
            return Ok(Some(Timestamp(times.value(row)).to_string()));
        }
        let text = self.formatter.value(row).try_to_string();
        text.map(Some).map_err(|error| error.to_string())
    }

    /// A value as JSON.
    fn json(&self, row: usize) -> Result<String, String> {
        if self.array.is_null(row) {
            return Ok("null".into());
        }
        let plain = match self.array.data_type() {
            DataType::Int64 => Some(
                self.array
                    .as_primitive::<Int64Type>()
                    .value(row)
                    .to_string(),
            ),
            DataType::UInt64 => Some(
                self.array
                    .as_primitive::<UInt64Type>()
                    .value(row)
                    .to_string(),
            ),
            DataType::Boolean => Some(self.array.as_boolean().value(row).to_string()),
            // What is no number in JSON is a text.
            DataType::Float64 => {
                let number = self.array.as_primitive::<Float64Type>().value(row);
                serde_json::Number::from_f64(number).map(|number| number.to_string())
            }
            _ => None,
        };
        match plain {
            Some(plain) => Ok(plain),
            None => Ok(json_text(&self.text(row)?.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
