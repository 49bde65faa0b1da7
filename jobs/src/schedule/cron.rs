//! Cron expressions: when they are due in a time zone. Pure; the only clock is the argument.
//!
//! Where clocks are set forward, what falls into the hour that does not exist is due at the moment after it; where they
//! are set back, what falls into the hour that comes twice is due the first time only. An expression that names every
//! hour means the passing of time: it is due in both of the two hours, and nothing is made up for one that is not.

use std::collections::BTreeSet;
use std::fmt;

use centinel_model::Timestamp;
use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone,
};
use chrono_tz::Tz;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const SHORT: [(&str, &str); 5] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];
/// Between two 29ths of February lie up to eight years.
const MOST_DAYS: u64 = 366 * 9;
/// No zone ever left out more than a day.
const MOST_LEFT_OUT: u32 = 24 * 60 + 1;
const EVERY_HOUR: u64 = (1 << 24) - 1;

/// A cron expression of five fields.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether days of the month, or of the week, begin with `*`; where neither does, either is enough.
    both_days: bool,
}

/// Why a text is no cron expression, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    pub problem: String,
    pub remedy: String,
}

impl fmt::Debug for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Cron({})", self.text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

fn refuse<T>(problem: impl Into<String>, remedy: impl Into<String>) -> Result<T, CronError> {
    Err(CronError {
        problem: problem.into(),
        remedy: remedy.into(),
    })
}

impl Cron {
    /// Reads `minute hour day-of-month month day-of-week`, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`,
    /// `@yearly`.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        let given = text.trim();
        let long = SHORT.iter().find(|(short, _)| *short == given);
        let fields: Vec<&str> = long
            .map_or(given, |(_, long)| long)
            .split_whitespace()
            .collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let remedy = "write minute, hour, day of month, month and day of week: \"30 2 * * *\" is daily at 02:30";
            return refuse(
                format!("a cron expression has five fields, not {}", fields.len()),
                remedy,
            );
        };
        let mut weekday_set = set("day of week", weekdays, 0, 7, &WEEKDAYS)?;
        // Sunday is 0 and 7.
        weekday_set = (weekday_set | weekday_set >> 7) & 0x7f;
        let cron = Cron {
            text: given.to_owned(),
            minutes: set("minute", minutes, 0, 59, &[])?,
            hours: set("hour", hours, 0, 23, &[])?,
            days: set("day of month", days, 1, 31, &[])?,
            months: set("month", months, 1, 12, &MONTHS)?,
            weekdays: weekday_set,
            both_days: days.starts_with('*') || weekdays.starts_with('*'),
        };
        match cron.ever() {
            true => Ok(cron),
            false => refuse(
                "no month of it has such a day",
                "correct the day or the month",
            ),
        }
    }

    /// Whether any month has one of the days.
    fn ever(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first = self.days.trailing_zeros();
        let mut months = (1..=12).filter(|month| self.months >> month & 1 == 1);
        !self.both_days || months.any(|month| LONGEST[month - 1] >= first)
    }

    /// The first moment after this one at which it is due.
    pub fn next_after(&self, after: Timestamp, zone: Tz) -> Option<Timestamp> {
        self.between(after, Timestamp::LATEST, zone, 1)
            .first()
            .copied()
    }

    /// The first `most` moments at which it is due, after `after` and up to `until`, rising.
    pub fn between(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: Tz,
        most: usize,
    ) -> Vec<Timestamp> {
        let Some(begin) = DateTime::from_timestamp_micros(after.0) else {
            return Vec::new();
        };
        // The day before, as its last hour may come again after this one has begun.
        let today = begin.with_timezone(&zone).date_naive();
        let Some(begin) = today.checked_sub_days(Days::new(1)) else {
            return Vec::new();
        };
        let mut due = BTreeSet::new();
        let mut enough = false;
        for ahead in 0..MOST_DAYS {
            let Some(day) = begin.checked_add_days(Days::new(ahead)) else {
                break;
            };
            let of_day = self.on(day, zone);
            let past = of_day.first().is_some_and(|first| *first > until);
            due.extend(of_day.into_iter().filter(|at| *at > after && *at <= until));
            // One day more: hours that come twice may reach over midnight.
            if past || enough {
                break;
            }
            let day_is_past = midnight(day, zone).is_some_and(|start| start > until);
            enough = due.len() >= most || day_is_past;
        }
        due.into_iter().take(most).collect()
    }

    /// When it is due on a day of the calendar, rising.
    fn on(&self, day: NaiveDate, zone: Tz) -> BTreeSet<Timestamp> {
        let mut due = BTreeSet::new();
        if !self.is_day(day) {
            return due;
        }
        let every_hour = self.hours == EVERY_HOUR;
        for hour in (0..24).filter(|hour| self.hours >> hour & 1 == 1) {
            for minute in (0..60).filter(|minute| self.minutes >> minute & 1 == 1) {
                let Some(time) = day.and_hms_opt(hour, minute, 0) else {
                    continue;
                };
                match zone.from_local_datetime(&time) {
                    MappedLocalTime::Single(at) => due.extend(instant(&at)),
                    MappedLocalTime::Ambiguous(first, second) => {
                        due.extend(instant(&first));
                        if every_hour {
                            due.extend(instant(&second));
                        }
                    }
                    MappedLocalTime::None if every_hour => {}
                    MappedLocalTime::None => due.extend(behind_gap(time, zone)),
                }
            }
        }
        due
    }

    fn is_day(&self, day: NaiveDate) -> bool {
        let of_month = self.days >> day.day() & 1 == 1;
        let of_week = self.weekdays >> day.weekday().num_days_from_sunday() & 1 == 1;
        let right = match self.both_days {
            true => of_month && of_week,
            false => of_month || of_week,
        };
        right && self.months >> day.month() & 1 == 1
    }
}

