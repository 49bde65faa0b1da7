//! Which records are meant.

use std::ops::RangeInclusive;

use centinel_interface::{Problem, QuarantinedRecord, Standing};
use clap::Args;

use super::place::Place;

/// Records asked for in one go.
const PAGE: usize = 500;

/// Some records, by number and by what they are.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Numbers and stretches of them, such as 3 or 7-12
    #[arg(value_name = "NUMBER", value_parser = stretch)]
    pub numbers: Vec<RangeInclusive<u64>>,
    /// Only those whose kind of mistake, or what is wrong, has this in it, such as unknown_column
    #[arg(long, value_name = "TEXT")]
    pub reason_like: Option<String>,
    /// Only those of this input
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
}

/// Reads `7` or `7-12`.
fn stretch(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let number = text.parse::<u64>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("`{text}` is no number of a record"))
    };
    let (first, last) = (number(first)?, number(last)?);
    match first <= last {
        true => Ok(first..=last),
        false => Err(format!("in `{text}` the greater number stands first")),
    }
}

impl Selection {
    /// Whether it names anything.
    pub fn is_given(&self) -> bool {
        !self.numbers.is_empty() || self.reason_like.is_some() || self.input.is_some()
    }

    /// Whether a record is meant.
    pub fn is_meant(&self, record: &QuarantinedRecord) -> bool {
        let numbered = self.numbers.is_empty()
            || self
                .numbers
                .iter()
                .any(|range| range.contains(&record.number));
        let input = self.input.as_ref();
        let like = |text: &String| record.reason.contains(text) || record.message.contains(text);
        numbered
            && input.is_none_or(|input| record.input == *input)
            && self.reason_like.as_ref().is_none_or(like)
    }

    /// Records that are meant, the newest first, below a number, up to so many; those that wait, or all.
    pub fn records(
        &self,
        place: &Place,
        mut below: Option<u64>,
        waiting: bool,
        most: usize,
    ) -> Result<Vec<QuarantinedRecord>, Problem> {
        let highest = self.numbers.iter().map(|range| *range.end()).max();
        let lowest = self.numbers.iter().map(|range| *range.start()).min();
        if let Some(highest) = highest {
            let end = highest.saturating_add(1);
            below = Some(below.map_or(end, |below| below.min(end)));
        }
        let mut found = Vec::new();
        while found.len() < most {
            let page = place.list(below, PAGE)?;
            let Some(last) = page.last().map(|record| record.number) else {
                break;
            };
            let wanted = |record: &QuarantinedRecord| {
                self.is_meant(record) && (!waiting || record.standing == Standing::Waiting)
            };
            found.extend(page.into_iter().filter(wanted));
            if lowest.is_some_and(|lowest| last <= lowest) {
                break;
            }
            below = Some(last);
        }
        found.truncate(most);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_stretches_of_them() {
        assert_eq!(stretch("7"), Ok(7..=7));
        assert_eq!(stretch("7-12"), Ok(7..=12));
        for wrong in ["", "0", "-3", "3-", "12-7", "a", "1-2-3"] {
            assert!(stretch(wrong).is_err(), "{wrong}");
        }
    }
}
