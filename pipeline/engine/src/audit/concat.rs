//! Parts of a column put together. Texts that repeat are held as dictionaries until here, which takes a
//! fraction of the room and is not copied on the way.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullBufferBuilder, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

/// Bytes of one text that room is made for at first.
const LIKELY_BYTES: usize = 8;

/// The type of texts that are held as numbers of their values.
pub(crate) fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The values of all parts, texts as plain texts.
pub(crate) fn concat_plain(parts: &[&dyn Array]) -> Result<ArrayRef, ArrowError> {
    match parts.iter().any(|part| *part.data_type() == dictionary()) {
        true => Texts::new(parts).finish(),
        false => concat(parts),
    }
}

struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Texts {
    fn new(parts: &[&dyn Array]) -> Texts {
        let rows = parts.iter().map(|part| part.len()).sum();
        let mut texts = Texts {
            offsets: Vec::with_capacity(rows + 1),
            bytes: Vec::with_capacity(rows * LIKELY_BYTES),
            nulls: NullBufferBuilder::new(rows),
        };
        texts.offsets.push(0);
        for part in parts {
            texts.extend(*part);
        }
        texts
    }

    fn extend(&mut self, part: &dyn Array) {
        let Some(numbers) = part.as_dictionary_opt::<Int32Type>() else {
            let texts = part.as_string::<i32>();
            for row in 0..texts.len() {
                self.push(texts.value(row));
            }
            return self.append_nulls(part);
        };
        let values = numbers.values().as_string::<i32>();
        if numbers.null_count() == 0 {
            for number in numbers.keys().values() {
                self.push(values.value(*number as usize));
            }
        } else {
            for number in numbers.keys() {
                self.push(number.map_or("", |number| values.value(number as usize)));
            }
        }
        self.append_nulls(part);
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        // Beyond the largest offset `finish` refuses.
        self.offsets.push(self.bytes.len() as i32);
    }

    fn append_nulls(&mut self, part: &dyn Array) {
        match part.nulls() {
            Some(nulls) => self.nulls.append_buffer(nulls),
            None => self.nulls.append_n_non_nulls(part.len()),
        }
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        if i32::try_from(self.bytes.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(self.bytes.len()));
        }
        let offsets = OffsetBuffer::new(self.offsets.into());
        let texts = StringArray::try_new(offsets, self.bytes.into(), self.nulls.finish())?;
        Ok(Arc::new(texts))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::DictionaryArray;

    #[test]
    fn dictionaries_and_plain_texts_meet() {
        let some: DictionaryArray<Int32Type> =
            vec![Some("PAID"), None, Some("CLOSED"), Some("PAID")]
                .into_iter()
                .collect();
        let others: DictionaryArray<Int32Type> = vec!["CLOSED", "CREATED"].into_iter().collect();
        let plain = StringArray::from(vec![Some("x"), None]);
        let parts: [&dyn Array; 3] = [&some.slice(1, 3), &plain, &others];
        let all = concat_plain(&parts).unwrap();
        let expected = [
            None,
            Some("CLOSED"),
            Some("PAID"),
            Some("x"),
            None,
            Some("CLOSED"),
            Some("CREATED"),
        ];
        assert_eq!(
            all.as_string::<i32>(),
            &StringArray::from(expected.to_vec())
        );
    }
}
