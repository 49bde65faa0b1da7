//! A real MariaDB, read through its binary log.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

mod basics;
mod hidden;
mod settings;
mod trouble;
mod types;
