//! Keys as 128-bit hashes: what rows are split and joined by.
//!
//! Two keys with the same hash would be one entity. Two independent hashes of 64 bits each make that less
//! likely than 10⁻¹⁸ for ten billion keys, which is less likely than a memory error.

use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, StringBuilder};
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashMap;

use centinel_state::key_text;

static HIGH: SharedSeed = SharedSeed::from_u64(0x6365_6e74_696e_656c);
static LOW: SharedSeed = SharedSeed::from_u64(0x7061_796d_656e_7473);

/// A map by hashes of [`hash_text`]: their low half is random enough as it is.
pub(crate) type ByHash<V> = HashMap<u128, V, BuildHasherDefault<LowHalf>>;

#[derive(Default)]
pub(crate) struct LowHalf(u64);

impl Hasher for LowHalf {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// The hash of a key's text.
pub(crate) fn hash_text(text: &str) -> u128 {
    let half = |seed, shared| {
        let mut hasher = FoldHasher::with_seed(seed, shared);
        hasher.write(text.as_bytes());
        hasher.finish()
    };
    u128::from(half(1, &HIGH)) << 64 | u128::from(half(2, &LOW))
}

/// The hashes of keys; 0 where a key is null.
pub(crate) fn hash_texts(texts: &StringArray) -> Vec<u128> {
    if texts.null_count() == 0 {
        return (0..texts.len())
            .map(|row| hash_text(texts.value(row)))
            .collect();
    }
    texts.iter().map(|text| text.map_or(0, hash_text)).collect()
}

/// The texts of keys that stand in these columns; null where one of a key's columns is null.
pub(crate) fn texts_of(rows: &RecordBatch, columns: &[usize]) -> StringArray {
    if let [only] = columns
        && let Some(texts) = rows.column(*only).as_string_opt::<i32>()
    {
        return texts.clone();
    }
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..rows.num_rows() {
        text.clear();
        let known = key_text(rows, columns, row, &mut text).is_some();
        texts.append_option(known.then_some(&text));
    }
    texts.finish()
}

/// Of which slice, of so many, the entity with this hash is.
pub(crate) fn slice_of(hash: u128, slices: u32) -> u32 {
    let high = u64::from((hash >> 96) as u32);
    ((high * u64::from(slices)) >> 32) as u32
}
