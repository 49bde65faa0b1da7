//! Delivery as it really is: repetitions, replays, stalls, other interleavings, no order at all.

use std::collections::VecDeque;

use crate::random::Draw;
use crate::record::{Delivered, Record};
use crate::table::Source;

const REPEAT_STREAM: u64 = 1;
const REPLAY_STREAM: u64 = 2;
const INTERLEAVE_STREAM: u64 = 3;
const SHUFFLE_STREAM: u64 = 4;

/// How many records a source's replay reaches back.
const REPLAY_REACH: usize = 200;
/// How many records at most stand between a record and its repetition.
const REPEAT_REACH: u64 = 50;

/// Delivers some records twice: `share` of ten thousand, half of them at once and half a few transactions later.
pub fn repeat(
    records: impl Iterator<Item = Delivered>,
    seed: u64,
    share: u32,
) -> impl Iterator<Item = Delivered> {
    let mut draw = Draw::new(seed, REPEAT_STREAM);
    let mut late: VecDeque<(u64, Delivered)> = VecDeque::new();
    let mut place = 0u64;
    let mut arrival = i64::MIN;
    let mut records = records.fuse();
    let mut next = VecDeque::new();
    std::iter::from_fn(move || {
        if next.is_empty() {
            let Some(record) = records.next() else {
                return late
                    .pop_front()
                    .map(|(_, record)| Delivered { arrival, ..record });
            };
            place += 1;
            arrival = record.arrival;
            next.push_back(record);
            if draw.chance(share) {
                if draw.chance(5_000) || !ends_transaction(&record) {
                    next.push_back(record);
                } else {
                    late.push_back((place + draw.below(REPEAT_REACH), record));
                }
            }
            if ends_transaction(&record) && late.front().is_some_and(|(due, _)| *due <= place) {
                next.extend(
                    late.pop_front()
                        .map(|(_, late)| Delivered { arrival, ..late }),
                );
            }
        }
        next.pop_front()
    })
}

fn ends_transaction(delivered: &Delivered) -> bool {
    !matches!(&delivered.record, Record::Change(change) if !change.last)
}

/// Delivers stretches of a source again, then goes on (A B C, A B, D): after `share` of ten thousand transactions.
/// Versions stay as they were, and heartbeats keep their old time.
pub fn replay(
    records: impl Iterator<Item = Delivered>,
    seed: u64,
    share: u32,
) -> impl Iterator<Item = Delivered> {
    let mut draw = Draw::new(seed, REPLAY_STREAM);
    let mut recent: [VecDeque<Delivered>; Source::ALL.len()] = Default::default();
    records.flat_map(move |record| {
        let seen = &mut recent[record.source as usize];
        seen.push_back(record);
        while seen.len() > REPLAY_REACH {
            seen.pop_front();
        }
        let mut out = vec![record];
        if ends_transaction(&record) && draw.chance(share) {
            let ends: Vec<usize> = (0..seen.len())
                .filter(|index| ends_transaction(&seen[*index]))
                .collect();
            // The stretch begins right after a transaction's end, so that it is made of whole ones.
            if ends.len() > 1 {
                let from = draw.below(ends.len() as u64 - 1) as usize;
                let to = from + 1 + draw.below((ends.len() - from - 1) as u64) as usize;
                let again = seen.range(ends[from] + 1..=ends[to]);
                out.extend(again.map(|old| Delivered {
                    arrival: record.arrival,
                    ..*old
                }));
            }
        }
        out
    })
}

/// Mixes the sources anew; each keeps its own order and its transactions whole. Runs of one source are drawn long
/// enough that some run far ahead of others. Arrival times are evened so that they never fall.
pub fn interleave(records: Vec<Delivered>, seed: u64) -> Vec<Delivered> {
    let mut draw = Draw::new(seed, INTERLEAVE_STREAM);
    let mut queues: [VecDeque<Delivered>; Source::ALL.len()] = Default::default();
    let mut left = records.len();
    let mut out: Vec<Delivered> = Vec::with_capacity(left);
    for record in records {
        queues[record.source as usize].push_back(record);
    }
    while left > 0 {
        let mut chosen = draw.below(left as u64) as usize;
        let source = queues
            .iter()
            .position(|queue| match chosen.checked_sub(queue.len()) {
                Some(rest) => {
                    chosen = rest;
                    false
                }
                None => true,
            });
        let Some(source) = source else { break };
        let run = if draw.chance(100) {
            draw.below(2_000)
        } else {
            draw.below(8)
        };
        let mut taken = 0;
        while let Some(record) = queues[source].pop_front() {
            left -= 1;
            taken += 1;
            let arrival = out
                .last()
                .map_or(record.arrival, |last| last.arrival.max(record.arrival));
            out.push(Delivered { arrival, ..record });
            if taken > run && ends_transaction(&record) {
                break;
            }
        }
    }
    out
}

/// Holds back everything of one source that would arrive from `from` on, for `time` (both microseconds), then
/// delivers it at once.
pub fn stall(mut records: Vec<Delivered>, source: Source, from: i64, time: i64) -> Vec<Delivered> {
    for record in &mut records {
        if record.source == source && (from..from + time).contains(&record.arrival) {
            record.arrival = from + time;
        }
    }
    records.sort_by_key(|record| record.arrival);
    records
}

/// Delivers everything in no order at all. Transactions fall apart, so every row ends its own (`last` is true);
/// the version of each row is unchanged and still orders them.
///
/// A heartbeat would no longer be true anywhere but at the end, where all of them stand in their order.
pub fn shuffle(records: Vec<Delivered>, seed: u64) -> Vec<Delivered> {
    let mut draw = Draw::new(seed, SHUFFLE_STREAM);
    let arrival = records.last().map_or(0, |record| record.arrival);
    let (heartbeats, mut rows): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| matches!(record.record, Record::Heartbeat(_)));
    for place in (1..rows.len()).rev() {
        rows.swap(place, draw.below(place as u64 + 1) as usize);
    }
    rows.extend(heartbeats);
    for record in &mut rows {
        record.arrival = arrival;
        if let Record::Change(change) = &mut record.record {
            change.last = true;
        }
    }
    rows
}
