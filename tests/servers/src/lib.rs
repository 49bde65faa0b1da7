//! Real servers for tests: MariaDB, Apache Kafka, an S3 server, and a proxy that breaks connections to
//! them; and a real browser. Each is started by the test that uses it, on loopback, in a temporary folder, and dies with it.
//!
//! `.ci/setup-servers` installs them. A test whose server is missing or does not start panics and says
//! what to do; none is skipped. When a test panics, the folders of its servers stay, with their logs.
//!
//! Everything here but the browser blocks; from asynchronous tests call it through `spawn_blocking` where that matters.

// A test has no better answer to a server that fails than to fail with what it said.
#![allow(clippy::panic, clippy::unwrap_used)]

mod browser;
mod certificates;
mod class_archive;
mod cluster;
mod folder;
mod http;
mod installed;
mod kafka;
mod mariadb;
mod port;
mod process;
mod proxy;
mod s3;

pub use browser::{Browser, screenshots};
pub use cluster::KafkaCluster;
pub use http::call;
pub use kafka::{Kafka, Secured};
pub use mariadb::{MariaDb, Row};
pub use proxy::Proxy;
pub use s3::S3;
