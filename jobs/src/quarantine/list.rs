//! `centinel quarantine list`.

use centinel_interface::{QuarantinedRecord, Standing};
use clap::{Args, ValueEnum};

use super::place::PlaceArguments;
use super::refuse;
use super::selection::Selection;
use crate::exit::Status;
use crate::findings::one_line;
use crate::printer::{Printer, complain};

/// Which records are listed, and how.
#[derive(Args, Debug)]
pub struct ListArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    selection: Selection,
    /// Those that are settled, too
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Go on below this number, which the page before names
    #[arg(long, value_name = "NUMBER")]
    below: Option<u64>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object in each line, as detection's interface tells them
    Jsonl,
}

impl ListArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let place = self.place.open()?;
        let records = self
            .selection
            .records(&place, self.below, !self.all, self.limit);
        let records = records.map_err(|problem| refuse(&problem))?;
        let mut printer = Printer::stdout();
        for record in &records {
            match self.format {
                Format::Text => printer.line(line(record)),
                Format::Jsonl => match serde_json::to_string(record) {
                    Ok(line) => printer.line(line),
                    Err(error) => {
                        complain(format_args!("error: {error}"));
                        return Err(Status::CouldNotJudge);
                    }
                },
            }
        }
        if records.is_empty() && self.format == Format::Text {
            printer.line("no record");
        }
        let more = records.last().filter(|_| records.len() == self.limit);
        if let Some(last) = more {
            complain(format_args!("more: --below {}", last.number));
        }
        let waits = records
            .iter()
            .any(|record| record.standing == Standing::Waiting);
        Ok(printer.finish(match waits {
            true => Status::CouldNotJudge,
            false => Status::Clean,
        }))
    }
}

/// One record, for a person.
pub fn line(record: &QuarantinedRecord) -> String {
    let table = record.table.as_deref().unwrap_or("of no known table");
    let mut text = format!(
        "{} {} {} in {} at {}: {}",
        record.number, record.reason, table, record.input, record.position, record.message,
    );
    let entities = record.entities.iter();
    let entities: Vec<String> = entities
        .map(|(name, key)| format!("{name} {key}"))
        .collect();
    if !entities.is_empty() {
        text.push_str(&format!(" [{}]", entities.join(", ")));
    }
    if let Some(settled) = &record.settled {
        text.push_str(&format!(
            " — {} by {} at {}: {}",
            standing(record.standing),
            settled.by,
            settled.at,
            settled.reason
        ));
    }
    one_line(&text)
}

/// What became of it, in words.
pub fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting => "waiting",
        Standing::Redriven => "re-driven",
        Standing::Accepted => "accepted",
    }
}
