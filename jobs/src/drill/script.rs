//! What a drill plays: lines in order of arrival, the faults in them, and when the platform asks the breaker.

use std::path::PathBuf;

use data_fixtures::copy::{Copies, Traffic};
use data_fixtures::timeline::{Course, Timeline};
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{Delivered, FaultKind, KeyStyle, SECOND, Simulation, SimulationParameters};

use super::acts::{Acts, Ask};

/// The span of source time that one micro-batch of a drill takes in, microseconds.
pub const MICRO_BATCH: i64 = SECOND;
/// Orders begin over so many seconds at least, so that money moves before and after faults are known.
const SECONDS_OF_ORDERS: u64 = 250;

/// A log that is copied is in memory as a whole, and so is what detection knows of it.
const MOST_COPIED: u64 = 256 << 20;

/// A drill's whole course, known beforehand.
pub struct Script {
    /// The lines, one after the other.
    text: Vec<u8>,
    /// Of each line when it arrives, microseconds, and where it ends in `text`; times never fall.
    lines: Vec<(i64, usize)>,
    /// The faults in it, with what must be found of each and when.
    pub courses: Vec<Course>,
    /// What the platform asks, in the order of time.
    pub asks: Vec<Ask>,
    /// Faults for which there was no order or cash-out.
    pub unplanted: Vec<FaultKind>,
}

impl Script {
    /// A simulated platform with each of these faults in it once, every number with a drill's mark.
    pub fn simulated(seed: u64, orders: u64, faults: &[FaultKind]) -> Script {
        let mut simulation = Simulation::new(SimulationParameters {
            seed,
            orders,
            key_style: KeyStyle::Drill,
            orders_per_second: orders.div_ceil(SECONDS_OF_ORDERS).max(1),
            merchants: 40,
            cash_out_every: 1_200 * SECOND,
            tail: 400 * SECOND,
            faults: faults.to_vec(),
            ..SimulationParameters::default()
        });
        let (mut timeline, mut acts) = (Timeline::default(), Acts::default());
        let (mut writer, mut text, mut lines) =
            (JsonLinesWriter::default(), Vec::new(), Vec::new());
        while let Some(delivered) = simulation.next() {
            timeline.plant(simulation.take_planted());
            timeline.observe(&delivered.record);
            acts.observe(&delivered.record);
            writer.write(&mut text, &delivered);
            lines.push((delivered.arrival, text.len()));
        }
        // A history that is over has an end; what is not certain by then is not expected.
        let courses = timeline.courses(simulation.end().unwrap_or(i64::MIN));
        Script {
            text,
            lines,
            unplanted: unplanted(faults, &courses),
            courses,
            asks: acts.finish(),
        }
    }

    /// A copy of these change logs, and in it a copy of a real order for each of these faults. Each source stands in one
    /// of the files. The text says why that cannot be.
    pub fn copied(files: &[PathBuf], faults: &[FaultKind]) -> Result<Script, String> {
        let (traffic, real) = read(files)?;
        let end = traffic.end().map_err(|source| {
            format!(
                "no heartbeat of `{}` in {}: nobody could be sure of anything",
                source.name(),
                shown(files)
            )
        })?;
        let Copies {
            records, planted, ..
        } = traffic.copies(faults, end);
        let (mut timeline, mut acts) = (Timeline::default(), Acts::default());
        timeline.plant(planted);
        for Delivered { record, .. } in &records {
            timeline.observe(record);
            acts.observe(record);
        }
        let mut merged = Merged::default();
        let mut records = records.iter().peekable();
        for (at, line) in real {
            while let Some(copy) = records.next_if(|copy| copy.arrival <= at) {
                merged.copy(copy, at);
            }
            merged.line(&line, at);
        }
        let courses = timeline.courses(end);
        Ok(Script {
            text: merged.text,
            lines: merged.lines,
            unplanted: unplanted(faults, &courses),
            courses,
            asks: acts.finish(),
        })
    }