fn instant(at: &DateTime<Tz>) -> Option<Timestamp> {
    Some(Timestamp(at.timestamp_micros())).filter(|at| (0..=Timestamp::LATEST.0).contains(&at.0))
}

fn midnight(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let time = day.and_hms_opt(0, 0, 0)?;
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => instant(&at),
        MappedLocalTime::None => behind_gap(time, zone),
    }
}

/// The first whole minute behind a time that clocks passed over.
fn behind_gap(time: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    (1..=MOST_LEFT_OUT).find_map(|minutes| {
        let later = time.checked_add_signed(TimeDelta::minutes(i64::from(minutes)))?;
        match zone.from_local_datetime(&later) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => instant(&at),
            MappedLocalTime::None => None,
        }
    })
}

/// The numbers that a field names, as bits.
fn set(what: &str, field: &str, least: u32, most: u32, names: &[&str]) -> Result<u64, CronError> {
    let number = |text: &str| -> Result<u32, CronError> {
        let name = text.to_lowercase();
        let first = match names.len() {
            12 => 1,
            _ => 0,
        };
        let named = names.iter().position(|known| *known == name);
        let read = match named {
            Some(place) => u32::try_from(place).ok().map(|place| place + first),
            None => text
                .parse()
                .ok()
                .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())),
        };
        let read = read.filter(|number| (least..=most).contains(number));
        match read {
            Some(number) => Ok(number),
            None => {
                let shown: String = text.chars().take(20).collect();
                let named = match names {
                    [] => String::new(),
                    names => format!(", or {}", names.join(", ")),
                };
                refuse(
                    format!("`{shown}` is no {what}"),
                    format!("write a number from {least} to {most}{named}"),
                )
            }
        }
    };
    let mut bits = 0;
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => (range, Some(step)),
        };
        let step = match step.map(str::parse::<u32>) {
            None => None,
            Some(Ok(step)) if (1..=most).contains(&step) => Some(step),
            Some(_) => {
                let problem = format!(
                    "`{}` is no step of a {what}",
                    item.chars().take(20).collect::<String>()
                );
                return refuse(
                    problem,
                    format!("write a number from 1 to {most} behind the `/`"),
                );
            }
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (least, most),
            (_, Some((first, last))) => (number(first)?, number(last)?),
            (single, None) => {
                let single = number(single)?;
                (single, if step.is_some() { most } else { single })
            }
        };
        if first > last {
            let problem = format!("`{range}` runs backwards");
            let remedy = format!("write two ranges, as `{first}-{most},{least}-{last}`");
            return refuse(problem, remedy);
        }
        let numbers = (first..=last).step_by(step.unwrap_or(1) as usize);
        bits = numbers.fold(bits, |bits, number| bits | 1 << number);
    }
    Ok(bits)
}
