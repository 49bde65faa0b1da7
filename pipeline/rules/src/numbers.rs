//! Numbers that stand for texts within one slice.

use std::hash::BuildHasher;

use arrow::array::{Array, Int32Array, StringArray};
use hashbrown::{DefaultHashBuilder, HashTable};

/// Gives equal texts of a slice the same number, whatever column they stand in, from 0 as they appear.
#[derive(Default)]
pub(crate) struct Numbers {
    /// Hash and number of each text.
    known: HashTable<(u64, i32)>,
    hasher: DefaultHashBuilder,
    texts: Vec<StringArray>,
    /// By number: which text array and row.
    places: Vec<(u32, u32)>,
}

impl Numbers {
    /// Forgets all, for the next slice.
    pub fn clear(&mut self) {
        self.known.clear();
        self.texts.clear();
        self.places.clear();
    }

    /// The numbers of texts; null where they are.
    pub fn number(&mut self, texts: &StringArray) -> Int32Array {
        let array = self.texts.len() as u32;
        self.texts.push(texts.clone());
        self.known.reserve(texts.len(), |(hash, _)| *hash);
        let numbers: Vec<i32> = (0..texts.len())
            .map(|row| match texts.is_null(row) {
                true => 0,
                false => self.number_of(texts.value(row), (array, row as u32)),
            })
            .collect();
        Int32Array::new(numbers.into(), texts.nulls().cloned())
    }

    fn number_of(&mut self, text: &str, place: (u32, u32)) -> i32 {
        let hash = self.hasher.hash_one(text);
        let (texts, places) = (&self.texts, &self.places);
        let same = |(known, number): &(u64, i32)| {
            *known == hash && text_at(texts, places[*number as usize]) == text
        };
        // There are fewer rows in a slice than positive numbers.
        let next = places.len() as i32;
        let entry = self.known.entry(hash, same, |(hash, _)| *hash);
        let (_, number) = *entry.or_insert((hash, next)).get();
        if number == next {
            self.places.push(place);
        }
        number
    }

    /// The texts behind numbers.
    pub fn texts(&self, numbers: &Int32Array) -> StringArray {
        let text = |number: i32| text_at(&self.texts, self.places[number as usize]);
        numbers.iter().map(|number| number.map(text)).collect()
    }
}

fn text_at(texts: &[StringArray], (array, row): (u32, u32)) -> &str {
    texts[array as usize].value(row as usize)
}
