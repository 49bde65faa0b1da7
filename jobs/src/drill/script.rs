//! What a drill plays: lines in order of arrival, the faults in them, and when the platform asks the breaker.

use data_fixtures::timeline::{Course, Timeline};
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{FaultKind, KeyStyle, SECOND, Simulation, SimulationParameters};

use super::acts::{Acts, Ask};

/// The span of source time that one micro-batch of a drill takes in, microseconds.
pub const MICRO_BATCH: i64 = SECOND;
/// Orders begin over so many seconds at least, so that money moves before and after faults are known.
const SECONDS_OF_ORDERS: u64 = 250;

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
            cash_out_every: 600 * SECOND,
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
