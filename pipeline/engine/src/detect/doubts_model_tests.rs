//! Doubts beside a model that knows each hole by itself and only looks at those that are not settled.

use std::collections::BTreeSet;

use super::*;

const PATIENCE: i64 = 10;
const TABLES: u64 = 4;
const SOURCES: usize = 3;
const KINDS: u64 = 2;

/// One hole, as it was told.
enum Lost {
    Named {
        document: Vec<u8>,
        table: u16,
    },
    Somewhere {
        table: Option<u16>,
        source: Option<usize>,
        begin: i64,
        end: i64,
        /// Whether its source has spoken since.
        heard: bool,
        whose: Whose,
    },
}

/// Every hole by its number, and which are settled.
#[derive(Default)]
struct Model {
    lost: Vec<Lost>,
    settled: BTreeSet<u64>,
}

impl Model {
    fn waiting(&self) -> impl Iterator<Item = &Lost> {
        let numbered = (1..).zip(&self.lost);
        numbered.filter_map(|(number, lost)| (!self.settled.contains(&number)).then_some(lost))
    }

    fn hear(&mut self, clocks: &[Timestamp; SOURCES]) {
        for lost in &mut self.lost {
            let Lost::Somewhere {
                source,
                begin,
                end,
                heard,
                ..
            } = lost
            else {
                continue;
            };
            if *heard {
                continue;
            }
            let (clock, after) = match *source {
                Some(source) => (clocks[source].0, *begin),
                None => (clocks.iter().map(|clock| clock.0).min().unwrap(), *end),
            };
            *end = (*end).max(clock);
            *heard = clock > after;
        }
    }

    /// Whether a hole that waits may be of this entity.
    fn concerns(&self, kind: u16, document: &[u8], tables: &[u16], life: Life) -> bool {
        self.waiting().any(|lost| match lost {
            Lost::Named {
                document: named,
                table,
            } => named == document && tables.contains(table),
            Lost::Somewhere { table, whose, .. } => {
                let own = match whose {
                    Whose::Anyone => true,
                    Whose::Entity(of) => *of == kind,
                    Whose::Waiting => false,
                };
                own && table.is_none_or(|table| tables.contains(&table)) && lost.lies_in(life)
            }
        })
    }

    fn concerns_waiting(&self, target: u16, life: Life) -> bool {
        self.waiting().any(|lost| match lost {
            Lost::Named { .. } => false,
            Lost::Somewhere { table, .. } => {
                table.is_none_or(|table| table == target) && lost.lies_in(life)
            }
        })
    }
}

impl Lost {
    fn lies_in(&self, life: Life) -> bool {
        let Lost::Somewhere {
            begin, end, heard, ..
        } = self
        else {
            return false;
        };
        life.newest.0 + PATIENCE >= *begin && !(*heard && life.since.0 > *end + PATIENCE)
    }
}

/// Numbers that look like none in particular.
struct Mixed(u64);

impl Mixed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

fn document(kind: u16, number: u64) -> Vec<u8> {
    document_key(DocumentKind::Entity(EntityId(kind)), &format!("E{number}"))
}

/// A run of holes, words of sources and settlements; `step` is how far apart in time they are.
fn play(seed: u64, rounds: u64, step: i64, exact: bool) {
    let mut mixed = Mixed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut doubts, mut model) = (Doubts::default(), Model::default());
    let mut settled = Stretches::default();
    let mut now = 1_000_000;
    let mut clocks = [Timestamp(now); SOURCES];
    for round in 0..rounds {
        now += step;
        if exact {
            speak(&mut doubts, &mut model, &mut clocks, now, &|_| true);
        }
        match mixed.below(5) {
            0 | 1 => {
                doubts.count += 1;
                let number = doubts.count;
                model
                    .lost
                    .push(lose(&mut mixed, &mut doubts, number, now, &clocks));
            }
            2 | 3 => {
                let one = (!mixed.one_in(2)).then(|| mixed.below(SOURCES as u64) as usize);
                let speaks = |source| one.is_none_or(|one| one == source);
                speak(&mut doubts, &mut model, &mut clocks, now, &speaks);
            }
            _ if doubts.count > 0 => {
                for _ in 0..=mixed.below(3) {
                    let number = 1 + mixed.below(doubts.count);
                    settled.insert(number);
                    model.settled.insert(number);
                }
                doubts.end(&settled);
            }
            _ => {}
        }
        if exact {
            now += step;
            speak(&mut doubts, &mut model, &mut clocks, now, &|_| true);
        }
        if mixed.one_in(10) {
            let kept = serde_json::to_vec(&doubts).unwrap();
            doubts = serde_json::from_slice(&kept).unwrap();
        }
        if round % 8 == 0 || exact {
            compare(&mut mixed, &doubts, &model, now, exact);
        }
    }
    settled.unite(&Stretches::up_to(doubts.count));
    doubts.end(&settled);
    let left = (doubts.spans.len(), doubts.running.len(), doubts.names.len());
    assert_eq!(left, (0, 0, 0), "all are settled");
}

