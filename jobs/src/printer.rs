//! Standard output that may be closed at any time, as by `centinel … | head`.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::panic::Location;

use crate::exit::Status;
use crate::log;

/// Prints until the first failure, which it keeps.
pub struct Printer<W> {
    out: W,
    failure: Option<std::io::Error>,
}

impl Printer<std::io::BufWriter<std::io::StdoutLock<'static>>> {
    /// Prints on standard output.
    pub fn stdout() -> Self {
        Printer::to(std::io::BufWriter::new(std::io::stdout().lock()))
    }
}

impl<W: Write> Printer<W> {
    /// Prints here.
    pub fn to(out: W) -> Printer<W> {
        Printer { out, failure: None }
    }

    /// Prints a line.
    pub fn line(&mut self, text: impl Display) {
        if self.failure.is_none() {
            self.failure = writeln!(self.out, "{text}").err();
        }
    }

    /// The status of the job. A reader who had enough changes nothing; output that was lost otherwise
    /// makes the job one that could not judge.
    pub fn finish(mut self, status: Status) -> Status {
        if self.failure.is_none() {
            self.failure = self.out.flush().err();
        }
        match self.failure {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                complain(format_args!("error: the output cannot be written: {error}"));
                status.max(Status::CouldNotJudge)
            }
            _ => status,
        }
    }
}

/// Says something on standard error, in one line: ends of lines in it are data, and written as escapes.
#[track_caller]
pub fn complain(text: impl Display) {
    log::say(Location::caller().file(), &text.to_string(), false);
}

/// Says something of several lines that Centinel itself put together, of files that people write for it: rules, schemas,
/// plans, the configuration.
#[track_caller]
pub fn explain(text: impl Display) {
    log::say(Location::caller().file(), &text.to_string(), true);
}

/// A number with what it counts.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_many() {
        let told = [0, 1, 2].map(|number| counted(number, "rule", "rules"));
        assert_eq!(told, ["0 rules", "1 rule", "2 rules"]);
    }

    /// Refuses every write.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn status_after(kind: ErrorKind, status: Status) -> Status {
        let mut printer = Printer::to(Closed(kind));
        printer.line("one");
        printer.line("two");
        printer.finish(status)
    }

    #[test]
    fn a_reader_who_had_enough_changes_nothing() {
        let kind = ErrorKind::BrokenPipe;
        assert_eq!(status_after(kind, Status::Clean), Status::Clean);
        assert_eq!(status_after(kind, Status::Findings), Status::Findings);
    }

    #[test]
    fn lost_output_is_never_clean() {
        let kind = ErrorKind::StorageFull;
        assert_eq!(status_after(kind, Status::Clean), Status::CouldNotJudge);
        assert_eq!(status_after(kind, Status::Findings), Status::CouldNotJudge);
    }
}
