//! How to reach a schema registry.

use std::path::PathBuf;
use std::time::Duration;

use super::Registry;
use crate::Password;

/// How to read messages of Debezium in Avro.
#[derive(Clone, Debug)]
pub struct AvroOptions {
    /// Where their schemas are.
    pub registry: Registry,
    /// As [`crate::DebeziumOptions::servers`].
    pub servers: Vec<u64>,
}

/// A schema registry that speaks as Confluent's does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Its `http://` or `https://` address.
    pub url: String,
    /// Account and password there.
    pub account: Option<(String, Password)>,
    /// A file with certificates that sign the registry's, beside the well-known ones.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub request: Duration,
    /// The longest time between two attempts.
    pub back_off: Duration,
}

impl RegistryOptions {
    /// The usual times: 10 s for each.
    pub fn new(url: impl Into<String>, account: Option<(String, Password)>) -> RegistryOptions {
        RegistryOptions {
            url: url.into(),
            account,
            ca: None,
            request: Duration::from_secs(10),
            back_off: Duration::from_secs(10),
        }
    }
}
