//! Says how far what is in state has been looked at again.

use std::time::{Duration, Instant};

use centinel_engine::detect::{Detector, Sweep};

use crate::printer::complain;

/// How often it is said at most, beside beginning and end.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// What was said last.
#[derive(Default)]
pub struct SweepTold {
    last: Option<(Instant, Sweep)>,
}

impl SweepTold {
    /// Says it when it is time to.
    pub fn tell(&mut self, detector: &Detector) {
        // What cannot be counted now is said with the next commit.
        let Ok(sweep) = detector.sweep() else {
            return;
        };
        match (sweep, &mut self.last) {
            (None, None) => {}
            (None, last) => {
                complain("everything in state has been looked at again");
                *last = None;
            }
            (Some(sweep), Some((said, known)))
                if said.elapsed() < SAID_EVERY && known.looked <= sweep.looked =>
            {
                known.looked = sweep.looked;
            }
            (Some(sweep), last) => {
                complain(format_args!(
                    "looking again at what is in state: {} of {} documents",
                    grouped(sweep.looked),
                    grouped(sweep.of)
                ));
                *last = Some((Instant::now(), sweep));
            }
        }
    }
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_read_in_threes() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
