//! `centinel quarantine show`.

use clap::Args;

use super::list::line;
use super::place::PlaceArguments;
use super::refuse;
use crate::exit::Status;
use crate::findings::{lines, one_line};
use crate::printer::Printer;

/// Which record is shown.
#[derive(Args, Debug)]
pub struct ShowArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Its number
    #[arg(value_name = "NUMBER")]
    number: u64,
}

impl ShowArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let place = self.place.open()?;
        let shown = place.one(self.number).map_err(|problem| refuse(&problem))?;
        let (record, bytes) = shown;
        let mut printer = Printer::stdout();
        printer.line(line(&record));
        let kept = match bytes.whole {
            true => format!("its {} bytes:", record.bytes_total),
            false => format!(
                "what can be shown of its {} bytes, where U+FFFD stands for what is no text:",
                record.bytes_total
            ),
        };
        printer.line(one_line(&kept));
        printer.line(lines(&bytes.text, "  "));
        Ok(printer.finish(Status::Clean))
    }
}
