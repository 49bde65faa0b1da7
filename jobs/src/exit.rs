//! How every job says by its exit status what came of it.

use std::process::ExitCode;

/// What came of a job. The order is by weight: of two, the greater is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Everything was judged and nothing was found.
    Clean = 0,
    /// Only warnings were found, and it was asked that they count.
    #[allow(
        dead_code,
        reason = "audits and detections take it from centinel_outlet::exit_status"
    )]
    Warnings = 1,
    /// Something is wrong.
    Findings = 2,
    /// Something could not be judged: it is never said to be clean.
    CouldNotJudge = 3,
    /// The command line, a schema file or a rule file is wrong: nothing was begun.
    WrongUsage = 64,
}

/// The statuses, for the program's help.
pub const HELP: &str = "Exit status:
  0   clean
  1   only warnings (0 unless asked)
  2   findings, or a rule's test that fails
  3   could not judge
  64  wrong usage, or a schema or rule file that is wrong";

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::Severity;
    use centinel_outlet::exit_status;

    #[test]
    fn reports_and_jobs_say_the_same() {
        let (warn, error) = (Severity::Warn, Severity::Error);
        let table = [
            (false, None, error, Status::Clean),
            (false, Some(warn), error, Status::Clean),
            (false, Some(warn), warn, Status::Warnings),
            (false, Some(error), error, Status::Findings),
            (true, None, error, Status::CouldNotJudge),
            (true, Some(error), error, Status::CouldNotJudge),
        ];
        for (could_not_judge, worst, fail_on, status) in table {
            assert_eq!(
                exit_status(could_not_judge, worst, fail_on),
                status as u8,
                "{status:?}"
            );
        }
        assert!(Status::CouldNotJudge > Status::Findings);
    }
}
