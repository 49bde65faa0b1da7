//! A file of findings, read report by report while it grows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

use centinel_breaker::{Name, Report};

use super::translate::{ends, report_of};
use crate::following::Following;

/// Reports that are sent at once.
pub const MOST_AT_ONCE: usize = 64;

/// The lines of a file behind some place.
pub struct Lines {
    file: Following,
    /// The next report, read already, and where its line ends.
    held: Option<(Report, u64)>,
}

/// Reports that may be sent side by side, each of another finding.
#[derive(Debug, Default)]
pub struct Wave {
    pub reports: Vec<Report>,
    /// What cannot be told, each with its reason.
    pub problems: Vec<String>,
    /// Where the last line of it ends; none where nothing has come.
    pub end: Option<u64>,
}

impl Lines {
    /// Opens a file behind this byte.
    pub fn open(path: &Path, offset: u64) -> io::Result<Lines> {
        let file = Following::open(path, offset)?;
        Ok(Lines { file, held: None })
    }

    /// What comes next, as far as the file goes.
    pub fn wave(&mut self) -> io::Result<Wave> {
        let (mut wave, mut ids) = (Wave::default(), HashSet::new());
        while wave.reports.len() < MOST_AT_ONCE {
            let (report, end) = match self.held.take() {
                Some((report, end)) => (Some(report), end),
                None => {
                    let Some(line) = self.file.line()? else { break };
                    let read = report_of(&line).unwrap_or_else(|problem| {
                        wave.problems.push(problem);
                        None
                    });
                    (read, self.file.offset())
                }
            };
            if let Some(report) = report {
                if !ids.insert(report.finding_id.clone()) {
                    self.held = Some((report, end));
                    break;
                }
                wave.reports.push(report);
            }
            wave.end = Some(end);
        }
        Ok(wave)
    }

    /// What is open at the end of the file, in the order in which it was told last.
    pub fn open_at_end(&mut self) -> io::Result<Wave> {
        let (mut wave, mut last) = (Wave::default(), HashMap::<Name, (u64, Report)>::new());
        while let Some(line) = self.file.line()? {
            match report_of(&line) {
                Ok(None) => {}
                Ok(Some(report)) if ends(report.verdict) => {
                    last.remove(&report.finding_id);
                }
                Ok(Some(report)) => {
                    last.insert(report.finding_id.clone(), (self.file.offset(), report));
                }
                Err(problem) => wave.problems.push(problem),
            }
        }
        let last: BTreeMap<u64, Report> = last.into_values().collect();
        wave.reports = last.into_values().collect();
        wave.end = Some(self.file.offset());
        Ok(wave)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs::File;
    use std::io::{Seek, SeekFrom, Write};

    fn line(finding: &str, sequence: u64, verdict: &str) -> String {
        format!(
            r#"{{"schema":"centinel/finding/1","finding_id":"{finding}","sequence":{sequence},"rule":"r","rule_version":"0","title":"t","entity":"order","entity_key":"E","key":[],"verdict":"{verdict}","occurrence":1,"severity":"error","owner":"o","amount":null,"currency":null,"hint":null,"evidence":{{"rows":[],"total":0}},"positions":{{}},"anchor":"","judged_at":"","status":"stable"}}"#
        ) + "\n"
    }

    fn told(wave: &Wave) -> Vec<String> {
        let shown = |report: &Report| format!("{}#{}", report.finding_id, report.sequence / 4);
        wave.reports.iter().map(shown).collect()
    }

    #[test]
    fn lines_are_taken_in_order_and_each_finding_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let first = [
            line("a", 1, "confirmed"),
            line("b", 1, "confirmed"),
            "{\"schema\":\"x\"}\n".into(),
        ];
        let (first, again) = (first.concat(), line("a", 2, "recovered"));
        let mut file = File::create(&path).unwrap();
        file.write_all((first.clone() + &again).as_bytes()).unwrap();
        let mut lines = Lines::open(&path, 0).unwrap();
        let wave = lines.wave().unwrap();
        assert_eq!(
            (told(&wave), wave.end),
            (vec!["a#1".into(), "b#1".into()], Some(first.len() as u64))
        );
        let wave = lines.wave().unwrap();
        let end = (first.len() + again.len()) as u64;
        assert_eq!((told(&wave), wave.end), (vec!["a#2".into()], Some(end)));
        // Half a line is none yet; what is wrong is passed over with a word.
        let late = line("c", 1, "confirmed");
        let (half, rest) = late.split_at(40);
        file.write_all(format!("nonsense\n{half}").as_bytes())
            .unwrap();
        let wave = lines.wave().unwrap();
        assert_eq!(
            (wave.reports.len(), wave.problems.len(), wave.end),
            (0, 1, Some(end + 9))
        );
        assert_eq!(lines.wave().unwrap().end, None);
        file.write_all(rest.as_bytes()).unwrap();
        assert_eq!(told(&lines.wave().unwrap()), ["c#1"]);
        let mut lines = Lines::open(&path, first.len() as u64).unwrap();
        assert_eq!(told(&lines.wave().unwrap()), ["a#2", "c#1"]);
    }

    #[test]
    fn at_first_only_what_is_open_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let text = [
            line("a", 1, "confirmed"),
            line("b", 1, "undetermined"),
            line("c", 1, "confirmed"),
            line("a", 2, "recovered"),
            line("b", 2, "confirmed"),
        ];
        std::fs::write(&path, text.concat()).unwrap();
        let wave = Lines::open(&path, 0).unwrap().open_at_end().unwrap();
        assert_eq!(told(&wave), ["c#1", "b#2"]);
        assert_eq!(wave.end, Some(text.concat().len() as u64));
    }

    /// As detection does at a start after a crash.
    #[test]
    fn a_file_that_is_cut_back_and_written_again_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let (kept, again) = (line("a", 1, "confirmed"), line("b", 1, "confirmed"));
        std::fs::write(&path, format!("{kept}{again}")).unwrap();
        let mut lines = Lines::open(&path, 0).unwrap();
        assert_eq!(told(&lines.wave().unwrap()), ["a#1", "b#1"]);
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(kept.len() as u64).unwrap();
        assert_eq!(lines.wave().unwrap().end, None);
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(format!("{again}{}", line("c", 1, "confirmed")).as_bytes())
            .unwrap();
        assert_eq!(told(&lines.wave().unwrap()), ["c#1"]);
    }
}
