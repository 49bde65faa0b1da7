//! When audits are due: tables for what is easily got wrong, and properties against a walk over all minutes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use centinel_model::{Duration, Timestamp};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::cron::Cron;
use super::due::{Due, GRACE, MOST_CAUGHT_UP, Missed, Timing, due};

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

fn between(cron: &str, zone_name: &str, after: &str, until: &str) -> Vec<String> {
    let cron = Cron::parse(cron).unwrap();
    let due = cron.between(time(after), time(until), zone(zone_name), usize::MAX);
    due.iter().map(ToString::to_string).collect()
}

#[test]
fn fields_mean_what_cron_means() {
    #[rustfmt::skip]
    let table: [(&str, &str, &[&str]); 13] = [
        ("30 2 * * *", "2026-11-24T00:00:00Z", &["2026-11-22T02:30:00Z", "2026-11-23T02:30:00Z"]),
        ("0,30 8-9 * * *", "2026-11-22T23:00:00Z", &["2026-11-22T08:00:00Z", "2026-11-22T08:30:00Z", "2026-11-22T09:00:00Z", "2026-11-22T09:30:00Z"]),
        ("*/20 8 * * *", "2026-11-22T23:00:00Z", &["2026-11-22T08:00:00Z", "2026-11-22T08:20:00Z", "2026-11-22T08:40:00Z"]),
        ("50/5 8 * * *", "2026-11-22T23:00:00Z", &["2026-11-22T08:50:00Z", "2026-11-22T08:55:00Z"]),
        ("0 8 * * sun", "2026-12-01T00:00:00Z", &["2026-11-22T08:00:00Z", "2026-11-29T08:00:00Z"]),
        ("0 8 * * 7", "2026-12-01T00:00:00Z", &["2026-11-22T08:00:00Z", "2026-11-29T08:00:00Z"]),
        ("0 8 * * MON-WED", "2026-11-26T00:00:00Z", &["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"]),
        ("0 8 1 dec *", "2027-01-01T00:00:00Z", &["2026-12-01T08:00:00Z"]),
        // Either of two restricted days is enough; beside a `*` both must fit.
        ("0 8 24 * mon", "2026-11-26T00:00:00Z", &["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"]),
        ("0 8 */2 * mon", "2026-12-08T00:00:00Z", &["2026-11-23T08:00:00Z", "2026-12-07T08:00:00Z"]),
        ("@daily", "2026-11-24T00:00:00Z", &["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]),
        ("@monthly", "2026-12-31T00:00:00Z", &["2026-12-01T00:00:00Z"]),
        ("0 0 29 2 *", "2029-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]),
    ];
    for (cron, until, expected) in table {
        assert_eq!(
            between(cron, "UTC", "2026-11-21T23:59:59Z", until),
            expected,
            "{cron}"
        );
    }
}

#[test]
fn what_is_no_expression_is_refused_with_a_remedy() {
    for (text, problem, remedy) in [
        ("", "five fields, not 0", "minute, hour"),
        ("0 0 * *", "five fields, not 4", "30 2 * * *"),
        ("0 0 0 * * *", "five fields, not 6", "30 2 * * *"),
        ("60 0 * * *", "`60` is no minute", "from 0 to 59"),
        ("0 24 * * *", "`24` is no hour", "from 0 to 23"),
        ("0 0 0 * *", "`0` is no day of month", "from 1 to 31"),
        ("0 0 * foo *", "`foo` is no month", "jan, feb"),
        ("0 0 * * 8", "`8` is no day of week", "from 0 to 7"),
        ("+5 0 * * *", "`+5` is no minute", "from 0 to 59"),
        ("*/0 0 * * *", "no step of a minute", "from 1 to 59"),
        ("5-1 0 * * *", "`5-1` runs backwards", "5-59,0-1"),
        (
            "0 0 30 2 *",
            "no month of it has such a day",
            "correct the day",
        ),
        ("@often", "five fields, not 1", "30 2 * * *"),
    ] {
        let error = Cron::parse(text).unwrap_err();
        assert!(error.problem.contains(problem), "{text}: {error:?}");
        assert!(error.remedy.contains(remedy), "{text}: {error:?}");
    }
}

/// In Berlin clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
#[test]
fn an_hour_that_does_not_exist_is_made_up_for_and_one_that_comes_twice_counts_once() {
    let spring = |cron| {
        between(
            cron,
            "Europe/Berlin",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        )
    };
    assert_eq!(
        spring("30 2 * * *"),
        ["2026-03-29T01:00:00Z"],
        "at once after the gap"
    );
    assert_eq!(
        spring("0,30 2,3 * * *"),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
    );
    // Every hour is the passing of time: nothing is made up for.
    let hours = spring("30 * * * *");
    assert_eq!(hours.len(), 23);
    assert_eq!(
        hours[1..3],
        ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]
    );

    let autumn = |cron| {
        between(
            cron,
            "Europe/Berlin",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:00Z",
        )
    };
    assert_eq!(
        autumn("30 2 * * *"),
        ["2026-10-25T00:30:00Z"],
        "the first time"
    );
    let hours = autumn("30 * * * *");
    assert_eq!(hours.len(), 25);
    assert_eq!(
        hours[2..4],
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
    );
    // Daily runs are never doubled and never left out, whatever clocks do.
    let year = between(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-01-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    );
    assert_eq!(year.len(), 365);
}

#[test]
fn zones_with_odd_habits_are_followed() {
    // Half an hour on Lord Howe; a whole day that Samoa left out; an hour that reached over midnight in St. John's.
    let lord_howe = between(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        "2026-10-04T12:00:00Z",
    );
    assert_eq!(lord_howe, ["2026-10-03T15:30:00Z"]);
    let samoa = between(
        "0 8 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        "2011-12-31T12:00:00Z",
    );
    assert_eq!(
        samoa,
        [
            "2011-12-29T18:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-30T18:00:00Z"
        ]
    );
    let st_johns = between(
        "30 23 * * *",
        "America/St_Johns",
        "2009-10-31T12:00:00Z",
        "2009-11-02T12:00:00Z",
    );
    assert_eq!(st_johns.len(), 2, "{st_johns:?}");
}

fn timing(cron: &str, missed: Missed, differs: bool) -> Timing {
    Timing {
        cron: Cron::parse(cron).unwrap(),
        zone: Tz::UTC,
        missed,
        differs,
    }
}

#[test]
fn missed_runs_are_caught_up_with_or_skipped_as_declared() {
    let (last, now) = (time("2026-11-20T02:30:00Z"), time("2026-11-23T02:30:20Z"));
    let texts = |times: &[Timestamp]| -> Vec<String> {
        times
            .iter()
            .map(|at| at.to_string()[..10].to_owned())
            .collect()
    };
    let at = |missed, differs, now| {
        let Due { run, skipped } = due(&timing("30 2 * * *", missed, differs), last, now);
        (texts(&run), texts(&skipped))
    };
    let days = |days: &[&str]| -> Vec<String> {
        days.iter().map(|day| format!("2026-11-{day}")).collect()
    };
    assert_eq!(
        at(Missed::CatchUp, true, now),
        (days(&["21", "22", "23"]), days(&[]))
    );
    // The same snapshot again would tell nothing new.
    assert_eq!(
        at(Missed::CatchUp, false, now),
        (days(&["23"]), days(&["21", "22"]))
    );
    assert_eq!(
        at(Missed::Skip, true, now),
        (days(&["23"]), days(&["21", "22"]))
    );
    let late = now.plus(Duration::seconds(120));
    assert_eq!(
        at(Missed::Skip, true, late),
        (days(&[]), days(&["21", "22", "23"]))
    );
    // A clock that went back makes nothing due.
    assert_eq!(
        at(Missed::CatchUp, true, time("2026-11-01T00:00:00Z")),
        (days(&[]), days(&[]))
    );
}

#[test]
fn a_long_absence_is_not_caught_up_with_for_ever() {
    let (last, now) = (time("2026-01-01T00:00:00Z"), time("2026-11-23T00:00:00Z"));
    let found = due(&timing("*/5 * * * *", Missed::CatchUp, true), last, now);
    assert_eq!(found.run.len(), MOST_CAUGHT_UP);
    assert_eq!(found.run.last(), Some(&now));
    assert_eq!(found.skipped.len() + MOST_CAUGHT_UP, 326 * 24 * 12);
    // What lies further back than a year is not looked at.
    let found = due(&timing("@daily", Missed::CatchUp, true), Timestamp(0), now);
    assert_eq!(found.run.len() + found.skipped.len(), 366);
}

/// An expression as its sets of numbers; `None` is `*`.
#[derive(Clone, Debug)]
struct Sets {
    minutes: Vec<u32>,
    hours: Option<Vec<u32>>,
    days: Option<Vec<u32>>,
    weekdays: Option<Vec<u32>>,
}

impl Sets {
    fn text(&self) -> String {
        let list = |numbers: &[u32]| {
            numbers
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };
        let field = |numbers: &Option<Vec<u32>>| numbers.as_deref().map_or("*".to_owned(), list);
        format!(
            "{} {} {} * {}",
            list(&self.minutes),
            field(&self.hours),
            field(&self.days),
            field(&self.weekdays)
        )
    }

    fn matches(&self, local: NaiveDateTime) -> bool {
        let day = self.days.as_ref().map(|days| days.contains(&local.day()));
        let weekday = local.weekday().num_days_from_sunday();
        let weekday = self.weekdays.as_ref().map(|days| days.contains(&weekday));
        let right_day = match (day, weekday) {
            (Some(day), Some(weekday)) => day || weekday,
            (day, weekday) => day.unwrap_or(true) && weekday.unwrap_or(true),
        };
        let right_hour = self
            .hours
            .as_ref()
            .is_none_or(|hours| hours.contains(&local.hour()));
        right_day && right_hour && self.minutes.contains(&local.minute())
    }

    /// Walks over every minute as a clock on the wall goes.
    fn walked(&self, zone: Tz, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        const MINUTE: i64 = 60_000_000;
        const BEFORE: i64 = 3 * 1_440;
        let local = |at: i64| {
            let utc = DateTime::from_timestamp_micros(at).unwrap();
            utc.with_timezone(&zone).naive_local()
        };
        let first = after.0 / MINUTE - BEFORE;
        let (mut due, mut newest) = (BTreeSet::new(), local((first - 1) * MINUTE));
        for minute in first..=until.0 / MINUTE {
            let (at, shown) = (minute * MINUTE, local(minute * MINUTE));
            let again = shown <= newest;
            if self.matches(shown) && (!again || self.hours.is_none()) {
                due.insert(at);
            }
            // What the clock passed over.
            let mut left_out = newest + TimeDelta::minutes(1);
            while left_out < shown {
                if self.matches(left_out) && self.hours.is_some() {
                    due.insert(at);
                }
                left_out += TimeDelta::minutes(1);
            }
            newest = newest.max(shown);
        }
        due.into_iter()
            .map(Timestamp)
            .filter(|at| *at > after && *at <= until)
            .collect()
    }
}

fn some_of(most: u32, least: u32) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::btree_set(least..=most, 1..4).prop_map(|set| set.into_iter().collect())
}

fn sets() -> impl Strategy<Value = Sets> {
    let hours = prop::option::weighted(0.7, some_of(23, 0));
    let days = prop::option::weighted(0.3, prop::collection::btree_set(1u32..=31, 8..20));
    let days = days.prop_map(|days| days.map(|days| days.into_iter().collect()));
    let weekdays = prop::option::weighted(0.3, some_of(6, 0));
    (some_of(59, 0), hours, days, weekdays).prop_map(|(minutes, hours, days, weekdays)| {
        // All hours by their numbers would mean every hour.
        Sets {
            minutes,
            hours,
            days,
            weekdays,
        }
    })
}

/// A zone, and a moment near to one at which its clocks jump.
fn moments() -> impl Strategy<Value = (Tz, Timestamp)> {
    let known = [
        ("UTC", "2026-11-22T08:00:00Z"),
        ("Asia/Shanghai", "2026-11-22T08:00:00Z"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("America/St_Johns", "2009-11-01T02:31:00Z"),
        ("Atlantic/Azores", "2026-10-25T01:00:00Z"),
        ("America/Havana", "2026-03-08T05:00:00Z"),
    ];
    (prop::sample::select(known.to_vec()), -2_000i64..2_000).prop_map(|((name, at), minutes)| {
        (
            zone(name),
            Timestamp(time(at).0 + minutes * 60_000_000 + 17),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_due_is_what_a_clock_on_the_wall_shows(sets in sets(), (zone, after) in moments(), hours in 1i64..60) {
        let until = after.plus(Duration::seconds(hours * 3_600));
        let cron = Cron::parse(&sets.text()).unwrap();
        let expected = sets.walked(zone, after, until);
        prop_assert_eq!(cron.between(after, until, zone, usize::MAX), expected.clone(), "{} {}", cron, zone);
        if let Some(first) = expected.first() {
            prop_assert_eq!(cron.next_after(after, zone), Some(*first));
        } else if let Some(next) = cron.next_after(after, zone) {
            prop_assert!(next > until);
        }
    }

    /// However often somebody looks, each time is run for or passed over once.
    #[test]
    fn no_run_is_lost_or_doubled(
        sets in sets(),
        (zone, start) in moments(),
        steps in prop::collection::vec(1i64..900, 1..12),
        skip: bool,
        differs: bool,
    ) {
        let timing = Timing {
            cron: Cron::parse(&sets.text()).unwrap(),
            zone,
            missed: if skip { Missed::Skip } else { Missed::CatchUp },
            differs,
        };
        let (mut now, mut last, mut handled) = (start, start, Vec::new());
        for minutes in steps {
            now = now.plus(Duration::seconds(minutes * 60));
            let found = due(&timing, last, now);
            for at in &found.run {
                prop_assert!(!skip || now.since(*at) <= GRACE);
            }
            let most = if skip || !differs { 1 } else { MOST_CAUGHT_UP };
            prop_assert!(found.run.len() <= most);
            handled.extend(found.skipped.iter().chain(&found.run).copied());
            last = handled.last().copied().unwrap_or(start);
        }
        let all = timing.cron.between(start, now, zone, usize::MAX);
        prop_assert_eq!(handled, all);
    }
}
