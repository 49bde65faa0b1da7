//! Avro as Kafka Connect writes it: schemas from a registry, and values as its JSON converter would write them.
//!
//! A record with its schema becomes the text that the JSON converter makes of the same record, its schema beside
//! it, so that one reader serves both. The binary form is read here and not by a library: `apache-avro` 0.22 takes
//! the end of a record that was cut off for nulls, forgets `connect.name` of primitive types, without which a time
//! is a bare number, and follows a type that holds itself until the stack ends.

mod check;
mod client;
mod connect;
mod datum;
mod options;
mod registry;
mod schema;

pub use options::{AvroOptions, RegistryOptions};
pub use registry::Registry;

pub(crate) use check::{check, check_subject};
pub(crate) use registry::Known;
