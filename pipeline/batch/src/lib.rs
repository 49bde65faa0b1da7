//! Decoded chunks → micro-batches. Pure: `now` is an argument, and nothing is read or written.
//!
//! Rows are never touched one by one: a micro-batch is made of ranges of decoded columns, which are
//! sliced, and put together only where a table's rows come from more than one range.

mod batcher;
mod gather;
mod transaction;

pub use batcher::{Batcher, Limits};
