//! Where the data of an audit lies; the place may name the time that it is run for.

use std::path::{Path, PathBuf};

use centinel_model::Timestamp;
use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;

/// What a pattern may hold, and what it stands for.
pub const PATTERN: &str =
    "%Y, %m, %d, %H and %M stand for year, month, day, hour and minute, %% for a percent sign";

/// A folder or a URL, with places for a time in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Before everything, for the path of a folder.
    base: Option<PathBuf>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

impl Place {
    /// Reads a pattern; an error says which part of it is none.
    pub fn parse(text: &str) -> Result<Place, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                plain.push(character);
                continue;
            }
            let piece = match characters.next() {
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                Some('Y') => Piece::Year,
                Some('m') => Piece::Month,
                Some('d') => Piece::Day,
                Some('H') => Piece::Hour,
                Some('M') => Piece::Minute,
                Some(other) => return Err(format!("%{other}")),
                None => return Err("%".into()),
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Place { base: None, pieces })
    }

    /// The same below this folder, for a relative path.
    pub fn below(mut self, folder: &Path) -> Place {
        self.base = Some(folder.to_owned());
        self
    }

    /// Whether it depends on the time.
    pub fn has_time(&self) -> bool {
        let plain = |piece: &Piece| matches!(piece, Piece::Text(_));
        !self.pieces.iter().all(plain)
    }

    /// The place for a time, as clocks in a zone show it.
    pub fn at(&self, time: Timestamp, zone: Tz) -> String {
        let local = DateTime::from_timestamp_micros(time.0)
            .unwrap_or_default()
            .with_timezone(&zone);
        let mut text = String::new();
        for piece in &self.pieces {
            let (number, digits) = match piece {
                Piece::Text(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Piece::Year => (local.year().unsigned_abs(), 4),
                Piece::Month => (local.month(), 2),
                Piece::Day => (local.day(), 2),
                Piece::Hour => (local.hour(), 2),
                Piece::Minute => (local.minute(), 2),
            };
            text.push_str(&format!("{number:0digits$}"));
        }
        match &self.base {
            Some(base) => base.join(text).display().to_string(),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_of_the_day_that_clocks_show_there() {
        let place = Place::parse("s3://lake/dt=%Y-%m-%d/%H%M/100%%").expect("a pattern");
        let time = Timestamp::parse("2026-11-22T20:05:00Z").expect("a time");
        let at = |zone: Tz| place.at(time, zone);
        assert_eq!(at(Tz::UTC), "s3://lake/dt=2026-11-22/2005/100%");
        assert_eq!(at(Tz::Asia__Shanghai), "s3://lake/dt=2026-11-23/0405/100%");
        assert!(place.has_time());
    }

    #[test]
    fn a_plain_path_lies_below_its_folder() {
        let place = Place::parse("latest")
            .expect("a pattern")
            .below(Path::new("/etc/50%d"));
        assert!(!place.has_time());
        assert_eq!(place.at(Timestamp(0), Tz::UTC), "/etc/50%d/latest");
    }

    #[test]
    fn what_is_no_part_of_a_pattern_is_named() {
        assert_eq!(Place::parse("a/%j"), Err("%j".into()));
        assert_eq!(Place::parse("a%"), Err("%".into()));
    }
}
