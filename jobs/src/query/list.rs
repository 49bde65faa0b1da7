//! `centinel query --tables`.

use centinel_engine::query::{Tables, sql_type};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::write::Format;
use crate::exit::Status;
use crate::printer::Printer;

#[derive(Serialize)]
struct Line<'a> {
    table: String,
    column: &'a str,
    r#type: String,
    holds: &'a str,
}

/// Lists every table with its columns, and what is not there with the reason.
pub fn list(tables: &Tables, format: Format) -> Status {
    let mut printer = Printer::stdout();
    let all = tables.all().iter();
    if format == Format::Table {
        for table in all {
            printer.line(format_args!("{table}: {}", table.told));
            let mut columns = Table::new();
            columns.load_preset(NOTHING);
            for column in &table.columns {
                columns.add_row([&column.name, &sql_type(&column.kind), &column.told]);
            }
            printer.line(columns);
            printer.line("");
        }
        for (name, why) in tables.lacking() {
            printer.line(format_args!("{name}: not there, {why}"));
        }
        return printer.finish(Status::Clean);
    }
    if format == Format::Csv {
        printer.line("table,column,type,holds\r");
    }
    for table in all {
        for column in &table.columns {
            let line = Line {
                table: table.to_string(),
                column: &column.name,
                r#type: sql_type(&column.kind),
                holds: &column.told,
            };
            match format {
                Format::Csv => {
                    let cells = [&line.table, line.column, &line.r#type, line.holds];
                    let cells = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
                    printer.line(format_args!("{}\r", cells.join(",")));
                }
                _ => match serde_json::to_string(&line) {
                    Ok(line) => printer.line(line),
                    Err(error) => {
                        printer.line(format_args!("{error}"));
                        return printer.finish(Status::CouldNotJudge);
                    }
                },
            }
        }
    }
    printer.finish(Status::Clean)
}
