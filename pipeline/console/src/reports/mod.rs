//! What scheduled audits, drills and repairs left on disk, read by their forms (`jobs/README.md`, `jobs/REPAIR.md`).
//! Nothing is written here.

mod drills;
mod history;
mod lines;
mod repairs;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use drills::DrillLine;
pub use history::{Ended, History, Outcome, Run, RunResult};
pub use repairs::{DryRun, Listed, Violation, list as plans, plan};

/// A page of a report is at most so long.
const MOST_PAGE: u64 = 64 << 20;

/// An audit or a drill that is run by a schedule.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// Its own folder, with its history and its reports.
    pub folder: PathBuf,
    /// What became of its runs.
    pub history: History,
}

impl Scheduled {
    /// Whether it is a drill, of which nothing is real.
    pub fn is_drill(&self) -> bool {
        self.history.runs.first().is_some_and(|run| run.began.drill)
    }
}

/// All audits and drills whose histories lie below these folders, by name; of two of one name the first.
///
/// # Errors
/// A folder or a history that is there and cannot be read.
pub fn scheduled(folders: &[PathBuf]) -> io::Result<Vec<Scheduled>> {
    let mut found: BTreeMap<String, Scheduled> = BTreeMap::new();
    for folder in folders {
        for name in names(folder)? {
            let own = folder.join(&name);
            if !found.contains_key(&name) && own.join("history.jsonl").is_file() {
                let history = History::read(&own)?;
                let one = Scheduled {
                    name: name.clone(),
                    folder: own,
                    history,
                };
                found.insert(name, one);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// One of them.
///
/// # Errors
/// A history that is there and cannot be read.
pub fn find(folders: &[PathBuf], name: &str) -> io::Result<Option<Scheduled>> {
    if !is_name(name) {
        return Ok(None);
    }
    let own = folders.iter().map(|folder| folder.join(name));
    let Some(folder) = own
        .into_iter()
        .find(|own| own.join("history.jsonl").is_file())
    else {
        return Ok(None);
    };
    let history = History::read(&folder)?;
    Ok(Some(Scheduled {
        name: name.to_owned(),
        folder,
        history,
    }))
}

/// What lies in a folder under names that can be asked for; nothing where there is no folder yet.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string();
        names.extend(name.ok().filter(|name| is_name(name)));
    }
    Ok(names)
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

/// Whether a run left a page.
pub fn has_page(folder: &Path, run: &str) -> bool {
    is_name(run) && folder.join(run).join("report.html").is_file()
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
