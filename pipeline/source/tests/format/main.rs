//! Messages of every format, as their tools document them, and what becomes of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod again;
mod any_bytes;
mod avro;
mod canal;
mod debezium;
mod decimals;
mod drift;
#[path = "../common/avro.rs"]
mod encoder;
mod events;
mod flattened;
mod maxwell;
mod origins;
mod support;
#[path = "../common/registry.rs"]
mod test_registry;
mod times;
