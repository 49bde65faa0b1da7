//! What scheduled audits, drills and repairs left on disk, read by their forms (`jobs/README.md`, `jobs/REPAIR.md`).
//! Nothing is written here.

mod drills;
mod history;
mod lines;
mod repairs;

use std::io;
use std::path::{Path, PathBuf};

pub use drills::{DrillFault, DrillLine};
pub use history::{Began, Compared, Ended, History, Outcome, Run, RunResult};
pub use repairs::{Approval, DryRun, Listed, Plan, Violation, list as list_plans, plan as read_plan};

/// A page of a report is at most so long.
const MOST_PAGE: u64 = 64 << 20;

/// An audit or a drill that is run by a schedule, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// Whether it is a drill.
    pub drill: bool,
    /// Its own folder, with its history and its reports.
    pub folder: PathBuf,
    /// When it is run, as it is configured: `cron` and `zone`.
    pub when: String,
}

/// The page of one run of an audit.
///
/// # Errors
/// There is none, it is longer than 64 MiB, or it cannot be read.
pub fn page(folder: &Path, run: &str) -> io::Result<Vec<u8>> {
    if !is_name(run) {
        return Err(io::ErrorKind::NotFound.into());
    }
    lines::whole(&folder.join(run).join("report.html"), MOST_PAGE)
}

/// Whether a text can name a run or a plan's file: one segment of a path, and not one that leads elsewhere.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 200 && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_name_leads_nowhere_else() {
        assert!(is_name("2026-11-22T023000Z-1"));
        for other in ["", ".", "..", "../x", "a/b", "a\\b", "a\0", ".hidden", "单"] {
            assert!(!is_name(other), "{other}");
        }
    }
}
