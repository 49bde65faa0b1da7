//! Messages of every format, as their tools document them, and what becomes of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod any_bytes;
mod canal;
mod debezium;
mod decimals;
mod events;
mod flattened;
mod maxwell;
mod support;
mod times;
