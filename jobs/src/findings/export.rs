//! `centinel findings export`.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use centinel_findings::FindingsError;
use clap::{Args, ValueEnum};

use super::open::{Opened, Place};
use super::refuse;
use super::selection::Selection;
use crate::exit::Status;
use crate::printer::{complain, counted};

/// Which findings are written, how and where.
#[derive(Args, Debug)]
pub struct ExportArguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    selection: Selection,
    /// What to write
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// Where to write: a file that is not there yet; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For spreadsheets; cells that would be formulas begin with an apostrophe
    Csv,
    /// For programs: one JSON object in each line, values as they are
    Jsonl,
}

impl ExportArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let Opened { store, status } = self.place.open()?;
        let fail = |error| refuse(&FindingsError::Export(error));
        let mut out: Box<dyn Write> = match &self.out {
            Some(path) => Box::new(BufWriter::new(File::create_new(path).map_err(fail)?)),
            None => Box::new(BufWriter::new(std::io::stdout().lock())),
        };
        let (filter, order) = (self.selection.filter(), self.selection.order());
        let written = match self.format {
            Format::Csv => store.export_csv(&filter, order, &mut out),
            Format::Jsonl => store.export_jsonl(&filter, order, &mut out),
        };
        let written = written.and_then(|written| {
            out.flush().map_err(FindingsError::Export)?;
            Ok(written)
        });
        match written {
            Ok(written) => {
                complain(format_args!(
                    "{} exported",
                    counted(written, "finding", "findings")
                ));
                Ok(status)
            }
            // A reader who had enough changes nothing.
            Err(FindingsError::Export(error)) if error.kind() == ErrorKind::BrokenPipe => {
                Ok(status)
            }
            Err(error) => Err(refuse(&error)),
        }
    }
}
