//! The program beside a real MariaDB and a real Kafka, told by its configuration file.
#![allow(clippy::unwrap_used, clippy::panic)]

mod quiet;
mod secured;
mod shop;
