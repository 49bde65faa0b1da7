//! Refused acts for the audit log, however many there are.
//!
//! Of each kind of refusal (who, at which route, why) the first, the tenth, the hundredth … within a minute become entries,
//! and how many there were once the minute is over. Only so many kinds have entries of their own in a minute; of the rest their
//! number is told. Those who showed who they are and those who did not are counted apart, so that no flood from outside
//! hides what somebody inside tries.

use std::collections::HashMap;

use centinel_breaker::{ITSELF, Instant};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000_000;
/// Most kinds of each side that have entries of their own in a minute.
const MOST_TOLD: usize = 10;
/// Most kinds of each side that are counted one by one in a minute.
const MOST_KINDS: usize = 1_000;
/// Most entries that wait while the store fails.
const MOST_WAITING: usize = 1_000;
/// Whoever did not show who they are.
pub const NOBODY: &str = "nobody";

/// One refusal.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The account or key, for those who showed that they are it.
    pub by: Option<String>,
    /// For others: the account or key whose name they gave, if there is one.
    pub claimed: Option<String>,
    /// As the table of routes has it, such as `POST /v1/trips`.
    pub route: &'a str,
    /// As the answer has it, such as `forbidden`.
    pub code: &'a str,
    /// As the answer has it. It holds no secret.
    pub why: &'a str,
}

/// What the audit log is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Who.
    pub by: String,
    /// Where, why and how often.
    pub about: Value,
}

struct Kind {
    by: String,
    about: Value,
    count: u64,
    told: u64,
}

#[derive(Default)]
struct Side {
    kinds: HashMap<String, Kind>,
    told: usize,
    beyond: u64,
}

/// The refusals of the minute, and the entries that are due.
#[derive(Default)]
pub struct Refusals {
    began: Instant,
    known: Side,
    unknown: Side,
    due: Vec<Due>,
}

impl Side {
    /// Counts one; gives the entry that is due for it.
    fn note(&mut self, refused: Refused) -> Option<Due> {
        let known = refused.by.is_some();
        let who = refused.by.as_ref().or(refused.claimed.as_ref());
        // Whoever is not known may try every route: that makes no kinds of its own.
        let route = if known { refused.route } else { "" };
        let key = format!(
            "{}\n{route}\n{}",
            who.map_or("", String::as_str),
            refused.code
        );
        let full = self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(&key);
        if full {
            self.beyond += 1;
            return None;
        }
        let kind = self.kinds.entry(key).or_insert_with(|| {
            let mut about =
                json!({"route": refused.route, "code": refused.code, "why": refused.why});
            if let (None, Some(claimed)) = (&refused.by, refused.claimed) {
                about["claimed"] = claimed.into();
            }
            Kind {
                by: refused.by.unwrap_or_else(|| NOBODY.to_owned()),
                about,
                count: 0,
                told: 0,
            }
        });
        kind.count += 1;
        if kind.told == 0 && self.told == MOST_TOLD {
            return None;
        }
        let power = 10_u64.pow(kind.count.ilog10());
        if kind.count != power {
            return None;
        }
        self.told += usize::from(kind.told == 0);
        kind.told = kind.count;
        Some(kind.due("so_far"))
    }

    /// The minute is over.
    fn close(&mut self, known: bool, due: &mut Vec<Due>) {
        let side = std::mem::take(self);
        let mut beyond = side.beyond;
        for kind in side.kinds.into_values() {
            if kind.told == 0 {
                beyond += kind.count;
            } else if kind.count > kind.told {
                due.push(kind.due("in_minute"));
            }
        }
        if beyond > 0 {
            let who = if known { "known" } else { NOBODY };
            due.push(Due {
                by: ITSELF.to_owned(),
                about: json!({"others_by": who, "in_minute": beyond}),
            });
        }
    }
}

impl Kind {
    fn due(&self, counted: &str) -> Due {
        let mut about = self.about.clone();
        about[counted] = self.count.into();
        let by = self.by.clone();
        Due { by, about }
    }
}

impl Refusals {
    /// Counts a refusal.
    pub fn note(&mut self, refused: Refused, now: Instant) {
        self.turn(now);
        let side = match refused.by {
            Some(_) => &mut self.known,
            None => &mut self.unknown,
        };
        if let Some(due) = side.note(refused)
            && self.due.len() < MOST_WAITING
        {
            self.due.push(due);
        }
    }

