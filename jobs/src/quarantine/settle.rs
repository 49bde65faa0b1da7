//! `centinel quarantine accept` and `redrive`.

use centinel_interface::{Settle, Standing};
use clap::Args;

use super::list::standing;
use super::place::PlaceArguments;
use super::refuse;
use super::selection::Selection;
use crate::exit::Status;
use crate::findings::one_line;
use crate::printer::{Printer, complain, counted};

/// Which records are settled, by whom, and why.
#[derive(Args, Debug)]
pub struct SettleArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    selection: Selection,
    /// Refuse more records than these at once
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    most: u64,
    /// Who does it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why they may be left out, or what was mended
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl SettleArguments {
    pub fn run(&self, to: Standing) -> Result<Status, Status> {
        if !self.selection.is_given() {
            complain("error: name records by their numbers, or by --reason-like and --input");
            return Err(Status::WrongUsage);
        }
        let place = self.place.open()?;
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        let records = self
            .selection
            .records(&place, None, true, most.saturating_add(1));
        let records = records.map_err(|problem| refuse(&problem))?;
        if records.len() > most {
            complain(format_args!(
                "error: these are more than {} records; name fewer, or allow as many by --most",
                self.most
            ));
            return Err(Status::WrongUsage);
        }
        if records.is_empty() {
            complain("error: none of these records is there and waits");
            return Err(Status::WrongUsage);
        }
        let mut numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
        numbers.sort_unstable();
        let settle = Settle {
            to,
            by: self.by.clone(),
            reason: self.reason.clone(),
        };
        let mut printer = Printer::stdout();
        let (mut done, mut status) = (0, Status::Clean);
        place.settle(&numbers, &settle, &mut |came| match came {
            Ok(settled) => {
                done += settled.len() as u64;
                for record in settled {
                    printer.line(format_args!(
                        "record {}: {}",
                        record.number,
                        standing(record.standing)
                    ));
                }
            }
            Err(problem) => {
                complain(format_args!("error: {}", one_line(&problem.to_string())));
                status = Status::CouldNotJudge;
            }
        })?;
        printer.line(format_args!(
            "{} settled; what was in doubt by them is judged again {}",
            counted(done, "record", "records"),
            place.when_judged()
        ));
        Ok(printer.finish(status))
    }
}
