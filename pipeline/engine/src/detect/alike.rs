//! Which records that could not be read are told. All are kept and counted, but ten thousand poison messages are
//! not ten thousand messages for those on call.

use centinel_model::{Duration, Hole, HoleReason, Timestamp};
use serde::{Deserialize, Serialize};

/// So many of one kind are told one by one.
const TOLD_EACH: u64 = 3;
/// A kind of which none came for so long, by the sources' time, is told anew.
const FORGOTTEN_AFTER: Duration = Duration::seconds(3_600);
/// Kinds that are remembered; the one that was quiet for longest makes room.
const KINDS: usize = 1_000;

/// How many of each kind came of late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike(Vec<Known>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    kind: Kind,
    count: u64,
    /// The newest time of any source when the last one came, in microseconds since 1970.
    last: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    input: String,
    reason: HoleReason,
    /// By number, as of the shape under which it was seen: a later one makes at most another kind of it.
    table: Option<u16>,
}

impl Alike {
    /// How many like this one there were, and whether it is told; `now` is the newest time of any source.
    pub fn next(&mut self, hole: &Hole, now: Timestamp) -> (u64, bool) {
        let kind = Kind {
            input: without_partition(&hole.input).to_owned(),
            reason: hole.reason,
            table: hole.table.map(|table| table.0),
        };
        let known = self.0.iter().position(|known| known.kind == kind);
        let known = known.unwrap_or_else(|| {
            if self.0.len() >= KINDS {
                let quiet = self.0.iter().enumerate();
                let quiet = quiet.min_by_key(|(_, known)| known.last);
                let index = quiet.map_or(0, |(index, _)| index);
                self.0.swap_remove(index);
            }
            self.0.push(Known {
                kind,
                count: 0,
                last: now.0,
            });
            self.0.len() - 1
        });
        let known = &mut self.0[known];
        if now.0.saturating_sub(known.last) > FORGOTTEN_AFTER.0 {
            known.count = 0;
        }
        known.last = known.last.max(now.0);
        known.count += 1;
        (
            known.count,
            known.count <= TOLD_EACH || is_round(known.count),
        )
    }
}

/// Ten, a hundred, a thousand, and so on.
fn is_round(mut count: u64) -> bool {
    while count >= 10 && count.is_multiple_of(10) {
        count /= 10;
    }
    count == 1
}

/// Partitions of a topic are inputs each, by number.
fn without_partition(input: &str) -> &str {
    match input.rsplit_once('/') {
        Some((topic, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => topic,
        _ => input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::{Position, TableId};

    fn hole(input: &str, reason: HoleReason) -> Hole {
        Hole {
            input: input.into(),
            position: Position::Partition {
                next: 0,
                known: None,
            },
            reason,
            message: String::new(),
            bytes: Vec::new(),
            bytes_total: 0,
            table: Some(TableId(1)),
            source: None,
            since: None,
            entities: Vec::new(),
        }
    }

    #[test]
    fn of_many_some_are_told_and_other_kinds_by_themselves() {
        let mut alike = Alike::default();
        let now = Timestamp(5);
        let mut told = Vec::new();
        for number in 0..10_000 {
            let partition = format!("events/payments/{}", number % 2);
            let (count, tell) = alike.next(&hole(&partition, HoleReason::Malformed), now);
            assert_eq!(count, number + 1);
            told.extend(tell.then_some(count));
        }
        assert_eq!(told, [1, 2, 3, 10, 100, 1_000, 10_000]);
        let other = hole("events/payments/0", HoleReason::WrongType);
        assert_eq!(alike.next(&other, now), (1, true));
        let other = hole("events/refunds/0", HoleReason::Malformed);
        assert_eq!(alike.next(&other, now), (1, true));
    }

    #[test]
    fn what_was_quiet_for_long_is_told_anew() {
        let mut alike = Alike::default();
        let hole = hole("log.jsonl", HoleReason::Malformed);
        for _ in 0..5 {
            alike.next(&hole, Timestamp(0));
        }
        let hour = FORGOTTEN_AFTER.0;
        assert_eq!(alike.next(&hole, Timestamp(hour)), (6, false));
        assert_eq!(alike.next(&hole, Timestamp(2 * hour + 1)), (1, true));
    }

    #[test]
    fn kinds_have_a_limit() {
        let mut alike = Alike::default();
        for number in 0..3_000 {
            let hole = hole(&format!("log-{number}.jsonl"), HoleReason::Malformed);
            assert_eq!(alike.next(&hole, Timestamp(number)), (1, true));
        }
        assert_eq!(alike.0.len(), KINDS);
        let last = hole("log-2999.jsonl", HoleReason::Malformed);
        assert_eq!(alike.next(&last, Timestamp(3_000)), (2, true));
    }
}
