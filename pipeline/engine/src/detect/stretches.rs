//! Sets of numbers that mostly stand beside each other.

use serde::{Deserialize, Serialize};

/// A set of numbers, as stretches without a gap: first and last, in order, none next to another. In JSON a list of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stretches(Vec<(u64, u64)>);

impl Stretches {
    /// This number alone.
    pub fn of(number: u64) -> Stretches {
        Stretches(vec![(number, number)])
    }

    /// All from 1 on; nothing where `last` is 0.
    pub fn up_to(last: u64) -> Stretches {
        Stretches((last > 0).then_some((1, last)).into_iter().collect())
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// In how many stretches they are.
    pub fn parts(&self) -> usize {
        self.0.len()
    }

    /// Whether this number is in it.
    pub fn contains(&self, number: u64) -> bool {
        self.around(number, number)
    }

    /// Whether each of its numbers is in the other.
    pub fn is_within(&self, other: &Stretches) -> bool {
        let mut parts = self.0.iter();
        parts.all(|(first, last)| other.around(*first, *last))
    }

    /// Whether one stretch holds all from `first` to `last`.
    fn around(&self, first: u64, last: u64) -> bool {
        let behind = self.0.partition_point(|(begin, _)| *begin <= first);
        let before = behind.checked_sub(1).map(|place| self.0[place]);
        before.is_some_and(|(_, end)| last <= end)
    }

    /// Takes a number in.
    pub fn insert(&mut self, number: u64) {
        self.add(number, number);
    }

    /// Takes in all numbers of the other.
    pub fn unite(&mut self, other: &Stretches) {
        for (first, last) in &other.0 {
            self.add(*first, *last);
        }
    }

    fn add(&mut self, mut first: u64, mut last: u64) {
        // Those that meet it, or stand right beside it.
        let from = self
            .0
            .partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self
            .0
            .partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        if let (Some((begin, _)), true) = (self.0.get(from), from < to) {
            first = first.min(*begin);
            last = last.max(self.0[to - 1].1);
        }
        self.0.splice(from..to.max(from), [(first, last)]);
    }

    /// Makes few stretches of many: those between which least is missing become one. It holds more then, never less.
    pub fn limit(&mut self, most: usize) {
        while self.0.len() > most.max(1) {
            let gap = |second: &usize| self.0[*second].0 - self.0[second - 1].1;
            let Some(second) = (1..self.0.len()).min_by_key(gap) else {
                return;
            };
            let (_, last) = self.0.remove(second);
            self.0[second - 1].1 = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Numbers that look like none in particular.
    fn mixed(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    fn numbers(set: &Stretches) -> BTreeSet<u64> {
        (0..400).filter(|number| set.contains(*number)).collect()
    }

    #[test]
    fn they_are_the_set_of_what_was_taken_in() {
        for seed in 0..200 {
            let mut next = mixed(seed);
            let (mut set, mut model) = (Stretches::default(), BTreeSet::new());
            let (mut other, mut other_model) = (Stretches::default(), BTreeSet::new());
            for _ in 0..next(120) {
                let number = 1 + next(300);
                set.insert(number);
                model.insert(number);
                let number = 1 + next(300);
                other.insert(number);
                other_model.insert(number);
            }
            assert_eq!(numbers(&set), model);
            assert_eq!(set.len(), model.len() as u64);
            let gaps = model
                .iter()
                .filter(|number| !model.contains(&(*number + 1)));
            assert_eq!(set.parts(), gaps.count());
            assert_eq!(set.is_within(&other), model.is_subset(&other_model));
            let whole = serde_json::to_vec(&set).unwrap();
            assert_eq!(serde_json::from_slice::<Stretches>(&whole).unwrap(), set);
            let mut both = set.clone();
            both.unite(&other);
            assert_eq!(numbers(&both), model.union(&other_model).copied().collect());
            assert!(set.is_within(&both) && other.is_within(&both));
            both.limit(3);
            assert!(both.parts() <= 3);
            assert!(set.is_within(&both) && other.is_within(&both));
        }
    }

    #[test]
    fn all_up_to_a_number() {
        assert!(Stretches::up_to(0).is_empty());
        assert_eq!(numbers(&Stretches::up_to(3)), BTreeSet::from([1, 2, 3]));
        assert!(Stretches::default().is_within(&Stretches::default()));
        assert!(!Stretches::of(3).is_within(&Stretches::up_to(2)));
    }
}