/// Some sources say that they stand at `now`.
fn speak(
    doubts: &mut Doubts,
    model: &mut Model,
    clocks: &mut [Timestamp; SOURCES],
    now: i64,
    speaks: &dyn Fn(usize) -> bool,
) {
    for (source, clock) in clocks.iter_mut().enumerate() {
        if speaks(source) {
            clock.0 = clock.0.max(now);
        }
    }
    doubts.progress(&clocks[..]);
    model.hear(clocks);
}

/// One more hole, told to the doubts and given back for the model.
fn lose(
    mixed: &mut Mixed,
    doubts: &mut Doubts,
    number: u64,
    now: i64,
    clocks: &[Timestamp; SOURCES],
) -> Lost {
    let table = mixed.below(TABLES) as u16;
    if mixed.one_in(2) {
        let document = document(mixed.below(KINDS) as u16, mixed.below(6));
        doubts.name(number, TableId(table), vec![document.clone()]);
        return Lost::Named { document, table };
    }
    let table = (!mixed.one_in(4)).then_some(table);
    let source = table.map(|table| usize::from(table) % SOURCES);
    let begin = match source {
        Some(source) => clocks[source].0,
        None => clocks.iter().map(|clock| clock.0).min().unwrap(),
    };
    let whose = match mixed.below(4) {
        0 => Whose::Waiting,
        1 => Whose::Anyone,
        kind => Whose::Entity(kind as u16 - 2),
    };
    let hole = hole(table, source.map(|source| source as u16));
    doubts.span((number, &hole), Timestamp(begin), Timestamp(now), whose);
    Lost::Somewhere {
        table,
        source,
        begin: begin.min(now),
        end: now.max(begin),
        heard: false,
        whose,
    }
}

fn compare(mixed: &mut Mixed, doubts: &Doubts, model: &Model, now: i64, exact: bool) {
    for _ in 0..20 {
        let newest = mixed.below(now as u64 + 100) as i64;
        let newest = if mixed.one_in(2) {
            newest
        } else {
            now - mixed.below(60) as i64
        };
        let since = newest - mixed.below(1_000) as i64;
        let life = Life {
            since: Timestamp(since),
            newest: Timestamp(newest),
        };
        let kind = mixed.below(KINDS) as u16;
        let document = document(kind, mixed.below(6));
        let bits = mixed.below(1 << TABLES);
        let tables: Vec<u16> = (0..TABLES as u16)
            .filter(|table| bits & (1 << table) != 0)
            .collect();
        let expected = model.concerns(kind, &document, &tables, life);
        let found = doubts.concern(&document, u128::from(bits), life, Duration(PATIENCE));
        assert!(
            found || !expected,
            "an entity is sure that a hole which waits concerns"
        );
        assert!(
            !exact || found == expected,
            "in doubt without a hole that waits"
        );
        let target = mixed.below(TABLES) as u16;
        let expected = model.concerns_waiting(target, life);
        let found = doubts.concern_waiting(TableId(target), life, Duration(PATIENCE));
        assert!(
            found || !expected,
            "rows are sure that a hole which waits concerns"
        );
        assert!(
            !exact || found == expected,
            "rows in doubt without a hole that waits"
        );
    }
}

#[test]
fn nothing_becomes_sure_that_a_hole_which_waits_concerns() {
    for seed in 0..40 {
        // Close to each other: many become one.
        play(seed, 400, 7, false);
        // Far apart, and more of them than are kept by themselves.
        play(seed + 1_000, 300, 90_000_000, false);
    }
    play(5_000, 12_000, 90_000_000, false);
}

#[test]
fn few_holes_far_apart_are_ended_one_by_one() {
    for seed in 0..60 {
        play(seed + 9_000, 120, 600_000_000, true);
    }
}