    fn turn(&mut self, now: Instant) {
        if now.since(self.began).0 >= MINUTE {
            self.began = now;
            self.close();
        }
    }

    /// Ends the minute early: the service ends.
    pub fn close(&mut self) {
        let mut due = Vec::new();
        self.known.close(true, &mut due);
        self.unknown.close(false, &mut due);
        let room = MOST_WAITING.saturating_sub(self.due.len());
        self.due.extend(due.into_iter().take(room));
    }

    /// What the audit log is to say and does not say yet.
    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        self.turn(now);
        self.due.clone()
    }

    /// It says the first ones now.
    pub fn logged(&mut self, count: usize) {
        self.due.drain(..count.min(self.due.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<'a>(by: Option<&str>, route: &'a str) -> Refused<'a> {
        Refused {
            by: by.map(str::to_owned),
            claimed: None,
            route,
            code: "forbidden",
            why: "because",
        }
    }

    fn counts(due: &[Due], counted: &str) -> Vec<u64> {
        due.iter()
            .filter_map(|due| due.about[counted].as_u64())
            .collect()
    }

    #[test]
    fn the_first_the_tenth_the_hundredth_and_the_sum_are_told() {
        let mut refusals = Refusals::default();
        for at in 0..537 {
            refusals.note(refused(Some("ann"), "POST /v1/trips"), Instant(at));
        }
        let due = refusals.due(Instant(1_000));
        assert_eq!(counts(&due, "so_far"), [1, 10, 100]);
        assert!(due.iter().all(|due| due.by == "ann"));
        refusals.logged(due.len());
        assert_eq!(refusals.due(Instant(MINUTE - 1)), []);
        let due = refusals.due(Instant(MINUTE));
        assert_eq!(counts(&due, "in_minute"), [537]);
        refusals.logged(1);
        // One by itself is told once, and no sum of it.
        refusals.note(refused(Some("ann"), "POST /v1/trips"), Instant(MINUTE));
        assert_eq!(counts(&refusals.due(Instant(MINUTE)), "so_far"), [1]);
        refusals.logged(1);
        assert_eq!(refusals.due(Instant(3 * MINUTE)), []);
    }

    #[test]
    fn however_many_there_are_the_log_grows_by_so_much() {
        let mut refusals = Refusals::default();
        let (mut entries, mut told) = (0, 0);
        for at in 0..300_000 {
            let (by, now) = (format!("key {}", at % 2_500), Instant(at * 1_000));
            refusals.note(refused(Some(&by), "POST /v1/checks"), now);
            refusals.note(refused(None, &by), now);
            for due in refusals.due(now) {
                entries += 1;
                told += due.about["in_minute"].as_u64().unwrap_or(0);
                refusals.logged(1);
            }
        }
        refusals.close();
        let rest = refusals.due(Instant(300_000_000));
        told += counts(&rest, "in_minute").iter().sum::<u64>();
        // Five minutes; each has at most 10 kinds of each side, at 5 powers of ten, and their sums.
        assert!(entries < 5 * 2 * (MOST_TOLD * 6 + 1), "{entries}");
        assert_eq!(told, 600_000);
    }

    #[test]
    fn a_flood_from_outside_hides_nobody_inside() {
        let mut refusals = Refusals::default();
        for route in 0..100_000 {
            refusals.note(refused(None, &route.to_string()), Instant(route));
        }
        refusals.note(refused(Some("ann"), "POST /v1/keys"), Instant(100_000));
        let due = refusals.due(Instant(100_001));
        assert_eq!(due.iter().filter(|due| due.by == NOBODY).count(), 6);
        assert!(due.iter().any(|due| due.by == "ann"));
    }

    #[test]
    fn what_waits_for_the_store_has_a_limit() {
        let mut refusals = Refusals::default();
        for minute in 0..2_000 {
            refusals.note(
                refused(Some("ann"), "POST /v1/keys"),
                Instant(minute * MINUTE),
            );
        }
        assert_eq!(refusals.due(Instant(2_000 * MINUTE)).len(), MOST_WAITING);
    }
}