    /// The lines by micro-batch, each with the time up to which it takes in what arrives.
    pub fn micro_batches(&self) -> impl Iterator<Item = (i64, &[u8])> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (arrival, _) = self.lines.get(next)?;
            let until = (arrival.div_euclid(MICRO_BATCH) + 1) * MICRO_BATCH - 1;
            let from = next.checked_sub(1).map_or(0, |last| self.lines[last].1);
            next += self.lines[next..].partition_point(|(arrival, _)| *arrival <= until);
            Some((until, &self.text[from..self.lines[next - 1].1]))
        })
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}

/// Lines of a real log, and copies among them.
#[derive(Default)]
struct Merged {
    text: Vec<u8>,
    lines: Vec<(i64, usize)>,
    writer: JsonLinesWriter,
}

impl Merged {
    /// Before the first line that may say that all up to its time was read.
    fn copy(&mut self, copy: &Delivered, at: i64) {
        self.writer.write(&mut self.text, copy);
        self.lines.push((at, self.text.len()));
    }

    fn line(&mut self, line: &[u8], at: i64) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.lines.push((at, self.text.len()));
    }
}

/// Lines, each with the newest commit time so far in its file.
type Lines = Vec<(i64, Vec<u8>)>;

/// Reads these files as one log, in the order of their times.
fn read(files: &[PathBuf]) -> Result<(Traffic, Lines), String> {
    let (mut traffic, mut lines, mut left) = (Traffic::default(), Vec::new(), MOST_COPIED);
    for path in files {
        let failed = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let file = centinel_catalog::open_file(path).map_err(|error| failed(&error))?;
        let mut text = Vec::new();
        let limit = left + 1;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, limit), &mut text)
            .map_err(|error| failed(&error))?;
        left = left.checked_sub(text.len() as u64).ok_or_else(|| {
            failed(&format_args!(
                "more than {} MiB to copy: give a stretch of the log",
                MOST_COPIED >> 20
            ))
        })?;
        let mut newest = i64::MIN;
        let whole = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        for line in whole {
            let at = traffic.read(line).map_err(|error| failed(&error))?;
            newest = newest.max(at.unwrap_or(i64::MIN));
            lines.push((newest, line.to_vec()));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    Ok((traffic, lines))
}

/// What is played, as it stands in histories.
pub fn shown(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "simulated".into();
    }
    let names = files.iter().map(|file| file.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn unplanted(faults: &[FaultKind], courses: &[Course]) -> Vec<FaultKind> {
    let struck = |fault: &&FaultKind| {
        let mut of_kind = courses
            .iter()
            .filter(|course| course.planted.fault == **fault);
        of_kind.any(|course| !course.expected.is_empty())
    };
    faults
        .iter()
        .filter(|fault| !struck(fault))
        .copied()
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_strikes_and_every_line_is_in_one_micro_batch() {
        let script = Script::simulated(1, 200, FaultKind::ALL);
        assert_eq!(script.unplanted, []);
        assert_eq!(script.courses.len(), FaultKind::ALL.len());
        let mut last = i64::MIN;
        let mut text = Vec::new();
        for (until, lines) in script.micro_batches() {
            assert!(until > last && lines.ends_with(b"\n"));
            last = until;
            text.extend_from_slice(lines);
        }
        assert_eq!(text, script.text);
    }

    #[test]
    fn money_moves_before_and_after_the_first_fault_is_known() {
        let script = Script::simulated(1, 500, FaultKind::ALL);
        let due = script.courses.iter().flat_map(|course| &course.expected);
        let first = due.map(|due| due.due).min().unwrap();
        let (before, after): (Vec<&Ask>, Vec<&Ask>) =
            script.asks.iter().partition(|ask| ask.at < first);
        assert!(
            before.len() > 50 && after.len() > 50,
            "{} {}",
            before.len(),
            after.len()
        );
    }
}
