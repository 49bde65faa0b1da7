//! Numbers stay what they were, whichever tree they stand in.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::{Database, ReadableDatabase};

use super::*;

struct Known {
    database: Database,
    next_move: NextMove,
    model: BTreeMap<Vec<u8>, u64>,
}

impl Known {
    fn new() -> Known {
        let backend = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        let transaction = database.begin_write().unwrap();
        create_tables(&transaction).unwrap();
        transaction.commit().unwrap();
        Known {
            database,
            next_move: NextMove::default(),
            model: BTreeMap::new(),
        }
    }

    /// Commits the keys that are new, or looks at them and gives the transaction up.
    fn add(&mut self, keys: &[Vec<u8>], commit: bool) {
        let mut model = self.model.clone();
        let committed = self.database.begin_read().unwrap();
        let committed = Numbers::open(&committed).unwrap();
        let transaction = self.database.begin_write().unwrap();
        let mut writer = NumberWriter::open(&transaction).unwrap();
        for key in keys {
            let known = committed.of(key).unwrap();
            assert_eq!(known, self.model.get(key).copied());
            if !model.contains_key(key) {
                let number = model.len() as u64;
                writer.add(key, number).unwrap();
                model.insert(key.clone(), number);
            }
        }
        writer.settle(&self.next_move).unwrap();
        drop(writer);
        if commit {
            transaction.commit().unwrap();
            self.model = model;
        } else {
            transaction.abort().unwrap();
        }
    }

    /// How many numbers are fresh, how many settled; each key must stand in one of the two, with its number.
    fn look(&self) -> (u64, u64) {
        let transaction = self.database.begin_read().unwrap();
        let numbers = Numbers::open(&transaction).unwrap();
        for (key, number) in &self.model {
            assert_eq!(numbers.of(key).unwrap(), Some(*number));
        }
        assert_eq!(numbers.of(b"never").unwrap(), None);
        let (fresh, settled) = (numbers.fresh.len().unwrap(), numbers.settled.len().unwrap());
        assert_eq!(fresh + settled, self.model.len() as u64);
        (fresh, settled)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_key_keeps_its_number(
        commits in prop::collection::vec((prop::collection::vec(0u16..2000, 0..120), prop::bool::weighted(0.9)), 1..40)
    ) {
        let mut known = Known::new();
        for (keys, commit) in commits {
            let keys: Vec<Vec<u8>> = keys.iter().map(|key| format!("e{key:x}").into_bytes()).collect();
            known.add(&keys, commit);
        }
        known.look();
    }
}

#[test]
fn few_numbers_are_fresh_whether_much_or_little_comes() {
    let mut known = Known::new();
    let key = |number: u64| {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .to_be_bytes()
            .to_vec()
    };
    let mut next = 0..;
    let mut take = |count: usize| next.by_ref().take(count).map(key).collect::<Vec<_>>();
    for _ in 0..50 {
        known.add(&take(1_000), true);
    }
    let (fresh, settled) = known.look();
    let wanted = (settled * 1_000 / 2).isqrt();
    assert!(
        fresh.abs_diff(wanted) < 2_000,
        "{fresh} fresh, {settled} settled"
    );
    // A quiet stream after a burst: what is fresh goes little by little, no commit is long.
    for _ in 0..150 {
        let before = known.look().0;
        known.add(&take(1), true);
        assert!(before.saturating_sub(known.look().0) <= 66);
    }
    let (fresh, settled) = known.look();
    assert!(fresh < 200, "{fresh} fresh, {settled} settled");
}
