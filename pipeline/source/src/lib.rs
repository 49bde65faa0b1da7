//! The world → changes: files of JSON lines, decoded exactly and by column.
//!
//! A [`FileInput`] reads whole lines, a [`Decoder`] turns them into changes and holes. The line
//! scanner is our own, because the readers at hand take what is not JSON (missing commas), keep the
//! last of two equal keys, or read `"12"` and 12 alike; for money, each of these is a wrong input.

mod column;
mod decode;
mod file;
mod hole;
mod json;
mod line;
mod rows;
mod value;

pub use decode::Decoder;
pub use file::{FileInput, InputError, RawChunk, ReadLimits};
